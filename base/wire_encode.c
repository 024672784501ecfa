/*
 * wire_encode.c - a stored message as it goes over the wire: line ends and dots.
 * Runs in: gate. Trusts: nothing in the message.
 *
 * Three encoders with one result: encode_lines() for every processor, whose time goes by the lines; encode_steps(), whose
 * time goes by the octets, for those that have registers of 32 (AVX2); and encode_blocks(), for those that
 * can spread 64 of them with room for what is put between (AVX-512 VBMI2).
 */
#include "base/wire.h"

#include <string.h>

/* The states in which a chunk begins and ends, and how it is counted. */
static size_t finish(struct wire *w, const char *in, size_t len, size_t written, size_t dots)
{
	w->octets += written - dots;
	w->dots |= dots > 0;
	w->after_cr = in[len - 1] == '\r';
	w->line_start = in[len - 1] == '\n';
	return written;
}

static size_t encode_lines(struct wire *w, const char *in, size_t len, char *out)
{
	const char *end = in + len, *p = in;
	char *o = out;
	size_t dots = 0;
	bool after_cr = w->after_cr;

	if (w->line_start && *p == '.') {
		*o++ = '.';
		dots++;
	}
	for (;;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((lf != NULL ? lf : end) - p);
		memcpy(o, p, n);
		p += n;
		o += n;
		if (lf == NULL)
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
	return finish(w, in, len, (size_t)(o - out), dots);
}

#ifdef __x86_64__
#include <immintrin.h>

#define STEPS __attribute__((target("avx2,bmi")))

enum { STEP = 32 };

/* STEP octets, of which fewer may be meant: the others are written over by what comes next. */
STEPS static inline void put(char *o, const char *in)
{
	_mm256_storeu_si256((__m256i *)(void *)o, _mm256_loadu_si256((const __m256i *)(const void *)in));
}

/*
 * Only the LF are looked for: each step is copied as it is, and behind an LF once more, from its new place on. What stands before
 * and behind an LF is looked at then. Of the last octets, which have no other step behind them, encode_lines() takes care:
 * a step reads, and writes, too far.
 */
STEPS static size_t encode_steps(struct wire *w, const char *in, size_t len, char *out)
{
	const size_t last = len % STEP + STEP, stepped = len > last ? len - last : 0;
	const __m256i line_feeds = _mm256_set1_epi8('\n');
	size_t dots = stepped > 0 && w->line_start && *in == '.';
	char *o = out;
	*o = '.';
	o += dots;
	for (size_t i = 0, from; i < stepped; i += STEP, o += STEP - from) {
		const __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
		_mm256_storeu_si256((__m256i *)(void *)o, octets);
		from = 0;
		for (uint32_t lf = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(octets, line_feeds)); lf != 0; lf &= lf - 1) {
			const char *at = in + i + _tzcnt_u32(lf);
			o += (size_t)(at - in) - i - from;
			*o = '\r';
			o += at > in ? at[-1] != '\r' : !w->after_cr;
			from = (size_t)(at - in) - i;
			if (at[1] == '.') {
				memcpy(o, "\n.", 2);
				o += 2;
				from++;
				dots++;
			}
			put(o, in + i + from);
		}
	}
	if (stepped > 0) {
		o = out + finish(w, in, stepped, (size_t)(o - out), dots);
		w->line_start = w->line_start && in[stepped] != '.';  /* which has its second dot */
	}
	return (size_t)(o - out) + encode_lines(w, in + stepped, len - stepped, o);
}

static bool can_step(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
}

#define SPREADS __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,bmi2,popcnt")))

enum {
	BLOCK = 64,       /* octets, and bits of a mask with one for each */
	CALM_BLOCKS = 4,  /* after so many blocks without a change the next is expected to have none */
};

/* n octets, each that `inserts` names with another before it: a dot before a dot, else CR. Writes a whole BLOCK. */
SPREADS static char *spread(char *o, __m256i octets, size_t n, uint32_t inserts)
{
	/* Two places for each octet, of which the first goes unless something is inserted; who holds the second stays. */
	const uint64_t seconds = 0xaaaaaaaaaaaaaaaa;
	const uint64_t stored = _pext_u64(seconds, _pdep_u64(inserts, ~seconds) | seconds);
	__m512i wide = _mm512_mask_expand_epi8(_mm512_set1_epi8('\r'), stored, _mm512_castsi256_si512(octets));
	const uint64_t before_dots = _mm512_cmpeq_epi8_mask(wide, _mm512_set1_epi8('.')) >> 1;
	wide = _mm512_mask_mov_epi8(wide, before_dots & ~stored, _mm512_set1_epi8('.'));
	_mm512_storeu_si512(o, wide);
	return o + n + (unsigned)_mm_popcnt_u32(inserts);
}

SPREADS static size_t encode_blocks(struct wire *w, const char *in, size_t len, char *out)
{
	char *o = out;
	size_t dots = 0;
	uint64_t after_cr = w->after_cr, line_start = w->line_start; /* of the block's first octet */
	unsigned changed = (1u << CALM_BLOCKS) - 1;                  /* the last blocks, a bit for each */
	for (size_t i = 0; i < len; i += BLOCK) {
		const size_t n = len - i < BLOCK ? len - i : BLOCK, low = n < BLOCK / 2 ? n : BLOCK / 2;
		const __m512i octets = _mm512_maskz_loadu_epi8(UINT64_MAX >> (BLOCK - n), in + i);
		const uint64_t lf = _mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8('\n'));
		const uint64_t cr = _mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8('\r'));
		const uint64_t dot = _mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8('.')) & (lf << 1 | line_start);
		const uint64_t inserts = dot | (lf & ~(cr << 1 | after_cr));
		after_cr = cr >> (BLOCK - 1);
		line_start = lf >> (BLOCK - 1);
		changed = (changed << 1 | (inserts != 0)) & ((1u << CALM_BLOCKS) - 1);
		if (changed == 0) {
			_mm512_storeu_si512(o, octets);
			o += n;
			continue;
		}
		dots += (unsigned)_mm_popcnt_u64(dot);
		o = spread(o, _mm512_castsi512_si256(octets), low, (uint32_t)inserts);
		o = spread(o, _mm512_extracti64x4_epi64(octets, 1), n - low, (uint32_t)(inserts >> (BLOCK / 2)));
	}
	return finish(w, in, len, (size_t)(o - out), dots);
}

static bool can_spread(void)
{
	return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2");
}
#endif

size_t wire_encode(struct wire *w, const char *in, size_t len, char *out)
{
	if (len == 0)
		return 0;
#ifdef __x86_64__
	if (can_spread())
		return encode_blocks(w, in, len, out);
	if (can_step())
		return encode_steps(w, in, len, out);
#endif
	return encode_lines(w, in, len, out);
}

size_t wire_encode_end(struct wire *w, char *out)
{
	const uint64_t before = w->octets, missing = wire_count_end(w) - before;
	memcpy(out, "\r\n", (size_t)missing);
	return (size_t)missing;
}
