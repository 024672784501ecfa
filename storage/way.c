/*
 * way.c - what is left in our directories of the place that a way led to before.
 * Runs in: keeper and recovery, as root, before become_owner(), with the index locked. Trusts: the directories (root's). What an index says of the place,
 * its owner could have written: it is no more than a part of a name that has his uid.
 *
 * Lock and journal have the name of the place with its links resolved, and links in a user's directories are his: each that he leads elsewhere
 * would leave two files for good. Nothing is in a lock that nobody holds, nor in a journal without an update; so they go, and whoever waits for one at
 * that moment finds that it is gone, and makes another. Where an update is not finished the mailbox may be a copy of one that is half rewritten.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/lock.h"

/* Nothing in it is of use when nobody holds it. */
static int leave_lock(int dir, int fd, const char *name, struct why *why_r)
{
	(void)fd, (void)why_r;
	return unlinkat(dir, name, 0);
}

/* 0; 1: there is an update in it that is not finished; or -1 and *why_r: it cannot be read. */
static int leave_journal(int dir, int fd, const char *name, struct why *why_r)
{
	struct journal j;
	if (journal_read(&j, fd, why_r) != 0)
		return -1;
	if (j.state == JOURNAL_WHOLE)
		return 1;
	(void)!(j.state == JOURNAL_SET_ASIDE ? journal_move_aside(dir, name) : unlinkat(dir, name, 0));
	return 0;
}

/* What leave() returns, which gets the file locked; 0, where there is none, or somebody else has it; or -1 and *why_r: it cannot be opened. */
static int leave_file(const char *directory, const char *name, int (*leave)(int dir, int fd, const char *name, struct why *why_r), struct why *why_r)
{
	const int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int fd = dir >= 0 ? openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	int r = fd < 0 && errno != ENOENT && errno != ELOOP ? why_errno(why_r, errno, "open %s/%s", directory, name) : 0;
	/* A dotlock helper that did not run yet has the lock of a session that is over. */
	if (fd >= 0 && flock_patiently(fd, SESSION_LOCK_WAIT_MS, -1) == 0 && lock_is_called(dir, fd, name))
		r = leave(dir, fd, name, why_r);
	if (fd >= 0)
		(void)close(fd);
	if (dir >= 0)
		(void)close(dir);
	return r;
}

static bool is_key(const char *text)
{
	return strlen(text) == MAILDROP_KEY && strspn(text, "0123456789abcdef") == MAILDROP_KEY;
}

int way_leave_former(const struct index_files *index, const char *lock_directory, const char *journal_directory, const struct maildrop_place *place,
                     uid_t uid, gid_t gid, struct why *why_r)
{
	struct maildrop_place former = { .format = place->format };
	char key[MAILDROP_KEY + 1], name[MAILDROP_FILE_NAME];
	struct why ignored;
	maildrop_key(place, key);
	(void)io_read_at(index->write_fd, former.key, MAILDROP_KEY, INDEX_PLACE);
	/* Where there never was a link there is nothing to know. */
	if (is_key(former.key) ? strcmp(former.key, key) == 0 : !maildrop_has_links(place))
		return 0;
	if (is_key(former.key)) {
		journal_name(&former, uid, gid, name);
		const int left = leave_file(journal_directory, name, leave_journal, why_r);
		if (left != 0)
			return left < 0 ? -1 : why_set(why_r, REASON_UPDATE_UNFINISHED, 0, "an update was interrupted where a link on the way to %.100s led before: lead it there again, or give up "
			               "what that update kept, and remove %s/%s", place->path, journal_directory, name);
		session_lock_name(&former, uid, name);
		(void)leave_file(lock_directory, name, leave_lock, &ignored);
	}
	(void)!io_write_at(index->write_fd, key, MAILDROP_KEY, INDEX_PLACE);
	return 0;
}

void way_give_up(const char *lock_directory, const struct maildrop_place *place, uid_t uid)
{
	char path[PATH_MAX + MAILDROP_FILE_NAME], name[MAILDROP_FILE_NAME];
	session_lock_name(place, uid, name);
	(void)snprintf(path, sizeof path, "%s/%s", lock_directory, name);
	(void)unlinkat(AT_FDCWD, path, 0); /* not unlink(2), which a shared keeper may not call */
}
