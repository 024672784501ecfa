/*
 * test_listeners.c - daemon/listeners.c: sockets as the settings say, kept through a reload, or handed over.
 * Runs in: the tests.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "daemon/listeners.h"
#include "daemon/privilege.h"
#include "tests/unit/daemon/host.h"

static struct settings settings;

/* 127.0.0.1 or ::1 with that port. */
static struct listen_address address_of(int family, uint16_t port)
{
	struct listen_address a = { .len = 0 };
	if (family == AF_INET6) {
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		memcpy(&a.address, &v6, a.len = sizeof v6);
	} else {
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
		memcpy(&a.address, &v4, a.len = sizeof v4);
	}
	return a;
}

static int connect_to(const struct listen_address *to)
{
	int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to->address, to->len) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* An address with a port that nobody has. */
static struct listen_address free_address(int family)
{
	struct listen_address a = address_of(family, 0);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = a.len;
	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (const struct sockaddr *)&a.address, a.len) == 0);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&a.address, &len) == 0);
	(void)close(fd);
	return a;
}

static bool have_ipv6(void)
{
	struct listen_address a = address_of(AF_INET6, 0);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool have = fd >= 0 && bind(fd, (const struct sockaddr *)&a.address, a.len) == 0;
	if (fd >= 0)
		(void)close(fd);
	return have;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;
	CU_ASSERT(getsockopt(fd, level, name, &value, &len) == 0);
	return value;
}

static void test_apply(void)
{
	struct listeners l = { .count = 0 };
	struct sockaddr_storage peer;
	char problem[512] = "", text[64];
	settings = (struct settings){ .pop3 = { .count = 1 }, .pop3s = { .count = 1 } };
	settings.pop3.list[0] = free_address(AF_INET);
	settings.pop3s.list[0] = free_address(have_ipv6() ? AF_INET6 : AF_INET);
	CU_ASSERT_FATAL(listeners_apply(&l, &settings, problem, sizeof problem) == 0);
	CU_ASSERT(l.count == 2 && !l.list[0].tls && l.list[1].tls);
	for (size_t i = 0; i < 2; i++) {
		int fd = l.list[i].fd;
		CU_ASSERT((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
		CU_ASSERT(listener_accept(&l.list[i], &peer) == -1 && errno == EAGAIN);
		int client = connect_to(i == 0 ? &settings.pop3.list[0] : &settings.pop3s.list[0]);
		CU_ASSERT_FATAL(client >= 0 && ready(fd, POLLIN));
		int connection = listener_accept(&l.list[i], &peer);
		CU_ASSERT_FATAL(connection >= 0);
		CU_ASSERT((fcntl(connection, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(connection, F_GETFD) & FD_CLOEXEC) != 0);
		CU_ASSERT(option(connection, IPPROTO_TCP, TCP_NODELAY) == 1 && option(connection, SOL_SOCKET, SO_KEEPALIVE) == 1);
		CU_ASSERT(option(connection, IPPROTO_TCP, TCP_USER_TIMEOUT) == 120000);
		(void)address_text(&peer, text, sizeof text);
		CU_ASSERT(strcmp(text, peer.ss_family == AF_INET6 ? "::1" : "127.0.0.1") == 0);
		(void)close(connection);
		(void)close(client);
	}
	listeners_close(&l);
	CU_ASSERT(l.count == 0 && connect_to(&settings.pop3.list[0]) == -1);
}

/* A reload: what stays is the same descriptor, what is new is opened, the rest is closed. */
static void test_reload(void)
{
	struct listeners l = { .count = 0 };
	char problem[512] = "";
	settings = (struct settings){ .pop3 = { .count = 2 } };
	settings.pop3.list[0] = free_address(AF_INET);
	settings.pop3.list[1] = free_address(AF_INET);
	CU_ASSERT_FATAL(listeners_apply(&l, &settings, problem, sizeof problem) == 0 && l.count == 2);
	int first = l.list[0].fd, second = l.list[1].fd;
	CU_ASSERT(listeners_apply(&l, &settings, problem, sizeof problem) == 0);
	CU_ASSERT(l.count == 2 && l.list[0].fd == first && l.list[1].fd == second);
	struct listen_address gone = settings.pop3.list[0];
	settings.pop3.list[0] = settings.pop3.list[1];
	settings.pop3.list[1] = free_address(AF_INET);
	CU_ASSERT(listeners_apply(&l, &settings, problem, sizeof problem) == 0);
	CU_ASSERT(l.count == 2 && l.list[0].fd == second && l.list[1].fd != second);
	CU_ASSERT(connect_to(&gone) == -1);
	int client = connect_to(&settings.pop3.list[1]);
	CU_ASSERT(client >= 0);
	(void)close(client);
	settings.pop3.count = 0;
	CU_ASSERT(listeners_apply(&l, &settings, problem, sizeof problem) == 0 && l.count == 0);
	CU_ASSERT(fcntl(second, F_GETFD) == -1);
}

/* One address that cannot be had: nothing changes, and the sentence says which. */
static void test_in_use(void)
{
	struct listeners l = { .count = 0 }, other = { .count = 0 };
	char problem[512] = "", want[192];
	settings = (struct settings){ .pop3 = { .count = 1 } };
	settings.pop3.list[0] = free_address(AF_INET);
	struct listen_address taken = settings.pop3.list[0];
	CU_ASSERT_FATAL(listeners_apply(&other, &settings, problem, sizeof problem) == 0);
	settings.pop3.list[0] = free_address(AF_INET);
	CU_ASSERT_FATAL(listeners_apply(&l, &settings, problem, sizeof problem) == 0);
	int kept = l.list[0].fd;
	settings.pop3.count = 3;
	settings.pop3.list[1] = free_address(AF_INET);
	settings.pop3.list[2] = taken;
	CU_ASSERT(listeners_apply(&l, &settings, problem, sizeof problem) == -1);
	struct sockaddr_in v4;
	memcpy(&v4, &taken.address, sizeof v4);
	(void)snprintf(want, sizeof want, "cannot listen on 127.0.0.1 port %u: Address already in use; another program has that port, see: ss -ltnp, or posternd itself has it, on another address: then restart it",
	               ntohs(v4.sin_port));
	ROW_TEXT("in use", problem, want);
	CU_ASSERT(l.count == 1 && l.list[0].fd == kept && fcntl(kept, F_GETFD) >= 0);
	CU_ASSERT(connect_to(&settings.pop3.list[1]) == -1);
	/* One that we have ourselves. */
	struct sockaddr_in every = { .sin_family = AF_INET, .sin_port = v4.sin_port, .sin_addr = { htonl(INADDR_ANY) } };
	settings.pop3.count = 1;
	memcpy(&settings.pop3.list[0].address, &every, sizeof every);
	CU_ASSERT(listeners_apply(&other, &settings, problem, sizeof problem) == -1 && other.count == 1);
	(void)snprintf(want, sizeof want, "cannot listen on 0.0.0.0 port %u: Address already in use; another program has that port, see: ss -ltnp, or posternd itself has it, on another address: then restart it", ntohs(v4.sin_port));
	ROW_TEXT("our own", problem, want);
	listeners_close(&l);
	listeners_close(&other);
	/* An address that is not this host's. */
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(1110), .sin_addr = { htonl(0xc0000201) } };
	settings.pop3.count = 1;
	memcpy(&settings.pop3.list[0].address, &far, sizeof far);
	CU_ASSERT(listeners_apply(&l, &settings, problem, sizeof problem) == -1 && l.count == 0);
	ROW_TEXT("not ours", problem, "cannot listen on 192.0.2.1 port 1110: Cannot assign requested address; this host has no such address, see: ip address");
}

/* In the child: a listening socket at 3, one at 4, no socket at 5. */
static void inherit(void)
{
	struct listeners l = { .count = 0 };
	char problem[512] = "", pid[32];
	struct listen_address a = address_of(AF_INET, 0);
	settings = (struct settings){ .pop3 = { .count = 1 } };
	settings.pop3.list[0] = free_address(AF_INET);
	/* A service manager puts them there before there is a log: this one goes out of the way. */
	while (dup(STDIN_FILENO) < 9)
		;
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
	for (int fd = 3; fd < 5; fd++) {
		int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(one, (const struct sockaddr *)&a.address, a.len) != 0 || listen(one, 1) != 0)
			leave(10);
		(void)fcntl(one, F_DUPFD, 50 + fd);
	}
	for (int fd = 3; fd < 5; fd++)
		if (dup2(50 + fd, fd) != fd)
			leave(11);
	if (dup2(STDIN_FILENO, 5) != 5)
		leave(12);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "3", 1);
	(void)setenv("LISTEN_FDNAMES", "pop3s:other:none", 1);
	listeners_inherit(&l);
	if (l.count != 2 || l.list[0].fd != 3 || l.list[1].fd != 4 || !l.inherited)
		leave(13);
	/* By its name, or by its port. */
	if (!l.list[0].tls || l.list[1].tls)
		leave(14);
	/* What the settings say does not count then. */
	if (listeners_apply(&l, &settings, problem, sizeof problem) != 0 || l.count != 2 || connect_to(&settings.pop3.list[0]) != -1)
		leave(15);
	leave(EXIT_GOOD);
}

static void test_inherit(void)
{
	host_make();
	pid_t pid = fork_child();
	if (pid == 0)
		inherit();
	expect_end("inherited", pid, EXIT_GOOD, "inherited descriptor 5 is no socket");
	struct listeners l = { .count = 0 };
	listeners_inherit(&l);
	CU_ASSERT(l.count == 0);
	host_remove();
}

#define TESTS(X) X(test_apply) X(test_reload) X(test_in_use) X(test_inherit)
SUITE("listeners")
