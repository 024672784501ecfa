/*
 * session_log.c - what the log and the history are told about a session.
 * Runs in: keeper. Trusts: nothing in a user name.
 */
#include "daemon/session_log.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/doors.h"
#include "daemon/log.h"
#include "daemon/recorder_link.h"
#include "daemon/session_words.h"
#include "daemon/tls_version.h"

enum { USER_TEXT = 4 * USER_NAME_MAX + 4, NUMBER_TEXT = 24 };

static void keep_report(const struct session *s, const struct report *report, const struct rpc_answer *answer)
{
	struct history_record record;
	recorder_begin(&record, report->guess ? HISTORY_GUESS : HISTORY_FAILURE, "keeper");
	record.ref = answer->ref;
	record.uid = report->owner;
	record.err = report->why->err;
	record.pam = report->why->pam;
	record.tls = report->tls;
	(void)snprintf(record.user, sizeof record.user, "%s", report->user);
	(void)snprintf(record.peer, sizeof record.peer, "%s", s->peer_text);
	(void)snprintf(record.reply, sizeof record.reply, "%s", reply_row((enum reply)answer->reply)->name);
	(void)snprintf(record.reason, sizeof record.reason, "%s", reason_words(report->why->reason));
	memcpy(record.place, s->place, sizeof record.place);
	memcpy(record.text, report->why->text, sizeof record.text);
	memcpy(record.told, answer->told, sizeof record.told);
	memcpy(record.n, answer->n, sizeof record.n);
	recorder_send(&record);
}

void session_report(const struct session *s, const struct report *report, struct rpc_answer *answer)
{
	const struct reply_row *row = reply_row((enum reply)answer->reply);
	const struct why *why = report->why;
	char name[USER_TEXT], ref[REF_TEXT_MAX];
	answer->ref = row->referenced ? recorder_take_ref() : REF_NONE;
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", report->event },
		{ "POSTERN_REF", ref_text(answer->ref, ref) },
		{ "POSTERN_REPLY", row->name },
		{ "POSTERN_USER", report->user },
		{ "POSTERN_PEER", s->peer_text },
		{ "POSTERN_TLS", tls_version_text(report->tls) },
		{ "POSTERN_REASON", reason_words(why->reason) },
	};
	/* A back end in trouble is not the guesser's. */
	const bool failing = why->reason == REASON_AUTH_TEMPORARY || why->reason == REASON_AUTH_SETUP;
	log_event(report->quiet ? LOG_DEBUG : failing ? LOG_ERR : row->severity, fields, sizeof fields / sizeof fields[0],
	          "%s: user=%s peer=%s tls=%s reason=\"%s\" reply=%s ref=%s%s%s%s", report->words, log_text(report->user, name, sizeof name), s->peer_text,
	          tls_version_text(report->tls), reason_words(why->reason), row->name, ref,
	          why->text[0] != '\0' ? " (" : "", why->text, why->text[0] != '\0' ? ")" : "");
	if (answer->ref != REF_NONE)
		keep_report(s, report, answer);
}

bool session_log_enough(struct session *s, enum reply reply)
{
	const bool enough = !s->logged_in && (s->quiet || s->reported[reply]);
	s->reported[reply] = true;
	s->unreported += enough;
	return enough;
}

/* ---- the end ---- */

static const char *number(char *text, uint64_t n)
{
	(void)snprintf(text, NUMBER_TEXT, "%llu", (unsigned long long)n);
	return text;
}

static uint64_t marks_dropped(const struct session *s)
{
	return s->committed ? 0 : s->bye.marked;
}

static const char *end_text(const struct session *s)
{
	return s->said_bye ? end_words((enum session_end)s->bye.end) : END_WORDS_GATE_DIED;
}

/* For `postern log`; sessions without a login are nobody's. */
static void keep_session(const struct session *s)
{
	struct history_record record;
	recorder_begin(&record, HISTORY_SESSION, "keeper");
	record.uid = s->owner;
	record.tls = s->bye.tls;
	(void)snprintf(record.user, sizeof record.user, "%s", s->user);
	(void)snprintf(record.peer, sizeof record.peer, "%s", s->peer_text);
	(void)snprintf(record.reason, sizeof record.reason, "%s", end_text(s));
	memcpy(record.place, s->place, sizeof record.place);
	record.figures = (struct history_figures){
		.count = s->count, .octets = s->octets, .fetched = s->bye.fetched, .sent = s->bye.octets, .deleted = s->deleted,
		.left = s->left, .dropped = marks_dropped(s), .duration_ms = (uint64_t)(now_ms() - s->begun) };
	memcpy(record.figures.list, s->list, sizeof record.figures.list);
	recorder_send(&record);
}

/* Counted by the recorder: one line a minute for each kind and source. */
static void count_door(const struct session *s)
{
	struct history_record record;
	recorder_begin(&record, HISTORY_DOOR, "gate");
	(void)snprintf(record.peer, sizeof record.peer, "%s", s->peer_text);
	(void)snprintf(record.reason, sizeof record.reason, "%s", door_row((enum door)s->bye.door)->name);
	recorder_send(&record);
}

void session_log_end(const struct session *s)
{
	char name[USER_TEXT], detail[4 * BYE_DETAIL_MAX + 4], seconds[NUMBER_TEXT];
	char fetched[NUMBER_TEXT], octets[NUMBER_TEXT], deleted[NUMBER_TEXT], left[NUMBER_TEXT], dropped[NUMBER_TEXT];
	long long ms = now_ms() - s->begun;
	const char *end = end_text(s);
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
		{ "POSTERN_MARKS_DROPPED", number(dropped, marks_dropped(s)) },
		{ "POSTERN_SECONDS", seconds },
		{ "POSTERN_END", end },
	};
	const bool lost = s->bye.door != DOOR_NONE && !s->logged_in, quiet = s->quiet && !s->logged_in;
	const bool check = s->user[0] == '\0' && settings_proxy(s->settings, &s->peer); /* a proxy's own, every two seconds */
	if (lost)
		count_door(s);
	if (s->logged_in)
		keep_session(s);
	log_event(lost || quiet || check ? LOG_DEBUG : LOG_INFO, fields, sizeof fields / sizeof fields[0],
	          "session: user=%s login=%s peer=%s tls=%s fetched=%s octets=%s deleted=%s left=%s dropped-marks=%s seconds=%s end=\"%s\"%s%s",
	          log_text(s->user, name, sizeof name), s->logged_in ? "yes" : "no", s->peer_text, tls_version_text(s->bye.tls), fetched, octets, deleted, left, dropped,
	          seconds, end, s->bye.detail[0] != '\0' ? " cause=" : "",
	          s->bye.detail[0] != '\0' ? log_text(s->bye.detail, detail, sizeof detail) : "");
	if (s->odd > NOTICES_MOST)
		log_line(LOG_WARNING, "maildrop of %s: %lu more of such lines", log_text(s->user, name, sizeof name), s->odd - NOTICES_MOST);
	if (s->unreported > 0)
		log_line(quiet ? LOG_DEBUG : LOG_NOTICE, "peer=%s: %lu more answers with a reference in this connection; `postern explain` has them", s->peer_text, s->unreported);
	if (s->bye.in_clear > 0)
		log_line(quiet ? LOG_DEBUG : LOG_WARNING, "peer=%s sent a password in clear, which plaintext_login does not admit; it was refused, and should be changed",
		         s->peer_text);
}
