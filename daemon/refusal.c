/*
 * refusal.c - connections that are told no.
 * Runs in: master. Trusts: nothing; reads nothing.
 */
#include "daemon/refusal.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/recorder_link.h"

static void close_first(struct refusals *r)
{
	(void)close(r->open[r->first].fd);
	r->first = (r->first + 1) % REFUSALS_MAX;
	r->count--;
}

/* Logs it now and then. Returns the reference that the client is told. */
static uint32_t note(struct refusals *r, const char *peer, enum reply reply, const struct reply_args *args, long long now)
{
	const struct reply_row *row = reply_row(reply);
	unsigned kind = (unsigned)(reply - REPLY_SERVER_FULL);
	struct history_record record;
	char ref[REF_TEXT_MAX], more[24];
	if (r->kinds[kind].logged != 0 && now - r->kinds[kind].logged < REFUSAL_LOG_MS) {
		r->kinds[kind].silent++;
		return r->kinds[kind].ref;
	}
	recorder_begin(&record, HISTORY_GUESS, "master");
	record.ref = recorder_take_ref();
	memcpy(record.n, args->n, sizeof record.n);
	(void)snprintf(record.peer, sizeof record.peer, "%s", peer);
	(void)snprintf(record.reply, sizeof record.reply, "%s", row->name);
	(void)snprintf(record.reason, sizeof record.reason, "refused");
	(void)snprintf(record.text, sizeof record.text, "%lu refused for this reason since the last such line", r->kinds[kind].silent);
	recorder_send(&record);
	(void)snprintf(more, sizeof more, "%lu", r->kinds[kind].silent);
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "refused" }, { "POSTERN_REF", ref_text(record.ref, ref) }, { "POSTERN_REPLY", row->name },
		{ "POSTERN_PEER", peer }, { "POSTERN_TIMES", more },
	};
	log_event(row->severity, fields, sizeof fields / sizeof fields[0], "refused: peer=%s reason=%s ref=%s (%s more since the last such line)",
	          peer, row->name, ref, more);
	r->kinds[kind].logged = now;
	r->kinds[kind].silent = 0;
	r->kinds[kind].ref = record.ref;
	return record.ref;
}

void refusals_add(struct refusals *r, int connection, bool tls, const char *peer, enum reply reply, const struct reply_args *args)
{
	char storage[REPLY_LINE_MAX];
	struct buf line = BUF_OVER(storage);
	long long now = now_ms();
	struct reply_args whole = *args;
	whole.ref = note(r, peer, reply, args, now);
	if (tls) {
		(void)close(connection);
		return;
	}
	(void)reply_add(&line, reply, &whole);
	/* A fresh connection's buffer takes a line; one that does not is not worth waiting for. */
	(void)!send(connection, line.p, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(connection, SHUT_WR);
	if (r->count == REFUSALS_MAX)
		close_first(r);
	unsigned at = (r->first + r->count++) % REFUSALS_MAX;
	r->open[at].fd = connection;
	r->open[at].due = now + REFUSAL_MS;
}

/* When a kind's sum is due, 0: nothing to count. */
static long long sum_due(const struct refusals *r, unsigned kind)
{
	return r->kinds[kind].silent > 0 ? r->kinds[kind].logged + REFUSAL_SUM_MS : 0;
}

static void log_sums(struct refusals *r, long long now)
{
	for (unsigned kind = 0; kind < REFUSAL_KINDS; kind++) {
		if (sum_due(r, kind) == 0 || now < sum_due(r, kind))
			continue;
		log_line(LOG_NOTICE, "refused: %lu more for reason=%s since the last such line", r->kinds[kind].silent,
		         reply_row((enum reply)(REPLY_SERVER_FULL + kind))->name);
		r->kinds[kind].silent = 0;
	}
}

void refusals_close(struct refusals *r)
{
	while (r->count > 0)
		close_first(r);
}

void refusals_expire(struct refusals *r, long long now)
{
	log_sums(r, now);
	while (r->count > 0 && now >= r->open[r->first].due)
		close_first(r);
}

long long refusals_due(const struct refusals *r)
{
	long long due = r->count > 0 ? r->open[r->first].due : 0;
	for (unsigned kind = 0; kind < REFUSAL_KINDS; kind++)
		due = sooner(due, sum_due(r, kind));
	return due;
}
