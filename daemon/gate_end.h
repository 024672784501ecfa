/*
 * gate_end.h - how a session ended, from what ended it.
 * Runs in: gate. Trusts: its caller.
 */
#ifndef POSTERN_GATE_END_H
#define POSTERN_GATE_END_H

#include "daemon/conn.h"
#include "daemon/pop3.h"

/* The connection said so; a deadline means something else before the login. */
enum session_end gate_end_of_connection(enum conn_result r, bool logged_in);

/* The keeper wanted it to stop. */
enum session_end gate_end_of_stop(const struct rpc_stop *stop);

/* The protocol was over. */
enum session_end gate_end_of_protocol(enum pop3_end end);

#endif
