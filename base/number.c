/*
 * number.c - the one number parser, and digits where printf(3) would cost too much.
 * Runs in: every process. Trusts: nothing in the text.
 */
#include "base/number.h"

#include <endian.h>
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

/* Digits are made eight at a time, in an integer: a listing has millions of them, and octets that are stored one by one are slow to be read back. */
enum { GROUP = 8, LIMIT = 100000000 };
#define ZEROS UINT64_C(0x3030303030303030)

/* The digits of a number below LIMIT, 0 to 9 each, the first in the lowest octet: split into halves, pairs and digits, all at once. */
static uint64_t eight_digits(uint32_t value)
{
	const uint64_t halves = value / 10000 | (uint64_t)(value % 10000) << 32;
	const uint64_t hundreds = (halves * 5243 >> 19) & 0x0000007f0000007f;
	const uint64_t pairs = hundreds | (halves - hundreds * 100) << 16;
	const uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000f;
	return tens | (pairs - tens * 10) << 8;
}

/* format_number() of LIMIT and more: whatever is in front, and eight digits. */
static size_t long_number(char *out, uint64_t value)
{
	const size_t before = format_number(out, value / LIMIT);
	const uint64_t digits = htole64(eight_digits((uint32_t)(value % LIMIT)) | ZEROS);
	memcpy(out + before, &digits, GROUP);
	return before + GROUP;
}

size_t format_number(char *out, uint64_t value)
{
	if (value >= LIMIT)
		return long_number(out, value);
	uint64_t digits = eight_digits((uint32_t)value);
	/* Bits of the octets in front of the first digit that counts; the last one always does. */
	const unsigned unused = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << (8 * (GROUP - 1))) / 8 * 8;
	digits = htole64((digits | ZEROS) >> unused);
	memcpy(out, &digits, GROUP);
	return GROUP - unused / 8;
}

void counter_begin(struct counter *c, uint64_t value)
{
	char digits[NUMBER_MAX];
	c->len = (uint8_t)format_number(digits, value);
	memset(c->digits, '0', sizeof c->digits);
	memcpy(c->digits + NUMBER_MAX - c->len, digits, c->len);
}

size_t counter_take(struct counter *c, char *out)
{
	const size_t len = c->len;
	char *last = c->digits + NUMBER_MAX - 1;
	memcpy(out, c->digits + NUMBER_MAX - len, NUMBER_MAX);
	for (; *last == '9'; last--)
		*last = '0';
	*last = (char)(last < c->digits + NUMBER_MAX - len ? '1' : *last + 1);
	if (last < c->digits + NUMBER_MAX - len)
		c->len++;
	return len;
}
