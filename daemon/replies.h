/*
 * replies.h - every answer that the server can give: one row each.
 * Runs in: gate (says them), keeper (chooses those about login, maildrop and
 * update), master (refusals). Trusts: nothing; text from elsewhere is cut and made printable.
 *
 * The wire text is in replies_table.c. What a row means and what to do about it is in
 * replies_advice.c, which only the postern command is linked with.
 */
#ifndef POSTERN_REPLIES_H
#define POSTERN_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ref.h"
#include "base/why.h"

struct language;

enum {
	REPLY_LINE_MAX = 512,  /* RFC 1939 section 3: a response with its CRLF */
	REPLY_NUMBERS = 3,
	REPLY_NAME_ROOM = 32,  /* the longest name, with its NUL */
};

enum reply {
	REPLY_NONE, /* not an answer */
	/* +OK */
	REPLY_GREETING, REPLY_CAPABILITIES, REPLY_MECHANISMS, REPLY_BEGIN_TLS, REPLY_SEND_PASS, REPLY_LOGGED_IN,
	REPLY_STAT, REPLY_LIST_ALL, REPLY_LIST_ONE, REPLY_UIDL_ALL, REPLY_UIDL_ONE, REPLY_MESSAGE, REPLY_TOP,
	REPLY_MARKED, REPLY_RESET, REPLY_NOOP, REPLY_BYE, REPLY_BYE_UPDATED, REPLY_LANGUAGES, REPLY_LANGUAGE_SET, REPLY_UTF8_ON,
	/* what was typed */
	REPLY_UNKNOWN_COMMAND, REPLY_EMPTY_LINE, REPLY_LINE_TOO_LONG, REPLY_RESPONSE_TOO_LONG, REPLY_NUL, REPLY_LOG_IN_FIRST,
	REPLY_LOGGED_IN_ALREADY, REPLY_NO_ARGUMENT, REPLY_NEEDS_ARGUMENT, REPLY_NEEDS_NUMBER, REPLY_NEEDS_TWO_NUMBERS,
	REPLY_BAD_NUMBER, REPLY_BAD_LINES, REPLY_NO_SUCH_MESSAGE, REPLY_NO_MESSAGES, REPLY_MARKED_ALREADY, REPLY_USER_FIRST,
	REPLY_NAME_TOO_LONG, REPLY_PASSWORD_TOO_LONG, REPLY_TOO_MANY_BAD, REPLY_OBSOLETE, REPLY_LANGUAGE_UNKNOWN, REPLY_UTF8_NEEDED,
	/* the wrong door */
	REPLY_HTTP, REPLY_SMTP, REPLY_IMAP, REPLY_PROXY, REPLY_TLS_ON_PLAIN, REPLY_PLAIN_ON_TLS,
	/* AUTH and STLS */
	REPLY_MECHANISM_UNKNOWN, REPLY_AUTH_CANCELLED, REPLY_BAD_BASE64, REPLY_BAD_PLAIN, REPLY_OTHER_IDENTITY,
	REPLY_TLS_FIRST, REPLY_TLS_FIRST_PASS, REPLY_TLS_ALREADY, REPLY_TLS_NOT_OFFERED, REPLY_TLS_PIPELINED,
	/* login */
	REPLY_NOT_ACCEPTED, REPLY_MAILBOX_UNKNOWN, REPLY_INVALID_PASSWORD, REPLY_EMPTY_PASSWORD, REPLY_UID_REFUSED, REPLY_ACCOUNT_LOCKED,
	REPLY_ACCOUNT_EXPIRED, REPLY_PASSWORD_EXPIRED, REPLY_ACCESS_DENIED, REPLY_TRIES_EXCEEDED, REPLY_SLOWED, REPLY_TOO_MANY_LOGINS,
	REPLY_AUTH_TEMPORARY, REPLY_AUTH_SETUP, REPLY_RECONNECT,
	/* the maildrop */
	REPLY_LOCKED, REPLY_LOCKED_ACTIVE, REPLY_LOCKED_SOON, REPLY_LOCKED_WORKING, REPLY_LOCKED_UNNAMED,
	REPLY_BUSY, REPLY_BUSY_NAMED, REPLY_BUSY_DELIVERY,
	REPLY_DROP_DENIED, REPLY_DROP_BROKEN, REPLY_IDS_CHANGED, REPLY_DROP_IO, REPLY_DROP_CHANGED,
	REPLY_MESSAGE_GONE, REPLY_MESSAGE_CHANGED, REPLY_MESSAGE_IO,
	REPLY_KEPT_FULL, REPLY_KEPT_READ_ONLY, REPLY_KEPT_DENIED, REPLY_KEPT_IO, REPLY_KEPT_CHANGED, REPLY_KEPT_BUSY, REPLY_KEPT_UNFINISHED,
	REPLY_KEPT_MEMORY,
	REPLY_DISK_FULL, REPLY_READ_ONLY, REPLY_UNFINISHED, REPLY_NO_MEMORY,
	/* the connection */
	REPLY_LOGIN_TIMEOUT, REPLY_COMMAND_TIMEOUT, REPLY_IDLE, REPLY_STOPPING, REPLY_MADE_ROOM, REPLY_TAKEN_OVER, REPLY_ENDED, REPLY_KEEPER_LOST, REPLY_UPDATE_LOST,
	REPLY_SERVER_FULL, REPLY_SOURCE_FULL, REPLY_CROWDED, REPLY_NO_PROXY_HEADER, REPLY_THROTTLED,
	REPLY_COUNT
};

struct reply_row {
	const char *name;    /* the id, for manual, log and `postern explain` */
	bool ok;
	bool referenced;     /* ends in (ref 7KQ2M): somebody may ask the administrator about it */
	const char *code;    /* RFC 2449 response code without its brackets, or NULL */
	int severity;        /* syslog(3)'s, of the line in the log */
	/*
	 * What is said. {1} {2} {3} are numbers; {1|a|b} is a when that number is 1, else b; {c1} is a time of day (seconds
	 * since 1970); {t} a text (made printable), {q} the same in brackets, or nothing when it is empty; {u} a unique-id (as it is).
	 * This is the English; po/ has it in other languages (daemon/languages.h).
	 */
	const char *text;
};

/* What fills the places in a row's text. */
struct reply_args {
	const struct language *language;  /* daemon/languages.h; NULL: English */
	uint64_t n[REPLY_NUMBERS];
	const char *text;    /* borrowed; may be NULL */
	uint32_t ref;        /* base/ref.h; 0: none could be had */
};

const struct reply_row *reply_row(enum reply id);

/* What a row says in a language, places and all. language: NULL for English. */
const char *reply_text(enum reply id, const struct language *language);

/* The row of that name, REPLY_NONE when there is none. */
enum reply reply_by_name(const char *name);

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

/* The answer to a QUIT that could not remove all: by the first reason. */
enum reply reply_not_removed(enum reason reason);

/* On whose side the cause is. */
enum side { SIDE_SETTINGS, SIDE_NETWORK, SIDE_ACCOUNT, SIDE_SERVER, SIDE_OTHER_PROGRAM, SIDE_COUNT };

/* What an -ERR means, for people. All in plain English, whole sentences. */
struct reply_advice {
	enum side side;
	const char *meaning;   /* the longer explanation */
	const char *user;      /* what the person at the mail program does */
	const char *admin;     /* what the administrator does */
};

/* The advice of an -ERR, NULL for a +OK. Only in the postern command. */
const struct reply_advice *reply_advice(enum reply id);

/* "your settings", "this server", ... */
const char *side_text(enum side side);

#endif
