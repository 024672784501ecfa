/*
 * session.h - what a gate may ask its keeper for: a handler for each verb of rpc.h.
 * Runs in: keeper, as root until session_auth() becomes the mail's owner. Trusts: nothing in the messages
 * beyond their size, which keeper.c has checked.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include <netinet/in.h>
#include <stdbool.h>

#include "auth/auth.h"
#include "daemon/enter.h"
#include "daemon/rpc.h"
#include "daemon/settings.h"

enum { FAILURE_SLOT_MS = 500 };  /* a failed login is answered on the next multiple of this after it was asked */

struct session {
	const struct settings *settings;
	struct auth_settings auth;
	int master, gate;
	enum rpc_phase phase;
	unsigned asked[RPC_VERBS];
	bool stopping, over;
	struct sockaddr_storage peer;
	char peer_text[INET6_ADDRSTRLEN];
	long long begun;           /* now_ms() */
	unsigned failed_logins;
	char user[USER_NAME_MAX + 1]; /* who logged in, or tried last */
	bool logged_in;
	struct entry in;
	size_t count;
	bool *marks;
	size_t marked;
	uint64_t deleted, left;
	bool committed;
	struct rpc_bye bye;
	bool said_bye;
};

void session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate);

/* There is a connection. */
void session_begin(struct session *s, const struct sockaddr_storage *peer);

/* The message is the handler's own: what is secret in it is wiped. */
void session_known(struct session *s, union rpc_message *message);
void session_auth(struct session *s, union rpc_message *message);
void session_fetch(struct session *s, union rpc_message *message);
void session_mark(struct session *s, union rpc_message *message);
void session_commit(struct session *s, union rpc_message *message);
void session_bye(struct session *s, union rpc_message *message);

/* Let go of everything and write the session's line to the log. */
void session_end(struct session *s);

#endif
