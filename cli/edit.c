/*
 * edit.c - one change to the passwd file: locked, whole, or not at all.
 * Runs in: postern, as whoever called it. Trusts: the file, once its mode and owner are checked.
 *
 * The lock file stays: removing it would let two callers lock two different files.
 */
#include "cli/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"

enum { NEW_FILE_MODE = 0600, MODE_BITS = 07777 };

static int failed(int code, const char *what, const char *path)
{
	const int error = errno;
	cli_complain("cannot %s %s: %s%s", what, path, strerror(error), cli_needs_root(error));
	return code;
}

static int lock(const char *path, int *fd_r)
{
	char name[PATH_MAX];
	if (snprintf(name, sizeof name, "%s.lock", path) >= (int)sizeof name) {
		cli_complain("the path of the file is too long");
		return CLI_USAGE;
	}
	*fd_r = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, NEW_FILE_MODE);
	if (*fd_r < 0)
		return failed(CLI_CANNOT_CREATE, "open the lock file", name);
	if (flock(*fd_r, LOCK_EX | LOCK_NB) == 0)
		return CLI_OK;
	if (errno == EWOULDBLOCK)
		cli_complain("waiting: another postern passwd has %s locked", path);
	while (flock(*fd_r, LOCK_EX) < 0)
		if (errno != EINTR)
			return failed(CLI_TEMPORARY, "lock", name);
	return CLI_OK;
}

int edit_begin(const char *path, bool may_create, struct edit *edit_r)
{
	struct why why;
	*edit_r = (struct edit){ .path = path, .lock = -1 };
	int result = lock(path, &edit_r->lock);
	if (result != CLI_OK)
		goto failed;
	/* No settling: all who write it take the lock. */
	if (passwd_image_read(path, false, &edit_r->image, &why) < 0) {
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
		result = CLI_CONFIG;
	} else if (edit_r->image.data == NULL && !may_create) {
		cli_complain("there is no passwd file %s", path);
		result = CLI_CONFIG;
	}
	if (result == CLI_OK)
		return CLI_OK;
failed:
	edit_end(edit_r);
	return result;
}

void edit_end(struct edit *edit)
{
	passwd_image_free(&edit->image);
	if (edit->lock >= 0)
		(void)close(edit->lock);
	edit->lock = -1;
}

void edit_text_free(struct edit_text *content)
{
	if (content->p != NULL)
		explicit_bzero(content->p, content->room);
	free(content->p);
	*content = (struct edit_text){ .p = NULL };
}

/* Not realloc(3), which leaves copies of the hashes behind. */
static int grow(struct edit_text *content, size_t len)
{
	size_t room = 2 * content->room + len + PASSWD_LINE_MAX;
	char *more = malloc(room);
	if (more == NULL) {
		cli_complain("no memory for the new file");
		return CLI_TEMPORARY;
	}
	size_t have = content->len;
	if (have > 0)
		memcpy(more, content->p, have);
	edit_text_free(content);
	*content = (struct edit_text){ .p = more, .len = have, .room = room };
	return CLI_OK;
}

int edit_append(struct edit_text *content, const char *octets, size_t len)
{
	int result = len > content->room - content->len ? grow(content, len) : CLI_OK;
	if (result != CLI_OK)
		return result;
	memcpy(content->p + content->len, octets, len);
	content->len += len;
	return CLI_OK;
}

/* Content, owner and mode before the name: no moment at which others can read it, or at which it is half. */
static int fill(int fd, const struct edit *edit, const struct edit_text *content)
{
	bool is_new = edit->image.data == NULL;
	mode_t mode = is_new ? NEW_FILE_MODE : edit->image.st.st_mode & MODE_BITS;
	if (!is_new && fchown(fd, edit->image.st.st_uid, edit->image.st.st_gid) < 0)
		return -1;
	if (fchmod(fd, mode) < 0 || io_write_all(fd, content->p, content->len) < 0)
		return -1;
	return fsync(fd);
}

/* The rename is durable only when its directory is. */
static int sync_directory(const char *path)
{
	char directory[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	if (slash != NULL)
		(void)snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = fsync(fd);
	(void)close(fd);
	return result;
}

static int replace(const struct edit *edit, const struct edit_text *content)
{
	char name[PATH_MAX];
	if (snprintf(name, sizeof name, "%s.XXXXXX", edit->path) >= (int)sizeof name) {
		cli_complain("the path of the file is too long");
		return CLI_USAGE;
	}
	int fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return failed(CLI_CANNOT_CREATE, "create a file beside", edit->path);
	bool is_done = fill(fd, edit, content) == 0 && rename(name, edit->path) == 0;
	if (!is_done) {
		int result = failed(CLI_IO, "write", edit->path);
		(void)unlink(name);
		(void)close(fd);
		return result;
	}
	(void)close(fd);
	return sync_directory(edit->path) == 0 ? CLI_OK : failed(CLI_IO, "make durable the directory of", edit->path);
}

int edit_commit(struct edit *edit, const struct edit_text *content)
{
	sigset_t all, before;
	if (content->len > PASSWD_FILE_MAX) {
		cli_complain("%s would become larger than %d MiB; nothing was changed", edit->path, PASSWD_FILE_MAX >> 20);
		return CLI_DATA;
	}
	/* A Ctrl-C waits these milliseconds, so that no temporary file with hashes stays behind. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	int result = replace(edit, content);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}
