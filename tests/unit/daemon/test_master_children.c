/*
 * test_master_children.c - daemon/master.c, while a user stops and continues his processes without pause.
 * Runs in: the tests; what the kernel tells of children is played.
 */
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "tests/unit/daemon/host.h"

static int played_waitid(idtype_t which, id_t id, siginfo_t *info_r, int options);
#define waitid played_waitid
#include "daemon/master.c"

enum { ENDED = 3000, RESTLESS, WITHOUT_END = 100000, FEW = 1000, SIGNALS_WAITING = 100, SOON_MS = 1000 };

static struct { unsigned ends, halts, calls; } played;

/* Some children have ended, and one, which is the first that is looked at, is stopped and goes on as often as it is asked about. */
static int played_waitid(idtype_t which, id_t id, siginfo_t *info_r, int options)
{
	(void)id;
	CU_ASSERT(which == P_ALL && (options & WNOHANG) != 0);
	*info_r = (siginfo_t){ .si_pid = 0 };
	if (++played.calls >= WITHOUT_END)
		return 0;
	if ((options & WSTOPPED) != 0) {
		info_r->si_pid = RESTLESS;
		info_r->si_uid = getuid();
		info_r->si_code = played.halts++ % 2 == 0 ? CLD_STOPPED : CLD_CONTINUED;
	} else if (played.ends > 0) {
		info_r->si_pid = ENDED;
		info_r->si_uid = getuid();
		info_r->si_code = CLD_EXITED;
		played.ends--;
	}
	return 0;
}

/* Those who have ended are heard of, and the rest of the master's work is not kept waiting. */
static void test_restless(void)
{
	static struct master m;
	const struct signalfd_siginfo child = { .ssi_signo = SIGCHLD };
	int signals[2], left = 0;
	played.ends = 3;
	CU_ASSERT_FATAL(workers_open(&m.pool.workers) == 0 && pipe2(signals, O_CLOEXEC | O_NONBLOCK) == 0);
	m.signals = signals[0];
	m.stopping = true; /* no workers are forked */
	m.pool.attempts.workers = &m.pool.workers;
	for (int i = 0; i < SIGNALS_WAITING; i++)
		CU_ASSERT_FATAL(write(signals[1], &child, sizeof child) == (ssize_t)sizeof child);
	take_signals(&m);
	CU_ASSERT(played.ends == 0 && played.halts > 0 && played.calls < FEW);
	CU_ASSERT(ioctl(signals[0], FIONREAD, &left) == 0 && left > 0);
	/* Nor is it asked again at once; nor never. */
	const unsigned calls = played.calls;
	run_timers(&m);
	const int wait = wait_ms(&m);
	CU_ASSERT_FATAL(played.calls == calls && wait > 0 && wait <= SOON_MS);
	(void)poll(NULL, 0, wait);
	run_timers(&m);
	CU_ASSERT(played.calls > calls && played.calls < FEW);
	(void)close(signals[0]);
	(void)close(signals[1]);
}

#define TESTS(X) X(test_restless)
SUITE("master's children")
