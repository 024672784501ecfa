/*
 * test_keeper_stop.c - daemon/keeper.c, told to stop while its gate goes on.
 * Runs in: the tests; the gate and the master are played.
 */
#define KEEPER_STOP_LIMIT_MS 300
#include "daemon/keeper.c"
#include "tests/unit/daemon/keeper_peer.h"

enum { WORDS_MOST = 400, PAUSE_MS = 50 };

/* A hostile gate that says something now and then, as it may, gains no time by it. */
static void test_gate_that_goes_on(void)
{
	const struct job stop = { .verb = JOB_STOP };
	const struct rpc_active active = { .verb = RPC_ACTIVE };
	struct rpc_answer answer;
	int fd, words = 0;
	host_make();
	make_users();
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	ROW_TEXT("login", login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
	if (fd >= 0)
		(void)close(fd);
	CU_ASSERT(rpc_send(w.master, &stop, sizeof stop, -1) == 0);
	while (words < WORDS_MOST && rpc_send(w.gate, &active, sizeof active, -1) == 0) {
		struct pollfd p = { .fd = w.gate, .events = 0 };
		(void)poll(&p, 1, PAUSE_MS);
		words++;
	}
	CU_ASSERT(words < WORDS_MOST);
	keeper_end("stopped", &w, EXIT_GOOD, NULL);
	host_remove();
}

/* One that asks and asks, and takes none of the answers, keeps nobody from hearing the master, nor for ever. */
static void test_gate_that_takes_nothing(void)
{
	enum { QUESTIONS_MOST = 100000 };
	const struct rpc_fetch fetch_first = { .verb = RPC_FETCH, .idx = 0 };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int questions = 0;
	host_make();
	make_users();
	struct worker_ends w = keeper_logged_in(settings_of(""));
	CU_ASSERT(setsockopt(w.gate, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
	while (questions < QUESTIONS_MOST && rpc_send(w.gate, &fetch_first, sizeof fetch_first, -1) == 0)
		questions++;
	CU_ASSERT(questions < QUESTIONS_MOST && (errno == EPIPE || errno == ECONNRESET));
	keeper_end("takes nothing", &w, EXIT_VIOLATION, "it asks, and takes no answers");
	host_remove();
}

#define TESTS(X) X(test_gate_that_goes_on) X(test_gate_that_takes_nothing)
SUITE("keeper stop")
