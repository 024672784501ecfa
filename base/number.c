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
	static const char pairs[] =
		"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
		"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
	char digits[2 * NUMBER_MAX] = { 0 };
	size_t at = NUMBER_MAX;
	for (; value >= 100; value /= 100)
		memcpy(digits + (at -= 2), pairs + 2 * (value % 100), 2);
	if (value >= 10)
		memcpy(digits + (at -= 2), pairs + 2 * value, 2);
	else
		digits[--at] = (char)('0' + value);
	/* A copy of fixed size is a few instructions. */
	memcpy(out, digits + at, NUMBER_MAX);
	return NUMBER_MAX - at;
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
