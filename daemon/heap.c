/*
 * heap.c - what is freed is wiped first, in processes that meet one user after the other.
 * Runs in: posternd, posternd-gate. Trusts: nothing.
 */
#include "daemon/heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool wiping;

void __real_free(void *p);
void *__real_realloc(void *p, size_t size);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);

void heap_wipe_freed(bool wipe)
{
	wiping = wipe;
}

void __wrap_free(void *p)
{
	const int err = errno;
	if (wiping && p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	__real_free(p);
	errno = err;
}

/* Always by a copy: where a block shrinks or moves, the old octets would stay behind. */
void *__wrap_realloc(void *p, size_t size)
{
	if (!wiping || p == NULL)
		return __real_realloc(p, size);
	void *moved = size > 0 ? malloc(size) : NULL;
	if (moved == NULL && size > 0)
		return NULL;
	const size_t had = malloc_usable_size(p);
	if (moved != NULL)
		memcpy(moved, p, had < size ? had : size);
	__wrap_free(p);
	return moved;
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return __wrap_realloc(p, count * size);
}
