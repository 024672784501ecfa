/*
 * test_address.c - daemon/address.c: loopback, policies and text, for every way that an address can come.
 * Runs in: the tests.
 */
#include <arpa/inet.h>

#include "daemon/settings.h"
#include "tests/unit/suite.h"

/* "unix" stands for a family that no client has. */
static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = { .ss_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(40000) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(40000) };
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(&address, &in, sizeof in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(&address, &in6, sizeof in6);
	else
		CU_ASSERT_STRING_EQUAL(text, "unix");
	return address;
}

static const struct {
	const char *address;
	bool loopback;
	const char *text;
} rows[] = {
	{ "127.0.0.1", true, "127.0.0.1" },
	{ "127.255.255.254", true, "127.255.255.254" },
	{ "126.255.255.255", false, "126.255.255.255" },
	{ "128.0.0.1", false, "128.0.0.1" },
	{ "1.0.0.127", false, "1.0.0.127" },
	{ "0.0.0.0", false, "0.0.0.0" },
	{ "203.0.113.7", false, "203.0.113.7" },
	{ "::1", true, "::1" },
	{ "::", false, "::" },
	{ "::127.0.0.1", false, "::127.0.0.1" },
	{ "::ffff:127.0.0.1", true, "127.0.0.1" },
	{ "::ffff:203.0.113.7", false, "203.0.113.7" },
	{ "2001:db8::1", false, "2001:db8::1" },
	{ "fe80::1", false, "fe80::1" },
	{ "unix", false, "unknown" },
};

static void test_loopback(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sockaddr_storage address = address_of(rows[i].address);
		ROW_ASSERT(rows[i].address, address_is_loopback(&address) == rows[i].loopback);
	}
}

static void test_policy(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sockaddr_storage address = address_of(rows[i].address);
		ROW_ASSERT(rows[i].address, !policy_admits(POLICY_NEVER, &address));
		ROW_ASSERT(rows[i].address, policy_admits(POLICY_LOOPBACK, &address) == rows[i].loopback);
		ROW_ASSERT(rows[i].address, policy_admits(POLICY_ALWAYS, &address));
	}
}

/* Who comes through a gateway may be anybody. */
static void test_explain(void)
{
	static struct settings settings;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct sockaddr_storage address = address_of(rows[i].address);
		settings = (struct settings){ .explain_failures = POLICY_LOOPBACK };
		ROW_ASSERT(rows[i].address, settings_explain(&settings, &address) == rows[i].loopback);
		settings.gateways = (struct source_list){ .count = 2, .list = { 1, address_source(&address) } };
		ROW_ASSERT(rows[i].address, !settings_explain(&settings, &address));
		settings.explain_failures = POLICY_ALWAYS;
		ROW_ASSERT(rows[i].address, settings_explain(&settings, &address));
		settings.explain_failures = POLICY_NEVER;
		ROW_ASSERT(rows[i].address, !settings_explain(&settings, &address));
	}
}

static void test_text(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[INET6_ADDRSTRLEN], small[4];
		struct sockaddr_storage address = address_of(rows[i].address);
		ROW_TEXT(rows[i].address, address_text(&address, text, sizeof text), rows[i].text);
		/* Too little room cuts "unknown", and never writes beyond it. */
		ROW_ASSERT(rows[i].address, strlen(address_text(&address, small, sizeof small)) < sizeof small);
	}
}

/* Who is one when connections are counted, and who when wrong passwords are. */
static void test_source(void)
{
	static const struct { const char *a, *b; bool source, guesser; } pairs[] = {
		{ "192.0.2.1", "192.0.2.1", true, true }, { "192.0.2.1", "192.0.2.2", false, false }, { "127.0.0.1", "127.0.0.2", false, true },
		{ "127.0.0.1", "127.255.255.254", false, true }, { "127.0.0.1", "128.0.0.1", false, false }, { "127.0.0.1", "126.255.255.255", false, false },
		{ "127.0.0.9", "::ffff:127.9.9.9", false, true }, { "192.0.2.1", "::ffff:192.0.2.1", true, true }, { "127.0.0.1", "::1", false, false },
		{ "2001:db8::1", "2001:db8::2", true, true }, { "2001:db8::1", "2001:db8:0:1::1", false, false },
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		const struct sockaddr_storage a = address_of(pairs[i].a), b = address_of(pairs[i].b);
		const uint64_t first = address_source(&a), second = address_source(&b);
		ROW_ASSERT(pairs[i].b, (first == second) == pairs[i].source);
		ROW_ASSERT(pairs[i].b, (address_guesser(first) == address_guesser(second)) == pairs[i].guesser);
	}
}

#define TESTS(X) X(test_loopback) X(test_policy) X(test_explain) X(test_text) X(test_source)
SUITE("address")
