/*
 * test_maildir_missed.c - what a reading of the directories misses: a message that another program renames to and fro meanwhile, and one
 * of two that have one name.
 * Runs in: the tests.
 */
#include "storage/digest.h"

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

/* The n-th name that has the last slot of a table of 128, and the same one in a table of 256. */
static const char *name_of_last_slot(unsigned n)
{
	static char name[32];
	for (unsigned i = 0;; i++) {
		(void)snprintf(name, sizeof name, "%u.twin", 1000 + i);
		if ((XXH3_64bits(name, strlen(name)) & 255) == 127 && n-- == 0)
			return name;
	}
}

/*
 * The table grows between the sights of two messages that have one name, and then they follow each other in it the other way round. In which order
 * a directory lists its files is the file system's: so some names are tried, of which most come before the last new one.
 */
static void test_twins_in_a_table_that_grows(void)
{
	enum { NEW = 63 /* and the two: one more than the smallest table has entries */, TRIES = 8 };
	char name[64];
	for (unsigned n = 0; n < TRIES; n++) {
		const char *twin = name_of_last_slot(n);
		begin();
		make_maildir(0);
		(void)snprintf(name, sizeof name, "M/new/%s", twin);
		put(name, "Subject: a\n\n");
		tick();
		(void)snprintf(name, sizeof name, "M/cur/%s:2,", twin);
		put(name, "Subject: b\n\n");
		tick();
		struct maildrop *drop = with_index("twins", MAILDROP_MAILDIR, "M");
		CU_ASSERT(count_of(drop) == 2);
		maildrop_close(&drop);
		for (unsigned i = 0; i < NEW; i++) {
			(void)snprintf(name, sizeof name, "M/new/%u.new", 2000000 + i);
			put(name, "Subject: c\n\n");
		}
		tick();
		drop = with_index("twins and new ones", MAILDROP_MAILDIR, "M");
		CU_ASSERT(count_of(drop) == 2 + NEW);
		maildrop_close(&drop);
		end();
	}
}

/* ---- a directory that was not there ---- */

/* A Maildir without one of its directories, with one message, seen by a session. */
static struct maildrop *open_without(const char *missing, const char *name)
{
	struct why why;
	begin();
	make_dir("M");
	make_dir(strcmp(missing, "M/cur") == 0 ? "M/new" : "M/cur");
	put(name, "Subject: a\n\nwords\n");
	tick();
	struct maildrop *drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
	CU_ASSERT_FATAL(drop != NULL && count_of(drop) == 1);
	return drop;
}

/* Another program makes it during the session, and moves the message there: it is still the message. */
static void test_made_meanwhile(void)
{
	static const struct {
		const char *missing, *from, *to;
	} rows[] = { { "M/cur", "M/new/1.a", "M/cur/1.a:2,S" }, { "M/new", "M/cur/1.a:2,S", "M/new/1.a" } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct maildrop *drop = open_without(rows[i].missing, rows[i].from);
		make_dir(rows[i].missing);
		move(rows[i].from, rows[i].to);
		expect_message(rows[i].missing, drop, 0, "Subject: a\r\n\r\nwords\r\n");
		update_well(rows[i].missing, drop, "x");
		ROW_ASSERT(rows[i].missing, !exists(rows[i].to));
		maildrop_close(&drop);
		end();
	}
}

/* What cannot be opened may have the message: it is not gone. */
static void test_made_and_closed(void)
{
	struct why why;
	int errors[1];
	struct maildrop *drop = open_without("M/cur", "M/new/1.a");
	put("M/cur", "no directory");
	move("M/new/1.a", "M/1.a");
	CU_ASSERT(fetch_reason(drop, 0) != REASON_MESSAGE_GONE);
	CU_ASSERT(update(drop, "x", errors, &why) == -1 && errors[0] != 0);
	maildrop_close(&drop);
	end();
}

/* Renamed to a name that is longer than a list has room for: not served, and not gone. */
static void test_name_too_long(void)
{
	static char from[300], to[300];
	struct why why;
	int errors[1];
	(void)snprintf(from, sizeof from, "M/new/1.%0248d", 0);
	(void)snprintf(to, sizeof to, "M/new/1.%0248d:2,RS", 0);
	struct maildrop *drop = open_without("M/cur", from);
	move(from, to);
	CU_ASSERT(fetch_reason(drop, 0) == REASON_MAILDROP_BUSY);
	CU_ASSERT(update(drop, "x", errors, &why) == -1 && errors[0] == EBUSY && exists(to));
	maildrop_close(&drop);
	end();
}

/* Made while the login reads the other one. */
static void makes_cur(void)
{
	if (faults[FAULT_GETDENTS].calls == 1) {
		make_dir("M/cur");
		move("M/new/1.a", "M/cur/1.a:2,S");
	}
}

static void test_made_during_the_login(void)
{
	struct why why;
	struct maildrop *drop = open_without("M/cur", "M/new/1.a");
	maildrop_close(&drop);
	append("M/new/1.a", "more\n");
	put("M/new/2.b", "Subject: b\n\n");
	faults_clear();
	faults[FAULT_GETDENTS].before = makes_cur;
	drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
	faults_clear();
	CU_ASSERT(drop != NULL && count_of(drop) == 2 && exists("M/cur/1.a:2,S"));
	maildrop_close(&drop);
	end();
}

#define TESTS(X) X(test_made_meanwhile) X(test_made_and_closed) X(test_name_too_long) X(test_made_during_the_login) X(test_missed) X(test_twins_in_a_table_that_grows)
SUITE("maildir_missed")
