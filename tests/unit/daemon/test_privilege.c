/*
 * test_privilege.c - daemon/privilege.c: rights that are given up are gone, and descriptors that are not kept are closed.
 * Runs in: the tests; as root it gives root up.
 */
#include <grp.h>
#include <linux/capability.h>
#include <openssl/rand.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "daemon/privilege.h"
#include "tests/unit/daemon/host.h"

enum { SOME_UID = 12345, SOME_GID = 23456 };

/* Fork, run, and expect that ending and those words in the log. */
static void expect_child(const char *label, void (*run)(void), int want, const char *words)
{
	host_log[0] = '\0';
	pid_t pid = fork_child();
	if (pid == 0) {
		run();
		leave(EXIT_GOOD);
	}
	expect_end(label, pid, want, words);
}

static void check(bool good)
{
	if (!good)
		leave(1);
}

/* The mask of that name in /proc/self/status. */
static unsigned long long capability_set(const char *name)
{
	char line[256];
	unsigned long long mask = ~0ULL;
	FILE *f = fopen("/proc/self/status", "re");
	check(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			(void)sscanf(line + strlen(name), ":%llx", &mask);
	(void)fclose(f);
	return mask;
}

static void give_up_root(void)
{
	uid_t u[3];
	gid_t g[3], groups[4] = { 0, 1, 2, 3 };
	check(setgroups(4, groups) == 0);
	become_owner(SOME_UID, SOME_GID);
	check(getresuid(&u[0], &u[1], &u[2]) == 0 && u[0] == SOME_UID && u[1] == SOME_UID && u[2] == SOME_UID);
	check(getresgid(&g[0], &g[1], &g[2]) == 0 && g[0] == SOME_GID && g[1] == SOME_GID && g[2] == SOME_GID);
	check(getgroups(0, NULL) == 0);
	check(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 && setegid(0) != 0 && setgroups(0, NULL) != 0);
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == INSTRUMENTED);
	check(capability_set("CapBnd") == 0);
	check(open("/etc/shadow", O_RDONLY | O_CLOEXEC) == -1);
}

static void become_root(void)
{
	become_owner(0, 0);
}

static void stay_oneself(void)
{
	check(geteuid() != 0 || setresuid(SOME_UID, SOME_UID, SOME_UID) == 0);
	become_owner(geteuid(), getegid());
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == INSTRUMENTED);
}

static void become_another(void)
{
	check(geteuid() != 0 || setresuid(SOME_UID, SOME_UID, SOME_UID) == 0);
	become_owner(geteuid() + 1, getegid());
}

/* Root without the capability to change its groups: it must not go on with them. */
static void become_owner_bound(void)
{
	enum { NO_SETUID_FIXUP = 1 << 2 };
	check(prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) == 0);
	/* The ids change, the capabilities stay: root can come back, and that is noticed. */
	become_owner(SOME_UID, SOME_GID);
}

/* Files are another's, and the process stays root's; afterwards files are root's, too. */
static void reach_and_return(void)
{
	uid_t r, e, s;
	reach_as(SOME_UID, SOME_GID);
	check(open("/etc/shadow", O_RDONLY | O_CLOEXEC) == -1);
	check(getresuid(&r, &e, &s) == 0 && r == 0 && e == 0 && s == 0);
	reach_as_root();
	check(open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0);
	check(setresuid(SOME_UID, SOME_UID, SOME_UID) == 0);
	reach_as(SOME_UID + 1, SOME_GID);
	reach_as_root();
}

/* A master has no groups of who started it, a shell of root's, and so nobody who reaches files from there reaches those. */
static void reach_after_start(void)
{
	const gid_t starters[] = { SOME_GID + 1 };
	const char *const directory = in_host("starters");
	struct stat st;
	check(setgroups(1, starters) == 0 && mkdir(directory, 0750) == 0 && chown(directory, 0, starters[0]) == 0 && chmod(directory, 0750) == 0);
	check(close(open(in_host("starters/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
	shrink_master();
	reach_as(SOME_UID, SOME_GID);
	check(lstat(in_host("starters"), &st) == 0);
	check(lstat(in_host("starters/file"), &st) == -1 && errno == EACCES);
}

/* What it cannot have it does not go on without. */
static void reach_bound(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { .effective = 0 }, { .effective = 0 } };
	check(syscall(SYS_capset, &header, none) == 0);
	reach_as(SOME_UID, SOME_GID);
}

static void test_become_owner(void)
{
	host_make();
	if (geteuid() == 0) {
		expect_child("gives up root", give_up_root, EXIT_GOOD, NULL);
		expect_child("asked for root", become_root, EXIT_BUG, "bug: asked to become root");
		expect_child("reaches files as another", reach_and_return, EXIT_GOOD, NULL);
		expect_child("reaches no more than he", reach_after_start, EXIT_GOOD, NULL);
		expect_child("cannot reach them", reach_bound, EXIT_ENVIRONMENT, "cannot reach files as uid ");
		expect_child("root comes back", become_owner_bound, EXIT_ENVIRONMENT, "root came back after it was given up");
	}
	expect_child("without root", stay_oneself, EXIT_GOOD, NULL);
	expect_child("another without root", become_another, EXIT_ENVIRONMENT, "not started as root, so uid ");
	host_remove();
}

/* By exec(2) a shell as root has what the master had, and no more. */
static void shrink_and_execute(void)
{
	char script[256];
	const unsigned long long all = capability_set("CapPrm");
	shrink_master();
	const unsigned long long server = capability_set("CapPrm");
	check(server != 0 && (server & ~all) == 0);
	check(capability_set("CapBnd") == 0 && capability_set("CapInh") == server);
	shrink_root();
	const unsigned long long login = capability_set("CapPrm");
	check(login != 0 && login != server && (login & ~server) == 0 && capability_set("CapInh") == server);
	(void)snprintf(script, sizeof script, "grep -qx 'CapPrm:.%016llx' /proc/self/status && grep -qx 'CapBnd:.0*' /proc/self/status", server);
	(void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	leave(1);
}

/* Whoever logs in has none, and gets none. */
static void shrink_and_become_owner(void)
{
	static const char *const sets[] = { "CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb" };
	shrink_master();
	shrink_root();
	become_owner(SOME_UID, SOME_GID);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		check(capability_set(sets[i]) == 0);
}

static void test_capabilities(void)
{
	if (geteuid() != 0) {
		(void)printf("left out: needs root\n");
		return;
	}
	host_make();
	expect_child("a program that is executed", shrink_and_execute, EXIT_GOOD, NULL);
	expect_child("an owner", shrink_and_become_owner, EXIT_GOOD, NULL);
	host_remove();
}

/* Descriptors 3 to 20 open; those of the row kept. */
static void test_keep_only(void)
{
	static const struct { const char *label; int kept[8]; size_t count; } rows[] = {
		{ "none", { 0 }, 0 },
		{ "one", { 7 }, 1 },
		{ "the first and the last", { 20, 3 }, 2 },
		{ "neighbours", { 9, 8, 10 }, 3 },
		{ "absent ones", { -1, 5, -1 }, 3 },
		{ "stderr and below", { 2, 0, 12 }, 3 },
		{ "twice the same", { 6, 6 }, 2 },
		{ "eight", { 20, 18, 16, 14, 12, 10, 8, 6 }, 8 },
	};
	host_make();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		pid_t pid = fork_child();
		if (pid == 0) {
			bool good = true;
			for (int fd = 3; fd <= 20; fd++)
				good = good && dup2(STDIN_FILENO, fd) == fd;
			keep_only(rows[i].kept, rows[i].count);
			for (int fd = 0; fd <= 64; fd++) {
				bool want = fd <= STDERR_FILENO;
				for (size_t k = 0; k < rows[i].count; k++)
					want = want || rows[i].kept[k] == fd;
				good = good && (fcntl(fd, F_GETFD) >= 0) == want;
			}
			leave(good ? EXIT_GOOD : 1);
		}
		expect_end(rows[i].label, pid, EXIT_GOOD, NULL);
	}
	host_remove();
}

static void keep_too_many(void)
{
	static const int nine[9];
	keep_only(nine, 9);
}

static void take_signals(void)
{
	static const int blocked[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM }, ignored[] = { SIGPIPE, SIGXFSZ };
	sigset_t none, now;
	sigemptyset(&none);
	check(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	worker_signals();
	check(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
	for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
		check(sigismember(&now, blocked[i]) == 1 && raise(blocked[i]) == 0);
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		check(raise(ignored[i]) == 0);
	check(sigismember(&now, SIGSEGV) == 0 && sigismember(&now, SIGCHLD) == 0 && sigismember(&now, SIGQUIT) == 0);
}

enum { DRAWN = 16 };

/* What the child of fork_half() draws of OpenSSL's randomness. */
static bool drawn_by_child(unsigned char octets_r[DRAWN])
{
	int pipes[2];
	unsigned char own[DRAWN];
	check(pipe2(pipes, O_CLOEXEC) == 0);
	pid_t pid = fork_half();
	if (pid == 0)
		leave(RAND_bytes(own, sizeof own) == 1 && write(pipes[1], own, sizeof own) == DRAWN ? EXIT_GOOD : 1);
	(void)close(pipes[1]);
	const bool good = pid > 0 && read(pipes[0], octets_r, DRAWN) == DRAWN;
	(void)close(pipes[0]);
	return waitpid(pid, NULL, 0) == pid && good;
}

/* Gates inherit the state of OpenSSL's generator, which has been used: were it to go on in each, their keys would be alike. */
static void test_fork_half(void)
{
	unsigned char drawn[4][DRAWN];
	enum { OWN = sizeof drawn / sizeof *drawn - 1 };
	CU_ASSERT(RAND_bytes(drawn[OWN], DRAWN) == 1);
	for (size_t i = 0; i < OWN; i++)
		CU_ASSERT(drawn_by_child(drawn[i]));
	CU_ASSERT(RAND_bytes(drawn[OWN], DRAWN) == 1);
	for (size_t i = 0; i <= OWN; i++)
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(memcmp(drawn[i], drawn[k], DRAWN) != 0);
}

/* Octets of heap that are this process's alone, from /proc/self/smaps. */
static unsigned long private_heap(void)
{
	char line[512];
	unsigned long kib, sum = 0;
	bool heap = false;
	FILE *f = fopen("/proc/self/smaps", "re");
	check(f != NULL);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strchr(line, '-') != NULL && strchr(line, '-') < strchr(line, ' '))
			heap = strstr(line, "[heap]") != NULL;
		if (heap && sscanf(line, "Private_Dirty: %lu kB", &kib) == 1)
			sum += kib * 1024;
	}
	(void)fclose(f);
	return sum;
}

static void touch_heap(void)
{
	enum { HEAP = 64 * 1024 };
	free(malloc(HEAP)); /* the heap is as large as it will be */
	unsigned long before = private_heap();
	touch_pages(0, 0);
	check(INSTRUMENTED || private_heap() < before + HEAP / 2);
	touch_pages(0, HEAP);
	check(INSTRUMENTED || private_heap() >= before + HEAP / 2);
}

static void test_small_ones(void)
{
	host_make();
	expect_child("nine descriptors", keep_too_many, EXIT_BUG, "keep_only: 9 descriptors");
	expect_child("touched heap", touch_heap, EXIT_GOOD, NULL);
	expect_child("signals", take_signals, EXIT_GOOD, NULL);
	long long before = now_ms();
	CU_ASSERT(before > 0 && now_ms() >= before);
	host_remove();
}

#define TESTS(X) X(test_become_owner) X(test_capabilities) X(test_keep_only) X(test_fork_half) X(test_small_ones)
SUITE("privilege")
