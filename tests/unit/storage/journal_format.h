/*
 * journal_format.h - the head of a journal's record, for tests that make or forge one.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_TESTS_JOURNAL_FORMAT_H
#define POSTERN_TESTS_JOURNAL_FORMAT_H

#include "storage/journal.h"

/* As storage/journal.c has it. */
struct record {
	char magic[8];
	struct journal_plan plan;
	uint64_t length;
	char path[PATH_MAX];
	struct digest check;
};

#endif
