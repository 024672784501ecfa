/*
 * popload_net.c - the load generator's sockets, and where the answers that come from them end.
 * Runs in: popload, for bench/. Trusts: nothing that a server says.
 */
#define _GNU_SOURCE
#include "popload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { SOURCES = 60000, FIRST_SOURCE = 0x7f010001 /* 127.1.0.1 */ };

int connect_to(const char *host, int port, int slot, bool *under_way_r)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (fd < 0) die("socket: %s", strerror(errno));
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1 || (ntohl(a.sin_addr.s_addr) >> 24) != 127)
		die("%s: only loopback addresses", host);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (slot >= 0) {
		struct sockaddr_in s = { .sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)(FIRST_SOURCE + slot % SOURCES)) };
		setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
		if (bind(fd, (const struct sockaddr *)&s, sizeof s)) die("bind: %s", strerror(errno));
	}
	*under_way_r = connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS;
	return fd;
}

int count_ends(char tail[4], const char *p, size_t n)
{
	static const char end[5] = { '\r', '\n', '.', '\r', '\n' };
	char seam[8];
	const size_t had = 4, head = n < 4 ? n : 4;
	int ends = 0;
	memcpy(seam, tail, had);
	memcpy(seam + had, p, head);
	for (size_t i = 0; i + sizeof end <= had + head; i++) ends += !memcmp(seam + i, end, sizeof end);
	/* Found by its dot, which is rare; those of the first octets have been seen in the seam. */
	for (const char *dot = p + 2; n >= sizeof end && (dot = memchr(dot, '.', (size_t)(p + n - 2 - dot))); dot++)
		ends += !memcmp(dot - 2, end, sizeof end);
	memcpy(tail, n < 4 ? seam + n : p + n - 4, 4);
	return ends;
}
