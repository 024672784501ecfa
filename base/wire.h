/*
 * wire.h - how a stored message looks on the wire (RFC 1939 section 3 and 11):
 * every LF that no CR precedes becomes CRLF, a missing last line end is added,
 * a line that begins with a dot gets a second one. Everything else is sent as it is:
 * bare CR, NUL, 8-bit octets, lines of any length.
 * Runs in: keeper (counting sizes), gate (sending). Trusts: nothing in the message.
 *
 * wire.c counts, wire_encode.c encodes, with one struct wire for both, so that LIST and RETR cannot disagree.
 */
#ifndef POSTERN_WIRE_H
#define POSTERN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in the message the last chunk ended. WIRE_START before the first octet. */
struct wire {
	uint64_t octets;  /* wire octets so far, as RFC 1939 counts them: without the doubled dots */
	bool after_cr;    /* the last octet was CR */
	bool line_start;  /* the next octet begins a line */
	bool dots;        /* a line began with a dot */
};

#define WIRE_START ((struct wire){ .octets = 0, .after_cr = false, .line_start = true, .dots = false })

/* Count a chunk; the chunks of a message may be cut anywhere. */
void wire_count(struct wire *w, const char *in, size_t len);

/* The message is over: counts the line end that is missing, and returns the total. */
uint64_t wire_count_end(struct wire *w);

/*
 * After the end: must the `stored` octets that were counted or encoded be changed for the wire? If not, RETR sends them
 * as they lie in the file: each LF has its CR, the last line its end, and no line begins with a dot.
 */
bool wire_needs_change(const struct wire *w, uint64_t stored);

/* Room that wire_encode() needs for len octets of input, whatever they are. */
#define WIRE_ROOM(len) (2 * (len) + 64)

/*
 * Encode a chunk to out, which has WIRE_ROOM(len) octets; counts it as
 * wire_count() would. Returns the octets written to out.
 */
size_t wire_encode(struct wire *w, const char *in, size_t len, char *out);

/* The message is over: writes the missing line end (at most 2 octets), not the final dot. */
size_t wire_encode_end(struct wire *w, char *out);

#endif
