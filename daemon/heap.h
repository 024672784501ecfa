/*
 * heap.h - what is freed is wiped first, in processes that meet one user after the other.
 * Runs in: posternd, posternd-gate. Trusts: nothing.
 *
 * All of the program's calls of free(3) and realloc(3), libraries that are linked into it included, come here by the linker's
 * --wrap (Makefile). What a shared library calls does not; what OpenSSL calls is tls_heap.h's.
 */
#ifndef POSTERN_HEAP_H
#define POSTERN_HEAP_H

#include <stdbool.h>

/* From now on, in this process and those that it forks. */
void heap_wipe_freed(bool wipe);

#endif
