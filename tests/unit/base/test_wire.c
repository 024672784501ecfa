/*
 * test_wire.c - line ends, dots and sizes, however the message is cut.
 * Runs in: the tests. Trusts: nothing.
 *
 * The encoders for different processors are compared with one that is plain enough to be read.
 */
#include "base/wire.h"

#include <stdlib.h>

#include "tests/unit/base/slow_encoder.h"
#include "tests/unit/suite.h"

/* Its parts, under other names beside those that are built. */
size_t included_encode(struct wire *w, const char *in, size_t len, char *out);
size_t included_encode_end(struct wire *w, char *out);
#define wire_encode included_encode
#define wire_encode_end included_encode_end
#include "base/wire_encode.c"
#undef wire_encode
#undef wire_encode_end

enum { MESSAGE_MAX = 700, ROUNDS = 30000 };

struct coder {
	const char *name;
	size_t (*encode)(struct wire *, const char *, size_t, char *);
};

static size_t lines_only(struct wire *w, const char *in, size_t len, char *out)
{
	return len > 0 ? encode_lines(w, in, len, out) : 0;
}

#ifdef __x86_64__
/* Also where this processor would take a better one; where it has no AVX2, what it gets. */
static size_t steps_only(struct wire *w, const char *in, size_t len, char *out)
{
	return !can_step() ? wire_encode(w, in, len, out) : len > 0 ? encode_steps(w, in, len, out) : 0;
}
#endif

static const struct coder coders[] = {
	{ "what this processor gets", wire_encode },
	{ "lines", lines_only },
#ifdef __x86_64__
	{ "steps", steps_only },
#endif
};

/* Octets from a small alphabet, so that every meeting of CR, LF and dot happens often. */
static size_t make_message(char *out, unsigned *seed)
{
	static const char alphabet[] = "\r\n.a\r\n.b\0\377xyz";
	size_t rare = (size_t)rand_r(seed) % 3;
	size_t len = (size_t)rand_r(seed) % MESSAGE_MAX;
	for (size_t i = 0; i < len; i++)
		out[i] = rare > 0 && (size_t)rand_r(seed) % (20 * rare) != 0 ? 'q' : alphabet[(size_t)rand_r(seed) % (sizeof alphabet - 1)];
	return len;
}

static void check(const struct coder *c, const char *label, const char *in, size_t len, size_t chunk_max, unsigned *seed)
{
	static char want[2 * MESSAGE_MAX + 64], got[2 * MESSAGE_MAX + 64];
	uint64_t want_octets;
	size_t want_len = encode_slowly(in, len, want, &want_octets), got_len = 0;
	const bool want_change = want_len != len || memcmp(want, in, len) != 0;
	struct wire encoding = WIRE_START, counting = WIRE_START;
	for (size_t at = 0; at < len;) {
		size_t n = 1 + (size_t)rand_r(seed) % chunk_max;
		if (n > len - at)
			n = len - at;
		/* Exactly the room that is promised, so that a sanitizer sees one octet more. */
		char *room = malloc(WIRE_ROOM(n)), *chunk = malloc(n);
		memcpy(chunk, in + at, n);
		size_t written = c->encode(&encoding, chunk, n, room);
		wire_count(&counting, chunk, n);
		memcpy(got + got_len, room, written);
		got_len += written;
		at += n;
		free(room);
		free(chunk);
	}
	got_len += wire_encode_end(&encoding, got + got_len);
	ROW_ASSERT(label, got_len == want_len && memcmp(got, want, want_len) == 0);
	ROW_ASSERT(label, encoding.octets == want_octets);
	ROW_ASSERT(label, wire_count_end(&counting) == want_octets);
	ROW_ASSERT(label, wire_needs_change(&counting, len) == want_change);
	ROW_ASSERT(label, wire_needs_change(&encoding, len) == want_change);
}

static void test_table(void)
{
	static const struct {
		const char *label, *in, *want;
		uint64_t octets;
	} rows[] = {
		{ "empty", "", "", 0 },
		{ "one line", "a\n", "a\r\n", 3 },
		{ "CRLF stays", "a\r\n", "a\r\n", 3 },
		{ "last line end missing", "a\nb", "a\r\nb\r\n", 6 },
		{ "ends in CR", "a\r", "a\r\r\n", 4 },
		{ "bare CR stays", "a\rb\n", "a\rb\r\n", 5 },
		{ "CR CR LF", "a\r\r\n", "a\r\r\n", 4 },
		{ "blank lines", "\n\n", "\r\n\r\n", 4 },
		{ "LF CR LF", "\n\r\n", "\r\n\r\n", 4 },
		{ "dot alone", ".", "..\r\n", 3 },
		{ "dot line", ".\n", "..\r\n", 3 },
		{ "two dots", "..\n", "...\r\n", 4 },
		{ "dot after LF", "a\n.b\n", "a\r\n..b\r\n", 7 },
		{ "dot after CR is inside a line", "a\r.b\n", "a\r.b\r\n", 6 },
		{ "dot after CRLF", "a\r\n.\r\n", "a\r\n..\r\n", 6 },
		{ "dots inside", "a.b.\n", "a.b.\r\n", 6 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t c = 0; c < sizeof coders / sizeof coders[0]; c++) {
			char out[WIRE_ROOM(64)];
			struct wire w = WIRE_START;
			size_t n = coders[c].encode(&w, rows[i].in, strlen(rows[i].in), out);
			n += wire_encode_end(&w, out + n);
			out[n] = '\0';
			ROW_TEXT(rows[i].label, out, rows[i].want);
			ROW_ASSERT(rows[i].label, w.octets == rows[i].octets);
		}
		struct wire w = WIRE_START;
		wire_count(&w, rows[i].in, strlen(rows[i].in));
		ROW_ASSERT(rows[i].label, wire_count_end(&w) == rows[i].octets);
		ROW_ASSERT(rows[i].label, wire_needs_change(&w, strlen(rows[i].in)) == (strcmp(rows[i].in, rows[i].want) != 0));
	}
}

static void test_random_cuts(void)
{
	static const size_t chunks[] = { 1, 2, 3, 17, 40, MESSAGE_MAX };
	static char in[MESSAGE_MAX];
	unsigned seed = 1;
	for (size_t i = 0; i < ROUNDS; i++) {
		size_t len = make_message(in, &seed);
		for (size_t c = 0; c < sizeof coders / sizeof coders[0]; c++)
			check(&coders[c], coders[c].name, in, len, chunks[i % (sizeof chunks / sizeof chunks[0])], &seed);
	}
}

/* One interesting octet at every place around the width of a register and of a block, cut at every place. */
static void test_every_cut(void)
{
	static const char *const marks[] = { "\n", "\r\n", "\n.", "\r\n.", "\r", ".", "\n\n", "\n.\n" };
	enum { PLACES = 136 };  /* two blocks and more than half of one register */
	char in[PLACES + 8];
	unsigned seed = 1;
	for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
		size_t mark = strlen(marks[m]);
		for (size_t at = 0; at + mark <= PLACES; at++) {
			memset(in, 'x', sizeof in);
			memcpy(in + at, marks[m], mark);
			for (size_t c = 0; c < sizeof coders / sizeof coders[0]; c++)
				for (size_t len = at + mark; len <= at + mark + 3; len++)
					for (size_t chunk = 1; chunk < 4; chunk++)
						check(&coders[c], marks[m], in, len, chunk == 3 ? len : chunk, &seed);
		}
	}
}

/* Long calm stretches and stretches where everything changes take turns: what the encoder expects is wrong each time. */
static void test_calm_and_not(void)
{
	static char in[MESSAGE_MAX];
	unsigned seed = 7;
	for (size_t stretch = 1; stretch < 400; stretch++) {
		for (size_t i = 0; i < sizeof in; i++)
			in[i] = i / stretch % 2 == 0 ? 'x' : "\n."[i % 2];
		for (size_t c = 0; c < sizeof coders / sizeof coders[0]; c++)
			check(&coders[c], coders[c].name, in, sizeof in, sizeof in, &seed);
	}
}

/* More line ends than an octet-wide counter can hold. */
static void test_many_line_ends(void)
{
	enum { MANY = 100000 };
	char *in = malloc(MANY);
	struct wire w = WIRE_START;
	memset(in, '\n', MANY);
	wire_count(&w, in, MANY);
	CU_ASSERT(wire_count_end(&w) == 2 * (uint64_t)MANY);
	free(in);
}

static void test_no_octets(void)
{
	const struct wire start = { .octets = 5, .after_cr = true, .line_start = false, .dots = true };
	char out[64];
	for (size_t c = 0; c < sizeof coders / sizeof coders[0]; c++) {
		struct wire w = start;
		wire_count(&w, out, 0);
		ROW_ASSERT(coders[c].name, coders[c].encode(&w, out, 0, out) == 0);
		ROW_ASSERT(coders[c].name, w.octets == 5 && w.after_cr && !w.line_start && w.dots);
	}
}

/* Not a test of the code but of this host: without this the other encoder was not looked at. */
static void test_both_encoders(void)
{
#ifdef __x86_64__
	if (can_spread())
		return;
#endif
	puts("note: this processor has one encoder only (no AVX-512 VBMI2): encode_blocks() was not tested");
}

#define TESTS(X) X(test_table) X(test_random_cuts) X(test_every_cut) X(test_calm_and_not) X(test_many_line_ends) X(test_no_octets) \
	X(test_both_encoders)
SUITE("wire")
