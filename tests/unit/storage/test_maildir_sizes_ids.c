/*
 * test_maildir_sizes_ids.c - unique-ids of files whose names carry sizes: what nobody has read, has been read, comes again, or is called otherwise.
 * Runs in: the tests. Trusts: nothing.
 */
/* As at any login but the first, which is test_maildir_first.c's. */
#define MAILDIR_PROVEN_TRIES 0
#include "storage/maildir_sizes.c"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/sized_scratch.h"

static void expect_list(const char *label, const char *want)
{
	char *got = list_and_leave(label);
	ROW_TEXT(label, got, want);
	free(got);
}

static void move_away(void) { CU_ASSERT(rename(in_scratch(unread), in_scratch("away")) == 0); }
static void move_back(void) { CU_ASSERT(rename(in_scratch("away"), in_scratch("M/cur/1.a,S=6,W=8:2,S")) == 0); }
static void copy_back(void) { put("M/new/1.a,S=6,W=8", TEXT); CU_ASSERT(unlink(in_scratch("away")) == 0); }
static void other_back(void) { put("M/new/1.a,S=6,W=8", "ab\nCD\n"); CU_ASSERT(unlink(in_scratch("away")) == 0); }
static void longer_back(void) { put("M/new/1.a,S=6,W=8", "ab\ncd\nef\n"); CU_ASSERT(unlink(in_scratch("away")) == 0); }

static void test_missed(void)
{
	static const struct {
		const char *label;
		bool fetched, removed;
		void (*back)(void);
		bool same;
	} cases[] = {
		{ "missed by a scan", false, false, move_back, true }, { "put back without its time", false, false, copy_back, true },
		{ "never read, and as long", false, false, other_back, true }, { "never read, and longer", false, false, longer_back, false },
		{ "read, and missed", true, false, move_back, true }, { "read, and put back", true, false, copy_back, true },
		{ "read, and another", true, false, other_back, false }, { "removed by us", false, true, copy_back, false },
		{ "read, removed by us", true, true, copy_back, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin();
		make_maildir(2);
		put(unread, TEXT);
		struct maildrop *drop = log_in(cases[i].label);
		if (cases[i].fetched)
			free(fetch(cases[i].label, drop, 0));
		if (cases[i].removed) {
			put("away", "");
			update_well(cases[i].label, drop, "x");
		}
		maildrop_close(&drop);
		if (!cases[i].removed)
			move_away();
		expect_list(cases[i].label, "1 20 1000.M0P.host\n2 20 1001.M1P.host\n");
		cases[i].back();
		drop = log_in(cases[i].label);
		CU_ASSERT_FATAL(maildrop_count(drop) == 3);
		ROW_ASSERT(cases[i].label, (strcmp(record_of(drop, 0)->uidl, "1.a,S=6,W=8") == 0) == cases[i].same);
		/* Its content is known by now, since it hung on that. */
		ROW_ASSERT(cases[i].label, !maildrop_is_unopened(drop, 0));
		maildrop_close(&drop);
		end();
	}
}

/* Written over between two logins: what nobody has read keeps its unique-id, what somebody has gets another. */
static void test_written_over(void)
{
	static void (*const acts[])(void) = { write_over, write_more };
	for (int i = 0; i < 4; i++) {
		const int fetched = i % 2;
		begin();
		make_maildir(0);
		put(unread, TEXT);
		struct maildrop *drop = log_in("written over");
		if (fetched != 0)
			free(fetch("written over", drop, 0));
		maildrop_close(&drop);
		acts[i / 2]();
		drop = log_in("written over");
		CU_ASSERT((strcmp(record_of(drop, 0)->uidl, "1.a,S=6,W=8") == 0) == (fetched == 0));
		expect_message("written over", drop, 0, i < 2 ? "ab\r\nCD\r\n" : "ab\r\ncd\r\nmore\r\n");
		maildrop_close(&drop);
		end();
	}
}

/* Two files of one name are both read, whichever the scan sees first. */
static void test_twins(void)
{
	begin();
	make_maildir(0);
	put("M/cur/1.a,S=6,W=8:2,S", TEXT);
	put("M/new/1.a,S=6,W=8", "ab\nCD\n");
	struct maildrop *drop = log_in("twins");
	CU_ASSERT_FATAL(maildrop_count(drop) == 2);
	CU_ASSERT(unopened(drop) == 0 && strcmp(record_of(drop, 0)->uidl, record_of(drop, 1)->uidl) != 0);
	maildrop_close(&drop);
	CU_ASSERT(lists_agree("twins", MAILDROP_MAILDIR, "M"));
	end();
}

static void another_comes(void)
{
	if (!exists("M/cur/2.b,S=6,W=8:2,"))
		return;
	CU_ASSERT(rename(in_scratch("M/cur/2.b,S=6,W=8:2,"), in_scratch("M/cur/2.b,S=6,W=8:2,S")) == 0);
	put("M/new/1.a,S=6,W=8", "ab\nCD\n");
}

/* The second comes when the first has been looked at. */
static void test_late_twin(void)
{
	begin();
	make_maildir(0);
	put(unread, TEXT);
	put("M/cur/2.b,S=6,W=8:2,", TEXT);
	faults_clear();
	faults[FAULT_FSTATAT].before = another_comes;
	struct maildrop *drop = log_in("late twin");
	faults_clear();
	CU_ASSERT_FATAL(maildrop_count(drop) == 3);
	CU_ASSERT(!maildrop_is_unopened(drop, 0) && !maildrop_is_unopened(drop, 1) && strcmp(record_of(drop, 0)->uidl, record_of(drop, 1)->uidl) != 0);
	maildrop_close(&drop);
	end();
}

/* ---- most unique-ids are new ---- */

static void fetch_all(struct maildrop *drop)
{
	for (size_t i = 0; i < maildrop_count(drop); i++)
		free(fetch("all", drop, i));
}

static void rename_all(const char *to, bool keep_times, bool sizes)
{
	char from[64], name[64];
	struct stat st;
	for (unsigned i = 0; i < SOME; i++) {
		const int len = snprintf(name, sizeof name, "Subject: %u\n\ntext\n", i);
		(void)snprintf(from, sizeof from, "M/cur/%u.a,S=%d,W=%d:2,S", 1000 + i, len, len + 3);
		if (sizes)
			(void)snprintf(name, sizeof name, "M/cur/%u.%s,S=%d,W=%d:2,S", 1000 + i, to, len, len + 3);
		else
			(void)snprintf(name, sizeof name, "M/cur/%u.%s:2,S", 1000 + i, to);
		CU_ASSERT(rename(in_scratch(from), in_scratch(name)) == 0 && stat(in_scratch(name), &st) == 0);
		/* As a copy has it, without the fraction of a second; or one for all. */
		const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = keep_times ? st.st_mtim.tv_sec : 1000 } };
		CU_ASSERT(utimensat(AT_FDCWD, in_scratch(name), times, 0) == 0);
	}
	tick();
}

static void make_old(void)
{
	char name[64];
	for (unsigned i = 0; i < SOME; i++) {
		const int len = snprintf(name, sizeof name, "Subject: %u\n\ntext\n", i);
		(void)snprintf(name, sizeof name, "M/cur/%u.a,S=%d,W=%d:2,S", 1000 + i, len, len + 3);
		const struct timespec times[2] = { { .tv_sec = 5000 + i }, { .tv_sec = 5000 + i, .tv_nsec = 123456789 } };
		CU_ASSERT(utimensat(AT_FDCWD, in_scratch(name), times, 0) == 0);
	}
	tick();
}

static void test_changes(void)
{
	static const struct {
		const char *label;
		bool fetched, times, sizes, refused;
	} cases[] = {
		{ "never read, times kept", false, true, true, true }, { "never read, times kept, no sizes", false, true, false, true },
		{ "never read, times lost", false, false, true, false }, { "read, times lost", true, false, true, true },
		{ "read, times kept", true, true, true, true }, { "read, times lost, no sizes", true, false, false, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct why why;
		begin();
		make_maildir(0);
		put_some("a", SOME);
		make_old();
		struct maildrop *drop = log_in(cases[i].label);
		CU_ASSERT(unopened(drop) == SOME);
		if (cases[i].fetched)
			fetch_all(drop);
		maildrop_close(&drop);
		rename_all("b", cases[i].times, cases[i].sizes);
		for (int again = 0; again < 2; again++) {
			drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
			ROW_ASSERT(cases[i].label, (why.reason == REASON_IDS_CHANGED) == cases[i].refused && (drop == NULL) == cases[i].refused);
			maildrop_close(&drop);
		}
		end();
	}
}

/* Only where most is gone are new files read for it. */
static void test_changes_cost(void)
{
	begin();
	make_maildir(0);
	put_some("a", MANY);
	free(list_and_leave("before"));
	for (unsigned i = 0; i < SOME; i++) {
		char name[64];
		const int len = snprintf(name, sizeof name, "Subject: %u\n\ntext\n", i);
		(void)snprintf(name, sizeof name, "M/cur/%u.a,S=%d,W=%d:2,S", 1000 + i, len, len + 3);
		CU_ASSERT(unlink(in_scratch(name)) == 0);
	}
	put_some("new", SOME);
	faults_clear();
	struct maildrop *drop = log_in("some gone, some new");
	CU_ASSERT(faults[FAULT_READ].calls == 0 && unopened(drop) == MANY);
	maildrop_close(&drop);
	end();
}

#define TESTS(X) X(test_missed) X(test_written_over) X(test_twins) X(test_late_twin) X(test_changes) X(test_changes_cost)
SUITE("maildir_sizes_ids")
