/*
 * test_maildir_replaced.c - during a session another program puts an equal file in the place of a message's, or the file system gives
 * it another number: it is the same message, to RETR and to QUIT.
 * Runs in: the tests. Trusts: nothing.
 */
#include <time.h>

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

static const char TEXT[] = "Subject: a\n\ntext\n", OTHER[] = "Subject: b\n\nTEXT\n";

/* As rsync and `cp -p` with a rename do it: another inode, the same time. */
static void replace(const char *name, const char *with, const char *text)
{
	struct stat st;
	put("copy", text);
	CU_ASSERT_FATAL(stat(in_scratch(name), &st) == 0);
	const struct timespec times[] = { st.st_atim, st.st_mtim };
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("copy"), times, 0) == 0);
	CU_ASSERT(rename(in_scratch("copy"), in_scratch(with)) == 0);
	if (strcmp(name, with) != 0)
		CU_ASSERT(unlink(in_scratch(name)) == 0);
}

static const struct {
	const char *label, *name, *with, *text;
	bool same;
} rows[] = {
	{ "equal", "M/cur/1.a:2,", "M/cur/1.a:2,", TEXT, true },
	{ "equal, with a flag", "M/cur/1.a:2,", "M/cur/1.a:2,S", TEXT, true },
	{ "equal, moved", "M/new/1.a", "M/cur/1.a:2,", TEXT, true },
	{ "equal, and nobody has read it", "M/cur/1.a,S=17,W=20:2,", "M/cur/1.a,S=17,W=20:2,S", TEXT, true },
	{ "another", "M/cur/1.a:2,", "M/cur/1.a:2,", OTHER, false },
	{ "another, with a flag", "M/cur/1.a:2,", "M/cur/1.a:2,S", OTHER, false },
	{ "longer, and nobody has read it", "M/cur/1.a,S=17,W=20:2,", "M/cur/1.a,S=17,W=20:2,S", "Subject: b\n\nother\n", false },
};

/* A session that knows the message, whose file is replaced then. */
static struct maildrop *replaced(size_t row)
{
	begin();
	make_maildir(0);
	put(rows[row].name, TEXT);
	tick();
	struct maildrop *drop = with_index(rows[row].label, MAILDROP_MAILDIR, "M");
	replace(rows[row].name, rows[row].with, rows[row].text);
	return drop;
}

static void test_fetched(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct maildrop *drop = replaced(i);
		ROW_ASSERT(rows[i].label, fetch_reason(drop, 0) == (rows[i].same ? REASON_NONE : REASON_MESSAGE_GONE));
		maildrop_close(&drop);
		end();
	}
}

static void test_removed(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct maildrop *drop = replaced(i);
		update_well(rows[i].label, drop, "x");
		ROW_ASSERT(rows[i].label, exists(rows[i].with) != rows[i].same);
		maildrop_close(&drop);
		end();
	}
}

/* Two equal messages of one name: the other's file is not taken for the one that is gone. */
static void test_twins(void)
{
	int errors[2];
	struct why why;
	for (size_t marked = 0; marked < 2; marked++) {
		begin();
		make_maildir(0);
		put("M/cur/1.a:2,", TEXT);
		tick();
		put("M/new/1.a", TEXT);
		tick();
		struct maildrop *drop = with_index("twins", MAILDROP_MAILDIR, "M");
		CU_ASSERT_FATAL(count_of(drop) == 2);
		CU_ASSERT(unlink(in_scratch(marked == 0 ? "M/cur/1.a:2," : "M/new/1.a")) == 0);
		CU_ASSERT(fetch_reason(drop, marked) == REASON_MESSAGE_GONE);
		CU_ASSERT(update(drop, marked == 0 ? "x" : ".x", errors, &why) == 0);
		CU_ASSERT(exists(marked == 0 ? "M/new/1.a" : "M/cur/1.a:2,"));
		maildrop_close(&drop);
		end();
	}
}

#define TESTS(X) X(test_fetched) X(test_removed) X(test_twins)
SUITE("maildir_replaced")
