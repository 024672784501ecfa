/*
 * digest.h - tells whether octets are the ones that were there before; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 *
 * XXH3 with 128 bits, ten times as fast as a cryptographic hash, and all of a mailbox passes through it at every login
 * and UPDATE. It guards against crashes and other programs, not against forgers: what it compares is the owner's own.
 */
#ifndef POSTERN_DIGEST_H
#define POSTERN_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define XXH_STATIC_LINKING_ONLY /* the size of the state */
#include <xxhash.h>

struct digest {
	uint64_t low, high;
};

/* Over the octets so far. Its alignment is more than malloc's: what holds one is allocated with aligned_alloc(3). */
struct digest_state {
	XXH3_state_t xxh;
};

static inline void digest_begin(struct digest_state *s, uint64_t seed)
{
	XXH3_INITSTATE(&s->xxh);  /* or the reset would compare the seed with what the memory held */
	(void)XXH3_128bits_reset_withSeed(&s->xxh, seed);
}

/* digest_add() of processors with AVX2 (digest_wide.c): more than twice as fast as the library's, with the same digest. state: an XXH3_state_t. */
void digest_add_wide(void *state, const void *octets, size_t len);

static inline void digest_add(struct digest_state *s, const void *octets, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		digest_add_wide(&s->xxh, octets, len);
		return;
	}
#endif
	(void)XXH3_128bits_update(&s->xxh, octets, len);
}

/* The state can go on afterwards. */
static inline struct digest digest_so_far(const struct digest_state *s)
{
	XXH128_hash_t h = XXH3_128bits_digest(&s->xxh);
	return (struct digest){ .low = h.low64, .high = h.high64 };
}

static inline bool digest_same(struct digest a, struct digest b)
{
	return a.low == b.low && a.high == b.high;
}

#endif
