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

#define STEPS __attribute__((target("avx2,bmi,popcnt")))

enum { STEP = 32 };

/* STEP octets, of which fewer may be meant: the others are written over by what comes next. */
STEPS static inline void put(char *o, const char *in)
{
	_mm256_storeu_si256((__m256i *)(void *)o, _mm256_loadu_si256((const __m256i *)(const void *)in));
}

STEPS static inline uint32_t where(__m256i octets, char c)
{
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(octets, _mm256_set1_epi8(c)));
}

/* A step with any number of insertions. */
STEPS static char *step_often(char *o, const char *in, uint32_t inserts)
{
	size_t done = 0;
	for (; inserts != 0; inserts &= inserts - 1) {
		const size_t at = _tzcnt_u32(inserts);
		put(o, in + done);
		o += at - done;
		*o++ = in[at] == '.' ? '.' : '\r';
		done = at;
	}
	put(o, in + done);
	return o + STEP - done;
}

/* Of the last octets, which have no other step behind them, encode_lines() takes care: a step reads, and writes, too far. */
STEPS static size_t encode_steps(struct wire *w, const char *in, size_t len, char *out)
{
	const size_t last = len % STEP + STEP, stepped = len > last ? len - last : 0;
	uint32_t after_cr = w->after_cr, line_start = w->line_start; /* of the step's first octet */
	size_t dots = 0;
	char *o = out;
	for (size_t i = 0; i < stepped; i += STEP) {
		const __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
		const uint32_t lf = where(octets, '\n'), cr = where(octets, '\r');
		const uint32_t dot = where(octets, '.') & (lf << 1 | line_start);
		const uint32_t inserts = dot | (lf & ~(cr << 1 | after_cr));
		after_cr = cr >> (STEP - 1);
		line_start = lf >> (STEP - 1);
		if ((dot | (inserts & (inserts - 1))) != 0) {
			dots += (unsigned)_mm_popcnt_u32(dot);
			o = step_often(o, in + i, inserts);
			continue;
		}
		/* One CR or none, which is no branch for the processor to guess: behind the step when there is none. */
		const uint32_t at = _tzcnt_u32(inserts);
		put(o, in + i);
		o[at] = '\r';
		put(o + at + 1, in + i + at);
		o += STEP + (inserts != 0);
	}
	if (stepped > 0)
		o = out + finish(w, in, stepped, (size_t)(o - out), dots);
	if (stepped < len)
		o += encode_lines(w, in + stepped, len - stepped, o);
	return (size_t)(o - out);
}

static bool can_step(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
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
