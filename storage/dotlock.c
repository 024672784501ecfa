/*
 * dotlock.c - the lock file beside an mbox, and the helper that makes it where
 * the mail's owner may not.
 * Runs in: keeper, as the mail's owner; dotlock helper, as the owner with the spool's group.
 * Trusts: nothing in the spool directory; the helper: nothing from its socket but the order.
 */
#include "storage/dotlock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/number.h"
#include "storage/file_system.h"
#include "storage/lock.h"
#include "storage/lock_owner.h"

static const char suffix[] = ".lock";

enum {
	BOOT_ID = 40,     /* a UUID in text */
	LOCK_TEXT = 256,
	PROC_FD = 32,     /* the path of a descriptor of this process */
	BOOT_MARGIN = 2,  /* seconds that two clocks may disagree when rounded */
	NUMBER_TEXT = 21, /* 64 bits in decimal, as sscanf() below has it */
};

int dotlock_init(struct dotlock *lock, int dir_fd, const char *mbox_name)
{
	*lock = (struct dotlock){ .dir_fd = dir_fd };
	int n = snprintf(lock->name, sizeof lock->name, "%s%s", mbox_name, suffix);
	return n < 0 || (size_t)n >= sizeof lock->name ? ENAMETOOLONG : 0;
}

static int look(const struct dotlock *lock, struct dotlock_sight *sight_r)
{
	struct stat st;
	*sight_r = (struct dotlock_sight){ 0 };
	if (fstatat(lock->dir_fd, lock->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno;
	*sight_r = (struct dotlock_sight){ .dev = st.st_dev, .ino = st.st_ino, .modified = st.st_mtim };
	return 0;
}

static bool same_file(const struct dotlock_sight *a, const struct dotlock_sight *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_sight(const struct dotlock_sight *a, const struct dotlock_sight *b)
{
	return same_file(a, b) && a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

/* The time as the file system stamps it, which need not be this host's: a nameless file's. */
static time_t file_system_time(const struct dotlock *lock)
{
	struct stat st;
	time_t now = time(NULL);
	int fd = openat(lock->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return now;
	if (fstat(fd, &st) == 0)
		now = st.st_mtim.tv_sec;
	(void)close(fd);
	return now;
}

#define UNKNOWN "-"  /* in place of a host's name or its boot's */

/* Where a lock file was made: on which host, in which run of it, in which of its process id namespaces. */
struct origin {
	char host[HOST_NAME_MAX + 1];
	char boot[BOOT_ID];
	unsigned long long pids;
};

static struct origin here(void)
{
	struct origin o = { .boot = UNKNOWN };
	struct stat st;
	if (gethostname(o.host, sizeof o.host - 1) != 0 || o.host[0] == '\0' || strchr(o.host, ' ') != NULL)
		(void)snprintf(o.host, sizeof o.host, "%s", UNKNOWN);
	char boot[BOOT_ID];
	if (io_read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot) > 0)
		(void)snprintf(o.boot, sizeof o.boot, "%.*s", (int)strcspn(boot, "\n"), boot);
	if (stat("/proc/self/ns/pid", &st) == 0)
		o.pids = st.st_ino;
	return o;
}

/* When that process started, in clock ticks since the boot: field 22 of /proc/PID/stat (proc(5)). 0: not known, or no such process. */
static uint64_t started(long pid)
{
	enum { FIELDS_BEFORE = 20 };  /* behind the name in parentheses, which may hold anything */
	char path[32], text[1024];
	uint64_t ticks = 0;
	(void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	(void)io_read_text(AT_FDCWD, path, text, sizeof text);
	const char *at = strrchr(text, ')');
	for (int i = 0; at != NULL && i < FIELDS_BEFORE; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL || parse_number(at + 1, strspn(at + 1, "0123456789"), 1, UINT64_MAX, &ticks) != 0)
		return 0;
	return ticks;
}

/*
 * The lock file's content: a process id on the first line, as other programs have it; then that it is ours, and the origin. With
 * its start a process is told from a later one that got its number.
 */
static int write_text(char *text, size_t size, long pid)
{
	const struct origin o = here();
	return snprintf(text, size, "%ld\npostern %s %llu %s %llu\n", pid, o.host, (unsigned long long)started(pid), o.boot, o.pids);
}

/* Has the process that had that number then ended? */
static bool has_ended(pid_t pid, uint64_t start)
{
	const uint64_t now = started(pid);
	return (kill(pid, 0) != 0 && errno == ESRCH) || (start != 0 && now != 0 && start != now);
}

/*
 * Is it postern's own, from a process that is no more? A session of ours holds the session lock while it holds this
 * one, so the maker of what is in our way died, and nobody has to wait until the file looks stale. Anything that
 * cannot be told from here (another host, another container) is left to the clock.
 */
static bool is_own_leftover(const struct dotlock *lock)
{
	char text[LOCK_TEXT];
	char pid_text[NUMBER_TEXT], start_text[NUMBER_TEXT], pids_text[NUMBER_TEXT];
	struct origin made = { .pids = 0 }, now = here();
	struct stat st;
	uint64_t pid, start, pids;
	int fd = openat(lock->dir_fd, lock->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() ?
		read(fd, text, sizeof text - 1) : 0;
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%20[0-9]\npostern %64s %20[0-9] %39s %20[0-9]\n", pid_text, made.host, start_text, made.boot, pids_text) != 5 ||
	    parse_number(start_text, strlen(start_text), 0, UINT64_MAX, &start) != 0 ||
	    parse_number(pid_text, strlen(pid_text), 1, INT32_MAX, &pid) != 0 ||
	    parse_number(pids_text, strlen(pids_text), 0, UINT64_MAX, &pids) != 0)
		return false;
	if (strcmp(made.host, now.host) != 0 || strcmp(made.boot, UNKNOWN) == 0 || strcmp(now.boot, UNKNOWN) == 0)
		return false;
	if (strcmp(made.boot, now.boot) != 0)
		return true;
	return pids == now.pids && has_ended((pid_t)pid, start);
}

/* Untouched for too long, or since before this host started: a power failure leaves lock files behind, often empty ones. */
static bool is_stale(const struct dotlock *lock, const struct dotlock_sight *sight)
{
	struct timespec up;
	const time_t age = file_system_time(lock) - sight->modified.tv_sec;
	if (age > DOTLOCK_STALE_SECONDS)
		return true;
	return is_local_file_system(lock->dir_fd) && clock_gettime(CLOCK_BOOTTIME, &up) == 0 &&
		age > up.tv_sec + BOOT_MARGIN;
}

/* Another program's lock file is in the way: removed when it is stale, so that the next try can succeed. */
static int break_stale(struct dotlock *lock)
{
	struct dotlock_sight sight, again;
	int err = look(lock, &sight);
	if (err != 0)
		return err == ENOENT ? EEXIST : err;
	if (is_own_leftover(lock)) {
		if (look(lock, &again) == 0 && same_sight(&again, &sight))
			(void)unlinkat(lock->dir_fd, lock->name, 0);
		return EEXIST;
	}
	if (!is_stale(lock, &sight))
		return EEXIST;
	int64_t now = now_ms();
	if (lock->watched_since_ms == 0 || !same_sight(&sight, &lock->watched)) {
		lock->watched = sight;
		lock->watched_since_ms = now;
		return EEXIST;
	}
	if (now - lock->watched_since_ms < DOTLOCK_WATCH_MS)
		return EEXIST;
	lock->watched_since_ms = 0;
	if (look(lock, &sight) == 0 && same_sight(&sight, &lock->watched))
		(void)unlinkat(lock->dir_fd, lock->name, 0);
	return EEXIST;
}

/* A file without a name gets it when it is whole. So nobody who dies meanwhile leaves an empty one, of which it cannot be told whose it was. */
static int name_whole(const struct dotlock *lock, const char *text, size_t len)
{
	char path[PROC_FD];
	int fd = openat(lock->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	/* Without our pid the others still see a lock. */
	(void)!write(fd, text, len);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	const int err = linkat(AT_FDCWD, path, lock->dir_fd, lock->name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
	(void)close(fd);
	return err;
}

/*
 * Where a file system has no nameless files (NFS). mknod, not open: it is as exclusive, and where a sandbox allows to make
 * files but not to write them, open makes the file and then fails, which leaves a stale lock.
 */
static int name_and_write(const struct dotlock *lock, const char *text, size_t len)
{
	if (mknodat(lock->dir_fd, lock->name, S_IFREG | 0644, 0) != 0)
		return errno;
	int fd = openat(lock->dir_fd, lock->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, text, len);
		(void)close(fd);
	}
	return 0;
}

/* The lock file, with our process id, which some programs look for: 0 or an errno. */
static int make_lock_file(const struct dotlock *lock)
{
	char text[LOCK_TEXT];
	const size_t len = (size_t)write_text(text, sizeof text, (long)getpid());
	const int err = name_whole(lock, text, len);
	return err == 0 || err == EEXIST ? err : name_and_write(lock, text, len);
}

int dotlock_take(struct dotlock *lock)
{
	struct dotlock_sight another;
	if (lock->held)
		return 0;
	int err = look(lock, &another) == 0 ? EEXIST : make_lock_file(lock);
	if (err != 0)
		return err == EEXIST ? break_stale(lock) : err;
	err = look(lock, &lock->ours);
	if (err != 0)
		return err;
	lock->held = true;
	lock->watched_since_ms = 0;
	return 0;
}

int dotlock_refresh(struct dotlock *lock)
{
	struct dotlock_sight sight;
	if (!lock->held || look(lock, &sight) != 0 || !same_file(&sight, &lock->ours))
		return ESTALE;
	return utimensat(lock->dir_fd, lock->name, NULL, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
}

int dotlock_release(struct dotlock *lock)
{
	struct dotlock_sight sight;
	if (!lock->held)
		return 0;
	lock->held = false;
	/* Somebody took ours for stale, and this is theirs. */
	if (look(lock, &sight) != 0 || !same_file(&sight, &lock->ours))
		return 0;
	return unlinkat(lock->dir_fd, lock->name, 0) != 0 ? errno : 0;
}

/* ---- the helper ---- */

static int obey(struct dotlock *lock, char command)
{
	switch (command) {
	case DOTLOCK_TAKE: return dotlock_take(lock);
	case DOTLOCK_REFRESH: return dotlock_refresh(lock);
	case DOTLOCK_RELEASE: return dotlock_release(lock);
	case DOTLOCK_OWNER: return -(int)lock_owner_in_dotlock(lock->dir_fd, lock->name);
	default: return EINVAL;
	}
}

void dotlock_serve(int fd, const struct maildrop_place *place)
{
	struct dotlock lock = { .dir_fd = -1 };
	struct maildrop_place at = *place;
	char *slash = strrchr(at.path, '/');
	int dir_fd = -1, unusable = EINVAL;
	if (slash != NULL) {
		*slash = '\0';
		dir_fd = open(slash == at.path ? "/" : at.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		unusable = dir_fd < 0 ? errno : dotlock_init(&lock, dir_fd, slash + 1);
	}
	for (;;) {
		char command;
		ssize_t n = recv(fd, &command, 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1)
			break;
		int answer = unusable != 0 ? unusable : obey(&lock, command);
		if (send(fd, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer)
			break;
	}
	if (unusable == 0)
		(void)dotlock_release(&lock);
	if (dir_fd >= 0)
		(void)close(dir_fd);
}

/*
 * The helper lends the spool's group to whoever's mail this is. So no directory on the
 * way may be anyone's but root's: else a link there would lend it somewhere else.
 */
static bool way_is_roots(const char *path)
{
	char part[PATH_MAX];
	struct stat st;
	for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
		size_t len = slash == path ? 1 : (size_t)(slash - path);
		memcpy(part, path, len);
		part[len] = '\0';
		if (lstat(part, &st) != 0 || st.st_uid != 0)
			return false;
		if (S_ISDIR(st.st_mode) && (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
			return false;
	}
	return true;
}

static bool may_write(const struct stat *st, uid_t uid, gid_t gid)
{
	mode_t need = S_IWOTH | S_IXOTH;
	if (st->st_uid == uid)
		need = S_IWUSR | S_IXUSR;
	else if (st->st_gid == gid)
		need = S_IWGRP | S_IXGRP;
	return uid == 0 || (st->st_mode & need) == need;
}

gid_t dotlock_helper_group(const struct maildrop_place *place, uid_t uid, gid_t gid)
{
	const mode_t group_writes = S_IWGRP | S_IXGRP;
	struct maildrop_place spool = *place;
	char real[PATH_MAX];
	struct stat st, link;
	char *slash = strrchr(spool.path, '/');
	if (place->format != MAILDROP_MBOX || slash == NULL || slash == spool.path)
		return (gid_t)-1;
	*slash = '\0';
	if (stat(spool.path, &st) != 0 || may_write(&st, uid, gid))
		return (gid_t)-1;
	/* Group 0 is never lent. */
	if (st.st_uid != 0 || st.st_gid == 0 || (st.st_mode & group_writes) != group_writes || (st.st_mode & S_IWOTH) != 0)
		return (gid_t)-1;
	/* /var/mail may be root's link to spool/mail. */
	if (lstat(spool.path, &link) != 0 || link.st_uid != 0 || realpath(spool.path, real) == NULL)
		return (gid_t)-1;
	return way_is_roots(spool.path) && way_is_roots(real) ? st.st_gid : (gid_t)-1;
}
