/*
 * test_frozen.c - daemon/frozen.c: memory that was frozen is what it was, and fork(2) copies none of it.
 * Runs in: the tests.
 */
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/frozen.h"
#include "daemon/privilege.h"
#include "tests/unit/daemon/host.h"

enum { PAGES = 16, LEN = PAGES * PAGE };

/* A value of /proc/self/smaps, of the mapping that begins there, in octets; -1: there is none. */
static long mapped(const void *from, const char *what)
{
	char line[512];
	unsigned long begins, ends, start = 0;
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps", "re");
	if (f == NULL)
		return -1;
	while (kib < 0 && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begins, &ends) == 2)
			start = begins;
		else if (start == (unsigned long)from && strncmp(line, what, strlen(what)) == 0)
			(void)sscanf(line + strlen(what), ": %ld kB", &kib);
	}
	(void)fclose(f);
	return kib < 0 ? -1 : kib * 1024;
}

static unsigned char *written_pages(void)
{
	/* Between pages of others, so that it is a mapping of its own. */
	unsigned char *p = mmap(NULL, LEN + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED && mprotect(p + PAGE, LEN, PROT_READ | PROT_WRITE) == 0);
	for (int i = 0; i < LEN; i++)
		p[PAGE + i] = (unsigned char)(i % 251);
	return p + PAGE;
}

static bool is_as_written(const unsigned char *p)
{
	int i = 0;
	while (i < LEN && p[i] == (unsigned char)(i % 251))
		i++;
	return i == LEN;
}

/* The same octets, no page of the process's own; each process that writes has its page, and nobody else sees it. */
static void test_pages(void)
{
	unsigned char *p = written_pages();
	int status;
	CU_ASSERT(mapped(p, "Anonymous") == LEN);
	CU_ASSERT(freeze_pages(p, p + LEN, PROT_READ | PROT_WRITE) == 0);
	CU_ASSERT(mapped(p, "Anonymous") == 0);
	CU_ASSERT(is_as_written(p));
	const pid_t pid = fork();
	if (pid == 0) {
		p[0] = 77;
		_exit(mapped(p, "Anonymous") == PAGE ? 0 : 1);
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT(is_as_written(p));
	p[0] = 78;
	CU_ASSERT(p[0] == 78 && p[1] == 1);
	(void)munmap(p, LEN);
}

static unsigned char *read_only;

static void write_to_it(void)
{
	read_only[0] = 1;
}

/* What was read-only still is. */
static void test_protection(void)
{
	read_only = written_pages();
	CU_ASSERT(mprotect(read_only, LEN, PROT_READ) == 0 && freeze_pages(read_only, read_only + LEN, PROT_READ) == 0);
	CU_ASSERT(is_as_written(read_only));
	const pid_t pid = fork();
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		write_to_it();
		_exit(0);
	}
	int status;
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	(void)munmap(read_only, LEN);
}

/* No descriptor, no memory for the file: nothing has changed. */
static void test_cannot(void)
{
	unsigned char *p = written_pages();
	struct rlimit files, none;
	CU_ASSERT(getrlimit(RLIMIT_NOFILE, &files) == 0);
	none = (struct rlimit){ 0, files.rlim_max };
	CU_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CU_ASSERT(freeze_pages(p, p + LEN, PROT_READ | PROT_WRITE) == -1 && errno == EMFILE);
	CU_ASSERT(setrlimit(RLIMIT_NOFILE, &files) == 0);
	CU_ASSERT(is_as_written(p) && mapped(p, "Anonymous") == LEN);
	(void)munmap(p, LEN);
}

/* The heap, in a process that goes on using it, gives back of it, and takes more. */
static void use_frozen_heap(void)
{
	enum { BLOCKS = 2000, SIZE = 300 };
	static char *blocks[BLOCKS];
	bool good = true;
	void *const heap = sbrk(0);
	for (int i = 0; i < BLOCKS; i++)
		good = good && (blocks[i] = malloc(SIZE)) != NULL && snprintf(blocks[i], SIZE, "block %d", i) > 0;
	freeze_program((void *)(((uintptr_t)heap + PAGE - 1) & ~(uintptr_t)(PAGE - 1)));
	for (int i = 0; good && i < BLOCKS; i += 2)
		free(blocks[i]);
	(void)malloc_trim(0);
	for (int i = 0; good && i < BLOCKS; i += 2)
		good = (blocks[i] = malloc(3 * SIZE)) != NULL && memset(blocks[i], 'x', 3 * SIZE) != NULL;
	for (int i = 1; good && i < BLOCKS; i += 2) {
		char want[32];
		(void)snprintf(want, sizeof want, "block %d", i);
		good = strcmp(blocks[i], want) == 0;
	}
	leave(good ? EXIT_GOOD : 1);
}

static void test_heap(void)
{
	if (INSTRUMENTED) {
		(void)printf("left out: what looks after the memory has a heap of its own\n");
		return;
	}
	host_make();
	const pid_t pid = fork_child();
	if (pid == 0)
		use_frozen_heap();
	expect_end("a frozen heap", pid, EXIT_GOOD, NULL);
	host_remove();
}

#define TESTS(X) X(test_pages) X(test_protection) X(test_cannot) X(test_heap)
SUITE("frozen")
