/*
 * passwd_image.c - the passwd file: all of it, or one line, of one state of it.
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

enum {
	MS_PER_S = 1000, NS_PER_MS = 1000000,
	PIECE = 16384,               /* octets that are looked through at a time */
};

/* One attempt: 1 read, 0 it changed meanwhile, -1 with errno. */
typedef int read_once(int fd, const struct stat *before, void *into);

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

/* Is it still what it was before? 1, 0 or -1, as above. */
static int is_unchanged(int fd, const struct stat *before, struct stat *now_r)
{
	return fstat(fd, now_r) < 0 ? -1 : is_same_state(before, now_r);
}

static int read_whole(int fd, const struct stat *before, void *into)
{
	struct passwd_image *image = into;
	size_t room = (size_t)before->st_size + 1;  /* one more, to see a file that has grown */
	/* Not realloc(3): see make_room(). */
	passwd_image_free(image);
	char *data = malloc(room);
	if (data == NULL)
		return -1;
	image->data = data;
	ssize_t have = io_read_at(fd, data, room, 0);
	if (have < 0)
		return -1;
	image->len = (size_t)have;
	const int same = is_unchanged(fd, before, &image->st);
	return same > 0 ? have == before->st_size : same;
}

static int read_stable(int fd, const char *path, bool settle, read_once *read, void *into, struct why *why_r)
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
		int done = read(fd, &st, into);
		if (done < 0)
			return why_set(why_r, REASON_AUTH_TEMPORARY, errno, "read passwd file %.100s", path);
		if (done > 0)
			return 0;
	}
	return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "passwd file %.100s keeps changing while it is read;"
	               " replace it by rename instead of writing into it", path);
}

/* 0; 1 when there is no such file; or -1 and *why_r. */
static int read_path(const char *path, bool settle, read_once *read, void *into, struct why *why_r)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? 1 : open_failed(path, errno, why_r);
	int result = read_stable(fd, path, settle, read, into, why_r);
	(void)close(fd);
	return result;
}

int passwd_image_read(const char *path, bool settle, struct passwd_image *image_r, struct why *why_r)
{
	memset(image_r, 0, sizeof *image_r);
	int result = read_path(path, settle, read_whole, image_r, why_r);
	if (result < 0)
		passwd_image_free(image_r);
	return result < 0 ? -1 : 0;
}

void passwd_image_free(struct passwd_image *image)
{
	if (image->data != NULL)
		explicit_bzero(image->data, image->len);
	free(image->data);
	image->data = NULL;
	image->len = 0;
}

/* ---- one line ---- */

struct search {
	passwd_wanted *wanted;
	const void *context;
	struct passwd_line *found;
	char *piece;             /* of the file: first, or of malloc(3) */
	size_t room, used;       /* its octets; as many were ever written to */
	char first[PIECE];       /* on the stack, where a login uses the same pages again */
};

/* What stands in the piece, line by line: 1 found, 0 not, -1 with errno. */
static int search_lines(const struct search *s, struct passwd_lines *lines)
{
	struct text line;
	while (passwd_line_next(lines, &line)) {
		if (!s->wanted(line, s->context))
			continue;
		char *data = malloc(line.len + 1);
		if (data == NULL)
			return -1;
		memcpy(data, line.p, line.len);
		s->found->data = data;
		s->found->len = line.len;
		s->found->number = lines->line;
		return 1;
	}
	return 0;
}

/* How many of the octets are whole lines. */
static size_t whole_lines(const char *p, size_t len)
{
	const char *end = memrchr(p, '\n', len);
	return end != NULL ? (size_t)(end - p) + 1 : 0;
}

static void give_up_piece(struct search *s)
{
	explicit_bzero(s->piece, s->used);
	if (s->piece != s->first)
		free(s->piece);
}

/* A line that is longer than the piece: no record, and yet to be told from others. */
static int make_room(struct search *s)
{
	/* Not realloc(3), which leaves the hashes of others behind where it was. */
	char *more = malloc(2 * s->room);  /* NOLINT(clang-analyzer-optin.portability.UnixAPI): it never is 0 */
	if (more == NULL)
		return -1;
	memcpy(more, s->piece, s->room);
	give_up_piece(s);
	s->piece = more;
	s->room *= 2;
	return 0;
}

/* To the line that is wanted, or to the end. */
static int search_once(int fd, const struct stat *before, void *into)
{
	struct search *s = into;
	struct passwd_lines lines = { .line = 0 };
	struct stat now;
	const size_t size = (size_t)before->st_size;
	size_t at = 0, have = 0;
	int found = 0;
	passwd_line_free(s->found);
	while (found == 0 && at < size) {
		const size_t room = s->room - have, wanted = size - at < room ? size - at : room;
		const ssize_t n = io_read_at(fd, s->piece + have, wanted, at);
		if (n != (ssize_t)wanted)
			return n < 0 ? -1 : 0;
		at += wanted;
		have += wanted;
		s->used = have > s->used ? have : s->used;
		const size_t whole = at == size ? have : whole_lines(s->piece, have);
		lines.rest = (struct text){ s->piece, whole };
		found = search_lines(s, &lines);
		have -= whole;
		memmove(s->piece, s->piece + whole, have);
		if (have == s->room && make_room(s) < 0)
			return -1;
	}
	return found < 0 ? -1 : is_unchanged(fd, before, &now);
}

int passwd_line_find(const char *path, bool settle, passwd_wanted *wanted, const void *context, struct passwd_line *line_r, struct why *why_r)
{
	struct search search = { .wanted = wanted, .context = context, .found = line_r, .room = PIECE };
	search.piece = search.first;
	*line_r = (struct passwd_line){ .data = NULL };
	const int result = read_path(path, settle, search_once, &search, why_r);
	give_up_piece(&search);
	if (result < 0)
		passwd_line_free(line_r);
	line_r->no_file = result > 0;
	return result < 0 ? -1 : line_r->data != NULL;
}

void passwd_line_free(struct passwd_line *line)
{
	if (line->data != NULL)
		explicit_bzero(line->data, line->len);
	free(line->data);
	*line = (struct passwd_line){ .data = NULL };
}
