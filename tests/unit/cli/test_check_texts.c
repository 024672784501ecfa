/*
 * test_check_texts.c - the catalogue of what POP3 servers say: every text means its situation, and what is ambiguous is
 * named as that.
 * Runs in: the tests. Trusts: nothing.
 *
 * The texts stand here as servers send them, with the places filled in; the catalogue has them as patterns.
 */
#include "cli/check_texts.h"

#include "daemon/replies.h"
#include "tests/unit/suite.h"

struct text_row {
	const char *server;
	enum moment moment;
	const char *text;
	const char *want;  /* situations with | between them, in any order */
};

#define REFUSED_ "unknown-user|bad-password"

static const struct text_row texts[] = {
	/* unknown user, bad password */
	{ "Dovecot", MOMENT_LOGIN, "[AUTH] Authentication failed.", REFUSED_ },
	{ "Courier", MOMENT_LOGIN, "Login failed.", REFUSED_ },
	{ "Cyrus", MOMENT_LOGIN, "[AUTH] Invalid user", "unknown-user" },
	{ "Cyrus", MOMENT_LOGIN, "[AUTH] authentication failure: checkpass failed", REFUSED_ },
	{ "popa3d", MOMENT_LOGIN, "Authentication failed (bad password?)", REFUSED_ },
	{ "solid-pop3d", MOMENT_LOGIN, "authentication failed", REFUSED_ },
	{ "solid-pop3d", MOMENT_LOGIN, "unknown username", "unknown-user" },
	{ "mailutils", MOMENT_LOGIN, "[AUTH] Bad login", REFUSED_ },
	{ "qpopper", MOMENT_LOGIN, "[AUTH] Password supplied for \"ann\" is incorrect.", REFUSED_ },
	{ "hMailServer", MOMENT_LOGIN, "Invalid user name or password. Please use full email address as user name.", REFUSED_ },
	{ "VPOP3", MOMENT_LOGIN, "unknown user", "unknown-user" },
	{ "", MOMENT_LOGIN, "mailbox unknown", "unknown-user" },
	{ "", MOMENT_LOGIN, "invalid password", "bad-password" },
	{ "WildDuck", MOMENT_LOGIN, "[AUTH] Username and password not accepted", REFUSED_ },
	{ "qmail", MOMENT_LOGIN, "authorization failed", REFUSED_ },
	{ "tpop3d", MOMENT_LOGIN, "Lies! Try again!", REFUSED_ },
	{ "free.fr", MOMENT_LOGIN, "Invalid login or password", REFUSED_ },
	{ "Gmail", MOMENT_LOGIN, "[AUTH] Username and password not accepted.", "bad-password|account-disabled" },
	{ "Exchange", MOMENT_LOGIN, "Logon failure: unknown user name or bad password.", REFUSED_ "|account-disabled" },
	{ "Exchange", MOMENT_LOGIN, "Authentication failure: unknown user name or bad password.", REFUSED_ "|account-disabled" },
	{ "GMX", MOMENT_LOGIN, "authentication failed", "bad-password|account-disabled" },
	{ "Bigfoot", MOMENT_LOGIN, "[AUTH] Invalid password or username", REFUSED_ },
	{ "postern", MOMENT_LOGIN, "[AUTH] user name or password not accepted (ref K7Q2)", REFUSED_ },
	/* application password, disabled, system account */
	{ "Gmail", MOMENT_LOGIN, "[AUTH] Application-specific password required: https://support.google.com/accounts/answer/185833", "app-password" },
	{ "Gmail", MOMENT_LOGIN, "[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts", "app-password" },
	{ "qpopper", MOMENT_LOGIN, "[AUTH] \"ann\": account expired.", "account-disabled" },
	{ "qpopper", MOMENT_LOGIN, "[AUTH] password expired.", "account-disabled" },
	{ "qpopper", MOMENT_LOGIN, "[AUTH] access denied.", "account-disabled|system-account" },
	{ "Dovecot", MOMENT_LOGIN, "Login disabled for this user", "account-disabled" },
	{ "Courier", MOMENT_LOGIN, "POP3 access disabled for this account.", "account-disabled" },
	{ "Courier", MOMENT_LOGIN, "Your account is temporarily unavailable (+t bit set on home directory).", "account-disabled" },
	{ "postern", MOMENT_LOGIN, "[AUTH] password correct, but the account expired on 2026-05-01; ask your administrator", "account-disabled" },
	{ "qpopper", MOMENT_LOGIN, "[AUTH] \"root\": access denied.", "account-disabled|system-account" },
	{ "popa3d", MOMENT_LOGIN, "Authentication failed (bad password?)", REFUSED_ },
	/* TLS */
	{ "Dovecot", MOMENT_LOGIN, "[AUTH] Cleartext authentication disallowed on non-secure (SSL/TLS) connections.", "tls-required" },
	{ "Courier", MOMENT_LOGIN, "TLS required to log in.", "tls-required" },
	{ "Cyrus", MOMENT_LOGIN, "[AUTH] USER command only available under a layer", "tls-required" },
	{ "Stalwart", MOMENT_LOGIN, "Cannot authenticate over plain-text.", "tls-required" },
	{ "hMailServer", MOMENT_LOGIN, "STLS is required.", "tls-required" },
	{ "hMailServer", MOMENT_LOGIN, "A SSL/TLS-connection is required for authentication.", "tls-required" },
	{ "James", MOMENT_LOGIN, "Authentication requires TLS.", "tls-required" },
	{ "mailutils", MOMENT_LOGIN, "XTLSREQUIRED", "tls-required" },
	{ "mailutils", MOMENT_LOGIN, "Incorrect state", "tls-required|unknown-command" },
	{ "postern", MOMENT_LOGIN, "[AUTH] encryption required first: use STLS, or port 995 (your password was sent in clear, change it)", "tls-required" },
	{ "Dovecot", MOMENT_TLS, "TLS support isn't enabled.", "tls-broken" },
	{ "Dovecot", MOMENT_TLS, "TLS is already active.", "tls-broken" },
	{ "Courier", MOMENT_TLS, "TLS support not available.", "tls-broken" },
	{ "Cyrus", MOMENT_TLS, "[SYS/PERM] Error initializing TLS", "tls-broken" },
	{ "nginx", MOMENT_CONNECT, "SSL certificate error", "tls-broken" },
	{ "postern", MOMENT_LOGIN, "TLS is not set up on this server (ref 9M5NW)", "tls-broken" },
	/* locks; mailutils says the same of a mailbox that it may not open (seen with its version 3.15) */
	{ "Dovecot", MOMENT_LOGIN, "[IN-USE] Mailbox is locked by another POP3 session.", "mailbox-locked" },
	{ "Cyrus", MOMENT_LOGIN, "[IN-USE] Unable to lock maildrop: Mailbox is locked by POP server", "mailbox-locked" },
	{ "mailutils", MOMENT_LOGIN, "[IN-USE] Mailbox in use", "mailbox-locked|storage" },
	{ "qpopper", MOMENT_LOGIN, "[IN-USE] /var/spool/mail/.ann.pop lock busy! Is another session active? (11)", "mailbox-locked" },
	{ "qpopper", MOMENT_LOGIN, "[IN-USE] Maildrop being unlocked; try again.", "mailbox-locked" },
	{ "solid-pop3d", MOMENT_LOGIN, "can't lock mailbox file", "mailbox-locked" },
	{ "tpop3d", MOMENT_LOGIN, "Unable to open mailbox; it may be locked by another concurrent session.", "mailbox-locked" },
	{ "hMailServer", MOMENT_LOGIN, "Your mailbox is already locked", "mailbox-locked" },
	{ "MDaemon", MOMENT_LOGIN, "Maildrop already locked", "mailbox-locked" },
	{ "VPOP3", MOMENT_LOGIN, "[IN-USE] Mailbox Locked", "mailbox-locked" },
	{ "", MOMENT_LOGIN, "[IN-USE] mailbox already in use by pid 4711", "mailbox-locked" },
	{ "perdition", MOMENT_LOGIN, "Re-Authentication Failure", "mailbox-locked|bad-password" },
	{ "", MOMENT_LOGIN, "Unable to lock the mailbox", "mailbox-locked" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] mailbox in use since 10:02 from 203.0.113.7, idle 8 min; try again in 2 min", "mailbox-locked" },
	{ "qpopper", MOMENT_LOGIN, "[SYS/TEMP] maillock error 4 on /var/mail/ann", "delivery-lock" },
	{ "Dovecot", MOMENT_MAIL, "[SYS/TEMP] Timeout while waiting for lock", "delivery-lock" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] new mail is being delivered; try again in a moment", "delivery-lock" },
	/* messages */
	{ "Dovecot", MOMENT_MAIL, "There's no message 9.", "no-such-message" },
	{ "Cyrus", MOMENT_MAIL, "No such message", "no-such-message" },
	{ "Courier", MOMENT_MAIL, "Invalid message number.", "no-such-message" },
	{ "qpopper", MOMENT_MAIL, "Message 9 does not exist.", "no-such-message" },
	{ "mailutils", MOMENT_MAIL, "No such message", "no-such-message" },
	{ "WildDuck", MOMENT_MAIL, "no such message, only 5 messages in maildrop", "no-such-message" },
	{ "qmail", MOMENT_MAIL, "not that many messages", "no-such-message" },
	{ "qmail", MOMENT_MAIL, "messages are counted from 1", "no-such-message" },
	{ "James", MOMENT_MAIL, "Message (9) does not exist.", "no-such-message" },
	{ "popa3d", MOMENT_MAIL, "", "no-such-message|already-deleted|vanished" },
	{ "", MOMENT_MAIL, "no such message exists", "no-such-message" },
	{ "postern", MOMENT_MAIL, "no such message: you asked for 9, the mailbox has 5", "no-such-message" },
	{ "Dovecot", MOMENT_MAIL, "Message is deleted.", "already-deleted" },
	{ "qpopper", MOMENT_MAIL, "Message 3 has been deleted.", "already-deleted" },
	{ "mailutils", MOMENT_MAIL, "Message has been deleted", "already-deleted" },
	{ "Stalwart", MOMENT_MAIL, "message 3 already deleted", "already-deleted" },
	{ "qmail", MOMENT_MAIL, "already deleted", "already-deleted" },
	{ "tpop3d", MOMENT_MAIL, "That message is no more.", "already-deleted" },
	{ "James", MOMENT_MAIL, "Message (3) already deleted.", "already-deleted" },
	{ "postern", MOMENT_MAIL, "message 3 is already marked for deletion in this session (RSET undoes it)", "already-deleted" },
	{ "Dovecot", MOMENT_MAIL, "Message 31 expunged.", "vanished" },
	{ "Courier", MOMENT_MAIL, "Can't open the message file - it's gone!", "vanished" },
	{ "tpop3d", MOMENT_MAIL, "Unable to retrieve message; it may have been deleted by a concurrent session", "vanished" },
	{ "Stalwart", MOMENT_MAIL, "Failed to fetch message. Perhaps another session deleted it?", "vanished" },
	{ "postern", MOMENT_MAIL, "[SYS/TEMP] message 31 was removed by another program after you logged in; reconnect", "vanished" },
	/* QUIT */
	{ "mailutils", MOMENT_QUIT, "Some deleted messages not removed", "expunge-failed" },
	{ "James", MOMENT_QUIT, "Some deleted messages were not removed", "expunge-failed" },
	{ "Stalwart", MOMENT_QUIT, "Some messages could not be deleted", "expunge-failed" },
	{ "qmail", MOMENT_QUIT, "unable to unlink all deleted messages", "expunge-failed" },
	{ "tpop3d", MOMENT_QUIT, "Something went wrong.", "expunge-failed" },
	{ "popa3d", MOMENT_QUIT, "", "expunge-failed|mailbox-changed" },
	{ "", MOMENT_QUIT, "some deleted messages were not removed", "expunge-failed" },
	{ "postern", MOMENT_QUIT, "[SYS/TEMP] some deleted messages not removed: 2 of 5 (3, 4: disk full)", "expunge-failed" },
	{ "mailutils", MOMENT_MAIL, "[OUT-SYNC] Mailbox updated by other party or corrupted", "mailbox-changed" },
	{ "Dovecot", MOMENT_MAIL, "[SYS/TEMP] Mailbox is in inconsistent state, please relogin.", "mailbox-changed" },
	{ "Cyrus", MOMENT_MAIL, "[SYS/TEMP] Maildrop has been (re)moved", "mailbox-changed" },
	{ "postern", MOMENT_MAIL, "[SYS/TEMP] another program changed the mailbox; nothing was deleted; connect again", "mailbox-changed" },
	/* storage */
	{ "Dovecot", MOMENT_LOGIN, "[SYS/TEMP] Internal error occurred. Refer to server log for more information. [2026-11-24 10:00:00]", "storage" },
	{ "Dovecot", MOMENT_MAIL, "[SYS/PERM] Permission denied", "storage" },
	{ "Dovecot", MOMENT_MAIL, "[SYS/TEMP] Couldn't sync mailbox.", "storage" },
	{ "Cyrus", MOMENT_LOGIN, "[SYS/PERM] Unable to open maildrop: Mailbox does not exist", "storage" },
	{ "qpopper", MOMENT_LOGIN, "[SYS/PERM] Temporary drop /var/mail/.ann.pop not owned by ann.", "storage" },
	{ "qpopper", MOMENT_LOGIN, "[SYS/TEMP] Failed to create /var/mail/.ann.pop with uid 1000, gid 8. Change permissions.", "storage" },
	{ "Courier", MOMENT_LOGIN, "chdir Maildir failed", "storage" },
	{ "Courier", MOMENT_LOGIN, "Maildir invalid (no 'cur' directory)", "storage" },
	{ "qmail", MOMENT_LOGIN, "this user has no $HOME/Maildir", "storage" },
	{ "solid-pop3d", MOMENT_MAIL, "fatal error", "storage" },
	{ "solid-pop3d", MOMENT_LOGIN, "mailbox is damaged", "storage" },
	{ "James", MOMENT_LOGIN, "Unexpected error accessing mailbox", "storage" },
	{ "popa3d", MOMENT_LOGIN, "", "storage" },
	{ "postern", MOMENT_LOGIN, "[SYS/PERM] the mailbox cannot be opened (permissions); administrators: run \"explain K7Q2\"", "storage" },
	/* temporary */
	{ "Gmail", MOMENT_LOGIN, "[SYS/TEMP] Temporary system problem. Please try again later. ab12mb34567", "temporary" },
	{ "Dovecot", MOMENT_LOGIN, "[SYS/TEMP] Temporary authentication failure. [mx1:2026-11-24 10:00:00]", "temporary" },
	{ "Courier", MOMENT_LOGIN, "Temporary problem, please try again later", "temporary" },
	{ "", MOMENT_MAIL, "Can't get the letter ID, try again later", "temporary" },
	{ "", MOMENT_MAIL, "Message can not load", "temporary" },
	{ "GoDaddy", MOMENT_LOGIN, "temporary error", "temporary" },
	{ "Cyrus", MOMENT_MAIL, "[SYS/PERM] Fatal error: can't read the mailbox list", "temporary" },
	{ "", MOMENT_LOGIN, "[SYS/TEMP] words that nobody has seen yet", "temporary" },
	/* limits */
	{ "Dovecot", MOMENT_MAIL, "[SYS/TEMP] Not enough disk quota", "limit" },
	{ "WildDuck", MOMENT_MAIL, "Download was rate limited. Try again in 5 minutes.", "limit" },
	{ "Hotmail", MOMENT_LOGIN, "Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.", "limit" },
	{ "Dovecot", MOMENT_LOGIN, "[IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", "too-many-connections" },
	{ "Cyrus", MOMENT_LOGIN, "Too many open connections (11 of 10 for ann)", "too-many-connections" },
	{ "tpop3d", MOMENT_CONNECT, "Sorry, I'm too busy right now", "too-many-connections" },
	{ "", MOMENT_LOGIN, "Too many bad login attempts.", "too-many-errors" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] you already have 10 of 10 connections open", "too-many-connections" },
	{ "Cyrus", MOMENT_LOGIN, "[LOGIN-DELAY] Logins must be at least 5 minutes apart", "login-delay" },
	{ "mailutils", MOMENT_LOGIN, "[LOGIN-DELAY] Attempt to log in within the minimum login delay interval", "login-delay" },
	{ "postern", MOMENT_LOGIN, "[LOGIN-DELAY] next check allowed in 42 seconds (every 5 minutes)", "login-delay" },
	/* idle */
	{ "Dovecot", MOMENT_MAIL, "Disconnected for inactivity.", "idle" },
	{ "WildDuck", MOMENT_MAIL, "Disconnected for inactivity", "idle" },
	{ "mailutils", MOMENT_MAIL, "Session timed out", "idle" },
	{ "qpopper", MOMENT_MAIL, "POP timeout from mail.example.org", "idle" },
	{ "hMailServer", MOMENT_MAIL, "Autologout; idle too long", "idle" },
	{ "tpop3d", MOMENT_MAIL, "You can hang around all day if you like. I have better things to do.", "idle" },
	{ "postern", MOMENT_MAIL, "idle for 10 minutes, closing; nothing was deleted", "idle" },
	/* commands and arguments */
	{ "Dovecot", MOMENT_MAIL, "Unknown command.", "unknown-command" },
	{ "Dovecot", MOMENT_MAIL, "Unknown command: X", "unknown-command" },
	{ "Courier", MOMENT_MAIL, "Invalid command.", "unknown-command" },
	{ "Cyrus", MOMENT_LOGIN, "Unrecognized command", "unknown-command" },
	{ "Exchange", MOMENT_LOGIN, "Command is not valid in this state.", "unknown-command" },
	{ "hMailServer", MOMENT_LOGIN, "Invalid command in current state.", "unknown-command" },
	{ "Gmail", MOMENT_MAIL, "Command not understood", "unknown-command" },
	{ "WildDuck", MOMENT_MAIL, "Command not accepted", "unknown-command" },
	{ "WildDuck", MOMENT_MAIL, "bad command", "unknown-command" },
	{ "qmail", MOMENT_LOGIN, "authorization first", "unknown-command" },
	{ "qmail", MOMENT_MAIL, "unimplemented", "unknown-command" },
	{ "tpop3d", MOMENT_LOGIN, "Not now. First log in.", "unknown-command" },
	{ "perdition", MOMENT_LOGIN, "Mate, try: USER, PASS, CAPA, QUIT", "unknown-command" },
	{ "postern", MOMENT_LOGIN, "XYZZY is not a POP3 command", "unknown-command" },
	{ "postern", MOMENT_LOGIN, "log in first", "unknown-command" },
	{ "postern", MOMENT_MAIL, "already logged in", "unknown-command" },
	{ "Dovecot", MOMENT_MAIL, "Invalid message number: x", "bad-argument" },
	{ "Dovecot", MOMENT_MAIL, "Noise after message number", "bad-argument" },
	{ "Dovecot", MOMENT_MAIL, "Input line too long.", "bad-argument" },
	{ "hMailServer", MOMENT_MAIL, "Line too long.", "bad-argument" },
	{ "solid-pop3d", MOMENT_MAIL, "command too long", "bad-argument" },
	{ "solid-pop3d", MOMENT_MAIL, "NULL character in command", "bad-argument" },
	{ "James", MOMENT_MAIL, "Exceed maximal line length", "bad-argument" },
	{ "Cyrus", MOMENT_MAIL, "Syntax error", "bad-argument" },
	{ "Cyrus", MOMENT_MAIL, "Not a number", "bad-argument" },
	{ "Dovecot", MOMENT_MAIL, "Too many invalid bad commands.", "too-many-errors" },
	{ "hMailServer", MOMENT_LOGIN, "Invalid user name or password. Too many invalid logon attempts.", "too-many-errors" },
	{ "tpop3d", MOMENT_LOGIN, "This is ridiculous. I give up.", "too-many-errors" },
	{ "postern", MOMENT_LOGIN, "3 failed logins, closing", "too-many-errors" },
	/* the rest */
	{ "Courier", MOMENT_MAIL, "Cannot display Unicode content", "eight-bit" },
	{ "", MOMENT_LOGIN, "[UTF8] this mailbox needs it", "eight-bit" },
	{ "Dovecot", MOMENT_MAIL, "[SYS/TEMP] Server shutting down.", "shutdown" },
	{ "Cyrus", MOMENT_CONNECT, "[SYS/TEMP] Down for maintenance until noon", "shutdown" },
	{ "Stalwart", MOMENT_MAIL, "* BYE Server shutting down.", "shutdown" },
	{ "postern", MOMENT_MAIL, "[SYS/TEMP] the server is restarting; nothing was deleted", "shutdown" },
};

/* What postern itself says, as its own table has it now. */
static const struct text_row own[] = {
	{ "postern", MOMENT_LOGIN, "[AUTH] mailbox unknown: no user of that name", "unknown-user" },
	{ "postern", MOMENT_LOGIN, "[AUTH] invalid password", "bad-password" },
	{ "postern", MOMENT_LOGIN, "encryption required first: use STLS (STARTTLS), or the TLS port 995", "tls-required" },
	{ "postern", MOMENT_LOGIN, "[AUTH] this account is locked: it has no usable password", "account-disabled" },
	{ "postern", MOMENT_LOGIN, "[AUTH] password correct, but it has expired: set a new one first", "account-disabled" },
	{ "postern", MOMENT_LOGIN, "[AUTH] this account may not fetch mail: its uid is 0 or under minimum_uid", "system-account" },
	{ "postern", MOMENT_LOGIN, "[SYS/TEMP] passwords cannot be checked now: the server's trouble, not yours; try later", "temporary" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] unable to lock mailbox: another session has it open since 23:31 from 127.0.0.1", "mailbox-locked" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] unable to lock mailbox: open since 10:02 from 203.0.113.7, idle 8 minutes; free by 10:14 at the latest", "mailbox-locked" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] unable to lock mailbox: new mail is being delivered by procmail; try again in a moment", "delivery-lock" },
	{ "postern", MOMENT_LOGIN, "[AUTH] invalid password (ref K7Q2M)", "bad-password" },
	{ "postern", MOMENT_LOGIN, "[IN-USE] unable to lock mailbox: another program is using it; try again in a moment", "delivery-lock" },
	{ "postern", MOMENT_LOGIN, "[SYS/PERM] the mailbox is not in the expected form; tell the administrator", "storage" },
	{ "postern", MOMENT_QUIT, "[SYS/TEMP] some deleted messages not removed: 2 of 5", "expunge-failed" },
	{ "postern", MOMENT_CONNECT, "[SYS/TEMP] the server has all 10 sessions in use; try again in a minute", "temporary" },
	{ "postern", MOMENT_CONNECT, "[SYS/TEMP] your address has 20 of 20 connections open; close one, or wait", "too-many-connections" },
	{ "postern", MOMENT_CONNECT, "[SYS/TEMP] too many connections without a login, and your address has 9 open; try again in a minute (ref 7KQ2M)", "too-many-connections" },
	{ "postern", MOMENT_CONNECT, "[SYS/TEMP] the server is full: closed to make room, as no login came yet; connect again (ref 7KQ2M)", "temporary" },
	{ "postern", MOMENT_LOGIN, "no whole command within 60 seconds before a login; closing (ref 7KQ2M)", "idle" },
	{ "postern", MOMENT_LOGIN, "[SYS/TEMP] password not checked, try again in 1 second: too many wrong ones from your network or for this user (ref 7KQ2M)", "too-many-errors" },
	{ "postern", MOMENT_MAIL, "[SYS/TEMP] the server's disk is full; tell the administrator", "storage" },
	{ "postern", MOMENT_MAIL, "[SYS/TEMP] the server is stopping or restarting; nothing was deleted; try again soon", "shutdown" },
};

/* Words that no row has whole. */
static const struct text_row strange[] = {
	{ "", MOMENT_LOGIN, "", "bare-error|storage" },
	{ "Dovecot", MOMENT_CONNECT, "", "bare-error" },
	{ "", MOMENT_MAIL, "", "no-such-message|already-deleted|vanished" },
	{ "", MOMENT_QUIT, "", "expunge-failed|mailbox-changed" },
	{ "", MOMENT_CONNECT, "", "bare-error" },
	{ "", MOMENT_LOGIN, "xyzzy", "unknown-text" },
	{ "", MOMENT_LOGIN, "[AUTH] xyzzy", REFUSED_ },
	{ "", MOMENT_LOGIN, "[IN-USE] xyzzy", "mailbox-locked" },
	{ "", MOMENT_LOGIN, "[SYS/PERM] xyzzy", "storage" },
	{ "", MOMENT_LOGIN, "[XYZZY] plugh", "unknown-text" },
	{ "", MOMENT_LOGIN, "  AUTHORIZATION FAILED...", REFUSED_ },
	{ "", MOMENT_LOGIN, "sorry, wrong username or password, friend", REFUSED_ },
	/* two servers say the same and mean different things */
	{ "", MOMENT_LOGIN, "authentication failed", REFUSED_ "|account-disabled" },
	{ "Dovecot", MOMENT_LOGIN, "authentication failed", REFUSED_ },
	{ "", MOMENT_LOGIN, "[unclosed", "unknown-text" },
};

static bool is_in(enum situation s, const char *list)
{
	const char *name = situation_row(s)->name;
	size_t len = strlen(name);
	for (const char *at = strstr(list, name); at != NULL; at = strstr(at + 1, name))
		if ((at == list || at[-1] == '|') && (at[len] == '\0' || at[len] == '|'))
			return true;
	return false;
}

static size_t count_names(const char *list)
{
	size_t count = 1;
	for (; *list != '\0'; list++)
		count += *list == '|' ? 1 : 0;
	return count;
}

/* got as text, for the eyes */
static const char *names(const struct meaning *m)
{
	static char text[256];
	text[0] = '\0';
	for (size_t i = 0; i < m->count; i++) {
		size_t len = strlen(text);
		snprintf(text + len, sizeof text - len, "%s%s", i > 0 ? "|" : "", situation_row(m->situations[i])->name);
	}
	return text;
}

static void explain_rows(const struct text_row *rows, size_t count)
{
	struct meaning m;
	for (size_t i = 0; i < count; i++) {
		const struct text_row *r = &rows[i];
		text_explain(r->server, r->moment, r->text, strlen(r->text), &m);
		bool is_same = m.count == count_names(r->want);
		for (size_t k = 0; k < m.count; k++)
			is_same = is_same && is_in(m.situations[k], r->want);
		if (!is_same)
			fprintf(stderr, "%s: \"%s\": got %s, want %s\n", r->server, r->text, names(&m), r->want);
		CU_ASSERT(is_same);
	}
}

static void test_texts(void)
{
	explain_rows(texts, sizeof texts / sizeof texts[0]);
	explain_rows(own, sizeof own / sizeof own[0]);
}

static void test_strange(void)
{
	explain_rows(strange, sizeof strange / sizeof strange[0]);
}

/* A server that is not recognized: what the text is known to mean is still among what is said. */
static void test_without_server(void)
{
	struct meaning m;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const struct text_row *r = &texts[i];
		bool is_there = false;
		text_explain("", r->moment, r->text, strlen(r->text), &m);
		for (size_t k = 0; k < m.count; k++)
			is_there |= is_in(m.situations[k], r->want);
		ROW_ASSERT(r->text, is_there);
	}
}

/* Every situation has words. */
static void test_rows(void)
{
	for (size_t i = 0; i < SITUATION_COUNT; i++) {
		const struct situation_row *row = situation_row((enum situation)i);
		ROW_ASSERT(row->name, row->name != NULL && row->says[strlen(row->says) - 1] == '.' && row->next[strlen(row->next) - 1] == '.');
		ROW_ASSERT(row->name, i == 0 || situation_named(row->name, strlen(row->name)) == i);
		ROW_ASSERT(row->name, i == 0 || row->verdict != VERDICT_FINE);
	}
	CU_ASSERT_EQUAL(situation_named("nothing-of-the-kind", 4), SITUATION_NONE);
}

/* Whatever our own server can say has a row: a new answer in its table needs one here. */
static void test_own_table(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		bool is_known = row->ok;
		char text[512];
		for (int moment = 0; moment < MOMENT_COUNT && !is_known; moment++) {
			struct meaning m;
			int len = snprintf(text, sizeof text, "%s%s%s%s (ref K7Q2M)", row->code != NULL ? "[" : "", row->code != NULL ? row->code : "",
			                   row->code != NULL ? "] " : "", row->text);
			text_explain("postern", (enum moment)moment, text, (size_t)len, &m);
			is_known = m.is_of_server;
		}
		ROW_ASSERT(row->name, is_known);
	}
}

/* Whatever octets come, an answer comes, in time. */
static void test_hostile(void)
{
	static char text[4096];
	struct meaning m;
	for (int octet = 0; octet < 256; octet++) {
		memset(text, octet, sizeof text);
		text_explain("", MOMENT_LOGIN, text, sizeof text, &m);
		ROW_ASSERT("hostile", m.count > 0);
		text[0] = '[';
		text_explain("Dovecot", MOMENT_QUIT, text, sizeof text, &m);
		ROW_ASSERT("hostile", m.count > 0);
	}
}

static void test_servers(void)
{
	static const struct { const char *kind, *text, *want; } rows[] = {
		{ "greeting", " Dovecot (Debian) ready.", "Dovecot" },
		{ "greeting", " [XCLIENT] Dovecot ready.", "Dovecot" },
		{ "capabilities", "CAPA TOP UIDL RESP-CODES PIPELINING AUTH-RESP-CODE STLS USER SASL PLAIN", "Dovecot" },
		{ "greeting", " Hello there.", "Courier" },
		{ "capability", "IMPLEMENTATION Cyrus POP3 v2.5", "Cyrus" },
		{ "greeting", " Qpopper (version 4.0.5) at mail.example.org starting.", "qpopper" },
		{ "greeting", " QPOP (version 2.2) at mail.example.org starting.", "qpopper" },
		{ "bye", " Pop server at mail.example.org signing off.", "qpopper" },
		{ "greeting", "", "popa3d" },
		{ "uidl", "0123456789abcdef", "popa3d" },
		{ "uidl", "0123456789ABCDEF", "" },
		{ "uidl", "0123456789abcde", "" },
		{ "capabilities", "USER TOP UIDL EXPIRE NEVER PIPELINING UTF8 STLS", "Stalwart" },
		{ "bye", " Apache James POP3 Server signing off.", "James" },
		{ "capability", "IMPLEMENTATION WildDuck-v1.45.0", "WildDuck" },
		{ "bye", " POP3 server saying goodbye...", "hMailServer" },
		{ "greeting", " POP3 ready", "nginx" },
		{ "greeting", " POP3 Ready <4711.1234@mail.example.org>", "mailutils" },
		{ "bye", " See you, mate", "perdition" },
		{ "reply", " Mate, try: USER", "perdition" },
		{ "bye", " Done.", "tpop3d" },
		{ "greeting", " <4711.1234567890@mail.example.org>", "qmail" },
		{ "greeting", " Gpop ready for requests from 192.0.2.1 ab12mb34567", "Gmail" },
		{ "capability", "X-GOOGLE-RICO", "Gmail" },
		{ "host", "POP.GMAIL.COM", "Gmail" },
		{ "greeting", " Microsoft Exchange Server 2019 POP3 server ready.", "Exchange" },
		{ "greeting", " The Microsoft Exchange POP3 service is ready.", "Exchange" },
		{ "greeting", " POP3 Bigfoot v1.0 server ready", "Bigfoot" },
		{ "greeting", " postern POP3 server ready", "postern" },
		{ "greeting", " welcome", "" },
		{ "host", "mail.example.org", "" },
		{ "issuer", "AVAST Software, Avast Web/Mail Shield Root", "Avast" },
		{ "issuer", "generated by avast! antivirus for SSL/TLS scanning", "Avast" },
		{ "issuer", "Kaspersky Anti-Virus Personal Root Certificate", "Kaspersky" },
		{ "issuer", "ESET, spol. s r. o., ESET SSL Filter CA", "ESET" },
		{ "issuer", "Let's Encrypt, R3", "" },
		{ "between", " POP3 POPFile (v1.1.3) server ready", "POPFile" },
		{ "between", " Dovecot ready.", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char name[SERVER_NAME_MAX] = "";
		(void)server_recognize(rows[i].kind, rows[i].text, strlen(rows[i].text), name);
		ROW_TEXT(rows[i].text, name, rows[i].want);
	}
}

#define TESTS(X) X(test_texts) X(test_strange) X(test_without_server) X(test_rows) X(test_own_table) X(test_hostile) X(test_servers)
SUITE("check texts")
