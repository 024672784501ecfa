/*
 * test_recovery.c - daemon/recovery.c: one maildrop does not keep the others waiting.
 * Runs in: the tests. What is recovered, and how, tests/e2e/test_recover.py looks at.
 */
#define RECOVERY_PATIENCE_MS 200
#include "daemon/recovery.c"
#include "tests/unit/daemon/host.h"

enum { HANGS_SECONDS = 30 };

/* One whose owner has stopped it is left alone after a while; one that ends is waited for, and leaves no zombie. */
static void test_patience(void)
{
	int status;
	pid_t stopped = fork_child();
	if (stopped == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			(void)raise(SIGSTOP);
	}
	(void)alarm(HANGS_SECONDS);
	await_one(stopped);
	(void)alarm(0);
	CU_ASSERT(kill(stopped, SIGKILL) == 0 && waitpid(stopped, &status, 0) == stopped && WIFSIGNALED(status));
	pid_t ends = fork_child();
	if (ends == 0)
		_exit(0);
	await_one(ends);
	CU_ASSERT(waitpid(ends, NULL, 0) == -1 && errno == ECHILD);
}

#define TESTS(X) X(test_patience)
SUITE("recovery")
