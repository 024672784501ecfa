/*
 * replies_table.c - the reply table: what is said.
 * Runs in: gate, keeper, master, and the postern command. Trusts: nothing; this is our own text.
 *
 * Mail programs cut, so what matters stands in the first 60 characters. Only [AUTH] blames user name or
 * password; [IN-USE] is a lock; the server's own trouble is [SYS/TEMP] or [SYS/PERM] (RFC 2449, RFC 3206). Whoever changes a text or
 * adds a row: po/README.md.
 */
#include <stddef.h>
#include <syslog.h>

#include "daemon/replies_table.h"

#define OK(id, text_) [REPLY_##id] = { .name = #id, .ok = true, .severity = LOG_INFO, .text = (text_) }
/* Answers to what was typed; nothing for an administrator to look into. */
#define ERR(id, code_, text_) [REPLY_##id] = { .name = #id, .code = (code_), .severity = LOG_INFO, .text = (text_) }
/* Answers that somebody may ask the administrator about. */
#define REF(id, code_, severity_, text_) \
	[REPLY_##id] = { .name = #id, .referenced = true, .code = (code_), .severity = (severity_), .text = (text_) }

const struct reply_row replies_table[REPLY_COUNT] = {
	OK(GREETING, "postern POP3 server ready"),
	OK(CAPABILITIES, "capabilities follow"),
	OK(MECHANISMS, "mechanisms follow"),
	OK(BEGIN_TLS, "begin TLS now"),
	OK(SEND_PASS, "now send PASS and the password"),
	OK(LOGGED_IN, "logged in: {1} {1|message|messages}, {2} octets"),
	OK(STAT, "{1} {2}"),
	OK(LIST_ALL, "{1} {1|message|messages}, {2} octets"),
	OK(LIST_ONE, "{1} {2}"),
	OK(UIDL_ALL, "{1} {1|unique-id|unique-ids}"),
	OK(UIDL_ONE, "{1} {u}"),
	OK(MESSAGE, "{1} octets"),
	OK(TOP, "top of message {1}, {2} {2|line|lines} of its body"),
	OK(MARKED, "message {1} marked for deletion"),
	OK(RESET, "{1} {1|message|messages}, {2} octets; nothing is marked for deletion"),
	OK(NOOP, "nothing done, as asked"),
	OK(BYE, "bye"),
	OK(BYE_UPDATED, "{1} {1|message|messages} deleted, {2} left; bye"),
	OK(LANGUAGES, "languages for the answers follow"),
	/* RFC 6856 section 3.2: the tag stands first. */
	OK(LANGUAGE_SET, "{t} answers are in English now"),
	OK(UTF8_ON, "UTF-8 mode: messages with UTF-8 in their header are sent, too"),

	ERR(UNKNOWN_COMMAND, NULL, "unknown command: not one of POP3's"),
	ERR(EMPTY_LINE, NULL, "empty line: a command was expected"),
	ERR(LINE_TOO_LONG, NULL, "command line too long: at most 255 octets"),
	ERR(RESPONSE_TOO_LONG, NULL, "response line too long: at most {1} octets"),
	ERR(NUL, NULL, "the line holds a NUL octet"),
	ERR(LOG_IN_FIRST, NULL, "log in first: this needs an open mailbox"),
	ERR(LOGGED_IN_ALREADY, NULL, "already logged in: this belongs before the login"),
	ERR(NO_ARGUMENT, NULL, "this command takes no argument"),
	ERR(NEEDS_ARGUMENT, NULL, "this command needs an argument"),
	ERR(NEEDS_NUMBER, NULL, "this command needs one message number"),
	ERR(NEEDS_TWO_NUMBERS, NULL, "this command needs a message number and a number of lines"),
	ERR(BAD_NUMBER, NULL, "not a message number: digits only, counted from 1"),
	ERR(BAD_LINES, NULL, "not a number of lines: digits only"),
	ERR(NO_SUCH_MESSAGE, NULL, "no such message: you asked for {1}, the mailbox has {2}"),
	ERR(NO_MESSAGES, NULL, "no such message: you asked for {1}, the mailbox is empty"),
	ERR(MARKED_ALREADY, NULL, "message {1} is already marked for deletion (RSET takes all marks back)"),
	ERR(USER_FIRST, NULL, "send USER and the user name first"),
	ERR(NAME_TOO_LONG, "AUTH", "user name too long: at most {1} octets"),
	ERR(PASSWORD_TOO_LONG, "AUTH", "password too long: at most {1} octets"),
	ERR(TOO_MANY_BAD, NULL, "too many commands that POP3 does not know; closing"),
	ERR(OBSOLETE, NULL, "LAST is not in POP3 any more (RFC 1939): use UIDL"),
	ERR(LANGUAGE_UNKNOWN, NULL, "no answers in that language: LANG alone lists those there are"),
	ERR(UTF8_NEEDED, "UTF8", "message {1} has UTF-8 in its header: the UTF8 command is needed before the login"),

	ERR(HTTP, NULL, "this is a POP3 server, not a web server; closing"),
	ERR(SMTP, NULL, "this is a POP3 server, for fetching mail; mail is sent by SMTP, on port 587 or 465; closing"),
	ERR(IMAP, NULL, "this is a POP3 server, not IMAP, which has ports 143 and 993; closing"),
	ERR(PROXY, NULL, "a PROXY header came, and none is expected here; tell the administrator; closing"),
	ERR(TLS_ON_PLAIN, NULL, "TLS came where plain POP3 begins: use port 995 for SSL/TLS, or STARTTLS on this one; closing"),
	ERR(PLAIN_ON_TLS, NULL, "this port begins with TLS: choose SSL/TLS for it, or port 110 with STARTTLS; closing"),

	ERR(MECHANISM_UNKNOWN, NULL, "that AUTH mechanism is not offered: use PLAIN, or USER and PASS"),
	ERR(AUTH_CANCELLED, NULL, "authentication cancelled"),
	ERR(BAD_BASE64, NULL, "the response is not base64"),
	ERR(BAD_PLAIN, NULL, "the response is not what PLAIN needs: identity NUL user NUL password"),
	ERR(OTHER_IDENTITY, "AUTH", "logging in for somebody else is not possible here"),
	REF(TLS_FIRST, NULL, LOG_NOTICE, "encryption required first: use STLS (STARTTLS), or the TLS port 995"),
	REF(TLS_FIRST_PASS, NULL, LOG_WARNING,
	    "encryption required first: use STLS, or port 995; that password crossed the network readably, change it"),
	ERR(TLS_ALREADY, NULL, "TLS is active already"),
	REF(TLS_NOT_OFFERED, NULL, LOG_NOTICE, "TLS is not set up on this server"),
	REF(TLS_PIPELINED, NULL, LOG_WARNING, "commands were sent behind STLS without waiting; closing"),

	REF(NOT_ACCEPTED, "AUTH", LOG_NOTICE, "user name or password not accepted{q}"),
	REF(MAILBOX_UNKNOWN, "AUTH", LOG_NOTICE, "mailbox unknown: no user of that name"),
	REF(INVALID_PASSWORD, "AUTH", LOG_NOTICE, "invalid password"),
	REF(EMPTY_PASSWORD, "AUTH", LOG_NOTICE, "invalid password: it was empty"),
	REF(UID_REFUSED, "AUTH", LOG_NOTICE, "this account may not fetch mail: its uid is 0 or under minimum_uid"),
	REF(ACCOUNT_LOCKED, "AUTH", LOG_NOTICE, "this account is locked: it has no usable password"),
	REF(ACCOUNT_EXPIRED, "AUTH", LOG_NOTICE, "password correct, but the account has expired; ask your administrator{q}"),
	REF(PASSWORD_EXPIRED, "AUTH", LOG_NOTICE, "password correct, but it has expired: set a new one first{q}"),
	REF(ACCESS_DENIED, "AUTH", LOG_NOTICE, "password correct, but this account may not use POP3 now; ask your administrator{q}"),
	REF(TRIES_EXCEEDED, "AUTH", LOG_NOTICE, "too many wrong passwords for this account; wait, then try again{q}"),
	REF(TOO_MANY_LOGINS, "AUTH", LOG_NOTICE, "too many failed logins in one connection; closing"),
	REF(AUTH_TEMPORARY, "SYS/TEMP", LOG_ERR, "passwords cannot be checked now: the server's trouble, not yours; try later"),
	REF(AUTH_SETUP, "SYS/PERM", LOG_ERR, "passwords cannot be checked: the server is set up wrongly; tell the administrator"),
	REF(RECONNECT, "SYS/TEMP", LOG_NOTICE, "connect again to try once more"),

	REF(LOCKED, "IN-USE", LOG_NOTICE,
	    "unable to lock mailbox: open since {c1} from {t}, idle {2} {2|minute|minutes}; free by {c3} at the latest"),
	REF(LOCKED_ACTIVE, "IN-USE", LOG_NOTICE,
	    "unable to lock mailbox: open since {c1} from {t}, active {2} {2|second|seconds} ago; free by {c3} at the latest"),
	REF(LOCKED_SOON, "IN-USE", LOG_NOTICE,
	    "unable to lock mailbox: open since {c1} from {t}, active {2} {2|second|seconds} ago; try again in {3} {3|second|seconds}"),
	REF(LOCKED_WORKING, "IN-USE", LOG_NOTICE,
	    "unable to lock mailbox: open since {c1} from {t}, and busy now; try again in a moment"),
	REF(LOCKED_UNNAMED, "IN-USE", LOG_NOTICE, "unable to lock mailbox: another session has it open"),
	REF(BUSY, "IN-USE", LOG_WARNING, "unable to lock mailbox: another program is using it; try again in a moment"),
	REF(BUSY_NAMED, "IN-USE", LOG_WARNING, "unable to lock mailbox: another program is using it: {t}; try again in a moment"),
	REF(BUSY_DELIVERY, "IN-USE", LOG_NOTICE, "unable to lock mailbox: new mail is being delivered by {t}; try again in a moment"),
	REF(DROP_DENIED, "SYS/PERM", LOG_ERR, "the mailbox cannot be opened (permissions); tell the administrator"),
	REF(DROP_BROKEN, "SYS/PERM", LOG_ERR, "the mailbox is not in the expected form; tell the administrator"),
	REF(DROP_IO, "SYS/TEMP", LOG_ERR, "the mailbox cannot be read now (input/output error); try later"),
	REF(DROP_CHANGED, "SYS/TEMP", LOG_WARNING, "another program changed the mailbox; nothing was deleted; connect again"),
	REF(MESSAGE_GONE, "SYS/TEMP", LOG_NOTICE, "message {1} was removed by another program after you logged in"),
	REF(MESSAGE_CHANGED, "SYS/TEMP", LOG_NOTICE, "message {1} was changed by another program after you logged in; connect again"),
	REF(MESSAGE_IO, "SYS/TEMP", LOG_ERR, "message {1} cannot be read now; try later"),
	REF(KEPT_FULL, "SYS/TEMP", LOG_ERR, "some deleted messages not removed: {1} of {2} (disk full)"),
	REF(KEPT_READ_ONLY, "SYS/PERM", LOG_ERR, "some deleted messages not removed: {1} of {2} (read-only file system)"),
	REF(KEPT_DENIED, "SYS/PERM", LOG_ERR, "some deleted messages not removed: {1} of {2} (permissions)"),
	REF(KEPT_IO, "SYS/TEMP", LOG_ERR, "some deleted messages not removed: {1} of {2} (input/output error)"),
	REF(KEPT_CHANGED, "SYS/TEMP", LOG_WARNING, "some deleted messages not removed: {1} of {2} (another program changed the mailbox)"),
	REF(KEPT_BUSY, "SYS/TEMP", LOG_WARNING, "some deleted messages not removed: {1} of {2} (another program holds the mailbox's lock)"),
	REF(KEPT_UNFINISHED, "SYS/TEMP", LOG_ERR, "some deleted messages not removed: {1} of {2} (interrupted; the next login finishes it)"),
	REF(KEPT_MEMORY, "SYS/TEMP", LOG_ERR, "some deleted messages not removed: {1} of {2} (no memory)"),
	REF(DISK_FULL, "SYS/TEMP", LOG_ERR, "the server's disk is full; tell the administrator"),
	REF(READ_ONLY, "SYS/PERM", LOG_ERR, "the server's disk is read-only now; tell the administrator"),
	REF(UNFINISHED, "SYS/TEMP", LOG_ERR, "an interrupted update of the mailbox cannot be finished now; try later"),
	REF(NO_MEMORY, "SYS/TEMP", LOG_ERR, "the server has no memory left for this; try later"),

	REF(LOGIN_TIMEOUT, NULL, LOG_INFO, "no login within {1} {1|second|seconds}; closing"),
	REF(IDLE, NULL, LOG_INFO, "idle for {1} {1|minute|minutes}, closing; nothing was deleted"),
	REF(STOPPING, "SYS/TEMP", LOG_NOTICE, "the server is stopping or restarting; nothing was deleted; try again soon"),
	REF(TAKEN_OVER, "IN-USE", LOG_NOTICE, "this session was ended by a newer login of yours from {t}; nothing was deleted"),
	REF(KEEPER_LOST, "SYS/TEMP", LOG_CRIT, "this session broke on the server; nothing was deleted; connect again"),
	REF(UPDATE_LOST, "SYS/TEMP", LOG_CRIT,
	    "this session broke on the server while it deleted: some of the marked messages may be gone; connect again"),
	REF(SERVER_FULL, "SYS/TEMP", LOG_WARNING, "the server has all {1} sessions in use; try again in a minute"),
	REF(SOURCE_FULL, "SYS/TEMP", LOG_WARNING, "your address has {1} of {2} connections open; close one, or wait"),
	REF(THROTTLED, "SYS/TEMP", LOG_ERR, "the server has trouble starting sessions; try again in a minute"),
};

#define REASON(id, guarded_, told_, kept_) [REASON_##id] = { REPLY_##guarded_, REPLY_##told_, REPLY_##kept_ }

const struct reason_row reasons_table[REASON_COUNT] = {
	/*     reason             before the proof, may be told      at QUIT */
	REASON(NONE,              AUTH_TEMPORARY,   AUTH_TEMPORARY,   KEPT_IO),
	REASON(USER_UNKNOWN,      NOT_ACCEPTED,     MAILBOX_UNKNOWN,  KEPT_IO),
	REASON(PASSWORD_WRONG,    NOT_ACCEPTED,     INVALID_PASSWORD, KEPT_IO),
	REASON(PASSWORD_EMPTY,    NOT_ACCEPTED,     EMPTY_PASSWORD,   KEPT_IO),
	REASON(UID_REFUSED,       NOT_ACCEPTED,     UID_REFUSED,      KEPT_IO),
	REASON(ACCOUNT_LOCKED,    NOT_ACCEPTED,     ACCOUNT_LOCKED,   KEPT_IO),
	REASON(ACCOUNT_EXPIRED,   NOT_ACCEPTED,     ACCOUNT_EXPIRED,  KEPT_IO),
	REASON(PASSWORD_EXPIRED,  NOT_ACCEPTED,     PASSWORD_EXPIRED, KEPT_IO),
	REASON(ACCESS_DENIED,     NOT_ACCEPTED,     ACCESS_DENIED,    KEPT_IO),
	REASON(TRIES_EXCEEDED,    NOT_ACCEPTED,     TRIES_EXCEEDED,   KEPT_IO),
	REASON(AUTH_TEMPORARY,    AUTH_TEMPORARY,   AUTH_TEMPORARY,   KEPT_IO),
	REASON(AUTH_SETUP,        AUTH_SETUP,       AUTH_SETUP,       KEPT_IO),
	REASON(MAILDROP_LOCKED,   LOCKED_UNNAMED,   LOCKED_UNNAMED,   KEPT_BUSY),
	REASON(MAILDROP_BUSY,     BUSY,             BUSY,             KEPT_BUSY),
	REASON(MAILDROP_DELIVERY, BUSY_DELIVERY,    BUSY_DELIVERY,    KEPT_BUSY),
	REASON(MAILDROP_DENIED,   DROP_DENIED,      DROP_DENIED,      KEPT_DENIED),
	REASON(MAILDROP_BROKEN,   DROP_BROKEN,      DROP_BROKEN,      KEPT_CHANGED),
	REASON(MAILDROP_IO,       DROP_IO,          DROP_IO,          KEPT_IO),
	REASON(MAILDROP_CHANGED,  DROP_CHANGED,     DROP_CHANGED,     KEPT_CHANGED),
	REASON(MESSAGE_GONE,      MESSAGE_GONE,     MESSAGE_GONE,     KEPT_CHANGED),
	REASON(MESSAGE_CHANGED,   MESSAGE_CHANGED,  MESSAGE_CHANGED,  KEPT_CHANGED),
	REASON(UPDATE_UNFINISHED, UNFINISHED,       UNFINISHED,       KEPT_UNFINISHED),
	REASON(DISK_FULL,         DISK_FULL,        DISK_FULL,        KEPT_FULL),
	REASON(READ_ONLY,         READ_ONLY,        READ_ONLY,        KEPT_READ_ONLY),
	REASON(NO_MEMORY,         NO_MEMORY,        NO_MEMORY,        KEPT_MEMORY),
};
