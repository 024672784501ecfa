/*
 * session_log.h - what the log and the history are told about a session.
 * Runs in: keeper. Trusts: nothing in a user name.
 */
#ifndef POSTERN_SESSION_LOG_H
#define POSTERN_SESSION_LOG_H

#include "daemon/session.h"

/* Something that a client is told with a reference. */
struct report {
	const char *event;       /* for the log's field: "login-failed" */
	const char *words;       /* for its line: "login failed" */
	bool guess;              /* anybody on the network can cause it */
	bool quiet;              /* enough such lines were logged: this one is for the history */
	const char *user;
	unsigned tls;            /* the protocol's number, 0 in clear */
	uid_t owner;             /* whose mailbox it is about, HISTORY_NOBODY when that is not known */
	const struct why *why;   /* the true reason, whatever the client is told */
};

/*
 * Log it at once, with the true reason, and put it into the history. answer: what the client is told, complete but for .ref, which
 * is filled in (and is REF_NONE when the reply takes no reference).
 */
void session_report(const struct session *s, const struct report *report, struct rpc_answer *answer);

/*
 * For what a stranger can have logged as often as he likes: is another line of that reply too much? The first in a connection
 * is not, unless the master said that enough connections are logged; the others are counted for session_log_end().
 */
bool session_log_enough(struct session *s, enum reply reply);

/* The line of a session that is over. */
void session_log_end(const struct session *s);

#endif
