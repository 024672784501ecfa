/*
 * test_pool_words.c - daemon/pool.c: shared workers that come back, whose word is heard, and who is killed because he does not end.
 * Runs in: the tests, which play the keepers.
 */
#include <sys/epoll.h>

#include "tests/unit/daemon/pool_fixture.h"

/* A shared worker's keeper, played by its channel's other end. */
static size_t add_shared(struct pool *p, uint64_t number, unsigned sessions, int *keeper_r, int *gate_r)
{
	int channel[2], halves[2];
	socket_pair(SOCK_SEQPACKET, channel);
	socket_pair(SOCK_SEQPACKET, halves);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = number };
	CU_ASSERT_FATAL(epoll_ctl(p->words, EPOLL_CTL_ADD, channel[0], &event) == 0);
	const ssize_t at = workers_add(&p->workers, (pid_t)(100 + number), channel[0], number);
	attempts_made(&p->attempts, (size_t)at);
	p->workers.rows->list[at].sessions = sessions;
	p->workers.rows->list[at].gate = halves[0];
	*keeper_r = channel[1];
	*gate_r = halves[1];
	return (size_t)at;
}

/* A connection for it, which it has served. */
static void serve_and_return(struct pool *p, int keeper, int gate)
{
	const struct sockaddr_storage one = address_of("192.0.2.1");
	const struct keeper_word words[] = { { .verb = KEEPER_PROVEN }, { .verb = KEEPER_FREE } };
	struct job job;
	struct rpc_hello hello;
	int fd;
	CU_ASSERT(pool_assign(p, STDIN_FILENO, &one, false) == 0 && of_source(&one) == 1);
	CU_ASSERT(rpc_await(keeper, &job, sizeof job, &fd) == (ssize_t)sizeof job && job.verb == JOB_SERVE && fd == -1);
	CU_ASSERT(rpc_await(gate, &hello, sizeof hello, &fd) == (ssize_t)sizeof hello && hello.verb == RPC_HELLO && fd >= 0);
	(void)close(fd);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT(rpc_send(keeper, &words[i], sizeof words[i], -1) == 0);
		pool_hear(p);
	}
	CU_ASSERT(of_source(&one) == 0);
}

/* A shared worker comes back until it has served as many as it may, its nursery is old, or enough others wait. */
static void test_shared(void)
{
	int keepers[3], gates[3];
	char octet;
	begin("");
	settings->spare_max = 2;
	size_t at = add_shared(&pool, 1, 3, &keepers[0], &gates[0]);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT(pool.workers.rows->states[at] == WORKER_IDLE);
		serve_and_return(&pool, keepers[0], gates[0]);
	}
	CU_ASSERT(pool.workers.rows->states[at] == WORKER_RETIRED && recv(keepers[0], &octet, 1, MSG_DONTWAIT) == 0);
	at = add_shared(&pool, 2, 3, &keepers[1], &gates[1]);
	const struct sockaddr_storage one = address_of("192.0.2.1");
	CU_ASSERT(pool_assign(&pool, STDIN_FILENO, &one, false) == 0);
	pool_retire_idle(&pool);
	CU_ASSERT(pool.workers.rows->states[at] == WORKER_STRANGER);
	const struct keeper_word is_free = { .verb = KEEPER_FREE };
	CU_ASSERT(rpc_send(keepers[1], &is_free, sizeof is_free, -1) == 0);
	pool_hear(&pool);
	CU_ASSERT(pool.workers.rows->states[at] == WORKER_RETIRED);
	at = add_shared(&pool, 3, 3, &keepers[2], &gates[2]);
	CU_ASSERT(pool_assign(&pool, STDIN_FILENO, &one, false) == 0 && pool.workers.rows->states[at] == WORKER_STRANGER);
	for (uint64_t i = 4; i < 6; i++)
		(void)workers_add(&pool.workers, (pid_t)(100 + i), -1, i);
	CU_ASSERT(rpc_send(keepers[2], &is_free, sizeof is_free, -1) == 0);
	pool_hear(&pool);
	CU_ASSERT(pool.workers.rows->states[at] == WORKER_RETIRED && idle(&pool) == 2);
	for (int i = 0; i < 3; i++) {
		(void)close(keepers[i]);
		(void)close(gates[i]);
	}
	pool.workers = (struct workers){ .count = 0 }; /* none of them is a child */
	end();
}

/* What a keeper said last counts also where its end is known first, or a gate that goes at once would have its guesses for nothing. */
static void test_last_words(void)
{
	const struct sockaddr_storage one = address_of("192.0.2.1");
	static const struct proven_hash guess = { .account = 9, .password = { 1, 2 } };
	const struct keeper_word attempt = { .verb = KEEPER_ATTEMPT, .hash = guess }, failed = { .verb = KEEPER_FAILED, .reason = REASON_PASSWORD_WRONG },
	                         illegal = { .verb = KEEPER_FREE };
	const int on = 1;
	struct job job;
	int keepers[3], gates[3], fd;
	begin("");
	settings->repeat_seconds = 600;
	for (size_t i = 0; i < 3; i++) {
		const size_t at = add_shared(&pool, i + 1, 1, &keepers[i], &gates[i]);
		CU_ASSERT(setsockopt(pool.workers.rows->list[at].channel, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
		CU_ASSERT(pool_assign(&pool, STDIN_FILENO, &one, false) == 0);
		CU_ASSERT(rpc_await(keepers[i], &job, sizeof job, &fd) == (ssize_t)sizeof job && job.verb == JOB_SERVE);
		CU_ASSERT(rpc_send(keepers[i], &attempt, sizeof attempt, -1) == 0);
		pool_hear(&pool);
		CU_ASSERT(pool.workers.rows->states[at] == (i < 2 ? WORKER_VERIFYING : WORKER_STRANGER));
		if (i == 0) { /* who is not listened to is not heard out, either */
			CU_ASSERT(rpc_send(keepers[i], &illegal, sizeof illegal, -1) == 0);
			pool_hear(&pool);
		}
		CU_ASSERT(rpc_send(keepers[i], &failed, sizeof failed, -1) == 0);
		(void)close(keepers[i]);
		(void)close(gates[i]);
		if (i < 2)
			pool_reaped(&pool, (pid_t)(100 + i + 1), EXIT_GOOD << 8, 0);
	}
	/* The third was told that it is the same wrong password. */
	CU_ASSERT(strstr(read_log(), "said verb 6, as its word 1, in state 4: not listened to any more") != NULL);
	pool.workers = (struct workers){ .count = 0 }; /* none of them is a child */
	end();
}

/* A word from a process of that user's. */
static void say_as(uid_t uid, int keeper, enum keeper_verb verb)
{
	const struct keeper_word word = { .verb = verb };
	int status;
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(setresuid(uid, uid, uid) == 0 && rpc_send(keeper, &word, sizeof word, -1) == 0 ? 0 : 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	pool_hear(&pool);
}

/* A keeper that has become the mail's owner is not asked about passwords any more, whatever it says; that it has no session is heard. */
static void test_owners_words(void)
{
	const struct sockaddr_storage one = address_of("192.0.2.1");
	const int on = 1;
	int keepers[2], gates[2];
	begin("");
	for (int i = 0; i < 2 && geteuid() == 0; i++) {
		const uid_t uid = i == 0 ? 0 : MAIL_UID;
		const size_t at = add_shared(&pool, (uint64_t)i + 1, 1, &keepers[i], &gates[i]);
		CU_ASSERT(setsockopt(pool.workers.rows->list[at].channel, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
		CU_ASSERT(pool_assign(&pool, STDIN_FILENO, &one, false) == 0);
		say_as(0, keepers[i], KEEPER_ATTEMPT);
		CU_ASSERT(pool.workers.rows->states[at] == WORKER_VERIFYING);
		say_as(0, keepers[i], KEEPER_PROVEN);
		CU_ASSERT(pool.workers.rows->states[at] == WORKER_PROVEN);
		say_as(uid, keepers[i], KEEPER_MOOT);
		CU_ASSERT(pool.workers.rows->states[at] == WORKER_STRANGER);
		say_as(uid, keepers[i], KEEPER_ATTEMPT);
		CU_ASSERT(pool.workers.rows->states[at] == (i == 0 ? WORKER_VERIFYING : WORKER_STRANGER));
		/* One word too many, and nobody listens to the others either. */
		say_as(0, keepers[i], KEEPER_ROOM);
		CU_ASSERT((i == 0) == (pool.workers.rows->states[at] == WORKER_VERIFYING));
		(void)close(keepers[i]);
		(void)close(gates[i]);
	}
	pool.workers = (struct workers){ .count = 0 }; /* none of them is a child */
	end();
}

/* Who was told to end and never will is killed; who may be at an UPDATE when the server stops is not. */
static void test_late(void)
{
	static const struct { const char *label; enum worker_state state; bool leaves, stops, halted, goes_on; long long later, killed; } rows[] = {
		{ "a stranger who makes room", WORKER_STRANGER, true, false, false, false, END_LIMIT_MS - 1000, false },
		{ "and does not", WORKER_STRANGER, true, false, false, false, END_LIMIT_MS + 1000, true },
		{ "stopped, and to make room", WORKER_STRANGER, true, false, true, false, 0, true },
		{ "stopped, and let go on", WORKER_STRANGER, true, false, true, true, 0, false },
		{ "stopped, and nobody minds", WORKER_PROVEN, false, false, true, false, END_LIMIT_MS + 1000, false },
		{ "a session, while the server stops", WORKER_PROVEN, false, true, false, false, END_LIMIT_MS + 1000, false },
		{ "a session that is stopped, while the server stops", WORKER_PROVEN, false, true, true, false, END_LIMIT_MS + 1000, true },
		{ "the same, early", WORKER_PROVEN, false, true, true, false, END_LIMIT_MS - 1000, false },
		{ "the same, as its password is not known for right yet", WORKER_REMEMBERED, false, true, true, false, END_LIMIT_MS + 1000, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int channel[2], status;
		begin("");
		socket_pair(SOCK_SEQPACKET, channel);
		const pid_t pid = fork_child();
		if (pid == 0)
			for (;;)
				(void)pause();
		const ssize_t at = workers_add(&pool.workers, pid, channel[0], 1);
		workers_set(&pool.workers, (size_t)at, rows[i].state);
		if (rows[i].halted)
			pool_halted(&pool, pid, true);
		if (rows[i].leaves)
			pool_evict(&pool, (size_t)at);
		if (rows[i].stops)
			pool_stop(&pool);
		if (rows[i].goes_on)
			pool_halted(&pool, pid, false);
		const long long then = now_ms() + rows[i].later;
		const long long due = pool_late_due(&pool);
		ROW_ASSERT(rows[i].label, (due > 0 && due <= then) == rows[i].killed);
		pool_end_late(&pool, then);
		ROW_ASSERT(rows[i].label, (strstr(read_log(), "was told to end and does not; killing it") != NULL) == rows[i].killed);
		/* Once. */
		ROW_ASSERT(rows[i].label, !rows[i].killed || pool_late_due(&pool) == 0 || pool_late_due(&pool) > then);
		if (!rows[i].killed)
			CU_ASSERT(kill(pid, SIGKILL) == 0);
		CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		pool_reaped(&pool, pid, status, MAIL_UID);
		(void)close(channel[1]);
		end();
	}
}

#define TESTS(X) X(test_last_words) X(test_shared) X(test_owners_words) X(test_late)
SUITE("pool words")
