/*
 * message.c - a message from its file to the client.
 * Runs in: gate. Trusts: nothing in the message.
 */
#include "daemon/message.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/wire.h"

enum { CHUNK = 131072 };  /* measured: 8% faster than half of it, 5% slower than twice */

static const char end_of_message[] = ".\r\n";

size_t top_take(struct top *top, const char *octets, size_t len, bool *done_r)
{
	size_t at = 0;
	*done_r = top->in_body && top->lines == 0;
	while (at < len && !*done_r) {
		const char *lf = memchr(octets + at, '\n', len - at);
		size_t line = (lf != NULL ? (size_t)(lf - octets) : len) - at;
		if (line > 1 || (line == 1 && octets[at] != '\r'))
			top->line_empty = false;
		at += line;
		if (lf == NULL)
			break;
		at++;
		if (top->in_body)
			top->lines--;
		else
			top->in_body = top->line_empty;
		top->line_empty = true;
		*done_r = top->in_body && top->lines == 0;
	}
	return at;
}

enum conn_result message_send(struct conn *c, struct pop3_send *send, uint64_t *octets_r)
{
	static char raw[CHUNK];
	static char encoded[CONN_OUT + WIRE_ROOM(CHUNK) + sizeof end_of_message];
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
