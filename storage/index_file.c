/*
 * index_file.c - where indexes are and what they are called.
 * Runs in: keeper, as root, before it becomes the mail's owner. Trusts: the directory, which is root's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/index.h"

enum { INDEX_NAME = sizeof ((struct index_files *)NULL)->name, INDEX_PATH = PATH_MAX + INDEX_NAME };

/* One of the two descriptors. -1 and *why_r when it is not a file of ours. */
static int open_own(const char *path, int flags, struct why *why_r)
{
	struct stat st;
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) != 0)
		(void)why_errno(why_r, errno, "open the index %s", path);
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		(void)why_set(why_r, REASON_MAILDROP_IO, 0, "%s is not a file of posternd's own", path);
	else
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void name_of(const struct maildrop_place *place, uid_t uid, gid_t gid, const char *directory, char name_r[INDEX_NAME], char path_r[INDEX_PATH])
{
	char name[MAILDROP_FILE_NAME];
	maildrop_file_name(place, uid, gid, name);
	(void)snprintf(name_r, INDEX_NAME, "%s.index", name);
	(void)snprintf(path_r, INDEX_PATH, "%s/%s", directory, name_r);
}

int index_open(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid, struct index_files *files_r,
               struct why *why_r)
{
	char path[INDEX_PATH];
	struct index_files files = { .directory = directory };
	*files_r = NO_INDEX;
	name_of(place, uid, gid, directory, files.name, path);
	int fd = open_own(path, O_RDWR | O_CREAT, why_r);
	if (fd < 0)
		return -1;
	/* Sessions exclude each other already, unless hosts share this directory as well. */
	int read_fd = flock(fd, LOCK_EX | LOCK_NB) != 0 ? why_errno(why_r, errno, "lock the index %s", path) : open_own(path, O_RDONLY, why_r);
	if (read_fd < 0) {
		(void)close(fd);
		return -1;
	}
	files.write_fd = fd;
	files.read_fd = read_fd;
	*files_r = files;
	return 0;
}

struct maildrop_trace index_look(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid)
{
	char name[INDEX_NAME], path[INDEX_PATH];
	struct index x;
	struct why why;
	name_of(place, uid, gid, directory, name, path);
	const struct index_files files = { .write_fd = open_own(path, O_RDONLY, &why), .read_fd = -1 };
	const struct maildrop_options options = { .index = &files };
	if (files.write_fd < 0)
		return (struct maildrop_trace){ .count = 0 };
	index_begin(&x, &options, place->path);
	const struct maildrop_trace trace = index_trace(&x);
	(void)close(files.write_fd);
	return trace;
}
