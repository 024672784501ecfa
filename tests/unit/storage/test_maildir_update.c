/*
 * test_maildir_update.c - fetching from a Maildir and removing, after other programs were there.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/maildir_scratch.h"

static void sets_flags(void) { move("M/cur/1.a:2,", "M/cur/1.a:2,FRS"); }
static void sets_many_flags(void) { move("M/cur/1.a:2,", "M/cur/1.a:2,DFPRSTabcdefghijklmnopqrstuvwxyz"); }
static void moves_to_new(void) { move("M/cur/1.a:2,", "M/new/1.a"); }
static void removes(void) { CU_ASSERT(unlink(in_scratch("M/cur/1.a:2,")) == 0); }
static void writes(void) { append("M/cur/1.a:2,", "more\n"); }
static void writes_same_size(void)
{
	struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 5 } };
	put("M/cur/1.a:2,", "y\n");
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("M/cur/1.a:2,"), times, 0) == 0);
}
static void replaces(void)
{
	put("M/tmp/1.a", "z\n");
	move("M/tmp/1.a", "M/cur/1.a:2,");
}
static void replaces_by_link(void)
{
	CU_ASSERT(symlink("2.b:2,", in_scratch("M/tmp/link")) == 0);
	move("M/tmp/link", "M/cur/1.a:2,");
}
static void replaces_and_moves(void)
{
	sets_flags();
	put("M/cur/1.a:2,", "z\n");
}
static void delivers(void) { put("M/new/0.c", "new mail\n"); }

static const struct {
	const char *label;
	void (*happens)(void);
	enum reason fetched;
	const char *left;  /* of those in cur, after message 1 was removed; NULL: only 2.b */
} events[] = {
	{ "flags", sets_flags, REASON_NONE, NULL },
	{ "many flags", sets_many_flags, REASON_NONE, NULL },
	{ "move to new", moves_to_new, REASON_NONE, NULL },
	{ "removal", removes, REASON_MESSAGE_GONE, NULL },
	{ "write", writes, REASON_MESSAGE_CHANGED, NULL },
	{ "write of the same size", writes_same_size, REASON_MESSAGE_CHANGED, NULL },
	{ "another file of that name", replaces, REASON_MESSAGE_GONE, "M/cur/1.a:2," },
	{ "a link of that name", replaces_by_link, REASON_MESSAGE_GONE, "M/cur/1.a:2," },
	{ "another file, and ours elsewhere", replaces_and_moves, REASON_NONE, "M/cur/1.a:2," },
	{ "delivery", delivers, REASON_NONE, "M/new/0.c" },
};

static void test_fetch_after(void)
{
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		struct maildrop *drop = open_two(events[i].label);
		events[i].happens();
		ROW_ASSERT(events[i].label, fetch_reason(drop, 0) == events[i].fetched);
		if (events[i].fetched == REASON_NONE)
			expect_message(events[i].label, drop, 0, "x\r\n");
		expect_message(events[i].label, drop, 1, "b\r\n");
		ROW_ASSERT(events[i].label, count_of(drop) == 2);
		maildrop_close(&drop);
		scratch_close();
	}
}

/* What another program wrote into the marked message's file is no longer what the client saw: it stays, and QUIT says so. */
static void test_update_after_write(void)
{
	static void (*const writers[])(void) = { writes, writes_same_size };
	for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
		int errors[2] = { -1, -1 };
		struct why why;
		struct maildrop *drop = open_two("write");
		writers[i]();
		CU_ASSERT(update(drop, "x.", errors, &why) == -1);
		CU_ASSERT(errors[0] == ESTALE && errors[1] == 0 && why.reason == REASON_MAILDROP_CHANGED);
		maildrop_close(&drop);
		CU_ASSERT(exists("M/cur/1.a:2,") && exists("M/cur/2.b:2,"));
		scratch_close();
	}
}

/* The marked message is gone, under whatever name; nothing else is. With and without a fetch before. */
static void test_update_after(void)
{
	for (size_t i = 0; i < 2 * sizeof events / sizeof events[0]; i++) {
		const char *label = events[i / 2].label, *left = events[i / 2].left;
		if (events[i / 2].fetched == REASON_MESSAGE_CHANGED)
			continue; /* test_update_after_write() */
		struct maildrop *drop = open_two(label);
		events[i / 2].happens();
		if (i % 2 != 0)
			(void)fetch_reason(drop, 0);
		update_well(label, drop, "x.");
		maildrop_close(&drop);
		struct maildrop *after = open_maildir(label);
		bool left_is_message = left != NULL && events[i / 2].happens != replaces_by_link;
		ROW_ASSERT(label, count_of(after) == (left_is_message ? 2 : 1));
		ROW_ASSERT(label, left == NULL || exists(left));
		ROW_ASSERT(label, exists("M/cur/2.b:2,"));
		maildrop_close(&after);
		scratch_close();
	}
}

/* The unmarked message is never removed, though its name was given to another. */
static void test_names_swapped(void)
{
	struct maildrop *drop = open_two("swapped");
	move("M/cur/1.a:2,", "M/tmp/x");
	move("M/cur/2.b:2,", "M/cur/1.a:2,");
	move("M/tmp/x", "M/cur/2.b:2,");
	update_well("swapped", drop, "x.");
	maildrop_close(&drop);
	expect_content("swapped", "M/cur/1.a:2,", "b\n");
	scratch_close();
}

/* ---- failures ---- */

static void test_faults(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		unsigned at;
		int error;
		enum reason reason;
		int errors[2];
	} rows[] = {
		{ "sync", FAULT_FSYNC, 1, EIO, REASON_MAILDROP_IO, { EIO, EIO } },
		{ "sync, no space", FAULT_FSYNC, 1, ENOSPC, REASON_DISK_FULL, { ENOSPC, ENOSPC } },
		{ "first unlink", FAULT_UNLINKAT, 1, EROFS, REASON_READ_ONLY, { EROFS, 0 } },
		{ "second unlink", FAULT_UNLINKAT, 2, EIO, REASON_MAILDROP_IO, { 0, EIO } },
		{ "stat", FAULT_FSTATAT, 1, EIO, REASON_MAILDROP_IO, { EIO, 0 } },
		{ "gone at the last moment", FAULT_UNLINKAT, 1, ENOENT, REASON_NONE, { 0, 0 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int errors[2] = { -1, -1 };
		struct why why;
		struct maildrop *drop = open_two(rows[i].label);
		faults_set(rows[i].call, rows[i].at, rows[i].error, 0);
		int r = update(drop, "xx", errors, &why);
		faults_clear();
		ROW_ASSERT(rows[i].label, r == (rows[i].reason == REASON_NONE ? 0 : -1) && why.reason == rows[i].reason);
		ROW_ASSERT(rows[i].label, errors[0] == rows[i].errors[0] && errors[1] == rows[i].errors[1]);
		maildrop_close(&drop);
		scratch_close();
	}
}

/* One cannot be removed, and another has to be looked for: each is told for itself. */
static void test_faults_and_flags(void)
{
	int errors[2] = { -1, -1 };
	struct why why;
	struct maildrop *drop = open_two("one fails, one has moved");
	move("M/cur/2.b:2,", "M/cur/2.b:2,S");
	faults_set(FAULT_UNLINKAT, 1, EIO, 0);
	CU_ASSERT(update(drop, "xx", errors, &why) == -1 && errors[0] == EIO && errors[1] == 0);
	faults_clear();
	maildrop_close(&drop);
	CU_ASSERT(exists("M/cur/1.a:2,") && !exists("M/cur/2.b:2,S"));
	scratch_close();
}

/* The same where one goes, and for the one that has moved there is no way to look. */
static void test_faults_and_no_look(void)
{
	int errors[3] = { -1, -1, -1 };
	struct why why;
	make_maildir();
	put("M/cur/1.a:2,", "x\n");
	put("M/cur/2.b:2,", "b\n");
	put("M/cur/3.c:2,", "c\n");
	struct maildrop *drop = open_maildir("one fails, one goes, one has moved");
	move("M/cur/3.c:2,", "M/cur/3.c:2,S");
	faults_set(FAULT_UNLINKAT, 1, EACCES, 0);
	faults[FAULT_GETDENTS].fail_at = 1;
	faults[FAULT_GETDENTS].error = EIO;
	CU_ASSERT(update(drop, "xxx", errors, &why) == -1 && errors[0] == EACCES && errors[1] == 0 && errors[2] == EIO);
	faults_clear();
	maildrop_close(&drop);
	CU_ASSERT(exists("M/cur/1.a:2,") && !exists("M/cur/2.b:2,") && exists("M/cur/3.c:2,S"));
	scratch_close();
}

/* A message that has another name whenever we look. */
static void renames_again(void)
{
	const bool there = exists("M/cur/1.a:2,");
	move(there ? "M/cur/1.a:2," : "M/cur/1.a:2,S", there ? "M/cur/1.a:2,S" : "M/cur/1.a:2,");
}

static void test_renamed_without_end(void)
{
	int errors[2] = { -1, -1 };
	struct why why;
	struct maildrop *drop = open_two("renamed without end");
	faults_clear();
	faults[FAULT_FSTATAT].before = renames_again;
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_MAILDROP_BUSY && errors[0] == EBUSY && errors[1] == 0);
	faults_clear();
	maildrop_close(&drop);
	CU_ASSERT(exists("M/cur/2.b:2,") && (exists("M/cur/1.a:2,") || exists("M/cur/1.a:2,S")));
	scratch_close();
}

/* Another program removed it, from the one directory that there is. */
static void test_removed_without_new(void)
{
	struct maildrop *drop;
	make_maildir();
	put("M/cur/1.a:2,", "x\n");
	CU_ASSERT(rmdir(in_scratch("M/new")) == 0);
	drop = open_maildir("no new");
	removes();
	faults_clear();
	update_well("no new", drop, "x");
	CU_ASSERT(faults[FAULT_FSYNC].calls == 1);
	maildrop_close(&drop);
	scratch_close();
}

/* Each directory that lost a message is synced, and no other. */
static void test_durable(void)
{
	static const struct {
		const char *marks;
		unsigned syncs;
	} rows[] = { { "x...", 1 }, { "xx..", 1 }, { "..x.", 1 }, { "x..x", 2 }, { "....", 0 }, { "xxxx", 2 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_maildir();
		put("M/cur/1.a:2,", "x\n");
		put("M/cur/2.b:2,", "x\n");
		put("M/new/3.c", "x\n");
		put("M/new/4.d", "x\n");
		struct maildrop *drop = open_maildir(rows[i].marks);
		faults_clear();
		update_well(rows[i].marks, drop, rows[i].marks);
		ROW_ASSERT(rows[i].marks, faults[FAULT_FSYNC].calls == rows[i].syncs);
		maildrop_close(&drop);
		scratch_close();
	}
}

static void test_scan_faults(void)
{
	int errors[2] = { -1, -1 };
	struct why why;
	struct maildrop *drop = open_two("scan faults");
	for (unsigned at = 1; at <= 5; at++) {
		faults_set(FAULT_GETDENTS, at, EIO, 0);
		struct maildrop *other = try_open(MAILDROP_MAILDIR, "M", &why);
		CU_ASSERT(other == NULL && why.reason == REASON_MAILDROP_IO && why.err == EIO);
		maildrop_close(&other);
	}
	/* A message that cannot be read is skipped; the others are served. */
	faults_set(FAULT_READ, 1, EIO, 0);
	struct maildrop *other = open_maildir("read fault");
	CU_ASSERT(count_of(other) == 1 && strstr(notices, "skipped, it cannot be read: Input/output error") != NULL);
	maildrop_close(&other);
	/* But when none can be had, that is no empty maildrop. */
	static const struct { enum fault_call call; int error; } all[] = { { FAULT_READ, EIO }, { FAULT_OPENAT, EIO }, { FAULT_OPENAT, ESTALE } };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		/* Where the compiler's checks are off, the directories are opened by this openat(2) as well, before the two messages. */
		faults_clear();
		maildrop_close(&(struct maildrop *){ open_maildir("calls") });
		faults_set(all[i].call, faults[all[i].call].calls - 1, all[i].error, 1);
		other = try_open(MAILDROP_MAILDIR, "M", &why);
		CU_ASSERT(other == NULL && why.reason == REASON_MAILDROP_IO && why.err == all[i].error);
		maildrop_close(&other);
	}
	faults_set(FAULT_READ, 1, EINTR, 0);
	other = open_maildir("interrupted");
	CU_ASSERT(count_of(other) == 2);
	maildrop_close(&other);
	/* Not to be found, and no way to look: not gone. */
	sets_flags();
	faults_set(FAULT_GETDENTS, 1, EIO, 0);
	CU_ASSERT(update(drop, "x.", errors, &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_IO && errors[0] == EIO && errors[1] == 0);
	faults_set(FAULT_GETDENTS, 1, EIO, 0);
	CU_ASSERT(fetch_reason(drop, 0) == REASON_MAILDROP_IO);
	faults_clear();
	expect_message("found again", drop, 0, "x\r\n");
	maildrop_close(&drop);
	scratch_close();
}

/* Without memory for the names nothing is removed, and the next try can do it. */
static void test_no_memory(void)
{
	if (!faults_can(FAULT_MALLOC)) {
		printf("test_no_memory: malloc(3) cannot be made to fail here\n");
		return;
	}
	for (unsigned n = 1; n < 8; n++) {
		int errors[2];
		struct why why;
		struct maildrop *drop = open_two("no memory");
		faults_set(FAULT_MALLOC, n, ENOMEM, 0);
		int r = update(drop, ".x", errors, &why);
		faults_clear();
		ROW_ASSERT("no memory", r == 0 || (why.reason == REASON_NO_MEMORY && errors[0] == 0 && errors[1] == ENOMEM));
		ROW_ASSERT("no memory", exists("M/cur/1.a:2,") && exists("M/cur/2.b:2,") == (r != 0));
		ROW_ASSERT("no memory", n > 1 || r != 0);
		if (r != 0)
			update_well("again", drop, ".x");
		ROW_ASSERT("again", exists("M/cur/1.a:2,") && !exists("M/cur/2.b:2,"));
		maildrop_close(&drop);
		scratch_close();
	}
}

#define TESTS(X) X(test_no_memory) X(test_fetch_after) X(test_update_after) X(test_update_after_write) X(test_names_swapped) X(test_faults) \
	X(test_faults_and_flags) X(test_faults_and_no_look) X(test_renamed_without_end) X(test_removed_without_new) X(test_durable) X(test_scan_faults)
SUITE("maildir_update")
