/*
 * wire.c - how a stored message looks on the wire: line ends, dots, sizes.
 * Runs in: keeper (counting sizes), gate (sending). Trusts: nothing in the message.
 *
 * Every octet of mail goes through here, so both halves work on 16 octets at a
 * time where SSE2 is there (every x86-64), and on whole lines elsewhere.
 */
#include "base/wire.h"

#include <string.h>

#if defined(__SSE2__) && !defined(WIRE_PORTABLE)
#include <emmintrin.h>

enum {
	LANES = 16,          /* octets in one SSE2 register */
	LANE_SUMS_MAX = 255, /* additions before an octet-wide counter could overflow */
};

static __m128i load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* How many LF in in[0..len) have no CR before them; in[-1] can be read. */
static uint64_t count_bare_lf(const char *in, size_t len)
{
	const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
	__m128i total = zero;
	size_t i = 0;
	while (len - i >= LANES) {
		__m128i sums = zero;
		size_t rounds = (len - i) / LANES;
		if (rounds > LANE_SUMS_MAX)
			rounds = LANE_SUMS_MAX;
		for (size_t r = 0; r < rounds; r++, i += LANES) {
			__m128i is_lf = _mm_cmpeq_epi8(load(in + i), lf);
			__m128i after_cr = _mm_cmpeq_epi8(load(in + i - 1), cr);
			sums = _mm_sub_epi8(sums, _mm_andnot_si128(after_cr, is_lf));
		}
		total = _mm_add_epi64(total, _mm_sad_epu8(sums, zero));
	}
	uint64_t halves[2];
	_mm_storeu_si128((__m128i *)(void *)halves, total);
	uint64_t n = halves[0] + halves[1];
	for (; i < len; i++)
		n += in[i] == '\n' && *(in + i - 1) != '\r';
	return n;
}

/*
 * Copy from in to out up to the first LF, which is not copied; returns the octets
 * before it, or all of len. May write up to LANES octets too much to out.
 */
static size_t copy_to_lf(const char *in, size_t len, char *out)
{
	const __m128i lf = _mm_set1_epi8('\n');
	size_t i = 0;
	for (; len - i >= LANES; i += LANES) {
		__m128i octets = load(in + i);
		_mm_storeu_si128((__m128i *)(void *)(out + i), octets);
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(octets, lf));
		if (found != 0)
			return i + (size_t)__builtin_ctz(found);
	}
	for (; i < len && in[i] != '\n'; i++)
		out[i] = in[i];
	return i;
}

#else

static uint64_t count_bare_lf(const char *in, size_t len)
{
	uint64_t n = 0;
	const char *p = in, *end = in + len;
	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		n += p[-1] != '\r';
		p++;
	}
	return n;
}

static size_t copy_to_lf(const char *in, size_t len, char *out)
{
	const char *lf = memchr(in, '\n', len);
	size_t n = lf != NULL ? (size_t)(lf - in) : len;
	memcpy(out, in, n);
	return n;
}

#endif

void wire_count(struct wire *w, const char *in, size_t len)
{
	if (len == 0)
		return;
	w->octets += len;
	w->octets += in[0] == '\n' && !w->after_cr;
	w->octets += count_bare_lf(in + 1, len - 1);
	w->after_cr = in[len - 1] == '\r';
	w->line_start = in[len - 1] == '\n';
}

/* Without a line end at its end, a message gets a whole one: a CR alone is none. An empty message has no line. */
static bool lacks_line_end(const struct wire *w)
{
	return w->octets > 0 && !w->line_start;
}

uint64_t wire_count_end(struct wire *w)
{
	char crlf[2];
	(void)wire_encode_end(w, crlf);
	return w->octets;
}

size_t wire_encode(struct wire *w, const char *in, size_t len, char *out)
{
	if (len == 0)
		return 0;
	const char *end = in + len, *p = in;
	char *o = out;
	size_t dots = 0;
	bool after_cr = w->after_cr;

	if (w->line_start && *p == '.') {
		*o++ = '.';
		dots++;
	}
	for (;;) {
		size_t n = copy_to_lf(p, (size_t)(end - p), o);
		p += n;
		o += n;
		if (p == end)
			break;
		if (n > 0)
			after_cr = p[-1] == '\r';
		/* Written in any case, kept when needed: no branch for the processor to guess wrong. */
		*o = '\r';
		o += !after_cr;
		*o++ = '\n';
		after_cr = false;
		if (++p == end)
			break;
		*o = '.';
		o += *p == '.';
		dots += *p == '.';
	}
	size_t written = (size_t)(o - out);
	w->octets += written - dots;
	w->after_cr = in[len - 1] == '\r';
	w->line_start = in[len - 1] == '\n';
	return written;
}

size_t wire_encode_end(struct wire *w, char *out)
{
	if (!lacks_line_end(w))
		return 0;
	memcpy(out, "\r\n", 2);
	w->octets += 2;
	w->after_cr = false;
	w->line_start = true;
	return 2;
}
