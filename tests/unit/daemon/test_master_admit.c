/*
 * test_master_admit.c - daemon/master.c: who comes when all workers are in use, and none can be made.
 * Runs in: the tests; the workers are rows of a table.
 */
#include "daemon/master.c"
#include "tests/unit/daemon/worker.h"

/* Nobody is sent away for somebody who cannot be served. */
static void test_not_in_vain(void)
{
	static const struct { const char *label; bool nursery; long long throttle_ms; bool makes_room; } rows[] = {
		{ "a worker can be made", true, 0, true }, { "not ahead of need", true, THROTTLE_FIRST_MS, true },
		{ "workers break", true, THROTTLE_REFUSE_MS, false }, { "no nursery", false, 0, false },
	};
	const struct sockaddr_storage peer = address_of("192.0.2.1");
	static struct master m;
	host_make();
	make_users();
	int kept = log_capture();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int client[2], channel[2], nursery[2];
		socket_pair(SOCK_STREAM, client);
		socket_pair(SOCK_SEQPACKET, channel);
		socket_pair(SOCK_SEQPACKET, nursery);
		m = (struct master){ .settings = settings_of("") };
		m.settings->spare_min = m.settings->spare_max = m.settings->max = 1;
		CU_ASSERT_FATAL(pool_open(&m.pool, m.settings, "") == 0 && workers_add(&m.pool.workers, 100, channel[0], 1) == 0);
		workers_set(&m.pool.workers, 0, WORKER_STRANGER);
		m.pool.nursery = rows[i].nursery ? nursery[0] : -1;
		m.pool.throttle_ms = rows[i].throttle_ms;
		m.pool.throttled_until = rows[i].throttle_ms > 0 ? now_ms() + PATIENCE_MS : 0;
		(void)close(nursery[1]); /* what is ordered fails, and nothing is forked */
		admit(&m, client[0], false, &peer);
		ROW_ASSERT(rows[i].label, (m.pool.workers.of_state[WORKER_LEAVING] == 1) == rows[i].makes_room);
		refusals_close(&m.refusals);
		(void)close(client[1]);
		(void)close(channel[0]);
		(void)close(channel[1]);
		(void)close(nursery[0]);
		(void)close(m.pool.words);
	}
	log_release(kept);
	host_remove();
}

#define TESTS(X) X(test_not_in_vain)
SUITE("master's admission")
