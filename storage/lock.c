/*
 * lock.c - one session a maildrop: the lock that a session holds from login to its end.
 * Runs in: keeper, as root, before become_owner(). Trusts: the lock directory (root's);
 * not what an older lock file says.
 *
 * The kernel's lock is the lock: it ends with the process that holds it, so there is
 * no stale one, no time-out and nothing to clean up after a crash.
 */
#include "storage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum {
	LOCK_RETRY_MS = 10,
};

int flock_patiently(int fd, long long wait_ms, int watch)
{
	const struct timespec retry = { .tv_nsec = LOCK_RETRY_MS * 1000000L };
	struct pollfd p = { .fd = watch, .events = POLLIN };
	long long deadline = now_ms() + wait_ms;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return errno;
		if (now_ms() >= deadline)
			return EWOULDBLOCK;
		if (watch < 0)
			(void)nanosleep(&retry, NULL);
		else if (poll(&p, 1, LOCK_RETRY_MS) > 0)
			return ECANCELED;
	}
	return 0;
}

void session_lock_read_holder(int fd, char holder_r[WHY_TOLD_MAX])
{
	char text[WHY_TOLD_MAX];
	struct buf told = { .p = holder_r, .cap = WHY_TOLD_MAX - 1 };
	ssize_t n = pread(fd, text, sizeof text, 0);
	if (n > 0)
		buf_add_escaped(&told, text, strnlen(text, (size_t)n));
	holder_r[told.len] = '\0';
}

void session_lock_write_holder(int fd, const char *holder)
{
	char record[WHY_TOLD_MAX] = { 0 };  /* always of one length, so that nothing of the last one stays */
	memcpy(record, holder, strnlen(holder, sizeof record - 1));
	ssize_t ignored = pwrite(fd, record, sizeof record, 0);
	(void)ignored;
}

int session_lock_open(const char *directory, const struct maildrop_place *place, uid_t owner, int *fd_r, struct why *why_r)
{
	char key[MAILDROP_KEY + 1], name[MAILDROP_FILE_NAME];
	struct stat st;
	int fd = -1, r = -1;
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, errno, "open the lock directory %s", directory);
		goto out;
	}
	maildrop_key(place, key);
	(void)snprintf(name, sizeof name, "%s-%ju", key, (uintmax_t)owner);
	fd = openat(dir, name, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, errno, "open the lock file %s/%s", directory, name);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)why_set(why_r, REASON_MAILDROP_IO, 0, "%s/%s is not a regular file", directory, name);
		goto out;
	}
	*fd_r = fd;
	fd = -1;
	r = 0;
out:
	if (fd >= 0)
		(void)close(fd);
	if (dir >= 0)
		(void)close(dir);
	return r;
}
