/*
 * test_maildir_ghosts.c - a message that another program removes while a login reads the directories: it may be in that
 * login's list, and in no later one.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { MANY = 600 };  /* so many files are not looked at one by one */

static const char ghost[] = "M/cur/1100.M100P.host:2,S";

static unsigned remove_at;

static void remove_ghost(void)
{
	if (faults[FAULT_GETDENTS].calls == remove_at)
		CU_ASSERT(unlink(in_scratch(ghost)) == 0);
}

/*
 * In the first pass two calls read the one directory that is not as the index has it. The clock is ahead, as it is when a pass
 * takes seconds: the next one finds both quiet.
 */
static void test_ghosts(void)
{
	static const struct {
		const char *label, *new;
		unsigned at;
	} rows[] = {
		{ "behind the reading of cur/", "M/cur/5000.M1P.host:2,", 2 },
		{ "cur/ was left alone, because it was as the index has it", "M/new/5000.M1P.host", 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin();
		make_maildir(MANY);
		struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
		maildrop_close(&drop);
		put(rows[i].new, "Subject: new\n\n");
		tick();
		faults_clear();
		remove_at = rows[i].at;
		faults[FAULT_GETDENTS].before = remove_ghost;
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		faults_clear();
		ROW_ASSERT(rows[i].label, !exists(ghost) && count_of(drop) == MANY + 1);
		maildrop_close(&drop);
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		ROW_ASSERT(rows[i].label, count_of(drop) == MANY);
		maildrop_close(&drop);
		end();
	}
}

#define TESTS(X) X(test_ghosts)
SUITE("maildir_ghosts")
