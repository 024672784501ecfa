/*
 * test_attempts.c - daemon/attempts.c, daemon/line_limit.c: what the master answers keepers, and when.
 * Runs in: the tests; keepers are played, the clock is made up.
 */
#include "tests/unit/daemon/attempts_fixture.h"

/* Right away; the same again; then waits, by a timer and not before. */
static void test_answers(void)
{
	struct job job;
	begin(1, true);
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_VERIFY && workers.rows->states[0] == WORKER_VERIFYING);
	CU_ASSERT(say(0, KEEPER_FAILED, 0) && heard(0, &job) == 0 && workers.rows->states[0] == WORKER_STRANGER);
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_REPEATED && job.reason == REASON_PASSWORD_WRONG && job.owner == 77);
	CU_ASSERT(workers.rows->states[0] == WORKER_STRANGER && attempts_due(&attempts) == 0);
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 2) && heard(0, &job) == JOB_VERIFY && say(0, KEEPER_FAILED, 0));
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 3) && heard(0, &job) == 0 && workers.rows->states[0] == WORKER_HELD);
	const long long due = attempts_due(&attempts);
	CU_ASSERT(due >= now + 1000 && due <= now + 1100);
	attempts_run(&attempts, due - 1);
	CU_ASSERT(heard(0, &job) == 0);
	attempts_run(&attempts, due);
	CU_ASSERT(heard(0, &job) == JOB_VERIFY && workers.rows->states[0] == WORKER_VERIFYING);
	now = due;
	CU_ASSERT(say(0, KEEPER_PROVEN, 0) && workers.rows->states[0] == WORKER_PROVEN);
	/* The mailbox could not be had: he may try again, and does not wait where he was right. */
	CU_ASSERT(say(0, KEEPER_MOOT, 0) && workers.rows->states[0] == WORKER_STRANGER);
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 4) && heard(0, &job) == JOB_VERIFY);
	end();
}

/* Held until it is known what became of others; by a keeper's death as well; told no in the end. */
static void test_held(void)
{
	static const struct { const char *label; bool dies; uint32_t outcome; uint32_t want; enum worker_state state; } rows[] = {
		{ "the other is right", false, KEEPER_PROVEN, JOB_VERIFY, WORKER_VERIFYING },
		{ "the other is moot", false, KEEPER_MOOT, JOB_VERIFY, WORKER_VERIFYING },
		{ "the other dies", true, 0, JOB_VERIFY, WORKER_VERIFYING },
		{ "the other is wrong", false, KEEPER_FAILED, 0, WORKER_HELD },
	};
	struct job job;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(3, true);
		ROW_ASSERT(rows[i].label, say(0, KEEPER_ATTEMPT, 1) && say(1, KEEPER_ATTEMPT, 2) && say(2, KEEPER_ATTEMPT, 3));
		ROW_ASSERT(rows[i].label, heard(0, &job) == JOB_VERIFY && heard(1, &job) == JOB_VERIFY && heard(2, &job) == 0);
		if (rows[i].dies)
			attempts_end(&attempts, 0, now);
		else
			ROW_ASSERT(rows[i].label, say(0, rows[i].outcome, 0));
		ROW_ASSERT(rows[i].label, heard(2, &job) == rows[i].want && workers.rows->states[2] == rows[i].state);
		now += ATTEMPT_HOLD_MS;
		attempts_run(&attempts, now);
		if (rows[i].state == WORKER_HELD)
			ROW_ASSERT(rows[i].label, heard(2, &job) == JOB_REFUSED && job.seconds > 0 && workers.rows->states[2] == WORKER_STRANGER);
		end();
	}
}

/* Through a gateway: who guesses for one user does not slow down another. */
static void test_gateway(void)
{
	struct job job;
	for (int gateway = 0; gateway < 2; gateway++) {
		begin(2, true);
		settings.gateways = (struct source_list){ .count = (size_t)gateway, .list = { 1 } };
		for (uint64_t i = 0; i < 3; i++)
			CU_ASSERT(say(0, KEEPER_ATTEMPT, i) && (i < 2) == (heard(0, &job) == JOB_VERIFY) && (i == 2 || say(0, KEEPER_FAILED, 0)));
		const struct keeper_word other = { .verb = KEEPER_ATTEMPT, .hash = { 10, { 1, 1 } } };
		CU_ASSERT(attempts_hear(&attempts, 1, &other, now) && heard(1, &job) == (gateway ? JOB_VERIFY : 0));
		end();
	}
}

/* Who may say that it is free: workers that are shared, between two connections. It is idle then, and everything is given back. */
static void test_free(void)
{
	static const struct { const char *label; unsigned sessions; enum worker_state state; bool want; enum worker_state after; } rows[] = {
		{ "after a session", 2, WORKER_PROVEN, true, WORKER_IDLE },
		{ "without a login", 2, WORKER_STRANGER, true, WORKER_IDLE },
		{ "not shared, after a session", 1, WORKER_PROVEN, false, WORKER_PROVEN },
		{ "not shared, without a login", 1, WORKER_STRANGER, false, WORKER_STRANGER },
		{ "idle already", 2, WORKER_IDLE, false, WORKER_IDLE },
		{ "while it is held", 2, WORKER_HELD, false, WORKER_HELD },
		{ "while it verifies", 2, WORKER_VERIFYING, false, WORKER_VERIFYING },
		{ "told to make room", 2, WORKER_LEAVING, true, WORKER_LEAVING },
		{ "let go", 2, WORKER_RETIRED, false, WORKER_RETIRED },
	};
	struct job job;
	size_t unproven;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(1, true);
		workers.rows->list[0].sessions = rows[i].sessions;
		workers_set(&workers, 0, rows[i].state);
		ROW_ASSERT(rows[i].label, say(0, KEEPER_FREE, 0) == rows[i].want);
		ROW_ASSERT(rows[i].label, workers.rows->states[0] == rows[i].after && heard(0, &job) == 0);
		end();
	}
	begin(1, true);
	workers.rows->list[0].sessions = 5;
	for (int i = 0; i < 4; i++) {
		workers_set(&workers, 0, WORKER_STRANGER);
		workers.rows->sources[0] = 7;
		CU_ASSERT(say(0, KEEPER_ATTEMPT, (uint64_t)i) && heard(0, &job) == JOB_VERIFY && say(0, KEEPER_ROOM, 90) && heard(0, &job) == JOB_ROOM);
		CU_ASSERT(say(0, KEEPER_PROVEN, 0) && say(0, KEEPER_FREE, 0));
		CU_ASSERT(attempts.room == 0 && workers.rows->list[0].words == 0 && workers_of_source(&workers, 7, &unproven) == 0);
	}
	end();
}

/* A reload allows fewer tries: whoever is at one of more goes on. */
static void test_fewer_tries(void)
{
	struct job job;
	begin(1, true);
	settings.free_failures = 100;
	settings.login_tries = 1;
	for (uint64_t i = 1; i <= 3; i++) {
		CU_ASSERT(say(0, KEEPER_ATTEMPT, i) && heard(0, &job) == JOB_VERIFY);
		CU_ASSERT(say(0, KEEPER_ROOM, 1) && heard(0, &job) == JOB_ROOM && say(0, KEEPER_ROOM, 1) && heard(0, &job) == JOB_ROOM);
		CU_ASSERT(say(0, KEEPER_FAILED, 0));
	}
	end();
}

/* Words out of place, and too many: nobody listens any more, and nothing is given. */
static void test_words(void)
{
	static const struct { const char *label; enum worker_state state; uint32_t verb; bool want; } rows[] = {
		{ "no verb", WORKER_STRANGER, 0, false }, { "no such verb", WORKER_STRANGER, KEEPER_VERBS, false },
		{ "room without an attempt", WORKER_STRANGER, KEEPER_ROOM, false }, { "failed without one", WORKER_STRANGER, KEEPER_FAILED, false },
		{ "proven without being asked (nothing is asked)", WORKER_STRANGER, KEEPER_PROVEN, true },
		{ "an attempt in a session", WORKER_PROVEN, KEEPER_ATTEMPT, false }, { "an idle one", WORKER_IDLE, KEEPER_ATTEMPT, false },
		{ "two at a time", WORKER_HELD, KEEPER_ATTEMPT, false }, { "given up", WORKER_HELD, KEEPER_MOOT, true },
		{ "on its way out", WORKER_LEAVING, KEEPER_ATTEMPT, true },
	};
	struct job job;
	unsigned taken = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct keeper_word word = { .verb = rows[i].verb };
		begin(1, true);
		workers_set(&workers, 0, rows[i].state);
		ROW_ASSERT(rows[i].label, attempts_hear(&attempts, 0, &word, now) == rows[i].want);
		ROW_ASSERT(rows[i].label, (strstr(read_log(), "not listened to any more") != NULL) == !rows[i].want);
		ROW_ASSERT(rows[i].label, heard(0, &job) == 0);
		end();
	}
	for (int leaving = 0; leaving < 2; leaving++) {
		taken = 0;
		begin(1, true);
		if (leaving)
			workers_set(&workers, 0, WORKER_LEAVING);
		while (taken < 1000 && say(0, KEEPER_MOOT, 0))
			taken++;
		CU_ASSERT(taken == ATTEMPT_WORDS * (settings.login_tries + 1));
		end();
	}
}

/* What was right a short while ago is told so, for its time; another password, or a failure, ends it. */
static void test_proven(void)
{
	enum { RECORD = 55 };
	static const struct { const char *label; uint64_t cache, record, second; long long later; bool wrong_between, want; } rows[] = {
		{ "at once", 300, RECORD, 1, 0, false, true }, { "in time", 300, RECORD, 1, 299999, false, true },
		{ "too late", 300, RECORD, 1, 300000, false, false }, { "another password", 300, RECORD, 2, 0, false, false },
		{ "a wrong one between", 300, RECORD, 1, 0, true, false }, { "off", 0, RECORD, 1, 0, false, false },
		{ "right for no record, but for PAM", 300, 0, 1, 0, false, false },
	};
	struct job job;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(3, false);
		settings.free_failures = 100;
		settings.login_cache = rows[i].cache;
		ROW_ASSERT(rows[i].label, say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_VERIFY && job.proven == 0 && say(0, KEEPER_PROVEN, rows[i].record));
		if (rows[i].wrong_between)
			ROW_ASSERT(rows[i].label, say(1, KEEPER_ATTEMPT, 7) && heard(1, &job) == JOB_VERIFY && say(1, KEEPER_FAILED, 0));
		now += rows[i].later;
		ROW_ASSERT(rows[i].label, say(2, KEEPER_ATTEMPT, rows[i].second) && heard(2, &job) == JOB_VERIFY && job.proven == (rows[i].want ? RECORD : 0));
		ROW_ASSERT(rows[i].label, say(2, KEEPER_PROVEN, RECORD));
		end();
	}
	/* Its time is not prolonged by being used. */
	begin(2, false);
	settings.login_cache = 10;
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_VERIFY && say(0, KEEPER_PROVEN, RECORD));
	for (int second = 1; second <= 12; second++) {
		now += 1000;
		workers_set(&workers, 1, WORKER_STRANGER);
		workers.rows->list[1].words = 0;
		CU_ASSERT(say(1, KEEPER_ATTEMPT, 1) && heard(1, &job) == JOB_VERIFY && (job.proven == RECORD) == (second != 10) && say(1, KEEPER_PROVEN, RECORD));
	}
	end();
	/* The record changed between the proof and the keeper's look at it, and the password is right for the new one: that is remembered. */
	begin(3, false);
	settings.login_cache = 10;
	CU_ASSERT(say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_VERIFY && say(0, KEEPER_PROVEN, RECORD));
	CU_ASSERT(say(1, KEEPER_ATTEMPT, 1) && heard(1, &job) == JOB_VERIFY && job.proven == RECORD && say(1, KEEPER_PROVEN, RECORD + 1));
	CU_ASSERT(say(2, KEEPER_ATTEMPT, 1) && heard(2, &job) == JOB_VERIFY && job.proven == RECORD + 1);
	/* A proven login is one from its source, too: there the account is not held back by others' failures. */
	const struct guess_rule rule = { .free_failures = 2, .longest_wait = 15, .repeat_seconds = 600 };
	CU_ASSERT(guesses_ask(&attempts.guesses, &rule, &(struct guess){ .source = 2, .account = 9, .password = 5 }, now).trusted);
	CU_ASSERT(!guesses_ask(&attempts.guesses, &rule, &(struct guess){ .source = 3, .account = 9, .password = 5 }, now).trusted);
	end();
}

/* Whom the master takes for proven because of that says nothing more, or that it is not so any more; what he has is as if he had said it. */
static void test_remembered(void)
{
	enum { RECORD = 55 };
	static const struct { const char *label; uint32_t verb; bool legal; enum worker_state state; bool known, kept; } rows[] = {
		{ "nothing, to the end", 0, true, WORKER_REMEMBERED, true, true },
		{ "the next connection", KEEPER_FREE, true, WORKER_IDLE, true, true },
		{ "it was right, for another record", KEEPER_PROVEN, true, WORKER_PROVEN, true, true },
		{ "it was wrong", KEEPER_FAILED, true, WORKER_STRANGER, false, false },
		{ "the mailbox cannot be had", KEEPER_MOOT, true, WORKER_STRANGER, false, true },
		{ "a hash is computed", KEEPER_ROOM, true, WORKER_VERIFYING, false, true },
		{ "another attempt", KEEPER_ATTEMPT, false, WORKER_REMEMBERED, true, true },
	};
	const struct guess_rule rule = { .free_failures = 2, .longest_wait = 15, .repeat_seconds = 600 };
	struct job job;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(3, false);
		settings.login_cache = 300;
		workers.rows->list[1].sessions = 2;
		ROW_ASSERT(rows[i].label, say(0, KEEPER_ATTEMPT, 1) && heard(0, &job) == JOB_VERIFY && say(0, KEEPER_PROVEN, RECORD));
		const unsigned lines = attempts.failures.taken, ends_taken = ((void)attempts_begin(&attempts, now), attempts.ends.taken);
		ROW_ASSERT(rows[i].label, say(1, KEEPER_ATTEMPT, 1) && heard(1, &job) == JOB_VERIFY && job.proven == RECORD);
		/* At once: he is no stranger, nobody waits for what became of it, no line is kept for a failure or an end without a login. */
		ROW_ASSERT(rows[i].label, workers.rows->states[1] == WORKER_REMEMBERED && worker_busy(WORKER_REMEMBERED) && workers_unproven(&workers) == 1);
		ROW_ASSERT(rows[i].label, attempts.failures.taken == lines && attempts.ends.taken == ends_taken - 1 && attempts_due(&attempts) == 0);
		if (rows[i].verb != 0)
			ROW_ASSERT(rows[i].label, say(1, rows[i].verb, RECORD + 1) == rows[i].legal);
		ROW_ASSERT(rows[i].label, workers.rows->states[1] == rows[i].state);
		attempts_end(&attempts, 1, now);
		ROW_ASSERT(rows[i].label, guesses_ask(&attempts.guesses, &rule, &(struct guess){ .source = 2, .account = 9, .password = 5 }, now).trusted == rows[i].known);
		ROW_ASSERT(rows[i].label, say(2, KEEPER_ATTEMPT, 1) && heard(2, &job) == JOB_VERIFY && (job.proven != 0) == rows[i].kept);
		end();
	}
}

/* Sessions of one account: those with a user count, and those whose password may be right for who would wait. */
static void test_crowd(void)
{
	enum { OTHERS = ACCOUNT_SESSIONS };
	static const struct { const char *label; enum worker_state state; unsigned others; bool of_another; enum job_crowd want; } rows[] = {
		{ "nobody else", WORKER_PROVEN, 0, false, CROWD_NONE }, { "one less", WORKER_PROVEN, OTHERS - 1, false, CROWD_NONE },
		{ "as many", WORKER_PROVEN, OTHERS, false, CROWD_FULL }, { "as many that were remembered", WORKER_REMEMBERED, OTHERS, false, CROWD_FULL },
		{ "as many that are verified", WORKER_VERIFYING, OTHERS, false, CROWD_WAITS }, { "one less of these", WORKER_VERIFYING, OTHERS - 1, false, CROWD_NONE },
		{ "strangers by now", WORKER_STRANGER, OTHERS, false, CROWD_NONE }, { "on their way out", WORKER_LEAVING, OTHERS, false, CROWD_NONE },
		{ "another account's", WORKER_PROVEN, OTHERS, true, CROWD_NONE },
	};
	struct job job;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(OTHERS + 2, false);
		settings.free_failures = 1000;
		settings.login_cache = 300;
		for (unsigned other = 0; other < OTHERS; other++) {
			const struct keeper_word word = { .verb = KEEPER_ATTEMPT, .hash = { rows[i].of_another ? 8 : 9, { other, other } } };
			ROW_ASSERT(rows[i].label, attempts_hear(&attempts, other, &word, now) && heard(other, &job) == JOB_VERIFY);
			workers_set(&workers, other, other < rows[i].others ? rows[i].state : WORKER_STRANGER);
		}
		ROW_ASSERT(rows[i].label, say(OTHERS, KEEPER_ATTEMPT, 1) && heard(OTHERS, &job) == JOB_VERIFY && job.crowd == rows[i].want);
		/* Also who is let go as he was remembered; and a worker that takes another's row has the account that it had. */
		ROW_ASSERT(rows[i].label, say(OTHERS, KEEPER_PROVEN, 5));
		workers_set(&workers, OTHERS, WORKER_STRANGER);
		ROW_ASSERT(rows[i].label, say(OTHERS + 1, KEEPER_ATTEMPT, 1) && heard(OTHERS + 1, &job) == JOB_VERIFY && job.proven == 5 && job.crowd == rows[i].want);
		workers_set(&workers, OTHERS + 1, WORKER_PROVEN);
		(void)close(workers.rows->list[0].channel);
		(void)close(ends[0]);
		workers_remove(&workers, 0);
		ends[0] = ends[OTHERS + 1];
		ROW_ASSERT(rows[i].label, workers.rows->accounts[0] == 9);
		end();
	}
}

/* A million probes with other passwords and other accounts: none is taken for one that was right. */
static void test_proven_probes(void)
{
	enum { ACCOUNTS = 1000, PROBES = 1000000 };
	unsigned taken = 0;
	struct proven p;
	CU_ASSERT_FATAL(proven_open(&p) == 0);
	for (uint64_t i = 0; i < ACCOUNTS; i++)
		proven_put(&p, &(struct proven_hash){ i * 0x9e3779b97f4a7c15u, { i, ~i } }, i + 1, 1000);
	for (uint64_t i = 0; i < PROBES; i++) {
		const uint64_t account = i % ACCOUNTS * 0x9e3779b97f4a7c15u, other = (i + 1) % ACCOUNTS;
		taken += proven_check(&p, &(struct proven_hash){ account, { other, ~other } }, 2000, 300000) != 0;
		taken += proven_check(&p, &(struct proven_hash){ account, { i % ACCOUNTS, i } }, 2000, 300000) != 0;
	}
	CU_ASSERT(taken == 0 && proven_check(&p, &(struct proven_hash){ 0x9e3779b97f4a7c15u, { 1, ~(uint64_t)1 } }, 2000, 300000) == 2);
}

/* Ten lines a second; those that a right password did not need are given back; lines and sums add up. */
static void test_lines(void)
{
	enum { FAILURES = 300, EACH_MS = 7 };
	unsigned long lines = 0, sums = 0;
	unsigned seconds;
	begin(0, true);
	struct line_limit l = { .second = now };
	for (int i = 0; i < FAILURES; i++, now += EACH_MS) {
		lines += line_limit_take(&l, now);
		line_limit_give_back(&l, line_limit_take(&l, now));
		sums += line_limit_sum(&l, now, &seconds);
	}
	CU_ASSERT(lines >= LINES_A_SECOND * 2 && lines <= LINES_A_SECOND * (FAILURES * EACH_MS / 1000 + 1));
	CU_ASSERT(sums == 0 && line_limit_due(&l) <= now + LINES_SUM_MS);
	sums = line_limit_sum(&l, line_limit_due(&l), &seconds);
	CU_ASSERT(lines + sums == FAILURES && seconds == LINES_SUM_MS / 1000 && line_limit_due(&l) == 0);
	CU_ASSERT(line_limit_sum(&l, now + 10 * LINES_SUM_MS, &seconds) == 0);
	end();
}

/* The sums in the log, of failures and of ends without a login. */
static void test_sums(void)
{
	struct job job;
	begin(1, true);
	settings.free_failures = 0;
	for (uint64_t i = 0; i < LINES_A_SECOND + 3; i++) {
		(void)attempts_begin(&attempts, now);
		workers.rows->list[0].words = 0;
		CU_ASSERT(say(0, KEEPER_ATTEMPT, i + 1) && heard(0, &job) == JOB_VERIFY && job.quiet == (i >= LINES_A_SECOND));
		CU_ASSERT(say(0, KEEPER_FAILED, 0));
	}
	CU_ASSERT(attempts_due(&attempts) == now + LINES_SUM_MS);
	attempts_run(&attempts, now + LINES_SUM_MS);
	CU_ASSERT(strstr(read_log(), "3 more failed logins in 10 seconds") != NULL);
	CU_ASSERT(strstr(host_log, "3 more connections without a login in 10 seconds") != NULL);
	end();
}

/* An answer that cannot be sent ends its keeper: it would wait for it for ever, and its gate for it. */
static void test_answer_lost(void)
{
	struct job job = { .verb = JOB_MAKE_ROOM };
	char octet;
	begin(1, false);
	const int channel = workers.rows->list[0].channel;
	CU_ASSERT(fcntl(channel, F_SETFL, O_NONBLOCK) == 0);
	while (rpc_send(channel, &job, sizeof job, -1) == 0)
		;
	CU_ASSERT(errno == EAGAIN && say(0, KEEPER_ATTEMPT, 1));
	while (heard(0, &job) == JOB_MAKE_ROOM)
		;
	CU_ASSERT(job.verb == 0 && recv(ends[0], &octet, 1, MSG_DONTWAIT) == 0);
	end();
}

#define TESTS(X) X(test_answers) X(test_answer_lost) X(test_held) X(test_gateway) X(test_free) X(test_fewer_tries) X(test_words) X(test_proven) X(test_remembered) X(test_crowd) X(test_proven_probes) X(test_lines) X(test_sums)
SUITE("attempts")
