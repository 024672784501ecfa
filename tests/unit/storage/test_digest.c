/*
 * test_digest.c - digests are those of XXH3, whichever way the octets went in.
 * Runs in: the tests. Trusts: libxxhash.
 */
#include "storage/digest.h"

#include <stdlib.h>

#include "tests/unit/suite.h"

enum { MOST = 4096 };

/* Of each length, in pieces that are cut anywhere: the way that this processor has, and that of the library. */
static void test_same(void)
{
	static unsigned char octets[MOST];
	struct digest_state *state = aligned_alloc(_Alignof(struct digest_state), sizeof *state);
	CU_ASSERT_FATAL(state != NULL);
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (unsigned char)(i * 167 + i / 251);
	for (size_t len = 0; len <= MOST; len += len < 600 ? 1 : 97)
		for (size_t piece = 1; piece <= len + 1; piece = piece * 3 + 1) {
			const uint64_t seed = len * piece;
			const XXH128_hash_t want = XXH3_128bits_withSeed(octets, len, seed);
			digest_begin(state, seed);
			for (size_t at = 0; at < len; at += piece)
				digest_add(state, octets + at, len - at < piece ? len - at : piece);
			const struct digest got = digest_so_far(state);
			CU_ASSERT(got.low == want.low64 && got.high == want.high64);
		}
	free(state);
}

#define TESTS(X) X(test_same)
SUITE("digest")
