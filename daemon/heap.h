/*
 * heap.h - what is freed is wiped first, in processes that meet one user after the other.
 * Runs in: posternd, posternd-gate. Trusts: nothing.
 *
 * All of the program's calls of free(3) and realloc(3), libraries that are linked into it included, come here by the linker's
 * --wrap (Makefile). What a shared library calls does not: heap_free() and heap_realloc() are for it.
 */
#ifndef POSTERN_HEAP_H
#define POSTERN_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* From now on, in this process and those that it forks. */
void heap_wipe_freed(bool wipe);

/* As malloc(3), realloc(3) and free(3), in the form that CRYPTO_set_mem_functions(3) takes. */
void *heap_malloc(size_t size, const char *file, int line);
void *heap_realloc(void *p, size_t size, const char *file, int line);
void heap_free(void *p, const char *file, int line);

#endif
