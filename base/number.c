/*
 * number.c - the one number parser, and digits where printf(3) would cost too much.
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

#define ONE(a, b, c) { '0' + (a), '0' + (b), '0' + (c), (a) > 0 ? 3 : (b) > 0 ? 2 : 1 }
#define TEN(a, b) ONE(a, b, 0), ONE(a, b, 1), ONE(a, b, 2), ONE(a, b, 3), ONE(a, b, 4), ONE(a, b, 5), ONE(a, b, 6), ONE(a, b, 7), ONE(a, b, 8), ONE(a, b, 9)
#define HUNDRED(a) TEN(a, 0), TEN(a, 1), TEN(a, 2), TEN(a, 3), TEN(a, 4), TEN(a, 5), TEN(a, 6), TEN(a, 7), TEN(a, 8), TEN(a, 9)
const unsigned char three_digits[1000][4] = {
	HUNDRED(0), HUNDRED(1), HUNDRED(2), HUNDRED(3), HUNDRED(4), HUNDRED(5), HUNDRED(6), HUNDRED(7), HUNDRED(8), HUNDRED(9),
};

size_t format_millions(char *out, uint64_t value)
{
	const uint32_t rest = (uint32_t)(value % 1000000);
	const size_t before = format_number(out, value / 1000000);
	put_three_digits(out + before, rest / 1000);
	/* And no octet more: these may be the last of NUMBER_MAX. */
	memcpy(out + before + 3, three_digits[rest % 1000], 3);
	return before + 6;
}
