/*
 * fuzz_dotlock.c - another program's lock file with anything in it: it is removed when it is provably a dead session's, or old.
 * Runs in: the tests. Trusts: nothing.
 *
 * In the input \1 stands for what this host's own lock files say behind the process id, \2 for a process that is no more.
 */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "storage/dotlock.h"
#include "storage/lock.h"
#include "storage/lock_owner.h"
#include "tests/fuzz/fuzz.h"

static char ours[512], dead[32];

/* What a lock file of this process says; and the number of a process that has ended. */
static void learn(int dir)
{
	struct dotlock lock;
	CHECK(dotlock_init(&lock, dir, "own") == 0 && dotlock_take(&lock) == 0, "a lock of our own");
	int fd = openat(dir, "own.lock", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ours, sizeof ours - 1) : -1;
	CHECK(n > 0 && memchr(ours, '\n', (size_t)n) != NULL, "our lock file");
	memmove(ours, strchr(ours, '\n'), (size_t)n);
	(void)close(fd);
	CHECK(dotlock_release(&lock) == 0, "letting go of our own lock");
	/* Beyond what the kernel gives out: the number of a process that has ended would some day be another's. */
	int most = open("/proc/sys/kernel/pid_max", O_RDONLY | O_CLOEXEC);
	n = most >= 0 ? read(most, dead, sizeof dead - 1) : -1;
	CHECK(n > 1, "how many processes there may be");
	dead[n - 1] = '\0';
	(void)close(most);
}

static size_t expand(struct piece in, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len && n + sizeof ours < size; i++) {
		const char *text = in.p[i] == '\1' ? ours : in.p[i] == '\2' ? dead : NULL;
		if (text == NULL)
			out[n++] = in.p[i];
		else
			n += (size_t)snprintf(out + n, size - n, "%s", text);
	}
	return n;
}

/* Whose lock it is can be told only by a number, a line end, and our own words: nothing else is a proof. */
static bool may_be_proof(const char *text, size_t len)
{
	const size_t digits = strspn(text, "0123456789");
	return len > digits && digits > 0 && strncmp(text + digits + strspn(text + digits, " \t\r\n\v\f"), "postern", 7) == 0;
}

/* What stands behind the number says when we started: with any other number it is a process that has ended. */
static bool is_alive(const char *text)
{
	return atoll(text) == getpid();
}

static void check_lock(int dir, const char *text, size_t len, bool old)
{
	struct dotlock lock;
	char owner[LOCK_OWNER_MAX];
	const struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	int fd = openat(dir, "mbox.lock", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len, "another's lock file");
	CHECK(!old || futimens(fd, long_ago) == 0, "an old lock file");
	(void)close(fd);
	CHECK(dotlock_init(&lock, dir, "mbox") == 0, "a name");
	CHECK(dotlock_take(&lock) == EEXIST && !lock.held, "another's lock was taken at once");
	const bool gone = faccessat(dir, "mbox.lock", F_OK, 0) != 0;
	CHECK(!gone || may_be_proof(text, len), "removed without proof");
	CHECK(!gone || strcmp(text + strspn(text, "0123456789"), ours) != 0 || !is_alive(text), "removed from a process that lives");
	if (!old && strncmp(text, dead, strlen(dead)) == 0 && strcmp(text + strlen(dead), ours) == 0)
		CHECK(gone, "a dead session's lock stays");
	if (!gone && lock_owner_name(lock_owner_in_dotlock(dir, "mbox.lock"), owner))
		CHECK(memchr(owner, '\0', sizeof owner) != NULL && is_printable(owner, strlen(owner)), "owner %s", owner);
	(void)unlinkat(dir, "mbox.lock", 0);
	CHECK(dotlock_take(&lock) == 0 && lock.held && dotlock_refresh(&lock) == 0 && dotlock_release(&lock) == 0, "a free lock");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir = -1;
	static char text[8192];
	struct input in = INPUT_OF(data, size);
	if (dir < 0) {
		dir = open(fuzz_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(dir >= 0, "a directory");
		learn(dir);
	}
	const bool old = take_flag(&in);
	size_t len = expand(take_rest(&in), text, sizeof text - 1);
	text[len] = '\0';
	check_lock(dir, text, len, old);
	return 0;
}
