/*
 * test_ahead.c - daemon/ahead.c: which messages the keeper is asked for together, and which of them are still good.
 * Runs in: the tests.
 */
#include "daemon/ahead.h"
#include "tests/unit/daemon/host.h"

enum { TAKEN = 1000 };

/* Message idx, in a file of that name. */
static struct message_body message(size_t idx)
{
	char name[24];
	struct stat st;
	(void)snprintf(name, sizeof name, "%zu", idx);
	host_put(name, "some text\n", 0600);
	int fd = open(in_host(name), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	return (struct message_body){ .fd = fd, .offset = idx, .length = 10, .file_size = 10, .modified = st.st_mtim };
}

static void test_order(void)
{
	/* Wanted: how many more the keeper is asked for, or TAKEN when it need not be asked. */
	static const struct { const char *label; size_t idx, behind, commands; unsigned want; } rows[] = {
		{ "the first, nothing waits", 0, 99, 0, 0 },
		{ "in order, three wait", 1, 98, 3, 3 },
		{ "the first of them", 2, 97, 2, TAKEN },
		{ "the second", 3, 96, 1, TAKEN },
		{ "the third", 4, 95, 0, TAKEN },
		{ "many wait", 5, 94, 50, RPC_MORE_MOST },
		{ "out of order", 50, 49, 50, 0 },
		{ "in order again", 51, 48, 2, 2 },
		{ "the same again", 51, 48, 2, 0 },
		{ "what was there then is no more", 52, 47, 0, 0 },
		{ "near the end", 53, 1, 20, 1 },
		{ "the last", 54, 0, 20, TAKEN },
	};
	struct ahead a = { .count = 0 };
	struct message_body got;
	int fds[64];
	size_t n = 0;
	host_make();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint32_t more = TAKEN;
		const bool taken = ahead_take(&a, rows[i].idx, rows[i].behind, rows[i].commands, &got, &more);
		ROW_ASSERT(rows[i].label, (taken ? TAKEN : more) == rows[i].want);
		if (taken) {
			ROW_ASSERT(rows[i].label, got.offset == rows[i].idx && close(got.fd) == 0);
			continue;
		}
		for (uint32_t m = 1; m <= more && m <= RPC_MORE_MOST; m++) {
			const struct message_body body = message(rows[i].idx + m);
			fds[n++] = body.fd;
			ahead_keep(&a, &body);
		}
	}
	ahead_forget(&a);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT(fcntl(fds[i], F_GETFD) == -1);
	host_remove();
}

static void leave_alone(void) { }
static void append(void) { host_put("1", "some text\nmore\n", 0600); }
static void rewrite(void) { host_put("1", "SOME TEXT\n", 0600); CU_ASSERT(utimensat(AT_FDCWD, in_host("1"), (struct timespec[]){ { .tv_sec = 1 }, { .tv_sec = 1 } }, 0) == 0); }
static void delete(void) { CU_ASSERT(unlink(in_host("1")) == 0); }
static void set_flag(void) { CU_ASSERT(rename(in_host("1"), in_host("1:2,S")) == 0); }

/* Between the asking and the client's command another program was there. */
static void test_changes(void)
{
	static const struct { const char *label; void (*change)(void); bool want; } rows[] = {
		{ "nothing happened", leave_alone, true },
		{ "longer", append, false },
		{ "another time", rewrite, false },
		{ "removed", delete, false },
		{ "another name", set_flag, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ahead a = { .next = 1 };
		struct message_body got = { .fd = -1 };
		uint32_t more = TAKEN;
		host_make();
		const struct message_body bodies[] = { message(1), message(2) };
		ahead_keep(&a, &bodies[0]);
		ahead_keep(&a, &bodies[1]);
		rows[i].change();
		ROW_ASSERT(rows[i].label, ahead_take(&a, 1, 9, 5, &got, &more) == rows[i].want);
		/* What is asked for anew comes with those behind it. */
		ROW_ASSERT(rows[i].label, rows[i].want ? a.count == 1 : a.count == 0 && more == 5);
		ROW_ASSERT(rows[i].label, (fcntl(bodies[1].fd, F_GETFD) >= 0) == rows[i].want);
		if (got.fd >= 0)
			(void)close(got.fd);
		ahead_forget(&a);
		host_remove();
	}
}

/* What the keeper could not open is asked for when it is wanted; what is behind it waits no longer. */
static void test_gap(void)
{
	struct ahead a = { .next = 1 };
	const struct message_body none = { .fd = -1 };
	struct message_body got;
	uint32_t more = TAKEN;
	host_make();
	const struct message_body behind = message(2);
	ahead_keep(&a, &none);
	ahead_keep(&a, &behind);
	CU_ASSERT(!ahead_take(&a, 1, 9, 0, &got, &more));
	CU_ASSERT(more == 0 && a.count == 0 && fcntl(behind.fd, F_GETFD) == -1);
	host_remove();
}

#define TESTS(X) X(test_order) X(test_changes) X(test_gap)
SUITE("ahead")
