/*
 * line.h - lines from the octets a client sends, of bounded length.
 * Runs in: gate. Trusts: nothing.
 */
#ifndef POSTERN_LINE_H
#define POSTERN_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	COMMAND_LINE_MAX = 255,   /* RFC 2449 section 4: a command with its CRLF */
	RESPONSE_LINE_MAX = 2048, /* a PLAIN response (RFC 4616) of the longest name and password in base64, and room */
	LINE_BUFFER = 4096,
	LINE_SKIP_MAX = 65536,    /* a line that goes on for longer is not from a mail program: the gate closes */
};

struct line_reader {
	size_t start, end;  /* octets[start..end) are not used yet */
	size_t filled;      /* behind this nothing was ever read to, or it is wiped */
	size_t scanned;     /* of those, so many hold no LF */
	size_t skipped;     /* octets thrown away of a line that is too long and has not ended */
	bool begun;         /* a line, or much of one, was taken: what follows is no first octet any more */
	char octets[LINE_BUFFER];
};

enum line_result { LINE_NONE, LINE_WHOLE, LINE_TOO_LONG };

/*
 * Where to read more octets to, and how many fit (never 0 after line_next() said LINE_NONE). What was used before is wiped:
 * a password may have been in it that no command took.
 */
char *line_room(struct line_reader *reader, size_t *size_r);
void line_filled(struct line_reader *reader, size_t len);

/*
 * The next line without its line end (CRLF; a bare LF is taken too, people type by hand). max: octets
 * it may have with its line end. LINE_TOO_LONG is said once a line, when its end has been seen.
 * line_r points into the reader until the next call.
 */
enum line_result line_next(struct line_reader *reader, size_t max, char **line_r, size_t *len_r);

/* How many lines have come in whole behind the one that was handed out last. */
size_t line_count(const struct line_reader *reader);

/* Are there octets behind the line that was handed out last? */
int line_pending(const struct line_reader *reader);

#endif
