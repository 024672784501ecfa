/*
 * way.c - what is left in our directories of the place that a way led to before.
 * Runs in: keeper and recovery, as root, before become_owner(), with the index locked. Trusts: the directories (root's). What an index says of the place,
 * its owner could have written: it is no more than a part of a name that has his uid.
 *
 * Lock and journal have the name of the place with its links resolved, and links in a user's directories are his: each that he leads elsewhere
 * would leave two files for good. Nothing is in a lock that nobody holds, nor in an empty journal; so they go, and whoever waits for one at that
 * moment finds that it is gone, and makes another.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/lock.h"

/* A file that nobody has locked; one with something in it only where that means nothing. */
static void remove_unused(const char *directory, const char *name, bool whatever)
{
	struct stat st;
	const int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int fd = dir >= 0 ? openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	/* A dotlock helper that did not run yet has the lock of a session that is over. */
	if (fd >= 0 && flock_patiently(fd, SESSION_LOCK_WAIT_MS, -1) == 0 && lock_is_called(dir, fd, name) && fstat(fd, &st) == 0 && (whatever || st.st_size == 0))
		(void)unlinkat(dir, name, 0);
	if (fd >= 0)
		(void)close(fd);
	if (dir >= 0)
		(void)close(dir);
}

static bool is_key(const char *text)
{
	return strlen(text) == MAILDROP_KEY && strspn(text, "0123456789abcdef") == MAILDROP_KEY;
}

void way_leave_former(const struct index_files *index, const char *lock_directory, const char *journal_directory, const struct maildrop_place *place,
                      uid_t uid, gid_t gid)
{
	struct maildrop_place former = { .format = place->format };
	char key[MAILDROP_KEY + 1], name[MAILDROP_FILE_NAME];
	maildrop_key(place, key);
	(void)io_read_at(index->write_fd, former.key, MAILDROP_KEY, INDEX_PLACE);
	/* Where there never was a link there is nothing to know. */
	if (is_key(former.key) ? strcmp(former.key, key) == 0 : !maildrop_has_links(place))
		return;
	if (is_key(former.key)) {
		session_lock_name(&former, uid, name);
		remove_unused(lock_directory, name, true);
		maildrop_file_name(&former, uid, gid, name);
		remove_unused(journal_directory, name, false);
	}
	(void)!io_write_at(index->write_fd, key, MAILDROP_KEY, INDEX_PLACE);
}

void way_give_up(const char *lock_directory, const struct maildrop_place *place, uid_t uid)
{
	char path[PATH_MAX + MAILDROP_FILE_NAME], name[MAILDROP_FILE_NAME];
	session_lock_name(place, uid, name);
	(void)snprintf(path, sizeof path, "%s/%s", lock_directory, name);
	(void)unlink(path);
}
