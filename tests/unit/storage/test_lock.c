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
			session_lock_write_holder(fd, "203.0.113.7", "anna");
		return fd;
	}
	struct session_holder holder;
	CU_ASSERT_FATAL(session_lock_read_holder(fd, &holder) == 0);
	CU_ASSERT(holder.pid > 0);
	(void)snprintf(why_r->told, sizeof why_r->told, "%.20s from %.20s", holder.user, holder.peer);
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
		ROW_TEXT(rows[i].label, why.told, rows[i].free ? "" : "anna from 203.0.113.7");
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

/* A shorter text replaces a longer one whole. */
static void test_holder_replaced(void)
{
	struct why why;
	struct session_holder holder;
	scratch_open();
	make_dir("locks");
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	const int64_t before = time(NULL);
	session_lock_write_holder(fd, "2001:db8::1", "a long name that was here");
	session_lock_write_holder(fd, "::1", "ann");
	CU_ASSERT(session_lock_read_holder(fd, &holder) == 0);
	ROW_TEXT("peer", holder.peer, "::1");
	ROW_TEXT("user", holder.user, "ann");
	CU_ASSERT(holder.since >= before && holder.since <= time(NULL) && holder.pid == getpid());
	(void)close(fd);
	scratch_close();
}

/* What stands in a lock file is for people, and cannot fool or flood them, nor reach a terminal as it is. */
static void test_holder_read(void)
{
	static const struct {
		const char *text, *peer, *user;  /* peer NULL: not taken for anything */
	} rows[] = {
		{ "1795424346 4711 203.0.113.7\tanna", "203.0.113.7", "anna" },
		{ "1795424346 4711 this server's recovery\t", "this server's recovery", "" },
		{ "1795424346 4711 \033[2J\tann\nb\ta", "\\x1b[2J", "ann\\x0ab\\x09a" },
		{ "4102444800 4711 203.0.113.7\tanna", "203.0.113.7", "anna" }, /* behind 2038 */
		{ "", NULL, NULL },
		{ "253402300800 4711 203.0.113.7\tanna", NULL, NULL },
		{ "1795424346 203.0.113.7", NULL, NULL },
		{ "1795424346 4711 203.0.113.7", NULL, NULL },
		{ "1795424346 4711 \tanna", NULL, NULL },
		{ "soon 4711 203.0.113.7\tanna", NULL, NULL },
		{ "1795424346 99999999999 203.0.113.7\tanna", NULL, NULL },
	};
	struct why why;
	scratch_open();
	make_dir("locks");
	int fd = lock_session(in_scratch("locks"), MAILDROP_MBOX, "mbox", &why);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct session_holder holder;
		CU_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, rows[i].text, strlen(rows[i].text), 0) == (ssize_t)strlen(rows[i].text));
		const bool taken = session_lock_read_holder(fd, &holder) == 0;
		ROW_ASSERT(rows[i].text, taken == (rows[i].peer != NULL));
		if (!taken || rows[i].peer == NULL)
			continue;
		ROW_TEXT(rows[i].text, holder.peer, rows[i].peer);
		ROW_TEXT(rows[i].text, holder.user, rows[i].user);
	}
	char flood[4096];
	struct session_holder holder;
	memset(flood, '\n', sizeof flood);
	memcpy(flood, "1 2 3\t", 6);
	CU_ASSERT(pwrite(fd, flood, sizeof flood, 0) == (ssize_t)sizeof flood && session_lock_read_holder(fd, &holder) == 0);
	CU_ASSERT(strlen(holder.user) <= WHY_TOLD_MAX - 1 && strcmp(holder.user + strlen(holder.user) - 3, "...") == 0);
	(void)close(fd);
	scratch_close();
}

static void note_held(void *context, const struct session_lock *lock)
{
	char *users = context;
	(void)snprintf(users + strlen(users), 256 - strlen(users), "%s %u ", lock->holder.user, (unsigned)lock->owner);
	CU_ASSERT(flock(lock->fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK);
}

/* Locks that are held are found, others are not, and files that are no locks neither; looking holds none afterwards. */
static void test_held(void)
{
	struct why why;
	char users[256] = "";
	scratch_open();
	make_dir("locks");
	CU_ASSERT(mkfifo(in_scratch("locks/0123456789abcdef0123456789abcdef-1000"), 0600) == 0);
	CU_ASSERT(symlink("nowhere", in_scratch("locks/0123456789abcdef0123456789abcde0-1000")) == 0);
	put("locks/README", "no lock");
	put("locks/0123456789abcdef0123456789abcdef-x", "no lock");
	(void)close(lock_session(in_scratch("locks"), MAILDROP_MBOX, "gone", &why));
	int fd = lock_session_of(1000, in_scratch("locks"), MAILDROP_MBOX, "here", &why);
	CU_ASSERT(session_locks_held(in_scratch("locks"), note_held, users, &why) == 0);
	ROW_TEXT("held", users, "anna 1000 ");
	(void)close(fd);
	for (int i = 0; i < 2; i++) {
		users[0] = '\0';
		CU_ASSERT(session_locks_held(in_scratch("locks"), note_held, users, &why) == 0);
		ROW_TEXT("let go", users, "");
	}
	CU_ASSERT(session_locks_held(in_scratch("none"), note_held, users, &why) == -1);
	CU_ASSERT(strstr(why.text, "No such file") != NULL);
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

#define TESTS(X) X(test_session) X(test_holder_killed) X(test_session_waits) \
	X(test_holder_replaced) X(test_holder_read) X(test_held) X(test_watch) X(test_lock_directory)
SUITE("lock")
