/*
 * message.c - a message from its file to the client.
 * Runs in: gate. Trusts: nothing in the message.
 */
#include "daemon/message.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/io.h"
#include "base/wire.h"

enum {
	CHUNK = 131072,       /* measured: 8% faster than half of it, 5% slower than twice */
	HEADER_LIKELY = 8192,
};

static const char end_of_message[] = ".\r\n";
static char raw[CHUNK], encoded[CONN_OUT + WIRE_ROOM(CHUNK) + sizeof end_of_message];
static size_t raw_used, encoded_used;  /* so far, and with them how much there is to forget */

static void note_use(size_t *used, size_t len)
{
	*used = len > *used ? len : *used;
}

void message_forget(void)
{
	explicit_bzero(raw, raw_used);
	explicit_bzero(encoded, encoded_used);
	raw_used = encoded_used = 0;
}

/* How long the header is: to the blank line; 0 when there is none yet. */
static size_t header_length(const char *octets, size_t len)
{
	const char *line = octets, *end = octets + len;
	while (line < end) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));
		if (lf == NULL)
			return 0;
		if (lf == line || (lf == line + 1 && *line == '\r'))
			return (size_t)(line - octets) + 1;
		line = lf + 1;
	}
	return 0;
}

static bool is_ascii(const char *octets, size_t len)
{
	unsigned char all = 0;
	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)octets[i];
	return all < 0x80;
}

/* A line of a Received field says "with UTF8SMTP" or the like (RFC 6531 section 4.3; Exim writes utf8esmtp). It ends in LF. */
static bool names_smtputf8(const char *line, const char *end)
{
	static const char *const words[] = { "UTF8SMTP", "UTF8LMTP", "UTF8ESMTP" };
	for (const char *at = line; (at = memchr(at, ' ', (size_t)(end - at))) != NULL; )
		for (size_t i = 0, room = (size_t)(end - ++at); i < sizeof words / sizeof words[0]; i++)
			if (strlen(words[i]) < room && strncasecmp(at, words[i], strlen(words[i])) == 0)
				return true;
	return false;
}

static bool came_by_smtputf8(const char *header, size_t len)
{
	static const char field[] = "Received:";
	bool received = false;
	for (const char *line = header, *end = header + len, *next; line < end; line = next) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));
		next = lf != NULL ? lf + 1 : end;
		if (*line != ' ' && *line != '\t')
			received = next - line > (ptrdiff_t)sizeof field && strncasecmp(line, field, sizeof field - 1) == 0;
		if (received && names_smtputf8(line, next))
			return true;
	}
	return false;
}

enum header_octets message_header(const struct message_body *body)
{
	size_t len = 0, header = 0;
	for (size_t want = HEADER_LIKELY; header == 0 && len < body->length && len < sizeof raw; want = sizeof raw) {
		ssize_t got = io_read_at(body->fd, raw, want < body->length ? want : (size_t)body->length, body->offset);
		if (got <= 0 || (size_t)got <= len)
			break;
		len = (size_t)got;
		note_use(&raw_used, len);
		header = header_length(raw, len);
	}
	header = header != 0 ? header : len;
	if (is_ascii(raw, header))
		return HEADER_ASCII;
	return came_by_smtputf8(raw, header) ? HEADER_UTF8 : HEADER_8BIT;
}

size_t top_take(struct top *top, const char *octets, size_t len, bool *done_r)
{
	size_t at = 0;
	*done_r = top->in_body && top->lines == 0;
	while (at < len && !*done_r) {
		const char *lf = memchr(octets + at, '\n', len - at);
		size_t line = (lf != NULL ? (size_t)(lf - octets) : len) - at;
		if (line > 1 || (line == 1 && (octets[at] != '\r' || top->line_cr)))
			top->line_empty = false;
		top->line_cr = line > 0;
		at += line;
		if (lf == NULL)
			break;
		at++;
		if (top->in_body)
			top->lines--;
		else
			top->in_body = top->line_empty;
		top->line_empty = true;
		top->line_cr = false;
		*done_r = top->in_body && top->lines == 0;
	}
	return at;
}

enum conn_result message_send(struct conn *c, struct pop3_send *send, uint64_t *octets_r)
{
	struct wire wire = WIRE_START;
	struct top top = TOP_START(send->lines);
	uint64_t offset = send->body.offset, left = send->body.length;
	enum conn_result r = CONN_OK;
	bool done = false;
	/* The status line goes out with the first octets of the message. */
	size_t len = c->out.len;
	memcpy(encoded, c->out.p, len);
	c->out.len = 0;
	while (r == CONN_OK && !done) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;
		note_use(&raw_used, n);
		note_use(&encoded_used, len + WIRE_ROOM(n) + sizeof end_of_message);
		ssize_t got = io_read_at(send->body.fd, raw, n, offset);
		if (got != (ssize_t)n) {
			c->problem = got >= 0 ? "the message became shorter while it was sent" : strerror(errno);
			r = CONN_UNREADABLE;
			break;
		}
		offset += n;
		left -= n;
		size_t take = send->top ? top_take(&top, raw, n, &done) : n;
		done = done || left == 0;
		len += wire_encode(&wire, raw, take, encoded + len);
		if (done) {
			len += wire_encode_end(&wire, encoded + len);
			if (!send->top && wire.octets != send->octets) {
				c->problem = "the message changed while it was sent";
				r = CONN_UNREADABLE;
				break;
			}
			memcpy(encoded + len, end_of_message, sizeof end_of_message - 1);
			len += sizeof end_of_message - 1;
		}
		r = conn_write(c, encoded, len);
		len = 0;
	}
	*octets_r += wire.octets;
	(void)close(send->body.fd);
	send->body.fd = -1;
	return r;
}
