/*
 * test_guesses.c - daemon/guesses.c: how long the next password waits for the wrong ones before it.
 * Runs in: the tests; the clock is made up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/why.h"
#include "daemon/guesses.h"
#include "tests/unit/suite.h"

static struct guesses g;
static long long now = 1000000;
static const struct guess_rule rule = { .free_failures = 4, .longest_wait = 15, .repeat_seconds = 600 };

static void begin(void)
{
	CU_ASSERT_FATAL(guesses_open(&g, now) == 0);
}

static void end(void)
{
	for (int kind = 0; kind < GUESS_KINDS; kind++)
		(void)munmap(g.marks[kind], guess_marks[kind] * GUESS_MARK_OCTETS);
}

static uint64_t next_password = 1;

/* Another password each time. */
static struct guess guess_of(uint64_t source, uint64_t account)
{
	return (struct guess){ .source = source, .account = account, .password = ++next_password };
}

static struct guess_ruling ask(const struct guess *guess)
{
	return guesses_ask(&g, &rule, guess, now);
}

static void settle(const struct guess *guess, const struct guess_ruling *r, enum guess_outcome outcome)
{
	guesses_settle(&g, &rule, guess, r->trusted, outcome, REASON_PASSWORD_WRONG, 1000, now);
}

/* One attempt from its start to its outcome. The milliseconds it waited, or -1: it was not let go. */
static long long attempt(uint64_t source, uint64_t account, enum guess_outcome outcome)
{
	const struct guess guess = guess_of(source, account);
	const struct guess_ruling r = ask(&guess);
	if (r.answer != GUESS_GO)
		return -1;
	const long long waited = r.due > now ? r.due - now : 0;
	now += waited;
	settle(&guess, &r, outcome);
	return waited;
}

/* One after the other from one address: free ones, then longer and longer waits. */
static void test_serial(void)
{
	static const long long want[] = { 0, 0, 0, 0, 1000, 2000, 4000, 8000, 15000, 15000, 15000 };
	char label[32];
	begin();
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		(void)snprintf(label, sizeof label, "attempt %zu", i + 1);
		const long long got = attempt(1, 100 + i, GUESS_WRONG);
		ROW_ASSERT(label, got >= want[i] && got <= want[i] + 100);
	}
	/* Others do not wait. */
	CU_ASSERT(attempt(2, 900, GUESS_WRONG) == 0);
	/* One is forgiven each minute. */
	now += 60000LL * 30;
	CU_ASSERT(attempt(1, 901, GUESS_WRONG) == 0);
	end();
}

/* As many attempts as anybody likes at the same time: verified are no more than one after the other, in any minute. */
static void test_parallel(void)
{
	enum { MANY = 64, MINUTES = 10 };
	struct guess open[MANY];
	struct guess_ruling rulings[MANY];
	long long serial_end = 0;
	unsigned serial = 0, parallel = 0;
	begin();
	const long long start = now;
	while (now - start < 60000LL * MINUTES && attempt(1, 7, GUESS_WRONG) >= 0)
		serial++;
	serial_end = now;
	end();
	begin();
	now = serial_end;
	bool busy[MANY] = { false };
	for (long long t = 0; t < 60000LL * MINUTES; t += 100, now += 100) {
		for (size_t i = 0; i < MANY; i++) {
			if (!busy[i]) {
				open[i] = guess_of(1, 7);
				rulings[i] = ask(&open[i]);
				busy[i] = rulings[i].answer == GUESS_GO;
			} else if (now >= rulings[i].due) {
				settle(&open[i], &rulings[i], GUESS_WRONG);
				busy[i] = false;
				parallel++;
			}
		}
	}
	CU_ASSERT(serial >= 30 && parallel <= serial + 1);
	if (parallel > serial + 1)
		(void)fprintf(stderr, "serial %u, parallel %u\n", serial, parallel);
	end();
}

/* Before anything is known, so many are let go as may fail for nothing; the others when there is an outcome. */
static void test_hold(void)
{
	struct guess guesses[5];
	struct guess_ruling rulings[5];
	static const struct { const char *label; enum guess_outcome first; enum guess_answer then; } rows[] = {
		{ "right", GUESS_RIGHT, GUESS_GO }, { "moot", GUESS_MOOT, GUESS_GO }, { "wrong", GUESS_WRONG, GUESS_HOLD },
	};
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		begin();
		for (size_t i = 0; i < 5; i++) {
			guesses[i] = guess_of(1, 10 + i);
			rulings[i] = ask(&guesses[i]);
			ROW_ASSERT(rows[k].label, rulings[i].answer == (i < 4 ? GUESS_GO : GUESS_HOLD));
		}
		settle(&guesses[0], &rulings[0], rows[k].first);
		ROW_ASSERT(rows[k].label, ask(&guesses[4]).answer == rows[k].then);
		end();
	}
}

/* Who waits too long is told so, and takes no turn. */
static void test_refused(void)
{
	begin();
	for (int i = 0; i < 12; i++)
		(void)attempt(1, 5, GUESS_WRONG);
	const struct guess first = guess_of(1, 5), second = guess_of(1, 5), third = guess_of(1, 5);
	const struct guess_ruling a = ask(&first), b = ask(&second), c = ask(&third), again = ask(&third);
	CU_ASSERT(a.answer == GUESS_GO && a.due - now <= 15100);
	CU_ASSERT(b.answer == GUESS_REFUSED && b.seconds >= 29 && b.seconds <= 31);
	CU_ASSERT(c.answer == GUESS_REFUSED && again.answer == GUESS_REFUSED && again.seconds == b.seconds);
	end();
}

/* An account that others guess at: its user logs in from where he did before, and from anywhere at the first try. */
static void test_account(void)
{
	begin();
	CU_ASSERT(attempt(50, 7, GUESS_RIGHT) == 0);
	for (uint64_t source = 1000; source < 1200; source++)
		CU_ASSERT(attempt(source, 7, GUESS_WRONG) == 0);
	/* Each has one for nothing, and then waits. */
	CU_ASSERT(attempt(1100, 7, GUESS_WRONG) >= 14000);
	CU_ASSERT(attempt(50, 7, GUESS_RIGHT) == 0);
	CU_ASSERT(attempt(51, 7, GUESS_RIGHT) == 0);
	/* And where he is, others may guess as they like; other accounts there wait. */
	for (int i = 0; i < 20; i++)
		(void)attempt(50, 8, GUESS_WRONG);
	CU_ASSERT(attempt(50, 7, GUESS_RIGHT) == 0);
	CU_ASSERT(attempt(50, 9, GUESS_RIGHT) >= 1000);
	end();
}

/* Being known there is lost by wrong passwords. */
static void test_trust_lost(void)
{
	begin();
	CU_ASSERT(attempt(1, 7, GUESS_RIGHT) == 0);
	for (int i = 0; i < 12; i++)
		(void)attempt(1, 8, GUESS_WRONG);
	for (int i = 0; i < GUESS_PAIR_FAILURES; i++)
		CU_ASSERT(attempt(1, 7, GUESS_WRONG) == 0);
	CU_ASSERT(attempt(1, 7, GUESS_WRONG) >= 10000);
	end();
}

/* The same wrong password: asked once, until its time is over; nothing is counted. */
static void test_repeated(void)
{
	static const struct { const char *label; long long later; enum guess_answer want; } rows[] = {
		{ "at once", 0, GUESS_REPEATED }, { "after five minutes", 300000, GUESS_REPEATED }, { "after ten", 600000, GUESS_GO },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin();
		const struct guess guess = guess_of(1, 7);
		struct guess other_source = guess, other_account = guess, other_password = guess;
		other_source.source++;
		other_account.account++;
		other_password.password++;
		struct guess_ruling r = ask(&guess);
		settle(&guess, &r, GUESS_WRONG);
		now += rows[i].later;
		for (int k = 0; k < 20; k++)
			r = ask(&guess);
		ROW_ASSERT(rows[i].label, r.answer == (rows[i].want == GUESS_GO ? GUESS_HOLD : rows[i].want));
		if (rows[i].want == GUESS_REPEATED) {
			ROW_ASSERT(rows[i].label, r.reason == REASON_PASSWORD_WRONG && r.owner == 1000);
			ROW_ASSERT(rows[i].label, ask(&other_source).answer == GUESS_GO && ask(&other_account).answer == GUESS_GO && ask(&other_password).answer == GUESS_GO);
		}
		end();
	}
}

static void test_off(void)
{
	static const struct guess_rule off = { .free_failures = 0, .longest_wait = 15, .repeat_seconds = 0 };
	begin();
	for (int i = 0; i < 50; i++) {
		const struct guess guess = { .source = 1, .account = 2, .password = 3 };
		const struct guess_ruling r = guesses_ask(&g, &off, &guess, now);
		CU_ASSERT(r.answer == GUESS_GO && r.due == now);
		guesses_settle(&g, &off, &guess, r.trusted, GUESS_WRONG, REASON_PASSWORD_WRONG, 1, now);
	}
	end();
}

static size_t resident_kib(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	CU_ASSERT_FATAL(f != NULL && fscanf(f, "%lu %lu", &size, &resident) == 2);
	(void)fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* A million networks, a wrong password each: bounded memory, and who guessed most is not forgotten for them. */
static void test_million(void)
{
	enum { SOURCES = 1000000, LIMIT_KIB = 16 * 1024 };
	size_t total = 0;
	for (int kind = 0; kind < GUESS_KINDS; kind++)
		total += guess_marks[kind] * GUESS_MARK_OCTETS;
	CU_ASSERT(total <= (size_t)LIMIT_KIB * 1024);
	const size_t before = resident_kib();
	begin();
	for (int i = 0; i < 30; i++)
		(void)attempt(1, 7, GUESS_WRONG);
	for (uint64_t source = 2; source < SOURCES; source++) {
		const struct guess guess = guess_of(source << 20, source);
		const struct guess_ruling r = ask(&guess);
		settle(&guess, &r, GUESS_WRONG);
	}
	CU_ASSERT(resident_kib() - before <= LIMIT_KIB);
	const struct guess again = guess_of(1, 7);
	CU_ASSERT(ask(&again).due - now >= 10000);
	end();
}

/* A fork has nothing of it. */
static void test_fork(void)
{
	begin();
	(void)fflush(NULL);
	const pid_t child = fork();
	if (child == 0) {
		unsigned char page;
		/* ENOMEM: nothing is mapped there. */
		_exit(mincore(g.marks[GUESS_SOURCES], 1, &page) == -1 && mincore(g.marks[GUESS_REPEATS], 1, &page) == -1 ? 0 : 1);
	}
	int status = -1;
	CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
	end();
}

#define TESTS(X) X(test_serial) X(test_parallel) X(test_hold) X(test_refused) X(test_account) X(test_trust_lost) X(test_repeated) \
	X(test_off) X(test_million) X(test_fork)
SUITE("guesses")
