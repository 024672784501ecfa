/*
 * journal_record.h - a journal's record with something else in it.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_JOURNAL_RECORD_H
#define POSTERN_JOURNAL_RECORD_H

#include <stddef.h>

#include "tests/unit/storage/journal_format.h"
#include "tests/unit/storage/scratch.h"

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
