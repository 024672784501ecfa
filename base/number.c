/*
 * number.c - the one number parser, and digits where printf(3) would cost too much.
 * Runs in: every process. Trusts: nothing in the text.
 */
#include "base/number.h"

#include <string.h>

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

size_t format_number(char *out, uint64_t value)
{
	char digits[NUMBER_MAX];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	memcpy(out, digits + at, sizeof digits - at);
	return sizeof digits - at;
}
