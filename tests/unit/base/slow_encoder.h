/*
 * slow_encoder.h - a message as it is to go over the wire, by a second encoder that is plain enough to be read.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_TESTS_SLOW_ENCODER_H
#define POSTERN_TESTS_SLOW_ENCODER_H

#include <stddef.h>
#include <stdint.h>

/*
 * RFC 1939 section 3: CRLF line ends, one at the end, a dot before a dot. out has room for 2 * len + 2. Returns the octets; *counted_r without the
 * doubled dots.
 */
static inline size_t encode_slowly(const char *in, size_t len, char *out, uint64_t *counted_r)
{
	size_t n = 0, dots = 0;
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '.' && (i == 0 || in[i - 1] == '\n')) {
			out[n++] = '.';
			dots++;
		}
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = in[i];
	}
	if (len > 0 && in[len - 1] != '\n') {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	*counted_r = n - dots;
	return n;
}

#endif
