/*
 * check_json.c - says to programs what was found.
 * Runs in: postern, as whoever called it. Trusts: the steps, whose text was made printable.
 *
 * What is written is ASCII: step_seen() and the like have made \xNN of everything else.
 */
#include "cli/check.h"

static void string(const char *text)
{
	(void)putchar('"');
	for (; *text != '\0'; text++) {
		unsigned char octet = (unsigned char)*text;
		if (octet == '"' || octet == '\\')
			(void)printf("\\%c", octet);
		else if (octet < 0x20 || octet > 0x7e)
			(void)printf("\\u%04x", octet);
		else
			(void)putchar(octet);
	}
	(void)putchar('"');
}

/* "name": "text", with a comma before it unless it is the first. */
static void member(bool is_first, const char *name, const char *text)
{
	(void)printf("%s\"%s\": ", is_first ? "" : ", ", name);
	if (text != NULL)
		string(text);
	else
		(void)fputs("null", stdout);
}

static void situations(const struct meaning *meaning)
{
	(void)fputs(", \"situations\": [", stdout);
	for (size_t i = 0; i < meaning->count; i++) {
		(void)fputs(i > 0 ? ", " : "", stdout);
		string(situation_row(meaning->situations[i])->name);
	}
	(void)putchar(']');
}

static void step(const struct step *s)
{
	enum certainty certainty;
	enum verdict verdict = step_verdict(s, &certainty);
	(void)putchar('{');
	member(true, "step", s->name);
	member(false, "where", s->where);
	(void)printf(", \"ms\": %lld", s->ms);
	member(false, "sent", s->sent);
	member(false, "seen", s->seen);
	member(false, "detail", s->detail);
	member(false, "outcome", outcome_text(s->outcome));
	member(false, "verdict", verdict_name(verdict));
	member(false, "certainty", certainty_text(certainty));
	situations(&s->meaning);
	member(false, "says", s->meaning.count > 0 ? situation_row(s->meaning.situations[0])->says : NULL);
	member(false, "next", s->meaning.count > 0 ? situation_row(s->meaning.situations[0])->next : NULL);
	(void)putchar('}');
}

static void settings(const struct check *c, const struct conclusion *r)
{
	(void)fputs(",\n \"settings\": ", stdout);
	if (r->works == NULL) {
		(void)fputs("null", stdout);
		return;
	}
	(void)putchar('{');
	member(true, "host", c->o.host);
	(void)printf(", \"port\": %u", r->works->port);
	member(false, "security", security_text(r->works->tls));
	member(false, "user", c->user);
	(void)printf(", \"logged_in\": %s}", r->logged_in ? "true" : "false");
}

int report_json(const struct check *c, const struct conclusion *r)
{
	progress(c, "");
	(void)putchar('{');
	member(true, "host", c->o.host);
	member(false, "user", c->o.user);
	(void)fputs(",\n ", stdout);
	member(true, "verdict", verdict_name(r->verdict));
	(void)printf(", \"exit_status\": %d", (int)r->verdict);
	member(false, "certainty", certainty_text(r->certainty));
	if (r->step != NULL)
		situations(&r->step->meaning);
	member(false, "situation", situation_row(r->situation)->name);
	member(false, "step", r->step != NULL ? r->step->name : NULL);
	member(false, "says", situation_row(r->situation)->says);
	member(false, "next", situation_row(r->situation)->next);
	(void)fputs(",\n ", stdout);
	member(true, "server", c->server[0] != '\0' ? c->server : NULL);
	member(false, "recognized_by", c->server[0] != '\0' ? c->recognized_by : NULL);
	settings(c, r);
	(void)fputs(",\n \"steps\": [\n", stdout);
	for (size_t i = 0; i < c->step_count; i++) {
		(void)fputs(i > 0 ? ",\n  " : "  ", stdout);
		step(&c->steps[i]);
	}
	(void)fputs("\n ]}\n", stdout);
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : -1;
}
