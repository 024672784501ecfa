/*
 * replies.h - every answer that the server can give: one row each.
 * Runs in: gate (says them), keeper (chooses those about login, maildrop and
 * update), master (refusals). Trusts: nothing; text from elsewhere is cut and made printable.
 */
#ifndef POSTERN_REPLIES_H
#define POSTERN_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/why.h"

enum {
	REPLY_LINE_MAX = 512,  /* RFC 1939 section 3: a response with its CRLF */
	REPLY_NUMBERS = 3,
};

enum reply {
	REPLY_NONE, /* not an answer */
	/* +OK */
	REPLY_GREETING, REPLY_CAPABILITIES, REPLY_MECHANISMS, REPLY_BEGIN_TLS, REPLY_SEND_PASS, REPLY_LOGGED_IN,
	REPLY_STAT, REPLY_LIST_ALL, REPLY_LIST_ONE, REPLY_UIDL_ALL, REPLY_UIDL_ONE, REPLY_MESSAGE, REPLY_TOP,
	REPLY_MARKED, REPLY_RESET, REPLY_NOOP, REPLY_BYE, REPLY_BYE_UPDATED,
	/* what was typed */
	REPLY_UNKNOWN_COMMAND, REPLY_EMPTY_LINE, REPLY_LINE_TOO_LONG, REPLY_RESPONSE_TOO_LONG, REPLY_NUL, REPLY_LOG_IN_FIRST,
	REPLY_LOGGED_IN_ALREADY, REPLY_NO_ARGUMENT, REPLY_NEEDS_ARGUMENT, REPLY_NEEDS_NUMBER, REPLY_NEEDS_TWO_NUMBERS,
	REPLY_BAD_NUMBER, REPLY_BAD_LINES, REPLY_NO_SUCH_MESSAGE, REPLY_NO_MESSAGES, REPLY_MARKED_ALREADY, REPLY_USER_FIRST,
	REPLY_NAME_TOO_LONG, REPLY_PASSWORD_TOO_LONG, REPLY_TOO_MANY_BAD, REPLY_HTTP, REPLY_OBSOLETE,
	/* AUTH and STLS */
	REPLY_MECHANISM_UNKNOWN, REPLY_AUTH_CANCELLED, REPLY_BAD_BASE64, REPLY_BAD_PLAIN, REPLY_OTHER_IDENTITY,
	REPLY_TLS_FIRST, REPLY_TLS_FIRST_PASS, REPLY_TLS_ALREADY, REPLY_TLS_NOT_OFFERED, REPLY_TLS_PIPELINED,
	/* login */
	REPLY_NOT_ACCEPTED, REPLY_MAILBOX_UNKNOWN, REPLY_INVALID_PASSWORD, REPLY_UID_REFUSED, REPLY_ACCOUNT_LOCKED,
	REPLY_ACCOUNT_EXPIRED, REPLY_PASSWORD_EXPIRED, REPLY_ACCESS_DENIED, REPLY_TRIES_EXCEEDED, REPLY_TOO_MANY_LOGINS,
	REPLY_AUTH_TEMPORARY, REPLY_AUTH_SETUP, REPLY_RECONNECT,
	/* the maildrop */
	REPLY_LOCKED, REPLY_BUSY, REPLY_DROP_DENIED, REPLY_DROP_BROKEN, REPLY_DROP_IO, REPLY_DROP_CHANGED,
	REPLY_MESSAGE_GONE, REPLY_MESSAGE_CHANGED, REPLY_MESSAGE_IO, REPLY_NOT_REMOVED_TEMP, REPLY_NOT_REMOVED_PERM,
	REPLY_DISK_FULL, REPLY_READ_ONLY, REPLY_UNFINISHED, REPLY_NO_MEMORY,
	/* the connection */
	REPLY_LOGIN_TIMEOUT, REPLY_IDLE, REPLY_STOPPING, REPLY_KEEPER_LOST, REPLY_UPDATE_LOST, REPLY_SERVER_FULL, REPLY_SOURCE_FULL,
	REPLY_THROTTLED,
	REPLY_COUNT
};

/* On whose side the cause is. */
enum side { SIDE_NOBODY, SIDE_SETTINGS, SIDE_NETWORK, SIDE_ACCOUNT, SIDE_SERVER, SIDE_OTHER_PROGRAM };

struct reply_row {
	const char *name;    /* the id, for manual and logs */
	bool ok;
	const char *code;    /* RFC 2449 response code without its brackets, or NULL */
	/*
	 * What is said. {1} {2} {3} are numbers, {s1} {s2} an s unless that number is 1, {t} a text
	 * (made printable), {u} a unique-id (as it is). */
	const char *text;
	enum side side;
	const char *advice;  /* what to do about it; NULL for +OK */
};

/* What fills the places in a row's text. */
struct reply_args {
	uint64_t n[REPLY_NUMBERS];
	const char *text;    /* borrowed; may be NULL */
};

const struct reply_row *reply_row(enum reply id);

/*
 * Append the whole line with its CRLF: at most REPLY_LINE_MAX octets (a {t} too long for that is cut).
 * 0, or -1 when out has no room.
 */
int reply_add(struct buf *out, enum reply id, const struct reply_args *args);

/*
 * The answer for a failed login or maildrop. told: the password was proven, or explain_failures admits
 * the peer, so the true reason may be told.
 */
enum reply reply_for_reason(enum reason reason, bool told);

/* Which of the two answers a QUIT that failed gets. */
enum reply reply_not_removed(enum reason reason);

#endif
