/*
 * ref.h - references: the short word behind an -ERR by which an administrator finds its cause ("7KQ2M").
 * Runs in: every process. Trusts: nothing in the text.
 *
 * Digits and letters without I, L, O and U (Crockford's base 32), so that it can be said on the telephone. Five symbols for a failure;
 * six for a session whose two halves lost each other, which is named after its worker.
 */
#ifndef POSTERN_REF_H
#define POSTERN_REF_H

#include <stdint.h>

enum {
	REF_TEXT_MAX = 8,             /* with the NUL */
	REF_FAILURES = 1 << 25,       /* references for failures: numbers 1 to REF_FAILURES - 1 */
	REF_NONE = 0,
};

/* The reference of the n-th failure. n may be any number; those of REF_FAILURES - 1 in a row differ. key: any number. */
uint32_t ref_of_failure(uint64_t n, uint32_t key);

/* The reference of a worker. key: any number, the same while workers' numbers go on. */
uint32_t ref_of_worker(uint64_t worker, uint32_t key);

/* As people see it, in text. REF_NONE is "". Returns text. */
const char *ref_text(uint32_t ref, char text[REF_TEXT_MAX]);

/* Read one that somebody typed: any case, O for 0, I and L for 1. REF_NONE when it is none. */
uint32_t ref_parse(const char *text);

#endif
