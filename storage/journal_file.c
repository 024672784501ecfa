/*
 * journal_file.c - where journals are, what they are called, and whose they are.
 * Runs in: keeper, as root, before it becomes the mail's owner; recovery; `postern recover`.
 * Trusts: the directory, which is root's. Not a path that comes out of a journal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "storage/journal.h"
#include "storage/lock.h"

enum { REOPEN_MAX = 3 };

int journal_owner(const char *name, const char *path, uid_t *uid_r, gid_t *gid_r)
{
	struct maildrop_place place = { .format = MAILDROP_MBOX };
	uint64_t uid, gid;
	const char *first = strchr(name, '-'), *second = first != NULL ? strchr(first + 1, '-') : NULL;
	char again[MAILDROP_FILE_NAME];
	if (second == NULL || parse_number(first + 1, (size_t)(second - first - 1), 0, UINT32_MAX - 1, &uid) != 0 ||
	    parse_number(second + 1, strcspn(second + 1, "."), 0, UINT32_MAX - 1, &gid) != 0)
		return -1;
	(void)snprintf(place.path, sizeof place.path, "%s", path);
	*uid_r = (uid_t)uid;
	*gid_r = (gid_t)gid;
	maildrop_file_name(&place, *uid_r, *gid_r, again);
	return path[0] == '/' && strncmp(name, again, strlen(again)) == 0 ? 0 : -1;
}

/* Open it, or make it so that it is there after a power failure, too. */
static int open_or_make(int dir, const char *name)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(dir, name, flags);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = openat(dir, name, flags | O_CREAT, 0600);
	if (fd >= 0 && fsync(dir) != 0) {
		int err = errno;
		(void)close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int journal_move_aside(int dir, const char *name)
{
	char to[MAILDROP_FILE_NAME + 32];
	(void)snprintf(to, sizeof to, "%s" JOURNAL_ASIDE "%lld", name, (long long)time(NULL));
	return renameat2(dir, name, dir, to, RENAME_NOREPLACE) != 0 || fsync(dir) != 0 ? -1 : 0;
}

/* How many of that journal were set aside; none where that cannot be told. Not by readdir(3), which makes a call that a shared keeper must not. */
static size_t count_aside(int dir, const char *name)
{
	_Alignas(struct dirent64) char entries[8192];
	const struct dirent64 *e;
	const size_t len = strlen(name);
	const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t count = 0;
	for (ssize_t n; (n = getdents64(fd, entries, sizeof entries)) > 0; )
		for (ssize_t at = 0; at < n; at += e->d_reclen) {
			e = (const void *)(entries + at);
			count += strncmp(e->d_name, name, len) == 0 && strncmp(e->d_name + len, JOURNAL_ASIDE, sizeof JOURNAL_ASIDE - 1) == 0;
		}
	if (fd >= 0)
		(void)close(fd);
	return count;
}

/* As far as can be told without opening it. */
static bool holds_something(const char *directory, const char *name)
{
	char path[PATH_MAX + MAILDROP_FILE_NAME];
	struct stat st;
	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

/* Without it mail can be read; but not as long as what it says may still have to be done. */
static int not_open(const char *directory, const char *name, struct why *why_r)
{
	if (why_r->reason != REASON_MAILDROP_LOCKED && holds_something(directory, name))
		why_r->reason = REASON_UPDATE_UNFINISHED;
	return -1;
}

/* One that is open and locked: 0 when it is ours, 1 when it has another name by now, or as not_open(). */
static int settle(int dir, const char *directory, const char *name, int fd, struct why *why_r)
{
	if (!lock_is_called(dir, fd, name))
		return 1; /* by `postern recover`, or by a session that was quicker */
	const int aside = journal_is_aside(fd);
	if (aside == 0)
		return 0;
	if (aside < 0) {
		(void)why_errno(why_r, errno, "read the journal %s/%s", directory, name);
		return not_open(directory, name, why_r);
	}
	/* Each holds all mail that was to be kept, and is not in its owner's quota, who can make as many as he likes: by a kill in an UPDATE, and another program. */
	if (count_aside(dir, name) >= JOURNALS_ASIDE_MAX)
		return why_set(why_r, REASON_UPDATE_UNFINISHED, 0, "%d journals of %s/%s were set aside already; put their mail back, or discard it: see postern recover", JOURNALS_ASIDE_MAX, directory, name);
	/* What is set aside is no more to do. */
	return journal_move_aside(dir, name) == 0 ? 1 : why_errno(why_r, errno, "set the journal %s/%s aside", directory, name);
}

/* Is it open, a file of ours, and locked? */
static bool lock_it(const char *directory, const char *name, int fd, struct why *why_r)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)why_errno(why_r, errno, "open the journal %s/%s", directory, name);
		return false;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) {
		(void)why_set(why_r, REASON_MAILDROP_IO, 0, "%s/%s is not a file of posternd's own", directory, name);
		return false;
	}
	const int err = flock_patiently(fd, SESSION_LOCK_WAIT_MS, -1);
	if (err != 0)
		(void)why_set(why_r, err == EWOULDBLOCK ? REASON_MAILDROP_LOCKED : REASON_MAILDROP_IO, err, "lock the journal %s/%s",
		              directory, name);
	return err == 0;
}

static int open_locked(int dir, const char *directory, const char *name, int *fd_r, struct why *why_r)
{
	const int fd = open_or_make(dir, name);
	const int r = lock_it(directory, name, fd, why_r) ? settle(dir, directory, name, fd, why_r) : not_open(directory, name, why_r);
	*fd_r = r == 0 ? fd : -1;
	if (r != 0 && fd >= 0)
		(void)close(fd);
	return r > 0 ? 0 : r;
}

int journal_open(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid, int *fd_r,
                 struct why *why_r)
{
	char name[MAILDROP_FILE_NAME];
	int r = 0;
	*fd_r = -1;
	maildrop_file_name(place, uid, gid, name);
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		(void)why_errno(why_r, errno, "open the journal directory %s", directory);
		return not_open(directory, name, why_r);
	}
	for (int round = 0; round < REOPEN_MAX && r == 0 && *fd_r < 0; round++)
		r = open_locked(dir, directory, name, fd_r, why_r);
	if (r == 0 && *fd_r < 0) {
		(void)why_set(why_r, REASON_MAILDROP_IO, 0, "%s/%s is set aside or removed again and again", directory, name);
		r = not_open(directory, name, why_r);
	}
	(void)close(dir);
	return r;
}
