/*
 * number.h - the one number parser, and digits where printf(3) would cost too much.
 * Runs in: every process. Trusts: nothing in the text.
 */
#ifndef POSTERN_NUMBER_H
#define POSTERN_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The len octets at text must be decimal digits only (no sign, no space; at
 * least one) and the value within min..max. 0 and *value_r set, or -1 and
 * *value_r untouched.
 */
int parse_number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *value_r);

enum { NUMBER_MAX = 20 };  /* digits of any number */

/* Writes the decimal digits without a NUL to out, and what lies behind them of NUMBER_MAX octets is lost; how many digits. */
size_t format_number(char *out, uint64_t value);

/* A number that goes up by one, in digits. */
struct counter {
	char digits[2 * NUMBER_MAX];  /* the last digit is that before NUMBER_MAX */
	uint8_t len;
};

void counter_begin(struct counter *c, uint64_t value);

/* Writes the number as format_number() does, and goes on to the next one, which has at most NUMBER_MAX digits. */
size_t counter_take(struct counter *c, char *out);

#endif
