/*
 * check_verdict.c - the steps that were done, and what follows from them.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "cli/check.h"

/* ---- text from elsewhere ---- */

static bool is_word(char octet)
{
	return isalnum((unsigned char)octet) != 0;
}

/* Does the secret stand at octets, as a word of its own? */
static bool secret_at(const char *octets, size_t at, size_t len, const char *secret, size_t secret_len)
{
	if (secret_len == 0 || secret_len > len - at || memcmp(octets + at, secret, secret_len) != 0)
		return false;
	if (at > 0 && is_word(octets[at - 1]) && is_word(*secret))
		return false;
	size_t behind = at + secret_len;
	return behind == len || !is_word(octets[behind]) || !is_word(secret[secret_len - 1]);
}

void show(const struct check *c, struct buf *out, const char *octets, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t secret = 0;
		if (c->password.len >= c->mask_from && secret_at(octets, at, len, c->password.text, c->password.len))
			secret = c->password.len;
		else if (strlen(c->response) >= c->mask_from && secret_at(octets, at, len, c->response, strlen(c->response)))
			secret = strlen(c->response);
		if (secret > 0)
			(void)buf_add_text(out, "********");
		else if (octets[at] == '"' && out->cap - out->len > sizeof "...")
			(void)buf_add(out, &octets[at], 1);  /* a quotation mark is harmless here */
		else
			buf_add_escaped(out, &octets[at], 1);
		if (secret == 0 && out->cap - out->len < sizeof "\\xNN...") {
			(void)buf_add_text(out, at + 1 < len ? "..." : "");
			return;
		}
		at += secret > 0 ? secret : 1;
	}
}

/* ---- steps ---- */

struct step *step_begin(struct check *c, const char *name, const char *where)
{
	/* One that is too many takes the last one's place. */
	struct step *s = &c->steps[c->step_count < STEPS_MAX ? c->step_count++ : STEPS_MAX - 1];
	*s = (struct step){ .name = name, .attempt = c->attempt, .ms = now_ms() - c->start };
	(void)snprintf(s->where, sizeof s->where, "%s", where);
	progress(c, name);
	return s;
}

static void put(const struct check *c, char *text, size_t size, const char *octets, size_t len)
{
	struct buf out = { .p = text, .cap = size };
	show(c, &out, octets, len);
	(void)buf_text(&out);
}

void step_sent(struct check *c, struct step *s, const char *octets, size_t len)
{
	put(c, s->sent, sizeof s->sent, octets, len);
}

void step_seen(struct check *c, struct step *s, const char *octets, size_t len)
{
	put(c, s->seen, sizeof s->seen, octets, len);
}

void step_detail(struct step *s, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(s->detail, sizeof s->detail, format, ap);
	va_end(ap);
}

void step_end_meaning(struct step *s, enum outcome outcome, const struct meaning *meaning)
{
	s->outcome = outcome;
	s->meaning = *meaning;
}

void step_end(struct step *s, enum outcome outcome, enum situation situation)
{
	const struct meaning meaning = { .situations = { situation }, .count = situation == SITUATION_NONE ? 0 : 1 };
	step_end_meaning(s, outcome, &meaning);
}

long long check_deadline(const struct check *c, long long ms)
{
	long long deadline = now_ms() + ms;
	return deadline < c->deadline ? deadline : c->deadline;
}

const char *outcome_text(enum outcome outcome)
{
	static const char *const texts[] = { "ok", "note", "warning", "defect", "fault" };
	return texts[outcome];
}

const char *security_text(enum tls_mode tls)
{
	static const char *const texts[] = { "automatic", "SSL/TLS", "STARTTLS", "none" };
	return texts[tls];
}

/* ---- the conclusion ---- */

enum verdict step_verdict(const struct step *s, enum certainty *certainty_r)
{
	if (s->meaning.count == 0) {
		*certainty_r = CERTAINTY_SURE;
		return VERDICT_FINE;
	}
	const struct situation_row *first = situation_row(s->meaning.situations[0]);
	enum verdict verdict = first->verdict;
	*certainty_r = first->certainty;
	for (size_t i = 1; i < s->meaning.count; i++) {
		const struct situation_row *other = situation_row(s->meaning.situations[i]);
		if (other->verdict != first->verdict) {
			verdict = VERDICT_CANNOT_TELL;
			*certainty_r = CERTAINTY_GUESS;
		}
	}
	return verdict;
}

/* Where the passwords go: the way that got furthest; among equals the one that was asked for, then the first. */
static const struct attempt *best_attempt(const struct check *c)
{
	const struct attempt *best = NULL;
	for (size_t i = 0; i < c->attempt_count; i++) {
		const struct attempt *a = &c->attempts[i];
		if (best == NULL || a->reach > best->reach || (a->reach == best->reach && a->asked && !best->asked))
			best = a;
	}
	return best;
}

static bool is_other_way(const struct step *s)
{
	for (size_t i = 0; i < s->meaning.count; i++)
		if (!situation_row(s->meaning.situations[i])->other_way)
			return false;
	return s->meaning.count > 0;
}

/* Where there is a way that works, faults of ways that nobody asked for are only warnings. */
static void play_down(struct check *c, const struct attempt *works)
{
	for (size_t i = 0; i < c->step_count; i++) {
		struct step *s = &c->steps[i];
		const struct attempt *a = s->attempt >= 0 ? &c->attempts[s->attempt] : NULL;
		if (a != NULL && a != works && !a->asked && s->outcome >= OUTCOME_DEFECT)
			s->outcome = is_other_way(s) ? OUTCOME_NOTE : OUTCOME_WARNING;
	}
}

/* The first step that is as bad, of the attempt, or of any if it is NULL. */
static const struct step *first_step(const struct check *c, enum outcome outcome, const struct attempt *of)
{
	for (size_t i = 0; i < c->step_count; i++) {
		const struct step *s = &c->steps[i];
		bool is_of = of == NULL || s->attempt < 0 || &c->attempts[s->attempt] == of;
		if (s->outcome == outcome && is_of)
			return s;
	}
	return NULL;
}

/* Which attempt's fault tells most when none works: of those on the port that was asked for, the furthest. */
static const struct attempt *telling_attempt(const struct check *c)
{
	const struct attempt *best = NULL;
	for (size_t i = 0; i < c->attempt_count; i++) {
		const struct attempt *a = &c->attempts[i];
		bool is_of_port = c->o.port == 0 || a->port == c->o.port;
		if (is_of_port && (best == NULL || a->reach > best->reach))
			best = a;
	}
	return best;
}

void conclude(struct check *c, struct conclusion *r)
{
	const struct attempt *best = best_attempt(c);
	*r = (struct conclusion){ .verdict = VERDICT_FINE, .certainty = CERTAINTY_SURE, .logged_in = c->logged_in };
	if (best != NULL && best->reach == REACH_READY) {
		r->works = best;
		play_down(c, best);
		/* What was asked for failed, and another way works. */
		for (size_t i = 0; i < c->attempt_count && r->step == NULL; i++)
			if (c->attempts[i].asked && c->attempts[i].reach != REACH_READY)
				r->step = first_step(c, OUTCOME_FAULT, &c->attempts[i]);
	} else {
		r->step = first_step(c, OUTCOME_FAULT, telling_attempt(c));
	}
	bool is_wrong_way = r->step != NULL && r->works != NULL && is_other_way(r->step);
	if (r->step == NULL)
		r->step = first_step(c, OUTCOME_FAULT, NULL);
	if (r->step == NULL)
		r->step = first_step(c, OUTCOME_DEFECT, NULL);
	if (r->step == NULL)
		return;
	r->situation = r->step->meaning.count > 0 ? r->step->meaning.situations[0] : SITUATION_UNKNOWN_TEXT;
	r->verdict = step_verdict(r->step, &r->certainty);
	if (is_wrong_way && r->verdict != VERDICT_SETTINGS) {
		r->verdict = VERDICT_SETTINGS;
		r->certainty = CERTAINTY_LIKELY;
		r->situation = SITUATION_WRONG_WAY;
	}
}
