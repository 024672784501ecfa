/*
 * lock.c - one session a maildrop: the lock that a session holds from login to its end.
 * Runs in: keeper, as root, before become_owner(). Trusts: the lock directory (root's);
 * not what an older lock file says.
 *
 * The kernel's lock is the lock: it ends with the process that holds it, so there is
 * no stale one, no time-out and nothing to clean up after a crash.
 */
#include "storage/lock.h"

#include <dirent.h>
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
#include "base/number.h"

enum {
	LOCK_RETRY_MS = 10,
	HOLDER = 2 * WHY_TOLD_MAX + 64,  /* octets of what a lock file says */
};

static const uint64_t SINCE_MAX = 253402300799; /* the end of the year 9999: a time that can be shown, in milliseconds, too */

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

bool lock_is_called(int dir, int fd, const char *name)
{
	struct stat ours, there;
	return fstat(fd, &ours) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/*
 * "1795424346 4711 203.0.113.7\tanna": the first three end where nothing of them can stand, the name where the text does. Always of one
 * length, so that nothing of the last one stays.
 */
void session_lock_write_holder(int fd, const char *peer, const char *user)
{
	char record[HOLDER] = { 0 };
	(void)snprintf(record, sizeof record, "%lld %ld %s\t%s", (long long)time(NULL), (long)getpid(), peer, user);
	ssize_t ignored = pwrite(fd, record, sizeof record, 0);
	(void)ignored;
}

/* What of the text stands before that octet, and the octet; NULL: there is none. */
static const char *cut(char **text, char octet)
{
	char *part = *text, *end = strchr(part, octet);
	if (end == NULL)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return part;
}

static void take(char to[WHY_TOLD_MAX], const char *text)
{
	struct buf safe = { .p = to, .cap = WHY_TOLD_MAX - 1 };
	buf_add_escaped(&safe, text, strlen(text));
	to[safe.len] = '\0';
}

int session_lock_read_holder(int fd, struct session_holder *holder_r)
{
	char record[HOLDER], *rest = record;
	const ssize_t n = pread(fd, record, sizeof record - 1, 0);
	uint64_t since, pid;
	record[n > 0 ? n : 0] = '\0';
	const char *begun = cut(&rest, ' '), *process = cut(&rest, ' '), *peer = cut(&rest, '\t');
	if (begun == NULL || process == NULL || peer == NULL || *peer == '\0' || parse_number(begun, strlen(begun), 0, SINCE_MAX, &since) != 0 ||
	    parse_number(process, strlen(process), 0, INT32_MAX, &pid) != 0)
		return -1;
	*holder_r = (struct session_holder){ .since = (int64_t)since, .pid = (pid_t)pid };
	take(holder_r->peer, peer);
	take(holder_r->user, rest);
	return 0;
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
		const bool full = errno == ENOSPC || errno == EDQUOT;
		(void)why_set(why_r, full ? REASON_DISK_FULL : REASON_MAILDROP_IO, errno, "open the lock file %s/%s", directory, name);
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

/* Its owner stands behind the key in its name. */
static bool is_lock_name(const char *name, uid_t *owner_r)
{
	uint64_t owner;
	if (strlen(name) <= MAILDROP_KEY || name[MAILDROP_KEY] != '-' || parse_number(name + MAILDROP_KEY + 1, strlen(name + MAILDROP_KEY + 1), 0, UINT32_MAX, &owner) != 0)
		return false;
	*owner_r = (uid_t)owner;
	return true;
}

/* Is the lock of that name held, and by whom? The caller closes lock_r->fd. False when it is not, when it is gone or no lock, and with errno when that cannot be told. */
static bool open_held(int dir, const char *name, struct session_lock *lock_r)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		errno = errno == ENOENT || errno == ELOOP || errno == ENXIO ? 0 : errno;
		return false;
	}
	lock_r->fd = fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
		if (session_lock_read_holder(fd, &lock_r->holder) != 0)
			lock_r->holder = (struct session_holder){ .since = 0 };
		return true;
	}
	(void)close(fd);
	errno = 0;
	return false;
}

int session_locks_held(const char *directory, void (*found)(void *context, const struct session_lock *lock), void *context, struct why *why_r)
{
	struct session_lock lock;
	struct dirent *e;
	DIR *d = opendir(directory);
	if (d == NULL)
		return why_set(why_r, REASON_MAILDROP_IO, errno, "open the lock directory %s", directory);
	errno = 0;
	while (errno == 0 && (e = readdir(d)) != NULL)
		if (is_lock_name(e->d_name, &lock.owner) && open_held(dirfd(d), e->d_name, &lock)) {
			found(context, &lock);
			(void)close(lock.fd);
			errno = 0;
		}
	const int error = errno;
	(void)closedir(d);
	return error == 0 ? 0 : why_set(why_r, REASON_MAILDROP_IO, error, "look into the locks in %s", directory);
}
