/*
 * fuzz_worker.h - a keeper or a gate within the test's own process: what would end it comes back instead (Makefile: WORKER_SEAMS).
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_FUZZ_WORKER_H
#define POSTERN_FUZZ_WORKER_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/settings.h"
#include "tests/fuzz/fuzz.h"

/* How it ended. */
static struct ending {
	jmp_buf back;
	int status;                        /* enum exit_code */
	char words[256];
} ending;

/* What the target does whenever the code waits; sets what the wait comes to, or leaves r as poll(2) without waiting had it. */
static int worker_waits(struct pollfd *fds, nfds_t count, int r);

__attribute__((format(printf, 2, 0)))
_Noreturn static inline void worker_end(int status, const char *format, va_list ap)
{
	ending.status = status;
	(void)vsnprintf(ending.words, sizeof ending.words, format, ap);
	longjmp(ending.back, 1);
}

#define WORKER_ENDS(name, exit_status)                                           \
	_Noreturn void __wrap_##name(const char *format, ...) __attribute__((format(printf, 1, 2))); \
	void __wrap_##name(const char *format, ...)                              \
	{                                                                        \
		va_list ap;                                                      \
		va_start(ap, format);                                            \
		worker_end(exit_status, format, ap);                             \
	}
WORKER_ENDS(violation, EXIT_VIOLATION)
WORKER_ENDS(panic, EXIT_BUG)
WORKER_ENDS(fatal, EXIT_ENVIRONMENT)

_Noreturn void __wrap_leave(int status);
void __wrap_leave(int status)
{
	ending.status = status;
	ending.words[0] = '\0';
	longjmp(ending.back, 1);
}

/* Lines of the log are made, and go nowhere. */
__attribute__((format(printf, 1, 0)))
static inline void worker_log(const char *format, va_list ap)
{
	char line[LOG_LINE_MAX];
	(void)vsnprintf(line, sizeof line, format, ap);
}

void __wrap_log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_line(int priority, const char *format, ...)
{
	va_list ap;
	(void)priority;
	va_start(ap, format);
	worker_log(format, ap);
	va_end(ap);
}

void __wrap_log_event(int priority, const struct log_field *fields, size_t count, const char *format, ...) __attribute__((format(printf, 4, 5)));
void __wrap_log_event(int priority, const struct log_field *fields, size_t count, const char *format, ...)
{
	va_list ap;
	(void)priority;
	for (size_t i = 0; i < count; i++)
		CHECK(is_printable(fields[i].name, strlen(fields[i].name)) && fields[i].value != NULL, "field %zu", i);
	va_start(ap, format);
	worker_log(format, ap);
	va_end(ap);
}

/* Nobody waits: all that will ever come has come. */
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int r = __real_poll(fds, count, 0);
	return timeout == 0 ? r : worker_waits(fds, count, r);
}

/* A pair of sockets with room for a session's messages. */
static inline void worker_pair(int type, int ends[2])
{
	const int room = 4 << 20;
	CHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i], SOL_SOCKET, geteuid() == 0 ? SO_SNDBUFFORCE : SO_SNDBUF, &room, sizeof room);
}

static inline void worker_finding(void *context, const char *file, unsigned line, const char *text)
{
	(void)context;
	fuzz_fail(file, (int)line, "settings", "%s", text);
}

/* Settings from their text, in which %s is the scratch directory. */
__attribute__((format(printf, 2, 0)))
static inline void worker_settings(struct settings *settings, const char *text)
{
	char path[64], whole[4096];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int n = snprintf(whole, sizeof whole, text, fuzz_directory(), fuzz_directory(), fuzz_directory(), fuzz_directory());
#pragma GCC diagnostic pop
	int fd = fuzz_memory_file(whole, (size_t)n);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(settings_read(path, settings, worker_finding, NULL) == 0, "settings");
	/* Nobody plays a master that answers. */
	settings->free_failures = settings->repeat_seconds = settings->hash_memory = settings->login_cache = 0;
	(void)close(fd);
}

#endif
