/*
 * test_ref.c - base/ref.h: that references repeat only when they must, and survive being typed.
 * Runs in: the tests.
 */
#include <stdbool.h>

#include "base/ref.h"
#include "tests/unit/suite.h"

enum { WORKERS = 1 << 20 };

static bool seen_before(unsigned char *bits, uint32_t n)
{
	const bool seen = bits[n / 8] >> (n % 8) & 1;
	bits[n / 8] |= (unsigned char)(1u << (n % 8));
	return seen;
}

/* All of them, from anywhere: none is REF_NONE, none comes twice. */
static void test_failures_differ(void)
{
	static const struct { const char *label; uint64_t first; uint32_t key; } rows[] = {
		{ "from the first", 0, 0 }, { "another key, over the end", REF_FAILURES - 1000, 0xdeadbeef }, { "a large number", UINT64_MAX / 3, 1 },
	};
	unsigned char *bits = malloc(REF_FAILURES / 8);
	for (size_t i = 0; i < sizeof rows / sizeof *rows && bits != NULL; i++) {
		unsigned bad = 0;
		memset(bits, 0, REF_FAILURES / 8);
		for (uint64_t n = 0; n < REF_FAILURES - 1; n++) {
			const uint32_t ref = ref_of_failure(rows[i].first + n, rows[i].key);
			bad += ref == REF_NONE || ref >= REF_FAILURES || seen_before(bits, ref);
		}
		ROW_ASSERT(rows[i].label, bad == 0);
	}
	CU_ASSERT(bits != NULL);
	free(bits);
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Workers' references differ from each other and from those of failures. */
static void test_workers_differ(void)
{
	uint32_t *refs = calloc(WORKERS, sizeof *refs);
	unsigned bad = 0;
	CU_ASSERT_FATAL(refs != NULL);
	for (uint64_t n = 0; n < WORKERS; n++) {
		refs[n] = ref_of_worker(n, 12345);
		bad += refs[n] < REF_FAILURES;
	}
	qsort(refs, WORKERS, sizeof *refs, by_value);
	for (size_t i = 1; i < WORKERS; i++)
		bad += refs[i] == refs[i - 1];
	CU_ASSERT_EQUAL(bad, 0);
	free(refs);
}

/* Neighbours look unlike each other: in most places there is another symbol. */
static void test_neighbours_look_different(void)
{
	unsigned same = 0, symbols = 0;
	for (uint64_t n = 0; n < 1000; n++) {
		char a[REF_TEXT_MAX], b[REF_TEXT_MAX];
		(void)ref_text(ref_of_failure(n, 7), a);
		(void)ref_text(ref_of_failure(n + 1, 7), b);
		for (size_t i = 0; a[i] != '\0'; i++, symbols++)
			same += a[i] == b[i];
	}
	CU_ASSERT(same * 4 < symbols);
}

static void test_round_trip(void)
{
	unsigned bad = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		const uint32_t refs[] = { ref_of_failure(i, i), ref_of_worker(i, i), i * 335 % (REF_FAILURES - 1) + 1 };
		for (size_t k = 0; k < sizeof refs / sizeof *refs; k++) {
			char text[REF_TEXT_MAX];
			bad += ref_parse(ref_text(refs[k], text)) != refs[k];
			bad += strlen(text) != (refs[k] < REF_FAILURES ? 5u : 6u) || strpbrk(text, "ILOU") != NULL;
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
}

static void test_typed(void)
{
	static const struct { const char *label, *typed, *want; } rows[] = {
		{ "as printed", "7KQ2M", "7KQ2M" }, { "lower case", "7kq2m", "7KQ2M" }, { "O for 0", "OoO01", "00001" }, { "I and L for 1", "iIlL1", "11111" },
		{ "a worker's", "0lO123", "010123" }, { "the last", "zzzzz", "ZZZZZ" },
		{ "none", "", "" }, { "too short", "7KQ2", "" }, { "too long", "7KQ2M77", "" }, { "U", "7KU2M", "" }, { "a blank", "7KQ 2", "" },
		{ "an octet over 127", "7KQ2\xc3", "" }, { "zero is none", "00000", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[REF_TEXT_MAX];
		ROW_TEXT(rows[i].label, ref_text(ref_parse(rows[i].typed), text), rows[i].want);
	}
}

#define TESTS(X) X(test_failures_differ) X(test_workers_differ) X(test_neighbours_look_different) X(test_round_trip) X(test_typed)
SUITE("ref")
