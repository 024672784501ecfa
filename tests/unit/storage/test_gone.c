/*
 * test_gone.c - unique-ids are never used again: by a name that comes again, by equal messages, as far back as the ring goes.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/gone.h"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { FEW = 2, MANY = 513 };  /* so many files are not looked at one by one */

static char uidls[16][UIDL_MAX + 1];  /* as clients were told */
static size_t uidl_count;

/* Log in and note the unique-id of the message; false when it is not there. */
static bool note(enum maildrop_format format, const char *name, size_t idx)
{
	struct maildrop *drop = with_index("note", format, name);
	const bool there = idx < maildrop_count(drop);
	if (there)
		(void)snprintf(uidls[uidl_count++], sizeof uidls[0], "%s", record_of(drop, idx)->uidl);
	maildrop_close(&drop);
	tick();
	return there;
}

static bool same(size_t a, size_t b)
{
	return strcmp(uidls[a], uidls[b]) == 0;
}

/* ---- a Maildir ---- */

static const char reused[] = "M/cur/1.reused:2,";

static void by_us(void)
{
	struct maildrop *drop = with_index("by us", MAILDROP_MAILDIR, "M");
	update_well("by us", drop, "x");
	maildrop_close(&drop);
}

/* In a session that took the maildrop over, whose former gate may have the image mapped. */
static void by_us_frozen(void)
{
	index_files.frozen = true;
	by_us();
	index_files.frozen = false;
}

static void by_another(void)
{
	CU_ASSERT(unlink(in_scratch(reused)) == 0);
}

static void by_another_and_seen(void)
{
	by_another();
	struct maildrop *drop = with_index("by another", MAILDROP_MAILDIR, "M");
	maildrop_close(&drop);
}

static void not_at_all(void)
{
}

/* Another file of that name: not in the inode that the last one had, which the file system likes to give again. */
static void put_elsewhere(const char *name, const char *text, ino_t was)
{
	enum { TRIES = 16 };
	char hold[64];
	struct stat st = { .st_ino = was };
	for (unsigned i = 0; i < TRIES && st.st_ino == was; i++) {
		(void)snprintf(hold, sizeof hold, "M/new/9999.hold%u", i);
		CU_ASSERT(i == 0 || rename(in_scratch(name), in_scratch(hold)) == 0);
		put(name, text);
		CU_ASSERT_FATAL(stat(in_scratch(name), &st) == 0);
	}
	CU_ASSERT_FATAL(st.st_ino != was);
}

static void test_names(void)
{
	static const struct {
		const char *label;
		void (*remove)(void);
		const char *with;
		bool same;
	} rows[] = {
		{ "by us, another", by_us, "Subject: b\n\nother\n", false },
		{ "by us, delivered again", by_us, "Subject: b\n\ntext\n", false },
		{ "by us in a session that took over, delivered again", by_us_frozen, "Subject: b\n\ntext\n", false },
		{ "by another", by_another, "Subject: b\n\nother\n", false },
		{ "by another, and seen", by_another_and_seen, "Subject: b\n\nother\n", false },
		{ "put back", by_another, "Subject: b\n\ntext\n", true },
		{ "put back, and seen", by_another_and_seen, "Subject: b\n\ntext\n", true },
		{ "written over", not_at_all, "Subject: b\n\nother\n", false },
		{ "written over with the same", not_at_all, "Subject: b\n\ntext\n", true },
	};
	static const unsigned counts[] = { FEW, MANY };
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			/* In a large one the directory does not show that a file was written over. */
			if (counts[c] == MANY && rows[i].remove == not_at_all)
				continue;
			begin();
			uidl_count = 0;
			make_maildir(counts[c]);
			put(reused, "Subject: b\n\ntext\n");
			tick();
			CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
			ROW_TEXT(rows[i].label, uidls[0], "1.reused");
			struct stat st;
			CU_ASSERT_FATAL(stat(in_scratch(reused), &st) == 0);
			rows[i].remove();
			tick();
			if (rows[i].remove == not_at_all)
				put(reused, rows[i].with);
			else
				put_elsewhere(reused, rows[i].with, st.st_ino);
			tick();
			CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
			ROW_ASSERT(rows[i].label, same(0, 1) == rows[i].same);
			/* And it keeps it, whatever is listed anew. */
			put("M/cur/2000.x:2,", "Subject: c\n\n");
			CU_ASSERT(rename(in_scratch(reused), in_scratch("M/new/1.reused")) == 0);
			CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
			ROW_ASSERT(rows[i].label, same(1, 2));
			end();
		}
	}
}

/* Such an agent gives the same inode's name at once again: the file system gives the number to the next file. */
static void test_inode_again(void)
{
	static const unsigned counts[] = { FEW, MANY };
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		begin();
		uidl_count = 0;
		make_maildir(counts[c]);
		for (int turn = 0; turn < 5; turn++) {
			put(reused, turn % 2 == 0 ? "Subject: b\n\ntext\n" : "Subject: b\n\nother\n");
			tick();
			CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
			for (int before = 0; before < turn; before++)
				ROW_ASSERT("another each time", !same((size_t)before, (size_t)turn));
			by_us();
		}
		end();
	}
}

/*
 * The same by another program: in a large Maildir the new file has the name and the inode of the record. To the login it looks like one
 * that was written over, as long as the directory was written to as well.
 */
static void test_names_without_time(void)
{
	static const struct {
		const char *label, *name, *flagged;
	} rows[] = {
		{ "procmail's", "M/new/msg.aB3", NULL }, { "a number", "M/new/17", NULL }, { "with a flag", "M/cur/msg.aB3:2,", "M/cur/msg.aB3:2,S" },
		{ "a number with a flag", "M/cur/17:2,", "M/cur/17:2,S" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin();
		uidl_count = 0;
		make_maildir(MANY);
		put(rows[i].name, "Subject: b\n\ntext\n");
		tick();
		CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
		put(rows[i].name, "Subject: b\n\nother\n");
		if (rows[i].flagged != NULL)
			CU_ASSERT(rename(in_scratch(rows[i].name), in_scratch(rows[i].flagged)) == 0);
		put("M/new/3000.x", "Subject: c\n\n");
		tick();
		CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
		ROW_ASSERT(rows[i].label, !same(0, 1));
		end();
	}
}

/* What a scan missed, because another program renamed it just then, is there in the next. */
static void test_missed(void)
{
	begin();
	uidl_count = 0;
	make_maildir(FEW);
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
	CU_ASSERT(rename(in_scratch("M/cur/1000.M0P.host:2,S"), in_scratch("away")) == 0);
	struct maildrop *drop = with_index("missed", MAILDROP_MAILDIR, "M");
	CU_ASSERT(count_of(drop) == FEW - 1);
	maildrop_close(&drop);
	tick();
	CU_ASSERT(rename(in_scratch("away"), in_scratch("M/cur/1000.M0P.host:2,RS")) == 0);
	tick();
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 0));
	ROW_ASSERT("the same", same(0, 1));
	end();
}

/* Noticed by FETCH in a large Maildir, and another is not: the next login looks at each file, and reads those two. */
static void test_noticed_late(void)
{
	begin();
	uidl_count = 0;
	make_maildir(MANY);
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 1));
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 2));
	change_in_place("M/cur/1001.M1P.host:2,S", "text", "TEXT");
	change_in_place("M/cur/1002.M2P.host:2,S", "text", "TEXT");
	struct maildrop *drop = with_index("late", MAILDROP_MAILDIR, "M");
	CU_ASSERT(fetch_reason(drop, 1) == REASON_MESSAGE_CHANGED);
	maildrop_close(&drop);
	faults_clear();
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 1));
	CU_ASSERT(faults[FAULT_READ].calls == 2);
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 2));
	ROW_ASSERT("another", !same(0, 2) && !same(1, 3));
	/* And none later. */
	faults_clear();
	CU_ASSERT_FATAL(note(MAILDROP_MAILDIR, "M", 1));
	CU_ASSERT(faults[FAULT_READ].calls == 0 && faults[FAULT_FSTATAT].calls < MANY);
	end();
}

/* ---- an mbox ---- */

static const char equal[] = "From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\ntext\n\n";

static void test_equal(void)
{
	static const struct {
		const char *label;
		unsigned others, equal;
		bool us, seen, frozen;
	} rows[] = {
		{ "the only message", 0, 1, true, false, false }, { "the last, by us", 1, 1, true, false, false }, { "the last of two, by us", 1, 2, true, false, false },
		{ "the last of two, by another", 1, 2, false, true, false }, { "by another", 1, 1, false, true, false },
		{ "the last of two in a large one", 60, 2, true, false, false }, { "in a large one, and seen", 60, 1, true, true, false },
		{ "the last of two, by us in a session that took over", 1, 2, true, false, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char marks[64] = "";
		size_t len;
		begin();
		uidl_count = 0;
		if (rows[i].others > 0)
			put_mbox(rows[i].others, 5000);
		for (unsigned n = 0; n < rows[i].equal; n++)
			append("mbox", equal);
		tick();
		const size_t last = rows[i].others + rows[i].equal - 1;
		CU_ASSERT_FATAL(note(MAILDROP_MBOX, "mbox", last));
		if (rows[i].us) {
			index_files.frozen = rows[i].frozen;
			struct maildrop *drop = with_index(rows[i].label, MAILDROP_MBOX, "mbox");
			memset(marks, '.', last);
			marks[last] = 'x';
			update_well(rows[i].label, drop, marks);
			maildrop_close(&drop);
			index_files.frozen = false;
		} else {
			char *text = get("mbox", &len);
			put_octets("mbox", text, len - strlen(equal));
			free(text);
		}
		tick();
		if (rows[i].seen)
			CU_ASSERT(!note(MAILDROP_MBOX, "mbox", last));
		append("mbox", equal);
		tick();
		CU_ASSERT_FATAL(note(MAILDROP_MBOX, "mbox", last));
		ROW_ASSERT(rows[i].label, !same(0, 1));
		put_mbox(1, 300);
		CU_ASSERT_FATAL(note(MAILDROP_MBOX, "mbox", last));
		ROW_ASSERT(rows[i].label, same(1, 2));
		end();
	}
}

/* ---- the ring ---- */

/* Written and read in pieces, over its end: the newest INDEX_GONE_MAX are known, and no other. */
static void test_ring(void)
{
	static const unsigned pieces[] = { 1, 7, INDEX_GONE_MAX - 20, 30, INDEX_GONE_MAX, 2 * INDEX_GONE_MAX + 3, 5 };
	struct index x;
	struct maildrop_options options = default_options();
	uint64_t made = 0;
	begin();
	options.index = &index_files;
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		index_begin(&x, &options, "/");
		struct gone *g = gone_read(&x);
		CU_ASSERT_FATAL(g != NULL && g->count == made);
		for (unsigned n = 0; n < pieces[i]; n++, made++)
			gone_add(g, 7 * made + 1, made + 2);
		gone_write(g, &x);
		index_keep(&x);
		free(g);
		index_begin(&x, &options, "/");
		g = gone_read(&x);
		CU_ASSERT_FATAL(g != NULL);
		for (uint64_t n = 0; n < made; n++) {
			const bool known = made - n <= INDEX_GONE_MAX;
			CU_ASSERT(gone_has(g, 7 * n + 1) == known && gone_was_anothers(g, 7 * n + 1, 0, 0) == known && !gone_was_anothers(g, 7 * n + 1, n + 2, 0) &&
			          !gone_was_anothers(g, 7 * n + 1, 0, n + 2));
		}
		CU_ASSERT(!gone_has(g, 2));
		free(g);
	}
	end();
}

#define TESTS(X) X(test_names) X(test_inode_again) X(test_names_without_time) X(test_missed) X(test_noticed_late) X(test_equal) X(test_ring)
SUITE("gone")
