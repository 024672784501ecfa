/*
 * test_maildir_sizes.c - files whose names carry sizes, true and false: what is listed, what is sent, what the index learns of it, and which
 * unique-ids they have.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { SOME = 30, MANY = 600 /* more than are looked at one by one */ };

#define TEXT "ab\ncd\n"       /* 6 octets, 8 on the wire */

static struct maildrop *log_in(const char *label)
{
	tick();
	return with_index(label, MAILDROP_MAILDIR, "M");
}

static char *list_and_leave(const char *label)
{
	struct maildrop *drop = log_in(label);
	char *text = list_text(drop);
	maildrop_close(&drop);
	return text;
}

static void expect_list(const char *label, const char *want)
{
	char *got = list_and_leave(label);
	ROW_TEXT(label, got, want);
	free(got);
}

/* ---- what a name says ---- */

static const struct {
	const char *label, *name, *content;
	uint64_t listed;
	bool believed;
	uint64_t octets;
} rows[] = {
	{ "as Dovecot writes it", "1.a,S=6,W=8:2,S", TEXT, 8, true, 8 },
	{ "no flags", "1.a,S=6,W=8", TEXT, 8, true, 8 },
	{ "the other way round", "1.a,W=8,S=6:2,", TEXT, 8, true, 8 },
	{ "among others", "1.a,X=1,S=6,,W,W=8,U=7:2,", TEXT, 8, true, 8 },
	{ "stored with CRLF", "1.a,S=4,W=4:2,", "ab\r\n", 4, true, 4 },
	{ "W of no last line end", "1.a,S=5,W=6:2,", "ab\ncd", 6, true, 8 },
	{ "W too small", "1.a,S=6,W=7:2,", TEXT, 7, true, 8 },
	{ "W too large", "1.a,S=6,W=14:2,", TEXT, 14, true, 8 },
	{ "dots", "1.a,S=4,W=6:2,", ".\n.\n", 6, true, 6 },
	{ "W below S", "1.a,S=6,W=5:2,", TEXT, 8, false, 8 },
	{ "W that no file of that size has", "1.a,S=6,W=15:2,", TEXT, 8, false, 8 },
	{ "S too large", "1.a,S=7,W=8:2,", TEXT, 8, false, 8 },
	{ "S too small", "1.a,S=5,W=8:2,", TEXT, 8, false, 8 },
	{ "no S", "1.a,W=8:2,", TEXT, 8, false, 8 },
	{ "no W", "1.a,S=6:2,", TEXT, 8, false, 8 },
	{ "W=0", "1.a,S=6,W=0:2,", TEXT, 8, false, 8 },
	{ "of nothing", "1.a,S=0,W=0:2,", "", 0, false, 0 },
	{ "a huge W", "1.a,S=6,W=99999999999999999999999999:2,", TEXT, 8, false, 8 },
	{ "a huge S", "1.a,S=18446744073709551622,W=8:2,", TEXT, 8, false, 8 },
	{ "2^48 + 8", "1.a,S=6,W=281474976710664:2,", TEXT, 8, false, 8 },
	{ "a zero before S", "1.a,S=06,W=8:2,", TEXT, 8, false, 8 },
	{ "a zero before W", "1.a,S=6,W=08:2,", TEXT, 8, false, 8 },
	{ "twice S", "1.a,S=6,S=6,W=8:2,", TEXT, 8, false, 8 },
	{ "twice W", "1.a,S=6,W=8,W=8:2,", TEXT, 8, false, 8 },
	{ "a sign", "1.a,S=+6,W=8:2,", TEXT, 8, false, 8 },
	{ "no digits", "1.a,S=,W=8:2,", TEXT, 8, false, 8 },
	{ "more behind the digits", "1.a,S=6,W=8x:2,", TEXT, 8, false, 8 },
	{ "behind the flags", "1.a:2,S,S=6,W=8", TEXT, 8, false, 8 },
	{ "other letters", "1.a,s=6,w=8:2,", TEXT, 8, false, 8 },
	{ "no comma in front", "1.aS=6,W=8:2,", TEXT, 8, false, 8 },
	{ "another info", "1.a,S=6,W=8:1,x", TEXT, 8, false, 8 },
};

static void check_row(size_t i, bool with)
{
	struct why why;
	char path[128], want[32];
	const char *label = rows[i].label;
	begin();
	make_maildir(0);
	(void)snprintf(path, sizeof path, "M/cur/%s", rows[i].name);
	put(path, rows[i].content);
	tick();
	faults_clear();
	struct maildrop *drop = open_indexed(MAILDROP_MAILDIR, "M", with, &why);
	CU_ASSERT_FATAL(drop != NULL && maildrop_count(drop) == 1);
	ROW_ASSERT(label, (faults[FAULT_READ].calls == 0) == rows[i].believed && maildrop_is_unopened(drop, 0) == rows[i].believed);
	ROW_ASSERT(label, record_of(drop, 0)->octets == rows[i].listed);
	ROW_ASSERT(label, strncmp(record_of(drop, 0)->uidl, rows[i].name, strlen(record_of(drop, 0)->uidl)) == 0);
	/* With the index or without, the list is the same; with what it said. */
	ROW_ASSERT(label, lists_agree(label, MAILDROP_MAILDIR, "M"));
	/* What is sent is whole, and announced as it is. */
	free(fetch(label, drop, 0));
	ROW_ASSERT(label, !maildrop_is_unopened(drop, 0) && maildrop_list(drop).list->octets == rows[i].octets);
	ROW_ASSERT(label, (notices[0] != '\0') == (rows[i].listed != rows[i].octets));
	(void)snprintf(want, sizeof want, "W=%ju; RETR sends %ju ", (uintmax_t)rows[i].listed, (uintmax_t)rows[i].octets);
	ROW_ASSERT(label, notices[0] == '\0' || (strstr(notices, want) != NULL && strstr(notices, rows[i].name) != NULL));
	maildrop_close(&drop);
	end();
}

static void test_names(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_row(i, false);
		check_row(i, true);
	}
}

/* TOP and RETR of what is too large to be read together with others, at the edges of the buffer. */
static void test_large(void)
{
	static const size_t sizes[] = { 65535, 65536, 65537, 1000000 };
	for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
		char name[64];
		char *content = malloc(sizes[i / 2]);
		memset(content, '\n', sizes[i / 2]);
		begin();
		make_maildir(0);
		(void)snprintf(name, sizeof name, "M/new/1.a,S=%zu,W=%zu", sizes[i / 2], 2 * sizes[i / 2] - i % 2);
		put_octets(name, content, sizes[i / 2]);
		struct maildrop *drop = log_in("large");
		CU_ASSERT(maildrop_is_unopened(drop, 0) && record_of(drop, 0)->octets == 2 * sizes[i / 2] - i % 2);
		free(fetch("large", drop, 0));
		CU_ASSERT(record_of(drop, 0)->octets == 2 * sizes[i / 2]);
		maildrop_close(&drop);
		end();
		free(content);
	}
}

/* ---- what the index learns ---- */

static void put_some(const char *begin_with, unsigned count)
{
	char name[64], text[64];
	for (unsigned i = 0; i < count; i++) {
		const int len = snprintf(text, sizeof text, "Subject: %u\n\ntext\n", i);
		(void)snprintf(name, sizeof name, "M/cur/%u.%s,S=%d,W=%d:2,S", 1000 + i, begin_with, len, len + 3);
		put(name, text);
	}
	tick();
}

static unsigned unopened(const struct maildrop *drop)
{
	unsigned n = 0;
	for (size_t i = 0; i < maildrop_count(drop); i++)
		n += maildrop_is_unopened(drop, i);
	return n;
}

/* What was fetched is known at the next login, and nothing else; the list stays what it was. */
static void test_learned(void)
{
	static const unsigned counts[] = { SOME, MANY };
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		begin();
		make_maildir(0);
		put_some("a", counts[c]);
		char *before = list_and_leave("first");
		struct maildrop *drop = log_in("fetches");
		CU_ASSERT(unopened(drop) == counts[c]);
		free(fetch("fetches", drop, 3));
		free(fetch("fetches", drop, 20));
		CU_ASSERT(unopened(drop) == counts[c] - 2);
		maildrop_close(&drop);
		CU_ASSERT(lists_agree("fetched", MAILDROP_MAILDIR, "M"));
		drop = log_in("again");
		char *after = list_text(drop);
		ROW_TEXT("again", after, before);
		CU_ASSERT(unopened(drop) == counts[c] - 2 && !maildrop_is_unopened(drop, 3) && !maildrop_is_unopened(drop, 20) && maildrop_list(drop).fd >= 0);
		maildrop_close(&drop);
		/* And it stays so, when others come and go, and names change. */
		put("M/new/1.b,S=6,W=8", TEXT);
		CU_ASSERT(rename(in_scratch("M/cur/1003.a,S=17,W=20:2,S"), in_scratch("M/cur/1003.a,S=17,W=20:2,RS")) == 0);
		drop = log_in("one more");
		CU_ASSERT(unopened(drop) == counts[c] - 1 && !maildrop_is_unopened(drop, 4) && !maildrop_is_unopened(drop, 21));
		maildrop_close(&drop);
		free(before);
		free(after);
		end();
	}
}

/* A name that lies does so once: the next list is right, and so are its sum and its file. */
static void test_put_right(void)
{
	begin();
	make_maildir(0);
	put("M/cur/1.a,S=6,W=7:2,", TEXT);
	put("M/cur/2.b,S=6,W=12:2,", TEXT);
	put("M/cur/3.c,S=6,W=8:2,", TEXT);
	struct maildrop *drop = log_in("lies");
	CU_ASSERT(maildrop_list(drop).list->octets == 27);
	for (size_t i = 0; i < 3; i++)
		expect_message("lies", drop, i, "ab\r\ncd\r\n");
	/* One line is enough. */
	CU_ASSERT(strchr(notices, '\n') != NULL && strchr(notices, '\n') == strrchr(notices, '\n'));
	maildrop_close(&drop);
	drop = log_in("right");
	CU_ASSERT(unopened(drop) == 0 && maildrop_list(drop).list->octets == 24 && record_of(drop, 0)->octets == 8 && record_of(drop, 1)->octets == 8);
	maildrop_close(&drop);
	end();
}

/* Another session's gate may read the index; the disk may be full; a crash: what was learned is lost then, and nothing else. */
static void test_not_kept(void)
{
	for (unsigned call = 0; call < 4; call++) {
		begin();
		make_maildir(0);
		put_some("a", SOME);
		char *before = list_and_leave("first");
		struct maildrop *drop = log_in("fetches");
		free(fetch("fetches", drop, 3));
		index_files.frozen = call == 0;
		if (call > 0)
			faults_set(FAULT_PWRITE, call, ENOSPC, 1);
		maildrop_close(&drop);
		faults_clear();
		index_files.frozen = false;
		CU_ASSERT(lists_agree("not kept", MAILDROP_MAILDIR, "M"));
		char *after = list_and_leave("not kept");
		ROW_TEXT("not kept", after, before);
		drop = log_in("not kept");
		CU_ASSERT(unopened(drop) == SOME);
		maildrop_close(&drop);
		free(before);
		free(after);
		end();
	}
}

/* ---- while a session is on ---- */

static const char unread[] = "M/cur/1.a,S=6,W=8:2,";

static void leave_it(void) { }
static void set_flag(void) { CU_ASSERT(rename(in_scratch(unread), in_scratch("M/cur/1.a,S=6,W=8:2,S")) == 0); }
static void write_over(void) { tick(); put(unread, "ab\nCD\n"); }
static void write_more(void) { tick(); append(unread, "more\n"); }
static void take_away(void) { CU_ASSERT(unlink(in_scratch(unread)) == 0); }
static void put_other(void)
{
	put("M/cur/hold", "ab\nCD\n");
	CU_ASSERT(rename(in_scratch("M/cur/hold"), in_scratch(unread)) == 0);
}

static void test_others_meanwhile(void)
{
	static const struct {
		const char *label;
		void (*act)(void);
		enum reason fetched;
		bool removed;
	} cases[] = {
		{ "nothing", leave_it, REASON_NONE, true }, { "another name", set_flag, REASON_NONE, true },
		{ "written over", write_over, REASON_MESSAGE_CHANGED, false }, { "appended to", write_more, REASON_MESSAGE_CHANGED, false },
		{ "another file", put_other, REASON_MESSAGE_GONE, true }, { "removed", take_away, REASON_MESSAGE_GONE, true },
	};
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		const size_t c = i / 2;
		struct why why;
		int errors[1];
		begin();
		make_maildir(0);
		put(unread, TEXT);
		struct maildrop *drop = log_in(cases[c].label);
		cases[c].act();
		if (i % 2 == 0) {
			ROW_ASSERT(cases[c].label, fetch_reason(drop, 0) == cases[c].fetched);
		} else {
			ROW_ASSERT(cases[c].label, (update(drop, "x", errors, &why) == 0) == cases[c].removed);
			ROW_ASSERT(cases[c].label, cases[c].removed || (errors[0] == ESTALE && exists(unread)));
			ROW_ASSERT(cases[c].label, !cases[c].removed || cases[c].act == put_other || (!exists(unread) && !exists("M/cur/1.a,S=6,W=8:2,S")));
		}
		maildrop_close(&drop);
		/* The next login heals it. */
		tick();
		drop = log_in(cases[c].label);
		if (maildrop_count(drop) > 0)
			free(fetch(cases[c].label, drop, 0));
		maildrop_close(&drop);
		end();
	}
}

static void write_more_once(void)
{
	struct stat st;
	CU_ASSERT(stat(in_scratch(unread), &st) == 0);
	if (st.st_size == sizeof TEXT - 1)
		write_more();
}

/* Somebody writes to it while it is read for the first time. */
static void test_written_while_read(void)
{
	static void (*const acts[])(void) = { write_over, write_more_once };
	for (size_t i = 0; i < 4; i++) {
		struct message_body body;
		struct why why;
		size_t len;
		uint64_t wire;
		begin();
		make_maildir(0);
		put(unread, TEXT);
		struct maildrop *drop = log_in("while read");
		faults_clear();
		faults[FAULT_READ].before = acts[i / 2];
		const int r = i % 2 == 0 ? maildrop_fetch(drop, 0, &body, &why) : maildrop_read(drop, 0, read_text, sizeof read_text, &len, &wire);
		CU_ASSERT(r != 0 && (i % 2 != 0 || why.reason == REASON_MESSAGE_CHANGED) && maildrop_is_unopened(drop, 0));
		faults_clear();
		maildrop_close(&drop);
		drop = log_in("afterwards");
		free(fetch("afterwards", drop, 0));
		maildrop_close(&drop);
		end();
	}
}

static void test_cannot_be_read(void)
{
	begin();
	make_maildir(0);
	put(unread, TEXT);
	struct maildrop *drop = log_in("error");
	faults_set(FAULT_READ, 1, EIO, 1);
	CU_ASSERT(fetch_reason(drop, 0) == REASON_MAILDROP_IO);
	faults_clear();
	expect_message("and then it can", drop, 0, "ab\r\ncd\r\n");
	maildrop_close(&drop);
	end();
}

/* ---- unique-ids ---- */

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

#define TESTS(X) X(test_names) X(test_large) X(test_learned) X(test_put_right) X(test_not_kept) X(test_others_meanwhile) X(test_written_while_read) \
	X(test_cannot_be_read) X(test_missed) X(test_written_over) X(test_twins) X(test_late_twin) X(test_changes) X(test_changes_cost)
SUITE("maildir_sizes")
