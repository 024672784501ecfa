/*
 * line.c - lines from the octets a client sends, of bounded length.
 * Runs in: gate. Trusts: nothing.
 */
#include "daemon/line.h"

#include <string.h>

#include "base/secret.h"

_Static_assert(RESPONSE_LINE_MAX < LINE_BUFFER, "a line and one octet more fit");

char *line_room(struct line_reader *reader, size_t *size_r)
{
	const size_t left = reader->end - reader->start;
	if (reader->start > 0)
		memmove(reader->octets, reader->octets + reader->start, left);
	wipe(reader->octets + left, reader->filled - left);
	reader->start = 0;
	reader->end = reader->filled = left;
	*size_r = sizeof reader->octets - reader->end;
	return reader->octets + reader->end;
}

void line_filled(struct line_reader *reader, size_t len)
{
	reader->end += len;
	reader->filled = reader->end;
}

enum line_result line_next(struct line_reader *reader, size_t max, char **line_r, size_t *len_r)
{
	char *start = reader->octets + reader->start;
	size_t have = reader->end - reader->start;
	char *lf = memchr(start + reader->scanned, '\n', have - reader->scanned);
	if (lf == NULL) {
		reader->scanned = have;
		if (have >= max || reader->skipped > 0) {
			reader->begun = true;
			reader->skipped += have;
			reader->start = reader->end = reader->scanned = 0;
		}
		return LINE_NONE;
	}
	size_t len = (size_t)(lf - start);
	int too_long = reader->skipped > 0 || len + 1 > max;
	reader->begun = true;
	reader->skipped = 0;
	reader->scanned = 0;
	reader->start += len + 1;
	if (too_long)
		return LINE_TOO_LONG;
	if (len > 0 && start[len - 1] == '\r')
		len--;
	*line_r = start;
	*len_r = len;
	return LINE_WHOLE;
}

size_t line_count(const struct line_reader *reader)
{
	const char *at = reader->octets + reader->start, *end = reader->octets + reader->end;
	size_t n = 0;
	for (; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		n++;
	return n;
}

int line_pending(const struct line_reader *reader)
{
	return reader->end > reader->start;
}
