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
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
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

int flock_patiently(int fd)
{
	const struct timespec retry = { .tv_nsec = LOCK_RETRY_MS * 1000000L };
	long long deadline = now_ms() + SESSION_LOCK_WAIT_MS;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return errno;
		if (now_ms() >= deadline)
			return EWOULDBLOCK;
		(void)nanosleep(&retry, NULL);
	}
	return 0;
}

static int tell_holder(int fd, const char *path, struct why *why_r)
{
	char text[WHY_TOLD_MAX];
	ssize_t n = pread(fd, text, sizeof text, 0);
	(void)why_set(why_r, REASON_MAILDROP_LOCKED, 0, "another session holds %s", path);
	struct buf told = BUF_OVER(why_r->told);
	told.cap--;
	if (n > 0)
		buf_add_escaped(&told, text, strnlen(text, (size_t)n));
	told.cap++;
	(void)buf_text(&told);
	return -1;
}

/* For people; when it cannot be written (a full disk), the lock is as good. */
static void write_holder(int fd, const char *holder)
{
	char record[WHY_TOLD_MAX] = { 0 };  /* always of one length, so that nothing of the last one stays */
	memcpy(record, holder, strnlen(holder, sizeof record - 1));
	ssize_t ignored = pwrite(fd, record, sizeof record, 0);
	(void)ignored;
}

int session_lock(const char *directory, const struct maildrop_place *place, const char *holder,
                 int *fd_r, struct why *why_r)
{
	char name[MAILDROP_KEY + 1];
	struct stat st;
	int err, fd = -1, r = -1;
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, errno, "open the lock directory %s", directory);
		goto out;
	}
	maildrop_key(place, name);
	fd = openat(dir, name, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, errno, "open the lock file %s/%s", directory, name);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)why_set(why_r, REASON_MAILDROP_IO, 0, "%s/%s is not a regular file", directory, name);
		goto out;
	}
	err = flock_patiently(fd);
	if (err == EWOULDBLOCK) {
		(void)tell_holder(fd, place->path, why_r);
		goto out;
	}
	if (err != 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, err, "lock %s/%s", directory, name);
		goto out;
	}
	write_holder(fd, holder);
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
