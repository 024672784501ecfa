/*
 * test_refusal.c - daemon/refusal.c: who is told no reads why, is closed in time, and cannot fill the log.
 * Runs in: the tests.
 */
#include "base/clock.h"
#include "daemon/refusal.h"
#include "tests/unit/daemon/host.h"

static struct refusals refusals;
static int kept_stderr = -1;

static void begin(void)
{
	host_make();
	kept_stderr = log_capture();
	refusals = (struct refusals){ .count = 0 };
}

static void end(void)
{
	refusals_expire(&refusals, INT64_MAX);
	log_release(kept_stderr);
	host_remove();
}

static void connection(int ends[2])
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
}

static void add(int fd, bool tls)
{
	refusals_add(&refusals, fd, tls, "192.0.2.1", REPLY_SOURCE_FULL, &(struct reply_args){ .n = { 20, 20 } });
}

/* A connection that is told no. The client's end. */
static int add_one(bool tls)
{
	int ends[2];
	connection(ends);
	add(ends[0], tls);
	return ends[1];
}

static void test_told(void)
{
	static struct peer client;
	int ends[2];
	begin();
	connection(ends);
	peer_open(&client, ends[1]);
	/* What the client has sent is not read, and does not cost it the answer. */
	peer_say(&client, "CAPA");
	CU_ASSERT(refusals_due(&refusals) == 0);
	long long before = now_ms();
	add(ends[0], false);
	long long due = refusals_due(&refusals);
	CU_ASSERT(due >= before + REFUSAL_MS && due <= now_ms() + REFUSAL_MS);
	expect_line("told", &client, NULL, "-ERR [SYS/TEMP] your address has 20 of 20 connections open; close one, or wait");
	expect_closed("told", &client);
	refusals_expire(&refusals, due - 1);
	CU_ASSERT(refusals.count == 1 && fcntl(ends[0], F_GETFD) >= 0);
	refusals_expire(&refusals, due);
	CU_ASSERT(refusals.count == 0 && fcntl(ends[0], F_GETFD) == -1 && refusals_due(&refusals) == 0);
	CU_ASSERT(strstr(read_log(), "refused: peer=192.0.2.1 reason=SOURCE_FULL ref= (0 more") != NULL);
	peer_close(&client);
	end();
}

/* On a TLS port nothing is said in clear. */
static void test_tls(void)
{
	int ends[2];
	char octet;
	begin();
	connection(ends);
	add(ends[0], true);
	CU_ASSERT(refusals.count == 0 && fcntl(ends[0], F_GETFD) == -1);
	CU_ASSERT(read(ends[1], &octet, 1) == 0);
	CU_ASSERT(strstr(read_log(), "refused: ") != NULL);
	(void)close(ends[1]);
	end();
}

/* A client that takes nothing does not hold the master up. */
static void test_full(void)
{
	static char waste[4096];
	int ends[2];
	begin();
	connection(ends);
	while (send(ends[0], waste, sizeof waste, MSG_DONTWAIT) > 0)
		;
	add(ends[0], false);
	CU_ASSERT(refusals.count == 1);
	(void)close(ends[1]);
	end();
}

/* Their descriptors are wanted: all that there are at once, told as they were. */
static void test_close(void)
{
	static struct peer clients[REFUSALS_MAX];
	begin();
	for (size_t i = 0; i < REFUSALS_MAX; i++)
		peer_open(&clients[i], add_one(false));
	refusals_close(&refusals);
	CU_ASSERT(refusals.count == 0);
	for (size_t i = 0; i < REFUSALS_MAX; i++) {
		expect_line("closed", &clients[i], NULL, "-ERR [SYS/TEMP] your address has 20 of 20 connections open; close one, or wait");
		expect_closed("closed", &clients[i]);
		CU_ASSERT(send(clients[i].fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
		peer_close(&clients[i]);
	}
	end();
}

/* A flood closes the oldest, in order, and is one line in the log. */
static void test_flood(void)
{
	enum { FLOOD = REFUSALS_MAX + 5, KIND = REPLY_SOURCE_FULL - REPLY_SERVER_FULL };
	int client[FLOOD];
	begin();
	for (int i = 0; i < FLOOD; i++) {
		refusals.kinds[KIND].logged = i == 0 ? 0 : now_ms();
		client[i] = add_one(false);
		CU_ASSERT(refusals.count <= REFUSALS_MAX);
	}
	for (int i = 0; i < FLOOD; i++)
		CU_ASSERT((send(client[i], "x", 1, MSG_NOSIGNAL) == -1) == (i < FLOOD - REFUSALS_MAX));
	const char *first = strstr(read_log(), "refused: ");
	CU_ASSERT(first != NULL && strstr(first + 1, "refused: ") == NULL && refusals.kinds[KIND].silent == FLOOD - 1);
	refusals.kinds[KIND].logged -= REFUSAL_LOG_MS;
	const int late = add_one(false);
	CU_ASSERT(strstr(read_log(), "(68 more since the last such line)") != NULL && refusals.kinds[KIND].silent == 0);
	(void)close(late);
	refusals_expire(&refusals, INT64_MAX);
	CU_ASSERT(refusals.count == 0);
	for (int i = 0; i < FLOOD; i++)
		(void)close(client[i]);
	end();
}

/* Lines and sums make the number of those who were refused, also when nobody comes any more. */
static void test_sum(void)
{
	enum { FLOOD = 7, KIND = REPLY_SOURCE_FULL - REPLY_SERVER_FULL };
	int client[FLOOD];
	begin();
	for (int i = 0; i < FLOOD; i++) {
		client[i] = add_one(true);
	}
	const long long logged = refusals.kinds[KIND].logged;
	CU_ASSERT(refusals.kinds[KIND].silent == FLOOD - 1 && refusals_due(&refusals) == logged + REFUSAL_SUM_MS);
	refusals_expire(&refusals, logged + REFUSAL_SUM_MS - 1);
	CU_ASSERT(strstr(read_log(), " more for reason=") == NULL);
	refusals_expire(&refusals, logged + REFUSAL_SUM_MS);
	CU_ASSERT(strstr(read_log(), "refused: 6 more for reason=SOURCE_FULL since the last such line") != NULL);
	CU_ASSERT(refusals.kinds[KIND].silent == 0 && refusals_due(&refusals) == 0);
	for (int i = 0; i < FLOOD; i++)
		(void)close(client[i]);
	end();
}

#define TESTS(X) X(test_told) X(test_tls) X(test_full) X(test_close) X(test_flood) X(test_sum)
SUITE("refusal")
