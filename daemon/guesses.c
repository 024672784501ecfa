/*
 * guesses.c - what is remembered of wrong passwords, and how long the next one has to wait for it.
 * Runs in: master. Trusts: nothing.
 */
#include "daemon/guesses.h"

#include <sodium.h>
#include <string.h>

#include "daemon/privilege.h"

/* One thing that is remembered; what .value is depends on the kind. */
struct guess_mark {
	uint32_t tag;       /* the hash's upper half; 0: nothing here */
	uint32_t seen;      /* seconds: last change */
	uint32_t value;     /* source: tenths of a second, when its next attempt may start; repeat: the owner's uid */
	uint16_t failures;  /* repeat: the reason */
	uint16_t pending;   /* attempts that were let go and are not settled */
};

_Static_assert(sizeof(struct guess_mark) == GUESS_MARK_OCTETS, "what a network costs");

enum { DAY_SECONDS = 86400, FAILURES_MAX = 1000, DOUBLINGS_MAX = 10 };

const size_t guess_marks[GUESS_KINDS] = {
	[GUESS_SOURCES] = 1 << 19, [GUESS_ACCOUNTS] = 1 << 17, [GUESS_PAIRS] = 1 << 17, [GUESS_REPEATS] = 1 << 17,
};

int guesses_open(struct guesses *g, long long now)
{
	*g = (struct guesses){ .begun = now };
	for (int kind = 0; kind < GUESS_KINDS; kind++) {
		g->marks[kind] = private_memory(guess_marks[kind] * sizeof *g->marks[kind] + (kind == GUESS_SOURCES ? crypto_shorthash_KEYBYTES : 0));
		if (g->marks[kind] == NULL)
			return -1;
	}
	g->key = (unsigned char *)(g->marks[GUESS_SOURCES] + guess_marks[GUESS_SOURCES]);
	crypto_shorthash_keygen(g->key);
	return 0;
}

static uint32_t seconds_of(const struct guesses *g, long long now)
{
	return (uint32_t)((now - g->begun) / 1000);
}

/* Failures that are not forgiven yet. */
static unsigned weight(const struct guess_mark *m, uint32_t second)
{
	unsigned forgiven = (second - m->seen) / GUESS_FORGIVE_SECONDS;
	return m->failures > forgiven ? m->failures - forgiven : 0;
}

/* How much is lost if it is forgotten. */
static uint64_t worth(enum guess_kind kind, const struct guess_mark *m, uint32_t second)
{
	const uint64_t failures = kind == GUESS_SOURCES || kind == GUESS_ACCOUNTS ? weight(m, second) : 0;
	return (uint64_t)(m->pending > 0) << 63 | failures << 32 | m->seen;
}

/* The mark of that kind for the attempt; when there is none: NULL, or, if make, an empty one in the place of what matters least. */
static struct guess_mark *mark_of(struct guesses *g, enum guess_kind kind, const struct guess *guess, uint32_t second, bool make)
{
	const uint64_t words[] = { (uint64_t)kind, kind == GUESS_ACCOUNTS ? 0 : guess->source, kind == GUESS_SOURCES ? 0 : guess->account,
	                           kind == GUESS_REPEATS ? guess->password : 0 };
	uint64_t hash;
	(void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)words, sizeof words, g->key);
	struct guess_mark *bucket = g->marks[kind] + (uint32_t)hash % (guess_marks[kind] / GUESS_WAYS) * GUESS_WAYS, *least = bucket;
	uint32_t tag = (uint32_t)(hash >> 32);
	tag += tag == 0;
	for (struct guess_mark *m = bucket; m < bucket + GUESS_WAYS; m++) {
		if (m->tag == tag)
			return m;
		if (least->tag != 0 && (m->tag == 0 || worth(kind, m, second) < worth(kind, least, second)))
			least = m;
	}
	if (!make)
		return NULL;
	*least = (struct guess_mark){ .tag = tag, .seen = second };
	return least;
}

/* One more failure, on top of those that are not forgiven. */
static void add_failure(struct guess_mark *m, uint32_t second)
{
	const unsigned now = weight(m, second);
	if (now == 0)
		m->seen = second;
	else
		m->seen += (m->failures - now) * GUESS_FORGIVE_SECONDS;
	m->failures = (uint16_t)(now < FAILURES_MAX ? now + 1 : FAILURES_MAX);
}

/* The wait behind so many failures, in milliseconds. */
static long long wait_after(const struct guess_rule *rule, unsigned failures)
{
	if (failures < rule->free_failures)
		return 0;
	const unsigned doublings = failures - rule->free_failures;
	const long long ms = 1000LL << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
	return ms < 1000LL * rule->longest_wait ? ms : 1000LL * rule->longest_wait;
}

/* When a network's next attempt may start. */
static long long start_of(const struct guesses *g, const struct guess_mark *source, long long now)
{
	const long long free_at = g->begun + 100LL * source->value;
	return free_at > now ? free_at : now;
}

static void set_start(const struct guesses *g, struct guess_mark *source, long long at)
{
	source->value = (uint32_t)((at - g->begun + 99) / 100);
}

static bool is_trusted(const struct guess_mark *pair, uint32_t second)
{
	return pair != NULL && second - pair->seen < (uint32_t)GUESS_PAIR_DAYS * DAY_SECONDS && pair->failures < GUESS_PAIR_FAILURES;
}

struct guess_ruling guesses_ask(struct guesses *g, const struct guess_rule *rule, const struct guess *guess, long long now)
{
	const uint32_t second = seconds_of(g, now);
	const struct guess_mark *repeat = mark_of(g, GUESS_REPEATS, guess, second, false);
	if (repeat != NULL && second - repeat->seen < rule->repeat_seconds)
		return (struct guess_ruling){ .answer = GUESS_REPEATED, .reason = repeat->failures, .owner = repeat->value };
	if (rule->free_failures == 0)
		return (struct guess_ruling){ .answer = GUESS_GO, .due = now, .trusted = true };
	struct guess_mark *pair = mark_of(g, GUESS_PAIRS, guess, second, false);
	if (is_trusted(pair, second)) {
		/* Counted as wrong until it is known to be right. */
		pair->failures++;
		return (struct guess_ruling){ .answer = GUESS_GO, .due = now, .trusted = true };
	}
	struct guess_mark *source = mark_of(g, GUESS_SOURCES, guess, second, true), *account = mark_of(g, GUESS_ACCOUNTS, guess, second, true);
	const unsigned source_failures = weight(source, second), account_failures = weight(account, second);
	const bool penalized = source_failures >= rule->free_failures || account_failures >= rule->free_failures;
	if (!penalized && (source_failures + source->pending >= rule->free_failures || account_failures + account->pending >= rule->free_failures))
		return (struct guess_ruling){ .answer = GUESS_HOLD };
	struct guess_ruling ruling = { .answer = GUESS_GO, .due = start_of(g, source, now) };
	if (ruling.due - now > GUESS_QUEUE_MS)
		return (struct guess_ruling){ .answer = GUESS_REFUSED, .seconds = (unsigned)((ruling.due - now + 999) / 1000) };
	if (penalized) {
		/* Those that are under way count as wrong. */
		const unsigned of_source = source_failures + source->pending, of_account = account_failures + account->pending;
		const unsigned failures = of_source > of_account ? of_source : of_account;
		set_start(g, source, ruling.due + wait_after(rule, failures));
	}
	source->pending++;
	account->pending++;
	return ruling;
}

static void unpend(struct guess_mark *m)
{
	if (m != NULL && m->pending > 0)
		m->pending--;
}

static void settle_wrong(struct guesses *g, const struct guess_rule *rule, const struct guess *guess, unsigned reason, uint32_t owner, long long now)
{
	const uint32_t second = seconds_of(g, now);
	if (rule->free_failures > 0) {
		struct guess_mark *source = mark_of(g, GUESS_SOURCES, guess, second, true);
		add_failure(source, second);
		add_failure(mark_of(g, GUESS_ACCOUNTS, guess, second, true), second);
		const long long next = now + wait_after(rule, weight(source, second));
		if (next > start_of(g, source, now))
			set_start(g, source, next);
	}
	if (reason == 0 || rule->repeat_seconds == 0)
		return;
	struct guess_mark *repeat = mark_of(g, GUESS_REPEATS, guess, second, true);
	repeat->seen = second;
	repeat->failures = (uint16_t)reason;
	repeat->value = owner;
}

void guesses_settle(struct guesses *g, const struct guess_rule *rule, const struct guess *guess, bool trusted, enum guess_outcome outcome,
                    unsigned reason, uint32_t owner, long long now)
{
	const uint32_t second = seconds_of(g, now);
	struct guess_mark *pair = mark_of(g, GUESS_PAIRS, guess, second, outcome == GUESS_RIGHT);
	if (!trusted) {
		unpend(mark_of(g, GUESS_SOURCES, guess, second, false));
		unpend(mark_of(g, GUESS_ACCOUNTS, guess, second, false));
	}
	switch (outcome) {
	case GUESS_RIGHT:
		if (pair != NULL) {
			pair->seen = second;
			pair->failures = 0;
		}
		break;
	case GUESS_MOOT:
		if (trusted && pair != NULL && pair->failures > 0)
			pair->failures--;
		break;
	case GUESS_WRONG:
		if (!trusted && pair != NULL && pair->failures < GUESS_PAIR_FAILURES)
			pair->failures++;
		settle_wrong(g, rule, guess, reason, owner, now);
		break;
	}
}
