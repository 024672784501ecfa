/*
 * conn.c - the connection to the client, plain or TLS, with deadlines; watches the keeper meanwhile.
 * Runs in: gate. Trusts: nothing that comes in.
 */
#include "daemon/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/remote_key.h"
#include "daemon/rpc.h"
#include "daemon/tls.h"
#include "daemon/tls_heap.h"

/* Is it to end at once, for others? Then nothing that the client has not taken yet is waited for. */
static bool makes_room(const struct conn *c)
{
	return c->stopping && c->stop.reply == REPLY_MADE_ROOM && !c->session;
}

void conn_take_stop(struct conn *c, const struct rpc_stop *stop)
{
	c->stopping = true;
	c->stop = *stop;
	c->stop.told[sizeof c->stop.told - 1] = '\0';
	/* Others wait for the place of one who is nobody yet. */
	if (makes_room(c))
		c->stop_deadline = now_ms();
}

/* The client is there. Whoever meets this session's lock is told how long it was not. */
static void note_active(struct conn *c)
{
	const struct rpc_active active = { .verb = RPC_ACTIVE };
	long long now;
	if (!c->session || c->keeper_lost || c->keeper_done || (now = now_ms()) < c->active_due)
		return;
	c->active_due = now + ACTIVE_MS;
	(void)rpc_send(c->keeper, &active, sizeof active, -1);
}

/* A message from the keeper while none was asked for: sets .stopping or .keeper_lost. */
static void keeper_speaks(struct conn *c)
{
	union rpc_message message;
	int fd;
	ssize_t n = rpc_receive(c->keeper, &message, sizeof message, &fd);
	if (fd >= 0)
		(void)close(fd);
	if (n == (ssize_t)sizeof message.stop && message.verb == RPC_STOP)
		conn_take_stop(c, &message.stop);
	else if (n < 0 && errno == EAGAIN)
		return;
	else
		c->keeper_lost = true;
	if (c->stop_deadline == 0)
		c->stop_deadline = now_ms() + STOP_GRACE_MS;
}

/* A client that says nothing for a while holds what the connection is, and not what the last answer or the handshake needed. */
static void rest(struct conn *c)
{
	c->rested = true;
	if (c->ssl != NULL)
		tls_heap_give_back();
	forget_stack();
}

/* What for it is waited. A stop, or the loss of the keeper, ends a wait for the client's next word; what is being written is finished first. */
enum purpose { READING, WRITING };

/* Wait until the client's socket is ready for events. */
static enum conn_result wait_for(struct conn *c, short events, enum purpose purpose, long long deadline)
{
	for (;;) {
		if (c->keeper_lost && purpose == READING)
			return CONN_KEEPER_LOST;
		if (c->stopping && purpose == READING)
			return CONN_STOPPED;
		long long left = (c->stop_deadline != 0 && c->stop_deadline < deadline ? c->stop_deadline : deadline) - now_ms();
		if (left <= 0)
			return purpose == WRITING ? CONN_STALLED : CONN_TIMEOUT;
		struct pollfd fds[] = { { .fd = c->fd, .events = events }, { .fd = c->keeper_lost ? -1 : c->keeper, .events = c->keeper_done ? POLLRDHUP : POLLIN } };
		const long long most = !c->rested && left > REST_MS ? REST_MS : 3600000;
		int n = poll(fds, 2, (int)(left < most ? left : most));
		if (n < 0 && errno != EINTR)
			fatal("poll");
		if (n == 0 && !c->rested)
			rest(c);
		if (n <= 0)
			continue;
		c->rested = false;
		if (fds[1].revents != 0)
			keeper_speaks(c);
		else if (fds[0].revents != 0)
			return CONN_OK;
	}
}

/* What OpenSSL wants before it goes on; CONN_OK means: try again. */
static enum conn_result tls_wait(struct conn *c, int result, enum purpose purpose, long long deadline)
{
	int error = SSL_get_error(c->ssl, result);
	switch (error) {
	case SSL_ERROR_WANT_READ:
		/* While writing, it is for the rest of a message of TLS (half a key update), and counts as the client's stall, not as idle time. */
		return wait_for(c, POLLIN, purpose, deadline);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(c, POLLOUT, WRITING, deadline);
	case SSL_ERROR_ZERO_RETURN:
		return CONN_CLOSED;
	default:
		c->door = error == SSL_ERROR_SSL ? tls_error_door() : DOOR_NONE;
		c->problem = error == SSL_ERROR_SSL ? tls_error() : "connection closed within TLS";
		ERR_clear_error();
		return CONN_BROKEN;
	}
}

enum conn_result conn_read(struct conn *c)
{
	size_t room;
	char *to = line_room(&c->in, &room);
	for (;;) {
		/* Before each record, and not only where there is none: who sends without a pause is to meet a stop and his deadline, too. */
		enum conn_result r = c->ssl != NULL && SSL_has_pending(c->ssl) ? CONN_OK : wait_for(c, POLLIN, READING, c->deadline);
		if (r != CONN_OK)
			return r;
		ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, to, (int)room) : read(c->fd, to, room);
		if (n > 0) {
			line_filled(&c->in, (size_t)n);
			note_active(c);
			return CONN_OK;
		}
		if (c->ssl != NULL) {
			r = tls_wait(c, (int)n, READING, c->deadline);
		} else if (n == 0) {
			r = CONN_CLOSED;
		} else if (errno != EAGAIN && errno != EINTR) {
			c->problem = strerror(errno);
			r = CONN_BROKEN;
		}
		if (r != CONN_OK)
			return r;
	}
}

/*
 * When a client that takes nothing is gone. Before a login the deadline of what it says holds for what it takes, too, or who reads an octet now
 * and then would never meet it; and some time for the last words.
 */
static long long stalled_by(const struct conn *c)
{
	const long long stalled = now_ms() + 1000LL * WRITE_STALL_SECONDS;
	return c->session || stalled < c->deadline + LINGER_MS ? stalled : c->deadline + LINGER_MS;
}

/* What came of one attempt to send: n octets went out (n > 0), or it is waited until more can. CONN_OK: go on. */
static enum conn_result sent(struct conn *c, ssize_t n, long long *deadline)
{
	if (n > 0) {
		*deadline = 0;
		note_active(c);
		return CONN_OK;
	}
	if (c->ssl == NULL && errno == EINTR)
		return CONN_OK;
	if (c->ssl == NULL && errno != EAGAIN) {
		c->problem = strerror(errno);
		return errno == EPIPE || errno == ECONNRESET ? CONN_CLOSED : CONN_BROKEN;
	}
	if (*deadline == 0)
		*deadline = stalled_by(c);
	return c->ssl != NULL ? tls_wait(c, (int)n, WRITING, *deadline) : wait_for(c, POLLOUT, WRITING, *deadline);
}

/* Send the first len octets of c->out; the rest moves up. */
static enum conn_result send_out(struct conn *c, size_t len, int flags)
{
	enum conn_result r = CONN_OK;
	long long deadline = 0;
	size_t at = 0;
	while (r == CONN_OK && at < len) {
		/* OpenSSL takes one record at a time (SSL_MODE_ENABLE_PARTIAL_WRITE). */
		c->send_flags = len - at > SSL3_RT_MAX_PLAIN_LENGTH && c->ssl != NULL ? MSG_MORE : flags;
		ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, c->out.p + at, (int)(len - at))
		                           : send(c->fd, c->out.p + at, len - at, MSG_NOSIGNAL | c->send_flags);
		at += n > 0 ? (size_t)n : 0;
		r = sent(c, n, &deadline);
	}
	c->send_flags = 0;
	c->out.len = r == CONN_OK ? c->out.len - len : 0;
	memmove(c->out.p, c->out.p + len, c->out.len);
	return r;
}

enum conn_result conn_flush(struct conn *c)
{
	return send_out(c, c->out.len, 0);
}

enum conn_result conn_push(struct conn *c)
{
	return send_out(c, c->ssl != NULL ? c->out.len - c->out.len % SSL3_RT_MAX_PLAIN_LENGTH : c->out.len, MSG_MORE);
}

/* Is the connection there? Then what a call that had to do with a file as well says is about the file. */
static bool is_connected(const struct conn *c)
{
	return poll(&(struct pollfd){ .fd = c->fd }, 1, 0) == 0;
}

enum conn_result conn_send_file(struct conn *c, int fd, uint64_t offset, uint64_t len)
{
	off_t at = (off_t)offset;
	const off_t end = at + (off_t)len;
	enum conn_result r = send_out(c, c->out.len, MSG_MORE);
	long long deadline = 0;
	while (r == CONN_OK && at < end) {
		ssize_t n = sendfile(c->fd, fd, &at, (size_t)(end - at));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR && is_connected(c))) {
			c->problem = n == 0 ? "the message became shorter while it was sent" : strerror(errno);
			return CONN_UNREADABLE;
		}
		r = sent(c, n, &deadline);
	}
	return r;
}

/* Why there was no handshake, though nothing went wrong in one. */
static const char closed[] = "closed by the client";

enum conn_result conn_look_for_tls(struct conn *c)
{
	enum { HANDSHAKE = 0x16 }; /* the type of the record that every TLS client begins with (RFC 8446 section 5.1) */
	const long long deadline = now_ms() + DOOR_WAIT_MS;
	char octets[PROXY_2_SIGNATURE];
	enum conn_result r = wait_for(c, POLLIN, READING, deadline < c->deadline ? deadline : c->deadline);
	if (r == CONN_TIMEOUT) {
		c->door = DOOR_PLAIN_ON_TLS;
		return CONN_OK;
	}
	if (r != CONN_OK)
		return r;
	ssize_t n = recv(c->fd, octets, sizeof octets, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0) {
		c->problem = closed;
		return CONN_CLOSED;
	}
	if (n < 0 || octets[0] == HANDSHAKE)
		return CONN_OK;
	/* Whose proxy sends a header has no client to send elsewhere. */
	c->door = door_of_octets(octets, (size_t)n);
	if (c->door == DOOR_NONE)
		c->door = DOOR_PLAIN_ON_TLS;
	return CONN_OK;
}

enum conn_result conn_start_tls(struct conn *c, SSL_CTX *context)
{
	ERR_clear_error();
	c->ssl = SSL_new(context);
	if (c->ssl == NULL || !conn_use_bio(c)) {
		c->problem = tls_error();
		return CONN_BROKEN;
	}
	remote_key_signs(conn_sign, c);
	for (;;) {
		int n = SSL_accept(c->ssl);
		if (n == 1)
			return CONN_OK;
		enum conn_result r = tls_wait(c, n, READING, c->deadline);
		if (r == CONN_BROKEN && c->stopping) {
			c->problem = NULL;
			return CONN_STOPPED; /* it was told to while it asked for the signature, and has none therefore */
		}
		if (r == CONN_BROKEN && c->no_signature)
			c->problem = "no signature: the keeper's line in the log says why";
		if (r == CONN_CLOSED || r == CONN_TIMEOUT)
			c->problem = r == CONN_CLOSED ? closed : "no handshake in time";
		if (r != CONN_OK)
			return r;
	}
}

/* Throw away what the client still sends, until it closes, the time or the patience is over, or others are to have the place. */
static void drain(struct conn *c)
{
	char waste[4096];
	long long end = now_ms() + LINGER_MS;
	size_t total = 0;
	while (total < LINGER_OCTETS && !makes_room(c)) {
		long long left = end - now_ms();
		struct pollfd fds[] = { { .fd = c->fd, .events = POLLIN }, { .fd = c->keeper_lost || c->keeper_done ? -1 : c->keeper, .events = POLLIN } };
		if (left <= 0 || poll(fds, 2, (int)left) <= 0)
			return;
		if (fds[1].revents != 0)
			keeper_speaks(c);
		if (fds[0].revents == 0)
			continue;
		ssize_t n = read(c->fd, waste, sizeof waste);
		if (n <= 0)
			return;
		total += (size_t)n;
	}
}

void conn_close(struct conn *c, bool linger)
{
	if (c->ssl != NULL && SSL_is_init_finished(c->ssl)) {
		ERR_clear_error();
		(void)SSL_shutdown(c->ssl);
	}
	if (linger) {
		(void)shutdown(c->fd, SHUT_WR);
		drain(c);
	}
	if (c->ssl != NULL)
		SSL_free(c->ssl); /* a session in clear has none, and touches none of OpenSSL's pages */
	c->ssl = NULL;
	(void)close(c->fd);
	c->fd = -1;
}
