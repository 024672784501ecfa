/*
 * check_report.c - says to people what was found.
 * Runs in: postern, as whoever called it. Trusts: the steps, whose text was made printable.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/check.h"

/* ---- while it waits ---- */

void progress(const struct check *c, const char *what)
{
	enum { WORTH_SAYING_MS = 700 };
	static bool is_shown;
	static long long since;
	static char last[WHERE_MAX];
	long long now = now_ms();
	if (isatty(STDERR_FILENO) != 1)
		return;
	if (strcmp(last, what) != 0) {
		(void)snprintf(last, sizeof last, "%s", what);
		since = now;
	}
	if (is_shown) {
		(void)fputs("\r\033[K", stderr);
		is_shown = false;
	}
	if (*what != '\0' && now - since >= WORTH_SAYING_MS) {
		(void)fprintf(stderr, "%s: %s, waiting %lld s", c->o.host, what, (now - since) / 1000);
		is_shown = true;
	}
	(void)fflush(stderr);
}

/* ---- colour ---- */

static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(STDOUT_FILENO) == 1 && (no == NULL || *no == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

static const char *colour_of(enum outcome outcome)
{
	static const char *const colours[] = {
		[OUTCOME_OK] = "\033[32m", [OUTCOME_NOTE] = "\033[36m", [OUTCOME_WARNING] = "\033[33m",
		[OUTCOME_DEFECT] = "\033[35m", [OUTCOME_FAULT] = "\033[31m",
	};
	return has_colour() ? colours[outcome] : "";
}

static const char *plain(void)
{
	return has_colour() ? "\033[0m" : "";
}

static const char *bold(void)
{
	return has_colour() ? "\033[1m" : "";
}

/* ---- steps ---- */

enum { INDENT = 33 };

static void print_meaning(const struct step *s)
{
	enum certainty certainty;
	enum verdict verdict = step_verdict(s, &certainty);
	if (s->outcome == OUTCOME_NOTE) {
		(void)printf("%*s%s\n", INDENT, "", situation_row(s->meaning.situations[0])->says);
		return;
	}
	for (size_t i = 0; i < s->meaning.count; i++) {
		const struct situation_row *row = situation_row(s->meaning.situations[i]);
		if (i == 0)
			(void)printf("%*s%s (%s): %s\n", INDENT, "", verdict_text(verdict), certainty_text(certainty), row->says);
		else
			(void)printf("%*sor: %s\n", INDENT, "", row->says);
	}
	(void)printf("%*snext: %s\n", INDENT, "", situation_row(s->meaning.situations[0])->next);
}

static void print_step(const struct step *s)
{
	static const char arrow[] = " -> ";
	bool has_sent = s->sent[0] != '\0', has_seen = s->seen[0] != '\0', has_detail = s->detail[0] != '\0';
	(void)printf("  %s%-8s%s %-21s %s%s%s%s%s\n", colour_of(s->outcome), outcome_text(s->outcome), plain(), s->name, s->sent,
	             has_sent && has_seen ? arrow : "", s->seen, (has_sent || has_seen) && has_detail ? "; " : "", s->detail);
	if (s->meaning.count > 0)
		print_meaning(s);
}

static void print_steps(const struct check *c)
{
	const struct step *before = NULL;
	for (size_t i = 0; i < c->step_count; i++) {
		const struct step *s = &c->steps[i];
		bool is_elsewhere = before == NULL || before->attempt != s->attempt || strcmp(before->where, s->where) != 0;
		if (is_elsewhere && s->where[0] != '\0')
			(void)printf("%s%s%s\n", bold(), s->where, plain());
		before = s;
		print_step(s);
	}
}

/* ---- the conclusion ---- */

static void print_verdict(const struct check *c, const struct conclusion *r)
{
	if (r->step == NULL) {
		(void)printf("\n%sVerdict: %s%s\n", bold(), verdict_text(r->verdict), plain());
		(void)printf("  %s\n", r->logged_in ? "Mail can be fetched." : "All is well up to the login, which was not tried.");
		return;
	}
	(void)printf("\n%sVerdict: %s (%s)%s\n", bold(), verdict_text(r->verdict), certainty_text(r->certainty), plain());
	if (r->situation == SITUATION_WRONG_WAY)
		(void)printf("  %s\n", situation_row(SITUATION_WRONG_WAY)->says);
	for (size_t i = 0; i < r->step->meaning.count; i++)
		(void)printf("  %s%s\n", i > 0 ? "Or: " : "", situation_row(r->step->meaning.situations[i])->says);
	if (r->step->outcome == OUTCOME_DEFECT)
		(void)printf("  Mail can be fetched all the same.\n");
	(void)printf("  Next: %s\n", situation_row(r->situation)->next);
	if (c->server[0] != '\0')
		(void)printf("  The server seems to be %s (by %s).\n", c->server, c->recognized_by);
}

static void print_settings(const struct check *c, const struct conclusion *r)
{
	if (r->works == NULL)
		return;
	(void)printf("\n%sSettings that work%s%s\n", bold(), r->logged_in ? "" : " up to the login", plain());
	(void)printf("  Type       POP3\n  Server     %s\n  Port       %u\n  Security   %s\n", c->o.host, r->works->port, security_text(r->works->tls));
	if (c->user != NULL)
		(void)printf("  User name  %s\n  Login      normal password\n", c->user);
}

void report_text(const struct check *c, const struct conclusion *r)
{
	progress(c, "");
	print_steps(c);
	print_verdict(c, r);
	print_settings(c, r);
}
