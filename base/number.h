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

/* Writes the decimal digits without a NUL to out, which has NUMBER_MAX octets; how many. */
size_t format_number(char *out, uint64_t value);

#endif
