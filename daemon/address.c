/*
 * address.c - questions about a peer's address: is it this host, may it, how is it written, what is its source.
 * Runs in: master, keeper, gate, with whatever rights they have. Trusts: nothing (an address is only compared).
 *
 * A dual-stack listener shows IPv4 peers as ::ffff:a.b.c.d. Everything here looks through that
 * first, so that no rule for an IPv4 address can be passed by coming in over IPv6.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "daemon/settings.h"

enum { MAPPED_PREFIX = 12, IPV4_OCTETS = 4, LOOPBACK_NET = 127 };

/* The four octets of an IPv4 or IPv4-mapped address: true and octets filled, or false. */
static bool address_ipv4(const struct sockaddr_storage *address, unsigned char octets[IPV4_OCTETS])
{
	if (address->ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		memcpy(octets, &in.sin_addr, IPV4_OCTETS);
		return true;
	}
	if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			memcpy(octets, in6.sin6_addr.s6_addr + MAPPED_PREFIX, IPV4_OCTETS);
			return true;
		}
	}
	return false;
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
	unsigned char octets[IPV4_OCTETS];
	if (address_ipv4(address, octets))
		return octets[0] == LOOPBACK_NET;
	if (address->ss_family != AF_INET6)
		return false;
	struct sockaddr_in6 in6;
	memcpy(&in6, address, sizeof in6);
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

bool policy_admits(enum policy policy, const struct sockaddr_storage *peer)
{
	switch (policy) {
	case POLICY_ALWAYS: return true;
	case POLICY_LOOPBACK: return address_is_loopback(peer);
	case POLICY_NEVER: break;
	}
	return false; /* also for a value that no policy has: the strict answer */
}

const char *address_text(const struct sockaddr_storage *address, char *text, size_t size)
{
	unsigned char octets[IPV4_OCTETS];
	if (size == 0)
		return "";
	if (address_ipv4(address, octets)) {
		if (inet_ntop(AF_INET, octets, text, (socklen_t)size) != NULL)
			return text;
	} else if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		if (inet_ntop(AF_INET6, &in6.sin6_addr, text, (socklen_t)size) != NULL)
			return text;
	}
	(void)snprintf(text, size, "unknown");
	return text;
}

/* No IPv6 network begins like this: 0:ffff::/32 is not unicast. */
static uint64_t ipv4_source(uint32_t host)
{
	return (uint64_t)0xffff << 32 | host;
}

uint64_t address_source(const struct sockaddr_storage *address)
{
	unsigned char octets[IPV4_OCTETS];
	struct sockaddr_in6 in6;
	uint32_t host;
	uint64_t network;
	if (address_ipv4(address, octets)) {
		memcpy(&host, octets, sizeof host);
		return ipv4_source(ntohl(host));
	}
	memcpy(&in6, address, sizeof in6);
	memcpy(&network, in6.sin6_addr.s6_addr, sizeof network);
	return network;
}

uint64_t address_guesser(uint64_t source)
{
	const uint64_t first = ipv4_source(LOOPBACK_NET << 24 | 1);
	return source >> 24 == first >> 24 ? first : source;
}

void address_host(const struct sockaddr_storage *address, unsigned char host_r[ADDRESS_HOST])
{
	static const unsigned char mapped[MAPPED_PREFIX] = { [10] = 0xff, [11] = 0xff };
	struct sockaddr_in6 in6;
	memcpy(host_r, mapped, sizeof mapped);
	if (address_ipv4(address, host_r + MAPPED_PREFIX))
		return;
	memcpy(&in6, address, sizeof in6);
	memcpy(host_r, in6.sin6_addr.s6_addr, sizeof in6.sin6_addr);
}

bool settings_proxy(const struct settings *settings, const struct sockaddr_storage *peer)
{
	unsigned char host[ADDRESS_HOST];
	if (settings->proxies.count == 0)
		return false;
	address_host(peer, host);
	for (size_t i = 0; i < settings->proxies.count; i++)
		if (memcmp(settings->proxies.list[i], host, sizeof host) == 0)
			return true;
	return false;
}

bool settings_gateway(const struct settings *settings, uint64_t source)
{
	for (size_t i = 0; i < settings->gateways.count; i++)
		if (settings->gateways.list[i] == source)
			return true;
	return false;
}

bool settings_explain(const struct settings *settings, const struct sockaddr_storage *peer)
{
	const bool through = settings->gateways.count > 0 && settings->explain_failures != POLICY_ALWAYS && settings_gateway(settings, address_source(peer));
	return !through && policy_admits(settings->explain_failures, peer);
}
