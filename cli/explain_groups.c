/*
 * explain_groups.c - which failures belong together, and which five everybody meets first.
 * Runs in: postern. Trusts: nothing; this is our own text.
 */
#include "cli/explain.h"

const struct explain_group explain_groups[] = {
	{ "At the login", "login", "User name, password, account. Only an answer that begins with [AUTH] speaks of them; [SYS/TEMP] and [SYS/PERM] "
	  "are the server's own trouble, and then no setting has to be changed.", REPLY_NOT_ACCEPTED, REPLY_RECONNECT },
	{ "The mailbox is in use", "lock", "One session at a time. The answer says who has the mailbox, since when, and when it will be free.",
	  REPLY_LOCKED, REPLY_BUSY_DELIVERY },
	{ "The mailbox cannot be opened", "open", "User name and password are right, and the server cannot get at the mail.",
	  REPLY_DROP_DENIED, REPLY_DROP_CHANGED },
	{ "While messages are fetched", "fetch", "One message cannot be sent; the session goes on.", REPLY_MESSAGE_GONE, REPLY_MESSAGE_IO },
	{ "Deleting, at QUIT", "quit", "What is marked is deleted at QUIT, and the answer counts what could not be removed. Nothing else is lost.",
	  REPLY_KEPT_FULL, REPLY_KEPT_MEMORY },
	{ "Disk and memory", "resources", "The server lacks what it needs for this mailbox.", REPLY_DISK_FULL, REPLY_NO_MEMORY },
	{ "The connection ends, or is refused", "connection", "Time limits, other sessions, the number of connections.",
	  REPLY_LOGIN_TIMEOUT, REPLY_THROTTLED },
	{ "Encryption, and ways to log in", "encryption", "TLS, STLS and AUTH.", REPLY_MECHANISM_UNKNOWN, REPLY_TLS_PIPELINED },
	{ "The wrong door", "door", "A program that speaks another protocol, or TLS where none is, or none where TLS is.", REPLY_HTTP, REPLY_PLAIN_ON_TLS },
	{ "What was typed", "typed", "Commands, numbers, lines. A mail program that causes one of these has a fault, unless it lost track of the mailbox.",
	  REPLY_UNKNOWN_COMMAND, REPLY_UTF8_NEEDED },
};
const size_t explain_groups_count = sizeof explain_groups / sizeof explain_groups[0];

const struct explain_classic explain_classics[] = {
	{ "Mailbox unknown", "The server does not recognise the user name. Strangers are not told whether it was the name or the password: they read that the two "
	  "were not accepted.", { REPLY_MAILBOX_UNKNOWN, REPLY_NOT_ACCEPTED, REPLY_NONE } },
	{ "Invalid password", "The user exists, and the password is not the right one. When the server cannot check passwords at all, it says so, and does not blame "
	  "the password.", { REPLY_INVALID_PASSWORD, REPLY_NOT_ACCEPTED, REPLY_AUTH_TEMPORARY } },
	{ "Unable to lock the mailbox", "Only one connection at a time can have a mailbox open. The answer says which one has it.",
	  { REPLY_LOCKED, REPLY_LOCKED_ACTIVE, REPLY_BUSY } },
	{ "No such message", "The mail program asked for a message that the mailbox does not have, or that is marked for deletion already.",
	  { REPLY_NO_SUCH_MESSAGE, REPLY_MARKED_ALREADY, REPLY_NO_MESSAGES } },
	{ "Some deleted messages not removed", "At the end of the session the server could not delete all that was marked. The answer says how many stayed, and why.",
	  { REPLY_KEPT_FULL, REPLY_KEPT_DENIED, REPLY_KEPT_CHANGED } },
};
const size_t explain_classics_count = sizeof explain_classics / sizeof explain_classics[0];
