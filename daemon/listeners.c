/*
 * listeners.c - the sockets that connections come in by.
 * Runs in: master, as root for ports under 1024. Trusts: nothing of a peer but its address.
 */
#include "daemon/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/service.h"

enum {
	BACKLOG = 1024,
	PORT_POP3S = 995,
	/* A peer that vanished is noticed within two minutes (RFC 1122 keep-alives, tcp(7)). */
	KEEPALIVE_IDLE_SECONDS = 60, KEEPALIVE_INTERVAL_SECONDS = 15, KEEPALIVE_TRIES = 4, USER_TIMEOUT_MS = 120000,
};

/* Connections inherit these from the socket that they come in by, which saves five calls each. */
static void set_options(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS },
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value) != 0)
			log_line(LOG_WARNING, "socket option %d: %s", options[i].name, strerror(errno));
}

static unsigned port_of(const struct sockaddr_storage *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (address->ss_family == AF_INET6) {
		memcpy(&v6, address, sizeof v6);
		return ntohs(v6.sin6_port);
	}
	memcpy(&v4, address, sizeof v4);
	return ntohs(v4.sin_port);
}

void listeners_inherit(struct listeners *l)
{
	char name[64];
	size_t at = 0;
	int fd;
	while (l->count < LISTENERS_MAX && (fd = service_next_socket(&at, name, sizeof name)) >= 0) {
		struct listener *one = &l->list[l->count];
		socklen_t len = sizeof one->address;
		*one = (struct listener){ .fd = fd };
		if (getsockname(fd, (struct sockaddr *)&one->address, &len) != 0) {
			log_line(LOG_ERR, "inherited descriptor %d is no socket: %s", fd, strerror(errno));
			continue;
		}
		bool named = strcmp(name, "pop3") == 0 || strcmp(name, "pop3s") == 0;
		one->tls = named ? strcmp(name, "pop3s") == 0 : port_of(&one->address) == PORT_POP3S;
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		set_options(fd);
		l->count++;
	}
	l->inherited = l->count > 0;
}

/* What to do about an error of bind(2) or socket(2). */
static const char *remedy(int error)
{
	static const struct { int error; const char *text; } remedies[] = {
		{ EADDRINUSE, "; another program has that port, see: ss -ltnp, or posternd itself has it, on another address: then restart it" },
		{ EACCES, "; ports under 1024 need root" },
		{ EADDRNOTAVAIL, "; this host has no such address, see: ip address" },
		{ EAFNOSUPPORT, "; this host has no IPv6: set pop3 and pop3s in [listen] without the addresses in brackets" },
	};
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
		if (remedies[i].error == error)
			return remedies[i].text;
	return "";
}

static int open_one(const struct listen_address *wanted, bool tls, struct listener *one_r, char *problem, size_t size)
{
	char text[64];
	int one = 1;
	*one_r = (struct listener){ .tls = tls, .address = wanted->address };
	one_r->fd = socket(wanted->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (one_r->fd >= 0) {
		(void)setsockopt(one_r->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (wanted->address.ss_family == AF_INET6)
			(void)setsockopt(one_r->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
		set_options(one_r->fd);
		if (bind(one_r->fd, (const struct sockaddr *)&wanted->address, wanted->len) == 0 && listen(one_r->fd, BACKLOG) == 0)
			return 0;
	}
	int error = errno;
	(void)snprintf(problem, size, "cannot listen on %s port %u: %s%s", address_text(&wanted->address, text, sizeof text),
	               port_of(&wanted->address), strerror(error), remedy(error));
	if (one_r->fd >= 0)
		(void)close(one_r->fd);
	return -1;
}

static struct listener *find(struct listeners *l, const struct listen_address *wanted, bool tls)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].tls == tls && memcmp(&l->list[i].address, &wanted->address, wanted->len) == 0)
			return &l->list[i];
	return NULL;
}

/* Those of old that are not in kept are closed. */
static void close_others(struct listeners *old, const struct listeners *kept)
{
	for (size_t i = 0; i < old->count; i++) {
		bool stays = false;
		for (size_t k = 0; k < kept->count; k++)
			stays = stays || kept->list[k].fd == old->list[i].fd;
		if (!stays)
			(void)close(old->list[i].fd);
	}
}

int listeners_apply(struct listeners *l, const struct settings *settings, char *problem, size_t size)
{
	struct listeners next = { .count = 0 };
	if (l->inherited)
		return 0;
	for (int tls = 0; tls < 2; tls++) {
		const struct listen_list *wanted = tls ? &settings->pop3s : &settings->pop3;
		for (size_t i = 0; i < wanted->count; i++) {
			struct listener *have = find(l, &wanted->list[i], tls);
			struct listener *one = &next.list[next.count];
			if (have != NULL) {
				*one = *have;
			} else if (open_one(&wanted->list[i], tls, one, problem, size) != 0) {
				close_others(&next, l);
				return -1;
			}
			next.count++;
		}
	}
	close_others(l, &next);
	*l = next;
	return 0;
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		(void)close(l->list[i].fd);
	l->count = 0;
}

int listener_accept(const struct listener *l, struct sockaddr_storage *peer_r)
{
	socklen_t len = sizeof *peer_r;
	memset(peer_r, 0, sizeof *peer_r);
	return accept4(l->fd, (struct sockaddr *)peer_r, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
