/*
 * test_maildir_missed.c - UPDATE of a message that another program renames to and fro while its directories are read.
 * Runs in: the tests.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

static void move(const char *from, const char *to)
{
	CU_ASSERT(rename(in_scratch(from), in_scratch(to)) == 0);
}

/* Six calls read both directories: the file always is in the one that is not read, or was. */
static void move_about(void)
{
	const unsigned n = (faults[FAULT_GETDENTS].calls - 1) % 6;
	if (n == 2)
		move("M/cur/1.a:2,S", "M/new/1.a");
	if (n == 4)
		move("M/new/1.a", "M/cur/1.a:2,S");
}

/* No scan sees it, so it counts as removed. It is not: and it is the message that its client knows, not a new one. */
static void test_missed(void)
{
	struct why why;
	int errors[2];
	static const char *const made[] = { "M", "M/new", "M/cur", "M/tmp" };
	scratch_open();
	index_reopen();
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
		make_dir(made[i]);
	put("M/cur/1.a:2,", "x\n");
	put("M/cur/2.b:2,", "y\n");
	struct maildrop *drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
	CU_ASSERT(strcmp(record_of(drop, 0)->uidl, "1.a") == 0);
	move("M/cur/1.a:2,", "M/cur/1.a:2,S");
	faults_clear();
	faults[FAULT_GETDENTS].before = move_about;
	CU_ASSERT(update(drop, "x", errors, &why) == 0 && errors[0] == 0);
	faults_clear();
	CU_ASSERT(exists("M/cur/1.a:2,S"));
	maildrop_close(&drop);
	drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
	CU_ASSERT(count_of(drop) == 2 && strcmp(record_of(drop, 0)->uidl, "1.a") == 0);
	maildrop_close(&drop);
	index_close();
	scratch_close();
}

#define TESTS(X) X(test_missed)
SUITE("maildir_missed")
