/*
 * refusal.c - connections that are told no.
 * Runs in: master. Trusts: nothing; reads nothing.
 */
#include "daemon/refusal.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/privilege.h"

static void close_first(struct refusals *r)
{
	(void)close(r->open[r->first].fd);
	r->first = (r->first + 1) % REFUSALS_MAX;
	r->count--;
}

static void note(struct refusals *r, const char *peer, enum reply reply, long long now)
{
	if (r->logged != 0 && now - r->logged < REFUSAL_LOG_MS) {
		r->silent++;
		return;
	}
	log_line(LOG_WARNING, "refused: peer=%s reason=%s (%lu more since the last such line)", peer, reply_row(reply)->name, r->silent);
	r->logged = now;
	r->silent = 0;
}

void refusals_add(struct refusals *r, int connection, bool tls, const char *peer, enum reply reply, const struct reply_args *args)
{
	char storage[REPLY_LINE_MAX];
	struct buf line = BUF_OVER(storage);
	long long now = now_ms();
	note(r, peer, reply, now);
	if (tls) {
		(void)close(connection);
		return;
	}
	(void)reply_add(&line, reply, args);
	/* A fresh connection's buffer takes a line; one that does not is not worth waiting for. */
	(void)!send(connection, line.p, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(connection, SHUT_WR);
	if (r->count == REFUSALS_MAX)
		close_first(r);
	unsigned at = (r->first + r->count++) % REFUSALS_MAX;
	r->open[at].fd = connection;
	r->open[at].due = now + REFUSAL_MS;
}

void refusals_expire(struct refusals *r, long long now)
{
	while (r->count > 0 && now >= r->open[r->first].due)
		close_first(r);
}

long long refusals_due(const struct refusals *r)
{
	return r->count > 0 ? r->open[r->first].due : 0;
}
