/*
 * test_admission.c - daemon/admission.c and daemon/workers.c: who is let in, and who makes room.
 * Runs in: the tests; no worker is a process.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/admission.h"
#include "tests/unit/suite.h"

static struct workers t;
static struct settings settings = { .max = 10, .per_source = 6 };
static const long long NOW = 100000;

static void empty(void)
{
	while (t.count > 0)
		workers_remove(&t, t.count - 1);
}

/* Another worker in that state, for that source, whose connection came at that time. */
static size_t put(enum worker_state state, uint64_t source, long long since)
{
	static uint64_t number;
	CU_ASSERT_FATAL(t.rows != NULL || workers_open(&t) == 0);
	const ssize_t at = workers_add(&t, (pid_t)(1000 + number), -1, number);
	number++;
	CU_ASSERT_FATAL(at >= 0);
	workers_set(&t, (size_t)at, state);
	t.rows->sources[at] = source;
	t.rows->list[at].since = since;
	return (size_t)at;
}

static enum admission decide(uint64_t source, uint32_t chance, size_t *victim_r)
{
	size_t open;
	*victim_r = SIZE_MAX;
	return admission_decide(&t, &settings, source, chance, NOW, &open, victim_r);
}

static void test_table(void)
{
	size_t unproven;
	const size_t a = put(WORKER_STRANGER, 7, 5), b = put(WORKER_PROVEN, 7, 4), c = put(WORKER_HELD, 7, 3), d = put(WORKER_IDLE, 7, 0);
	const pid_t pid = t.rows->pids[d];
	const uint64_t number = t.rows->numbers[d];
	CU_ASSERT(workers_of_source(&t, 7, &unproven) == 3 && unproven == 2 && workers_unproven(&t) == 2);
	CU_ASSERT(workers_by_pid(&t, pid) == (ssize_t)d && workers_by_number(&t, number) == (ssize_t)d);
	CU_ASSERT(workers_first(&t, WORKER_IDLE) == (ssize_t)d && workers_oldest(&t, WORKER_STRANGER) == (ssize_t)a);
	CU_ASSERT(workers_oldest(&t, WORKER_VERIFYING) == -1 && workers_first(&t, WORKER_LEAVING) == -1);
	/* The last one takes the place of one that goes. */
	workers_remove(&t, a);
	CU_ASSERT(t.count == 3 && workers_by_pid(&t, pid) == (ssize_t)a && t.rows->states[a] == WORKER_IDLE && t.rows->numbers[a] == number);
	CU_ASSERT(t.of_state[WORKER_STRANGER] == 0 && workers_of_source(&t, 7, &unproven) == 2 && unproven == 1);
	CU_ASSERT(workers_by_pid(&t, 999999) == -1 && workers_by_number(&t, 999999) == -1);
	(void)b;
	(void)c;
	empty();
	/* As many as there are rows, and no more. */
	for (uint64_t i = 0; i < WORKERS_MAX; i++)
		(void)put(WORKER_STRANGER, i, WORKERS_MAX - (long long)i);
	CU_ASSERT(t.count == WORKERS_MAX && workers_oldest(&t, WORKER_STRANGER) == WORKERS_MAX - 1);
	CU_ASSERT(workers_add(&t, 1, -1, 0) == -1 && t.count == WORKERS_MAX);
	while (t.count > 0)
		workers_remove(&t, 0);
	CU_ASSERT(t.of_state[WORKER_STRANGER] == 0);
}

/* Ten workers at most; what is there, and what becomes of one more from source 1. */
static void test_decisions(void)
{
	static const struct {
		const char *label;
		size_t own, own_proven;      /* of source 1: strangers, sessions */
		size_t others, sessions, verifying, idle, leaving;
		uint32_t chance;
		enum admission want;
	} rows[] = {
		/*                           own  proven  others sessions verifying idle leaving chance */
		{ "an empty house",           0,   0,      0,     0,       0,        0,   0,      0,   ADMIT },
		{ "one more of many",         5,   0,      0,     0,       0,        0,   0,      4,   ADMIT },
		{ "all that one may have",    6,   0,      0,     0,       0,        0,   0,      4,   ADMIT_NOT_SOURCE },
		{ "sessions count as well",   1,   5,      0,     0,       0,        0,   0,      4,   ADMIT_NOT_SOURCE },
		{ "half is no crowd",         1,   0,      4,     0,       0,        0,   0,      0,   ADMIT },
		{ "a crowd, unlucky",         1,   0,      7,     0,       0,        0,   0,      2,   ADMIT_NOT_CROWDED },
		{ "a crowd, lucky",           1,   0,      7,     0,       0,        0,   0,      3,   ADMIT },
		{ "a crowd, only sessions",   0,   2,      8,     0,       0,        0,   0,      0,   ADMIT_EVICTING },
		{ "a crowd, the first one",   0,   0,      9,     0,       0,        0,   0,      0,   ADMIT },
		{ "those who verify crowd",   1,   0,      0,     0,       7,        0,   0,      2,   ADMIT_NOT_CROWDED },
		{ "full of strangers",        0,   0,     10,     0,       0,        0,   0,      0,   ADMIT_EVICTING },
		{ "full of sessions",         0,   0,      0,    10,       0,        0,   0,      0,   ADMIT_NOT_FULL },
		{ "one stranger among them",  0,   0,      1,     9,       0,        0,   0,      0,   ADMIT_EVICTING },
		{ "full, they verify",        0,   0,      0,     0,      10,        0,   0,      0,   ADMIT_NOT_FULL },
		{ "full, one is idle",        0,   0,      9,     0,       0,        1,   0,      0,   ADMIT },
		{ "one is on its way out",    0,   0,      9,     0,       0,        0,   1,      0,   ADMIT },
		{ "too many are",             0,   0,     10,     0,       0,        0,   LEAVING_MAX, 0, ADMIT_NOT_FULL },
	};
	size_t victim;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t other = 100;
		for (size_t n = 0; n < rows[i].own; n++)
			(void)put(WORKER_STRANGER, 1, 0);
		for (size_t n = 0; n < rows[i].own_proven; n++)
			(void)put(WORKER_PROVEN, 1, 0);
		for (size_t n = 0; n < rows[i].others; n++)
			(void)put(WORKER_STRANGER, ++other, 0);
		for (size_t n = 0; n < rows[i].sessions; n++)
			(void)put(WORKER_PROVEN, ++other, 0);
		for (size_t n = 0; n < rows[i].verifying; n++)
			(void)put(WORKER_VERIFYING, ++other, 0);
		for (size_t n = 0; n < rows[i].idle; n++)
			(void)put(WORKER_IDLE, 0, 0);
		for (size_t n = 0; n < rows[i].leaving; n++)
			(void)put(WORKER_LEAVING, ++other, 0);
		const enum admission got = decide(1, rows[i].chance, &victim);
		ROW_ASSERT(rows[i].label, got == rows[i].want);
		ROW_ASSERT(rows[i].label, (got == ADMIT_EVICTING) == (victim != SIZE_MAX) && (victim == SIZE_MAX || t.rows->states[victim] == WORKER_STRANGER));
		empty();
	}
}

static void test_gateway(void)
{
	size_t victim;
	settings.gateways = (struct source_list){ .count = 1, .list = { 1 } };
	for (int i = 0; i < 9; i++)
		(void)put(WORKER_STRANGER, 1, 0);
	CU_ASSERT(decide(1, 0, &victim) == ADMIT);
	settings.gateways.list[0] = 2;
	CU_ASSERT(decide(1, 0, &victim) == ADMIT_NOT_SOURCE);
	settings.gateways.count = 0;
	empty();
}

/* The oldest goes, strangers before those who wait for their turn, and nobody before his time. */
static void test_victim(void)
{
	static const struct { const char *label; long long stranger, held; int want; } rows[] = {
		{ "the stranger", NOW - 5000, NOW - 9000, 0 },
		{ "a young stranger, an old one who waits", NOW - 100, NOW - 9000, 1 },
		{ "just old enough", NOW - EVICT_AFTER_MS, NOW, 0 },
		{ "both too young", NOW - EVICT_AFTER_MS + 1, NOW - 10, -1 },
	};
	size_t victim;
	settings.max = 4;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const size_t at[] = { put(WORKER_STRANGER, 2, rows[i].stranger), put(WORKER_HELD, 3, rows[i].held) };
		(void)put(WORKER_STRANGER, 4, NOW);
		(void)put(WORKER_PROVEN, 5, 0);
		const enum admission got = decide(1, 0, &victim);
		ROW_ASSERT(rows[i].label, got == (rows[i].want < 0 ? ADMIT_NOT_FULL : ADMIT_EVICTING));
		ROW_ASSERT(rows[i].label, rows[i].want < 0 || victim == at[rows[i].want]);
		empty();
	}
	settings.max = 10;
}

/* Who only waits for memory to be verified in goes, too, after all others; who is being verified never does. */
static void test_no_room_yet(void)
{
	static const struct { const char *label; long long since; unsigned room, wanted; bool known, held; enum admission want; } rows[] = {
		{ "it waits", 0, 0, 19, false, false, ADMIT_EVICTING },
		{ "it has logged in from there, another has not", 0, 0, 19, true, false, ADMIT_EVICTING },
		{ "it has its memory", 0, 19, 0, false, false, ADMIT_NOT_FULL },
		{ "it wants more", 0, 19, 19, false, false, ADMIT_NOT_FULL },
		{ "it came just now", NOW - EVICT_AFTER_MS + 1, 0, 19, false, false, ADMIT_NOT_FULL },
		{ "one is not even that far", 0, 0, 19, false, true, ADMIT_EVICTING },
	};
	size_t victim;
	settings.max = 4;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const size_t young = put(WORKER_VERIFYING, 2, rows[i].since + 1), at = put(WORKER_VERIFYING, 3, rows[i].since);
		t.rows->list[young].room = t.rows->list[at].room = rows[i].room;
		t.rows->list[young].room_wanted = t.rows->list[at].room_wanted = rows[i].wanted;
		t.rows->list[at].trusted = rows[i].known;
		(void)put(WORKER_VERIFYING, 4, 0);
		const size_t other = put(rows[i].held ? WORKER_HELD : WORKER_PROVEN, 5, 10);
		const enum admission got = decide(1, 0, &victim);
		ROW_ASSERT(rows[i].label, got == rows[i].want);
		ROW_ASSERT(rows[i].label, got != ADMIT_EVICTING || victim == (rows[i].held ? other : rows[i].known ? young : at));
		empty();
	}
	settings.max = 10;
}

#define TESTS(X) X(test_table) X(test_decisions) X(test_gateway) X(test_victim) X(test_no_room_yet)
SUITE("admission")
