/*
 * test_tls_heap.c - where OpenSSL's memory lies: what is written to in the rehearsal is packed, blocks are used again, damage is noticed.
 * Runs in: the tests.
 */
#define REHEARSAL_SECONDS 1
#include "daemon/tls_heap.c"
#include "tests/unit/daemon/host.h"

enum { OBJECTS = 6, WRITTEN = 3, LATE = 4, LARGE = 20000, SIDE_BY_SIDE = 320 /* of a size that no other test has */ };

static char *objects[OBJECTS];

/* Objects of several sizes, and passing ones between them. */
static void load(void *unused)
{
	static const size_t sizes[OBJECTS] = { 40, 5000, 100, 100, 24, 1600 };
	(void)unused;
	for (size_t i = 0; i < OBJECTS; i++) {
		void *passing = OPENSSL_malloc(100 + i);
		objects[i] = OPENSSL_zalloc(sizes[i]);
		OPENSSL_free(passing);
	}
}

static void play(void *unused)
{
	(void)unused;
	objects[0][0] = 1; /* nobody watches */
	tls_heap_watch(true);
	objects[WRITTEN][99] = 1;
	objects[LATE] = OPENSSL_realloc(objects[LATE], 48);
	objects[5][0] = 1;
	objects[1][0] = 1; /* too large to be packed */
	tls_heap_watch(false);
	objects[2][0] = 1;
}

static void test_rehearsal(void)
{
	static const bool want[OBJECTS] = { false, false, false, true, true, true };
	tls_heap_rehearse(load, play, NULL);
	CU_ASSERT_FATAL(objects[0] == NULL);
	load(NULL);
	for (size_t i = 0; i < OBJECTS; i++)
		if (i != LATE) /* moved, not written to */
			CU_ASSERT(tls_heap_packed(objects[i]) == (want[i] && !INSTRUMENTED));
	memcpy(objects[WRITTEN], "what is there", 14);
	objects[WRITTEN] = OPENSSL_realloc(objects[WRITTEN], 3000);
	CU_ASSERT(strcmp(objects[WRITTEN], "what is there") == 0);
	tls_heap_settle();
	for (size_t i = 0; i < OBJECTS; i++)
		OPENSSL_free(objects[i]);
}

static void load_nothing(void *unused)
{
	(void)unused;
}

static void play_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		(void)pause();
}

/* A handshake that hangs keeps no nursery from coming up, which holds SIGALRM back like all of the server's processes. */
static void test_hanging(void)
{
	host_make();
	pid_t pid = fork_child();
	if (pid == 0) {
		(void)setpgid(0, 0);
		worker_signals();
		tls_heap_rehearse(load_nothing, play_for_ever, NULL);
		_exit(0);
	}
	CU_ASSERT(child_status(pid) == 0);
	(void)kill(-pid, SIGKILL); /* who hangs all the same */
	host_remove();
}

/* Has that page memory? */
static bool is_there(char *page)
{
	unsigned char there = 1;
	CU_ASSERT(mincore(page, PAGE, &there) == 0);
	return there & 1;
}

static void test_own(void)
{
	char *small = OPENSSL_malloc(64), *other = OPENSSL_malloc(64), *large[40];
	const uintptr_t was = (uintptr_t)small;
	CU_ASSERT(small != other && tls_heap_packed(small) == !INSTRUMENTED);
	OPENSSL_free(small);
	small = OPENSSL_malloc(60); /* the same in steps */
	CU_ASSERT(INSTRUMENTED || (uintptr_t)small == was);
	memset(small, 'x', 60);
	small = OPENSSL_realloc(small, 900);
	CU_ASSERT(small[59] == 'x');
	OPENSSL_free(small);
	OPENSSL_free(other);
	/* More than there are slots: none lies in another. */
	for (size_t i = 0; i < 40; i++)
		memset(large[i] = OPENSSL_malloc(LARGE), (int)i, LARGE);
	for (size_t i = 0; i < 40; i++)
		CU_ASSERT(large[i][0] == (char)i && large[i][LARGE - 1] == (char)i);
	for (size_t i = 1; i < 40; i++)
		OPENSSL_free(large[i]);
	char *second = large[1];
	CU_ASSERT(INSTRUMENTED || is_there(second));
	tls_heap_give_back();
	CU_ASSERT(INSTRUMENTED || (!is_there(second) && is_there(large[0]) && large[0][LARGE - 1] == 0));
	memset(large[0], 7, LARGE);
	large[1] = OPENSSL_malloc(LARGE);
	CU_ASSERT(INSTRUMENTED || large[1] == second);
	tls_heap_give_back();
	CU_ASSERT(large[0][LARGE - 1] == 7);
	OPENSSL_free(large[0]);
	OPENSSL_free(large[1]);
}

/* The status of a child that frees twice, or writes behind its block. */
static int status_after(size_t size, bool twice)
{
	int status = -1;
	const pid_t pid = fork();
	if (pid == 0) {
		char *a = OPENSSL_malloc(size), *b = OPENSSL_malloc(size);
		log_open(LOG_TARGET_STDERR, LOG_EMERG, true);
		if (!twice)
			memset(a, 0, size + 8);
		OPENSSL_free(twice ? a : b);
		OPENSSL_free(a);
		_exit(0);
	}
	CU_ASSERT_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_damage(void)
{
	if (INSTRUMENTED) {
		puts("test_damage: instruments look after the memory themselves");
		return;
	}
	CU_ASSERT(status_after(SIDE_BY_SIDE, true) == EXIT_BUG && status_after(SIDE_BY_SIDE, false) == EXIT_BUG);
	CU_ASSERT(status_after(LARGE, true) == EXIT_BUG);
}

/* What is freed is wiped, where that was asked for: tests/e2e/test_shared_memory.py looks for secrets in whole processes. */
static void test_begin(void)
{
	CU_ASSERT_FATAL(tls_heap_begin(true) == 0);
	char *p = OPENSSL_malloc(1);
	CU_ASSERT(p != NULL && !tls_heap_packed(p));
	OPENSSL_free(p);
}

#define TESTS(X) X(test_begin) X(test_hanging) X(test_rehearsal) X(test_own) X(test_damage)
SUITE("where OpenSSL's memory lies")
