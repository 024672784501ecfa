/*
 * session_log.h - the log's lines about a session.
 * Runs in: keeper. Trusts: nothing in a user name.
 */
#ifndef POSTERN_SESSION_LOG_H
#define POSTERN_SESSION_LOG_H

#include "daemon/session.h"

/* A login that failed, at once, with the true reason. tls: the protocol's number, 0 in clear. */
void session_log_failure(const struct session *s, const char *user, const struct why *why, unsigned tls);

/* The line of a session that is over. */
void session_log_end(const struct session *s);

/* A few plain words for the client: why an update did not work ("disk full"). Static storage. */
const char *session_cause_text(const struct why *why);

#endif
