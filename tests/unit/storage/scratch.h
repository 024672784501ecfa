/*
 * scratch.h - a directory for one test, files in it, and maildrops opened there.
 * Runs in: the tests, as root or as any user. Trusts: nothing.
 */
#ifndef POSTERN_SCRATCH_H
#define POSTERN_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"
#include "storage/maildrop.h"
#include "tests/unit/suite.h"

enum {
	NOBODY = 65534,    /* a uid without rights, for what root would be let through */
	NOTICES_MAX = 8192,
	UPDATE_MAX = 32768,  /* messages */
	LARGE = 12 * 1024,   /* octets of large_message(): more than a block of any file system that tests run on */
};

static char scratch[PATH_MAX / 4];
static char notices[NOTICES_MAX];

static inline const char *in_scratch(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	(void)snprintf(path, PATH_MAX, "%s/%s", scratch, name);
	return path;
}

static inline void scratch_open(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(scratch, sizeof scratch, "%s/postern-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	CU_ASSERT_FATAL(mkdtemp(scratch) != NULL);
	CU_ASSERT_FATAL(chmod(scratch, 0755) == 0);
	notices[0] = '\0';
}

static inline int scratch_remove_(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_close(void)
{
	CU_ASSERT(nftw(scratch, scratch_remove_, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static inline void make_dir(const char *name)
{
	CU_ASSERT_FATAL(mkdir(in_scratch(name), 0755) == 0);
}

static inline void write_file(const char *name, const void *content, size_t len, int flags)
{
	int fd = open(in_scratch(name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(write(fd, content, len) == (ssize_t)len);
	(void)close(fd);
}

static inline void put_octets(const char *name, const void *content, size_t len)
{
	write_file(name, content, len, O_TRUNC);
}

static inline void put(const char *name, const char *text)
{
	write_file(name, text, strlen(text), O_TRUNC);
}

static inline void append(const char *name, const char *text)
{
	write_file(name, text, strlen(text), O_APPEND);
}

/* The content, NUL-terminated, to be freed; NULL when there is no such file. */
static inline char *get(const char *name, size_t *len_r)
{
	struct stat st;
	int fd = open(in_scratch(name), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	CU_ASSERT_FATAL(fstat(fd, &st) == 0);
	char *text = calloc(1, (size_t)st.st_size + 1);
	CU_ASSERT_FATAL(text != NULL);
	CU_ASSERT_FATAL(read(fd, text, (size_t)st.st_size) == st.st_size);
	(void)close(fd);
	if (len_r != NULL)
		*len_r = (size_t)st.st_size;
	return text;
}

static inline bool exists(const char *name)
{
	struct stat st;
	return lstat(in_scratch(name), &st) == 0;
}

static inline void expect_content(const char *label, const char *name, const char *want)
{
	char *got = get(name, NULL);
	ROW_TEXT(label, got != NULL ? got : "(no file)", want);
	free(got);
}

/* Of an mbox, with the blank line behind it. */
static inline const char *large_message(void)
{
	static char text[LARGE + 1];
	size_t n = (size_t)snprintf(text, sizeof text, "From ann@example.org Thu Jan  1 00:00:00 1970\nSubject: large\n\n");
	for (; n < LARGE; n++)
		text[n] = n % 64 == 0 || n >= LARGE - 2 ? '\n' : 'y';
	return text;
}

/* ---- maildrops ---- */

static inline void take_notice(void *context, enum notice weight, const char *text)
{
	size_t len = strlen(notices);
	(void)context, (void)weight;
	(void)snprintf(notices + len, sizeof notices - len, "%s\n", text);
}

/* The journal of all mboxes of a test, one after the other. */
static int scratch_journal = -1;

static inline struct maildrop_options default_options(void)
{
	if (scratch_journal < 0)
		scratch_journal = memfd_create("journal", MFD_CLOEXEC);
	CU_ASSERT_FATAL(scratch_journal >= 0);
	return (struct maildrop_options){ .owner = geteuid(), .journal = scratch_journal, .dotlock_helper = -1, .notice = take_notice };
}

static inline struct maildrop_place place_in_scratch(enum maildrop_format format, const char *name)
{
	struct maildrop_place place = { .format = format };
	(void)snprintf(place.path, sizeof place.path, "%s", in_scratch(name));
	return place;
}

static inline struct maildrop *try_open(enum maildrop_format format, const char *name, struct why *why_r)
{
	struct maildrop_place place = place_in_scratch(format, name);
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	*why_r = (struct why){ .reason = REASON_NONE };
	int r = maildrop_open(&place, &options, &drop, why_r);
	CU_ASSERT((r == 0) == (drop != NULL));
	return drop;
}

static inline struct maildrop *open_drop(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = try_open(format, name, &why);
	if (drop == NULL)
		fprintf(stderr, "row \"%s\": %s\n", label, why.text);
	CU_ASSERT_FATAL(drop != NULL);
	return drop;
}

static inline size_t count_of(const struct maildrop *drop)
{
	return maildrop_count(drop);
}

static inline const struct message_record *record_of(const struct maildrop *drop, size_t idx)
{
	enum { AT_ONCE = 4 };
	static struct message_record records[AT_ONCE];  /* so that a few can be compared */
	static size_t next;
	struct message_record *record = &records[next++ % AT_ONCE];
	CU_ASSERT_FATAL(idx < maildrop_count(drop));
	maildrop_record(drop, idx, record);
	return record;
}

static char read_text[65536];
static unsigned long messages_read;  /* by maildrop_read() */

/* What RETR would send, NUL-terminated, to be freed; checks that the next LIST would say the same size. */
static inline char *fetch(const char *label, struct maildrop *drop, size_t idx)
{
	struct message_body body = { .fd = -1 };
	struct why why = { .reason = REASON_NONE };
	size_t len = 0;
	uint64_t read_wire = 0;
	const bool was_read = maildrop_read(drop, idx, read_text, sizeof read_text, &len, &read_wire) == 0;
	if (maildrop_fetch(drop, idx, &body, &why) != 0) {
		fprintf(stderr, "row \"%s\": fetch: %s\n", label, why.text);
		CU_FAIL("fetch");
		return strdup("(not fetched)");
	}
	char *stored = malloc((size_t)body.length + 1), *wire = malloc((size_t)WIRE_ROOM(body.length) + 3);
	CU_ASSERT_FATAL(stored != NULL && wire != NULL);
	ROW_ASSERT(label, pread(body.fd, stored, (size_t)body.length, (off_t)body.offset) == (ssize_t)body.length);
	CU_ASSERT((fcntl(body.fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CU_ASSERT((fcntl(body.fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)close(body.fd);
	/* Who reads it instead has the same; he need not succeed. */
	ROW_ASSERT(label, !was_read || (len == body.length && memcmp(read_text, stored, len) == 0));
	messages_read += was_read;
	struct wire w = WIRE_START;
	size_t n = wire_encode(&w, stored, (size_t)body.length, wire);
	n += wire_encode_end(&w, wire + n);
	wire[n] = '\0';
	ROW_ASSERT(label, body.wire == w.octets && (!was_read || read_wire == w.octets) && record_of(drop, idx)->octets == w.octets);
	free(stored);
	return wire;
}

static inline void expect_message(const char *label, struct maildrop *drop, size_t idx, const char *want)
{
	char *got = fetch(label, drop, idx);
	ROW_TEXT(label, got, want);
	free(got);
}

static inline enum reason fetch_reason(struct maildrop *drop, size_t idx)
{
	struct message_body body = { .fd = -1 };
	struct why why = { .reason = REASON_NONE };
	size_t len;
	uint64_t wire;
	const bool was_read = maildrop_read(drop, idx, read_text, sizeof read_text, &len, &wire) == 0;
	if (maildrop_fetch(drop, idx, &body, &why) != 0) {
		/* What cannot be fetched is not read either. */
		CU_ASSERT(!was_read);
		return why.reason;
	}
	(void)close(body.fd);
	return REASON_NONE;
}

/* marks: "x.x" deletes the first and the third; errors gets as many as it has letters. The result of maildrop_update(). */
static inline int update(struct maildrop *drop, const char *marks, int *errors, struct why *why_r)
{
	/* Not from malloc(), which may be the one that is to fail. */
	static bool marked[UPDATE_MAX];
	static int all[UPDATE_MAX];
	size_t count = count_of(drop);
	CU_ASSERT_FATAL(count <= UPDATE_MAX && strlen(marks) <= count);
	memset(all, -1, sizeof all);
	*why_r = (struct why){ .reason = REASON_NONE };
	for (size_t i = 0; i < count; i++)
		marked[i] = i < strlen(marks) && marks[i] == 'x';
	int r = maildrop_update(drop, marked, all, why_r);
	memcpy(errors, all, strlen(marks) * sizeof *all);
	return r;
}

static inline void update_well(const char *label, struct maildrop *drop, const char *marks)
{
	int errors[64];
	struct why why;
	memset(errors, -1, sizeof errors);
	int r = update(drop, marks, errors, &why);
	if (r != 0)
		fprintf(stderr, "row \"%s\": update: %s\n", label, why.text);
	ROW_ASSERT(label, r == 0);
	for (size_t i = 0; marks[i] != '\0'; i++)
		ROW_ASSERT(label, errors[i] == 0);
}

/* ---- other processes ---- */

/* Runs the test's function in a child, as nobody when we are root; true when it returned true. */
static inline bool as_nobody(bool (*function)(void))
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
			_exit(2);
		_exit(function() ? 0 : 1);
	}
	CU_ASSERT_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void give_to_nobody(const char *name)
{
	if (geteuid() == 0)
		CU_ASSERT_FATAL(lchown(in_scratch(name), NOBODY, NOBODY) == 0);
}

#endif
