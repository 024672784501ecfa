/*
 * test_service.c - daemon/service.c: what arrives at a service manager, and what is taken of its environment.
 * Runs in: the tests.
 */
#include <sys/un.h>

#include "daemon/privilege.h"
#include "daemon/service.h"
#include "tests/unit/daemon/host.h"

/* A datagram socket of that name; @ at its start is the abstract namespace. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0 && len < sizeof address.sun_path);
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	CU_ASSERT_FATAL(bind(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0);
	return fd;
}

static void test_notify(void)
{
	char abstract[64], text[64];
	host_make();
	(void)snprintf(abstract, sizeof abstract, "@postern-test-%ld", (long)getpid());
	const char *const names[] = { in_host("notify"), abstract };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int fd = listen_at(names[i]);
		CU_ASSERT(setenv("NOTIFY_SOCKET", names[i], 1) == 0);
		service_notify("READY=1");
		service_notify("RELOADING=1\nMONOTONIC_USEC=7");
		ssize_t n = recv(fd, text, sizeof text, 0);
		ROW_ASSERT(names[i], n == 7 && memcmp(text, "READY=1", 7) == 0);
		n = recv(fd, text, sizeof text, 0);
		ROW_ASSERT(names[i], n == 28 && memcmp(text, "RELOADING=1\n", 12) == 0);
		(void)close(fd);
		/* Nobody there any more: no signal, no wait. */
		service_notify("READY=1");
	}
	static char far[200];
	memset(far, '/', sizeof far - 1);
	const char *const useless[] = { "", "relative", "vsock:2:3", far };
	for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
		CU_ASSERT(setenv("NOTIFY_SOCKET", useless[i], 1) == 0);
		service_notify("READY=1");
	}
	CU_ASSERT(unsetenv("NOTIFY_SOCKET") == 0);
	service_notify("READY=1");
	host_remove();
}

/* The environment's word about this process ("self"), another one, or none. */
static void put(const char *name, const char *value)
{
	char pid[32];
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	int r = value == NULL ? unsetenv(name) : setenv(name, strcmp(value, "self") == 0 ? pid : value, 1);
	CU_ASSERT(r == 0);
}

static void test_watchdog(void)
{
	static const struct { const char *label, *usec, *pid; long long want; } rows[] = {
		{ "ours", "30000000", "self", 15000 }, { "for whoever it is", "30000000", NULL, 15000 },
		{ "another's", "30000000", "1", 0 }, { "nobody's", "30000000", "x", 0 }, { "not asked", NULL, "self", 0 },
		{ "zero", "0", "self", 0 }, { "no number", "3s", "self", 0 }, { "negative", "-1", "self", 0 }, { "empty", "", "self", 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put("WATCHDOG_USEC", rows[i].usec);
		put("WATCHDOG_PID", rows[i].pid);
		ROW_ASSERT(rows[i].label, service_watchdog_ms() == rows[i].want);
	}
	put("WATCHDOG_USEC", NULL);
	put("WATCHDOG_PID", NULL);
}

static void test_sockets(void)
{
	static const struct { const char *label, *pid, *count, *names; int want; const char *want_names; } rows[] = {
		{ "two with names", "self", "2", "pop3:pop3s", 2, "pop3 pop3s " },
		{ "no names", "self", "2", NULL, 2, "  " },
		{ "fewer names", "self", "3", "a:b", 3, "a b  " },
		{ "more names", "self", "1", "a:b:c", 1, "a " },
		{ "empty names", "self", "3", ":x:", 3, " x  " },
		{ "a long name", "self", "1", "0123456789012345678901234567890123456789", 1, "012345678901234 " },
		{ "another's", "1", "2", "a:b", 0, "" },
		{ "nobody's", NULL, "2", "a:b", 0, "" },
		{ "none", "self", NULL, NULL, 0, "" },
		{ "no number", "self", "two", NULL, 0, "" },
		{ "far too many", "self", "1000000", NULL, 64, NULL },
	};
	host_make();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		pid_t pid = fork_child();
		if (pid == 0) {
			char name[16], all[1024] = "";
			size_t at = 0;
			int count = 0, fd;
			put("LISTEN_PID", rows[i].pid);
			put("LISTEN_FDS", rows[i].count);
			put("LISTEN_FDNAMES", rows[i].names);
			(void)dup2(STDIN_FILENO, 3);
			while ((fd = service_next_socket(&at, name, sizeof name)) >= 0) {
				if (fd != 3 + count++)
					leave(2);
				(void)strcat(strcat(all, name), " ");
			}
			if (count > 0 && (fcntl(3, F_GETFD) & FD_CLOEXEC) == 0)
				leave(3);
			leave(count != rows[i].want ? 4 : rows[i].want_names != NULL && strcmp(all, rows[i].want_names) != 0 ? 5 : 0);
		}
		expect_end(rows[i].label, pid, 0, NULL);
	}
	host_remove();
}

#define TESTS(X) X(test_notify) X(test_watchdog) X(test_sockets)
SUITE("service")
