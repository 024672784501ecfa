/*
 * number.h - the one number parser, and digits where printf(3) would cost too much.
 * Runs in: every process. Trusts: nothing in the text.
 */
#ifndef POSTERN_NUMBER_H
#define POSTERN_NUMBER_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The len octets at text must be decimal digits only (no sign, no space; at
 * least one) and the value within min..max. 0 and *value_r set, or -1 and
 * *value_r untouched.
 */
int parse_number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *value_r);

enum { NUMBER_MAX = 20 };  /* digits of any number */

/* Three digits of each number below 1000, and how many of them are left without zeros in front: octets in that order. */
extern const unsigned char three_digits[1000][4];

/* format_number() of a million and more. */
size_t format_millions(char *out, uint64_t value);

/* Three digits of a number below 1000, and an octet that is lost. */
static inline void put_three_digits(char *out, uint32_t value)
{
	memcpy(out, three_digits[value], sizeof three_digits[value]);
}

/*
 * Writes the decimal digits without a NUL to out, and what lies behind them of NUMBER_MAX octets is lost; how many digits.
 * Inline and by a table, since a listing has millions of them.
 */
static inline size_t format_number(char *out, uint64_t value)
{
	if (value >= 1000000)
		return format_millions(out, value);
	const uint32_t v = (uint32_t)value, first = v >= 1000 ? v / 1000 : v;
	uint32_t digits;
	memcpy(&digits, three_digits[first], sizeof digits);
	digits = le32toh(digits);
	const uint32_t len = digits >> 24;
	digits = htole32(digits >> (24 - 8 * len));
	memcpy(out, &digits, sizeof digits);
	if (v < 1000)
		return len;
	put_three_digits(out + len, v % 1000);
	return len + 3;
}

#endif
