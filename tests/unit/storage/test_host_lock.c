/*
 * test_host_lock.c - the locks of the host's mail programs on an mbox: all or none, and never for ever.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/host_lock.h"

#include <sys/file.h>

#include "tests/unit/storage/spool.h"

static void others_fcntl(short type)
{
	struct flock region = { .l_type = type, .l_whence = SEEK_SET };
	CU_ASSERT(fcntl(other_fd, F_OFD_SETLK, &region) == 0);
}

static void hold_nothing(void) { }
static void hold_read(void) { others_fcntl(F_RDLCK); }
static void hold_write(void) { others_fcntl(F_WRLCK); }
static void hold_shared(void) { CU_ASSERT(flock(other_fd, LOCK_SH) == 0); }
static void hold_exclusive(void) { CU_ASSERT(flock(other_fd, LOCK_EX) == 0); }
static void hold_touched_dotlock(void)
{
	hold_stale_dotlock();
	faults_on_sleep = touch_dotlock;
}

static const struct {
	const char *label;
	enum host_lock locks[HOST_LOCKS_MAX];
	size_t count;
	void (*hold)(void);
	bool reads, writes;
} held[] = {
	{ "all free", { HOST_LOCK_FCNTL, HOST_LOCK_DOTLOCK, HOST_LOCK_FLOCK }, 3, hold_nothing, true, true },
	{ "none used", { HOST_LOCK_FCNTL }, 0, hold_write, true, true },
	{ "fcntl, shared", { HOST_LOCK_FCNTL }, 1, hold_read, true, false },
	{ "fcntl, exclusive", { HOST_LOCK_FCNTL }, 1, hold_write, false, false },
	{ "flock, shared", { HOST_LOCK_FLOCK }, 1, hold_shared, true, false },
	{ "flock, exclusive", { HOST_LOCK_FLOCK }, 1, hold_exclusive, false, false },
	{ "flock is not fcntl", { HOST_LOCK_FCNTL }, 1, hold_exclusive, true, true },
	{ "fcntl is not flock", { HOST_LOCK_FLOCK }, 1, hold_write, true, true },
	{ "dotlock", { HOST_LOCK_DOTLOCK }, 1, hold_dotlock, false, false },
	{ "dotlock, stale", { HOST_LOCK_DOTLOCK }, 1, hold_stale_dotlock, true, true },
	{ "dotlock, old but alive", { HOST_LOCK_DOTLOCK }, 1, hold_touched_dotlock, false, false },
	{ "dotlock not asked for", { HOST_LOCK_FCNTL, HOST_LOCK_FLOCK }, 2, hold_dotlock, true, true },
	{ "the last of three", { HOST_LOCK_FCNTL, HOST_LOCK_DOTLOCK, HOST_LOCK_FLOCK }, 3, hold_exclusive, false, false },
	{ "the last of three, another order", { HOST_LOCK_DOTLOCK, HOST_LOCK_FLOCK, HOST_LOCK_FCNTL }, 3, hold_write, false, false },
};

/* Nothing of ours is left: others can have every lock. */
static void expect_all_free(const char *label, void (*hold)(void))
{
	struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	ROW_ASSERT(label, fcntl(other_fd, F_OFD_SETLK, &region) == 0);
	ROW_ASSERT(label, flock(other_fd, LOCK_EX | LOCK_NB) == 0);
	ROW_ASSERT(label, exists("box/mbox.lock") == (hold == hold_dotlock || hold == hold_touched_dotlock));
}

static void expect_busy(const char *label, const struct why *why, long waited_ms)
{
	ROW_ASSERT(label, why->reason == REASON_MAILDROP_BUSY);
	ROW_TEXT(label, why->told, "");
	ROW_ASSERT(label, waited_ms >= HOST_LOCK_SECONDS * 1000);
}

static void test_host_locks_scan(void)
{
	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		struct maildrop *drop = NULL;
		struct why why;
		open_box(&options, &place);
		memcpy(options.locks, held[i].locks, sizeof options.locks);
		options.lock_count = held[i].count;
		held[i].hold();
		long before = clock_ms();
		int r = maildrop_open(&place, &options, &drop, &why);
		ROW_ASSERT(held[i].label, r == (held[i].reads ? 0 : -1));
		if (r != 0)
			expect_busy(held[i].label, &why, clock_ms() - before);
		else
			ROW_ASSERT(held[i].label, count_of(drop) == 1);
		expect_all_free(held[i].label, held[i].hold);
		maildrop_close(&drop);
		close_box();
	}
}

static void test_host_locks_update(void)
{
	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		struct maildrop *drop = NULL;
		struct why why;
		int errors[1] = { -1 };
		open_box(&options, &place);
		memcpy(options.locks, held[i].locks, sizeof options.locks);
		options.lock_count = held[i].count;
		CU_ASSERT_FATAL(maildrop_open(&place, &options, &drop, &why) == 0);
		held[i].hold();
		long before = clock_ms();
		int r = update(drop, "x", errors, &why);
		ROW_ASSERT(held[i].label, r == (held[i].writes ? 0 : -1));
		ROW_ASSERT(held[i].label, (errors[0] == 0) == held[i].writes);
		if (r != 0)
			expect_busy(held[i].label, &why, clock_ms() - before);
		expect_content(held[i].label, "box/mbox", held[i].writes ? "" : one);
		expect_all_free(held[i].label, held[i].hold);
		maildrop_close(&drop);
		close_box();
	}
}

/* While we wait for its lock, the other program puts a new file in the place of the old. */
static void replace_and_let_go(void)
{
	put("box/new", F "S: b\n\nnew\n\n" F "S: c\n\n");
	CU_ASSERT(rename(in_scratch("box/new"), in_scratch("box/mbox")) == 0);
	others_fcntl(F_UNLCK);
	faults_on_sleep = NULL;
}

/* As a program does that keeps the old file: it still has a name. */
static void rotate_and_let_go(void)
{
	CU_ASSERT(rename(in_scratch("box/mbox"), in_scratch("box/old")) == 0);
	put("box/mbox", F "S: b\n\nnew\n\n" F "S: c\n\n");
	others_fcntl(F_UNLCK);
	faults_on_sleep = NULL;
}

static void deliver_and_let_go(void)
{
	append("box/mbox", F "S: b\n\n");
	others_fcntl(F_UNLCK);
	faults_on_sleep = NULL;
}

static void remove_and_let_go(void)
{
	CU_ASSERT(unlink(in_scratch("box/mbox")) == 0);
	others_fcntl(F_UNLCK);
	faults_on_sleep = NULL;
}

static void test_changes_while_waiting(void)
{
	static const struct {
		const char *label;
		void (*happens)(void);
		size_t count;
	} rows[] = { { "replaced", replace_and_let_go, 2 }, { "rotated", rotate_and_let_go, 2 }, { "delivery", deliver_and_let_go, 2 },
	             { "removed", remove_and_let_go, 0 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		struct maildrop *drop = NULL;
		struct why why;
		open_box(&options, &place);
		options.locks[0] = HOST_LOCK_FCNTL;
		options.lock_count = 1;
		hold_write();
		faults_on_sleep = rows[i].happens;
		ROW_ASSERT(rows[i].label, maildrop_open(&place, &options, &drop, &why) == 0);
		ROW_ASSERT(rows[i].label, drop != NULL && count_of(drop) == rows[i].count);
		maildrop_close(&drop);
		close_box();
	}
}

/* Replaced over and over: given up, not tried for ever. */
static void replace_again(void)
{
	put("box/new", one);
	CU_ASSERT(rename(in_scratch("box/new"), in_scratch("box/mbox")) == 0);
	others_fcntl(F_UNLCK);
	(void)close(other_fd);
	other_fd = open(in_scratch("box/mbox"), O_RDWR | O_CLOEXEC);
	put("box/newer", one);
	CU_ASSERT(rename(in_scratch("box/newer"), in_scratch("box/mbox")) == 0);
}

static void open_box_with_both(struct maildrop_options *options, struct maildrop_place *place)
{
	open_box(options, place);
	options->locks[0] = HOST_LOCK_FCNTL;
	options->locks[1] = HOST_LOCK_DOTLOCK;
	options->lock_count = 2;
}

static void test_lock_of_replaced_file(void)
{
	struct maildrop_options options;
	struct maildrop_place place;
	struct host_locks locks;
	struct why why;
	open_box_with_both(&options, &place);
	int dir = open(in_scratch("box"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(host_lock_init(&locks, &options, place.path, dir, "mbox", &why) == 0);
	replace_again();
	CU_ASSERT(host_lock_take(&locks, other_fd, true, &why) == -1 && why.reason == REASON_MAILDROP_CHANGED);
	CU_ASSERT(!exists("box/mbox.lock"));
	/* Release without a lock does nothing. */
	host_lock_release(&locks);
	(void)close(dir);
	close_box();
}

static void test_name_too_long(void)
{
	char name[NAME_MAX + 1];
	struct host_locks locks;
	struct maildrop_options options = default_options();
	struct why why;
	memset(name, 'x', sizeof name);
	name[NAME_MAX - 4] = '\0';
	CU_ASSERT(host_lock_init(&locks, &options, "/x", -1, name, &why) == -1 && why.err == ENAMETOOLONG);
	name[NAME_MAX - 5] = '\0';
	CU_ASSERT(host_lock_init(&locks, &options, "/x", -1, name, &why) == 0);
}

/* Long work keeps the lock young, and notices when it was lost. */
static void test_host_lock_refresh(void)
{
	struct maildrop_options options;
	struct maildrop_place place;
	struct host_locks locks;
	struct why why;
	struct stat st;
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	open_box(&options, &place);
	options.locks[0] = HOST_LOCK_DOTLOCK;
	options.lock_count = 1;
	int dir = open(in_scratch("box"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(host_lock_init(&locks, &options, place.path, dir, "mbox", &why) == 0);
	CU_ASSERT(host_lock_take(&locks, other_fd, true, &why) == 0);
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("box/mbox.lock"), old, 0) == 0);
	CU_ASSERT(host_lock_refresh(&locks, &why) == 0);
	CU_ASSERT(stat(in_scratch("box/mbox.lock"), &st) == 0 && st.st_mtim.tv_sec == 1000);
	faults_clock_ms += 60000;
	CU_ASSERT(host_lock_refresh(&locks, &why) == 0);
	CU_ASSERT(stat(in_scratch("box/mbox.lock"), &st) == 0 && st.st_mtim.tv_sec > 1000);
	CU_ASSERT(unlink(in_scratch("box/mbox.lock")) == 0);
	faults_clock_ms += 60000;
	CU_ASSERT(host_lock_refresh(&locks, &why) == -1 && why.reason == REASON_MAILDROP_CHANGED);
	host_lock_release(&locks);
	(void)close(dir);
	close_box();
}

/* A helper in a directory where no lock file can be made now. */
static pid_t start_barred_helper(int error, int *fd_r)
{
	int pair[2];
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		char command;
		(void)close(pair[0]);
		while (recv(pair[1], &command, 1, 0) == 1) {
			const int answer = command == DOTLOCK_TAKE ? error : command == DOTLOCK_REFRESH ? ESTALE : 0;
			(void)send(pair[1], &answer, sizeof answer, MSG_NOSIGNAL);
		}
		_exit(0);
	}
	(void)close(pair[1]);
	*fd_r = pair[0];
	return pid;
}

/* Where no lock file can be made, a mailbox that takes long to read can be read all the same. */
static void test_refresh_where_none_can_be_made(void)
{
	static const int barred[] = { EROFS, ENOSPC, EDQUOT };
	for (size_t i = 0; i < sizeof barred / sizeof barred[0]; i++) {
		struct maildrop_options options;
		struct maildrop_place place;
		struct host_locks locks;
		struct why why;
		open_box_with_both(&options, &place);
		pid_t pid = start_barred_helper(barred[i], &options.dotlock_helper);
		CU_ASSERT(host_lock_init(&locks, &options, place.path, AT_FDCWD, place.path, &why) == 0);
		CU_ASSERT(host_lock_take(&locks, other_fd, false, &why) == 0);
		faults_clock_ms += 60000;
		CU_ASSERT(host_lock_refresh(&locks, &why) == 0);
		host_lock_release(&locks);
		CU_ASSERT(host_lock_take(&locks, other_fd, true, &why) == -1 && why.err == barred[i]);
		(void)close(options.dotlock_helper);
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
		close_box();
	}
}

#define TESTS(X) X(test_host_locks_scan) X(test_host_locks_update) X(test_changes_while_waiting) \
	X(test_lock_of_replaced_file) X(test_name_too_long) X(test_host_lock_refresh) X(test_refresh_where_none_can_be_made)
SUITE("host_lock")
