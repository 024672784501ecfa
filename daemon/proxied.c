/*
 * proxied.c - connections by way of a proxy, until its header has said whose they are.
 * Runs in: master. Trusts: as proxied.h says.
 *
 * The header is looked at where it lies in the socket (MSG_PEEK), and taken from there when it is whole: not an octet of what the client says
 * comes into this process but for those that arrived with the header, which are left for the gate, and wiped here.
 */
#include "daemon/proxied.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/proxy_header.h"
#include "daemon/settings.h"

enum { EVENTS_AT_ONCE = 32 };

int proxied_open(struct proxied *p, const struct proxied_calls *calls)
{
	p->count = 0;
	p->calls = *calls;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	return p->epoll >= 0 ? 0 : -1;
}

/* The i-th is ours no more: its connection. */
static int let_go(struct proxied *p, size_t i)
{
	const int fd = p->open[i].fd;
	(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
	p->count--;
	memmove(&p->open[i], &p->open[i + 1], (p->count - i) * sizeof p->open[0]);
	return fd;
}

static void refuse(struct proxied *p, size_t i)
{
	const struct sockaddr_storage proxy = p->open[i].proxy;
	const bool tls = p->open[i].tls;
	const int fd = let_go(p, i);
	p->calls.refuse(p->calls.context, fd, tls, &proxy);
}

static void admit(struct proxied *p, size_t i, size_t header, const struct sockaddr_storage *client)
{
	char octets[PROXY_HEADER_MOST];
	const struct sockaddr_storage proxy = p->open[i].proxy;
	const bool tls = p->open[i].tls;
	const int fd = let_go(p, i);
	/* What was seen there is there. */
	if (recv(fd, octets, header, MSG_DONTWAIT) != (ssize_t)header) {
		(void)close(fd);
		return;
	}
	/* Another host's loopback is not ours, where passwords in clear are taken. */
	const bool is_proxy = client == NULL || (address_is_loopback(client) && !address_is_loopback(&proxy));
	p->calls.admit(p->calls.context, fd, tls, is_proxy ? &proxy : client);
}

/* What has the i-th sent? */
static void look(struct proxied *p, size_t i)
{
	char octets[PROXY_HEADER_MOST];
	struct sockaddr_storage client;
	size_t header;
	const ssize_t n = recv(p->open[i].fd, octets, sizeof octets, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A proxy that only looks whether the port is open, or gave it up. */
	if (n <= 0) {
		(void)close(let_go(p, i));
		return;
	}
	const enum proxy_header what = proxy_header_read(octets, (size_t)n, &header, &client);
	/* A password may be among what the client said at once, and all keepers are forked from here. */
	explicit_bzero(octets, (size_t)n);
	switch (what) {
	case PROXY_HEADER_MORE: break;
	case PROXY_HEADER_BAD: refuse(p, i); break;
	case PROXY_HEADER_OWN: admit(p, i, header, NULL); break;
	case PROXY_HEADER_CLIENT: admit(p, i, header, &client); break;
	}
}

/* The oldest is to go. But its header may be there, and nobody has looked yet: many came at once, or this process was held up. */
static void let_oldest_go(struct proxied *p)
{
	const size_t before = p->count;
	look(p, 0);
	if (p->count == before)
		refuse(p, 0);
}

void proxied_add(struct proxied *p, int connection, bool tls, const struct sockaddr_storage *proxy, long long now)
{
	/* At its edge: half a header would be readable all the time. It tells at once what is there already. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data = { .fd = connection } };
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, connection, &event) != 0) {
		(void)close(connection);
		return;
	}
	if (p->count == PROXIED_MAX)
		let_oldest_go(p);
	p->open[p->count].fd = connection;
	p->open[p->count].tls = tls;
	p->open[p->count].due = now + PROXIED_MS;
	p->open[p->count].proxy = *proxy;
	p->count++;
}

void proxied_hear(struct proxied *p)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	const int n = epoll_wait(p->epoll, events, EVENTS_AT_ONCE, 0);
	for (int e = 0; e < n; e++) {
		size_t i = 0;
		while (i < p->count && p->open[i].fd != events[e].data.fd)
			i++;
		if (i < p->count)
			look(p, i);
	}
}

void proxied_expire(struct proxied *p, long long now)
{
	while (p->count > 0 && now >= p->open[0].due)
		let_oldest_go(p);
}

long long proxied_due(const struct proxied *p)
{
	return p->count > 0 ? p->open[0].due : 0;
}

void proxied_close(struct proxied *p)
{
	while (p->count > 0)
		(void)close(let_go(p, 0));
}
