/*
 * fuzz_wire.c - a message on its way to the wire, cut into chunks anywhere, beside an encoder that looks at one octet at a time.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/wire.h"
#include "daemon/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/base/slow_encoder.h"

/* How many octets TOP lets through: the header, its blank line, and so many lines. */
static size_t top_slowly(const char *in, size_t len, uint64_t lines)
{
	bool body = false;
	size_t start = 0;
	for (size_t i = 0; i < len; i++) {
		if (body && lines == 0)
			return i;
		if (in[i] != '\n')
			continue;
		if (body)
			lines--;
		else
			body = i == start || (i == start + 1 && in[start] == '\r');
		start = i + 1;
	}
	return len;
}

static size_t next_chunk(struct input *cuts, size_t left)
{
	unsigned n = take_octet(cuts);
	size_t chunk = cuts->left == 0 ? left : n >= 0xf0 ? 1 + (n - 0xf0u) * 256u : n;
	return chunk < left ? chunk : left;
}

static void check_encoder(const char *octets, size_t len, struct input cuts, const char *want, size_t want_len, uint64_t want_counted)
{
	char *got = malloc(WIRE_ROOM(len) + 64);
	struct wire encoding = WIRE_START, counting = WIRE_START;
	size_t n = 0;
	CHECK(got != NULL, "no memory");
	for (size_t at = 0, chunk; at < len; at += chunk) {
		chunk = next_chunk(&cuts, len - at);
		/* Chunks of their own, so that a look before or behind them is seen. */
		char *in = piece_copy((struct piece){ .p = octets + at, .len = chunk });
		char *out = malloc(WIRE_ROOM(chunk));
		CHECK(out != NULL, "no memory");
		wire_count(&counting, in, chunk);
		size_t written = wire_encode(&encoding, in, chunk, out);
		CHECK(encoding.octets == counting.octets, "counted %ju, encoded %ju", (uintmax_t)counting.octets, (uintmax_t)encoding.octets);
		memcpy(got + n, out, written);
		n += written;
		free(in);
		free(out);
	}
	n += wire_encode_end(&encoding, got + n);
	CHECK(n == want_len && memcmp(got, want, n) == 0, "%zu octets, want %zu", n, want_len);
	const bool change = want_len != len || memcmp(want, octets, len) != 0;
	CHECK(wire_count_end(&counting) == want_counted && encoding.octets == want_counted, "size %ju, want %ju", (uintmax_t)counting.octets, (uintmax_t)want_counted);
	CHECK(wire_needs_change(&counting, len) == change && wire_needs_change(&encoding, len) == change, "needs a change: want %d", change);
	free(got);
}

static void check_top(const char *octets, size_t len, struct input cuts, uint64_t lines)
{
	struct top top = TOP_START(lines);
	size_t n = 0, want = top_slowly(octets, len, lines);
	bool done = false;
	for (size_t at = 0, chunk; at < len && !done; at += chunk) {
		chunk = next_chunk(&cuts, len - at);
		char *in = piece_copy((struct piece){ .p = octets + at, .len = chunk });
		size_t taken = top_take(&top, in, chunk, &done);
		CHECK(taken <= chunk && (taken == chunk || done), "took %zu of %zu", taken, chunk);
		n += taken;
		free(in);
	}
	CHECK(n == want, "TOP %ju lets %zu octets through, want %zu", (uintmax_t)lines, n, want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const uint64_t lines = take_octet(&in);
	struct piece cut = take_piece(&in, take_octet(&in));
	const struct input cuts = INPUT_OF((const uint8_t *)cut.p, cut.len);
	struct piece message = take_rest(&in);
	char *want = malloc(2 * message.len + 2);
	uint64_t counted;
	CHECK(want != NULL, "no memory");
	size_t len = encode_slowly(message.p, message.len, want, &counted);
	check_encoder(message.p, message.len, cuts, want, len, counted);
	check_top(message.p, message.len, cuts, lines);
	free(want);
	return 0;
}
