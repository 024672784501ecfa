/*
 * test_lock.c - one session a maildrop.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/lock.h"

#include <signal.h>

#include "tests/unit/storage/spool.h"

/* ---- the session's lock ---- */

static int lock_session_of(uid_t owner, const char *directory, enum maildrop_format format, const char *name, struct why *why_r)
{
	struct maildrop_place place = place_in_scratch(format, name);
	int fd = -1;
	*why_r = (struct why){ .reason = REASON_NONE };
	int r = session_lock_open(directory, &place, owner, &fd, why_r);
	CU_ASSERT((r == 0) == (fd >= 0));
	int err = r == 0 ? flock_patiently(fd, SESSION_LOCK_WAIT_MS, -1) : 0;
	if (r != 0 || err == 0) {
		if (r == 0)
			session_lock_write_holder(fd, "open since 10:02 from 203.0.113.7");
		return fd;
	}
	session_lock_read_holder(fd, why_r->told);
	why_r->reason = REASON_MAILDROP_LOCKED;
	why_r->err = err;
	(void)close(fd);
	return -1;
}

static int lock_session(const char *directory, enum maildrop_format format, const char *name, struct why *why_r)
{
	return lock_session_of(0, directory, format, name, why_r);
}

static void test_session(void)
{
	static const struct {
		const char *label;
		enum maildrop_format format;
		const char *name;
		bool free;
		uid_t owner;
	} rows[] = {
		{ "the same", MAILDROP_MBOX, "box/mbox", false, 0 },
		{ "by another way", MAILDROP_MBOX, "link/mbox", false, 0 },
		{ "by a longer way", MAILDROP_MBOX, "box/../box//./mbox", false, 0 },
		{ "another file", MAILDROP_MBOX, "box/mbox2", true, 0 },
		{ "another format", MAILDROP_MAILDIR, "box/mbox", true, 0 },
		{ "in no directory", MAILDROP_MBOX, "none/mbox", true, 0 },
		{ "another owner's", MAILDROP_MBOX, "link/mbox", true, 1 },
	};
	struct why why;
	scratch_open();
	make_dir("locks");
	make_dir("box");
	CU_ASSERT(symlink("box", in_scratch("link")) == 0);
	int first = lock_session(in_scratch("locks"), MAILDROP_MBOX, "box/mbox", &why);
	CU_ASSERT((fcntl(first, F_GETFD) & FD_CLOEXEC) != 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		long before = clock_ms();
		int fd = lock_session_of(rows[i].owner, in_scratch("locks"), rows[i].format, rows[i].name, &why);
		ROW_ASSERT(rows[i].label, (fd >= 0) == rows[i].free);
		ROW_ASSERT(rows[i].label, why.reason == (rows[i].free ? REASON_NONE : REASON_MAILDROP_LOCKED));
		ROW_ASSERT(rows[i].label, why.err == (rows[i].free ? 0 : EWOULDBLOCK));
		ROW_TEXT(rows[i].label, why.told, rows[i].free ? "" : "open since 10:02 from 203.0.113.7");
		ROW_ASSERT(rows[i].label, rows[i].free || clock_ms() - before >= SESSION_LOCK_WAIT_MS);
		if (fd >= 0)
			(void)close(fd);
	}
	(void)close(first);
	first = lock_session(in_scratch("locks"), MAILDROP_MBOX, "box/mbox", &why);
	CU_ASSERT(first >= 0);
	(void)close(first);
	scratch_close();
}

/* The holder's process dies without a word: its lock is free at once. */
static void test_holder_killed(void)
{
	struct why why;
	int ready[2];
	char octet;
	scratch_open();
	make_dir("locks");
	CU_ASSERT_FATAL(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
		if (fd < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	CU_ASSERT(read(ready[0], &octet, 1) == 1);
	CU_ASSERT(lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_LOCKED);
	CU_ASSERT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	CU_ASSERT(fd >= 0);
	(void)close(fd);
	(void)close(ready[0]);
	(void)close(ready[1]);
	scratch_close();
}

static int held_fd = -1;

static void let_go(void)
{
	(void)close(held_fd);
	faults_on_sleep = NULL;
}

/* A session that just ends is waited for. */
static void test_session_waits(void)
{
	struct why why;
	scratch_open();
	make_dir("locks");
	held_fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	faults_on_sleep = let_go;
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	CU_ASSERT(fd >= 0);
	(void)close(fd);
	scratch_close();
}

/* What stands in a lock file is for people, and cannot fool or flood them. */
static void test_holder_text(void)
{
	static const struct {
		const char *label, *text, *told;
		size_t len;
	} rows[] = {
		{ "nothing yet", "", "", 0 },
		{ "line end", "a\r\n+OK", "a\\x0d\\x0a+OK", 6 },
		{ "NUL", "abc\0def", "abc", 7 },
	};
	struct why why;
	for (size_t i = 0; i <= sizeof rows / sizeof rows[0]; i++) {
		char text[4 * WHY_TOLD_MAX];
		bool flood = i == sizeof rows / sizeof rows[0];
		size_t len = flood ? sizeof text : rows[i].len;
		memset(text, '\n', sizeof text);
		if (!flood)
			memcpy(text, rows[i].text, len);
		scratch_open();
		make_dir("locks");
		int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
		CU_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, text, len, 0) == (ssize_t)len);
		CU_ASSERT(lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why) == -1);
		if (flood) {
			CU_ASSERT(strlen(why.told) <= WHY_TOLD_MAX - 1 && strcmp(why.told + strlen(why.told) - 3, "...") == 0);
		} else {
			ROW_TEXT(rows[i].label, why.told, rows[i].told);
		}
		(void)close(fd);
		scratch_close();
	}
}

/* A shorter text replaces a longer one whole. */
static void test_holder_replaced(void)
{
	struct why why;
	char told[WHY_TOLD_MAX];
	scratch_open();
	make_dir("locks");
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	session_lock_write_holder(fd, "a long text that was here");
	session_lock_write_holder(fd, "short");
	session_lock_read_holder(fd, told);
	ROW_TEXT("holder", told, "short");
	(void)close(fd);
	scratch_close();
}

/* Waiting ends when the server stops. */
static void test_watch(void)
{
	struct why why;
	int ends[2], other = -1;
	scratch_open();
	make_dir("locks");
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	CU_ASSERT_FATAL(pipe(ends) == 0 && session_lock_open(in_scratch("locks"), &place, 0, &other, &why) == 0);
	CU_ASSERT(write(ends[1], "x", 1) == 1);
	long before = clock_ms();
	CU_ASSERT(flock_patiently(other, 60000, ends[0]) == ECANCELED && clock_ms() - before < 30000);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(other);
	(void)close(fd);
	scratch_close();
}

static void test_lock_directory(void)
{
	struct why why;
	scratch_open();
	CU_ASSERT(lock_session(in_scratch("none"), MAILDROP_MBOX, "mbox", &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_IO && why.err == ENOENT);
	put("file", "");
	CU_ASSERT(lock_session(in_scratch("file"), MAILDROP_MBOX, "mbox", &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_IO && why.err == ENOTDIR);
	/* Find the lock file's name, and put something else in its place. */
	make_dir("locks");
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	char path[PATH_MAX] = "", proc[64];
	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	CU_ASSERT(readlink(proc, path, sizeof path - 1) > 0);
	struct stat st;
	CU_ASSERT(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	(void)close(fd);
	CU_ASSERT(unlink(path) == 0 && symlink("../file", path) == 0);
	CU_ASSERT(lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why) == -1 && why.err == ELOOP);
	CU_ASSERT(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	CU_ASSERT(lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why) == -1 && why.reason == REASON_MAILDROP_IO);
	scratch_close();
}

#define TESTS(X) X(test_session) X(test_holder_killed) X(test_session_waits) X(test_holder_text) \
	X(test_holder_replaced) X(test_watch) X(test_lock_directory)
SUITE("lock")
