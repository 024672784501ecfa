/*
 * digest_wide.c - the step of XXH3 that all octets go through, for processors with registers of 32 octets (AVX2).
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 *
 * The distribution's libxxhash is built for the oldest processors, 16 octets at a time. Its header is the same code, and is compiled here once
 * more; the state and the digests are the same (tests/unit/storage/test_digest.c).
 */
#include "storage/digest.h"

#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_AVX2
#include <xxhash.h>

void digest_add_wide(void *state, const void *octets, size_t len)
{
	(void)XXH3_128bits_update(state, octets, len);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
