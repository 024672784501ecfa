/*
 * log_print.c - one event as a line, or as an object.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 */
#include <string.h>

#include "cli/explain.h"
#include "cli/log.h"
#include "cli/show.h"
#include "daemon/session_words.h"
#include "daemon/tls_version.h"

enum { USER_COLUMN = 16, PEER_COLUMN = 15 };

static const char *const kind_names[HISTORY_KINDS] = {
	[HISTORY_GUESS] = "failure", [HISTORY_FAILURE] = "failure", [HISTORY_SESSION] = "session",
};

static void print_session(FILE *out, const struct history_record *r)
{
	const struct history_figures *f = &r->figures;
	char span[SHOW_SIZE], size[SHOW_SIZE];
	(void)fprintf(out, "%-7s  %ju of %ju fetched", r->tls != 0 ? tls_version_text(r->tls) : "no TLS", (uintmax_t)f->fetched, (uintmax_t)f->count);
	if (f->sent > 0)
		(void)fprintf(out, " (%s)", show_size(f->sent, size));
	(void)fprintf(out, ", %ju deleted, %ju left", (uintmax_t)f->deleted, (uintmax_t)f->left);
	if (f->dropped > 0)
		(void)fprintf(out, ", %ju deletion%s dropped", (uintmax_t)f->dropped, f->dropped == 1 ? "" : "s");
	(void)fprintf(out, "; %s; ", show_span(f->duration_ms, span));
	show_printable(out, r->reason);
}

static void print_failure(FILE *out, const struct history_record *r)
{
	char line[REPLY_LINE_MAX];
	const bool same_words = reply_by_name(r->reply) != REPLY_NOT_ACCEPTED;
	show_printable(out, *record_line(r, line) != '\0' ? record_line(r, line) : r->reply);
	if (!same_words) {
		(void)fputs(": ", out);
		show_printable(out, r->reason);
	}
}

void log_print(FILE *out, const struct history_record *r, bool who)
{
	char when[SHOW_TIME], name[4 * sizeof r->user];
	struct buf safe = BUF_OVER(name);
	buf_add_escaped(&safe, r->user, strlen(r->user));
	(void)fprintf(out, "%s  ", show_time(record_begin_ms(r), when));
	if (who)
		(void)fprintf(out, "%-*s  ", USER_COLUMN, buf_text(&safe));
	safe.len = 0;
	buf_add_escaped(&safe, r->peer, strlen(r->peer));
	(void)fprintf(out, "%-*s  ", PEER_COLUMN, buf_text(&safe));
	if (r->kind == HISTORY_SESSION)
		print_session(out, r);
	else
		print_failure(out, r);
	(void)fputc('\n', out);
}

static void add_figures(struct json *j, const struct history_figures *f)
{
	const struct { const char *name; uint64_t n; } numbers[] = {
		{ "messages", f->count }, { "octets", f->octets }, { "fetched", f->fetched }, { "octets_sent", f->sent }, { "deleted", f->deleted },
		{ "left", f->left }, { "deletions_dropped", f->dropped }, { "duration_ms", f->duration_ms },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		json_number(j, numbers[i].name, numbers[i].n);
}

void log_print_json(struct json *j, const struct history_record *r)
{
	char line[REPLY_LINE_MAX], ref[REF_TEXT_MAX];
	json_open(j, NULL, '{');
	json_text(j, "kind", kind_names[r->kind]);
	json_number(j, "begin_ms", (uint64_t)record_begin_ms(r));
	json_text(j, "user", r->user);
	json_text(j, "peer", r->peer);
	json_text(j, "tls", tls_version_text(r->tls));
	json_text(j, "mailbox", r->place);
	if (r->kind == HISTORY_SESSION) {
		json_text(j, "end", r->reason);
		add_figures(j, &r->figures);
	} else {
		json_text(j, "reference", ref_text(r->ref, ref));
		json_text(j, "reply", r->reply);
		json_text(j, "told", record_line(r, line));
		json_text(j, "reason", r->reason);
		json_text(j, "tried", r->text);
	}
	json_close(j, '}');
}
