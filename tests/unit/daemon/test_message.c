/*
 * test_message.c - daemon/message.c: which octets of a message a client gets, of any message, cut anywhere.
 * Runs in: the tests.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/message.h"
#include "tests/unit/suite.h"

enum { CHUNK = 131072, ROOM = 3 * CHUNK, WIRE = 3 * ROOM, AHEAD = 5 };

static char message[ROOM], got[WIRE], want[WIRE];
static size_t got_len;

/* ---- the reference: octet by octet, and as the RFC has it ---- */

/* How much of a message TOP passes: the header, the empty line, so many lines. */
static size_t reference_top(const char *text, size_t len, uint64_t lines)
{
	size_t start = 0;
	bool in_body = false;
	for (size_t i = 0; i < len; i++) {
		if (in_body && lines == 0)
			return start;
		if (text[i] != '\n')
			continue;
		size_t n = i - start;
		bool empty = n == 0 || (n == 1 && text[start] == '\r');
		if (in_body)
			lines--;
		else
			in_body = empty;
		start = i + 1;
	}
	return in_body && lines == 0 ? start : len;
}

/* What goes over the wire, dots doubled, without the final dot. *octets_r is what LIST says. */
static size_t reference_wire(const char *text, size_t len, char *out, uint64_t *octets_r)
{
	size_t n = 0, dots = 0;
	bool line_start = true;
	for (size_t i = 0; i < len; i++) {
		if (line_start && text[i] == '.') {
			out[n++] = '.';
			dots++;
		}
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = text[i];
		line_start = text[i] == '\n';
	}
	if (len > 0 && !line_start) {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	*octets_r = n - dots;
	return n;
}

static const struct { const char *label, *text; size_t len; } messages[] = {
#define MESSAGE(label, text) { label, text, sizeof(text) - 1 }
	MESSAGE("empty", ""),
	MESSAGE("one LF", "\n"),
	MESSAGE("plain", "A: b\n\none\ntwo\nthree\n"),
	MESSAGE("CRLF", "A: b\r\n\r\none\r\ntwo\r\nthree\r\n"),
	MESSAGE("mixed", "A: b\n\r\none\r\ntwo\nthree\r\n"),
	MESSAGE("header only", "A: b\nC: d\n"),
	MESSAGE("header without an end", "A: b\nC: d"),
	MESSAGE("no header", "\none\ntwo\n"),
	MESSAGE("no last line end", "A: b\n\none\ntwo"),
	MESSAGE("ends in CR", "A: b\n\none\r"),
	MESSAGE("lone CR lines", "A: b\n\r\n\n\rx\n\r\n"),
	MESSAGE("CR CR LF", "A: b\r\r\n\r\nx\r\r\n"),
	MESSAGE("dots", ".\n..\n\n.\n.x\n..\nx.\n.\r\n."),
	MESSAGE("dot first", ".A: b\n\n.\n"),
	MESSAGE("blank is not empty", "A: b\n \nC: d\n\none\n"),
	MESSAGE("empty lines in the body", "A: b\n\n\n\n\none\n\n"),
	MESSAGE("two CRs are not empty", "A: b\r\n\r\r\nC: d\r\n\r\none\r\n"),
	MESSAGE("NUL and high octets", "A: \0\xff\n\n\0\n\xff\xfe\n"),
};

/* top_take() over a message in two pieces, which it sees one after the other. */
static size_t top_in_pieces(const char *text, size_t len, size_t cut, uint64_t lines, bool *done_r)
{
	struct top top = TOP_START(lines);
	size_t n = top_take(&top, text, cut, done_r);
	if (*done_r || n < cut)
		return n;
	return n + top_take(&top, text + cut, len - cut, done_r);
}

static void test_top(void)
{
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
		for (uint64_t lines = 0; lines < 6; lines++)
			for (size_t cut = 0; cut <= messages[i].len; cut++) {
				bool done;
				size_t n = top_in_pieces(messages[i].text, messages[i].len, cut, lines, &done);
				size_t right = reference_top(messages[i].text, messages[i].len, lines);
				ROW_ASSERT(messages[i].label, n == right);
				ROW_ASSERT(messages[i].label, done || n == messages[i].len);
			}
}

static void test_top_octet_by_octet(void)
{
	static const char alphabet[] = "a\r\n\n.";
	srand(1225);
	for (int round = 0; round < 2000; round++) {
		char text[64], label[32];
		size_t len = (size_t)rand() % sizeof text, n = 0;
		uint64_t lines = (uint64_t)rand() % 5;
		for (size_t i = 0; i < len; i++)
			text[i] = i > 0 && text[i - 1] == '\r' ? "\nb"[rand() % 2] : alphabet[(size_t)rand() % (sizeof alphabet - 1)];
		struct top top = TOP_START(lines);
		bool done = false;
		while (n < len && !done && top_take(&top, text + n, 1, &done) == 1)
			n++;
		(void)snprintf(label, sizeof label, "round %d", round);
		ROW_ASSERT(label, n == reference_top(text, len, lines));
	}
}

/* ---- over a real connection ---- */

static void *drain(void *fd)
{
	ssize_t n;
	got_len = 0;
	while ((n = read(*(int *)fd, got + got_len, sizeof got - got_len)) > 0)
		got_len += (size_t)n;
	return NULL;
}

static int file_of(const char *text, size_t len)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(write(fd, "AHEAD", AHEAD) == AHEAD && write(fd, text, len) == (ssize_t)len && write(fd, "BEHIND\n", 7) == 7);
	return fd;
}

/* What the keeper says of a message whose file was written to; and whether it was asked. */
static bool is_still_there = true, was_asked;

static bool still_there(void *context, const struct message_body *body)
{
	CU_ASSERT(context == got && body->fd >= 0);
	was_asked = true;
	return is_still_there;
}

static const struct message_witness witness = { still_there, got };

/* message_send() with "+OK\r\n" before it; what arrives is in got. */
static enum conn_result send_message(struct pop3_send *send, uint64_t *octets_r, const char **problem_r)
{
	static struct conn c;
	int ends[2], keeper[2];
	pthread_t reader;
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keeper) == 0);
	CU_ASSERT_FATAL(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	CU_ASSERT_FATAL(pthread_create(&reader, NULL, drain, &ends[1]) == 0);
	/* Somebody is logged in; of that the keeper is not to hear. */
	c = (struct conn){ .fd = ends[0], .keeper = keeper[0], .session = true, .active_due = LLONG_MAX };
	c.out = BUF_OVER(c.out_storage);
	(void)buf_add_text(&c.out, "+OK\r\n");
	int body = send->body.fd;
	enum conn_result r = message_send(&c, send, &witness, octets_r);
	CU_ASSERT(send->body.fd == -1 && (body < 0 || fcntl(body, F_GETFD) == -1));
	if (r == CONN_OK)
		r = conn_flush(&c);
	CU_ASSERT(c.out.len == 0);
	*problem_r = c.problem != NULL ? c.problem : "";
	(void)close(ends[0]);
	CU_ASSERT(pthread_join(reader, NULL) == 0);
	(void)close(ends[1]);
	(void)close(keeper[0]);
	(void)close(keeper[1]);
	return r;
}

static void expect_sent(const char *label, const char *text, size_t len, bool top, uint64_t lines)
{
	uint64_t octets = 0, sent = 1000;
	const char *problem;
	size_t passed = top ? reference_top(text, len, lines) : len;
	memcpy(want, "+OK\r\n", 5);
	size_t want_len = 5 + reference_wire(text, passed, want + 5, &octets);
	memcpy(want + want_len, ".\r\n", 3);
	want_len += 3;
	struct pop3_send send = { .body = { .fd = file_of(text, len), .offset = AHEAD, .length = len, .wire = octets },
	                          .top = top, .lines = lines };
	ROW_ASSERT(label, send_message(&send, &sent, &problem) == CONN_OK);
	ROW_ASSERT(label, sent == 1000 + octets);
	ROW_ASSERT(label, got_len == want_len && memcmp(got, want, want_len) == 0);
	/* The same without a file. */
	send = (struct pop3_send){ .body = { .fd = -1, .octets = text, .length = len, .wire = octets }, .top = top, .lines = lines };
	ROW_ASSERT(label, send_message(&send, &sent, &problem) == CONN_OK);
	ROW_ASSERT(label, got_len == want_len && memcmp(got, want, want_len) == 0);
}

static void test_send(void)
{
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		expect_sent(messages[i].label, messages[i].text, messages[i].len, false, 0);
		for (uint64_t lines = 0; lines < 4; lines++)
			expect_sent(messages[i].label, messages[i].text, messages[i].len, true, lines);
	}
}

/* Sizes around the chunk, with what matters on its edge. */
static void test_send_chunks(void)
{
	static const char *const edges[] = { "\r\n", "\n.", "\n\n", "\r\r", "..", "xx", "\n\r", ".\n" };
	for (size_t e = 0; e < sizeof edges / sizeof *edges; e++)
		for (size_t len = 2 * CHUNK - 2; len <= 2 * CHUNK + 2; len++) {
			char label[64];
			(void)snprintf(label, sizeof label, "%zu octets, edge %zu", len, e);
			for (size_t i = 0; i < len; i++)
				message[i] = i % 61 == 60 ? '\n' : i % 61 == 0 ? '.' : (char)('a' + i % 26);
			memcpy(message, "A: b\n\n", 6);
			memcpy(message + CHUNK - 1, edges[e], 2);
			memcpy(message + len - 2, edges[e], 2);
			expect_sent(label, message, len, false, 0);
			expect_sent(label, message, len, true, 1080);
		}
	memset(message, '\n', sizeof message);
	expect_sent("only line ends", message, sizeof message, false, 0);
	memset(message, '.', sizeof message);
	expect_sent("only dots", message, sizeof message, false, 0);
	for (size_t i = 0; i < sizeof message; i += 2)
		memcpy(message + i, "\n.", 2);
	expect_sent("only dots, each on a line", message, sizeof message, false, 0);
}

/* A file that is the message, and so long and so old as the keeper saw it. */
static struct pop3_send stored_message(const char *text, size_t len)
{
	struct stat st;
	int fd = memfd_create("message", MFD_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, text, len) == (ssize_t)len && fstat(fd, &st) == 0);
	return (struct pop3_send){ .body = { .fd = fd, .as_stored = true, .length = len, .wire = len, .file_size = len, .modified = st.st_mtim } };
}

/* What needs no change goes out by sendfile(2), or with other answers when it is short. */
static void test_send_as_stored(void)
{
	for (size_t len = 100; len < sizeof message; len = len * 2 + 1) {
		char label[32];
		uint64_t sent = 0;
		const char *problem;
		(void)snprintf(label, sizeof label, "%zu octets", len);
		for (size_t i = 0; i < len; i++)
			message[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : (char)('a' + i % 26);
		memcpy(message + len - 2, "\r\n", 2);
		struct pop3_send send = stored_message(message, len);
		ROW_ASSERT(label, send_message(&send, &sent, &problem) == CONN_OK);
		ROW_ASSERT(label, sent == len && got_len == 5 + len + 3);
		ROW_ASSERT(label, memcmp(got, "+OK\r\n", 5) == 0 && memcmp(got + 5, message, len) == 0 && memcmp(got + 5 + len, ".\r\n", 3) == 0);
		/* TOP must look at the lines. */
		expect_sent(label, message, len, true, 1);
	}
}

static void grow(int fd) { CU_ASSERT(pwrite(fd, "x", 1, ROOM) == 1); }
static void cut(int fd) { CU_ASSERT(ftruncate(fd, ROOM / 2) == 0); }
static void rewrite(int fd) { CU_ASSERT(pwrite(fd, ".", 1, 0) == 1); }

/* To read from it is an error that is none of the connection's, as on a network's file system whose server has lost it. */
static void deny(int fd)
{
	char path[32];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	const int writable = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(writable >= 0 && dup2(writable, fd) == fd && close(writable) == 0);
}

/* The same, but another program wrote to the file since the keeper looked at it. */
static void test_stored_changed(void)
{
	static const struct { const char *label; void (*change)(int fd); long more; const char *problem; } rows[] = {
		{ "longer", grow, 0, "the message changed while it was sent" },
		{ "shorter", cut, 0, "the message became shorter while it was sent" },
		{ "not to be read", deny, 0, "Bad file descriptor" },
		{ "other octets", rewrite, 0, "the message changed while it was sent" },
		{ "one more was said", NULL, 1, "the message changed while it was sent" },
		{ "one fewer was said", NULL, -1, "the message changed while it was sent" },
	};
	memset(message, 'x', sizeof message);
	memcpy(message + sizeof message - 2, "\r\n", 2);
	is_still_there = false;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t sent = 0;
		const char *problem;
		struct pop3_send send = stored_message(message, sizeof message);
		/* The clock of the file system may not have moved since; and what was found is older than any write after it. */
		send.body.modified.tv_nsec -= rows[i].change == rewrite;
		if (rows[i].change != NULL)
			rows[i].change(send.body.fd);
		send.body.wire = (uint64_t)((long)send.body.wire + rows[i].more);
		ROW_ASSERT(rows[i].label, send_message(&send, &sent, &problem) == CONN_UNREADABLE);
		ROW_TEXT(rows[i].label, problem, rows[i].problem);
		ROW_ASSERT(rows[i].label, got_len < 5 || memcmp(got + got_len - 5, "\r\n.\r\n", 5) != 0);
	}
	is_still_there = true;
}

/* A message of an mbox, which somebody wrote to meanwhile: with as many line ends in it as before, only the keeper can tell. */
static void test_mbox_changed(void)
{
	static const struct { const char *label; bool written, there, whole; } rows[] = {
		{ "nobody wrote", false, false, true }, { "new mail came", true, true, true }, { "other mail is there", true, false, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t octets, sent = 0;
		const char *problem;
		struct stat st;
		memset(message, 'x', 100);
		message[99] = '\n';
		(void)reference_wire(message, 100, want, &octets);
		struct pop3_send send = { .body = { .fd = file_of(message, 100), .offset = AHEAD, .length = 100, .wire = octets } };
		CU_ASSERT_FATAL(fstat(send.body.fd, &st) == 0);
		send.body.file_size = (uint64_t)st.st_size - rows[i].written;
		send.body.modified = st.st_mtim;
		is_still_there = rows[i].there;
		was_asked = false;
		ROW_ASSERT(rows[i].label, send_message(&send, &sent, &problem) == (rows[i].whole ? CONN_OK : CONN_UNREADABLE));
		ROW_ASSERT(rows[i].label, was_asked == rows[i].written && sent == octets);
		ROW_ASSERT(rows[i].label, (got_len >= 5 && memcmp(got + got_len - 5, "\r\n.\r\n", 5) == 0) == rows[i].whole);
		ROW_TEXT(rows[i].label, problem, rows[i].whole ? "" : "the message changed while it was sent");
	}
	is_still_there = true;
}

/* Answers that wait are whole, and the client gets them even when the message behind them is cut. */
static void test_answers_before_a_cut(void)
{
	uint64_t sent = 0;
	const char *problem;
	struct pop3_send send = stored_message("x\r\n", 3);
	send.body.wire = 4;
	CU_ASSERT(send_message(&send, &sent, &problem) == CONN_UNREADABLE);
	CU_ASSERT(got_len >= 5 && memcmp(got, "+OK\r\n", 5) == 0);
}

/* A message that is not what LIST said: the client gets no final dot. */
static void test_send_changed(void)
{
	static const struct { const char *label; size_t len; uint64_t length; int more; const char *problem; } rows[] = {
		{ "one more was said", 100, 100, 1, "the message changed while it was sent" },
		{ "one fewer was said", 100, 100, -1, "the message changed while it was sent" },
		{ "two chunks, one fewer", CHUNK + 100, CHUNK + 100, -1, "the message changed while it was sent" },
		{ "shorter", 100, 100 + 8, 0, "the message became shorter while it was sent" },
		{ "much shorter", 100, 3 * CHUNK, 0, "the message became shorter while it was sent" },
		{ "shorter in the second chunk", CHUNK + 100, 2 * CHUNK, 0, "the message became shorter while it was sent" },
	};
	memset(message, 'x', sizeof message);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t octets, sent = 0;
		const char *problem;
		(void)reference_wire(message, rows[i].len, want, &octets);
		octets += (uint64_t)rows[i].more;
		struct pop3_send send = { .body = { .fd = file_of(message, rows[i].len), .offset = AHEAD, .length = rows[i].length,
		                                    .wire = octets } };
		ROW_ASSERT(rows[i].label, send_message(&send, &sent, &problem) == CONN_UNREADABLE);
		ROW_TEXT(rows[i].label, problem, rows[i].problem);
		ROW_ASSERT(rows[i].label, got_len < 3 || memcmp(got + got_len - 3, ".\r\n", 3) != 0);
	}
	/* A file that cannot be read at all. */
	uint64_t sent = 0;
	const char *problem;
	int ends[2];
	CU_ASSERT_FATAL(pipe2(ends, O_CLOEXEC) == 0);
	struct pop3_send send = { .body = { .fd = ends[0], .length = 10, .wire = 12 } };
	CU_ASSERT(send_message(&send, &sent, &problem) == CONN_UNREADABLE);
	ROW_TEXT("a pipe", problem, "Illegal seek");
	(void)close(ends[1]);
}

/* A client that closes in the middle. */
static void test_send_closed(void)
{
	static struct conn c;
	int ends[2];
	uint64_t sent = 0;
	memset(message, 'x', sizeof message);
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	(void)close(ends[1]);
	c = (struct conn){ .fd = ends[0], .keeper = -1, .session = true, .active_due = LLONG_MAX };
	c.out = BUF_OVER(c.out_storage);
	struct pop3_send send = { .body = { .fd = file_of(message, sizeof message), .offset = AHEAD, .length = sizeof message,
	                                    .wire = sizeof message + 2 } };
	enum conn_result r = message_send(&c, &send, &witness, &sent);
	CU_ASSERT((r == CONN_OK ? conn_flush(&c) : r) == CONN_CLOSED);
	CU_ASSERT(send.body.fd == -1);
	(void)close(ends[0]);
}

#define TESTS(X) X(test_top) X(test_top_octet_by_octet) X(test_send) X(test_send_chunks) X(test_send_changed) X(test_send_closed) \
	X(test_send_as_stored) X(test_stored_changed) X(test_mbox_changed) X(test_answers_before_a_cut)
SUITE("message")
