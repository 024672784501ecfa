/*
 * session_words.c - the short words by which log and history call a failure's reason and a session's end.
 * Runs in: keeper (writes them), the postern command (reads them back). Trusts: nothing; this is our own text.
 */
#include "daemon/session_words.h"

#include <stddef.h>
#include <string.h>

static const char *const reason_names[REASON_COUNT] = {
	[REASON_NONE] = "none",
	[REASON_USER_UNKNOWN] = "unknown user",
	[REASON_PASSWORD_WRONG] = "wrong password",
	[REASON_PASSWORD_EMPTY] = "empty password",
	[REASON_UID_REFUSED] = "uid not allowed",
	[REASON_ACCOUNT_LOCKED] = "account locked",
	[REASON_ACCOUNT_EXPIRED] = "account expired",
	[REASON_PASSWORD_EXPIRED] = "password expired",
	[REASON_ACCESS_DENIED] = "access denied",
	[REASON_TRIES_EXCEEDED] = "too many tries",
	[REASON_SLOWED] = "slowed down",
	[REASON_AUTH_TEMPORARY] = "back end in trouble",
	[REASON_AUTH_SETUP] = "back end set up wrongly",
	[REASON_MAILDROP_LOCKED] = "maildrop locked by another session",
	[REASON_MAILDROP_BUSY] = "maildrop locked by another program",
	[REASON_MAILDROP_DELIVERY] = "maildrop locked by a delivery",
	[REASON_MAILDROP_DENIED] = "maildrop not accessible",
	[REASON_MAILDROP_BROKEN] = "maildrop not in form",
	[REASON_IDS_CHANGED] = "unique-ids changed",
	[REASON_MAILDROP_IO] = "maildrop input/output error",
	[REASON_MAILDROP_CHANGED] = "maildrop changed by another program",
	[REASON_MESSAGE_GONE] = "message gone",
	[REASON_MESSAGE_CHANGED] = "message changed",
	[REASON_DISK_FULL] = "disk full",
	[REASON_READ_ONLY] = "read-only file system",
	[REASON_UPDATE_UNFINISHED] = "update interrupted",
	[REASON_NO_MEMORY] = "no memory",
};

static const char *const end_names[END_COUNT] = {
	[END_QUIT] = "quit",
	[END_PEER_CLOSED] = "closed by the client without QUIT",
	[END_PEER_ERROR] = "connection broke",
	[END_LOGIN_TIMEOUT] = "no login in time",
	[END_IDLE] = "idle",
	[END_STALLED] = "client took nothing",
	[END_STOPPED] = "server stopped",
	[END_TLS_FAILED] = "TLS failed",
	[END_TOO_MANY_BAD] = "too many unknown commands",
	[END_TOO_MANY_LOGINS] = "too many failed logins",
	[END_WRONG_DOOR] = "wrong door",
	[END_TLS_PIPELINED] = "commands behind STLS",
	[END_READ_ERROR] = "message unreadable",
	[END_KEEPER_LOST] = "keeper lost",
	[END_TAKEN_OVER] = "taken over by a newer login",
	[END_COMMAND_TIMEOUT] = "no command in time",
	[END_MADE_ROOM] = "made room for others",
	[END_ENDED] = "ended by the administrator",
};

const char *reason_words(enum reason reason)
{
	return reason_names[reason];
}

enum reason reason_by_words(const char *words)
{
	for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
		if (strcmp(reason_names[reason], words) == 0)
			return (enum reason)reason;
	return REASON_NONE;
}

const char *end_words(enum session_end end)
{
	return end_names[end];
}
