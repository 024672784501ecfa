/*
 * passwd_image.c - the passwd file, read whole.
 * Runs in: keeper, as root; postern passwd, as whoever called it.
 * Trusts: the file, once its mode and owner are checked.
 *
 * Whoever replaces the file by rename is safe: the descriptor keeps the old or the new one.
 * A file that is rewritten in place is read again until it holds still.
 */
#include "auth/passwd_records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

/* Why the file cannot be believed, or NULL. */
static const char *distrust(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs neither to root nor to the user that reads it; chown root it";
	if ((st->st_mode & S_IRWXO) != 0)
		return "others can read or write it; chmod o= it";
	if ((st->st_mode & S_IWGRP) != 0)
		return "its group can write it; chmod g-w it";
	if (st->st_size > PASSWD_FILE_MAX)
		return "it is larger than 16 MiB";
	return NULL;
}

static int open_failed(const char *path, int err, struct why *why_r)
{
	if (err == ELOOP)
		return why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s refused: it is a symbolic link", path);
	bool denied = err == EACCES || err == EPERM || err == ENOTDIR;
	return why_set(why_r, denied ? REASON_AUTH_SETUP : REASON_AUTH_TEMPORARY, err, "open passwd file %.100s", path);
}

/* Milliseconds until the file is PASSWD_SETTLE_MS old. A time in the future says nothing, and is not waited for. */
static int unsettled_ms(const struct stat *st)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	long long age = (long long)(now.tv_sec - st->st_mtim.tv_sec) * MS_PER_S + (now.tv_nsec - st->st_mtim.tv_nsec) / NS_PER_MS;
	return age < 0 || age >= PASSWD_SETTLE_MS ? 0 : (int)(PASSWD_SETTLE_MS - age);
}

static void sleep_ms(int ms)
{
	struct timespec left = { .tv_nsec = (long)ms * NS_PER_MS };
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static bool is_same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* One attempt: 1 read, 0 it changed meanwhile, -1 with errno. */
static int read_once(int fd, const struct stat *before, struct passwd_image *image)
{
	size_t room = (size_t)before->st_size + 1;  /* one more, to see a file that has grown */
	char *data = realloc(image->data, room);
	if (data == NULL)
		return -1;
	image->data = data;
	ssize_t have = io_read_at(fd, data, room, 0);
	if (have < 0 || fstat(fd, &image->st) < 0)
		return -1;
	image->len = (size_t)have;
	return have == before->st_size && is_same_state(before, &image->st) ? 1 : 0;
}

static int read_stable(int fd, const char *path, bool settle, struct passwd_image *image, struct why *why_r)
{
	bool was_empty = false;
	for (int i = 0; i < PASSWD_READS_MAX; i++) {
		struct stat st;
		if (fstat(fd, &st) < 0)
			return why_set(why_r, REASON_AUTH_TEMPORARY, errno, "look at passwd file %.100s", path);
		const char *problem = distrust(&st);
		if (problem != NULL)
			return why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s refused: %s", path, problem);
		int wait = settle ? unsettled_ms(&st) : 0;
		/* Who rewrites it cuts it off first, and a file system may do that a moment before it changes the time (tmpfs does). */
		if (settle && wait == 0 && st.st_size == 0 && !was_empty)
			wait = PASSWD_SETTLE_MS;
		was_empty = st.st_size == 0;
		if (wait > 0) {
			sleep_ms(wait);
			continue;
		}
		int done = read_once(fd, &st, image);
		if (done < 0)
			return why_set(why_r, REASON_AUTH_TEMPORARY, errno, "read passwd file %.100s", path);
		if (done > 0)
			return 0;
	}
	return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "passwd file %.100s keeps changing while it is read;"
	               " replace it by rename instead of writing into it", path);
}

int passwd_image_read(const char *path, bool settle, struct passwd_image *image_r, struct why *why_r)
{
	memset(image_r, 0, sizeof *image_r);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? 0 : open_failed(path, errno, why_r);
	int result = read_stable(fd, path, settle, image_r, why_r);
	if (result < 0)
		passwd_image_free(image_r);
	(void)close(fd);
	return result;
}

void passwd_image_free(struct passwd_image *image)
{
	if (image->data != NULL)
		explicit_bzero(image->data, image->len);
	free(image->data);
	image->data = NULL;
	image->len = 0;
}
