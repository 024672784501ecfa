/*
 * check_name.c - the server's addresses.
 * Runs in: postern, as whoever called it. Trusts: the host's resolver.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/check.h"

enum { WAIT_SLICE_MS = 250, ALIASES_MAX = 4 };

/*
 * getaddrinfo(3) with a deadline: a thread of the library does it. One that is late goes on by itself until the process
 * ends, so what it writes to is never given back.
 */
static int look_up(const struct check *c, const char *host, int family, long long deadline, struct addrinfo **list_r)
{
	static struct gaicb requests[1 + ALIASES_MAX];
	static struct addrinfo hints;
	static size_t used;
	const struct addrinfo numeric = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	/* An address needs nobody. */
	if (getaddrinfo(host, NULL, &numeric, list_r) == 0)
		return 0;
	struct gaicb *request = &requests[used++];
	struct gaicb *const list[] = { request };
	hints = (struct addrinfo){ .ai_family = family, .ai_socktype = SOCK_STREAM };
	*request = (struct gaicb){ .ar_name = host, .ar_request = &hints };
	*list_r = NULL;
	int r = getaddrinfo_a(GAI_NOWAIT, (struct gaicb **)(uintptr_t)list, 1, NULL);
	if (r != 0)
		return r;
	while ((r = gai_error(request)) == EAI_INPROGRESS) {
		const struct timespec slice = { .tv_nsec = WAIT_SLICE_MS * 1000000L };
		if (now_ms() >= deadline)
			return EAI_AGAIN;
		(void)gai_suspend((const struct gaicb *const *)list, 1, &slice);
		progress(c, "the address of the server");
	}
	*list_r = request->ar_result;
	return r;
}

static bool address_is_loopback(const struct sockaddr_storage *sa)
{
	enum { LOOPBACK_NET = 127, NET_SHIFT = 24 };
	if (sa->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> NET_SHIFT == LOOPBACK_NET;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static void take_addresses(struct check *c, const struct addrinfo *list)
{
	c->is_loopback = true;
	for (const struct addrinfo *ai = list; ai != NULL && c->address_count < ADDRESSES_MAX; ai = ai->ai_next) {
		struct address *a = &c->addresses[c->address_count];
		if (ai->ai_addrlen > sizeof a->sa || (ai->ai_family != AF_INET && ai->ai_family != AF_INET6))
			continue;
		memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
		a->len = ai->ai_addrlen;
		if (getnameinfo(ai->ai_addr, a->len, a->text, sizeof a->text, NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		c->is_loopback = c->is_loopback && address_is_loopback(&a->sa);
		c->address_count++;
	}
}

/* Someone who typed what stands behind the @: is there a host with the name that a mail server would have there? */
static void add_hint(struct check *c, struct buf *out, long long deadline)
{
	static const char *const prefixes[ALIASES_MAX] = { "pop", "pop3", "mail", "imap" };
	static char names[ALIASES_MAX][sizeof "mail." + HOST_NAME_MAX_OCTETS];
	for (size_t i = 0; i < ALIASES_MAX; i++) {
		struct addrinfo *list;
		(void)snprintf(names[i], sizeof names[i], "%s.%s", prefixes[i], c->o.host);
		if (strchr(c->o.host, '.') == NULL || look_up(c, names[i], c->o.family, deadline, &list) != 0)
			continue;
		freeaddrinfo(list);
		(void)buf_printf(out, "; there is %s: try that name", names[i]);
		return;
	}
}

static enum situation situation_of(int error)
{
	return error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY ? SITUATION_NAME_UNKNOWN : SITUATION_DNS_SILENT;
}

int check_name(struct check *c)
{
	static const char *const families[] = { "", ", as an IPv4 address", ", as an IPv6 address" };
	struct addrinfo *list;
	char text[DETAIL_MAX - WHERE_MAX];
	struct buf detail = BUF_OVER(text);
	struct step *s = step_begin(c, "name", "");
	long long deadline = check_deadline(c, c->o.reply_ms);
	int error = look_up(c, c->o.host, c->o.family, deadline, &list);
	if (error == 0)
		take_addresses(c, list);
	if (error == 0 && c->address_count > 0) {
		freeaddrinfo(list);
		for (size_t i = 0; i < c->address_count; i++)
			(void)buf_printf(&detail, "%s%s", i > 0 ? ", " : "", c->addresses[i].text);
		if (strcmp(c->o.host, buf_text(&detail)) == 0)
			step_detail(s, "%s, an address", c->o.host);
		else
			step_detail(s, "%s is %s", c->o.host, buf_text(&detail));
		step_end(s, OUTCOME_OK, SITUATION_NONE);
		return 0;
	}
	enum situation situation = situation_of(error);
	(void)buf_printf(&detail, "%s%s: %s", c->o.host, families[c->o.family == AF_INET ? 1 : c->o.family == AF_INET6 ? 2 : 0],
	                 error != 0 ? gai_strerror(error) : "no address");
	if (situation == SITUATION_NAME_UNKNOWN)
		add_hint(c, &detail, deadline);
	step_detail(s, "%s", buf_text(&detail));
	step_end(s, OUTCOME_FAULT, situation);
	return -1;
}
