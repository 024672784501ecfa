/*
 * replies.c - the reply table.
 * Runs in: gate, keeper, master. Trusts: nothing; text from elsewhere is cut and made printable.
 */
#include "daemon/replies.h"

#include <string.h>

#define OK(id, text_) [REPLY_##id] = { .name = #id, .ok = true, .text = (text_) }
#define ERR(id, code_, text_, side_, advice_) \
	[REPLY_##id] = { .name = #id, .code = (code_), .text = (text_), .side = SIDE_##side_, .advice = (advice_) }

#define CHECK_PROGRAM "The mail program sent something that POP3 does not know; if nobody typed it by hand, look for an update of it."
#define CHECK_LOG "The server's log has the cause in the line of this session."

static const struct reply_row rows[REPLY_COUNT] = {
	OK(GREETING, "postern POP3 server ready"),
	OK(CAPABILITIES, "capabilities follow"),
	OK(MECHANISMS, "mechanisms follow"),
	OK(BEGIN_TLS, "begin TLS now"),
	OK(SEND_PASS, "now send PASS and the password"),
	OK(LOGGED_IN, "logged in: {1} message{s1}, {2} octets"),
	OK(STAT, "{1} {2}"),
	OK(LIST_ALL, "{1} message{s1}, {2} octets"),
	OK(LIST_ONE, "{1} {2}"),
	OK(UIDL_ALL, "{1} unique-id{s1}"),
	OK(UIDL_ONE, "{1} {u}"),
	OK(MESSAGE, "{1} octets"),
	OK(TOP, "top of message {1}, {2} line{s2} of its body"),
	OK(MARKED, "message {1} marked for deletion"),
	OK(RESET, "{1} message{s1}, {2} octets; nothing is marked for deletion"),
	OK(NOOP, "nothing done, as asked"),
	OK(BYE, "bye"),
	OK(BYE_UPDATED, "{1} message{s1} deleted, {2} left; bye"),

	ERR(UNKNOWN_COMMAND, NULL, "unknown command: not one of POP3's", SETTINGS, CHECK_PROGRAM),
	ERR(EMPTY_LINE, NULL, "empty line: a command was expected", SETTINGS, CHECK_PROGRAM),
	ERR(LINE_TOO_LONG, NULL, "command line too long: at most 255 octets", SETTINGS, CHECK_PROGRAM),
	ERR(RESPONSE_TOO_LONG, NULL, "response line too long: at most {1} octets", SETTINGS, CHECK_PROGRAM),
	ERR(NUL, NULL, "the line holds a NUL octet", SETTINGS, CHECK_PROGRAM),
	ERR(LOG_IN_FIRST, NULL, "log in first: this needs an open mailbox", SETTINGS, CHECK_PROGRAM),
	ERR(LOGGED_IN_ALREADY, NULL, "already logged in: this belongs before the login", SETTINGS, CHECK_PROGRAM),
	ERR(NO_ARGUMENT, NULL, "this command takes no argument", SETTINGS, CHECK_PROGRAM),
	ERR(NEEDS_ARGUMENT, NULL, "this command needs an argument", SETTINGS, CHECK_PROGRAM),
	ERR(NEEDS_NUMBER, NULL, "this command needs one message number", SETTINGS, CHECK_PROGRAM),
	ERR(NEEDS_TWO_NUMBERS, NULL, "this command needs a message number and a number of lines", SETTINGS, CHECK_PROGRAM),
	ERR(BAD_NUMBER, NULL, "not a message number: digits only, counted from 1", SETTINGS, CHECK_PROGRAM),
	ERR(BAD_LINES, NULL, "not a number of lines: digits only", SETTINGS, CHECK_PROGRAM),
	ERR(NO_SUCH_MESSAGE, NULL, "no such message: you asked for {1}, the mailbox has {2}", SETTINGS,
	    "The mail program uses an old list of messages; let it check for mail again."),
	ERR(NO_MESSAGES, NULL, "no such message: you asked for {1}, the mailbox is empty", SETTINGS,
	    "The mail program uses an old list of messages; let it check for mail again."),
	ERR(MARKED_ALREADY, NULL, "message {1} is already marked for deletion (RSET takes all marks back)", SETTINGS,
	    "Nothing is wrong with the mailbox: the message goes at QUIT."),
	ERR(USER_FIRST, NULL, "send USER and the user name first", SETTINGS, CHECK_PROGRAM),
	ERR(NAME_TOO_LONG, "AUTH", "user name too long: at most {1} octets", SETTINGS, "Correct the user name in the mail program's account."),
	ERR(PASSWORD_TOO_LONG, "AUTH", "password too long: at most {1} octets", SETTINGS, "Correct the password in the mail program's account."),
	ERR(TOO_MANY_BAD, NULL, "too many commands that POP3 does not know; closing", SETTINGS, CHECK_PROGRAM),
	ERR(HTTP, NULL, "this is a POP3 server, not a web server; closing", SETTINGS, "Use the web server's address and port."),
	ERR(OBSOLETE, NULL, "LAST is not in POP3 any more (RFC 1939): use UIDL", SETTINGS, CHECK_PROGRAM),

	ERR(MECHANISM_UNKNOWN, NULL, "that AUTH mechanism is not offered: use PLAIN, or USER and PASS", SETTINGS,
	    "Choose \"normal password\" as the authentication method in the mail program's account."),
	ERR(AUTH_CANCELLED, NULL, "authentication cancelled", SETTINGS, "The mail program gave up; it may be waiting for a password from you."),
	ERR(BAD_BASE64, NULL, "the response is not base64", SETTINGS, CHECK_PROGRAM),
	ERR(BAD_PLAIN, NULL, "the response is not what PLAIN needs: identity NUL user NUL password", SETTINGS, CHECK_PROGRAM),
	ERR(OTHER_IDENTITY, "AUTH", "logging in for somebody else is not possible here", SETTINGS,
	    "Leave the authorization identity empty, or make it the user name."),
	ERR(TLS_FIRST, NULL, "encryption required first: use STLS (STARTTLS), or the TLS port 995", SETTINGS,
	    "Switch on STARTTLS or SSL/TLS in the mail program's account."),
	ERR(TLS_FIRST_PASS, NULL, "encryption required first: use STLS, or port 995; that password crossed the network readably, change it",
	    SETTINGS, "Switch on STARTTLS or SSL/TLS in the mail program's account, then change the password."),
	ERR(TLS_ALREADY, NULL, "TLS is active already", SETTINGS, CHECK_PROGRAM),
	ERR(TLS_NOT_OFFERED, NULL, "TLS is not set up on this server", SERVER, "The administrator sets certificate and key in [tls]."),
	ERR(TLS_PIPELINED, NULL, "commands were sent behind STLS without waiting; closing", NETWORK,
	    "Either the mail program is broken, or somebody between it and the server adds commands."),

	ERR(NOT_ACCEPTED, "AUTH", "user name or password not accepted", ACCOUNT,
	    "Check both, with the full address and with the short name. The administrator finds the true reason in the log."),
	ERR(MAILBOX_UNKNOWN, "AUTH", "mailbox unknown: no user of that name", ACCOUNT,
	    "Check the spelling of the name. Only those whom explain_failures admits are told this."),
	ERR(INVALID_PASSWORD, "AUTH", "invalid password", ACCOUNT,
	    "Check the password. Only those whom explain_failures admits are told this."),
	ERR(UID_REFUSED, "AUTH", "this account may not fetch mail: its uid is 0 or under minimum_uid", ACCOUNT,
	    "System accounts never log in; use an ordinary one, or set minimum_uid in [auth]."),
	ERR(ACCOUNT_LOCKED, "AUTH", "this account is locked: it has no usable password", ACCOUNT, "The administrator sets a new password."),
	ERR(ACCOUNT_EXPIRED, "AUTH", "password correct, but the account has expired; ask your administrator", ACCOUNT, "The administrator extends the account (chage -E)."),
	ERR(PASSWORD_EXPIRED, "AUTH", "password correct, but it has expired: set a new one first", ACCOUNT, "Log in to the host and set a new password (passwd), or ask the administrator."),
	ERR(ACCESS_DENIED, "AUTH", "password correct, but this account may not use POP3 now; ask your administrator", ACCOUNT, "The PAM service's account rules refused it."),
	ERR(TRIES_EXCEEDED, "AUTH", "too many wrong passwords for this account; wait, then try again", ACCOUNT, "A PAM module counts failures (faillock, for one)."),
	ERR(TOO_MANY_LOGINS, "AUTH", "too many failed logins in one connection; closing", ACCOUNT, "Correct user name and password in the mail program's account."),
	ERR(AUTH_TEMPORARY, "SYS/TEMP", "passwords cannot be checked now: the server's trouble, not yours; try later", SERVER, CHECK_LOG),
	ERR(AUTH_SETUP, "SYS/PERM", "passwords cannot be checked: the server is set up wrongly; tell the administrator", SERVER, CHECK_LOG),
	ERR(RECONNECT, "SYS/TEMP", "connect again to try once more", SERVER, "The mail program does so by itself."),

	ERR(LOCKED, "IN-USE", "unable to lock mailbox: another session has it open{t}", OTHER_PROGRAM,
	    "Another device, or an earlier session that has not ended; it is free as soon as that one ends."),
	ERR(BUSY, "IN-USE", "unable to lock mailbox: another program is using it; try again in a moment", OTHER_PROGRAM,
	    "A delivery or a mail reader on the server holds the lock."),
	ERR(DROP_DENIED, "SYS/PERM", "the mailbox cannot be opened (permissions); tell the administrator", SERVER, CHECK_LOG),
	ERR(DROP_BROKEN, "SYS/PERM", "the mailbox is not in the expected form; tell the administrator", SERVER, CHECK_LOG),
	ERR(DROP_IO, "SYS/TEMP", "the mailbox cannot be read now (input/output error); try later", SERVER, CHECK_LOG),
	ERR(DROP_CHANGED, "SYS/TEMP", "another program changed the mailbox; nothing was deleted; connect again", OTHER_PROGRAM,
	    "A mail reader on the server changed it during the session."),
	ERR(MESSAGE_GONE, "SYS/TEMP", "message {1} was removed by another program after you logged in", OTHER_PROGRAM,
	    "Another mail program (IMAP, webmail) removed it; connect again for a fresh list."),
	ERR(MESSAGE_CHANGED, "SYS/TEMP", "message {1} was changed by another program after you logged in; connect again", OTHER_PROGRAM,
	    "Another mail program changed it; connect again for a fresh list."),
	ERR(MESSAGE_IO, "SYS/TEMP", "message {1} cannot be read now; try later", SERVER, CHECK_LOG),
	ERR(NOT_REMOVED_TEMP, "SYS/TEMP", "some deleted messages not removed: {1} of {2}{t}", SERVER, CHECK_LOG),
	ERR(NOT_REMOVED_PERM, "SYS/PERM", "some deleted messages not removed: {1} of {2}{t}", SERVER, CHECK_LOG),
	ERR(DISK_FULL, "SYS/TEMP", "the server's disk is full; tell the administrator", SERVER, CHECK_LOG),
	ERR(READ_ONLY, "SYS/PERM", "the server's disk is read-only now; tell the administrator", SERVER, CHECK_LOG),
	ERR(UNFINISHED, "SYS/TEMP", "an interrupted update of the mailbox cannot be finished now; try later", SERVER, CHECK_LOG),
	ERR(NO_MEMORY, "SYS/TEMP", "the server has no memory left for this; try later", SERVER, CHECK_LOG),

	ERR(LOGIN_TIMEOUT, NULL, "no login within {1} seconds; closing", NETWORK, "The mail program waits for something, a password from you perhaps."),
	ERR(IDLE, NULL, "idle for {1} minute{s1}, closing; nothing was deleted", NETWORK, "The mail program left the connection open without using it."),
	ERR(STOPPING, "SYS/TEMP", "the server is stopping or restarting; nothing was deleted; try again soon", SERVER, "The administrator stopped it; it will be back."),
	ERR(KEEPER_LOST, "SYS/TEMP", "this session broke on the server; nothing was deleted; connect again", SERVER, CHECK_LOG),
	ERR(UPDATE_LOST, "SYS/TEMP", "this session broke on the server while it deleted: some of the marked messages may be gone; connect again",
	    SERVER, CHECK_LOG),
	ERR(SERVER_FULL, "SYS/TEMP", "the server has all {1} sessions in use; try again in a minute", SERVER, "The administrator may raise max in [workers]."),
	ERR(SOURCE_FULL, "SYS/TEMP", "your address has {1} of {2} connections open; close one, or wait", NETWORK,
	    "A mail program with too many connections, or many users behind one address: per_source in [limits]."),
	ERR(THROTTLED, "SYS/TEMP", "the server has trouble starting sessions; try again in a minute", SERVER, CHECK_LOG),
};

/* What a reason means for the client: before the password is proven, and when the truth may be told. */
static const struct { enum reply guarded, told; } for_reason[REASON_COUNT] = {
	[REASON_NONE] =             { REPLY_AUTH_TEMPORARY, REPLY_AUTH_TEMPORARY },
	[REASON_USER_UNKNOWN] =     { REPLY_NOT_ACCEPTED, REPLY_MAILBOX_UNKNOWN },
	[REASON_PASSWORD_WRONG] =   { REPLY_NOT_ACCEPTED, REPLY_INVALID_PASSWORD },
	[REASON_PASSWORD_EMPTY] =   { REPLY_NOT_ACCEPTED, REPLY_INVALID_PASSWORD },
	[REASON_UID_REFUSED] =      { REPLY_NOT_ACCEPTED, REPLY_UID_REFUSED },
	[REASON_ACCOUNT_LOCKED] =   { REPLY_NOT_ACCEPTED, REPLY_ACCOUNT_LOCKED },
	[REASON_ACCOUNT_EXPIRED] =  { REPLY_NOT_ACCEPTED, REPLY_ACCOUNT_EXPIRED },
	[REASON_PASSWORD_EXPIRED] = { REPLY_NOT_ACCEPTED, REPLY_PASSWORD_EXPIRED },
	[REASON_ACCESS_DENIED] =    { REPLY_NOT_ACCEPTED, REPLY_ACCESS_DENIED },
	[REASON_TRIES_EXCEEDED] =   { REPLY_NOT_ACCEPTED, REPLY_TRIES_EXCEEDED },
	[REASON_AUTH_TEMPORARY] =   { REPLY_AUTH_TEMPORARY, REPLY_AUTH_TEMPORARY },
	[REASON_AUTH_SETUP] =       { REPLY_AUTH_SETUP, REPLY_AUTH_SETUP },
	[REASON_MAILDROP_LOCKED] =  { REPLY_LOCKED, REPLY_LOCKED },
	[REASON_MAILDROP_BUSY] =    { REPLY_BUSY, REPLY_BUSY },
	[REASON_MAILDROP_DENIED] =  { REPLY_DROP_DENIED, REPLY_DROP_DENIED },
	[REASON_MAILDROP_BROKEN] =  { REPLY_DROP_BROKEN, REPLY_DROP_BROKEN },
	[REASON_MAILDROP_IO] =      { REPLY_DROP_IO, REPLY_DROP_IO },
	[REASON_MAILDROP_CHANGED] = { REPLY_DROP_CHANGED, REPLY_DROP_CHANGED },
	[REASON_MESSAGE_GONE] =     { REPLY_MESSAGE_GONE, REPLY_MESSAGE_GONE },
	[REASON_MESSAGE_CHANGED] =  { REPLY_MESSAGE_CHANGED, REPLY_MESSAGE_CHANGED },
	[REASON_DISK_FULL] =        { REPLY_DISK_FULL, REPLY_DISK_FULL },
	[REASON_READ_ONLY] =        { REPLY_READ_ONLY, REPLY_READ_ONLY },
	[REASON_UPDATE_UNFINISHED] = { REPLY_UNFINISHED, REPLY_UNFINISHED },
	[REASON_NO_MEMORY] =        { REPLY_NO_MEMORY, REPLY_NO_MEMORY },
};

const struct reply_row *reply_row(enum reply id)
{
	return &rows[id];
}

enum reply reply_for_reason(enum reason reason, bool told)
{
	return told ? for_reason[reason].told : for_reason[reason].guarded;
}

enum reply reply_not_removed(enum reason reason)
{
	const bool lasting = reason == REASON_MAILDROP_DENIED || reason == REASON_MAILDROP_BROKEN || reason == REASON_READ_ONLY;
	return lasting ? REPLY_NOT_REMOVED_PERM : REPLY_NOT_REMOVED_TEMP;
}

/* Fill one {place}; returns what follows it in the row's text. */
static const char *fill_place(struct buf *out, const char *place, const struct reply_args *args)
{
	const char *end = strchr(place, '}');
	bool plural = place[1] == 's';
	if (place[1] == 't') {
		if (args->text != NULL)
			buf_add_escaped(out, args->text, strlen(args->text));
	} else if (place[1] == 'u') {
		(void)buf_add_text(out, args->text);
	} else {
		uint64_t n = args->n[place[plural ? 2 : 1] - '1'];
		(void)(plural ? buf_add(out, "s", n == 1 ? 0 : 1) : buf_printf(out, "%llu", (unsigned long long)n));
	}
	return end + 1;
}

int reply_add(struct buf *out, enum reply id, const struct reply_args *args)
{
	static const struct reply_args none;
	const struct reply_row *row = &rows[id];
	char storage[REPLY_LINE_MAX - 2];
	struct buf line = BUF_OVER(storage);
	if (args == NULL)
		args = &none;
	(void)buf_add_text(&line, row->ok ? "+OK " : "-ERR ");
	if (row->code != NULL)
		(void)buf_printf(&line, "[%s] ", row->code);
	for (const char *at = row->text; *at != '\0';) {
		if (*at == '{')
			at = fill_place(&line, at, args);
		else
			(void)buf_add(&line, at++, 1);
	}
	if (out->cap - out->len < line.len + 2)
		return -1;
	(void)buf_add(out, line.p, line.len);
	return buf_add(out, "\r\n", 2);
}
