/*
 * test_pool.c - daemon/pool.c: workers ahead of need, one connection each, throttled when they break.
 * Runs in: the tests; the workers are real keepers, the nursery and the gates are played.
 */
#include "tests/unit/daemon/pool_fixture.h"

static void test_source(void)
{
	static const struct { const char *label, *a, *b; bool same; } rows[] = {
		{ "one address", "192.0.2.1", "192.0.2.1", true },
		{ "neighbours", "192.0.2.1", "192.0.2.2", false },
		{ "mapped", "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "mapped neighbours", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "one network", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true },
		{ "two networks", "2001:db8:1:2::1", "2001:db8:1:3::1", false },
		{ "loopback", "127.0.0.1", "::1", false },
		{ "not a mapped one", "192.0.2.1", "2001:db8::192.0.2.1", false },
		{ "all ones", "255.255.255.255", "ffff:ffff:ffff:ffff::", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const texts[] = { rows[i].a, rows[i].b };
		uint64_t source[2];
		for (int k = 0; k < 2; k++) {
			struct sockaddr_storage address = { .ss_family = AF_INET6 };
			struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
			if (strchr(texts[k], ':') == NULL)
				address = address_of(texts[k]);
			else if (inet_pton(AF_INET6, texts[k], &v6.sin6_addr) == 1)
				memcpy(&address, &v6, sizeof v6);
			source[k] = address_source(&address);
		}
		ROW_ASSERT(rows[i].label, (source[0] == source[1]) == rows[i].same);
	}
}

/* spare_min starts the filling, spare_max ends it, max bounds it all. */
static void test_spare(void)
{
	const long long later = now_ms() + 1000000;
	static const struct { const char *label; size_t count, idle; bool filling, want; } rows[] = {
		{ "none", 0, 0, false, true }, { "under min", 5, 1, false, true }, { "at min", 5, 2, false, false },
		{ "at min, filling", 5, 2, true, true }, { "over min, filling", 6, 3, true, true }, { "at most", 6, 4, true, false },
		{ "all there may be", 8, 0, false, false }, { "nearly all", 7, 0, false, true },
	};
	begin("");
	settings->spare_min = 2;
	settings->spare_max = 4;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pool p = { .settings = settings, .nursery = 3, .signer = -1, .filling = rows[i].filling };
		p.workers.count = rows[i].count;
		p.workers.of_state[WORKER_IDLE] = rows[i].idle;
		ROW_ASSERT(rows[i].label, pool_wants_spare(&p) == rows[i].want);
		p.nursery = -1;
		p.throttled_until = later;
		ROW_ASSERT(rows[i].label, !pool_wants_spare(&p) && pool_spare_due(&p) == 0);
		p.nursery = 3;
		ROW_ASSERT(rows[i].label, !pool_wants_spare(&p) && pool_spare_due(&p) == (rows[i].want ? later : 0));
	}
	end();
}

static void test_workers(void)
{
	struct sockaddr_storage one = address_of("192.0.2.1"), two = address_of("192.0.2.2");
	struct rpc_hello hello;
	struct rpc_stop stop = { .verb = 0 };
	int connection[2], fd, gates[4];
	begin("");
	socket_pair(SOCK_STREAM, connection);
	for (uint64_t i = 0; i < 3; i++) {
		CU_ASSERT_FATAL(pool_spawn(&pool) == 0);
		gates[i] = take_order(i + 1);
	}
	CU_ASSERT(pool.workers.count == 3 && idle(&pool) == 3);
	/* Whoever speaks is known, and nobody is waited for. */
	int passes = 0;
	socklen_t len = sizeof passes;
	const int channel = pool.workers.rows->list[0].channel;
	CU_ASSERT(getsockopt(channel, SOL_SOCKET, SO_PASSCRED, &passes, &len) == 0 && passes == 1 && (fcntl(channel, F_GETFL) & O_NONBLOCK) != 0);
	/* Connections go to workers that wait, then to one that is forked for it. */
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_FATAL(pool_assign(&pool, connection[0], i == 3 ? &two : &one, i == 1) == 0);
		if (i == 3)
			gates[i] = take_order(4);
		CU_ASSERT(rpc_await(gates[i], &hello, sizeof hello, &fd) == (ssize_t)sizeof hello && hello.verb == RPC_HELLO);
		CU_ASSERT(hello.tls == (i == 1) && fd >= 0 && memcmp(&hello.peer, i == 3 ? &two : &one, sizeof one) == 0);
		(void)close(fd);
	}
	CU_ASSERT(pool.workers.count == 4 && idle(&pool) == 0);
	CU_ASSERT(of_source(&one) == 3 && of_source(&two) == 1);
	pool_stop(&pool);
	for (int i = 0; i < 4; i++)
		CU_ASSERT(rpc_await(gates[i], &stop, sizeof stop, &fd) == (ssize_t)sizeof stop && stop.verb == RPC_STOP);
	(void)close(gates[1]);
	reap_one();
	CU_ASSERT(pool.workers.count == 3 && of_source(&one) == 2);
	CU_ASSERT(pool.throttle_ms == 0);
	for (int i = 0; i < 4; i++)
		if (i != 1)
			(void)close(gates[i]);
	end();
	(void)close(connection[0]);
	(void)close(connection[1]);
}

static void test_max(void)
{
	struct sockaddr_storage one = address_of("192.0.2.1");
	int connection[2], gates[2];
	begin("");
	settings->max = 2;
	socket_pair(SOCK_STREAM, connection);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == 0);
		gates[i] = take_order((uint64_t)i + 1);
	}
	CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == -1 && pool.workers.count == 2);
	(void)close(gates[0]);
	reap_one();
	CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == 0 && pool.workers.count == 2);
	(void)close(take_order(3));
	(void)close(gates[1]);
	end();
	(void)close(connection[0]);
	(void)close(connection[1]);
}

/* A worker that died while it waited is passed over. */
static void test_dead_worker(void)
{
	struct sockaddr_storage one = address_of("192.0.2.1");
	siginfo_t info;
	int connection[2];
	begin("");
	socket_pair(SOCK_STREAM, connection);
	CU_ASSERT_FATAL(pool_spawn(&pool) == 0);
	(void)close(take_order(1)); /* its gate is gone: it ends */
	CU_ASSERT_FATAL(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
	CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == 0);
	CU_ASSERT(pool.workers.count == 2 && idle(&pool) == 0 && pool.workers.rows->states[1] == WORKER_STRANGER && pool.workers.rows->states[0] == WORKER_RETIRED);
	int gate = take_order(2);
	int status;
	CU_ASSERT(waitpid(info.si_pid, &status, 0) == info.si_pid && WEXITSTATUS(status) == EXIT_GATE_GONE);
	pool_reaped(&pool, info.si_pid, status, info.si_uid);
	CU_ASSERT(pool.workers.count == 1 && idle(&pool) == 0 && pool.workers.rows->states[0] == WORKER_STRANGER && pool.throttle_ms == THROTTLE_FIRST_MS);
	(void)close(gate);
	end();
	(void)close(connection[0]);
	(void)close(connection[1]);
}

/* Endings made up: what each does to the throttle, and says. */
static void test_throttle(void)
{
	static const struct { const char *label; int status; bool busy; long long before, after; const char *words; bool owners; } rows[] = {
		{ "first violation", EXIT_VIOLATION << 8, true, 0, THROTTLE_FIRST_MS, "(192.0.2.9) ended with status 72", false },
		{ "the next", EXIT_BUG << 8, true, 50, 100, "ended with status 71", false },
		{ "many", EXIT_BUG << 8, true, 3200, THROTTLE_MOST_MS, "ended with status 71", false },
		{ "the most", EXIT_BUG << 8, false, THROTTLE_MOST_MS, THROTTLE_MOST_MS, "(idle) ended with status 71", false },
		{ "killed", SIGSEGV, true, 0, THROTTLE_FIRST_MS, "was killed by signal 11 (Segmentation fault)", false },
		{ "killed, and was its user's", SIGKILL, true, 100, 100, "was killed by signal 9 (Killed)", true },
		{ "a hostile gate's, in a session", EXIT_VIOLATION << 8, true, 0, 0, "ended with status 72", true },
		{ "no gate", EXIT_GATE_GONE << 8, false, 0, THROTTLE_FIRST_MS, NULL, false },
		{ "a good session", EXIT_GOOD << 8, true, 800, 0, NULL, false },
		{ "an idle one", EXIT_GOOD << 8, false, 800, 800, NULL, false },
	};
	begin("");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pool p;
		CU_ASSERT_FATAL(pool_open(&p, settings, "") == 0);
		p.throttle_ms = rows[i].before;
		CU_ASSERT(workers_add(&p.workers, 100, -1, 7) == 0 && workers_add(&p.workers, 200, -1, 8) == 1);
		workers_set(&p.workers, 0, WORKER_STRANGER);
		workers_set(&p.workers, 1, rows[i].busy ? WORKER_STRANGER : WORKER_RETIRED);
		(void)snprintf(p.workers.rows->list[1].peer, sizeof p.workers.rows->list[1].peer, "192.0.2.9");
		(void)read_log();
		host_log[0] = '\0';
		long long before = now_ms();
		pool_reaped(&p, 300, EXIT_BUG << 8, getuid()); /* not one of them */
		pool_reaped(&p, 200, rows[i].status, getuid() + (rows[i].owners ? MAIL_UID : 0));
		ROW_ASSERT(rows[i].label, p.workers.count == 1 && p.workers.rows->pids[0] == 100);
		ROW_ASSERT(rows[i].label, p.throttle_ms == rows[i].after);
		ROW_ASSERT(rows[i].label, p.throttled_until == 0 || p.throttled_until >= before + rows[i].after);
		ROW_ASSERT(rows[i].label, rows[i].words == NULL ? *read_log() == '\0' : strstr(read_log(), rows[i].words) != NULL);
		(void)close(p.words);
	}
	/* What the nursery tells of gates. */
	struct pool p;
	CU_ASSERT_FATAL(pool_open(&p, settings, "") == 0);
	CU_ASSERT(workers_add(&p.workers, 100, -1, 7) == 0 && workers_add(&p.workers, 200, -1, 8) == 1);
	workers_set(&p.workers, 0, WORKER_STRANGER);
	(void)snprintf(p.workers.rows->list[0].peer, sizeof p.workers.rows->list[0].peer, "192.0.2.9");
	pool_gate_died(&p, 7, SIGSYS, 0);
	pool_gate_died(&p, 8, 0, EXIT_BUG);
	pool_gate_died(&p, 9, 0, EXIT_BUG);
	CU_ASSERT(p.throttle_ms == 4 * THROTTLE_FIRST_MS);
	CU_ASSERT(strstr(read_log(), "gate of worker 7 (192.0.2.9) was killed by signal 31") != NULL);
	CU_ASSERT(strstr(host_log, "gate of worker 8 (idle) ended with status 71") != NULL);
	CU_ASSERT(strstr(host_log, "gate of worker 9 (over) ended with status 71") != NULL);
	(void)close(p.words);
	end();
}

/* While it is throttled hard, connections are refused; throttled a little, a worker is forked for them. */
static void test_throttled_assign(void)
{
	struct sockaddr_storage one = address_of("192.0.2.1");
	int connection[2];
	begin("");
	socket_pair(SOCK_STREAM, connection);
	pool.throttled_until = now_ms() + 1000000;
	pool.throttle_ms = THROTTLE_REFUSE_MS;
	CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == -1 && pool.workers.count == 0);
	pool.throttle_ms = THROTTLE_REFUSE_MS - 1;
	CU_ASSERT(pool_assign(&pool, connection[0], &one, false) == 0 && pool.workers.count == 1);
	(void)close(take_order(1));
	end();
	/* No nursery, and one that is gone. */
	begin("");
	int there = pool.nursery;
	pool.nursery = -1;
	CU_ASSERT(pool_spawn(&pool) == -1 && pool_assign(&pool, connection[0], &one, false) == -1 && pool.throttle_ms == 0);
	pool.nursery = there;
	(void)close(nursery);
	nursery = -1;
	CU_ASSERT(pool_spawn(&pool) == -1 && pool.workers.count == 0 && pool.throttle_ms == THROTTLE_FIRST_MS);
	CU_ASSERT(strstr(read_log(), "cannot start a worker: order to the nursery: Broken pipe") != NULL);
	end();
	(void)close(connection[0]);
	(void)close(connection[1]);
}

/* Idle ones go when they are let go; the room for them grows. */
static void test_retire(void)
{
	enum { MANY = 70 };
	int gates[MANY];
	begin("");
	for (int i = 0; i < MANY; i++) {
		CU_ASSERT_FATAL(pool_spawn(&pool) == 0);
		gates[i] = take_order((uint64_t)i + 1);
	}
	CU_ASSERT(pool.workers.count == MANY && idle(&pool) == MANY);
	pool_retire_idle(&pool);
	CU_ASSERT(pool.workers.count == MANY && idle(&pool) == 0);
	while (pool.workers.count > 0)
		reap_one();
	CU_ASSERT(pool.throttle_ms == 0);
	for (int i = 0; i < MANY; i++)
		(void)close(gates[i]);
	end();
}

/* A killed keeper's gate, which does not go: it counts until it has gone, for its source and for the account that it has served. */
static void test_left_gate(void)
{
	static const struct { const char *label; enum worker_state state; size_t of_account; bool stop; } rows[] = {
		{ "no user", WORKER_STRANGER, 0, false }, { "a session", WORKER_PROVEN, 1, false }, { "remembered", WORKER_REMEMBERED, 1, false },
		{ "the server stops", WORKER_PROVEN, 1, true },
	};
	struct sockaddr_storage one = address_of("192.0.2.1");
	int connection[2], fd;
	socket_pair(SOCK_STREAM, connection);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char message[1024];
		size_t verifying;
		begin("");
		settings->max = 1;
		CU_ASSERT_FATAL(pool_assign(&pool, connection[0], &one, false) == 0);
		const int gate = take_order(1);
		CU_ASSERT(rpc_await(gate, message, sizeof message, &fd) == (ssize_t)sizeof(struct rpc_hello));
		(void)close(fd);
		struct worker_rows *const w = pool.workers.rows;
		workers_set(&pool.workers, 0, rows[i].state);
		w->accounts[0] = 77;
		CU_ASSERT_FATAL(kill(w->pids[0], SIGKILL) == 0);
		reap_one();
		ROW_ASSERT(rows[i].label, pool.workers.count == 1 && w->states[0] == WORKER_LEFT && of_source(&one) == 1);
		ROW_ASSERT(rows[i].label, rpc_await(gate, message, sizeof message, &fd) == 0);
		/* Another one beside it, which asks. */
		ROW_ASSERT(rows[i].label, pool_assign(&pool, connection[0], &one, false) == 0);
		(void)close(take_order(2));
		w->accounts[1] = 77;
		ROW_ASSERT(rows[i].label, workers_of_account(&pool.workers, 1, &verifying) == rows[i].of_account && verifying == 0);
		reap_one();
		/* It says something that nobody reads, and then it goes. */
		ROW_ASSERT(rows[i].label, rpc_send(gate, message, sizeof(struct rpc_ready), -1) == 0);
		pool_hear(&pool);
		ROW_ASSERT(rows[i].label, pool.workers.count == 1);
		if (rows[i].stop)
			pool_stop(&pool);
		else
			(void)close(gate);
		pool_hear(&pool);
		ROW_ASSERT(rows[i].label, pool.workers.count == 0 && pool.workers.of_state[WORKER_LEFT] == 0);
		if (rows[i].stop)
			(void)close(gate);
		end();
	}
	(void)close(connection[0]);
	(void)close(connection[1]);
}

#define TESTS(X) X(test_source) X(test_spare) X(test_workers) X(test_max) X(test_dead_worker) X(test_throttle) \
	X(test_throttled_assign) X(test_retire) X(test_left_gate)
SUITE("pool")
