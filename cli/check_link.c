/*
 * check_link.c - one connection to the server: lines with limits and deadlines, in clear or over TLS.
 * Runs in: postern, as whoever called it. Trusts: nothing that comes in.
 */
#include "cli/check_link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { POLL_SLICE_MS = 250 };

/* ---- the transcript ---- */

static void transcribe(const struct link *l, const char *who, const char *octets, size_t len)
{
	char storage[2 * LINK_LINE_MAX];
	struct buf text = BUF_OVER(storage);
	if (l->check->transcript == NULL)
		return;
	show(l->check, &text, octets, len);
	(void)fprintf(l->check->transcript, "%s%s\n", who, buf_text(&text));
}

/* ---- connecting ---- */

static void set_port(struct sockaddr_storage *sa, unsigned port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
}

bool link_poll(const struct link *l, short events, long long deadline)
{
	for (;;) {
		long long left = deadline - now_ms();
		struct pollfd p = { .fd = l->fd, .events = events };
		if (left <= 0)
			return poll(&p, 1, 0) > 0;
		if (poll(&p, 1, left < POLL_SLICE_MS ? (int)left : POLL_SLICE_MS) > 0)
			return true;
		progress(l->check, l->where);
	}
}

int link_open(struct link *l, struct check *c, const struct address *a, unsigned port, long long deadline)
{
	struct sockaddr_storage sa = a->sa;
	int err = 0;
	socklen_t size = sizeof err;
	l->check = c;
	l->ssl = NULL;
	l->context = NULL;
	l->address = a;
	l->line_max = STATUS_LINE_MAX;
	l->is_private = false;
	l->port = port;
	l->start = l->end = l->first_len = 0;
	(void)snprintf(l->where, sizeof l->where, "%s port %u", a->text, port);
	set_port(&sa, port);
	l->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return errno;
	if (c->transcript != NULL)
		(void)fprintf(c->transcript, "* connecting to %s\n", l->where);
	if (connect(l->fd, (const struct sockaddr *)&sa, a->len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!link_poll(l, POLLOUT, deadline))
		return ETIMEDOUT;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		return errno;
	return err;
}

void link_close(struct link *l)
{
	SSL_free(l->ssl);
	SSL_CTX_free(l->context);
	l->ssl = NULL;
	l->context = NULL;
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

/* ---- octets ---- */

/* What an SSL call waits for, or 0 when the connection is over. */
static short ssl_events(const struct link *l, int result)
{
	switch (SSL_get_error(l->ssl, result)) {
	case SSL_ERROR_WANT_READ: return POLLIN;
	case SSL_ERROR_WANT_WRITE: return POLLOUT;
	default: return 0;
	}
}

/* More octets into the empty buffer. */
static enum got fill(struct link *l, long long deadline)
{
	l->start = l->end = 0;
	for (;;) {
		short events = POLLIN;
		ssize_t n;
		if (l->ssl != NULL) {
			ERR_clear_error();
			int result = SSL_read(l->ssl, l->in, LINK_BUFFER);
			n = result;
			events = result > 0 ? 0 : ssl_events(l, result);
		} else {
			n = recv(l->fd, l->in, LINK_BUFFER, MSG_DONTWAIT);
			events = n < 0 && (errno == EAGAIN || errno == EINTR) ? POLLIN : 0;
		}
		if (n > 0) {
			l->end = (size_t)n;
			return now_ms() < deadline ? GOT_LINE : GOT_TIMEOUT;
		}
		if (events == 0)
			return GOT_END;
		if (!link_poll(l, events, deadline))
			return GOT_TIMEOUT;
	}
}

bool link_waiting(struct link *l, long long deadline)
{
	if (l->start == l->end && (l->ssl == NULL || SSL_pending(l->ssl) == 0) && !link_poll(l, POLLIN, deadline))
		return false;
	return l->start < l->end || fill(l, deadline) != GOT_TIMEOUT || l->end > 0;
}

static void keep(struct line *line, const char *octets, size_t len)
{
	size_t room = LINK_LINE_MAX - line->kept;
	size_t take = len < room ? len : room;
	memcpy(line->text + line->kept, octets, take);
	line->kept += take;
	line->len += len;
	if (len > 0)
		line->is_crlf = octets[len - 1] == '\r';
}

enum got link_line(struct link *l, long long deadline, struct line *line_r)
{
	enum got got = GOT_LINE;
	bool is_whole = false;
	line_r->kept = line_r->len = 0;
	line_r->is_crlf = false;
	while (got == GOT_LINE && !is_whole) {
		if (l->start == l->end)
			got = fill(l, deadline);
		const char *octets = l->in + l->start;
		const char *lf = memchr(octets, '\n', l->end - l->start);
		size_t len = lf != NULL ? (size_t)(lf - octets) : l->end - l->start;
		is_whole = lf != NULL;
		l->start += len + (is_whole ? 1 : 0);
		keep(line_r, octets, len);
		if (line_r->len > l->line_max)
			got = GOT_LONG;
	}
	line_r->is_crlf = line_r->is_crlf && is_whole;
	if (line_r->is_crlf) {
		line_r->kept -= line_r->kept == line_r->len ? 1 : 0;
		line_r->len--;
	}
	if ((is_whole || line_r->kept > 0) && !l->is_private)
		transcribe(l, "S: ", line_r->text, line_r->kept);
	if (got == GOT_END && l->check->transcript != NULL)
		(void)fputs("* the server closed the connection\n", l->check->transcript);
	return is_whole && got != GOT_LONG ? GOT_LINE : got;
}

int link_send(struct link *l, const char *octets, size_t len, const char *shown, long long deadline)
{
	transcribe(l, "C: ", shown, strlen(shown));
	while (len > 0) {
		short events = 0;
		ssize_t n;
		if (l->ssl != NULL) {
			ERR_clear_error();
			int result = SSL_write(l->ssl, octets, (int)len);
			n = result;
			events = result > 0 ? 0 : ssl_events(l, result);
		} else {
			n = send(l->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
			events = n < 0 && (errno == EAGAIN || errno == EINTR) ? POLLOUT : 0;
		}
		if (n > 0) {
			octets += n;
			len -= (size_t)n;
		} else if (events == 0 || !link_poll(l, events, deadline)) {
			return -1;
		}
	}
	return 0;
}
