/*
 * sandbox_table.h - which system calls each kind of process may make, and why: the one table of all filters.
 * Runs in: tools/filters.c, while postern is built; the tests. No program has it. Trusts: nothing; this is our own text.
 */
#ifndef POSTERN_SANDBOX_TABLE_H
#define POSTERN_SANDBOX_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/sandbox.h"

/* What becomes of the call. Whatever has no row kills the process. */
enum sandbox_verdict {
	SANDBOX_ALLOW,
	SANDBOX_REFUSE,  /* EACCES: libraries look for files, and go on without */
};

/* A condition on one argument, for a row that holds for some calls of that name only. */
enum sandbox_when { WHEN_ANY, WHEN_EQUAL /* (argument & mask) == value */, WHEN_OTHER /* argument != value */ };

struct sandbox_row {
	const char *call;
	unsigned kinds;      /* bits: 1u << enum sandbox_kind */
	enum sandbox_verdict verdict;
	struct { enum sandbox_when when; unsigned argument; uint64_t mask, value; } only;
	const char *why;
};

extern const struct sandbox_row sandbox_table[];
extern const size_t sandbox_table_count;

#endif
