/*
 * number.c - the one number parser.
 * Runs in: every process. Trusts: nothing in the text.
 */
#include "base/number.h"

int parse_number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *value_r)
{
	uint64_t value = 0;
	if (len == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (value < min || value > max)
		return -1;
	*value_r = value;
	return 0;
}
