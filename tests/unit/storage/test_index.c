/*
 * test_index.c - the index of a maildrop: what is read, what is believed, and what notices that it was wrong.
 * Runs in: the tests. Trusts: nothing.
 */
#include <sys/resource.h>

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { MANY = 513 };  /* so many files are not looked at one by one */

/* ---- what is read ---- */

static void test_maildir_costs(void)
{
	begin();
	make_maildir(3);
	/* Stamps that a change could hide behind: they are of just now. */
	faults_clock_ms = 0;
	ROW_ASSERT("first", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 3);
	ROW_ASSERT("fresh: listed again", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	ROW_ASSERT("fresh: not read again", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 0);
	faults_clock_ms = CLOCK_AHEAD * 1000;
	ROW_ASSERT("old by now: a last listing", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	ROW_ASSERT("unchanged: nothing is listed", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") == 0);
	ROW_ASSERT("unchanged: nothing is opened", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 0);
	put("M/new/2000.new.host", "Subject: new\n\n");
	tick();
	ROW_ASSERT("one new: it alone is read", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 1);
	ROW_ASSERT("unchanged again", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") == 0);
	/* A clock that went back: stamps of later changes may be those of earlier ones. */
	faults_clock_ms = 30000;
	ROW_ASSERT("clock back", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	end();
}

static void test_mbox_costs(void)
{
	begin();
	put_mbox(200, 4096);
	const unsigned all = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	const unsigned none = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("unchanged: only the index is read", none <= 3 && all >= 6);
	put_mbox(1, 4096);
	const unsigned sample = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("one new: a sample, and the end", sample > none + 40 && sample < none + 60);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MBOX, "mbox"));
	struct maildrop *drop = with_index("UPDATE", MAILDROP_MBOX, "mbox");
	update_well("UPDATE", drop, "x.x");
	maildrop_close(&drop);
	ROW_ASSERT("after UPDATE: only the index is read", calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox") <= 3);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MBOX, "mbox"));
	end();
	/* Stamps that a change could hide behind, and little to read. */
	begin();
	faults_clock_ms = 0;
	put_mbox(3, 300);
	(void)calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	const unsigned fresh = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	faults_clock_ms = CLOCK_AHEAD * 1000;
	(void)calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("fresh: read again", fresh > calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox"));
	end();
}

/* A directory that is as it was is not listed; each that is takes two calls, of which the last finds nothing. */
static void test_maildir_directories(void)
{
	static const struct {
		const char *label, *put, *from, *to;
		unsigned listings;
	} rows[] = {
		{ "delivered into new/", "M/new/2000.a.host", NULL, NULL, 2 },
		{ "a flag in cur/", NULL, "M/cur/1001.M1P.host:2,S", "M/cur/1001.M1P.host:2,RS", 2 },
		{ "from new/ to cur/", NULL, "M/new/2000.a.host", "M/cur/2000.a.host:2,", 4 },
		{ "the namesake of one in cur/", "M/new/1002.M2P.host", NULL, NULL, 2 },
		{ "and it is gone", NULL, "M/new/1002.M2P.host", "gone", 4 },
		{ "before all others", "M/new/999.a.host", NULL, NULL, 2 },
	};
	begin();
	make_maildir(MANY);
	(void)calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M");
	index_knows_more = true;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].put != NULL)
			put(rows[i].put, "Subject: new\n\n");
		else
			CU_ASSERT(rename(in_scratch(rows[i].from), in_scratch(rows[i].to)) == 0);
		tick();
		const unsigned listings = calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M");
		ROW_ASSERT(rows[i].label, listings == rows[i].listings);
		ROW_ASSERT(rows[i].label, lists_agree(rows[i].label, MAILDROP_MAILDIR, "M"));
	}
	index_knows_more = false;
	end();
}

/* What a large maildrop left behind goes when it has become small. */
static void test_shorter(void)
{
	enum { MESSAGES = 6000 };
	static bool marks[MESSAGES];
	static int errors[MESSAGES];
	struct stat st;
	struct why why;
	begin();
	put_mbox(MESSAGES, 100);
	struct maildrop *drop = with_index("large", MAILDROP_MBOX, "mbox");
	for (size_t i = 1; i < MESSAGES; i++)
		marks[i] = true;
	ROW_ASSERT("UPDATE", maildrop_update(drop, marks, errors, &why) == 0);
	maildrop_close(&drop);
	CU_ASSERT(stat(in_scratch("index"), &st) == 0 && st.st_size > INDEX_IMAGES + MESSAGES * 56);
	put_mbox(1, 100);
	for (size_t i = 0; i < 2; i++)
		ROW_ASSERT("small", lists_agree("small", MAILDROP_MBOX, "mbox"));
	CU_ASSERT(stat(in_scratch("index"), &st) == 0 && st.st_size < INDEX_IMAGES + 4096);
	ROW_ASSERT("cut off", lists_agree("cut off", MAILDROP_MBOX, "mbox"));
	end();
}

/* ---- what another program did unseen ---- */

/* In a large Maildir neither directory nor list shows it; FETCH and UPDATE do. */
static void test_maildir_in_place(void)
{
	static const struct {
		const char *label, *what, *with;
		enum reason want;
	} rows[] = {
		{ "the same", "text", "text", REASON_NONE },
		{ "other text", "text", "TEXT", REASON_MESSAGE_CHANGED },
		{ "a line more", "text", "te\nt", REASON_MESSAGE_CHANGED },
	};
	static const char name[] = "M/cur/1001.M1P.host:2,S";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int errors[2];
		struct why why;
		begin();
		make_maildir(MANY);
		struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
		maildrop_close(&drop);
		change_in_place(name, rows[i].what, rows[i].with);
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		(void)update(drop, ".x", errors, &why);
		ROW_ASSERT(rows[i].label, errors[1] == (rows[i].want == REASON_NONE ? 0 : ESTALE) && exists(name) == (errors[1] != 0));
		maildrop_close(&drop);
		put(name, "Subject: a\n\ntext\n");
		/* What is another message now has another unique-id. */
		index_knows_more = true;
		ROW_ASSERT(rows[i].label, lists_agree("put back", MAILDROP_MAILDIR, "M"));
		tick();
		change_in_place(name, rows[i].what, rows[i].with);
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		ROW_ASSERT(rows[i].label, fetch_reason(drop, 0) == REASON_NONE);
		ROW_ASSERT(rows[i].label, fetch_reason(drop, 1) == rows[i].want);
		maildrop_close(&drop);
		/* It was noticed, so the next login looks. */
		ROW_ASSERT(rows[i].label, lists_agree(rows[i].label, MAILDROP_MAILDIR, "M"));
		index_knows_more = false;
		end();
	}
}

/* A rename by another program changes the ctime only. */
static void test_maildir_flags(void)
{
	begin();
	make_maildir(MANY);
	struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("M/cur/1001.M1P.host:2,S"), in_scratch("M/cur/1001.M1P.host:2,RS")) == 0);
	drop = with_index("renamed between two logins", MAILDROP_MAILDIR, "M");
	CU_ASSERT(rename(in_scratch("M/cur/1002.M2P.host:2,S"), in_scratch("M/cur/1002.M2P.host:2,RS")) == 0);
	expect_message("renamed before", drop, 1, "Subject: a\r\n\r\ntext\r\n");
	expect_message("renamed in the session", drop, 2, "Subject: a\r\n\r\ntext\r\n");
	CU_ASSERT(rename(in_scratch("M/cur/1003.M3P.host:2,S"), in_scratch("M/cur/1003.M3P.host:2,RS")) == 0);
	update_well("renamed", drop, ".xxx");
	CU_ASSERT(!exists("M/cur/1001.M1P.host:2,RS") && !exists("M/cur/1002.M2P.host:2,RS") && !exists("M/cur/1003.M3P.host:2,RS"));
	maildrop_close(&drop);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MAILDIR, "M"));
	end();
}

/* A message that no sample looks at is changed, and another appended. */
static void test_mbox_in_place(void)
{
	static const struct {
		const char *label, *what, *with;
		enum reason want;
	} rows[] = {
		{ "nothing", "Subject: 1", "Subject: 1", REASON_NONE },
		{ "a flag", "Subject: 1\nStatus: O ", "Subject: 1\nStatus: RO", REASON_NONE },
		{ "the text", "00001\n", "00002\n", REASON_MESSAGE_CHANGED },
		{ "a flag, and the size on the wire", "Subject: 1\nStatus: O \n", "Subject: 1\nStatus:\n O\n", REASON_MESSAGE_CHANGED },
		{ "the size on the wire", "00001\n00000", "00001000000", REASON_MESSAGE_CHANGED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int updating = 0; updating < 2; updating++) {
			int errors[5];
			struct why why;
			begin();
			put_mbox(5, LARGE_MESSAGE);
			struct maildrop *drop = with_index("first", MAILDROP_MBOX, "mbox");
			maildrop_close(&drop);
			change_in_place("mbox", rows[i].what, rows[i].with);
			put_mbox(1, 100);
			faults_clear();
			drop = with_index(rows[i].label, MAILDROP_MBOX, "mbox");
			ROW_ASSERT("believed", faults[FAULT_PREAD].calls < 16 && count_of(drop) == 6);
			if (updating) {
				int r = update(drop, "x.x..", errors, &why);
				ROW_ASSERT(rows[i].label, (r == 0) == (rows[i].want == REASON_NONE));
			} else {
				ROW_ASSERT(rows[i].label, fetch_reason(drop, 1) == rows[i].want);
				ROW_ASSERT(rows[i].label, fetch_reason(drop, 4) == REASON_NONE);
			}
			maildrop_close(&drop);
			ROW_ASSERT(rows[i].label, lists_agree(rows[i].label, MAILDROP_MBOX, "mbox"));
			end();
		}
	}
}

/* A number that pointed behind the end comes true: then all behind that header is one message. */
static void test_mbox_length(void)
{
	static char text[400 * 1024];
	begin();
	put_mbox(3, LARGE_MESSAGE);
	put_mbox(1, LARGE_MESSAGE);
	size_t len;
	char *was = get("mbox", &len);
	CU_ASSERT_FATAL(was != NULL);
	const size_t header = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\nContent-Length: %zu\n\n", len + 5000);
	memcpy(text + header, was, len);
	put_octets("mbox", text, header + len);
	free(was);
	tick();
	struct maildrop *drop = with_index("first", MAILDROP_MBOX, "mbox");
	CU_ASSERT(count_of(drop) == 5);
	maildrop_close(&drop);
	const size_t from = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\n\n");
	memset(text + from, 'x', 4999 - from);
	text[4999] = '\n';
	write_file("mbox", text, 5000, O_APPEND);
	ROW_ASSERT("it came true", lists_agree("it came true", MAILDROP_MBOX, "mbox"));
	end();
}

/* ---- unique-ids ---- */

static void expect_uidl(const char *label, struct maildrop *drop, size_t idx, const char *end)
{
	const char *uidl = record_of(drop, idx)->uidl;
	ROW_TEXT(label, strlen(uidl) >= 32 ? uidl + 32 : uidl, end);
}

/* Messages that are equal keep the number that they have, whatever is deleted before them; also by a session that may not write the list of what it left. */
static void test_copies(void)
{
	static const char text[] = "From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\ntext\n\n";
	for (unsigned variant = 0; variant < 4; variant++) {
		const bool large = (variant & 1) != 0, frozen = (variant & 2) != 0;
		begin();
		if (large)
			put_mbox(60, 5000);
		const size_t first = large ? 60 : 0;
		for (int i = 0; i < 3; i++)
			append("mbox", text);
		tick();
		struct maildrop *drop = with_index("three", MAILDROP_MBOX, "mbox");
		expect_uidl("the second", drop, first + 1, "-2");
		maildrop_close(&drop);
		index_files.frozen = frozen;
		drop = with_index("three", MAILDROP_MBOX, "mbox");
		char marks[80] = "";
		memset(marks, '.', first);
		(void)strcat(marks, "x");
		faults_clock_ms = 0;
		update_well("the first goes", drop, marks);
		maildrop_close(&drop);
		index_files.frozen = false;
		faults_clock_ms = CLOCK_AHEAD * 1000;
		drop = with_index("two", MAILDROP_MBOX, "mbox");
		CU_ASSERT(count_of(drop) == first + 2);
		expect_uidl("the second keeps its own", drop, first, "-2");
		expect_uidl("and the third", drop, first + 1, "-3");
		maildrop_close(&drop);
		append("mbox", text);
		drop = with_index("a fourth", MAILDROP_MBOX, "mbox");
		expect_uidl("a fourth gets another", drop, first + 2, "-4");
		maildrop_close(&drop);
		end();
	}
}

static double processor_seconds(void)
{
	struct rusage used;
	CU_ASSERT_FATAL(getrusage(RUSAGE_SELF, &used) == 0);
	return (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6;
}

/* Whoever may deliver can send the same again and again: a login that numbers them as before costs about what one does that reads them. */
static void test_many_copies(void)
{
	enum { COPIES = 30000, MORE = 20 /* not looked at one by one */ };
	static const char text[] = "From a@b Thu Jan  1 00:00:00 1970\n\ntext\n\n";
	enum { LEN = sizeof text - 1 };
	static char all[COPIES * LEN];
	double seconds[2];
	begin();
	for (size_t i = 0; i < COPIES; i++)
		memcpy(all + i * LEN, text, LEN);
	for (unsigned round = 0; round < 2; round++) {
		write_file("mbox", all, (round == 0 ? COPIES : MORE) * LEN, O_APPEND);
		const double before = processor_seconds();
		struct maildrop *drop = with_index("many", MAILDROP_MBOX, "mbox");
		seconds[round] = processor_seconds() - before;
		CU_ASSERT(count_of(drop) == COPIES + round * MORE);
		expect_uidl("the last", drop, count_of(drop) - 1, round == 0 ? "-30000" : "-30020");
		maildrop_close(&drop);
		tick();
	}
	CU_ASSERT(seconds[1] < 10 * seconds[0]);
	end();
}

#define TESTS(X) X(test_maildir_costs) X(test_maildir_directories) X(test_shorter) X(test_mbox_costs) X(test_maildir_in_place) X(test_maildir_flags) X(test_mbox_in_place) \
	X(test_mbox_length) X(test_copies) X(test_many_copies)
SUITE("index")
