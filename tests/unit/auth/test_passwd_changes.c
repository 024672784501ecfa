/*
 * test_passwd_changes.c - the passwd file back end, when the file changes under its feet: a wrong password is never said of a half file.
 * Runs in: the tests.
 */
#include <sys/syscall.h>
#include <time.h>

#include "auth/passwd_records.h"
#include "passwd_fixture.h"

/* What happens to the file in the midst of a read: called in place of pread(2), before it reads. */
static void (*meanwhile)(void);
static bool is_young; /* the clock says that every file was written a millisecond ago */

/* By the linker's name only: the C library's headers have an inline function of the same name. */
ssize_t interposed_pread(int fd, void *octets, size_t size, off_t offset) __asm__("pread");
ssize_t interposed_pread(int fd, void *octets, size_t size, off_t offset)
{
	if (meanwhile != NULL)
		meanwhile();
	return syscall(SYS_pread64, fd, octets, size, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now_r)
{
	if (!is_young)
		return (int)syscall(SYS_clock_gettime, clock, now_r);
	*now_r = (struct timespec){ .tv_sec = 1000000000, .tv_nsec = 1000000 };
	return 0;
}

static void (*while_waiting)(void);

int nanosleep(const struct timespec *time, struct timespec *left_r)
{
	if (while_waiting == NULL)
		return (int)syscall(SYS_nanosleep, time, left_r);
	while_waiting();
	return 0;
}

static void replace_by_rename(void)
{
	CU_ASSERT(rename(fixture_path("new"), file) == 0);
	meanwhile = NULL;
}

static unsigned changes, changes_left;

static void rewrite(const char *text)
{
	const struct timespec then[2] = { { .tv_sec = 1000000001 + changes }, { .tv_sec = 1000000001 + changes } };
	int fd = open(file, O_WRONLY | O_TRUNC);
	CU_ASSERT(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && futimens(fd, then) == 0);
	(void)close(fd);
	changes++;
	if (--changes_left == 0)
		meanwhile = NULL;
}

static void rewrite_same_length(void)
{
	rewrite("b:*:2:2\n");
}

static void rewrite_longer(void)
{
	rewrite("b:*:2:2\nc:*:3:3\n");
}

static void rewrite_shorter(void)
{
	rewrite("b:*\n");
}

static void begin_changes(void (*change)(void), unsigned times)
{
	changes = 0;
	changes_left = times;
	meanwhile = change;
}

static bool is_first(struct text line, const void *unused)
{
	(void)line, (void)unused;
	return true;
}

enum { GOT = 32 };

/* Two ways to read it. What came: all of it, or its first line. */
static int read_all(char got_r[GOT], struct why *why_r)
{
	struct passwd_image image;
	int r = passwd_image_read(file, true, &image, why_r);
	(void)snprintf(got_r, GOT, "%.*s", (int)image.len, image.data != NULL ? image.data : "");
	passwd_image_free(&image);
	return r;
}

static int read_line(char got_r[GOT], struct why *why_r)
{
	struct passwd_line line;
	int r = passwd_line_find(file, true, is_first, NULL, &line, why_r);
	(void)snprintf(got_r, GOT, "%.*s", (int)line.len, line.data != NULL ? line.data : "");
	passwd_line_free(&line);
	return r < 0 ? -1 : 0;
}

/* Replaced in the midst of a read: this read has the old file, whole; the next one the new file. */
static void test_replaced_by_rename(void)
{
	struct passwd_image image;
	struct why why;
	begin("old:x:1001:1002\n");
	fixture_write("new", "new:x:1001:1002\nanother:x:1:1\n", 0600);
	meanwhile = replace_by_rename;
	CU_ASSERT(passwd_image_read(file, true, &image, &why) == 0);
	CU_ASSERT(meanwhile == NULL);
	CU_ASSERT(image.len == 16 && strncmp(image.data, "old:", 4) == 0);
	passwd_image_free(&image);
	CU_ASSERT(passwd_image_read(file, true, &image, &why) == 0);
	CU_ASSERT(image.len == 30 && strncmp(image.data, "new:", 4) == 0);
	passwd_image_free(&image);
	fixture_remove();
}

/* Rewritten in place in the midst of a read: read again; and if it goes on and on, the host's trouble, no wrong password. */
static void test_rewritten_in_place(void)
{
	static const struct {
		const char *label;
		void (*change)(void);
		int (*read)(char got_r[GOT], struct why *why_r);
		const char *want;
	} rows[] = {
		{ "same length", rewrite_same_length, read_all, "b:*:2:2\n" }, { "longer", rewrite_longer, read_all, "b:*:2:2\nc:*:3:3\n" },
		{ "shorter", rewrite_shorter, read_all, "b:*\n" }, { "a line, same length", rewrite_same_length, read_line, "b:*:2:2" },
		{ "a line, longer", rewrite_longer, read_line, "b:*:2:2" }, { "a line, shorter", rewrite_shorter, read_line, "b:*" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		char got[GOT];
		begin("a:*:1:1\n");
		begin_changes(rows[i].change, 1);
		ROW_ASSERT(rows[i].label, rows[i].read(got, &why) == 0 && changes == 1);
		ROW_TEXT(rows[i].label, got, rows[i].want);

		fixture_write("passwd", "a:*:1:1\n", 0600);
		begin_changes(rows[i].change, 1000);
		ROW_ASSERT(rows[i].label, rows[i].read(got, &why) == -1);
		ROW_ASSERT(rows[i].label, why.reason == REASON_AUTH_TEMPORARY && strstr(why.text, "keeps changing") != NULL);
		ROW_TEXT(rows[i].label, got, "");
		meanwhile = NULL;
		fixture_remove();
	}
}

/* Just written, whenever one looks: it may be half. Nobody is told that his password is wrong. */
static void test_never_settles(void)
{
	struct identity identity;
	struct why why;
	begin("a:" SECRET ":1001:1002\n");
	is_young = true;
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_FAILED);
	is_young = false;
	CU_ASSERT(why.reason == REASON_AUTH_TEMPORARY && strstr(why.text, "keeps changing") != NULL);
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_ACCEPTED);
	fixture_remove();
}

static void stay_empty(void) { fixture_write("passwd", "", 0600); }
static void be_written(void) { fixture_write("passwd", "a:" SECRET ":1001:1002\n", 0600); }

/* A file that was cut off to be rewritten, and whose time does not tell it yet. */
static void test_empty_for_a_moment(void)
{
	struct identity identity;
	struct why why;
	begin("a:" SECRET ":1001:1002\n");
	stay_empty();
	while_waiting = be_written;
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_ACCEPTED);
	stay_empty();
	while_waiting = stay_empty;
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_NOT_HERE);
	while_waiting = NULL;
	fixture_remove();
}

/* A file that was just written is read, after it has settled. */
static void test_settles(void)
{
	struct identity identity;
	struct why why;
	begin("a:" SECRET ":1001:1002\n");
	CU_ASSERT(utimensat(AT_FDCWD, settings.passwd_file, NULL, 0) == 0);
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_ACCEPTED);
	const struct timespec future[2] = { { .tv_sec = 4000000000 }, { .tv_sec = 4000000000 } };
	CU_ASSERT(utimensat(AT_FDCWD, settings.passwd_file, future, 0) == 0);
	CU_ASSERT(verify("a", "secret", &identity, &why) == AUTH_ACCEPTED);
	fixture_remove();
}

#define TESTS(X) X(test_replaced_by_rename) X(test_rewritten_in_place) X(test_never_settles) X(test_empty_for_a_moment) X(test_settles)
SUITE("passwd-changes")
