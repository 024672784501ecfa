/*
 * pool_fixture.h - a pool of workers, whose nursery and gates are played.
 * Runs in: the tests.
 */
#ifndef POSTERN_POOL_FIXTURE_H
#define POSTERN_POOL_FIXTURE_H

#include "base/clock.h"
#include "daemon/contract.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/sandbox.h"
#include "tests/unit/daemon/worker.h"

static struct pool pool;
static struct settings *settings;
static int nursery = -1;  /* our end */
static int kept_stderr = -1;

static inline void begin(const char *extra)
{
	int ends[2];
	host_make();
	make_users();
	settings = settings_of(extra);
	/* As the master does: its many sockets leave the number free that a keeper's gate gets. */
	CU_ASSERT_FATAL(sandbox_prepare(true));
	socket_pair(SOCK_SEQPACKET, ends);
	nursery = ends[0];
	CU_ASSERT_FATAL(pool_open(&pool, settings, "/nonexistent/pam") == 0);
	pool.nursery = ends[1];
	kept_stderr = log_capture();
}

static inline size_t idle(const struct pool *p)
{
	return p->workers.of_state[WORKER_IDLE];
}

static inline size_t of_source(const struct sockaddr_storage *peer)
{
	size_t unproven;
	return workers_of_source(&pool.workers, address_source(peer), &unproven);
}

/* A child of ours has ended: the pool hears of it. */
static inline void reap_one(void)
{
	int status;
	siginfo_t info = { .si_pid = 0 };
	CU_ASSERT_FATAL(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
	CU_ASSERT_FATAL(waitpid(info.si_pid, &status, 0) == info.si_pid);
	pool_reaped(&pool, info.si_pid, status, info.si_uid);
}

static inline void end(void)
{
	pool_retire_idle(&pool);
	while (pool.workers.count > 0)
		reap_one();
	CU_ASSERT(idle(&pool) == 0);
	(void)close(pool.nursery);
	if (nursery >= 0)
		(void)close(nursery);
	(void)close(pool.words);
	log_release(kept_stderr);
	host_remove();
}

/* The nursery's next order: the gate's socket, taken by the caller. */
static inline int take_order(uint64_t want)
{
	struct nursery_order order = { .worker = 0 };
	int fd;
	CU_ASSERT(rpc_await(nursery, &order, sizeof order, &fd) == (ssize_t)sizeof order && fd >= 0);
	CU_ASSERT(order.worker == want);
	return fd;
}

#endif
