/*
 * malloc_fails.c - the n-th allocation of a process fails, once. To be preloaded into posternd-gate and posternd-sign.
 * Runs in: the tests. Trusts: nothing.
 *
 * Environment: POSTERN_MALLOC_PROGRAM (posternd-gate or posternd-sign), POSTERN_MALLOC_AT (n); POSTERN_MALLOC_FORKED=yes counts from
 * the fork of a process on, in every other of those that were forked, so that the rest can be seen to work.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static long left = -1;         /* allocations until the one that fails; negative: none does */

static long number(void)
{
	const char *at = getenv("POSTERN_MALLOC_AT");
	return at != NULL ? atol(at) : -1;
}

static void forked(void)
{
	left = getpid() % 2 == 0 ? number() : -1;
}

__attribute__((constructor)) static void begin(void)
{
	extern char *program_invocation_short_name;
	const char *program = getenv("POSTERN_MALLOC_PROGRAM"), *only_forked = getenv("POSTERN_MALLOC_FORKED");
	if (program == NULL || strcmp(program, program_invocation_short_name) != 0)
		return;
	if (only_forked != NULL)
		(void)pthread_atfork(NULL, NULL, forked);
	else
		left = number();
}

static int fails(void)
{
	if (left < 0 || left-- != 1)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}
