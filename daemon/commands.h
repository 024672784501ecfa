/*
 * commands.h - one row a POP3 command; the engine in pop3.c is driven by it.
 * Runs in: gate. Trusts: nothing in the arguments beyond what the row's rule checked.
 */
#ifndef POSTERN_COMMANDS_H
#define POSTERN_COMMANDS_H

#include "daemon/pop3.h"

enum {
	IN_AUTHORIZATION = 1,
	IN_TRANSACTION = 2,
	ANYWHERE = IN_AUTHORIZATION | IN_TRANSACTION,
};

enum argument_rule {
	ARG_NONE,
	ARG_OPTIONAL_TEXT,   /* the rest of the line, or nothing */
	ARG_TEXT,            /* the rest of the line; not empty unless the row says MAY_BE_EMPTY */
	ARG_OPTIONAL_MSGNO,
	ARG_MSGNO,
	ARG_MSGNO_LINES,
};

enum command_flags {
	LOGIN = 1,           /* refused without TLS where plaintext_login does not admit the peer, and after too many tries */
	SECRET = 2,          /* the argument is or holds a password */
	MAY_BE_EMPTY = 4,    /* "PASS " is an empty password */
};

struct arguments {
	bool given;          /* for the optional ones */
	char *text;          /* ARG_TEXT: not NUL-terminated */
	size_t len;
	size_t idx;          /* ARG_MSGNO: an existing message that is not marked */
	uint64_t lines;
};

/* What a handler has come to; pop3.c acts on it. */
enum outcome {
	DONE,                /* answered */
	LIST_FOLLOWS, MESSAGE_FOLLOWS, TLS_FOLLOWS, LOGGED_IN, RESPONSE_FOLLOWS,
	QUIT, TOO_MANY_LOGINS, TLS_PIPELINED,
};

/* The name is kept, for what comes. 0, or -1: it is too long. */
int command_keep_name(struct pop3 *p, const char *name, size_t len);

struct command {
	const char *name;
	unsigned states;
	enum argument_rule rule;
	unsigned flags;
	const char *capability;  /* as CAPA says it, or NULL */
	enum outcome (*handler)(struct pop3 *p, const struct arguments *a, struct buf *out);
};

extern const struct command commands[];
extern const size_t commands_count;

/* The second line of AUTH PLAIN. */
enum outcome command_sasl_response(struct pop3 *p, char *line, size_t len, struct buf *out);

/* May this connection log in as it is (RFC 2595: not in clear where plaintext_login forbids it)? */
bool pop3_login_admitted(const struct pop3 *p);

#endif
