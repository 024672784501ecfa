/*
 * test_maildir_sizes.c - files whose names carry sizes, true and false: what is listed, what is sent, and what the index learns of it.
 * Runs in: the tests. Trusts: nothing.
 */
/* As at any login but the first, which is test_maildir_first.c's. */
#define MAILDIR_PROVEN_TRIES 0
#include "storage/maildir_sizes.c"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/sized_scratch.h"

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

static void leave_it(void) { }
static void set_flag(void) { CU_ASSERT(rename(in_scratch(unread), in_scratch("M/cur/1.a,S=6,W=8:2,S")) == 0); }
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

/*
 * Before a session, of many whose names have the time, so that no login looks at them one by one: QUIT finds out that it was written to, and the
 * session behind that can remove it.
 */
static void test_written_before(void)
{
	static void (*const acts[])(void) = { write_over, write_more };
	for (size_t i = 0; i < 2 * sizeof acts / sizeof acts[0]; i++) {
		const bool was_read = i % 2 != 0;
		int errors[1];
		struct why why;
		begin();
		make_maildir(0);
		put(unread, TEXT);
		put_some("b", MANY);
		struct maildrop *drop = log_in("first");
		if (was_read)
			free(fetch("first", drop, 0));
		maildrop_close(&drop);
		acts[i / 2]();
		drop = log_in("second");
		CU_ASSERT(update(drop, "x", errors, &why) != 0 && errors[0] == ESTALE && exists(unread));
		maildrop_close(&drop);
		drop = log_in("third");
		update_well("third", drop, "x");
		CU_ASSERT(!exists(unread));
		maildrop_close(&drop);
		end();
	}
}

#define TESTS(X) X(test_names) X(test_large) X(test_learned) X(test_put_right) X(test_not_kept) X(test_others_meanwhile) X(test_written_while_read) \
	X(test_cannot_be_read) X(test_written_before)
SUITE("maildir_sizes")
