/*
 * host_lock.c - takes the host's locks on an mbox, all or none.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the spool directory.
 *
 * Programs disagree about the order of these locks, so waiting for one while holding
 * another could wait for ever: each lock is tried, and when one is taken, all are let go.
 */
#include "storage/host_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/lock_owner.h"

enum {
	PAUSE_MIN_MS = 5,
	PAUSE_MAX_MS = 25,          /* at random between the two, so that two programs do not keep in step */
	DOTLOCK_REFRESH_MS = 30000,
	HELPER_WAIT_MS = 5000,       /* the helper never waits for a lock: it answers at once or is lost */
};

static void pause_at_random(void)
{
	uint16_t random = 0;
	ssize_t ignored = getrandom(&random, sizeof random, GRND_NONBLOCK);
	(void)ignored;
	long ms = PAUSE_MIN_MS + random % (PAUSE_MAX_MS - PAUSE_MIN_MS + 1);
	struct timespec t = { .tv_nsec = ms * 1000000 };
	(void)nanosleep(&t, NULL);
}

/* ---- one row for each kind: take and release return 0 or an errno; EAGAIN is another program's lock ---- */

/* An open file description's lock: one that the process does not lose by closing the file elsewhere. */
static int fcntl_set(const struct host_locks *lock, short type)
{
	struct flock region = { .l_type = type, .l_whence = SEEK_SET };
	if (fcntl(lock->fd, F_OFD_SETLK, &region) == 0)
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

static int take_fcntl(struct host_locks *lock, bool write)
{
	return fcntl_set(lock, write ? F_WRLCK : F_RDLCK);
}

static int release_fcntl(struct host_locks *lock)
{
	return fcntl_set(lock, F_UNLCK);
}

static int take_flock(struct host_locks *lock, bool write)
{
	return flock(lock->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 ? errno : 0;
}

static int release_flock(struct host_locks *lock)
{
	return flock(lock->fd, LOCK_UN) != 0 ? errno : 0;
}

static int ask_helper(int fd, enum dotlock_command command)
{
	char octet = (char)command, late[sizeof(int)];
	int answer = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	/* The answer to a question that was given up is not the answer to this one. */
	while (recv(fd, late, sizeof late, MSG_DONTWAIT) > 0)
		;
	if (send(fd, &octet, 1, MSG_NOSIGNAL) != 1)
		return EPIPE;
	int n = poll(&p, 1, HELPER_WAIT_MS);
	if (n <= 0)
		return n == 0 ? ETIMEDOUT : errno;
	return recv(fd, &answer, sizeof answer, MSG_DONTWAIT) == (ssize_t)sizeof answer ? answer : EPIPE;
}

static int dotlock_call(struct host_locks *lock, enum dotlock_command command, int (*self)(struct dotlock *))
{
	int helper = lock->options->dotlock_helper;
	return helper >= 0 ? ask_helper(helper, command) : self(&lock->dotlock);
}

/*
 * Has no shared form: it excludes readers too. Where no lock file can be made now, on a read-only file system or a full
 * one, nobody else can make it either, and mail is to be readable all the same.
 */
static int take_dotlock(struct host_locks *lock, bool write)
{
	int err = dotlock_call(lock, DOTLOCK_TAKE, dotlock_take);
	lock->dotlocked = err == 0;
	if (!write && (err == EROFS || err == ENOSPC || err == EDQUOT))
		return 0;
	return err == EEXIST ? EAGAIN : err;
}

static int release_dotlock(struct host_locks *lock)
{
	lock->dotlocked = false;
	return dotlock_call(lock, DOTLOCK_RELEASE, dotlock_release);
}

static const struct kind {
	const char *name;
	int (*take)(struct host_locks *lock, bool write);
	int (*release)(struct host_locks *lock);
} kinds[] = {
	[HOST_LOCK_FCNTL] = { "fcntl", take_fcntl, release_fcntl },
	[HOST_LOCK_DOTLOCK] = { "dotlock", take_dotlock, release_dotlock },
	[HOST_LOCK_FLOCK] = { "flock", take_flock, release_flock },
};

/* ---- all together ---- */

int host_lock_init(struct host_locks *lock, const struct maildrop_options *options, const char *path, int dir_fd,
                   const char *name, struct why *why_r)
{
	*lock = (struct host_locks){ .options = options, .path = path, .name = name, .dir_fd = dir_fd, .fd = -1 };
	int err = dotlock_init(&lock->dotlock, dir_fd, name);
	return err != 0 ? why_errno(why_r, err, "name of the lock file for %s", path) : 0;
}

void host_lock_release(struct host_locks *lock)
{
	while (lock->held > 0) {
		lock->held--;
		(void)kinds[lock->options->locks[lock->held]].release(lock);
	}
	lock->fd = -1;
}

/* One round through the locks: 0 with all held, or an errno with none, and *failed_r the one that failed. */
static int try_all(struct host_locks *lock, int fd, bool write, enum host_lock *failed_r)
{
	lock->fd = fd;
	while (lock->held < lock->options->lock_count) {
		enum host_lock kind = lock->options->locks[lock->held];
		int err = kinds[kind].take(lock, write);
		if (err != 0) {
			*failed_r = kind;
			host_lock_release(lock);
			return err;
		}
		lock->held++;
	}
	return 0;
}

/* A program that renames a new file into place leaves us with a lock on the old one. */
static int check_same_file(struct host_locks *lock, struct why *why_r)
{
	struct stat ours, there = { 0 };
	if (fstat(lock->fd, &ours) != 0)
		return why_errno(why_r, errno, "stat %s", lock->path);
	if (fstatat(lock->dir_fd, lock->name, &there, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
		return why_errno(why_r, errno, "stat %s", lock->path);
	if (ours.st_nlink == 1 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		return 0;
	return why_set(why_r, REASON_MAILDROP_CHANGED, 0, "another program replaced %s", lock->path);
}

/* By the process id in its lock file, which the helper reads: the directory is closed to a keeper that has one. */
static bool owner_of_dotlock(const struct host_locks *lock, char owner_r[LOCK_OWNER_MAX])
{
	const int helper = lock->options->dotlock_helper;
	const int answer = helper >= 0 ? ask_helper(helper, DOTLOCK_OWNER) : -(int)lock_owner_in_dotlock(lock->dir_fd, lock->dotlock.name);
	return answer < 0 && lock_owner_name(-answer, owner_r);
}

/* Another program did not let go in time: which, where the kernel knows. */
static int name_owner(const struct host_locks *lock, enum host_lock kind, int fd, struct why *why_r)
{
	char owner[LOCK_OWNER_MAX];
	const bool known = kind == HOST_LOCK_DOTLOCK ? owner_of_dotlock(lock, owner) : lock_owner_of_file(fd, owner);
	const enum reason reason = known && lock_owner_delivers(owner) ? REASON_MAILDROP_DELIVERY : REASON_MAILDROP_BUSY;
	(void)why_set(why_r, reason, 0, "%s: %s held its %s lock for %d seconds", lock->path, known ? owner : "another program",
	              kinds[kind].name, HOST_LOCK_SECONDS);
	if (known)
		(void)snprintf(why_r->told, sizeof why_r->told, "%s", owner);
	return -1;
}

static int explain(const struct host_locks *lock, enum host_lock kind, int fd, int err, struct why *why_r)
{
	if (err == EAGAIN)
		return name_owner(lock, kind, fd, why_r);
	if (kind == HOST_LOCK_DOTLOCK && (err == EACCES || err == EPERM || err == EROFS)) {
		const char *slash = strrchr(lock->path, '/');
		return why_set(why_r, REASON_MAILDROP_DENIED, err,
		               "cannot make %s.lock: let the mail's owner or its group write to the directory %.*s, "
		               "or take dotlock out of mbox_locks", lock->name, (int)(slash - lock->path), lock->path);
	}
	return why_errno(why_r, err, "%s lock on %s", kinds[kind].name, lock->path);
}

int host_lock_take(struct host_locks *lock, int fd, bool write, struct why *why_r)
{
	enum host_lock failed = HOST_LOCK_FCNTL;
	long long deadline = now_ms() + (long long)HOST_LOCK_SECONDS * 1000;
	int err;
	while ((err = try_all(lock, fd, write, &failed)) == EAGAIN && now_ms() < deadline)
		pause_at_random();
	if (err != 0)
		return explain(lock, failed, fd, err, why_r);
	lock->refreshed_ms = now_ms();
	if (check_same_file(lock, why_r) == 0)
		return 0;
	host_lock_release(lock);
	return -1;
}

int host_lock_refresh(struct host_locks *lock, struct why *why_r)
{
	long long now = now_ms();
	if (now - lock->refreshed_ms < DOTLOCK_REFRESH_MS || !lock->dotlocked)
		return 0;
	lock->refreshed_ms = now;
	int err = dotlock_call(lock, DOTLOCK_REFRESH, dotlock_refresh);
	if (err != 0)
		return why_set(why_r, REASON_MAILDROP_CHANGED, err, "the lock file of %s was taken from us", lock->path);
	return 0;
}
