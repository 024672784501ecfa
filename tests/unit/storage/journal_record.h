/*
 * journal_record.h - the head of a journal's record, for tests that forge one.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_JOURNAL_RECORD_H
#define POSTERN_JOURNAL_RECORD_H

#include <stddef.h>

#include "storage/journal.h"
#include "tests/unit/storage/scratch.h"

/* As storage/journal.c has it. */
struct record {
	char magic[8];
	struct journal_plan plan;
	uint64_t length;
	char path[PATH_MAX];
	struct digest check;
};

/* The first record says something else, and its digest is right. */
static inline void forge_record(int fd, void (*change)(struct record *r))
{
	struct record r;
	struct digest_state s;
	CU_ASSERT_FATAL(pread(fd, &r, sizeof r, 0) == (ssize_t)sizeof r);
	change(&r);
	digest_begin(&s, 0);
	digest_add(&s, &r.plan, offsetof(struct record, check) - offsetof(struct record, plan));
	r.check = digest_so_far(&s);
	CU_ASSERT_FATAL(pwrite(fd, &r, sizeof r, 0) == (ssize_t)sizeof r);
}

#endif
