/*
 * gate_end.h - how a session ended, from what ended it, and its last words.
 * Runs in: gate. Trusts: its caller.
 */
#ifndef POSTERN_GATE_END_H
#define POSTERN_GATE_END_H

#include "daemon/conn.h"
#include "daemon/pop3.h"
#include "daemon/settings.h"

/* The connection said so; a deadline means something else before the login. */
enum session_end gate_end_of_connection(const struct conn *conn, enum conn_result r, bool logged_in);

/* What the session was like, now that it ends so; the rest of *bye has been counted. */
void gate_end_figures(struct rpc_bye *bye, const struct pop3 *pop3, const struct conn *conn, enum session_end end);

/* What the client is told of an end that is not his own, or REPLY_NONE. args has its reference already, if it is for a keeper that is lost. */
enum reply gate_last_words(enum session_end end, const struct settings *settings, const struct rpc_stop *stop, struct reply_args *args);

#endif
