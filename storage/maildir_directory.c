/*
 * maildir_directory.c - new/ and cur/ of a Maildir: opened, and looked at.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/maildir.h"

const char *const maildir_dir_names[MAILDIR_DIRS] = { [MAILDIR_NEW] = "new", [MAILDIR_CUR] = "cur" };

/* *fd_r becomes -1 when there is no such directory. */
static int open_directory(const struct maildir *m, int at, const char *name, int flags, int *fd_r, struct why *why_r)
{
	struct stat st;
	/* The Maildir's own name says where it is. */
	const bool is_top = at == AT_FDCWD;
	const char *const in = is_top ? "" : " (in ", *const path = is_top ? "" : m->path, *const end = is_top ? "" : ")";
	int fd = openat(at, name, flags | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	*fd_r = -1;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		int err = errno;
		if ((err == ENOTDIR || err == ELOOP) && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return why_set(why_r, REASON_MAILDROP_DENIED, ELOOP, "%s%s%s%s is a symbolic link, which is not followed", name, in, path, end);
		return why_errno(why_r, err, "open the directory %s%s%s%s", name, in, path, end);
	}
	if (fstat(fd, &st) != 0) {
		(void)why_errno(why_r, errno, "stat %s%s%s%s", name, in, path, end);
	} else if (st.st_uid != m->drop.options.owner) {
		(void)why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s%s%s%s belongs to uid %ju, not to uid %ju", name, in, path, end, (uintmax_t)st.st_uid, (uintmax_t)m->drop.options.owner);
	} else {
		*fd_r = fd;
		return 0;
	}
	(void)close(fd);
	return -1;
}

static bool is_missing(const struct maildir *m)
{
	return m->dir_fd[MAILDIR_NEW] < 0 || m->dir_fd[MAILDIR_CUR] < 0;
}

int maildir_open_directories(struct maildir *m, struct why *why_r)
{
	int top = -1, r = -1;
	if (open_directory(m, AT_FDCWD, m->path, O_PATH, &top, why_r) != 0)
		return -1;
	r = 0;
	for (size_t i = 0; top >= 0 && r == 0 && i < MAILDIR_DIRS; i++)
		r = open_directory(m, top, maildir_dir_names[i], O_RDONLY, &m->dir_fd[i], why_r);
	if (m->drop.options.told.by != TOLD_BY_NOBODY || (top >= 0 && is_missing(m)))
		m->top_fd = top;
	else if (top >= 0)
		(void)close(top);
	return r;
}

int maildir_look(const struct maildir *m, struct maildir_listed listed_r[MAILDIR_DIRS], struct why *why_r)
{
	struct stat st;
	memset(listed_r, 0, MAILDIR_DIRS * sizeof *listed_r);
	for (size_t i = 0; i < MAILDIR_DIRS; i++) {
		const bool made = m->dir_fd[i] < 0;
		if (made && (m->top_fd < 0 || fstatat(m->top_fd, maildir_dir_names[i], &st, AT_SYMLINK_NOFOLLOW) != 0))
			continue;
		if (!made && fstat(m->dir_fd[i], &st) != 0)
			return why_errno(why_r, errno, "stat %s/%s", m->path, maildir_dir_names[i]);
		listed_r[i] = (struct maildir_listed){ .dev = st.st_dev, .ino = st.st_ino, .size = (uint64_t)st.st_size,
		                                       .modified = st.st_mtim, .changed = st.st_ctim };
	}
	return 0;
}

/* A sandbox knows only what was there when it was entered: then what may be in it is for the next login. */
int maildir_open_made(struct maildir *m, struct why *why_r)
{
	for (size_t i = 0; i < MAILDIR_DIRS; i++) {
		if (m->dir_fd[i] >= 0 || m->listed[i].ino == 0 || open_directory(m, m->top_fd, maildir_dir_names[i], O_RDONLY, &m->dir_fd[i], why_r) == 0)
			continue;
		return why_r->err != EACCES ? -1 : why_set(why_r, REASON_MAILDROP_BUSY, EBUSY, "%s (in %s) was made by another program just now, and messages may "
		                                           "be in it; the next login sees them", maildir_dir_names[i], m->path);
	}
	return 0;
}
