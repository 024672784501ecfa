/*
 * proxy_header.h - what a proxy puts before a connection's first octet: whose it is (PROXY protocol, versions 1 and 2; haproxy's
 * proxy-protocol.txt, sections 2.1 and 2.2).
 * Runs in: master. Trusts: that the octets come from a proxy which the configuration names; not that they are a header.
 */
#ifndef POSTERN_PROXY_HEADER_H
#define POSTERN_PROXY_HEADER_H

#include <stddef.h>
#include <sys/socket.h>

enum {
	PROXY_1_MOST = 107,       /* octets of a header of version 1, with its CRLF */
	PROXY_HEADER_MOST = 1024, /* of version 2 a longer one is not taken; addresses are 36 octets, what may stand behind them some hundred */
};

enum proxy_header {
	PROXY_HEADER_MORE,        /* not whole yet */
	PROXY_HEADER_BAD,         /* none, or a longer one */
	PROXY_HEADER_OWN,         /* of the proxy's own, such as a look whether the server is there, or of a client whose address it does not tell */
	PROXY_HEADER_CLIENT,
};

/* Is there a header in the first len octets of a connection? Of OWN and CLIENT, header_r is how many octets it has; of CLIENT, client_r the address. */
enum proxy_header proxy_header_read(const char *octets, size_t len, size_t *header_r, struct sockaddr_storage *client_r);

#endif
