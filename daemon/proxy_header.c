/*
 * proxy_header.c - what a proxy puts before a connection's first octet.
 * Runs in: master. Trusts: nothing in the octets.
 */
#include "daemon/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/number.h"
#include "daemon/doors.h"

enum { ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN, PORT_LIMIT = 65535 };

/* Version 2: the signature; version and command; family and protocol; two octets of length, of what follows. */
enum {
	VERSION_AT = sizeof proxy_2_signature, FAMILY_AT, LENGTH_AT, ADDRESSES_AT = LENGTH_AT + 2,
	LOCAL = 0x20, PROXIED = 0x21,
	TCP4 = 0x11, TCP6 = 0x21,
	TCP4_OCTETS = 12, TCP6_OCTETS = 36, /* both addresses, both ports */
};

static void fill(struct sockaddr_storage *r, int family, const void *host, in_port_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = port };
	memset(r, 0, sizeof *r);
	if (family == AF_INET) {
		memcpy(&v4.sin_addr, host, sizeof v4.sin_addr);
		memcpy(r, &v4, sizeof v4);
	} else {
		memcpy(&v6.sin6_addr, host, sizeof v6.sin6_addr);
		memcpy(r, &v6, sizeof v6);
	}
}

/* The next word of a line of version 1, which one blank ends, or the line's end. False when it is empty, too long, or has a NUL. */
static bool take_word(const char **p, const char *end, char word_r[ADDRESS_TEXT_MAX])
{
	const char *blank = memchr(*p, ' ', (size_t)(end - *p)), *stop = blank != NULL ? blank : end;
	const size_t len = (size_t)(stop - *p);
	if (len == 0 || len >= ADDRESS_TEXT_MAX || memchr(*p, '\0', len) != NULL)
		return false;
	memcpy(word_r, *p, len);
	word_r[len] = '\0';
	*p = stop + (blank != NULL);
	return true;
}

/* "TCP4 192.0.2.7 198.51.100.1 40000 110"; or "UNKNOWN", whatever is behind that. */
static enum proxy_header read_line(const char *p, const char *end, struct sockaddr_storage *client_r)
{
	static const char unknown[] = "UNKNOWN";
	char word[5][ADDRESS_TEXT_MAX];
	unsigned char host[sizeof(struct in6_addr)];
	uint64_t port;
	if (end - p >= (ptrdiff_t)sizeof unknown - 1 && memcmp(p, unknown, sizeof unknown - 1) == 0)
		return end - p == (ptrdiff_t)sizeof unknown - 1 || p[sizeof unknown - 1] == ' ' ? PROXY_HEADER_OWN : PROXY_HEADER_BAD;
	for (size_t i = 0; i < 5; i++)
		if (!take_word(&p, end, word[i]))
			return PROXY_HEADER_BAD;
	const int family = strcmp(word[0], "TCP4") == 0 ? AF_INET : strcmp(word[0], "TCP6") == 0 ? AF_INET6 : AF_UNSPEC;
	if (family == AF_UNSPEC || p != end || end[-1] == ' ' || inet_pton(family, word[2], host) != 1 || inet_pton(family, word[1], host) != 1 ||
	    parse_number(word[4], strlen(word[4]), 0, PORT_LIMIT, &port) != 0 || parse_number(word[3], strlen(word[3]), 0, PORT_LIMIT, &port) != 0)
		return PROXY_HEADER_BAD;
	fill(client_r, family, host, htons((uint16_t)port));
	return PROXY_HEADER_CLIENT;
}

static enum proxy_header read_1(const char *octets, size_t len, size_t *header_r, struct sockaddr_storage *client_r)
{
	static const char begin[] = "PROXY ";
	if (memcmp(octets, begin, len < sizeof begin - 1 ? len : sizeof begin - 1) != 0)
		return PROXY_HEADER_BAD;
	/* The LF is the last that may be. */
	const char *cr = memchr(octets, '\r', len < PROXY_1_MOST - 1 ? len : PROXY_1_MOST - 1);
	if (cr == NULL)
		return len < PROXY_1_MOST - 1 ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
	if (cr + 1 == octets + len)
		return PROXY_HEADER_MORE;
	if (cr[1] != '\n')
		return PROXY_HEADER_BAD;
	*header_r = (size_t)(cr - octets) + 2;
	return read_line(octets + sizeof begin - 1, cr, client_r);
}

static enum proxy_header read_2(const unsigned char *octets, size_t len, size_t *header_r, struct sockaddr_storage *client_r)
{
	in_port_t port;
	if (len < ADDRESSES_AT)
		return PROXY_HEADER_MORE;
	const size_t follow = (size_t)octets[LENGTH_AT] << 8 | octets[LENGTH_AT + 1], command = octets[VERSION_AT], family = octets[FAMILY_AT];
	const size_t addresses = family == TCP4 ? TCP4_OCTETS : family == TCP6 ? TCP6_OCTETS : 0;
	if ((command != LOCAL && command != PROXIED) || ADDRESSES_AT + follow > PROXY_HEADER_MOST || (command == PROXIED && follow < addresses))
		return PROXY_HEADER_BAD;
	if (len < ADDRESSES_AT + follow)
		return PROXY_HEADER_MORE;
	*header_r = ADDRESSES_AT + follow;
	if (command == LOCAL || addresses == 0)
		return PROXY_HEADER_OWN;
	/* The client's address, the proxy's, the client's port, the proxy's. */
	memcpy(&port, octets + ADDRESSES_AT + addresses - 2 * sizeof port, sizeof port);
	fill(client_r, family == TCP4 ? AF_INET : AF_INET6, octets + ADDRESSES_AT, port);
	return PROXY_HEADER_CLIENT;
}

enum proxy_header proxy_header_read(const char *octets, size_t len, size_t *header_r, struct sockaddr_storage *client_r)
{
	const size_t same = len < sizeof proxy_2_signature ? len : sizeof proxy_2_signature;
	if (len == 0)
		return PROXY_HEADER_MORE;
	if (memcmp(octets, proxy_2_signature, same) == 0)
		return read_2((const unsigned char *)octets, len, header_r, client_r);
	return read_1(octets, len, header_r, client_r);
}
