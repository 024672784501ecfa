/*
 * replies_advice_typed.c - advice about what was typed: commands, numbers, and programs that speak another protocol.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 */
#include "daemon/replies_advice.h"

#define REPORT "Report it to the makers of the mail program, together with the answer."
#define NOTHING "There is nothing to do on the server."

const struct advice_row advice_typed[] = {
	ADVICE(UNKNOWN_COMMAND, SETTINGS,
		"The first word of the line is none of POP3's commands. Three such lines before the login, or twenty after it, end the connection.",
		"If you type by hand, look at the spelling: USER, PASS, STAT, LIST, UIDL, RETR, TOP, DELE, RSET, NOOP, QUIT, CAPA, AUTH, STLS, LANG and UTF8 are known. "
		"If a mail program did it, it may be set up for another protocol: choose POP3.",
		"Many of these from one address are a program that speaks another protocol, or a scanner; the log line of the session has the address."),
	ADVICE(EMPTY_LINE, SETTINGS,
		"A line without a command came. It counts as an unknown command.",
		"Type a command. A mail program that sends empty lines has a fault. " REPORT, NOTHING),
	ADVICE(LINE_TOO_LONG, SETTINGS,
		"A command with its line end may have 255 octets (RFC 2449). The whole line was thrown away, and it counts as an unknown command; behind one that "
		"goes on without end the connection is closed.",
		"Shorten the line. A user name or password that makes it so long is not the one that this server knows.",
		"Programs that do this send something else than POP3, or try to break the server. " NOTHING),
	ADVICE(RESPONSE_TOO_LONG, SETTINGS,
		"What follows AUTH PLAIN is longer than the longest name and password could make it.",
		"Choose the mail program's ordinary password login. It may be sending a token, as for OAuth, which this server does not know.", NOTHING),
	ADVICE(NUL, SETTINGS,
		"The line holds an octet of value 0, which no POP3 command has.",
		"Check whether the program is set up for POP3 and for this port. " REPORT, NOTHING),
	ADVICE(LOG_IN_FIRST, SETTINGS,
		"The command needs an open mailbox, and nobody has logged in on this connection yet, or the login failed and the program went on all the same.",
		"Log in with USER and PASS first. In a mail program look at the answer before this one: it says why the login failed.", NOTHING),
	ADVICE(LOGGED_IN_ALREADY, SETTINGS,
		"The command belongs before the login, and this connection is logged in. POP3 has no way to become somebody else on a connection.",
		"End with QUIT and connect again to log in as another user, or to switch on TLS.", NOTHING),
	ADVICE(NO_ARGUMENT, SETTINGS,
		"Something stands behind a command that takes nothing.", "Send the command alone. " REPORT, NOTHING),
	ADVICE(NEEDS_ARGUMENT, SETTINGS,
		"The command came without what it needs: USER needs the user name.",
		"Add it. In a mail program, is the field for the user name empty?", NOTHING),
	ADVICE(NEEDS_NUMBER, SETTINGS,
		"RETR and DELE need the number of a message.", "Add the number that LIST shows, as in `RETR 1`.", NOTHING),
	ADVICE(NEEDS_TWO_NUMBERS, SETTINGS,
		"TOP needs the number of a message, and how many lines of its body are wanted.", "Send both, as in `TOP 1 10`.", NOTHING),
	ADVICE(BAD_NUMBER, SETTINGS,
		"What stands where a message number belongs is not one: it has digits only, and counting begins at 1.",
		"Use the numbers that LIST shows. " REPORT, NOTHING),
	ADVICE(BAD_LINES, SETTINGS,
		"What stands where TOP's number of lines belongs is not a number.", "Use digits only; 0 asks for the header alone.", NOTHING),
	ADVICE(NO_SUCH_MESSAGE, SETTINGS,
		"The mail program asked for a message number that the mailbox did not have at the login. Numbers hold for one session only: in the next one "
		"they are counted anew.",
		"Let the mail program fetch again: it then asks for a new list. If it happens each time, the program keeps numbers where it should keep "
		"unique-ids; remove the account from it and set it up again.",
		"Nothing is wrong on the server. `postern log --user NAME` shows what the program does in its sessions."),
	ADVICE(NO_MESSAGES, SETTINGS,
		"The mail program asked for a message, and the mailbox was empty at the login.",
		"If there should be mail, ask where it went: another program of yours (IMAP, webmail, a second POP3 program) may have fetched and deleted it.",
		"Check with `postern log --user NAME` who deleted messages, and that `location` in [maildrop] is where the mail is delivered to: "
		"a maildrop that does not exist counts as an empty one."),
	ADVICE(MARKED_ALREADY, SETTINGS,
		"The message was marked for deletion earlier in this session, so it can be neither fetched nor marked again. It is deleted at QUIT and not before.",
		"Send RSET to take all marks back, or QUIT to delete. A mail program that runs into this marks twice and can go on.", NOTHING),
	ADVICE(USER_FIRST, SETTINGS,
		"PASS came without a USER before it. After a failed login, too, USER has to come again before the next PASS.",
		"Send USER and the name, then PASS. In a mail program, is the field for the user name empty?", NOTHING),
	ADVICE(NAME_TOO_LONG, SETTINGS,
		"The user name is longer than any name can be here.", "Check the user name in the settings; something else may have been pasted there.", NOTHING),
	ADVICE(PASSWORD_TOO_LONG, SETTINGS,
		"The password is longer than any password can be here.", "Check the password in the settings; something else may have been pasted there.",
		"A user who really has such a password needs a shorter one."),
	ADVICE(TOO_MANY_BAD, SETTINGS,
		"So many lines were no POP3 that the connection was closed: three before the login, twenty after it.",
		"Check that the program is set up for POP3. By hand, connect again.",
		"When many come from one address, it is a scanner, or a program that speaks another protocol; a firewall rule or fail2ban keeps it away."),
	ADVICE(OBSOLETE, SETTINGS,
		"LAST was taken out of POP3 in 1994 (RFC 1725). Mail programs recognise what is new by UIDL since then.",
		"Update the mail program, or set it up so that it deletes what it has fetched.", NOTHING),
	ADVICE(LANGUAGE_UNKNOWN, SETTINGS,
		"The mail program asked for the answers in a language that this server does not have. They go on in the language they were in.",
		"Send `LANG` alone for the languages that there are, and one of them behind it, as in `LANG de`. In a mail program nothing is lost: "
		"only the server's words are in another language.",
		"The languages are built into the server; a new one is a file more in the source (po/README.md)."),
	ADVICE(UTF8_NEEDED, SETTINGS,
		"The message came as internationalized mail: its header has letters beyond ASCII as they are, in an address perhaps. Such a message may "
		"be sent only to programs that sent the command UTF8 before the login (RFC 6856), and it is never rewritten.",
		"Update the mail program, or take another one for this message, such as webmail. By hand: QUIT, connect again, send `UTF8`, log in. "
		"The message stays in the mailbox; DELE deletes it.",
		"`utf8_required = none` in [maildrop] sends such messages to every program; most of today's show them well. Do that when mail programs "
		"stop at the message and fetch nothing behind it."),

	ADVICE(HTTP, SETTINGS,
		"The first word was one of HTTP's. The connection is closed at once, so that a web page cannot make a browser talk to a mail server.",
		"You opened a mail port in a web browser. Webmail, if there is any, has an address of its own.",
		"A few are scanners. Many from inside your network are a program or monitor that is set to the wrong port: the log line `wrong door` "
		"has its address."),
	ADVICE(SMTP, SETTINGS,
		"The program wants to send mail, and this is where mail is fetched.",
		"In the settings for outgoing mail write the server for sending (SMTP), with port 587 or 465. Leave this port for incoming mail.",
		"Tell your users which host and port send mail. The log line `wrong door` has the address of whoever has it wrong."),
	ADVICE(IMAP, SETTINGS,
		"The program speaks IMAP, and this port is POP3.",
		"Choose POP3 as the kind of account, or, if your provider has IMAP, ports 143 or 993.",
		"Tell your users which protocols there are. The log line `wrong door` has the address of whoever has it wrong."),
	ADVICE(PROXY, SERVER,
		"A load balancer in front of this server begins each connection with a PROXY header, which this server takes from addresses in `proxies` only.",
		"You can do nothing about it; tell the administrator.",
		"Write the load balancer's address into `proxies` in [listen] and reload. Or switch the header off there (haproxy: take `send-proxy` out of the "
		"`server` line); all clients then seem to come from its address, which goes into `gateways` in [limits]."),
	ADVICE(TLS_ON_PLAIN, SETTINGS,
		"The program began with TLS at once, and on this port the talk begins in plain text and switches to TLS by STLS.",
		"Choose SSL/TLS together with port 995; or STARTTLS together with this port.",
		"Publish both ports with the right word beside each. If 995 does not answer, check `pop3s` in [listen] and `certificate` in [tls]."),
	ADVICE(PLAIN_ON_TLS, SETTINGS,
		"This port begins with TLS, and the program sent plain text, or waited for a greeting that comes in TLS only.",
		"Choose SSL/TLS for this port; or port 110 together with STARTTLS.",
		"Publish both ports with the right word beside each. Monitors that only connect to 995 have to speak TLS, too."),
};
const size_t advice_typed_count = sizeof advice_typed / sizeof advice_typed[0];
