/*
 * fuzz_proxy.c - the first octets of a connection from a proxy, beside a slow reader of PROXY headers; and what comes of a whole connection.
 * Runs in: the tests. Trusts: nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "base/number.h"
#include "daemon/proxied.h"
#include "daemon/proxy_header.h"
#include "daemon/settings.h"
#include "tests/fuzz/fuzz.h"

struct told {
	enum proxy_header what;
	size_t len;
	char host[INET6_ADDRSTRLEN];
};

/* ---- the slow reader ---- */

/* The words of a line, which is changed; an empty one is a word. Their number, at most 7. */
static size_t split(char *line, char *words[7])
{
	size_t n = 0;
	for (char *p = line; p != NULL && n < 7; n++) {
		words[n] = p;
		p = strchr(p, ' ');
		if (p != NULL)
			*p++ = '\0';
	}
	return n;
}

static bool is_port(const char *text)
{
	uint64_t port;
	return parse_number(text, strlen(text), 0, 65535, &port) == 0;
}

static struct told read_line_slowly(const char *octets, size_t len)
{
	struct told bad = { .what = PROXY_HEADER_BAD }, more = { .what = PROXY_HEADER_MORE };
	char line[PROXY_1_MOST + 1], *words[7], binary[16];
	for (size_t i = 0; i < len && i < 6; i++)
		if (octets[i] != "PROXY "[i])
			return bad;
	size_t cr = 0;
	while (cr < len && cr < PROXY_1_MOST && octets[cr] != '\r')
		cr++;
	if (cr + 2 > PROXY_1_MOST)
		return bad;
	if (cr + 2 > len)
		return more;
	if (octets[cr + 1] != '\n' || cr < 6 || memchr(octets, '\0', cr) != NULL)
		return octets[cr + 1] == '\n' && cr > 12 && memcmp(octets, "PROXY UNKNOWN ", 14) == 0 ? (struct told){ .what = PROXY_HEADER_OWN, .len = cr + 2 } : bad;
	memcpy(line, octets, cr);
	line[cr] = '\0';
	const size_t n = split(line, words);
	if (strcmp(words[1], "UNKNOWN") == 0)
		return (struct told){ .what = PROXY_HEADER_OWN, .len = cr + 2 };
	const int family = strcmp(words[1], "TCP4") == 0 ? AF_INET : strcmp(words[1], "TCP6") == 0 ? AF_INET6 : 0;
	if (family == 0 || n != 6 || !is_port(words[4]) || !is_port(words[5]) || inet_pton(family, words[3], binary) != 1 || inet_pton(family, words[2], binary) != 1)
		return bad;
	struct told told = { .what = PROXY_HEADER_CLIENT, .len = cr + 2 };
	CHECK(inet_ntop(family, binary, told.host, sizeof told.host) != NULL, "no text");
	return told;
}

static struct told read_slowly(const char *octets, size_t len)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	const unsigned char *o = (const unsigned char *)octets;
	for (size_t i = 0; i < len && i < 12; i++)
		if (octets[i] != signature[i])
			return read_line_slowly(octets, len);
	if (len < 16)
		return (struct told){ .what = PROXY_HEADER_MORE };
	const size_t whole = 16 + 256U * o[14] + o[15], least = o[13] == 0x11 ? 16 + 12 : o[13] == 0x21 ? 16 + 36 : 16;
	struct told told = { .what = PROXY_HEADER_BAD, .len = whole };
	if ((o[12] != 0x20 && o[12] != 0x21) || whole > PROXY_HEADER_MOST || (o[12] == 0x21 && whole < least))
		return told;
	told.what = len < whole ? PROXY_HEADER_MORE : o[12] == 0x20 || least == 16 ? PROXY_HEADER_OWN : PROXY_HEADER_CLIENT;
	if (told.what == PROXY_HEADER_CLIENT)
		CHECK(inet_ntop(least == 28 ? AF_INET : AF_INET6, octets + 16, told.host, sizeof told.host) != NULL, "no text");
	return told;
}

/* ---- what becomes of a connection ---- */

static struct {
	int admitted, refused;
	int fd;
	struct sockaddr_storage peer;
} seen;

static void admit(void *context, int connection, bool tls, const struct sockaddr_storage *peer)
{
	(void)context, (void)tls;
	seen.admitted++;
	seen.fd = connection;
	seen.peer = *peer;
}

static void refuse(void *context, int connection, bool tls, const struct sockaddr_storage *proxy)
{
	(void)context, (void)tls, (void)proxy;
	seen.refused++;
	(void)close(connection);
}

/* The octets in two parts; what is behind the header is all there for whoever comes next. */
static void check_connection(const char *octets, size_t len, size_t cut, const struct told *told)
{
	static struct proxied proxied;
	static const struct proxied_calls calls = { .admit = admit, .refuse = refuse };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(0xc0000201) } };
	struct sockaddr_storage proxy = { .ss_family = AF_UNSPEC };
	char rest[4096], host[INET6_ADDRSTRLEN];
	int pair[2];
	memcpy(&proxy, &from, sizeof from);
	CHECK(proxied_open(&proxied, &calls) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "a socket");
	memset(&seen, 0, sizeof seen);
	CHECK(send(pair[1], octets, cut, MSG_NOSIGNAL) == (ssize_t)cut, "sending");
	proxied_add(&proxied, pair[0], false, &proxy, 0);
	proxied_hear(&proxied);
	if (seen.refused == 0)
		CHECK(send(pair[1], octets + cut, len - cut, MSG_NOSIGNAL) == (ssize_t)(len - cut), "sending");
	proxied_hear(&proxied);
	CHECK(seen.admitted == (told->what == PROXY_HEADER_OWN || told->what == PROXY_HEADER_CLIENT), "admitted %d times", seen.admitted);
	CHECK(seen.refused == (told->what == PROXY_HEADER_BAD), "refused %d times", seen.refused);
	if (seen.admitted) {
		const ssize_t n = recv(seen.fd, rest, sizeof rest, MSG_DONTWAIT);
		CHECK((n < 0 ? 0 : (size_t)n) == len - told->len && memcmp(rest, octets + told->len, len - told->len) == 0, "%zd octets behind %zu of %zu", n, told->len, len);
		(void)close(seen.fd);
		(void)address_text(&seen.peer, host, sizeof host);
		CHECK(told->what == PROXY_HEADER_CLIENT || strcmp(host, "192.0.2.1") == 0, "the proxy is %s", host);
		CHECK(!address_is_loopback(&seen.peer), "another host's loopback");
	}
	proxied_expire(&proxied, PROXIED_MS);
	CHECK(proxied_due(&proxied) == 0 && seen.admitted + seen.refused == 1, "it is gone when its time is over");
	(void)close(pair[1]);
	(void)close(proxied.epoll);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const size_t cut = take_octet(&in);
	struct sockaddr_storage client;
	char host[INET6_ADDRSTRLEN];
	size_t len = 0;
	const struct piece whole = take_rest(&in);
	const struct piece text = { whole.p, whole.len < 2048 ? whole.len : 2048 };
	char *exact = piece_copy(text);
	const struct told told = read_slowly(exact, text.len);
	const enum proxy_header what = proxy_header_read(exact, text.len, &len, &client);
	CHECK(what == told.what, "%d, want %d", (int)what, (int)told.what);
	if (what == PROXY_HEADER_OWN || what == PROXY_HEADER_CLIENT)
		CHECK(len == told.len && len <= text.len, "%zu octets, want %zu", len, told.len);
	if (what == PROXY_HEADER_CLIENT) {
		CHECK(inet_ntop(client.ss_family, client.ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)&client)->sin_addr : (const void *)&((const struct sockaddr_in6 *)&client)->sin6_addr,
		                host, sizeof host) != NULL && strcmp(host, told.host) == 0, "%s, want %s", host, told.host);
	}
	/* No octet less is enough, and it never depends on what is behind. */
	for (size_t n = 0; n < text.len && n < 64; n++) {
		const enum proxy_header part = proxy_header_read(exact, n, &len, &client);
		CHECK(part == PROXY_HEADER_MORE || part == what, "%d of %zu octets, %d of all", (int)part, n, (int)what);
	}
	if (text.len > 0)
		check_connection(exact, text.len, cut < text.len ? cut : text.len, &told);
	free(exact);
	return 0;
}
