/*
 * attempts.c - the master's side of a login attempt.
 * Runs in: master. Trusts: a keeper's word on what became of an attempt.
 */
#include "daemon/attempts.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/rpc.h"

int attempts_open(struct attempts *a, const struct settings *settings, struct workers *workers)
{
	*a = (struct attempts){ .settings = settings, .workers = workers };
	return proven_open(&a->proven) == 0 ? guesses_open(&a->guesses, now_ms()) : -1;
}

static struct guess_rule rule_of(const struct settings *s)
{
	return (struct guess_rule){ .free_failures = (unsigned)s->free_failures, .longest_wait = (unsigned)s->longest_wait,
	                            .repeat_seconds = (unsigned)s->repeat_seconds };
}

static void answer(struct attempts *a, size_t at, struct job job, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	if (w->line == LINE_UNKNOWN)
		w->line = line_limit_take(&a->failures, now) ? LINE_LOUD : LINE_QUIET;
	job.quiet = w->line == LINE_QUIET;
	/* A keeper that is gone is reaped. One that cannot be told, for want of memory say, would wait for ever: the end of its channel is an answer, too. */
	if (rpc_send(w->channel, &job, sizeof job, -1) != 0)
		(void)shutdown(w->channel, SHUT_WR);
}

/* No line will be written, or counted in the sum, for what was to be a failure. */
static void give_line_back(struct attempts *a, struct worker *w)
{
	if (w->line != LINE_UNKNOWN)
		line_limit_give_back(&a->failures, w->line == LINE_LOUD);
	w->line = LINE_UNKNOWN;
}

/* Whose password may yet be wrong keeps nobody out, or who guesses at an account would. */
static enum job_crowd crowd_of(const struct attempts *a, size_t at)
{
	size_t verifying;
	const size_t users = workers_of_account(a->workers, at, &verifying);
	if (users >= ACCOUNT_SESSIONS)
		return CROWD_FULL;
	return users + verifying >= ACCOUNT_SESSIONS ? CROWD_WAITS : CROWD_NONE;
}

static void let_verify(struct attempts *a, size_t at, long long now)
{
	workers_set(a->workers, at, WORKER_VERIFYING);
	answer(a, at, (struct job){ .verb = JOB_VERIFY, .proven = a->workers->rows->list[at].proven, .crowd = crowd_of(a, at) }, now);
}

static void refuse(struct attempts *a, size_t at, unsigned seconds, long long now)
{
	workers_set(a->workers, at, WORKER_STRANGER);
	answer(a, at, (struct job){ .verb = JOB_REFUSED, .seconds = seconds }, now);
}

/* Ask for it what the rule says, for the first time or again. */
static void decide(struct attempts *a, size_t at, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	const struct guess_rule rule = rule_of(a->settings);
	const struct guess_ruling ruling = guesses_ask(&a->guesses, &rule, &w->guess, now);
	switch (ruling.answer) {
	case GUESS_GO:
		w->trusted = ruling.trusted;
		w->charged = true;
		w->due = ruling.due;
		if (ruling.due > now)
			workers_set(a->workers, at, WORKER_HELD);
		else
			let_verify(a, at, now);
		break;
	case GUESS_HOLD:
		w->due = 0;
		workers_set(a->workers, at, WORKER_HELD);
		break;
	case GUESS_REPEATED:
		workers_set(a->workers, at, WORKER_STRANGER);
		answer(a, at, (struct job){ .verb = JOB_REPEATED, .reason = ruling.reason, .owner = ruling.owner }, now);
		break;
	case GUESS_REFUSED:
		refuse(a, at, ruling.seconds, now);
		break;
	}
}

/* ---- memory for hashes ---- */

static bool has_room(const struct attempts *a, unsigned mebibytes)
{
	/* One that is larger than all there is goes alone. */
	return a->settings->hash_memory == 0 || a->room == 0 || a->room + mebibytes <= a->settings->hash_memory;
}

static void grant(struct attempts *a, size_t at, unsigned mebibytes, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	w->room_wanted = 0;
	w->room = mebibytes;
	a->room += mebibytes;
	answer(a, at, (struct job){ .verb = JOB_ROOM }, now);
}

/* Guesses of strangers, who may be many, are not before who has logged in from there already. Of either kind it is first come, first served. */
static bool goes_before(const struct worker *w, const struct worker *other)
{
	return w->trusted != other->trusted ? w->trusted : w->until < other->until;
}

/* A large one is not passed by smaller ones for ever. */
static void grant_waiting(struct attempts *a, long long now)
{
	const struct workers *t = a->workers;
	for (;;) {
		ssize_t first = -1;
		for (size_t i = 0; t->of_state[WORKER_VERIFYING] > 0 && i < t->count; i++)
			if (t->rows->states[i] == WORKER_VERIFYING && t->rows->list[i].room_wanted > 0 && (first < 0 || goes_before(&t->rows->list[i], &t->rows->list[first])))
				first = (ssize_t)i;
		if (first < 0 || !has_room(a, t->rows->list[first].room_wanted))
			return;
		grant(a, (size_t)first, t->rows->list[first].room_wanted, now);
	}
}

static void release_room(struct attempts *a, size_t at, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	const bool had = w->room > 0;
	a->room -= w->room;
	w->room = w->room_wanted = 0;
	if (had)
		grant_waiting(a, now);
}

/* ---- outcomes ---- */

/* Those who wait for an outcome ask again. */
static void wake_held(struct attempts *a, long long now)
{
	struct workers *t = a->workers;
	for (size_t i = 0; t->of_state[WORKER_HELD] > 0 && i < t->count; i++)
		if (t->rows->states[i] == WORKER_HELD && t->rows->list[i].due == 0)
			decide(a, i, now);
}

static void settle(struct attempts *a, size_t at, enum guess_outcome outcome, unsigned reason, uint32_t owner, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	const struct guess_rule rule = rule_of(a->settings);
	release_room(a, at, now);
	if (outcome == GUESS_RIGHT)
		give_line_back(a, w);
	if (outcome == GUESS_WRONG)
		proven_drop(&a->proven, w->hash.account);
	/* It was let go without a charge: nothing is to be taken back, but the account has logged in from there. */
	const bool is_known = w->proven != 0 && outcome == GUESS_RIGHT;
	w->proven = 0;
	if (!w->charged && !is_known)
		return;
	w->charged = false;
	guesses_settle(&a->guesses, &rule, &w->guess, is_known || w->trusted, outcome, reason, owner, now);
	wake_held(a, now);
}

/* ---- what keepers say ---- */

/* Its password was right a short while ago. So it is most likely now, and its keeper says nothing unless it is not. */
static void take_for_proven(struct attempts *a, size_t at, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	let_verify(a, at, now); /* no guess */
	workers_set(a->workers, at, WORKER_REMEMBERED);
	give_line_back(a, w);
	line_limit_give_back(&a->ends, !w->quiet);
}

static void hear_attempt(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	w->line = LINE_UNKNOWN;
	/* Who comes through a gateway is a source of his own. */
	const uint64_t source = a->workers->rows->sources[at];
	const uint64_t mixed = settings_gateway(a->settings, source) ? source ^ word->hash.account : address_guesser(source);
	w->guess = (struct guess){ .source = mixed, .account = word->hash.account, .password = word->hash.password[0] };
	w->hash = word->hash;
	a->workers->rows->accounts[at] = word->hash.account;
	w->until = now + ATTEMPT_HOLD_MS;
	w->proven = proven_check(&a->proven, &w->hash, now, 1000LL * (long long)a->settings->login_cache);
	w->trusted = w->proven != 0; /* should it have to be hashed after all */
	if (w->proven != 0)
		take_for_proven(a, at, now);
	else
		decide(a, at, now);
}

static void hear_room(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	workers_set(a->workers, at, WORKER_VERIFYING);
	/* Who waits for more and keeps what it has may wait for others who do the same. */
	release_room(a, at, now);
	w->until = now + ATTEMPT_HOLD_MS;
	w->room_wanted = word->mebibytes;
	/* Behind those who wait, also where it would fit beside them. */
	grant_waiting(a, now);
}

static void hear_failed(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	workers_set(a->workers, at, WORKER_STRANGER);
	settle(a, at, GUESS_WRONG, word->reason, word->owner, now);
}

static void hear_moot(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	(void)word;
	workers_set(a->workers, at, WORKER_STRANGER);
	settle(a, at, GUESS_MOOT, 0, 0, now);
}

static void hear_proven(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	const struct worker *w = &a->workers->rows->list[at];
	const enum worker_state state = a->workers->rows->states[at];
	/* What was found is not prolonged, and of what was right for no record nothing is kept. */
	if (a->settings->login_cache > 0 && state != WORKER_STRANGER && word->record != w->proven)
		proven_put(&a->proven, &w->hash, word->record, now);
	workers_set(a->workers, at, WORKER_PROVEN);
	if (state != WORKER_REMEMBERED)
		line_limit_give_back(&a->ends, !w->quiet);
	settle(a, at, GUESS_RIGHT, 0, 0, now);
}

/* Of a session whose keeper has said no more: what was taken for right was. */
static enum guess_outcome outcome_at_end(const struct attempts *a, size_t at)
{
	return a->workers->rows->states[at] == WORKER_REMEMBERED ? GUESS_RIGHT : GUESS_MOOT;
}

/* Only a shared worker has anything to say about this: any other has seen one client, and is not to meet a second. */
static void hear_free(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	(void)word;
	settle(a, at, outcome_at_end(a, at), 0, 0, now);
	w->words = 0;
	a->workers->rows->sources[at] = 0;
	workers_set(a->workers, at, WORKER_IDLE);
}

static bool is_shared(const struct worker *w)
{
	return w->sessions > 1;
}

enum { BEING_VERIFIED = 1u << WORKER_VERIFYING | 1u << WORKER_REMEMBERED };

/* What is legal in which state. */
static const struct word_row {
	unsigned states;
	void (*hear)(struct attempts *a, size_t at, const struct keeper_word *word, long long now);
	bool (*of)(const struct worker *w);  /* for which workers; NULL: for all */
} words[KEEPER_VERBS] = {
	[KEEPER_ATTEMPT] = { 1u << WORKER_STRANGER, hear_attempt, NULL },
	[KEEPER_ROOM] = { BEING_VERIFIED, hear_room, NULL },
	[KEEPER_FAILED] = { BEING_VERIFIED, hear_failed, NULL },
	[KEEPER_MOOT] = { BEING_VERIFIED | 1u << WORKER_HELD | 1u << WORKER_STRANGER | 1u << WORKER_PROVEN, hear_moot, NULL },
	[KEEPER_PROVEN] = { BEING_VERIFIED | 1u << WORKER_STRANGER, hear_proven, NULL },
	[KEEPER_FREE] = { 1u << WORKER_STRANGER | 1u << WORKER_PROVEN | 1u << WORKER_REMEMBERED, hear_free, is_shared },
};

void attempts_made(const struct attempts *a, size_t at)
{
	struct worker *w = &a->workers->rows->list[at];
	w->sessions = (unsigned)a->settings->sessions;
	w->words_most = ATTEMPT_WORDS * ((unsigned)a->settings->login_tries + 1);
}

/* A keeper asks for what a hash takes, which is something, and no more than auth/ lets it. */
static bool asks_wrongly(const struct keeper_word *word)
{
	return word->verb == KEEPER_ROOM && (word->mebibytes == 0 || word->mebibytes > HASH_MEMORY_MIB_MAX);
}

bool attempts_hear(struct attempts *a, size_t at, const struct keeper_word *word, long long now)
{
	struct worker *w = &a->workers->rows->list[at];
	const enum worker_state state = a->workers->rows->states[at];
	/* Said before it heard that. */
	const bool late = state == WORKER_LEAVING;
	const struct word_row *row = word->verb > 0 && word->verb < KEEPER_VERBS ? &words[word->verb] : NULL;
	const bool legal = late || (row != NULL && (row->states & 1u << state) != 0 && (row->of == NULL || row->of(w)) && !asks_wrongly(word));
	if (!legal || ++w->words > w->words_most) {
		log_line(LOG_CRIT, "keeper %ld (%s) said verb %lu, as its word %u, in state %d: not listened to any more", (long)a->workers->rows->pids[at], w->peer,
		         (unsigned long)word->verb, w->words, (int)state);
		return false;
	}
	if (!late)
		row->hear(a, at, word, now);
	return true;
}

bool attempts_begin(struct attempts *a, long long now)
{
	return !line_limit_take(&a->ends, now);
}

void attempts_end(struct attempts *a, size_t at, long long now)
{
	/* Nobody is there to write it. */
	if (a->workers->rows->states[at] == WORKER_VERIFYING)
		give_line_back(a, &a->workers->rows->list[at]);
	settle(a, at, outcome_at_end(a, at), 0, 0, now);
}

/* ---- timers ---- */

/* When something is to be done about that worker's attempt, 0: nothing. */
static long long timer_of(const struct workers *t, size_t at)
{
	const struct worker *w = &t->rows->list[at];
	switch (t->rows->states[at]) {
	case WORKER_HELD: return w->due > 0 ? w->due : w->until;
	case WORKER_VERIFYING: return w->room_wanted > 0 ? w->until : 0;
	default: return 0;
	}
}

long long attempts_due(const struct attempts *a)
{
	const struct workers *t = a->workers;
	long long due = sooner(line_limit_due(&a->failures), line_limit_due(&a->ends));
	for (size_t i = 0; t->of_state[WORKER_HELD] + t->of_state[WORKER_VERIFYING] > 0 && i < t->count; i++)
		due = sooner(due, timer_of(t, i));
	return due;
}

static void say_sums(struct attempts *a, long long now)
{
	unsigned seconds;
	unsigned long n = line_limit_sum(&a->failures, now, &seconds);
	if (n > 0)
		log_line(LOG_NOTICE, "%lu more failed logins in %u seconds; `postern log` has them", n, seconds);
	n = line_limit_sum(&a->ends, now, &seconds);
	if (n > 0)
		log_line(LOG_NOTICE, "%lu more connections without a login in %u seconds", n, seconds);
}

void attempts_run(struct attempts *a, long long now)
{
	const struct workers *t = a->workers;
	for (size_t i = 0; t->of_state[WORKER_HELD] + t->of_state[WORKER_VERIFYING] > 0 && i < t->count; i++) {
		struct worker *w = &t->rows->list[i];
		const long long timer = timer_of(t, i);
		if (timer == 0 || now < timer)
			continue;
		if (t->rows->states[i] == WORKER_VERIFYING) {
			w->room_wanted = 0;
			answer(a, i, (struct job){ .verb = JOB_REFUSED, .seconds = ATTEMPT_AGAIN_SECONDS }, now);
		} else if (w->due > 0) {
			let_verify(a, i, now);
		} else {
			refuse(a, i, ATTEMPT_AGAIN_SECONDS, now);
		}
	}
	say_sums(a, now);
}
