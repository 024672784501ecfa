/*
 * base64.c - base64, decoded strictly.
 * Runs in: gate. Trusts: nothing in the text.
 */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

enum { GROUP = 4, BITS = 6 };  /* digits in a group, bits in a digit */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_decode(const char *text, size_t len, char *out, size_t room, size_t *size_r)
{
	uint32_t bits = 0;
	size_t padding = 0, size = 0, held = 0;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	if (len % GROUP != 0)
		return -1;
	for (size_t i = 0; i < len - padding; i++) {
		const char *digit = memchr(digits, text[i], sizeof digits - 1);
		if (digit == NULL)
			return -1;
		bits = bits << BITS | (uint32_t)(digit - digits);
		held += BITS;
		if (held < 8)
			continue;
		if (size == room)
			return -1;
		held -= 8;
		out[size++] = (char)(bits >> held & 0xff);
	}
	*size_r = size;
	return (bits & ((1u << held) - 1)) == 0 ? 0 : -1;
}
