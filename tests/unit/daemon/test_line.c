/*
 * test_line.c - daemon/line.c: lines of any length, cut anywhere, come out whole or are said to be too long once.
 * Runs in: the tests.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "daemon/line.h"
#include "tests/unit/suite.h"

enum { SAID_MAX = 4096, ROUNDS = 300, STREAM_MAX = 3000 };

/* Feed octets; what comes out as text: "[line]" or "!" for one too long. */
static void feed(struct line_reader *reader, const char *octets, size_t len, size_t max, struct buf *said)
{
	while (len > 0) {
		size_t room;
		char *to = line_room(reader, &room), *line;
		size_t n = len < room ? len : room, line_len;
		enum line_result r;
		CU_ASSERT_FATAL(room > 0 && to >= reader->octets && to + room <= reader->octets + sizeof reader->octets);
		memcpy(to, octets, n);
		line_filled(reader, n);
		octets += n;
		len -= n;
		while ((r = line_next(reader, max, &line, &line_len)) != LINE_NONE) {
			if (r == LINE_TOO_LONG)
				(void)buf_add_text(said, "!");
			else if (buf_add_text(said, "[") == 0 && buf_add(said, line, line_len) == 0)
				(void)buf_add_text(said, "]");
		}
		/* What is kept could still become a line that is not too long. */
		CU_ASSERT(reader->end - reader->start < max);
	}
}

static const struct {
	const char *label, *octets;
	size_t len;
	const char *want;
	size_t want_len;
} streams[] = {
#define STREAM(label, octets, want) { label, octets, sizeof(octets) - 1, want, sizeof(want) - 1 }
	STREAM("nothing", "", ""),
	STREAM("one", "NOOP\r\n", "[NOOP]"),
	STREAM("bare LF", "NOOP\n", "[NOOP]"),
	STREAM("three", "USER a\r\nPASS b\nSTAT\r\n", "[USER a][PASS b][STAT]"),
	STREAM("not over", "NOOP", ""),
	STREAM("CR only", "NOOP\r", ""),
	STREAM("empty lines", "\r\n\n\r\n", "[][][]"),
	STREAM("two CR", "a\r\r\n", "[a\r]"),
	STREAM("CR inside", "a\rb\r\n", "[a\rb]"),
	STREAM("NUL", "a\0b\r\n\0\n", "[a\0b][\0]"),
	STREAM("LF behind LF CR", "a\n\rb\n", "[a][\rb]"),
	STREAM("longest, CRLF", "0123456789\r\nx\n", "[0123456789][x]"),
	STREAM("longest, LF", "01234567890\nx\n", "[01234567890][x]"),
	STREAM("one too many, CRLF", "01234567890\r\nx\n", "![x]"),
	STREAM("one too many, LF", "012345678901\nx\n", "![x]"),
	STREAM("much too long", "0123456789012345678901234567890123456789012345678901234567890123456789\nx\n", "![x]"),
	STREAM("two too long", "0123456789012\n0123456789012345678901234567890\r\nx\n", "!![x]"),
	STREAM("too long and not over", "0123456789012345678901234567890", ""),
};

/* Every stream, cut at every two places. max is 12: ten octets and a CRLF. */
static void test_cuts(void)
{
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		for (size_t a = 0; a <= streams[i].len; a++)
			for (size_t b = a; b <= streams[i].len; b++) {
				static struct line_reader reader;
				char storage[SAID_MAX];
				struct buf said = BUF_OVER(storage);
				reader = (struct line_reader){ .start = 0 };
				feed(&reader, streams[i].octets, a, 12, &said);
				feed(&reader, streams[i].octets + a, b - a, 12, &said);
				feed(&reader, streams[i].octets + b, streams[i].len - b, 12, &said);
				ROW_ASSERT(streams[i].label, said.len == streams[i].want_len);
				ROW_ASSERT(streams[i].label, memcmp(storage, streams[i].want, streams[i].want_len) == 0);
			}
}

/* The real limits, at the octet. */
static void test_limits(void)
{
	static const size_t limits[] = { COMMAND_LINE_MAX, RESPONSE_LINE_MAX };
	static char octets[LINE_BUFFER], storage[LINE_BUFFER + 8];
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		for (size_t len = limits[i] - 3; len <= limits[i] + 3; len++)
			for (size_t step = 1; step <= len; step += step == 1 ? 6 : len) {
				static struct line_reader reader;
				struct buf said = BUF_OVER(storage);
				char label[64];
				reader = (struct line_reader){ .start = 0 };
				memset(octets, 'x', len - 2);
				memcpy(octets + len - 2, "\r\n", 2);
				for (size_t at = 0; at < len; at += step)
					feed(&reader, octets + at, len - at < step ? len - at : step, limits[i], &said);
				(void)snprintf(label, sizeof label, "%zu of %zu octets, %zu at once", len, limits[i], step);
				ROW_ASSERT(label, said.len == (len <= limits[i] ? len : 1));
				ROW_ASSERT(label, storage[0] == (len <= limits[i] ? '[' : '!'));
			}
}

/* A line without an end is counted and thrown away; memory does not grow, and the next line is whole. */
static void test_skip(void)
{
	static struct line_reader reader;
	static char waste[1000];
	char storage[64];
	struct buf said = BUF_OVER(storage);
	size_t sent = 0;
	reader = (struct line_reader){ .start = 0 };
	memset(waste, 'x', sizeof waste);
	while (reader.skipped <= LINE_SKIP_MAX) {
		feed(&reader, waste, sizeof waste, COMMAND_LINE_MAX, &said);
		sent += sizeof waste;
		CU_ASSERT_FATAL(sent <= LINE_SKIP_MAX + 2 * sizeof waste);
		CU_ASSERT(reader.skipped == sent && !line_pending(&reader));
	}
	CU_ASSERT(said.len == 0);
	feed(&reader, "xx\r\nNOOP\r\n", 10, COMMAND_LINE_MAX, &said);
	ROW_TEXT("behind it", buf_text(&said), "![NOOP]");
	CU_ASSERT(reader.skipped == 0);
}

static void test_pending(void)
{
	static struct line_reader reader;
	char *line;
	size_t len, room;
	reader = (struct line_reader){ .start = 0 };
	CU_ASSERT(!line_pending(&reader));
	memcpy(line_room(&reader, &room), "STLS\r\nx", 7);
	line_filled(&reader, 6);
	CU_ASSERT(line_pending(&reader));
	CU_ASSERT(line_next(&reader, COMMAND_LINE_MAX, &line, &len) == LINE_WHOLE && len == 4);
	CU_ASSERT(!line_pending(&reader));
	line_filled(&reader, 1);
	CU_ASSERT(line_pending(&reader));
	CU_ASSERT(line_next(&reader, COMMAND_LINE_MAX, &line, &len) == LINE_NONE);
	CU_ASSERT(line_pending(&reader));
}

/* What the lines of a stream are, said slowly. */
static void reference(const char *octets, size_t len, size_t max, struct buf *said)
{
	size_t start = 0;
	for (size_t i = 0; i < len; i++) {
		if (octets[i] != '\n')
			continue;
		size_t n = i - start;
		if (n + 1 > max) {
			(void)buf_add_text(said, "!");
		} else {
			n -= n > 0 && octets[i - 1] == '\r';
			(void)(buf_add_text(said, "[") || buf_add(said, octets + start, n) || buf_add_text(said, "]"));
		}
		start = i + 1;
	}
}

/* Streams of the octets that matter, in pieces of any size, against the reference. */
static void test_random(void)
{
	static const char alphabet[] = "ab\r\n\n\0xyz.";
	static char octets[STREAM_MAX], got[2 * STREAM_MAX], want[2 * STREAM_MAX];
	srand(1939);
	for (int round = 0; round < ROUNDS; round++) {
		static struct line_reader reader;
		struct buf got_buf = BUF_OVER(got), want_buf = BUF_OVER(want);
		size_t len = (size_t)rand() % STREAM_MAX, density = 1 + (size_t)rand() % 60, max = 5 + (size_t)rand() % 40;
		char label[32];
		(void)snprintf(label, sizeof label, "round %d", round);
		for (size_t i = 0; i < len; i++)
			octets[i] = (size_t)rand() % density == 0 ? alphabet[(size_t)rand() % (sizeof alphabet - 1)] : 'q';
		reader = (struct line_reader){ .start = 0 };
		for (size_t at = 0, n; at < len; at += n) {
			n = 1 + (size_t)rand() % 50;
			n = n < len - at ? n : len - at;
			feed(&reader, octets + at, n, max, &got_buf);
		}
		reference(octets, len, max, &want_buf);
		ROW_ASSERT(label, got_buf.len == want_buf.len && memcmp(got, want, want_buf.len) == 0);
	}
}

#define TESTS(X) X(test_cuts) X(test_limits) X(test_skip) X(test_pending) X(test_random)
SUITE("line")
