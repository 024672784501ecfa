/*
 * test_lock_owner.c - who holds a lock on an mbox: by the kernel's word, and by what stands in a lock file.
 * Runs in: the tests.
 */
#include "storage/lock_owner.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/storage/scratch.h"

enum how { BY_FLOCK, BY_FCNTL, BY_OFD, BY_DOTLOCK };

static void take(enum how how)
{
	struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[32];
	int fd = open(in_scratch("mbox"), O_RDWR | O_CLOEXEC);
	if (how == BY_FLOCK && flock(fd, LOCK_EX) != 0)
		_exit(1);
	if ((how == BY_FCNTL || how == BY_OFD) && fcntl(fd, how == BY_OFD ? F_OFD_SETLK : F_SETLK, &region) != 0)
		_exit(1);
	(void)snprintf(text, sizeof text, "%d\n", (int)getpid());
	if (how == BY_DOTLOCK)
		put("mbox.lock", text);
}

/* A process of that name, which holds the lock. */
static pid_t start(const char *name, enum how how)
{
	int ready[2];
	char octet;
	CU_ASSERT_FATAL(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
		take(how);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	CU_ASSERT(read(ready[0], &octet, 1) == 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void test_owner(void)
{
	static const struct {
		const char *label, *name;
		enum how how;
		const char *want;  /* NULL: nobody can know */
		bool delivers;
	} rows[] = {
		{ "flock", "procmail", BY_FLOCK, "procmail", true },
		{ "fcntl", "mutt", BY_FCNTL, "mutt", false },
		{ "an open file description's lock", "mutt", BY_OFD, NULL, false },
		{ "dotlock", "dovecot-lda", BY_DOTLOCK, "dovecot-lda", true },
		{ "a name that is no word", "a \"b\\\x1b\n", BY_FLOCK, "a??b??", false },
		{ "a name that begins like one", "procmailx", BY_FCNTL, "procmailx", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char owner[LOCK_OWNER_MAX] = "", want[LOCK_OWNER_MAX];
		scratch_open();
		put("mbox", "");
		put("other", "");
		pid_t pid = start(rows[i].name, rows[i].how);
		int dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = open(in_scratch("mbox"), O_RDONLY | O_CLOEXEC);
		const bool known = rows[i].how == BY_DOTLOCK ? lock_owner_name(lock_owner_in_dotlock(dir, "mbox.lock"), owner) : lock_owner_of_file(fd, owner);
		ROW_ASSERT(rows[i].label, known == (rows[i].want != NULL));
		(void)snprintf(want, sizeof want, "%s (process %d)", rows[i].want != NULL ? rows[i].want : "", (int)pid);
		if (rows[i].want != NULL)
			ROW_TEXT(rows[i].label, owner, want);
		ROW_ASSERT(rows[i].label, lock_owner_delivers(owner) == rows[i].delivers);
		(void)close(fd);
		/* A lock on another file is not this one's. */
		fd = open(in_scratch("other"), O_RDONLY | O_CLOEXEC);
		ROW_ASSERT(rows[i].label, !lock_owner_of_file(fd, owner));
		(void)close(fd);
		(void)close(dir);
		CU_ASSERT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
		scratch_close();
	}
}

/* What stands in a lock file may be anything. */
static void test_dotlock_content(void)
{
	static const char *const rows[] = { "", "0", "-1", "x", "99999999999999999999999", "1", "host:4711", "\n\n" };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char owner[LOCK_OWNER_MAX];
		scratch_open();
		put("mbox.lock", rows[i]);
		int dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ROW_ASSERT(rows[i], !lock_owner_name(lock_owner_in_dotlock(dir, "mbox.lock"), owner));
		ROW_ASSERT(rows[i], lock_owner_in_dotlock(dir, "none.lock") == 0);
		CU_ASSERT(mkfifo(in_scratch("fifo"), 0600) == 0);
		ROW_ASSERT(rows[i], lock_owner_in_dotlock(dir, "fifo") == 0);
		(void)close(dir);
		scratch_close();
	}
}

#define TESTS(X) X(test_owner) X(test_dotlock_content)
SUITE("lock_owner")
