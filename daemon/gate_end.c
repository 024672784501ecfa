/*
 * gate_end.c - how a session ended, from what ended it, and its last words.
 * Runs in: gate. Trusts: its caller.
 */
#include "daemon/gate_end.h"

#include <string.h>

#include "daemon/gate.h"

/* The keeper wanted it to stop. */
static enum session_end end_of_stop(const struct rpc_stop *stop)
{
	switch ((int)stop->reply) {
	case REPLY_TAKEN_OVER: return END_TAKEN_OVER;
	case REPLY_ENDED: return END_ENDED;
	case REPLY_MADE_ROOM: return END_MADE_ROOM;
	default: return END_STOPPED;
	}
}

enum session_end gate_end_of_connection(const struct conn *conn, enum conn_result r, bool logged_in)
{
	switch (r) {
	case CONN_OK:
	case CONN_CLOSED: return END_PEER_CLOSED;
	case CONN_BROKEN: return END_PEER_ERROR;
	case CONN_TIMEOUT: return logged_in ? END_IDLE : END_LOGIN_TIMEOUT;
	case CONN_STALLED: return END_STALLED;
	case CONN_STOPPED: return end_of_stop(&conn->stop);
	case CONN_KEEPER_LOST: return END_KEEPER_LOST;
	case CONN_UNREADABLE: return END_READ_ERROR;
	}
	return END_PEER_ERROR;
}

void gate_end_figures(struct rpc_bye *bye, const struct pop3 *pop3, const struct conn *conn, enum session_end end)
{
	bye->verb = RPC_BYE;
	bye->end = end;
	bye->door = pop3->door != DOOR_NONE ? pop3->door : conn->door;
	bye->marked = (uint32_t)pop3->marked;
	bye->in_clear = pop3->in_clear;
	if (conn->problem != NULL)
		(void)strncpy(bye->detail, conn->problem, sizeof bye->detail - 1);
}

enum reply gate_last_words(enum session_end end, const struct settings *settings, const struct rpc_stop *stop, struct reply_args *args)
{
	switch ((int)end) {
	case END_LOGIN_TIMEOUT: args->n[0] = settings->login_seconds; return REPLY_LOGIN_TIMEOUT;
	case END_COMMAND_TIMEOUT: args->n[0] = COMMAND_SECONDS; return REPLY_COMMAND_TIMEOUT;
	case END_MADE_ROOM: return REPLY_MADE_ROOM;
	case END_IDLE: args->n[0] = settings->idle_minutes; return REPLY_IDLE;
	case END_STOPPED: return REPLY_STOPPING;
	case END_TAKEN_OVER: args->text = stop->told; args->ref = stop->ref; return REPLY_TAKEN_OVER;
	case END_ENDED: args->ref = stop->ref; return REPLY_ENDED;
	case END_KEEPER_LOST: return REPLY_KEEPER_LOST;
	default: return REPLY_NONE;
	}
}
