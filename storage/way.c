/*
 * way.c - what is left in our directories of the place that a way led to before.
 * Runs in: keeper and recovery, as root, before become_owner(), with the index locked. Trusts: the directories (root's). What an index says of the place,
 * its owner could have written: it is no more than a part of a name that has his uid.
 *
 * Lock and journal have the name of the place with its links resolved, and links in a user's directories are his: each that he leads elsewhere
 * would leave two files for good. Nothing is in a lock that nobody holds, nor in a journal without an update; so they go, and whoever waits for one at
 * that moment finds that it is gone, and makes another. Where an update is not finished the mailbox may be a copy of one that is half rewritten.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/lock.h"

/* Open and locked, where nobody else has it; or -1. A dotlock helper that did not run yet has the lock of a session that is over. */
static int open_unused(int dir, const char *name)
{
	const int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || (flock_patiently(fd, SESSION_LOCK_WAIT_MS, -1) == 0 && lock_is_called(dir, fd, name)))
		return fd;
	(void)close(fd);
	return -1;
}

/* Nothing in it is of use when nobody holds it. */
static int leave_lock(int dir, int fd, const char *name)
{
	(void)fd;
	return unlinkat(dir, name, 0);
}

/* 0; or 1: there is an update in it that is not finished, or it cannot be told. */
static int leave_journal(int dir, int fd, const char *name)
{
	struct journal j;
	struct why why;
	if (journal_read(&j, fd, &why) != 0 || j.state == JOURNAL_WHOLE)
		return 1;
	return j.state == JOURNAL_SET_ASIDE ? journal_move_aside(dir, name) : unlinkat(dir, name, 0);
}

static int leave_file(const char *directory, const char *name, int (*leave)(int dir, int fd, const char *name))
{
	const int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = dir >= 0 ? open_unused(dir, name) : -1;
	const int r = fd >= 0 ? leave(dir, fd, name) : 0;
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
	maildrop_key(place, key);
	(void)io_read_at(index->write_fd, former.key, MAILDROP_KEY, INDEX_PLACE);
	/* Where there never was a link there is nothing to know. */
	if (is_key(former.key) ? strcmp(former.key, key) == 0 : !maildrop_has_links(place))
		return 0;
	if (is_key(former.key)) {
		journal_name(&former, uid, gid, name);
		if (leave_file(journal_directory, name, leave_journal) > 0)
			return why_set(why_r, REASON_UPDATE_UNFINISHED, 0, "an update was interrupted where a link on the way to %.100s led before: lead it there again, or give up "
			               "what that update kept, and remove %s/%s", place->path, journal_directory, name);
		session_lock_name(&former, uid, name);
		(void)leave_file(lock_directory, name, leave_lock);
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
