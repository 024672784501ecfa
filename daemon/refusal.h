/*
 * refusal.h - connections that are told no: a sentence, then a little time to read it.
 * Runs in: master. Trusts: nothing; reads nothing.
 */
#ifndef POSTERN_REFUSAL_H
#define POSTERN_REFUSAL_H

#include <stdbool.h>

#include "daemon/replies.h"

enum {
	REFUSALS_MAX = 64,       /* open at a time; a further one closes the oldest at once */
	REFUSAL_MS = 1000,       /* a close throws away what the client has not read if it was sending; so it comes later */
	REFUSAL_LOG_MS = 1000,   /* one line in the log, and one reference, in such a time for each kind */
	REFUSAL_SUM_MS = 10000,  /* so long after it the rest is counted in a line, when no other line does that */
	REFUSAL_KINDS = REPLY_THROTTLED - REPLY_SERVER_FULL + 1,
};

struct refusals {
	struct { int fd; long long due; } open[REFUSALS_MAX];
	unsigned first, count;
	/* For each kind of refusal: when the last line was written, the reference in it, refusals since then. */
	struct { long long logged; uint32_t ref; unsigned long silent; } kinds[REFUSAL_KINDS];
};

/* Tell the client why: SERVER_FULL, SOURCE_FULL, CROWDED, NO_PROXY_HEADER or THROTTLED (not on a TLS port, where a sentence in clear would be taken for
   a broken handshake). connection: taken. */
void refusals_add(struct refusals *r, int connection, bool tls, const char *peer, enum reply reply, const struct reply_args *args);

/* Close all that are open: they have been told, and the descriptors are wanted. */
void refusals_close(struct refusals *r);

/* Close those whose time is over, and log what was not counted yet. */
void refusals_expire(struct refusals *r, long long now);

/* When there is something to close or to count, 0: nothing. */
long long refusals_due(const struct refusals *r);

#endif
