/*
 * test_dotlock.c - the lock file beside an mbox, and the helper that makes it.
 * Runs in: the tests; as root for the rows about the spool's group. Trusts: nothing.
 */
#include "storage/dotlock.h"

#include <linux/magic.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "storage/lock.h"
#include "tests/unit/storage/spool.h"

/* What becomes of the call that gives the lock file its name. */
static enum linking { LINK, DIE_BEFORE, DIE_BEHIND } linking;

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (linking == DIE_BEFORE)
		(void)raise(SIGKILL);
	const int r = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
	if (linking == DIE_BEHIND)
		(void)raise(SIGKILL);
	return r;
}

/* Whoever makes a lock file and dies leaves none, or one that says whose it is, and so goes at once. */
static void test_killed_while_it_is_made(void)
{
	static const struct { const char *label; enum linking when; bool stays; } rows[] = { { "before", DIE_BEFORE, false }, { "behind", DIE_BEHIND, true } };
	struct dotlock ours;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int status = 0;
		scratch_open();
		int dir = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
		CU_ASSERT(dotlock_init(&ours, dir, "mbox") == 0);
		linking = rows[i].when;
		pid_t pid = fork();
		if (pid == 0)
			_exit(dotlock_take(&ours));
		linking = LINK;
		CU_ASSERT(waitpid(pid, &status, 0) == pid);
		ROW_ASSERT(rows[i].label, WIFSIGNALED(status) && exists("mbox.lock") == rows[i].stays);
		ROW_ASSERT(rows[i].label, dotlock_take(&ours) == (rows[i].stays ? EEXIST : 0));
		ROW_ASSERT(rows[i].label, dotlock_take(&ours) == 0 && dotlock_release(&ours) == 0 && !exists("mbox.lock"));
		(void)close(dir);
		scratch_close();
	}
}

/* A file system without nameless files: made, then written. */
static void test_no_nameless_files(void)
{
	struct dotlock ours;
	scratch_open();
	int dir = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(dotlock_init(&ours, dir, "mbox") == 0);
	faults_set(FAULT_OPENAT, 1, EOPNOTSUPP, 0);
	CU_ASSERT(dotlock_take(&ours) == 0);
	faults_clear();
	char *text = get("mbox.lock", NULL);
	CU_ASSERT(text != NULL && atol(text) == (long)getpid());
	free(text);
	CU_ASSERT(dotlock_release(&ours) == 0 && !exists("mbox.lock"));
	(void)close(dir);
	scratch_close();
}

static void test_dotlock(void)
{
	struct dotlock ours, theirs;
	struct stat st;
	scratch_open();
	int dir = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(dotlock_init(&ours, dir, "mbox") == 0 && dotlock_init(&theirs, dir, "mbox") == 0);
	CU_ASSERT(dotlock_refresh(&ours) == ESTALE && dotlock_release(&ours) == 0);
	CU_ASSERT(dotlock_take(&ours) == 0 && dotlock_take(&ours) == 0);
	CU_ASSERT(dotlock_take(&theirs) == EEXIST);
	char *text = get("mbox.lock", NULL);
	CU_ASSERT(text != NULL && atol(text) == (long)getpid());
	free(text);
	/* Refreshed, it is young again. */
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("mbox.lock"), old, 0) == 0);
	CU_ASSERT(dotlock_refresh(&ours) == 0);
	CU_ASSERT(stat(in_scratch("mbox.lock"), &st) == 0 && st.st_mtim.tv_sec > 1000);
	/* Somebody took it for stale: theirs is not touched. */
	CU_ASSERT(rename(in_scratch("mbox.lock"), in_scratch("kept")) == 0);
	CU_ASSERT(dotlock_refresh(&ours) == ESTALE);
	CU_ASSERT(dotlock_take(&theirs) == 0);
	CU_ASSERT(dotlock_refresh(&ours) == ESTALE);
	CU_ASSERT(dotlock_release(&ours) == 0 && exists("mbox.lock"));
	CU_ASSERT(dotlock_release(&theirs) == 0 && !exists("mbox.lock"));
	/* A link there is a lock like any other, and is not followed. */
	put("victim", "safe");
	CU_ASSERT(symlink("victim", in_scratch("mbox.lock")) == 0);
	CU_ASSERT(dotlock_take(&ours) == EEXIST);
	expect_content("victim", "victim", "safe");
	(void)close(dir);
	scratch_close();
}

/* What a dead process of ours left goes at once; what may be a living one's, or is not ours, stays. */
static void test_own_leftover(void)
{
	struct dotlock dead, ours, alive;
	char content[256], *end;
	scratch_open();
	int dir = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(dotlock_init(&dead, dir, "mbox") == 0 && dotlock_init(&ours, dir, "mbox") == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(dotlock_take(&dead) == 0 ? 0 : 1);
	CU_ASSERT(waitpid(pid, NULL, 0) == pid);
	char *text = get("mbox.lock", NULL);
	CU_ASSERT_FATAL(text != NULL && atol(text) == (long)pid);
	const char *origin = strchr(text, '\n');
	const struct {
		const char *label, *format;
		long pid;
		bool goes;
	} rows[] = {
		{ "dead", "%ld%s", pid, true },
		{ "another program's", "%ld\n", pid, false },
		{ "no process id", "x%ld%s", pid, false },
		{ "another host", "%ld\npostern elsewhere.%s", pid, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(content, sizeof content, rows[i].format, rows[i].pid, origin + (i == 3 ? strlen("\npostern ") : 0));
#pragma GCC diagnostic pop
		put("mbox.lock", content);
		ROW_ASSERT(rows[i].label, dotlock_take(&ours) == EEXIST && exists("mbox.lock") == !rows[i].goes);
	}
	/* Alive. */
	CU_ASSERT(dotlock_init(&alive, dir, "alive") == 0 && dotlock_take(&alive) == 0);
	char *own = get("alive.lock", NULL);
	CU_ASSERT_FATAL(own != NULL);
	put("mbox.lock", own);
	CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("mbox.lock") && dotlock_release(&alive) == 0);
	free(own);
	/* Its number is another process's by now: 1 is alive, and started long before. */
	(void)snprintf(content, sizeof content, "1%s", origin);
	put("mbox.lock", content);
	CU_ASSERT(dotlock_take(&ours) == EEXIST && !exists("mbox.lock"));
	/* Of an earlier run of this host: whoever has that number now. */
	(void)snprintf(content, sizeof content, "%ld%s", (long)getpid(), origin);
	end = strrchr(content, ' ');
	end[-1] = end[-1] == '0' ? '1' : '0';
	put("mbox.lock", content);
	CU_ASSERT(dotlock_take(&ours) == EEXIST && !exists("mbox.lock"));
	/* In another container the number means another process. */
	(void)snprintf(content, sizeof content, "%ld%s", (long)pid, origin);
	end = strrchr(content, ' ');
	end[1] = end[1] == '1' ? '2' : '1';
	put("mbox.lock", content);
	CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("mbox.lock"));
	free(text);
	(void)close(dir);
	scratch_close();
}

/* Looked at twice, a second apart, before it goes. */
static void test_dotlock_is_watched(void)
{
	struct dotlock ours;
	scratch_open();
	make_dir("box");
	int dir = open(in_scratch("box"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(dotlock_init(&ours, dir, "mbox") == 0);
	hold_stale_dotlock();
	CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("box/mbox.lock"));
	CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("box/mbox.lock"));
	faults_clock_ms += DOTLOCK_WATCH_MS + 1;
	touch_dotlock();
	CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("box/mbox.lock"));
	faults_clock_ms += DOTLOCK_WATCH_MS + 1;
	CU_ASSERT(dotlock_take(&ours) == EEXIST && !exists("box/mbox.lock"));
	CU_ASSERT(dotlock_take(&ours) == 0);
	CU_ASSERT(dotlock_release(&ours) == 0);
	(void)close(dir);
	scratch_close();
}

/* A lock file from before the host started is nobody's, however young; another host may have a longer life. */
static void test_dotlock_from_before_the_start(void)
{
	static const struct {
		const char *label;
		long up, file_system;
		bool goes;
	} rows[] = {
		{ "started after it", 50, EXT4_SUPER_MAGIC, true },
		{ "started before it", 150, EXT4_SUPER_MAGIC, false },
		{ "perhaps at that time", 100, EXT4_SUPER_MAGIC, false },
		{ "another host's", 50, NFS_SUPER_MAGIC, false },
		{ "perhaps another host's", 50, FUSE_SUPER_MAGIC, false },
		{ "it cannot be told", 50, -1, false },
	};
	struct dotlock ours;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		scratch_open();
		make_dir("box");
		int dir = open(in_scratch("box"), O_PATH | O_DIRECTORY | O_CLOEXEC);
		CU_ASSERT(dotlock_init(&ours, dir, "mbox") == 0);
		put("box/mbox.lock", "");
		const time_t then = time(NULL) - 100;
		struct timespec old[2] = { { .tv_sec = then }, { .tv_sec = then } };
		CU_ASSERT(utimensat(dir, "mbox.lock", old, 0) == 0);
		faults_up_seconds = rows[i].up;
		faults_file_system = rows[i].file_system;
		CU_ASSERT(dotlock_take(&ours) == EEXIST && exists("box/mbox.lock"));
		faults_clock_ms += DOTLOCK_WATCH_MS + 1;
		CU_ASSERT(dotlock_take(&ours) == EEXIST);
		ROW_ASSERT(rows[i].label, exists("box/mbox.lock") == !rows[i].goes);
		faults_up_seconds = faults_file_system = 0;
		(void)close(dir);
		scratch_close();
	}
}

/* ---- the helper ---- */

static pid_t start_helper(const struct maildrop_place *place, int type, int *fd_r)
{
	int pair[2];
	CU_ASSERT_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(pair[0]);
		dotlock_serve(pair[1], place);
		_exit(0);
	}
	(void)close(pair[1]);
	*fd_r = pair[0];
	return pid;
}

static int ask(int fd, char command)
{
	int answer = -1;
	CU_ASSERT(write(fd, &command, 1) == 1);
	CU_ASSERT(recv(fd, &answer, sizeof answer, 0) == (ssize_t)sizeof answer);
	return answer;
}

static void test_helper(void)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	for (size_t i = 0; i < 2; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		int fd = -1;
		open_box(&options, &place);
		pid_t pid = start_helper(&place, types[i], &fd);
		CU_ASSERT(ask(fd, 'R') == ESTALE);
		CU_ASSERT(ask(fd, 'L') == 0 && exists("box/mbox.lock"));
		CU_ASSERT(ask(fd, 'R') == 0);
		CU_ASSERT(ask(fd, '?') == EINVAL);
		CU_ASSERT(ask(fd, 'U') == 0 && !exists("box/mbox.lock"));
		put("box/mbox.lock", "other");
		CU_ASSERT(ask(fd, 'L') == EEXIST && ask(fd, 'U') == 0 && exists("box/mbox.lock"));
		CU_ASSERT(unlink(in_scratch("box/mbox.lock")) == 0);
		/* The keeper dies with the lock held. */
		CU_ASSERT(ask(fd, 'L') == 0);
		(void)close(fd);
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
		CU_ASSERT(!exists("box/mbox.lock"));
		close_box();
	}
}

static void test_helper_without_directory(void)
{
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "none/mbox");
	int fd = -1;
	pid_t pid = start_helper(&place, SOCK_SEQPACKET, &fd);
	CU_ASSERT(ask(fd, 'L') == ENOENT && ask(fd, 'U') == ENOENT);
	(void)close(fd);
	CU_ASSERT(waitpid(pid, NULL, 0) == pid);
}

static int helper_fd = -1;

/* As somebody who may not write the spool directory. */
static bool removes_with_helper(void)
{
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "box/mbox");
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	struct why why;
	int errors[1] = { -1 };
	options.locks[0] = HOST_LOCK_FCNTL;
	options.locks[1] = HOST_LOCK_DOTLOCK;
	options.lock_count = 2;
	options.dotlock_helper = helper_fd;
	bool ok = maildrop_open(&place, &options, &drop, &why) == 0 && update(drop, "x", errors, &why) == 0 && errors[0] == 0;
	maildrop_close(&drop);
	return ok;
}

static bool is_told_what_to_do(void)
{
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "box/mbox");
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	struct why why;
	options.locks[0] = HOST_LOCK_DOTLOCK;
	options.lock_count = 1;
	return maildrop_open(&place, &options, &drop, &why) == -1 && why.reason == REASON_MAILDROP_DENIED &&
		why.err == EACCES && strstr(why.text, in_scratch("box")) != NULL && strstr(why.text, "mbox_locks") != NULL;
}

static void test_spool_not_writable(void)
{
	struct maildrop_options options;
	struct maildrop_place place;
	open_box(&options, &place);
	give_to_nobody("box/mbox");
	if (geteuid() != 0)
		CU_ASSERT(chmod(in_scratch("box"), 0555) == 0);
	CU_ASSERT(as_nobody(is_told_what_to_do));
	expect_content("denied", "box/mbox", one);
	if (geteuid() == 0) {
		pid_t pid = start_helper(&place, SOCK_SEQPACKET, &helper_fd);
		CU_ASSERT(as_nobody(removes_with_helper));
		(void)close(helper_fd);
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
		expect_content("helped", "box/mbox", "");
		CU_ASSERT(!exists("box/mbox.lock"));
	}
	CU_ASSERT(chmod(in_scratch("box"), 0755) == 0);
	close_box();
}

/* A helper that is gone, or speaks nonsense, is an error and never a lock. */
static void test_bad_helper(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		struct maildrop *drop = NULL;
		struct why why;
		int pair[2];
		open_box(&options, &place);
		CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
		/* A late answer to an earlier question says that all is well: it must not be believed. */
		int late = 0;
		CU_ASSERT(send(pair[1], &late, sizeof late, 0) == (ssize_t)sizeof late);
		(void)(i == 0 ? close(pair[1]) : shutdown(pair[1], SHUT_WR));
		options.dotlock_helper = pair[0];
		options.locks[0] = HOST_LOCK_DOTLOCK;
		options.lock_count = 1;
		CU_ASSERT(maildrop_open(&place, &options, &drop, &why) == -1 && why.reason == REASON_MAILDROP_IO && why.err == EPIPE);
		(void)close(pair[0]);
		if (i == 1)
			(void)close(pair[1]);
		close_box();
	}
}

/* ---- whose group the helper gets; only root can build these ---- */

enum { SPOOL_GROUP = 8765, USER = 12345, USERS_GROUP = 12345 };

static void test_helper_group(void)
{
	static const struct {
		const char *label;
		uid_t dir_owner;
		gid_t dir_group;
		mode_t mode;
		mode_t way;       /* of the directory above */
		uid_t way_owner;
		bool link;        /* by a link of root's */
		gid_t want;
	} rows[] = {
		{ "group may write", 0, SPOOL_GROUP, 02775, 0755, 0, false, SPOOL_GROUP },
		{ "by root's link", 0, SPOOL_GROUP, 02775, 0755, 0, true, SPOOL_GROUP },
		{ "everybody may", 0, SPOOL_GROUP, 01777, 0755, 0, false, (gid_t)-1 },
		{ "nobody may", 0, SPOOL_GROUP, 0755, 0755, 0, false, (gid_t)-1 },
		{ "the user's own", USER, SPOOL_GROUP, 0755, 0755, 0, false, (gid_t)-1 },
		{ "the user's group", 0, USERS_GROUP, 0775, 0755, 0, false, (gid_t)-1 },
		{ "another user's", 4242, SPOOL_GROUP, 0775, 0755, 0, false, (gid_t)-1 },
		{ "group 0 is not lent", 0, 0, 0775, 0755, 0, false, (gid_t)-1 },
		{ "the way is the user's", 0, SPOOL_GROUP, 02775, 0755, USER, false, (gid_t)-1 },
		{ "the way is everybody's", 0, SPOOL_GROUP, 02775, 01777, 0, false, (gid_t)-1 },
		{ "the way is a group's", 0, SPOOL_GROUP, 02775, 0775, 0, false, (gid_t)-1 },
	};
	if (geteuid() != 0)
		return;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* /tmp is everybody's. */
		char top[] = "/run/postern-test-XXXXXX", way[64], spool[80], root_link[80];
		CU_ASSERT_FATAL(mkdtemp(top) != NULL && chmod(top, 0755) == 0);
		(void)snprintf(way, sizeof way, "%s/way", top);
		(void)snprintf(spool, sizeof spool, "%s/mail", way);
		(void)snprintf(root_link, sizeof root_link, "%s/link", top);
		CU_ASSERT(mkdir(way, 0755) == 0 && mkdir(spool, 0755) == 0 && symlink("way/mail", root_link) == 0);
		CU_ASSERT(chown(spool, rows[i].dir_owner, rows[i].dir_group) == 0 && chmod(spool, rows[i].mode) == 0);
		CU_ASSERT(chown(way, rows[i].way_owner, 0) == 0 && chmod(way, rows[i].way) == 0);
		struct maildrop_place place = { .format = MAILDROP_MBOX };
		(void)snprintf(place.path, sizeof place.path, "%s/user", rows[i].link ? root_link : spool);
		ROW_ASSERT(rows[i].label, dotlock_helper_group(&place, USER, USERS_GROUP) == rows[i].want);
		ROW_ASSERT(rows[i].label, dotlock_helper_group(&place, 0, 0) == (gid_t)-1);
		place.format = MAILDROP_MAILDIR;
		ROW_ASSERT(rows[i].label, dotlock_helper_group(&place, USER, USERS_GROUP) == (gid_t)-1);
		/* A link that is not root's leads nowhere. */
		place.format = MAILDROP_MBOX;
		CU_ASSERT(lchown(root_link, USER, USERS_GROUP) == 0);
		ROW_ASSERT(rows[i].label, !rows[i].link || dotlock_helper_group(&place, USER, USERS_GROUP) == (gid_t)-1);
		CU_ASSERT(unlink(root_link) == 0 && rmdir(spool) == 0 && rmdir(way) == 0 && rmdir(top) == 0);
	}
}

#define TESTS(X) X(test_dotlock) X(test_killed_while_it_is_made) X(test_no_nameless_files) X(test_own_leftover) X(test_dotlock_is_watched) \
	X(test_dotlock_from_before_the_start) X(test_helper) X(test_helper_without_directory) X(test_spool_not_writable) \
	X(test_bad_helper) X(test_helper_group)
SUITE("dotlock")
