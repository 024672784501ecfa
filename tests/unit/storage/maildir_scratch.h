/*
 * maildir_scratch.h - a Maildir for one test.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_MAILDIR_SCRATCH_H
#define POSTERN_MAILDIR_SCRATCH_H

#include "tests/unit/storage/scratch.h"

static inline void make_maildir(void)
{
	scratch_open();
	make_dir("M");
	make_dir("M/new");
	make_dir("M/cur");
	make_dir("M/tmp");
}

static inline struct maildrop *open_maildir(const char *label)
{
	return open_drop(label, MAILDROP_MAILDIR, "M");
}

static inline void move(const char *from, const char *to)
{
	CU_ASSERT(rename(in_scratch(from), in_scratch(to)) == 0);
}

static inline struct maildrop *open_two(const char *label)
{
	make_maildir();
	put("M/cur/1.a:2,", "x\n");
	put("M/cur/2.b:2,", "b\n");
	return open_maildir(label);
}

#endif
