/*
 * test_changes.c - a mailbox whose messages are there under other unique-ids is not served as if all were new; all else is.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/changes.h"
#include "storage/maildir.h"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { SOME = 30 };

/* Files n..n+count-1 under names that begin with that; each has its own text, or all the same. */
static void put_files(const char *begin, unsigned n, unsigned count, bool alike)
{
	char name[64], text[64];
	for (unsigned i = n; i < n + count; i++) {
		(void)snprintf(name, sizeof name, "M/cur/%s%u:2,S", begin, i);
		(void)snprintf(text, sizeof text, "Subject: %u\n\ntext\n", alike ? 0 : i);
		put(name, text);
	}
	tick();
}

static void rename_files(const char *begin, const char *to, const char *flags, unsigned n, unsigned count)
{
	char from[64], name[64];
	for (unsigned i = n; i < n + count; i++) {
		(void)snprintf(from, sizeof from, "M/cur/%s%u:2,S", begin, i);
		(void)snprintf(name, sizeof name, "M/%s%u%s", to, i, flags);
		CU_ASSERT(rename(in_scratch(from), in_scratch(name)) == 0);
	}
	tick();
}

static void remove_files(const char *begin, unsigned n, unsigned count)
{
	char name[64];
	for (unsigned i = n; i < n + count; i++) {
		(void)snprintf(name, sizeof name, "M/cur/%s%u:2,S", begin, i);
		CU_ASSERT(unlink(in_scratch(name)) == 0);
	}
	tick();
}

/* ---- what is done to a Maildir of SOME messages a0..., all different ---- */

static void rename_all(void) { rename_files("a", "cur/b", ":2,S", 0, SOME); }
static void rename_most(void) { rename_files("a", "cur/b", ":2,S", 0, CHANGES_MIN); }
static void rename_few(void) { rename_files("a", "cur/b", ":2,S", 0, CHANGES_MIN - 1); }
static void set_flags(void) { rename_files("a", "cur/a", ":2,RS", 0, SOME); }
static void move_to_new(void) { rename_files("a", "new/a", "", 0, SOME); }
static void deliver(void) { put_files("b", 1000, 3 * SOME, false); }
static void deliver_again(void) { put_files("b", 0, SOME, false); }
static void expunge(void) { remove_files("a", 0, SOME); }
static void expunge_and_deliver(void) { expunge(); deliver(); }
static void copy(void) { remove_files("a", 0, SOME); put_files("c", 0, SOME, false); }
static void put_back(void) { remove_files("a", 0, SOME); put_files("a", 0, SOME, false); }

static void rename_half(void)
{
	put_files("z", 500, SOME, false);
	struct maildrop *drop = with_index("twice as many", MAILDROP_MAILDIR, "M");
	maildrop_close(&drop);
	rename_all();
}

static const struct {
	const char *label;
	void (*act)(void);
	bool refused;
} maildir_rows[] = {
	{ "all renamed", rename_all, true }, { "most renamed", rename_most, true }, { "copied to other names", copy, true },
	{ "few renamed", rename_few, false }, { "half renamed", rename_half, false }, { "flags", set_flags, false }, { "moved to new/", move_to_new, false },
	{ "new mail", deliver, false }, { "all once more", deliver_again, false }, { "expunged", expunge, false },
	{ "expunged, and new mail", expunge_and_deliver, false }, { "put back under the same names", put_back, false },
};

static bool refused(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = open_indexed(format, name, true, &why);
	ROW_ASSERT(label, drop != NULL || (why.reason == REASON_IDS_CHANGED && strstr(why.text, "rm /indexes/key.index") != NULL));
	maildrop_close(&drop);
	return why.reason == REASON_IDS_CHANGED;
}

static void begin_with(bool alike)
{
	begin();
	index_files.directory = "/indexes";
	(void)snprintf(index_files.name, sizeof index_files.name, "key.index");
	make_maildir(0);
	put_files("a", 0, SOME, alike);
	ROW_ASSERT("first", !refused("first", MAILDROP_MAILDIR, "M"));
}

static void test_maildir(void)
{
	for (size_t i = 0; i < sizeof maildir_rows / sizeof maildir_rows[0]; i++) {
		begin_with(false);
		maildir_rows[i].act();
		ROW_ASSERT(maildir_rows[i].label, refused(maildir_rows[i].label, MAILDROP_MAILDIR, "M") == maildir_rows[i].refused);
		/* As long as it is so, whatever arrives. */
		put_files("n", 2000, 3, false);
		ROW_ASSERT(maildir_rows[i].label, refused(maildir_rows[i].label, MAILDROP_MAILDIR, "M") == maildir_rows[i].refused);
		end();
	}
}

/* Equal messages prove nothing: a list that sends them, empty files. */
static void test_alike(void)
{
	begin_with(true);
	remove_files("a", 0, SOME);
	put_files("b", 0, 2 * SOME, true);
	ROW_ASSERT("alike", !refused("alike", MAILDROP_MAILDIR, "M"));
	end();
}

/* Put back, allowed once, allowed by the setting. */
static void test_ways_out(void)
{
	struct why why;
	begin_with(false);
	struct maildrop *drop = with_index("before", MAILDROP_MAILDIR, "M");
	char *before = list_text(drop);
	maildrop_close(&drop);
	rename_all();
	ROW_ASSERT("all renamed", refused("all renamed", MAILDROP_MAILDIR, "M"));
	rename_files("b", "cur/a", ":2,S", 0, SOME);
	drop = with_index("put back", MAILDROP_MAILDIR, "M");
	char *after = list_text(drop);
	ROW_TEXT("put back", after, before);
	maildrop_close(&drop);
	free(before);
	free(after);
	rename_all();
	ROW_ASSERT("again", refused("again", MAILDROP_MAILDIR, "M"));
	CU_ASSERT(unlink(in_scratch("index")) == 0);
	index_reopen();
	index_files.directory = "/indexes";
	(void)snprintf(index_files.name, sizeof index_files.name, "key.index");
	ROW_ASSERT("allowed once", !refused("allowed once", MAILDROP_MAILDIR, "M"));
	rename_files("b", "cur/c", ":2,S", 0, SOME);
	ROW_ASSERT("a second time", refused("a second time", MAILDROP_MAILDIR, "M"));
	struct maildrop_place place = place_in_scratch(MAILDROP_MAILDIR, "M");
	struct maildrop_options options = default_options();
	options.index = &index_files;
	options.unique_ids_may_change = true;
	CU_ASSERT_FATAL(maildrop_open(&place, &options, &drop, &why) == 0);
	maildrop_close(&drop);
	ROW_ASSERT("allowed by the setting, and known from then on", !refused("allowed", MAILDROP_MAILDIR, "M"));
	end();
}

/* An index of another version is none: what it says is not known. */
static void test_other_version(void)
{
	begin_with(false);
	rename_all();
	CU_ASSERT(pwrite(index_files.write_fd, "POPINDX1", 8, 0) == 8);
	ROW_ASSERT("another version", !refused("another version", MAILDROP_MAILDIR, "M"));
	end();
}

/* A home that is not mounted is no empty mailbox, where there was mail; one without a Maildir is. */
static void test_not_mounted(void)
{
	struct why why;
	begin();
	make_dir("H");
	make_dir("H/M");
	make_dir("H/M/cur");
	struct maildrop *drop = with_index("no mail yet", MAILDROP_MAILDIR, "H/M");
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
	drop = with_index("there was none", MAILDROP_MAILDIR, "H/M");
	CU_ASSERT(maildrop_count(drop) == 0);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("away"), in_scratch("H")) == 0);
	put("H/M/cur/1.a:2,", "x\n");
	tick();
	drop = with_index("one", MAILDROP_MAILDIR, "H/M");
	CU_ASSERT(maildrop_count(drop) == 1);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
	drop = open_indexed(MAILDROP_MAILDIR, "H/M", true, &why);
	ROW_ASSERT(why.text, drop == NULL && why.reason == REASON_MAILDROP_IO && strstr(why.text, "/H, where mail was at the last login, 1 messages (mount its file system") != NULL);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("away"), in_scratch("H")) == 0);
	drop = with_index("back", MAILDROP_MAILDIR, "H/M");
	ROW_TEXT("back", record_of(drop, 0)->uidl, "1.a");
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("H/M"), in_scratch("away")) == 0);
	drop = with_index("the Maildir is gone", MAILDROP_MAILDIR, "H/M");
	CU_ASSERT(maildrop_count(drop) == 0);
	maildrop_close(&drop);
	end();
}

/* The mount point is there, without what was on it: a directory on another device. */
static void test_mount_point(void)
{
	static const struct {
		const char *label;
		enum maildrop_format format;
		const char *name, *file;
	} cases[] = { { "Maildir", MAILDROP_MAILDIR, "H/M", "H/M/cur/1.a:2," }, { "mbox", MAILDROP_MBOX, "H/mbox", "H/mbox" } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct why why;
		begin();
		make_dir("H");
		make_dir("H/M");
		make_dir("H/M/cur");
		put(cases[i].file, "From a@b Thu Jan  1 00:00:00 1970\nSubject: a\n\ntext\n\n");
		tick();
		struct maildrop *drop = with_index(cases[i].label, cases[i].format, cases[i].name);
		char *one = list_text(drop);
		CU_ASSERT(maildrop_count(drop) == 1);
		maildrop_close(&drop);
		CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0 && symlink("/proc", in_scratch("H")) == 0);
		drop = open_indexed(cases[i].format, cases[i].name, true, &why);
		ROW_ASSERT(why.text, drop == NULL && why.reason == REASON_MAILDROP_IO && strstr(why.text, "was on another file system (mount it") != NULL);
		maildrop_close(&drop);
		CU_ASSERT(unlink(in_scratch("H")) == 0 && rename(in_scratch("away"), in_scratch("H")) == 0);
		drop = with_index(cases[i].label, cases[i].format, cases[i].name);
		char *back = list_text(drop);
		ROW_TEXT(cases[i].label, back, one);
		maildrop_close(&drop);
		/* Its owner's home was made anew. */
		CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
		make_dir("H");
		drop = with_index(cases[i].label, cases[i].format, cases[i].name);
		CU_ASSERT(maildrop_count(drop) == 0);
		maildrop_close(&drop);
		free(one);
		free(back);
		end();
	}
}

static void other_device(struct index_head *head)
{
	struct maildir_left *left = (void *)head->state;
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		left->dirs[i].dev++;
}

/* A Maildir that is the mount point itself has neither new/ nor cur/ then. */
static void test_maildir_is_mount_point(void)
{
	for (size_t elsewhere = 0; elsewhere < 2; elsewhere++) {
		struct index_head head;
		struct digest_state d;
		struct why why;
		begin();
		make_maildir(1);
		struct maildrop *drop = with_index("one", MAILDROP_MAILDIR, "M");
		maildrop_close(&drop);
		CU_ASSERT(pread(index_files.write_fd, &head, sizeof head, 0) == (ssize_t)sizeof head);
		if (elsewhere)
			other_device(&head);
		digest_begin(&d, 0);
		digest_add(&d, &head, offsetof(struct index_head, head));
		head.head = digest_so_far(&d);
		CU_ASSERT(pwrite(index_files.write_fd, &head, sizeof head, 0) == (ssize_t)sizeof head);
		CU_ASSERT(rename(in_scratch("M/cur"), in_scratch("away")) == 0 && rmdir(in_scratch("M/new")) == 0);
		drop = open_indexed(MAILDROP_MAILDIR, "M", true, &why);
		CU_ASSERT((drop == NULL) == (elsewhere == 1) && (drop != NULL || (why.reason == REASON_MAILDROP_IO && strstr(why.text, "/M/cur, which had 1 messages") != NULL)));
		maildrop_close(&drop);
		end();
	}
}

/* The same of an mbox: its directory is what is missing. */
static void test_mbox_not_mounted(void)
{
	struct why why;
	begin();
	make_dir("H");
	CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
	struct maildrop *drop = with_index("there was no mail", MAILDROP_MBOX, "H/mbox");
	CU_ASSERT(maildrop_count(drop) == 0);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("away"), in_scratch("H")) == 0);
	put("H/mbox", "From a@b Thu Jan  1 00:00:00 1970\nSubject: a\n\ntext\n\n");
	tick();
	drop = with_index("one", MAILDROP_MBOX, "H/mbox");
	char *one = list_text(drop);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
	drop = open_indexed(MAILDROP_MBOX, "H/mbox", true, &why);
	ROW_ASSERT(why.text, drop == NULL && why.reason == REASON_MAILDROP_IO && strstr(why.text, "/H, where mail was at the last login, 1 messages (mount its file system") != NULL);
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("away"), in_scratch("H")) == 0);
	drop = with_index("back", MAILDROP_MBOX, "H/mbox");
	char *back = list_text(drop);
	ROW_TEXT("back", back, one);
	update_well("back", drop, "x");
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("H"), in_scratch("away")) == 0);
	drop = with_index("all was removed", MAILDROP_MBOX, "H/mbox");
	CU_ASSERT(maildrop_count(drop) == 0);
	maildrop_close(&drop);
	free(one);
	free(back);
	end();
}

/* ---- an mbox ---- */

static const struct {
	const char *label, *from, *added, *body;
	bool ids, refused;
} mbox_rows[] = {
	{ "as it was", "a@b", "", "text", true, false }, { "flags", "a@b", "Status: RO\n", "text", true, false },
	{ "another From_ line", "x@y", "", "text", true, true }, { "a field more", "a@b", "X-Spam: no\n", "text", true, true },
	{ "another text", "a@b", "", "TEXT", true, true }, { "without a Message-ID", "x@y", "", "text", false, true },
	{ "other mail", "x@y", "", "TEXT", false, false },
};

static void write_mbox(const char *from, const char *added, const char *body, bool ids)
{
	char text[256], id[64];
	put("mbox", "");
	for (unsigned i = 0; i < SOME; i++) {
		(void)snprintf(id, sizeof id, "Message-ID: <%u@x>\n", i);
		(void)snprintf(text, sizeof text, "From %s Thu Jan  1 00:00:00 1970\nSubject: x\n%s%s\n%s %u\n\n", from, ids ? id : "", added, body, i);
		append("mbox", text);
	}
	tick();
}

static void test_mbox(void)
{
	for (size_t i = 0; i < sizeof mbox_rows / sizeof mbox_rows[0]; i++) {
		begin();
		index_files.directory = "/indexes";
		(void)snprintf(index_files.name, sizeof index_files.name, "key.index");
		write_mbox("a@b", "", "text", mbox_rows[i].ids);
		ROW_ASSERT("first", !refused("first", MAILDROP_MBOX, "mbox"));
		struct maildrop *drop = with_index("before", MAILDROP_MBOX, "mbox");
		char *before = list_text(drop);
		maildrop_close(&drop);
		write_mbox(mbox_rows[i].from, mbox_rows[i].added, mbox_rows[i].body, mbox_rows[i].ids);
		ROW_ASSERT(mbox_rows[i].label, refused(mbox_rows[i].label, MAILDROP_MBOX, "mbox") == mbox_rows[i].refused);
		append("mbox", "From a@b Thu Jan  1 00:00:00 1970\n\nnew\n\n");
		tick();
		ROW_ASSERT(mbox_rows[i].label, refused(mbox_rows[i].label, MAILDROP_MBOX, "mbox") == mbox_rows[i].refused);
		write_mbox("a@b", "", "text", mbox_rows[i].ids);
		drop = with_index("put back", MAILDROP_MBOX, "mbox");
		char *after = list_text(drop);
		ROW_TEXT(mbox_rows[i].label, after, before);
		maildrop_close(&drop);
		free(before);
		free(after);
		end();
	}
}

#define TESTS(X) X(test_maildir) X(test_alike) X(test_ways_out) X(test_other_version) X(test_not_mounted) X(test_mbox_not_mounted) X(test_mount_point) X(test_maildir_is_mount_point) X(test_mbox)
SUITE("changes")
