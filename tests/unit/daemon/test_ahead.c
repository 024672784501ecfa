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
		{ "what was there then is no more, the next is likely", 52, 47, 0, 1 },
		{ "the next", 53, 46, 0, TAKEN },
		{ "as many as there were", 54, 45, 0, 3 },
		{ "the first of these", 55, 44, 0, TAKEN },
		{ "the second of these", 56, 43, 0, TAKEN },
		{ "the third of these", 57, 42, 0, TAKEN },
		{ "twice as many", 58, 41, 0, 7 },
		{ "leaves them", 97, 2, 20, 0 },
		{ "near the end", 98, 1, 20, 1 },
		{ "the last", 99, 0, 20, TAKEN },
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

/* What the keeper put into its answer, as it says and as it has to be. */
static void test_text(void)
{
	enum { HEAD = offsetof(struct rpc_text, octets) };
	static const struct { const char *label; uint32_t count, lengths[3]; size_t size; uint32_t more; bool want; } rows[] = {
		{ "one", 1, { 5 }, HEAD + 5, 0, true },
		{ "an empty one", 1, { 0 }, HEAD, 0, true },
		{ "three", 3, { 5, 0, 7 }, HEAD + 12, 2, true },
		{ "fewer than were asked for", 2, { 5, 1 }, HEAD + 6, 9, true },
		{ "none", 0, { 0 }, HEAD, 2, false },
		{ "more than were asked for", 2, { 5, 7 }, HEAD + 12, 0, false },
		{ "more than fit", RPC_MORE_MOST + 2, { 0 }, HEAD, UINT32_MAX, false },
		{ "shorter than it says", 2, { 5, 7 }, HEAD + 11, 1, false },
		{ "longer than it says", 2, { 5, 7 }, HEAD + 13, 1, false },
		{ "a length that wraps", 2, { 5, UINT32_MAX }, HEAD + 4, 1, false },
		{ "no head", 1, { 0 }, HEAD - 1, 0, false },
	};
	struct rpc_text *text = ahead_text();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ahead a = { .next = 1, .run = 1 };
		struct message_body got = { .fd = -1 };
		uint32_t more = TAKEN;
		text->count = rows[i].count;
		memcpy(text->lengths, rows[i].lengths, sizeof rows[i].lengths);
		memcpy(text->octets, "abcdefghijklmnop", 16);
		ROW_ASSERT(rows[i].label, ahead_take_text(&a, rows[i].size, rows[i].more, &got) == rows[i].want);
		if (!rows[i].want)
			continue;
		ROW_ASSERT(rows[i].label, got.fd == -1 && got.octets == text->octets && got.length == rows[i].lengths[0]);
		size_t at = rows[i].lengths[0];
		for (size_t n = 1; n < rows[i].count; n++, at += got.length) {
			ROW_ASSERT(rows[i].label, ahead_take(&a, n, 9, 0, &got, &more));
			ROW_ASSERT(rows[i].label, got.fd == -1 && got.octets == text->octets + at && got.length == rows[i].lengths[n]);
		}
		ROW_ASSERT(rows[i].label, a.count == 0);
	}
}

/* What was received is wiped, also when it was too long to be an answer. */
static void test_wipe(void)
{
	static const size_t sizes[] = { 1, sizeof(struct rpc_answer), sizeof(struct rpc_text), sizeof(struct rpc_text) + 1 };
	static char octets[sizeof(struct rpc_text) + 1];
	const char *text = (const char *)ahead_text();
	int ends[2], fd;
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	memset(ahead_text(), 0, sizeof(struct rpc_text));
	memset(octets, 'x', sizeof octets);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CU_ASSERT(rpc_send(ends[0], octets, sizes[i], -1) == 0);
		CU_ASSERT(ahead_receive(ends[1], &fd) == (sizes[i] > sizeof(struct rpc_text) ? -1 : (ssize_t)sizes[i]) && fd == -1 && text[0] == 'x');
		ahead_wipe();
		size_t left = 0;
		for (size_t n = 0; n < sizeof(struct rpc_text); n++)
			left += text[n] != 0;
		CU_ASSERT(left == 0);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
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

#define TESTS(X) X(test_order) X(test_changes) X(test_text) X(test_wipe) X(test_gap)
SUITE("ahead")
