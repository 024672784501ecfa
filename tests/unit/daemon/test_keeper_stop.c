/*
 * test_keeper_stop.c - daemon/keeper.c, told to stop while its gate goes on.
 * Runs in: the tests; the gate and the master are played.
 */
#define KEEPER_STOP_LIMIT_MS 300
#define READY_LIMIT_MS 300
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

/* Behind its last word a keeper waits for its gate; for nothing else, and not where it has none, or is to go itself. */
static void test_last_wait(void)
{
	static const struct { const char *label; bool said_bye, stopping; enum { GOES, STAYS, IS_READY } gate; uint32_t job; } rows[] = {
		{ "the gate goes", true, false, GOES, 0 }, { "the server stops", true, false, STAYS, JOB_STOP },
		{ "room is made, and the gate goes", true, false, GOES, JOB_MAKE_ROOM }, { "room is made, and the gate stays", true, false, STAYS, JOB_MAKE_ROOM }, { "the master goes", true, false, STAYS, 0 },
		{ "no goodbye", false, false, STAYS, 0 }, { "told to stop before", true, true, STAYS, 0 }, { "a shared one's is ready too late", true, false, IS_READY, 0 },
	};
	const struct rpc_ready is_ready = { .verb = RPC_READY };
	host_make();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct job job = { .verb = rows[i].job };
		const bool master_goes = rows[i].said_bye && !rows[i].stopping && rows[i].gate == STAYS && rows[i].job == 0;
		const struct settings settings = { .sessions = rows[i].gate == IS_READY ? 2 : 1 };
		int master[2], gate[2];
		socket_pair(SOCK_SEQPACKET, master);
		socket_pair(SOCK_SEQPACKET, gate);
		const struct session s = { .settings = &settings, .master = master[1], .gate = gate[1], .said_bye = rows[i].said_bye, .stopping = rows[i].stopping };
		pid_t pid = fork_child();
		if (pid == 0) {
			(void)close(master[0]);
			(void)close(gate[0]);
			await_gate(&s);
			_exit(0);
		}
		(void)close(master[1]);
		(void)close(gate[1]);
		if (rows[i].job != 0)
			CU_ASSERT(rpc_send(master[0], &job, sizeof job, -1) == 0);
		if (rows[i].gate == IS_READY)
			CU_ASSERT(rpc_send(gate[0], &is_ready, sizeof is_ready, -1) == 0);
		if (rows[i].gate == GOES)
			(void)close(gate[0]);
		if (master_goes)
			(void)close(master[0]);
		expect_end(rows[i].label, pid, 0, NULL);
		if (rows[i].gate != GOES)
			(void)close(gate[0]);
		if (!master_goes)
			(void)close(master[0]);
	}
	host_remove();
}

#define TESTS(X) X(test_gate_that_goes_on) X(test_gate_that_takes_nothing) X(test_last_wait)
SUITE("keeper stop")
