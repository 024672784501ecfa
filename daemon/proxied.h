/*
 * proxied.h - connections by way of a proxy, until its header has said whose they are.
 * Runs in: master. Trusts: that the addresses in [listen] proxies are proxies; of what they say, nothing but a client's address.
 */
#ifndef POSTERN_PROXIED_H
#define POSTERN_PROXIED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
	PROXIED_MAX = 256,        /* at a time; for a further one the oldest is refused */
	PROXIED_MS = 5000,        /* for the header: a proxy sends it at once, and once more if a packet was lost */
};

/* What becomes of one; all take the connection. */
struct proxied_calls {
	/* peer: the client, or the proxy itself. */
	void (*admit)(void *context, int connection, bool tls, const struct sockaddr_storage *peer);
	/* No header came, or something else. */
	void (*refuse)(void *context, int connection, bool tls, const struct sockaddr_storage *proxy);
	void *context;
};

struct proxied {
	int epoll;                /* readable: proxied_hear() */
	size_t count;
	struct proxied_calls calls;
	struct { int fd; bool tls; long long due; struct sockaddr_storage proxy; } open[PROXIED_MAX]; /* in the order in which they came */
};

/* Begin without any. 0, or -1 and errno. */
int proxied_open(struct proxied *p, const struct proxied_calls *calls);

/* A connection that a proxy made (taken by this; non-blocking). now: now_ms(). */
void proxied_add(struct proxied *p, int connection, bool tls, const struct sockaddr_storage *proxy, long long now);

/* Some of them have sent something. */
void proxied_hear(struct proxied *p);

/* Refuse those whose time is over. */
void proxied_expire(struct proxied *p, long long now);

/* When that is to be looked at, 0: there are none. */
long long proxied_due(const struct proxied *p);

/* Close all: the server stops. */
void proxied_close(struct proxied *p);

#endif
