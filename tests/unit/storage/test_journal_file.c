/*
 * test_journal_file.c - where journals are, whose they are, and how one is opened, locked and set aside.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/journal_record.h"

enum { UID = 1000, GID = 1001 };

static char name[MAILDROP_FILE_NAME];  /* of the journal of place() */

static struct maildrop_place place(void)
{
	return (struct maildrop_place){ .format = MAILDROP_MBOX, .path = "/var/mail/ann" };
}

static int open_it(int *fd_r, struct why *why_r)
{
	const struct maildrop_place ann = place();
	*why_r = (struct why){ .reason = REASON_NONE };
	return journal_open(scratch, &ann, UID, GID, fd_r, why_r);
}

/* The first journal, open; its name. */
static int open_first(void)
{
	const struct maildrop_place ann = place();
	char key[MAILDROP_KEY + 1];
	struct why why;
	int fd;
	scratch_open();
	maildrop_key(&ann, key);
	(void)snprintf(name, sizeof name, "%s-%d-%d", key, UID, GID);
	CU_ASSERT_FATAL(open_it(&fd, &why) == 0 && exists(name));
	return fd;
}

static void mark_aside(void)
{
	CU_ASSERT_FATAL(truncate(in_scratch(name), 0) == 0);
	put(name, "aside  1");
}

static void test_open(void)
{
	struct why why;
	struct stat st;
	int fd = open_first(), again;
	CU_ASSERT(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 0);
	/* Locked for as long as it is open. */
	CU_ASSERT(open_it(&again, &why) == -1 && again == -1 && why.reason == REASON_MAILDROP_LOCKED);
	(void)close(fd);
	CU_ASSERT(open_it(&again, &why) == 0 && again >= 0);
	(void)close(again);
	scratch_close();
	CU_ASSERT(open_it(&again, &why) == -1 && again == -1 && why.err == ENOENT);
}

static void make_directory(void) { make_dir(name); }
static void make_link(void) { CU_ASSERT(symlink("other", in_scratch(name)) == 0); }
static void make_second_name(void) { put(name, ""); CU_ASSERT(link(in_scratch(name), in_scratch("other")) == 0); }
static void make_fifo(void) { CU_ASSERT(mkfifo(in_scratch(name), 0600) == 0); }
static void make_foreign(void) { put(name, ""); give_to_nobody(name); }

/* What is no file of ours alone is no journal. */
static void test_not_ours(void)
{
	static void (*const makers[])(void) = { make_directory, make_link, make_second_name, make_fifo, make_foreign };
	for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
		struct why why;
		int fd = open_first();
		(void)close(fd);
		if (makers[i] == make_foreign && geteuid() != 0) {
			scratch_close();
			continue;
		}
		CU_ASSERT(unlink(in_scratch(name)) == 0);
		makers[i]();
		CU_ASSERT(open_it(&fd, &why) == -1 && fd == -1 && why.reason != REASON_NONE);
		scratch_close();
	}
}

/* How many there are that were set aside; `act`, which may be NULL, is done to each. */
static size_t each_aside(int (*act)(const char *path))
{
	size_t count = 0;
	const struct dirent *entry;
	DIR *d = opendir(scratch);
	CU_ASSERT_FATAL(d != NULL);
	while ((entry = readdir(d)) != NULL)
		if (strstr(entry->d_name, JOURNAL_ASIDE) != NULL) {
			CU_ASSERT(strncmp(entry->d_name, name, strlen(name)) == 0);
			CU_ASSERT(act == NULL || act(in_scratch(entry->d_name)) == 0);
			count++;
		}
	(void)closedir(d);
	return count;
}

static void forget_aside(void)
{
	(void)each_aside(unlink);
}

/* One that was set aside in a session has another name from the next on. */
static void test_aside(void)
{
	struct why why;
	struct stat st;
	int fd = open_first();
	(void)close(fd);
	mark_aside();
	CU_ASSERT(open_it(&fd, &why) == 0 && fstat(fd, &st) == 0 && st.st_size == 0 && each_aside(NULL) == 1);
	(void)close(fd);
	/* Whenever it is opened: that is not tried for ever. */
	faults_clear();
	faults[FAULT_FLOCK].before = mark_aside;
	faults[FAULT_RENAME].before = forget_aside;
	CU_ASSERT(open_it(&fd, &why) == -1 && fd == -1 && why.reason == REASON_MAILDROP_IO && strstr(why.text, "again and again") != NULL);
	faults_clear();
	scratch_close();
}

/* So many are kept: a user who kills his keeper in UPDATEs, and then changes his mbox, could fill a disk that is not his with them. */
static void test_aside_again_and_again(void)
{
	struct why why;
	char other[sizeof name + 32];
	int fd = open_first();
	(void)close(fd);
	/* Another maildrop's do not count. */
	(void)snprintf(other, sizeof other, "%s0" JOURNAL_ASIDE "1", name);
	put(other, "aside  1");
	for (int i = 1; i < JOURNALS_ASIDE_MAX; i++) {
		(void)snprintf(other, sizeof other, "%s" JOURNAL_ASIDE "%d", name, i);
		put(other, "aside  1");
	}
	mark_aside();
	CU_ASSERT(open_it(&fd, &why) == 0 && fd >= 0 && each_aside(NULL) == JOURNALS_ASIDE_MAX + 1);
	(void)close(fd);
	mark_aside();
	CU_ASSERT(open_it(&fd, &why) == -1 && fd == -1 && why.reason == REASON_UPDATE_UNFINISHED && strstr(why.text, "postern recover") != NULL);
	/* Until the administrator has done something about them. */
	forget_aside();
	CU_ASSERT(open_it(&fd, &why) == 0 && fd >= 0 && each_aside(NULL) == 1);
	(void)close(fd);
	scratch_close();
}

static void remove_once(void)
{
	if (faults[FAULT_FLOCK].calls == 1)
		CU_ASSERT(unlink(in_scratch(name)) == 0);
}

static void rename_once(void)
{
	if (faults[FAULT_FLOCK].calls == 1) {
		CU_ASSERT(rename(in_scratch(name), in_scratch("other")) == 0);
		put(name, "");
	}
}

static void remove_always(void)
{
	CU_ASSERT(unlink(in_scratch(name)) == 0);
}

/* `postern recover` had it locked, and removed or renamed it: what is locked then is no journal any more, and would be lost in a crash. */
static void test_gone_behind_the_lock(void)
{
	static void (*const happens[])(void) = { remove_once, rename_once };
	struct why why;
	for (size_t i = 0; i < sizeof happens / sizeof happens[0]; i++) {
		struct stat ours, there = { 0 };
		int fd = open_first();
		(void)close(fd);
		faults_clear();
		faults[FAULT_FLOCK].before = happens[i];
		CU_ASSERT(open_it(&fd, &why) == 0 && fd >= 0);
		faults_clear();
		CU_ASSERT(fstat(fd, &ours) == 0 && stat(in_scratch(name), &there) == 0 && ours.st_ino == there.st_ino && ours.st_nlink == 1);
		(void)close(fd);
		scratch_close();
	}
	int fd = open_first();
	(void)close(fd);
	faults_clear();
	faults[FAULT_FLOCK].before = remove_always;
	CU_ASSERT(open_it(&fd, &why) == -1 && fd == -1 && strstr(why.text, "again and again") != NULL);
	/* What cannot be looked at is not believed, and looked at anew. */
	put(name, "");
	faults_set(FAULT_FSTAT, 2, EIO, 0);
	CU_ASSERT(open_it(&fd, &why) == 0 && faults[FAULT_FSTAT].calls > 2);
	(void)close(fd);
	faults_clear();
	scratch_close();
}

/* Whatever fails: it says so, and keeps nothing open. */
static void test_faults(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		unsigned at;
		int error;
		bool is_new, is_aside;
		enum reason reason;
	} rows[] = {
		{ "open", FAULT_OPENAT, 1, EIO, false, false, REASON_MAILDROP_IO }, { "make", FAULT_OPENAT, 2, ENOSPC, true, false, REASON_DISK_FULL },
		{ "sync of the new name", FAULT_FSYNC, 1, EIO, true, false, REASON_MAILDROP_IO },
		{ "stat", FAULT_FSTAT, 1, EIO, false, false, REASON_MAILDROP_IO }, { "lock", FAULT_FLOCK, 1, ENOLCK, false, false, REASON_MAILDROP_IO },
		{ "look", FAULT_PREAD, 1, EIO, false, false, REASON_MAILDROP_IO }, { "rename", FAULT_RENAME, 1, EIO, false, true, REASON_MAILDROP_IO },
		{ "sync of the other name", FAULT_FSYNC, 1, EIO, false, true, REASON_MAILDROP_IO },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		int fd = open_first();
		(void)close(fd);
		if (rows[i].is_aside)
			mark_aside();
		if (rows[i].is_new)
			CU_ASSERT(unlink(in_scratch(name)) == 0);
		const int free_fd = dup(STDERR_FILENO);
		(void)close(free_fd);
		faults_set(rows[i].call, rows[i].at, rows[i].error, 0);
		ROW_ASSERT(rows[i].label, open_it(&fd, &why) == -1 && fd == -1 && why.reason == rows[i].reason && why.err == rows[i].error);
		faults_clear();
		fd = dup(STDERR_FILENO);
		ROW_ASSERT(rows[i].label, fd == free_fd);
		(void)close(fd);
		scratch_close();
	}
}

/* One that has something in it and cannot be opened: that is another answer, for what it says may have to be done first. */
static void test_unopened(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error;
		bool full;
		enum reason reason;
	} rows[] = {
		{ "empty", FAULT_OPENAT, EMFILE, false, REASON_NO_MEMORY }, { "not empty", FAULT_OPENAT, EMFILE, true, REASON_UPDATE_UNFINISHED },
		{ "locked", FAULT_FLOCK, EWOULDBLOCK, true, REASON_MAILDROP_LOCKED }, { "no lock", FAULT_FLOCK, ENOLCK, true, REASON_UPDATE_UNFINISHED },
		{ "not to be read", FAULT_PREAD, EIO, true, REASON_UPDATE_UNFINISHED }, { "not to be looked at", FAULT_FSTATAT, EIO, true, REASON_UPDATE_UNFINISHED },
	};
	struct why why;
	int fd = open_first();
	(void)close(fd);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put(name, rows[i].full ? "something" : "");
		faults_set(rows[i].call, 1, rows[i].error, 1);
		ROW_ASSERT(rows[i].label, open_it(&fd, &why) == -1 && fd == -1 && why.reason == rows[i].reason);
		faults_clear();
	}
	scratch_close();
}

/* A directory that cannot be opened either. */
static bool is_refused(void)
{
	struct why why;
	int fd;
	return open_it(&fd, &why) == -1 && why.reason == REASON_UPDATE_UNFINISHED && strstr(why.text, "directory") != NULL;
}

static void test_directory_unopened(void)
{
	int fd = open_first();
	(void)close(fd);
	put(name, "something");
	CU_ASSERT(chmod(scratch, 0711) == 0);
	CU_ASSERT(geteuid() != 0 || as_nobody(is_refused));
	scratch_close();
}

/* A journal's name says whose it is, and its path has to be the one that the name is made of. */
static void test_owner(void)
{
	static const struct {
		const char *label, *behind, *path;
		int want;
	} rows[] = {
		{ "its own", "-1000-1001", "/var/mail/ann", 0 }, { "set aside", "-1000-1001.aside-1700000000", "/var/mail/ann", 0 },
		{ "another's path", "-1000-1001", "/var/mail/bob", -1 }, { "a path that is none", "-1000-1001", "var/mail/ann", -1 },
		{ "no gid", "-1000", "/var/mail/ann", -1 }, { "no uid", "", "/var/mail/ann", -1 }, { "a uid that is none", "-x-1001", "/var/mail/ann", -1 },
		{ "a gid that is none", "-1000-x", "/var/mail/ann", -1 }, { "a uid too large", "-4294967295-1", "/var/mail/ann", -1 },
		{ "more behind it", "-1000-1001x", "/var/mail/ann", -1 }, { "another number's spelling", "-01000-1001", "/var/mail/ann", -1 },
	};
	const struct maildrop_place ann = place();
	char key[MAILDROP_KEY + 1], text[MAILDROP_FILE_NAME + 32];
	maildrop_key(&ann, key);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uid_t uid = 0;
		gid_t gid = 0;
		(void)snprintf(text, sizeof text, "%s%s", key, rows[i].behind);
		ROW_ASSERT(rows[i].label, journal_owner(text, rows[i].path, &uid, &gid) == rows[i].want);
		ROW_ASSERT(rows[i].label, rows[i].want != 0 || (uid == UID && gid == GID));
	}
}

#define TESTS(X) X(test_open) X(test_not_ours) X(test_aside) X(test_aside_again_and_again) X(test_gone_behind_the_lock) X(test_faults) X(test_unopened) X(test_directory_unopened) X(test_owner)
SUITE("journal_file")
