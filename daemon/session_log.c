/*
 * session_log.c - the log's lines about a session.
 * Runs in: keeper. Trusts: nothing in a user name.
 */
#include "daemon/session_log.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/tls_version.h"

enum { USER_TEXT = 4 * USER_NAME_MAX + 4, NUMBER_TEXT = 24 };

/* Short words for the log; what the client was told is in the reply table. */
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
	[REASON_AUTH_TEMPORARY] = "back end in trouble",
	[REASON_AUTH_SETUP] = "back end set up wrongly",
	[REASON_MAILDROP_LOCKED] = "maildrop locked by another session",
	[REASON_MAILDROP_BUSY] = "maildrop locked by another program",
	[REASON_MAILDROP_DENIED] = "maildrop not accessible",
	[REASON_MAILDROP_BROKEN] = "maildrop not in form",
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
	[END_HTTP] = "HTTP request",
	[END_TLS_PIPELINED] = "commands behind STLS",
	[END_READ_ERROR] = "message unreadable",
	[END_KEEPER_LOST] = "keeper lost",
};

void session_log_failure(const struct session *s, const char *user, const struct why *why, unsigned tls)
{
	char name[USER_TEXT];
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "login-failed" },
		{ "POSTERN_USER", user },
		{ "POSTERN_PEER", s->peer_text },
		{ "POSTERN_TLS", tls_version_text(tls) },
		{ "POSTERN_REASON", reason_names[why->reason] },
	};
	log_event(why->reason == REASON_AUTH_TEMPORARY || why->reason == REASON_AUTH_SETUP ? LOG_ERR : LOG_NOTICE,
	          fields, sizeof fields / sizeof fields[0], "login failed: user=%s peer=%s tls=%s reason=\"%s\" (%s)",
	          log_text(user, name, sizeof name), s->peer_text, tls_version_text(tls), reason_names[why->reason], why->text);
}

static const char *number(char *text, uint64_t n)
{
	(void)snprintf(text, NUMBER_TEXT, "%llu", (unsigned long long)n);
	return text;
}

void session_log_end(const struct session *s)
{
	char name[USER_TEXT], detail[4 * BYE_DETAIL_MAX + 4], seconds[NUMBER_TEXT];
	char fetched[NUMBER_TEXT], octets[NUMBER_TEXT], deleted[NUMBER_TEXT], left[NUMBER_TEXT], dropped[NUMBER_TEXT];
	long long ms = now_ms() - s->begun;
	const char *end = s->said_bye ? end_names[s->bye.end] : "gate died";
	(void)snprintf(seconds, sizeof seconds, "%lld.%03lld", ms / 1000, ms % 1000);
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "session-end" },
		{ "POSTERN_USER", s->user },
		{ "POSTERN_LOGIN", s->logged_in ? "yes" : "no" },
		{ "POSTERN_PEER", s->peer_text },
		{ "POSTERN_TLS", tls_version_text(s->bye.tls) },
		{ "POSTERN_FETCHED", number(fetched, s->bye.fetched) },
		{ "POSTERN_OCTETS", number(octets, s->bye.octets) },
		{ "POSTERN_DELETED", number(deleted, s->deleted) },
		{ "POSTERN_LEFT", number(left, s->left) },
		{ "POSTERN_MARKS_DROPPED", number(dropped, s->committed ? 0 : s->bye.marked) },
		{ "POSTERN_SECONDS", seconds },
		{ "POSTERN_END", end },
	};
	log_event(LOG_INFO, fields, sizeof fields / sizeof fields[0],
	          "session: user=%s login=%s peer=%s tls=%s fetched=%s octets=%s deleted=%s left=%s dropped-marks=%s seconds=%s end=\"%s\"%s%s",
	          log_text(s->user, name, sizeof name), s->logged_in ? "yes" : "no", s->peer_text, tls_version_text(s->bye.tls), fetched, octets, deleted, left, dropped,
	          seconds, end, s->bye.detail[0] != '\0' ? " cause=" : "",
	          s->bye.detail[0] != '\0' ? log_text(s->bye.detail, detail, sizeof detail) : "");
	if (s->bye.in_clear > 0)
		log_line(LOG_WARNING, "peer=%s sent a password in clear, which plaintext_login does not admit; it was refused, and should be changed",
		         s->peer_text);
}

const char *session_cause_text(const struct why *why)
{
	switch ((int)why->reason) {
	case REASON_DISK_FULL:
	case REASON_READ_ONLY:
	case REASON_NO_MEMORY:
		return reason_names[why->reason];
	case REASON_MAILDROP_CHANGED:
		return "another program changed the mailbox";
	case REASON_MAILDROP_BUSY:
		return "another program holds the mailbox's lock";
	case REASON_UPDATE_UNFINISHED:
		return "interrupted; the next login finishes it";
	case REASON_MAILDROP_DENIED:
		return "permissions";
	default:
		return "input/output error";
	}
}
