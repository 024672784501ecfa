/*
 * wire.c - how a stored message looks on the wire: how many octets it has there, and whether it has to change at all.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the message.
 *
 * Every octet of mail goes through here, so it looks at LANES octets at a time, in the vectors that GCC and clang make
 * for every processor.
 */
#include "base/wire.h"

#include <string.h>

enum {
	LANES = 32,          /* octets in one register of AVX2; elsewhere the compiler takes two */
	LANE_SUMS_MAX = 255, /* additions before an octet-wide counter could overflow */
};

typedef unsigned char lanes __attribute__((vector_size(LANES)));

/* How many LF in in[0..len) have no CR before them, and is there a dot behind an LF? in[-1] can be read. */
__attribute__((always_inline)) static inline uint64_t count_in_lanes(const char *in, size_t len, bool *dots)
{
	lanes octets, before, dots_seen = { 0 };
	uint64_t n = 0;
	size_t i = 0;
	while (len - i >= LANES) {
		lanes sums = { 0 };
		size_t rounds = (len - i) / LANES;
		if (rounds > LANE_SUMS_MAX)
			rounds = LANE_SUMS_MAX;
		for (size_t r = 0; r < rounds; r++, i += LANES) {
			memcpy(&octets, in + i, sizeof octets);
			memcpy(&before, in + i - 1, sizeof before);
			/* A comparison gives 255 where it holds, which is -1. */
			sums -= (lanes)(octets == '\n') & (lanes)(before != '\r');
			dots_seen |= (lanes)(octets == '.') & (lanes)(before == '\n');
		}
		for (size_t lane = 0; lane < LANES; lane++)
			n += sums[lane];
	}
	for (size_t lane = 0; lane < LANES; lane++)
		*dots |= dots_seen[lane] != 0;
	for (; i < len; i++) {
		const char last = *(in + i - 1);
		n += in[i] == '\n' && last != '\r';
		*dots |= in[i] == '.' && last == '\n';
	}
	return n;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t count_by_avx2(const char *in, size_t len, bool *dots)
{
	return count_in_lanes(in, len, dots);
}
#endif

static uint64_t count_bare_lf(const char *in, size_t len, bool *dots)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return count_by_avx2(in, len, dots);
#endif
	return count_in_lanes(in, len, dots);
}

void wire_count(struct wire *w, const char *in, size_t len)
{
	if (len == 0)
		return;
	w->octets += len;
	w->octets += in[0] == '\n' && !w->after_cr;
	w->dots |= in[0] == '.' && w->line_start;
	w->octets += count_bare_lf(in + 1, len - 1, &w->dots);
	w->after_cr = in[len - 1] == '\r';
	w->line_start = in[len - 1] == '\n';
}

uint64_t wire_count_end(struct wire *w)
{
	/* Without a line end at its end, a message gets a whole one: a CR alone is none. An empty message has no line. */
	if (w->octets > 0 && !w->line_start) {
		w->octets += 2;
		w->after_cr = false;
		w->line_start = true;
	}
	return w->octets;
}

bool wire_needs_change(const struct wire *w, uint64_t stored)
{
	return w->dots || w->octets != stored;
}
