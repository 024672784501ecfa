/*
 * check_situations.h - what can be wrong between a mail program and a POP3 server: one situation each, with whose turn it is.
 * Runs in: postern, as whoever called it. Trusts: nothing.
 */
#ifndef POSTERN_CLI_CHECK_SITUATIONS_H
#define POSTERN_CLI_CHECK_SITUATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* On whose side it lies. The numbers are the exit statuses of `postern check`. */
enum verdict {
	VERDICT_FINE = 0,
	VERDICT_CANNOT_TELL = 2,
	VERDICT_SETTINGS = 3,       /* what the user has entered into the mail program */
	VERDICT_NETWORK = 4,        /* DNS, firewalls, what reads along between both ends */
	VERDICT_ACCOUNT = 5,        /* user name, password, and what the server allows them */
	VERDICT_OTHER_PROGRAM = 6,  /* another session or program is at the mailbox */
	VERDICT_SERVER = 7,
	VERDICT_COUNT
};

enum certainty { CERTAINTY_GUESS, CERTAINTY_LIKELY, CERTAINTY_SURE };

enum situation {
	SITUATION_NONE,
	/* what servers say; the names stand in pop3-texts.tsv */
	SITUATION_UNKNOWN_USER, SITUATION_BAD_PASSWORD, SITUATION_APP_PASSWORD, SITUATION_ACCOUNT_DISABLED, SITUATION_SYSTEM_ACCOUNT,
	SITUATION_TLS_REQUIRED, SITUATION_TLS_BROKEN, SITUATION_MAILBOX_LOCKED, SITUATION_DELIVERY_LOCK, SITUATION_NO_SUCH_MESSAGE,
	SITUATION_ALREADY_DELETED, SITUATION_VANISHED, SITUATION_EXPUNGE_FAILED, SITUATION_MAILBOX_CHANGED, SITUATION_STORAGE,
	SITUATION_TEMPORARY, SITUATION_LIMIT, SITUATION_TOO_MANY_CONNECTIONS, SITUATION_LOGIN_DELAY, SITUATION_IDLE,
	SITUATION_UNKNOWN_COMMAND, SITUATION_BAD_ARGUMENT, SITUATION_TOO_MANY_ERRORS, SITUATION_EIGHT_BIT, SITUATION_SHUTDOWN,
	SITUATION_BARE_ERROR, SITUATION_UNKNOWN_TEXT,
	/* name and connection */
	SITUATION_NAME_UNKNOWN, SITUATION_DNS_SILENT, SITUATION_REFUSED, SITUATION_UNREACHABLE, SITUATION_BLACK_HOLE,
	SITUATION_FAMILY_FAILS, SITUATION_FAMILY_REFUSED,
	/* greeting */
	SITUATION_CLOSED_UNGREETED, SITUATION_NO_GREETING, SITUATION_GREETING_LATE, SITUATION_SMTP, SITUATION_IMAP, SITUATION_HTTP,
	SITUATION_OTHER_PROTOCOL, SITUATION_TLS_ON_CLEAR, SITUATION_CLEAR_ON_TLS, SITUATION_PLUS_ERR,
	/* TLS */
	SITUATION_NO_TLS, SITUATION_STLS_HIDDEN, SITUATION_INJECTED, SITUATION_HANDSHAKE, SITUATION_TLS_OLD,
	SITUATION_CERTIFICATE_EXPIRED, SITUATION_CERTIFICATE_EARLY, SITUATION_CERTIFICATE_NAME, SITUATION_CERTIFICATE_SELF_SIGNED,
	SITUATION_CERTIFICATE_UNKNOWN, SITUATION_CERTIFICATE_BAD, SITUATION_INTERCEPTED, SITUATION_CERTIFICATE_ENDS,
	/* login */
	SITUATION_NO_PASSWORD_LOGIN, SITUATION_CLEAR_ONLY, SITUATION_CLEAR_ASKED, SITUATION_BETWEEN,
	/* mail */
	SITUATION_ERROR_UNASKED, SITUATION_COUNTS, SITUATION_UNIQUE_IDS, SITUATION_NO_UIDL, SITUATION_SIZE, SITUATION_NO_TOP,
	SITUATION_TWO_ANSWERS, SITUATION_LONG_LINE, SITUATION_NO_STATUS, SITUATION_CLOSED, SITUATION_SILENT, SITUATION_TOO_MUCH,
	SITUATION_WRONG_WAY,
	SITUATION_COUNT
};

struct situation_row {
	const char *name;
	enum verdict verdict;
	enum certainty certainty;
	bool other_way;    /* another port or kind of TLS may be what is meant: if one works, it was the user's setting */
	const char *says;  /* what is wrong, a sentence */
	const char *next;  /* what to do about it, a sentence */
};

/* The row of a situation. */
const struct situation_row *situation_row(enum situation situation);

/* By name; SITUATION_NONE if there is none of len octets at name. */
enum situation situation_named(const char *name, size_t len);

/* For people: "your settings". */
const char *verdict_text(enum verdict verdict);

/* For programs: "settings". */
const char *verdict_name(enum verdict verdict);

const char *certainty_text(enum certainty certainty);

#endif
