/*
 * check_texts.h - the catalogue: what servers say, what it means, and how servers are recognized.
 * Runs in: postern, as whoever called it. Trusts: the catalogue, which is part of the program; nothing that a server said.
 */
#ifndef POSTERN_CLI_CHECK_TEXTS_H
#define POSTERN_CLI_CHECK_TEXTS_H

#include "cli/check_situations.h"

enum { MEANINGS_MAX = 6, SERVER_NAME_MAX = 40 };

/* When something was said; the names stand in pop3-texts.tsv. */
enum moment { MOMENT_CONNECT, MOMENT_TLS, MOMENT_LOGIN, MOMENT_MAIL, MOMENT_QUIT, MOMENT_COUNT };

/* What a text may mean; more than one situation: the text does not tell which. */
struct meaning {
	enum situation situations[MEANINGS_MAX];
	size_t count;
	bool is_of_server;  /* the row is one of the recognized server */
};

/*
 * What the len octets behind "-ERR " mean at that moment (of a line that has no status: the whole line). server is the
 * recognized server's name or "". Always finds something: SITUATION_UNKNOWN_TEXT or SITUATION_BARE_ERROR at the worst.
 */
void text_explain(const char *server, enum moment moment, const char *text, size_t len, struct meaning *meaning_r);

/* How a kind of sign in pop3-servers.tsv ("greeting", "capability" ...) names the server. false when it does not. */
bool server_recognize(const char *kind, const char *text, size_t len, char name_r[SERVER_NAME_MAX]);

#endif
