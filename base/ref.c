/*
 * ref.c - references: numbers that look unlike their neighbours, as five or six symbols.
 * Runs in: every process. Trusts: nothing in the text.
 */
#include "base/ref.h"

#include <stddef.h>
#include <string.h>

enum { SYMBOL_BITS = 5, FAILURE_BITS = 25, WORKER_BITS = 30, FAILURE_SYMBOLS = 5, WORKER_SYMBOLS = 6 };

static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/*
 * A permutation of the numbers of that many bits: each step (an odd factor, a sum, a shift on itself) can be undone,
 * so no two numbers become one.
 */
static uint32_t scramble(uint64_t n, uint32_t key, unsigned bits)
{
	const uint32_t mask = ((uint32_t)1 << bits) - 1;
	uint32_t x = (uint32_t)n & mask;
	for (int round = 0; round < 3; round++) {
		x = (x * 0x9e3779b1u + key) & mask;
		x ^= x >> (bits / 2);
	}
	return x;
}

uint32_t ref_of_failure(uint64_t n, uint32_t key)
{
	const uint32_t last = REF_FAILURES - 1; /* stands in for the one number that would become none */
	uint32_t ref = scramble(n % last, key, FAILURE_BITS);
	return ref != REF_NONE ? ref : scramble(last, key, FAILURE_BITS);
}

uint32_t ref_of_worker(uint64_t worker, uint32_t key)
{
	return (uint32_t)1 << WORKER_BITS | scramble(worker, key, WORKER_BITS);
}

const char *ref_text(uint32_t ref, char text[REF_TEXT_MAX])
{
	size_t len = ref == REF_NONE ? 0 : ref < REF_FAILURES ? FAILURE_SYMBOLS : WORKER_SYMBOLS;
	text[len] = '\0';
	for (size_t i = len; i > 0; i--) {
		text[i - 1] = symbols[ref & 31];
		ref >>= SYMBOL_BITS;
	}
	return text;
}

static int value_of(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	const char *at = c != '\0' ? strchr(symbols, c) : NULL;
	return at != NULL ? (int)(at - symbols) : -1;
}

uint32_t ref_parse(const char *text)
{
	size_t len = strlen(text);
	uint32_t ref = 0;
	if (len != FAILURE_SYMBOLS && len != WORKER_SYMBOLS)
		return REF_NONE;
	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i]);
		if (value < 0)
			return REF_NONE;
		ref = ref << SYMBOL_BITS | (uint32_t)value;
	}
	return len == WORKER_SYMBOLS ? (uint32_t)1 << WORKER_BITS | ref : ref;
}
