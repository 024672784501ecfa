/*
 * test_attempts_room.c - daemon/attempts.c: the memory that verifications may use, and who gets it.
 * Runs in: the tests; keepers are played, the clock is made up.
 */
#include "tests/unit/daemon/attempts_fixture.h"

/* Memory for hashes: what is there is shared, who is too large goes alone, a death gives it back. */
static void test_room(void)
{
	struct job job;
	begin(5, false);
	settings.free_failures = 100;
	for (size_t i = 0; i < 5; i++)
		CU_ASSERT(say(i, KEEPER_ATTEMPT, i + 1) && heard(i, &job) == JOB_VERIFY);
	CU_ASSERT(say(0, KEEPER_ROOM, 64) && heard(0, &job) == JOB_ROOM);
	now++;
	CU_ASSERT(say(1, KEEPER_ROOM, 64) && heard(1, &job) == 0);
	now++;
	CU_ASSERT(say(2, KEEPER_ROOM, 200) && heard(2, &job) == 0);
	now++;
	CU_ASSERT(say(3, KEEPER_ROOM, 30) && heard(3, &job) == 0);
	CU_ASSERT(say(0, KEEPER_FAILED, 0) && heard(1, &job) == JOB_ROOM && heard(2, &job) == 0 && heard(3, &job) == 0);
	CU_ASSERT(say(3, KEEPER_PROVEN, 0) && heard(2, &job) == 0);
	attempts_end(&attempts, 1, now);
	CU_ASSERT(heard(2, &job) == JOB_ROOM);
	CU_ASSERT(say(4, KEEPER_ROOM, 1) && heard(4, &job) == 0);
	now += ATTEMPT_HOLD_MS;
	attempts_run(&attempts, now);
	CU_ASSERT(heard(4, &job) == JOB_REFUSED && attempts.room == 200);
	CU_ASSERT(say(2, KEEPER_MOOT, 0) && attempts.room == 0);
	/* Nor is anything added up to less than there was. */
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 9) && heard(0, &job) == JOB_VERIFY);
	CU_ASSERT(!say(0, KEEPER_ROOM, UINT32_MAX) && !say(0, KEEPER_ROOM, HASH_MEMORY_MIB_MAX + 1) && heard(0, &job) == 0 && attempts.room == 0);
	CU_ASSERT(say(0, KEEPER_ROOM, HASH_MEMORY_MIB_MAX) && heard(0, &job) == JOB_ROOM);
	end();
}

/* Who asks anew, for the next back end, has given back what it had: those who have some and want more would wait for each other. */
static void test_room_anew(void)
{
	struct job job;
	begin(2, false);
	for (size_t i = 0; i < 2; i++)
		CU_ASSERT(say(i, KEEPER_ATTEMPT, i + 1) && heard(i, &job) == JOB_VERIFY && say(i, KEEPER_ROOM, 50) && heard(i, &job) == JOB_ROOM);
	CU_ASSERT(attempts.room == 100);
	CU_ASSERT(say(0, KEEPER_ROOM, 60) && heard(0, &job) == 0);
	now++;
	CU_ASSERT(say(1, KEEPER_ROOM, 60) && heard(0, &job) == JOB_ROOM && heard(1, &job) == 0 && attempts.room == 60);
	CU_ASSERT(say(0, KEEPER_FAILED, 0) && heard(1, &job) == JOB_ROOM && attempts.room == 60);
	CU_ASSERT(say(1, KEEPER_FAILED, 0) && attempts.room == 0);
	end();
}

/* A large one, and those behind it, are not passed by small ones that come later, however many. */
static void test_room_in_turn(void)
{
	struct job job;
	begin(KEEPERS_MAX, false);
	settings.free_failures = 100;
	for (size_t i = 0; i < KEEPERS_MAX; i++)
		CU_ASSERT(say(i, KEEPER_ATTEMPT, i + 1) && heard(i, &job) == JOB_VERIFY);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT(say(i, KEEPER_ROOM, 30) && heard(i, &job) == JOB_ROOM);
	now++;
	CU_ASSERT(say(3, KEEPER_ROOM, 80) && heard(3, &job) == 0);
	now++;
	CU_ASSERT(say(4, KEEPER_ROOM, 30) && heard(4, &job) == 0);
	/* Each time that one is done, another comes. */
	for (size_t i = 0; i < 3; i++) {
		now++;
		CU_ASSERT(say(i, KEEPER_FAILED, 0) && say(5 + i, KEEPER_ROOM, 10));
	}
	CU_ASSERT(heard(3, &job) == JOB_ROOM && heard(4, &job) == 0 && heard(5, &job) == 0);
	CU_ASSERT(say(3, KEEPER_FAILED, 0) && heard(4, &job) == JOB_ROOM && heard(5, &job) == JOB_ROOM && heard(7, &job) == JOB_ROOM);
	end();
}

/* Who has logged in from there before does not wait behind strangers' guesses; those wait in turn. */
static void test_room_of_the_known(void)
{
	struct job job;
	begin(6, false);
	for (size_t i = 4; i < 6; i++) {
		CU_ASSERT(say(i, KEEPER_ATTEMPT, i + 1) && heard(i, &job) == JOB_VERIFY && say(i, KEEPER_PROVEN, 0));
		workers_set(&workers, i, WORKER_STRANGER);
	}
	settings.free_failures = 100;
	for (size_t i = 0; i < 6; i++)
		CU_ASSERT(say(i, KEEPER_ATTEMPT, i + 1) && heard(i, &job) == JOB_VERIFY);
	for (size_t i = 0; i < 6; i++) {
		now++;
		CU_ASSERT(say(i, KEEPER_ROOM, 60) && heard(i, &job) == (i == 0 ? JOB_ROOM : 0));
	}
	static const size_t order[] = { 0, 4, 5, 1, 2, 3 };
	for (size_t i = 0; i + 1 < sizeof order / sizeof *order; i++) {
		CU_ASSERT(say(order[i], KEEPER_FAILED, 0));
		for (size_t k = i + 1; k < sizeof order / sizeof *order; k++)
			CU_ASSERT(heard(order[k], &job) == (k == i + 1 ? JOB_ROOM : 0));
	}
	end();
}

#define TESTS(X) X(test_room) X(test_room_anew) X(test_room_in_turn) X(test_room_of_the_known)
SUITE("memory for verifications")
