/*
 * check_json.c - says to programs what was found.
 * Runs in: postern, as whoever called it. Trusts: the steps, whose text was made printable.
 */
#include "cli/check.h"
#include "cli/json.h"

static void situations(struct json *j, const struct meaning *meaning)
{
	json_open(j, "situations", '[');
	for (size_t i = 0; i < meaning->count; i++)
		json_text(j, NULL, situation_row(meaning->situations[i])->name);
	json_close(j, ']');
}

static void step(struct json *j, const struct step *s)
{
	enum certainty certainty;
	enum verdict verdict = step_verdict(s, &certainty);
	const struct situation_row *first = s->meaning.count > 0 ? situation_row(s->meaning.situations[0]) : NULL;
	json_open(j, NULL, '{');
	json_text(j, "step", s->name);
	json_text(j, "where", s->where);
	json_number(j, "ms", s->ms > 0 ? (uint64_t)s->ms : 0);
	json_text(j, "sent", s->sent);
	json_text(j, "seen", s->seen);
	json_text(j, "detail", s->detail);
	json_text(j, "outcome", outcome_text(s->outcome));
	json_text(j, "verdict", verdict_name(verdict));
	json_text(j, "certainty", certainty_text(certainty));
	situations(j, &s->meaning);
	json_text(j, "says", first != NULL ? first->says : NULL);
	json_text(j, "next", first != NULL ? first->next : NULL);
	json_close(j, '}');
}

static void settings(struct json *j, const struct check *c, const struct conclusion *r)
{
	if (r->works == NULL) {
		json_text(j, "settings", NULL);
		return;
	}
	json_open(j, "settings", '{');
	json_text(j, "host", c->o.host);
	json_number(j, "port", r->works->port);
	json_text(j, "security", security_text(r->works->tls));
	json_text(j, "user", c->user);
	json_flag(j, "logged_in", r->logged_in);
	json_close(j, '}');
}

void report_json(const struct check *c, const struct conclusion *r)
{
	struct json j = { .out = stdout };
	const bool recognized = c->server[0] != '\0';
	progress(c, "");
	json_open(&j, NULL, '{');
	json_text(&j, "host", c->o.host);
	json_text(&j, "user", c->o.user);
	json_text(&j, "verdict", verdict_name(r->verdict));
	json_number(&j, "exit_status", (uint64_t)r->verdict);
	json_text(&j, "certainty", certainty_text(r->certainty));
	if (r->step != NULL)
		situations(&j, &r->step->meaning);
	json_text(&j, "situation", situation_row(r->situation)->name);
	json_text(&j, "step", r->step != NULL ? r->step->name : NULL);
	json_text(&j, "says", situation_row(r->situation)->says);
	json_text(&j, "next", situation_row(r->situation)->next);
	json_text(&j, "server", recognized ? c->server : NULL);
	json_text(&j, "recognized_by", recognized ? c->recognized_by : NULL);
	settings(&j, c, r);
	json_open(&j, "steps", '[');
	for (size_t i = 0; i < c->step_count; i++)
		step(&j, &c->steps[i]);
	json_close(&j, ']');
	json_close(&j, '}');
}
