/*
 * check_situations.c - the table of situations: what is wrong, on whose side, how sure, what to do.
 * Runs in: postern, as whoever called it. Trusts: nothing.
 *
 * The side is the one that it has when postern check itself, whose commands are right, meets the situation.
 */
#include "cli/check_situations.h"

#include <string.h>

#define ROW(id, name_, verdict_, certainty_, way_, says_, next_) \
	[SITUATION_##id] = { .name = (name_), .verdict = VERDICT_##verdict_, .certainty = CERTAINTY_##certainty_, \
	                     .other_way = (way_), .says = (says_), .next = (next_) }
#define WAY true
#define ___ false
#define ASK_ADMINISTRATOR "Tell the administrator of the server, with the lines above."
#define CHECK_NAME "Enter both anew, the password by hand; try the full address as the user name, and the part before the @."

static const struct situation_row rows[SITUATION_COUNT] = {
	ROW(NONE, "none", FINE, SURE, ___, "Nothing is wrong.", "Nothing is to be done."),

	ROW(UNKNOWN_USER, "unknown-user", ACCOUNT, LIKELY, ___, "The server does not know the user name.", CHECK_NAME),
	ROW(BAD_PASSWORD, "bad-password", ACCOUNT, LIKELY, ___, "The server does not accept the password.", CHECK_NAME),
	ROW(APP_PASSWORD, "app-password", ACCOUNT, SURE, ___, "The provider wants a password made for this program, or a login on its web page first.",
	    "Log in to the provider's web page, make an application password there, and use that."),
	ROW(ACCOUNT_DISABLED, "account-disabled", ACCOUNT, LIKELY, ___, "The account or its password has expired, is locked, or may not use POP3.",
	    "Switch POP3 on in the provider's web settings, or ask the administrator whether the account is open for it."),
	ROW(SYSTEM_ACCOUNT, "system-account", ACCOUNT, LIKELY, ___, "This is an account of the system (root, for one), which may not fetch mail.",
	    "Use an ordinary account, and let the system's mail be forwarded to it."),
	ROW(TLS_REQUIRED, "tls-required", SETTINGS, SURE, WAY, "The server takes passwords over TLS only.",
	    "Switch on SSL/TLS (port 995) or STARTTLS (port 110). If the password was sent before, it was readable: change it."),
	ROW(TLS_BROKEN, "tls-broken", SERVER, LIKELY, WAY, "The server has no TLS that works: it cannot use its certificate or key.", ASK_ADMINISTRATOR),
	ROW(MAILBOX_LOCKED, "mailbox-locked", OTHER_PROGRAM, LIKELY, ___, "Another session has the mailbox open: a second device or mail program, or one that has not ended yet.",
	    "Close the other mail programs and try again; a session that broke off is over after about ten minutes."),
	ROW(DELIVERY_LOCK, "delivery-lock", OTHER_PROGRAM, LIKELY, ___, "New mail is being delivered, or another program on the server holds the mailbox for a moment.",
	    "Try again in a minute; if it stays, tell the administrator."),
	ROW(NO_SUCH_MESSAGE, "no-such-message", OTHER_PROGRAM, GUESS, ___, "The server does not have a message that it had listed.",
	    "Another program may have removed it: check for mail again."),
	ROW(ALREADY_DELETED, "already-deleted", OTHER_PROGRAM, GUESS, ___, "The message is already marked for deletion.", "Check for mail again."),
	ROW(VANISHED, "vanished", OTHER_PROGRAM, SURE, ___, "Another program (IMAP, webmail) removed the message during the session.",
	    "Check for mail again; that makes a fresh list."),
	ROW(EXPUNGE_FAILED, "expunge-failed", SERVER, LIKELY, ___, "The server could not remove deleted messages: its disk is full, or it lacks the rights.", ASK_ADMINISTRATOR),
	ROW(MAILBOX_CHANGED, "mailbox-changed", OTHER_PROGRAM, LIKELY, ___, "Another program changed the mailbox during the session.",
	    "Check for mail again; if it comes back, ask the administrator what else writes to the mailbox."),
	ROW(STORAGE, "storage", SERVER, LIKELY, ___, "The server cannot open or read the mailbox; the password is not the question.", ASK_ADMINISTRATOR),
	ROW(TEMPORARY, "temporary", SERVER, LIKELY, ___, "The server has trouble of its own for now; user name and password may well be right.",
	    "Do not change the password. Try again later; if it stays, tell the administrator."),
	ROW(LIMIT, "limit", ACCOUNT, LIKELY, ___, "A limit of the account is reached: its quota, or how often it may be used.",
	    "Wait as long as the server says, check for mail less often, and remove old mail."),
	ROW(TOO_MANY_CONNECTIONS, "too-many-connections", OTHER_PROGRAM, LIKELY, ___, "Too many connections are open from this user or address.",
	    "Close other mail programs and devices, wait some minutes, and try again."),
	ROW(LOGIN_DELAY, "login-delay", SETTINGS, SURE, ___, "The server wants more time between two logins.",
	    "Let the mail program check for mail less often."),
	ROW(IDLE, "idle", NETWORK, GUESS, ___, "The server says that nothing came for too long, though commands were sent.",
	    "Something between both ends may hold data back: try from another network."),
	ROW(UNKNOWN_COMMAND, "unknown-command", SERVER, GUESS, ___, "The other end does not know a command that POP3 has, or not at this point. A proxy in front of the server does that, too.",
	    ASK_ADMINISTRATOR),
	ROW(BAD_ARGUMENT, "bad-argument", SERVER, GUESS, ___, "The other end does not take a command that is right.", ASK_ADMINISTRATOR),
	ROW(TOO_MANY_ERRORS, "too-many-errors", ACCOUNT, LIKELY, ___, "Too many logins failed; the server refuses more for a while.",
	    "Wait some minutes. A phone or computer with an old password may be the one that fails: correct it there first."),
	ROW(EIGHT_BIT, "eight-bit", SETTINGS, LIKELY, ___, "The mailbox or user name has letters beyond ASCII, and the mail program does not ask for UTF8.",
	    "Look for a newer mail program."),
	ROW(SHUTDOWN, "shutdown", SERVER, SURE, ___, "The server is being stopped or restarted.", "Try again in some minutes."),
	ROW(BARE_ERROR, "bare-error", CANNOT_TELL, GUESS, ___, "The server says -ERR and gives no reason.", "Ask the administrator; the server's log may have the reason."),
	ROW(UNKNOWN_TEXT, "unknown-text", CANNOT_TELL, GUESS, ___, "The server says no in words that are not in the catalogue.",
	    "Read its words above; they are meant for people."),

	ROW(NAME_UNKNOWN, "name-unknown", SETTINGS, LIKELY, ___, "There is no address for that name in the DNS.", "Check the spelling of the server's name."),
	ROW(DNS_SILENT, "dns-silent", NETWORK, LIKELY, ___, "The DNS does not answer: this computer cannot find out any address now.",
	    "Check that this computer is online, and which name server it uses."),
	ROW(REFUSED, "refused", SERVER, LIKELY, WAY, "The host is there, and refuses the connection: no POP3 server runs on that port, or a firewall says no.",
	    "Check the server's name and port. If they are right, the service is down: tell the administrator."),
	ROW(UNREACHABLE, "unreachable", NETWORK, LIKELY, WAY, "There is no way to the host from this network.", "Check that this computer is online; try from another network."),
	ROW(BLACK_HOLE, "black-hole", NETWORK, LIKELY, WAY, "Nothing comes back at all: a firewall drops the packets, or the host is off.",
	    "Try from another network. Many networks block port 110: try port 995."),
	ROW(FAMILY_FAILS, "family-fails", NETWORK, LIKELY, ___, "The host has IPv4 and IPv6 addresses, and only one kind works.",
	    "Mail programs may hang for some time on the other: tell the administrator, or check this network's IPv6."),
	ROW(FAMILY_REFUSED, "family-refused", SERVER, LIKELY, ___, "The host has IPv4 and IPv6 addresses, and the server listens on one kind only.",
	    "Some mail programs try only the other: tell the administrator to let the server listen there, too, or to take that address out of the DNS."),

	ROW(CLOSED_UNGREETED, "closed-ungreeted", SERVER, GUESS, WAY, "The connection was accepted and closed without a word: a limit of connections, a block of this address, or a proxy without a server behind it.",
	    "Close other mail programs, wait ten minutes and try again; then try from another network; then ask the administrator whether this address is blocked."),
	ROW(NO_GREETING, "no-greeting", SERVER, GUESS, WAY, "The connection was accepted, and then nothing came: the server hangs, or something in between holds its words back.",
	    "Try again later, then from another network; then tell the administrator."),
	ROW(GREETING_LATE, "greeting-late", SERVER, LIKELY, ___, "The greeting comes very late: the server looks up names of clients (reverse DNS, ident) and waits in vain, or is overloaded.",
	    "Raise the mail program's time limit, and tell the administrator to check the server's name lookups."),
	ROW(SMTP, "smtp", SETTINGS, SURE, WAY, "That port speaks SMTP: it is for sending mail.", "Use port 995 with SSL/TLS, or port 110 with STARTTLS, for incoming mail."),
	ROW(IMAP, "imap", SETTINGS, SURE, WAY, "That port speaks IMAP.", "Use port 995 with SSL/TLS, or port 110 with STARTTLS; or set the account's type to IMAP."),
	ROW(HTTP, "http", SETTINGS, SURE, WAY, "That port speaks HTTP: it is a web server.", "Check the server's name and port: 995 with SSL/TLS, or 110 with STARTTLS."),
	ROW(OTHER_PROTOCOL, "other-protocol", SETTINGS, LIKELY, WAY, "What answers there does not speak POP3.", "Check the server's name and port: 995 with SSL/TLS, or 110 with STARTTLS."),
	ROW(TLS_ON_CLEAR, "tls-on-clear", SETTINGS, SURE, WAY, "That port speaks TLS from the first octet on.", "Set the connection security to SSL/TLS, not STARTTLS and not none."),
	ROW(CLEAR_ON_TLS, "clear-on-tls", SETTINGS, SURE, WAY, "That port does not begin with TLS.", "Set the connection security to STARTTLS, or use port 995."),
	ROW(PLUS_ERR, "plus-err", SERVER, SURE, ___, "The server answers +ERR, which is neither yes nor no; mail programs take it for anything.", ASK_ADMINISTRATOR),

	ROW(NO_TLS, "no-tls", SERVER, LIKELY, WAY, "The server offers no TLS on that port, so a password would be readable on its way.",
	    "Use port 995 if it works; else ask the administrator to switch TLS on."),
	ROW(STLS_HIDDEN, "stls-hidden", NETWORK, LIKELY, ___, "The server does TLS, and its list of capabilities does not say so: something in between may have taken STLS out of it.",
	    "Try from another network. Use port 995 with SSL/TLS."),
	ROW(INJECTED, "injected", NETWORK, LIKELY, ___, "Octets in clear came behind the answer to STLS: somebody in between tries to add commands, or the server is broken.",
	    "Use port 995 with SSL/TLS, and try from another network."),
	ROW(HANDSHAKE, "handshake", SERVER, LIKELY, WAY, "The TLS handshake fails.", ASK_ADMINISTRATOR),
	ROW(TLS_OLD, "tls-old", SERVER, SURE, ___, "The server speaks only old versions of TLS (before 1.2), which mail programs refuse.",
	    "Tell the administrator: TLS 1.2 or later has to be switched on."),
	ROW(CERTIFICATE_EXPIRED, "certificate-expired", SERVER, SURE, ___, "The server's certificate has expired.",
	    "Tell the administrator to renew it, and to reload the server if that was done already. Check this computer's clock, too."),
	ROW(CERTIFICATE_EARLY, "certificate-early", SETTINGS, LIKELY, ___, "The server's certificate is not valid yet, or this computer's clock is slow.",
	    "Check this computer's date and time; if they are right, tell the administrator."),
	ROW(CERTIFICATE_NAME, "certificate-name", SETTINGS, LIKELY, ___, "The certificate is for another name than the one you use.",
	    "Set the server's name to one that the certificate has; if none of them is yours, tell the administrator."),
	ROW(CERTIFICATE_SELF_SIGNED, "certificate-self-signed", SERVER, LIKELY, ___, "The server's certificate signs itself, so nobody vouches for it.",
	    "Ask the administrator for its fingerprint or for the file, and pass the file to --ca-file."),
	ROW(CERTIFICATE_UNKNOWN, "certificate-unknown", SERVER, LIKELY, ___, "The certificate's signer is not known here: the server does not send the whole chain, or it is an authority of its own.",
	    "Tell the administrator to send the whole chain; if it is an authority of its own, pass its certificate to --ca-file."),
	ROW(CERTIFICATE_BAD, "certificate-bad", SERVER, LIKELY, ___, "The server's certificate cannot be accepted.", ASK_ADMINISTRATOR),
	ROW(INTERCEPTED, "intercepted", NETWORK, LIKELY, ___, "The certificate is not the server's: a virus scanner or firewall opens the connection and reads along.",
	    "Switch off the mail scan of the virus scanner, or exclude this server from it; or pass its certificate to --ca-file."),
	ROW(CERTIFICATE_ENDS, "certificate-ends", SERVER, SURE, ___, "The server's certificate ends soon.", "Tell the administrator to renew it."),

	ROW(NO_PASSWORD_LOGIN, "no-password-login", SETTINGS, LIKELY, ___, "The server offers no login with a password, only others such as OAuth2.",
	    "Choose OAuth2 as the authentication method, in a mail program that has it."),
	ROW(CLEAR_ONLY, "clear-only", SERVER, LIKELY, ___, "The password was not sent: no protected connection to this server works.",
	    "Correct what is wrong with TLS first. --plaintext sends the password readable, if you accept that."),
	ROW(CLEAR_ASKED, "clear-asked", SETTINGS, SURE, ___, "The password was not sent: it would be readable on its way, and the server has STARTTLS, which was not asked for.",
	    "Set the connection security to STARTTLS, or to SSL/TLS with port 995. --plaintext sends the password readable, if you accept that."),
	ROW(BETWEEN, "between", NETWORK, LIKELY, ___, "A program in between answers in the server's place, and changes the user name.",
	    "Enter the user name as that program wants it, or switch it off and connect to the server itself."),

	ROW(ERROR_UNASKED, "error-unasked", SERVER, LIKELY, ___, "The login was accepted, and then the server reported an error that nobody asked for: it could not open the mailbox. The password is right.",
	    ASK_ADMINISTRATOR),
	ROW(COUNTS, "counts", SERVER, SURE, ___, "STAT, LIST and UIDL do not agree about the messages.", ASK_ADMINISTRATOR),
	ROW(UNIQUE_IDS, "unique-ids", SERVER, SURE, ___, "The unique-ids are not unique, or not of 1 to 70 printable octets: mail is fetched twice, or not at all.", ASK_ADMINISTRATOR),
	ROW(NO_UIDL, "no-uidl", SERVER, LIKELY, ___, "The server has no UIDL: mail that is left on the server is fetched again each time.",
	    "Do not leave mail on the server, or ask the administrator."),
	ROW(SIZE, "size", SERVER, SURE, ___, "A message has another size than LIST says: some mail programs hang or cut it.", ASK_ADMINISTRATOR),
	ROW(NO_TOP, "no-top", SERVER, LIKELY, ___, "The server has no TOP: mail programs cannot show headers alone.", "Nothing, unless you need that."),
	ROW(TWO_ANSWERS, "two-answers", SERVER, SURE, ___, "The server gave two answers to one command, so the next ones are taken for the wrong commands.", ASK_ADMINISTRATOR),
	ROW(LONG_LINE, "long-line", SERVER, SURE, ___, "The server sent a status line that does not end.", ASK_ADMINISTRATOR),
	ROW(NO_STATUS, "no-status", SERVER, LIKELY, ___, "An answer begins with neither +OK nor -ERR.", ASK_ADMINISTRATOR),
	ROW(CLOSED, "closed", SERVER, GUESS, ___, "The connection was closed where an answer was due: the server's process ended, or something in between cut it.",
	    "Try again, then from another network; then tell the administrator."),
	ROW(SILENT, "silent", SERVER, GUESS, ___, "No answer came in time: the server hangs, or something in between holds data back.",
	    "Try again, then from another network; then tell the administrator."),
	ROW(TOO_MUCH, "too-much", SERVER, SURE, ___, "An answer is larger than any mailbox needs; it was not read to its end.", ASK_ADMINISTRATOR),
	ROW(WRONG_WAY, "wrong-way", SETTINGS, LIKELY, ___, "The server works, but not with this port and kind of encryption.", "Use the settings below."),
};

const struct situation_row *situation_row(enum situation situation)
{
	return &rows[situation];
}

enum situation situation_named(const char *name, size_t len)
{
	for (size_t i = 1; i < SITUATION_COUNT; i++)
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
			return (enum situation)i;
	return SITUATION_NONE;
}

static const struct { const char *name, *text; } verdicts[VERDICT_COUNT] = {
	[VERDICT_FINE] = { "fine", "nothing is wrong" },
	[VERDICT_CANNOT_TELL] = { "cannot-tell", "cannot tell" },
	[VERDICT_SETTINGS] = { "settings", "your settings" },
	[VERDICT_NETWORK] = { "network", "your network" },
	[VERDICT_ACCOUNT] = { "account", "the account" },
	[VERDICT_OTHER_PROGRAM] = { "other-program", "another program" },
	[VERDICT_SERVER] = { "server", "the server" },
};

const char *verdict_text(enum verdict verdict)
{
	return verdicts[verdict].text;
}

const char *verdict_name(enum verdict verdict)
{
	return verdicts[verdict].name;
}

const char *certainty_text(enum certainty certainty)
{
	static const char *const texts[] = { "a guess", "likely", "sure" };
	return texts[certainty];
}
