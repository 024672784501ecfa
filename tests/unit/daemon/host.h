/*
 * host.h - a host for the daemon's tests: a directory of its own, child processes, and the client's end of a connection.
 * Runs in: the tests, as root or as any user.
 */
#ifndef POSTERN_TEST_HOST_H
#define POSTERN_TEST_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "tests/unit/suite.h"

enum {
	PATIENCE_MS = 60000,    /* what takes longer hangs: the test says so, and goes on */
	PEER_ROOM = 1024 * 1024,
	LOG_ROOM = 65536,
};

static char host_directory[64];
static char host_log[LOG_ROOM];  /* what children have logged, as far as it was read */
static int log_ends[2] = { -1, -1 };

/* NAME in the directory; good until the fourth call after it. */
static inline const char *in_host(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	(void)snprintf(path, PATH_MAX, "%s/%s", host_directory, name);
	return path;
}

static inline void host_make(void)
{
	(void)snprintf(host_directory, sizeof host_directory, "/tmp/postern-daemon-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(host_directory) != NULL && chmod(host_directory, 0755) == 0);
	CU_ASSERT_FATAL(pipe2(log_ends, O_CLOEXEC | O_NONBLOCK) == 0);
	(void)fcntl(log_ends[1], F_SETPIPE_SZ, LOG_ROOM);
	host_log[0] = '\0';
}

static inline int host_remove_(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void host_remove(void)
{
	(void)close(log_ends[0]);
	(void)close(log_ends[1]);
	CU_ASSERT(nftw(host_directory, host_remove_, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* A file, an hour old, so that nobody waits for it to settle. */
static inline void host_write(const char *name, const char *octets, size_t len, mode_t mode)
{
	const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	int fd = open(in_host(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(write(fd, octets, len) == (ssize_t)len);
	CU_ASSERT_FATAL(fchmod(fd, mode) == 0 && futimens(fd, old) == 0);
	(void)close(fd);
}

static inline void host_put(const char *name, const char *text, mode_t mode)
{
	host_write(name, text, strlen(text), mode);
}

/* ---- children ---- */

/* After fork, in the child: its log goes to the test. */
static inline void child_begin(void)
{
	(void)dup2(log_ends[1], STDERR_FILENO);
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
}

/* fork(2) with nothing in stdio's buffers, which a child could write a second time. */
static inline pid_t fork_child(void)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		child_begin();
	return pid;
}

/* Our own log goes where the children's goes, until log_release(). */
static inline int log_capture(void)
{
	(void)fflush(NULL);
	int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	child_begin();
	return kept;
}

static inline void log_release(int kept)
{
	(void)fflush(NULL);
	CU_ASSERT(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
	(void)close(kept);
}

/* What came into the log since, added to host_log. */
static inline const char *read_log(void)
{
	size_t len = strlen(host_log);
	ssize_t n = read(log_ends[0], host_log + len, sizeof host_log - 1 - len);
	host_log[len + (n > 0 ? (size_t)n : 0)] = '\0';
	return host_log;
}

/* Wait until the log has these words. */
static inline bool await_log(const char *words)
{
	struct pollfd p = { .fd = log_ends[0], .events = POLLIN };
	while (strstr(read_log(), words) == NULL)
		if (poll(&p, 1, PATIENCE_MS) <= 0)
			return false;
	return true;
}

/* Gone, or waiting for its parent to ask. By /proc and not pidfd_open(2), which valgrind does not know. */
static inline bool has_ended(pid_t pid)
{
	char path[64], text[512];
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *state = strrchr(text, ')');
	return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

static inline bool await_end(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (has_ended(pid))
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* How a child ended: its exit status, 1000 and the signal, or -1 when it does not end (it is killed then). */
static inline int child_status(pid_t pid)
{
	int status = 0, result = -1;
	if (await_end(pid))
		result = 0;
	else
		(void)kill(pid, SIGKILL);
	CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
	if (result == 0)
		result = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	(void)read_log();
	return result;
}

/* An ending and what was logged; the whole log is shown when they differ. */
static inline void expect_end(const char *label, pid_t pid, int want, const char *words)
{
	int got = child_status(pid);
	if (got != want || (words != NULL && strstr(host_log, words) == NULL))
		fprintf(stderr, "row \"%s\": ended with %d, want %d and \"%s\" in the log, which is:\n%s", label, got, want,
		        words != NULL ? words : "", host_log);
	CU_ASSERT(got == want);
	CU_ASSERT(words == NULL || strstr(host_log, words) != NULL);
}

/* ---- the client ---- */

struct peer {
	int fd;
	SSL *ssl;
	size_t at, len; /* octets[at..len) came and were not taken */
	char octets[PEER_ROOM];
};

static inline bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;
	do
		n = poll(&p, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static inline void peer_open(struct peer *p, int fd)
{
	*p = (struct peer){ .fd = fd };
}

static inline void peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	if (p->fd >= 0)
		(void)close(p->fd);
	*p = (struct peer){ .fd = -1 };
}

/* Who else is to be served while a peer waits for octets; serve() says false when what came is not for it. */
static struct { int fd; bool (*serve)(int fd); } aside = { -1, NULL };

static inline void serve_aside(const struct peer *p)
{
	bool served = aside.fd >= 0 && (p->ssl == NULL || SSL_pending(p->ssl) == 0);
	while (served) {
		struct pollfd fds[] = { { .fd = p->fd, .events = POLLIN }, { .fd = aside.fd, .events = POLLIN } };
		served = poll(fds, 2, PATIENCE_MS) > 0 && fds[0].revents == 0 && aside.serve(aside.fd);
	}
}

/* More octets; false at the end, or when nothing comes. */
static inline bool peer_read(struct peer *p)
{
	serve_aside(p);
	size_t room = sizeof p->octets - p->len;
	ssize_t n = -1;
	if (p->ssl != NULL)
		n = SSL_read(p->ssl, p->octets + p->len, (int)room);
	else if (ready(p->fd, POLLIN))
		n = read(p->fd, p->octets + p->len, room);
	p->len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static inline void peer_send(struct peer *p, const char *octets, size_t len)
{
	if (p->ssl != NULL)
		(void)SSL_write(p->ssl, octets, (int)len);
	else
		(void)!send(p->fd, octets, len, MSG_NOSIGNAL);
}

/* A command, its CRLF added. */
static inline void peer_say(struct peer *p, const char *line)
{
	char text[4096];
	int n = snprintf(text, sizeof text, "%s\r\n", line);
	peer_send(p, text, (size_t)n);
}

/* The next line without its CRLF; "(end)" when there is none. Good until the next call. */
static inline const char *peer_line(struct peer *p)
{
	static char line[4096];
	char *lf;
	if (p->at == p->len)
		p->at = p->len = 0;
	const char *start = p->octets + p->at;
	while ((lf = memchr(start, '\n', p->len - p->at)) == NULL)
		if (p->len == sizeof p->octets || !peer_read(p))
			return "(end)";
	size_t len = (size_t)(lf - start);
	(void)snprintf(line, sizeof line, "%.*s", (int)(len > 0 && lf[-1] == '\r' ? len - 1 : len), start);
	p->at += len + 1;
	return line;
}

/* Say a command (NULL: nothing) and compare the beginning of the line that comes. */
static inline void expect_line(const char *label, struct peer *p, const char *line, const char *want)
{
	char got[4096];
	if (line != NULL)
		peer_say(p, line);
	(void)snprintf(got, sizeof got, "%s", peer_line(p));
	if (strncmp(got, want, strlen(want)) == 0)
		got[strlen(want)] = '\0';
	ROW_TEXT(label, got, want);
}

static inline void expect_closed(const char *label, struct peer *p)
{
	ROW_TEXT(label, peer_line(p), "(end)");
	ROW_ASSERT(label, p->at == p->len);
}

#endif
