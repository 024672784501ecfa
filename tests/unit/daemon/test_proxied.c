/*
 * test_proxied.c - daemon/proxied.c and daemon/proxy_header.c: whose a connection is that came by way of a proxy.
 * Runs in: the tests.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include "daemon/proxied.h"
#include "daemon/proxy_header.h"
#include "daemon/settings.h"
#include "tests/unit/suite.h"

static const long long NOW = 100000;

static struct proxied proxied;
static struct {
	unsigned admitted, refused;
	int fd;
	bool tls;
	char peer[INET6_ADDRSTRLEN];
} seen;

static void admit(void *context, int connection, bool tls, const struct sockaddr_storage *peer)
{
	CU_ASSERT(context == &seen);
	seen.admitted++;
	seen.fd = connection;
	seen.tls = tls;
	(void)address_text(peer, seen.peer, sizeof seen.peer);
}

static void refuse(void *context, int connection, bool tls, const struct sockaddr_storage *proxy)
{
	admit(context, connection, tls, proxy);
	seen.admitted--;
	seen.refused++;
	(void)close(connection);
}

static void begin(void)
{
	const struct proxied_calls calls = { .admit = admit, .refuse = refuse, .context = &seen };
	memset(&seen, 0, sizeof seen);
	CU_ASSERT_FATAL(proxied_open(&proxied, &calls) == 0);
}

static void end(void)
{
	proxied_close(&proxied);
	CU_ASSERT(proxied_due(&proxied) == 0);
	(void)close(proxied.epoll);
}

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(&address, &in, sizeof in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(&address, &in6, sizeof in6);
	return address;
}

/* A connection from that proxy at that time. The other end. */
static int connect_from(const char *proxy, long long now)
{
	const struct sockaddr_storage address = address_of(proxy);
	int pair[2];
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	proxied_add(&proxied, pair[0], true, &address, now);
	return pair[1];
}

static void say(int fd, const char *octets, size_t len)
{
	CU_ASSERT(send(fd, octets, len, MSG_NOSIGNAL) == (ssize_t)len);
	proxied_hear(&proxied);
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define OCTETS(text) text, sizeof(text) - 1

/* peer: whose it is, NULL: it is refused. */
static const struct {
	const char *label, *proxy, *octets;
	size_t len;
	const char *peer;
} rows[] = {
	{ "1: IPv4", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 40000 110\r\n"), "198.51.100.7" },
	{ "1: IPv6", "192.0.2.1", OCTETS("PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n"), "2001:db8::7" },
	{ "1: IPv4 as IPv6", "192.0.2.1", OCTETS("PROXY TCP6 ::ffff:198.51.100.7 2001:db8::1 1 2\r\n"), "198.51.100.7" },
	{ "1: unknown", "192.0.2.1", OCTETS("PROXY UNKNOWN\r\n"), "192.0.2.1" },
	{ "1: unknown, and more", "2001:db8::9", OCTETS("PROXY UNKNOWN 198.51.100.7 192.0.2.1 40000 110\r\n"), "2001:db8::9" },
	{ "1: another host's loopback", "192.0.2.1", OCTETS("PROXY TCP4 127.0.0.1 192.0.2.1 40000 110\r\n"), "192.0.2.1" },
	{ "1: the same as IPv6", "192.0.2.1", OCTETS("PROXY TCP6 ::ffff:127.0.0.1 ::1 40000 110\r\n"), "192.0.2.1" },
	{ "1: this host's loopback", "127.0.0.1", OCTETS("PROXY TCP4 127.0.0.5 127.0.0.1 40000 110\r\n"), "127.0.0.5" },
	{ "1: another name", "192.0.2.1", OCTETS("PROXY UNKNOWNS\r\n"), NULL },
	{ "1: in small letters", "192.0.2.1", OCTETS("proxy TCP4 198.51.100.7 192.0.2.1 40000 110\r\n"), NULL },
	{ "1: addresses of another family", "192.0.2.1", OCTETS("PROXY TCP4 2001:db8::7 2001:db8::1 40000 110\r\n"), NULL },
	{ "1: no port", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 40000\r\n"), NULL },
	{ "1: a port too high", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 65536 110\r\n"), NULL },
	{ "1: a word more", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 40000 110 1\r\n"), NULL },
	{ "1: two blanks", "192.0.2.1", OCTETS("PROXY TCP4  198.51.100.7 192.0.2.1 40000 110\r\n"), NULL },
	{ "1: a blank at the end", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 40000 110 \r\n"), NULL },
	{ "1: a NUL", "192.0.2.1", OCTETS("PROXY TCP4 198.51.100.7 192.0.2.1 4\0 110\r\n"), NULL },
	{ "1: no LF", "192.0.2.1", OCTETS("PROXY UNKNOWN\rx"), NULL },
	{ "1: too long", "192.0.2.1", OCTETS("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"), NULL },
	{ "2: IPv4", "192.0.2.1", OCTETS(V2 "\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x6e"), "198.51.100.7" },
	{ "2: IPv6, and more", "192.0.2.1", OCTETS(V2 "\x21\x21\0\x27\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x40\0\x6e\x04\0\0"), "2001:db8::7" },
	{ "2: its own", "192.0.2.1", OCTETS(V2 "\x20\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x6e"), "192.0.2.1" },
	{ "2: no family", "192.0.2.1", OCTETS(V2 "\x21\0\0\0"), "192.0.2.1" },
	{ "2: UDP", "192.0.2.1", OCTETS(V2 "\x21\x12\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x6e"), "192.0.2.1" },
	{ "2: another host's loopback", "192.0.2.1", OCTETS(V2 "\x21\x11\0\x0c\x7f\0\0\x01\xc0\0\x02\x01\x9c\x40\0\x6e"), "192.0.2.1" },
	{ "2: addresses cut off", "192.0.2.1", OCTETS(V2 "\x21\x11\0\x0b\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0"), NULL },
	{ "2: version 3", "192.0.2.1", OCTETS(V2 "\x31\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x6e"), NULL },
	{ "2: another command", "192.0.2.1", OCTETS(V2 "\x22\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x6e"), NULL },
	{ "2: too long", "192.0.2.1", OCTETS(V2 "\x21\x11\x03\xf1"), NULL },
	{ "a command", "192.0.2.1", OCTETS("CAPA\r\n"), NULL },
	{ "TLS", "192.0.2.1", OCTETS("\x16\x03\x01"), NULL },
};

static void test_headers(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static const char behind[] = "USER anna\r\n";
		char rest[sizeof behind];
		begin();
		int fd = connect_from(rows[i].proxy, NOW);
		/* An octet at a time; the last with what the client says. */
		for (size_t n = 0; n + 1 < rows[i].len && seen.refused == 0; n++) {
			ROW_ASSERT(rows[i].label, seen.admitted == 0);
			say(fd, rows[i].octets + n, 1);
		}
		if (seen.refused == 0) {
			char last[sizeof behind];
			last[0] = rows[i].octets[rows[i].len - 1];
			memcpy(last + 1, behind, sizeof behind - 1);
			say(fd, last, sizeof last);
		}
		ROW_ASSERT(rows[i].label, seen.refused == (rows[i].peer == NULL) && seen.admitted == (rows[i].peer != NULL) && seen.tls);
		if (seen.admitted == 1) {
			ROW_TEXT(rows[i].label, seen.peer, rows[i].peer);
			ROW_ASSERT(rows[i].label, recv(seen.fd, rest, sizeof rest, MSG_DONTWAIT) == sizeof behind - 1 && memcmp(rest, behind, sizeof behind - 1) == 0);
			(void)close(seen.fd);
		} else {
			ROW_TEXT(rows[i].label, seen.peer, rows[i].proxy);
		}
		(void)close(fd);
		end();
	}
}

/* Nothing is sent, half a header is: refused when the time is over, the oldest first. The one who goes away is nobody. */
static void test_time(void)
{
	begin();
	int silent = connect_from("192.0.2.1", NOW), half = connect_from("192.0.2.2", NOW + 10), gone = connect_from("192.0.2.3", NOW + 20);
	say(half, OCTETS("PROXY TCP4 198.51"));
	CU_ASSERT(proxied_due(&proxied) == NOW + PROXIED_MS);
	proxied_expire(&proxied, NOW + PROXIED_MS - 1);
	CU_ASSERT(seen.refused == 0);
	proxied_expire(&proxied, NOW + PROXIED_MS);
	CU_ASSERT(seen.refused == 1);
	ROW_TEXT("the oldest", seen.peer, "192.0.2.1");
	CU_ASSERT(proxied_due(&proxied) == NOW + 10 + PROXIED_MS);
	(void)close(gone);
	proxied_hear(&proxied);
	CU_ASSERT(proxied.count == 1 && seen.refused == 1 && seen.admitted == 0);
	say(half, OCTETS(".100.7 192.0.2.1 40000 110\r\n"));
	CU_ASSERT(seen.admitted == 1 && proxied_due(&proxied) == 0);
	ROW_TEXT("the slow one", seen.peer, "198.51.100.7");
	(void)close(seen.fd);
	(void)close(silent);
	(void)close(half);
	end();
}

/* Nothing is to be heard of half a header: the master would turn. */
static void test_quiet(void)
{
	begin();
	int fd = connect_from("192.0.2.1", NOW);
	say(fd, OCTETS("PROXY "));
	struct pollfd p = { .fd = proxied.epoll, .events = POLLIN };
	CU_ASSERT(poll(&p, 1, 0) == 0);
	(void)close(fd);
	CU_ASSERT(poll(&p, 1, 0) == 1);
	end();
}

/* More than there is room for: the oldest goes, and the others are served. */
static void test_crowd(void)
{
	static int fds[PROXIED_MAX + 1];
	begin();
	for (int i = 0; i <= PROXIED_MAX; i++)
		fds[i] = connect_from(i == 0 ? "192.0.2.1" : "192.0.2.2", NOW + i);
	CU_ASSERT(seen.refused == 1 && proxied.count == PROXIED_MAX);
	ROW_TEXT("the oldest", seen.peer, "192.0.2.1");
	for (int i = PROXIED_MAX; i > 0; i--) {
		say(fds[i], OCTETS("PROXY UNKNOWN\r\n"));
		CU_ASSERT(seen.admitted == (unsigned)(PROXIED_MAX - i + 1));
		(void)close(seen.fd);
	}
	CU_ASSERT(proxied.count == 0 && seen.refused == 1);
	for (int i = 0; i <= PROXIED_MAX; i++)
		(void)close(fds[i]);
	end();
}

/* The header is there, and nobody has looked yet: many came at once, or this process was held up. */
static void test_header_not_seen_yet(void)
{
	static int fds[PROXIED_MAX + 1];
	begin();
	for (int i = 0; i < PROXIED_MAX; i++) {
		fds[i] = connect_from("192.0.2.1", NOW + i);
		CU_ASSERT(send(fds[i], "PROXY UNKNOWN\r\n", 15, MSG_NOSIGNAL) == 15);
	}
	fds[PROXIED_MAX] = connect_from("192.0.2.1", NOW + PROXIED_MAX);
	CU_ASSERT(seen.refused == 0 && seen.admitted == 1 && proxied.count == PROXIED_MAX);
	(void)close(seen.fd);
	proxied_expire(&proxied, NOW + 1 + PROXIED_MS);
	CU_ASSERT(seen.refused == 0 && seen.admitted == 2 && proxied.count == PROXIED_MAX - 1);
	(void)close(seen.fd);
	for (int i = 0; i <= PROXIED_MAX; i++)
		(void)close(fds[i]);
	end();
}

/* Whose connections begin with a header: the host counts, not the port, and not how its address is written. */
static void test_hosts(void)
{
	static const struct { const char *proxy, *peer; bool is; } hosts[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "192.0.2.1", true },
		{ "2001:db8::1", "2001:db8::1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::2", false },
		{ "::1", "127.0.0.1", false },
		{ "::", "0.0.0.0", false },
	};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		struct settings settings = { .proxies = { .count = 1 } };
		struct sockaddr_storage peer = address_of(hosts[i].peer);
		const struct sockaddr_storage proxy = address_of(hosts[i].proxy);
		address_host(&proxy, settings.proxies.list[0]);
		((struct sockaddr_in *)&peer)->sin_port = htons(40000);
		ROW_ASSERT(hosts[i].peer, settings_proxy(&settings, &peer) == hosts[i].is);
		settings.proxies.count = 0;
		ROW_ASSERT(hosts[i].peer, !settings_proxy(&settings, &peer));
	}
}

#define TESTS(X) X(test_headers) X(test_time) X(test_quiet) X(test_crowd) X(test_header_not_seen_yet) X(test_hosts)
SUITE("proxied")
