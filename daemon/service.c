/*
 * service.c - what the service manager is told, and the sockets it hands over.
 * Runs in: master. Trusts: its environment.
 */
#include "daemon/service.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"

enum { FIRST_SOCKET = 3, SOCKETS_MAX = 64 };

void service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
		return;
	size_t len = strlen(path);
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A manager that does not listen is not our trouble. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

/* A number in the environment that is meant for this process, or 0. */
static uint64_t own_number(const char *name, const char *pid_name)
{
	const char *pid_text = getenv(pid_name), *text = getenv(name);
	uint64_t pid, value;
	if (text == NULL || parse_number(text, strlen(text), 1, UINT64_MAX, &value) != 0)
		return 0;
	if (pid_text != NULL && (parse_number(pid_text, strlen(pid_text), 1, INT32_MAX, &pid) != 0 || (pid_t)pid != getpid()))
		return 0;
	return value;
}

long long service_watchdog_ms(void)
{
	return (long long)(own_number("WATCHDOG_USEC", "WATCHDOG_PID") / 2000);
}

int service_next_socket(size_t *at, char *name, size_t size)
{
	uint64_t count = getenv("LISTEN_PID") != NULL ? own_number("LISTEN_FDS", "LISTEN_PID") : 0;
	const char *names = getenv("LISTEN_FDNAMES");
	if (*at >= count || *at >= SOCKETS_MAX)
		return -1;
	for (size_t i = 0; names != NULL && i < *at; i++) {
		names = strchr(names, ':');
		names = names != NULL ? names + 1 : NULL;
	}
	(void)snprintf(name, size, "%.*s", names != NULL ? (int)strcspn(names, ":") : 0, names != NULL ? names : "");
	int fd = FIRST_SOCKET + (int)(*at)++;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}
