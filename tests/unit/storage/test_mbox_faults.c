/*
 * test_mbox_faults.c - UPDATE of an mbox with each of its calls failing, and what it makes durable.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/mbox.h"
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
#define A F "S: a\n\none\n\n"
#define B F "S: b\n\ntwo, a bit longer\n\n"
#define C F "S: c\n\nthree\n\n"
#define INTERNAL "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\ntext\n\n"

/* Behind another program's pseudo message a large one that goes, more than the edge has, and B that stays. */
static const char *goes_and_stays(void)
{
	static char file[sizeof INTERNAL B + LARGE];
	(void)snprintf(file, sizeof file, INTERNAL "%s" B, large_message());
	return file;
}

/* Fail one call of that UPDATE. Returns false when it does not make so many calls. */
static bool fail_once(const char *label, enum fault_call call, unsigned at, int error, bool lasting)
{
	int errors[2];
	struct why why;
	scratch_open();
	put("mbox", goes_and_stays());
	struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
	faults_set(call, at, error, lasting);
	int r = update(drop, "x.", errors, &why);
	bool struck = faults[call].calls >= at;
	faults_clear();
	maildrop_close(&drop);
	ROW_ASSERT(label, errors[0] == (r == 0 ? 0 : error) && errors[1] == 0);
	ROW_ASSERT(label, r == 0 || why.err == error);
	bool begun = r == 0 || why.reason == REASON_UPDATE_UNFINISHED;
	/* Before the file is touched it stays as it is; a fault that lasts can keep the journal from being emptied. */
	if (!begun)
		expect_content(label, "mbox", goes_and_stays());
	drop = open_drop(label, MAILDROP_MBOX, "mbox");
	maildrop_close(&drop);
	bool may_be_done = !begun && lasting && (call == FAULT_FSYNC || call == FAULT_FTRUNCATE);
	char *now = get("mbox", NULL);
	ROW_ASSERT(label, strcmp(now, begun ? INTERNAL B : goes_and_stays()) == 0 || (may_be_done && strcmp(now, INTERNAL B) == 0));
	free(now);
	struct stat st;
	ROW_ASSERT(label, fstat(scratch_journal, &st) == 0 && st.st_size == 0);
	scratch_close();
	return struck;
}

/*
 * Whatever fails, once or for good: never success unless the removal is on the disk, the file as it was as long as nothing
 * of it was moved, and the next open finishes the rest.
 */
static void test_faults(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error;
		unsigned least;   /* calls that there must be */
	} cases[] = {
		{ "write, disk full", FAULT_PWRITE, ENOSPC, 3 }, { "write, quota", FAULT_PWRITE, EDQUOT, 3 },
		{ "sync, error", FAULT_FSYNC, EIO, 5 }, { "sync, disk full", FAULT_FSYNC, ENOSPC, 5 },
		{ "truncate", FAULT_FTRUNCATE, EIO, 2 }, { "read", FAULT_PREAD, EIO, 8 }, { "stat", FAULT_FSTAT, EIO, 2 },
		{ "statvfs", FAULT_FSTATVFS, EIO, 1 }, { "memory", FAULT_MALLOC, ENOMEM, 1 },
	};
	enum { CALLS_MAX = 40 };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int lasting = 0; lasting <= 1 && faults_can(cases[i].call); lasting++) {
			unsigned at = 1;
			char label[64];
			do
				(void)snprintf(label, sizeof label, "%s %u%s", cases[i].label, at, lasting ? " for good" : "");
			while (fail_once(label, cases[i].call, at, cases[i].error, lasting != 0) && ++at < CALLS_MAX);
			ROW_ASSERT(label, at > cases[i].least && at < CALLS_MAX);
		}
}

/* When all goes there is one step, which is not undone; before it the file stays as it is. */
static void test_faults_when_all_goes(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error;
		unsigned calls;  /* each of which fails in its turn */
		enum reason reason;
		const char *want;
	} cases[] = {
		{ "read", FAULT_PREAD, EIO, 3, REASON_MAILDROP_IO, A B }, { "end", FAULT_PREAD, FAULT_END, 1, REASON_MAILDROP_CHANGED, A B },
		{ "stat", FAULT_FSTAT, EIO, 3, REASON_MAILDROP_IO, A B }, { "truncate", FAULT_FTRUNCATE, EIO, 1, REASON_MAILDROP_IO, A B }, { "sync", FAULT_FSYNC, EIO, 1, REASON_MAILDROP_IO, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (unsigned at = 1; at <= cases[i].calls; at++) {
			int errors[2];
			struct why why;
			scratch_open();
			put("mbox", A B);
			struct maildrop *drop = open_drop(cases[i].label, MAILDROP_MBOX, "mbox");
			faults_set(cases[i].call, at, cases[i].error, 0);
			ROW_ASSERT(cases[i].label, update(drop, "xx", errors, &why) == -1 && why.reason == cases[i].reason);
			faults_clear();
			ROW_ASSERT(cases[i].label, errors[0] != 0 && errors[0] == errors[1]);
			maildrop_close(&drop);
			expect_content(cases[i].label, "mbox", cases[i].want);
			scratch_close();
		}
}

/* A new mbox of A and B. */
static struct maildrop *open_with(const struct maildrop_options *options)
{
	struct why why;
	struct maildrop *drop = NULL;
	scratch_open();
	put("mbox", A B);
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	CU_ASSERT_FATAL(maildrop_open(&place, options, &drop, &why) == 0);
	return drop;
}

/* Without a journal only all can be removed. */
static void test_without_journal(void)
{
	int errors[2];
	struct why why;
	struct maildrop_options options = default_options();
	options.journal = -1;
	options.journal_errno = ENOSPC;
	struct maildrop *drop = open_with(&options);
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_DISK_FULL && errors[0] == ENOSPC && errors[1] == 0);
	expect_content("no journal", "mbox", A B);
	update_well("no journal", drop, "xx");
	expect_content("no journal", "mbox", "");
	maildrop_close(&drop);
	scratch_close();
}

/* What may only be read: it can be, and the rest is told. */
static void test_read_only(void)
{
	static const int errors_of_open[] = { EACCES, EROFS, EPERM };
	for (size_t i = 0; i < sizeof errors_of_open / sizeof errors_of_open[0]; i++) {
		int errors[2];
		struct why why;
		scratch_open();
		put("mbox", A B);
		faults_set(FAULT_OPENAT, 1, errors_of_open[i], 0);
		struct maildrop *drop = open_drop("read only", MAILDROP_MBOX, "mbox");
		faults_clear();
		CU_ASSERT(count_of(drop) == 2 && update(drop, "x.", errors, &why) == -1 && errors[0] == errors_of_open[i] && errors[1] == 0);
		CU_ASSERT(why.reason == (errors_of_open[i] == EROFS ? REASON_READ_ONLY : REASON_MAILDROP_DENIED));
		maildrop_close(&drop);
		expect_content("read only", "mbox", A B);
		scratch_close();
	}
}

/* Another program takes our lock file for a stale one, in the middle of a long reading. */
static void lock_is_taken(void)
{
	faults_clock_ms += 60 * 1000;
	(void)unlink(in_scratch("mbox.lock"));
}

static void test_lost_lock(void)
{
	int errors[2];
	struct why why;
	struct maildrop_options options = default_options();
	options.locks[0] = HOST_LOCK_DOTLOCK;
	options.lock_count = 1;
	struct maildrop *drop = open_with(&options);
	faults_clear();
	faults[FAULT_PREAD].before = lock_is_taken;
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_MAILDROP_CHANGED && errors[1] == 0);
	faults_clear();
	expect_content("lost lock", "mbox", A B);
	maildrop_close(&drop);
	scratch_close();
}

/* ---- a delivery agent that uses other locks, or took ours for stale ones ---- */

static enum fault_call late_call;
static unsigned late_at;  /* before this call of that kind; 0: before each */

static void deliver(void)
{
	if (late_at == 0 || faults[late_call].calls == late_at)
		append("mbox", C);
}

/* It delivers once, in the middle of the UPDATE: false when there are not so many calls. */
static bool deliver_in_update(const char *marks, const char *left)
{
	char label[64], want[sizeof A B C], all[sizeof A B C];
	int errors[2];
	struct why why;
	(void)snprintf(label, sizeof label, "%s, mail before call %u of kind %d", marks, late_at, (int)late_call);
	(void)snprintf(want, sizeof want, "%s" C, left);
	(void)snprintf(all, sizeof all, A B C);
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
	faults_clear();
	faults[late_call].before = deliver;
	int r = update(drop, marks, errors, &why);
	const bool struck = faults[late_call].calls >= late_at;
	faults_clear();
	maildrop_close(&drop);
	/* When all goes there is no journal that could take in what came: nothing is done. */
	ROW_ASSERT(label, r == 0 || (strcmp(marks, "xx") == 0 && why.reason == REASON_MAILDROP_CHANGED));
	if (struck)
		expect_content(label, "mbox", r == 0 ? want : all);
	scratch_close();
	return struck;
}

/* What comes is kept, whenever it comes. (Between the last look at the size and ftruncate(2) nobody can help.) */
static void test_mail_in_spite_of_locks(void)
{
	static const struct {
		const char *marks, *left;
	} rows[] = { { "x.", B }, { ".x", A }, { "xx", "" } };
	static const enum fault_call kinds[] = { FAULT_PREAD, FAULT_PWRITE, FAULT_FSYNC };
	enum { CALLS_MAX = 40 };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
			late_call = kinds[k];
			for (late_at = 1; deliver_in_update(rows[i].marks, rows[i].left) && late_at < CALLS_MAX; late_at++)
				;
			CU_ASSERT(late_at < CALLS_MAX && (late_at > 1 || kinds[k] == FAULT_PWRITE));
		}
}

/* It never stops: that is not tried for ever, and the next login has all that came. */
static void test_mail_again_and_again(void)
{
	int errors[2];
	struct why why;
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop("again and again", MAILDROP_MBOX, "mbox");
	late_at = 0;
	notices[0] = '\0';
	faults_clear();
	faults[FAULT_FSYNC].before = deliver;
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_UPDATE_UNFINISHED && errors[0] != 0 && errors[1] == 0);
	const unsigned came = faults[FAULT_FSYNC].calls;
	faults_clear();
	CU_ASSERT(strstr(notices, "uses other locks than mbox_locks names") != NULL);
	maildrop_close(&drop);
	drop = open_drop("again and again", MAILDROP_MBOX, "mbox");
	CU_ASSERT(came > 2 && count_of(drop) == 1 + came);
	maildrop_close(&drop);
	scratch_close();
}

/* It came once, and the journal has no room for it: the next login finds both. */
static void test_mail_without_room(void)
{
	int errors[2];
	struct why why;
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop("no room", MAILDROP_MBOX, "mbox");
	late_call = FAULT_FSYNC;
	late_at = 3;
	faults_set(FAULT_PWRITE, 5, ENOSPC, 1);
	faults[FAULT_FSYNC].before = deliver;
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_UPDATE_UNFINISHED && why.err == ENOSPC && errors[1] == 0);
	faults_clear();
	maildrop_close(&drop);
	drop = open_drop("no room", MAILDROP_MBOX, "mbox");
	maildrop_close(&drop);
	expect_content("no room", "mbox", B C);
	scratch_close();
}

/* ---- what the kernel may do ---- */

/* The kernel may do a part, or be interrupted. */
static void test_short_results(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error, lasting;
	} cases[] = {
		{ "short writes", FAULT_PWRITE, 0, 1 },
		{ "short reads", FAULT_PREAD, 0, 1 },
		{ "interrupted write", FAULT_PWRITE, EINTR, 0 },
		{ "interrupted read", FAULT_PREAD, EINTR, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		scratch_open();
		put("mbox", A B C);
		faults_set(cases[i].call, 1, cases[i].error, cases[i].lasting);
		struct maildrop *drop = open_drop(cases[i].label, MAILDROP_MBOX, "mbox");
		faults_set(cases[i].call, 1, cases[i].error, cases[i].lasting);
		update_well(cases[i].label, drop, ".x.");
		faults_clear();
		maildrop_close(&drop);
		expect_content(cases[i].label, "mbox", A C);
		scratch_close();
	}
}

/* A file that cannot be read, or is cut off, while it is scanned. */
static void test_scan_faults(void)
{
	struct why why;
	scratch_open();
	put("mbox", A B F "Content-Length: 1\n\nx\n");
	for (unsigned at = 1; at <= 2; at++) {
		faults_set(FAULT_PREAD, at, EIO, 0);
		struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
		CU_ASSERT(drop == NULL && why.reason == REASON_MAILDROP_IO && why.err == EIO);
		maildrop_close(&drop);
	}
	faults_clear();
	scratch_close();
}

/* +OK promises that the change is on the disk: what others wrote, the journal, what moved, the cut, and that the journal is done with. */
static void test_durable(void)
{
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop("durable", MAILDROP_MBOX, "mbox");
	faults_clear();
	update_well("durable", drop, "x.");
	CU_ASSERT(faults[FAULT_FSYNC].calls == 5 && faults[FAULT_FTRUNCATE].calls == 2);
	maildrop_close(&drop);
	drop = open_drop("all", MAILDROP_MBOX, "mbox");
	faults_clear();
	update_well("all", drop, "x");
	CU_ASSERT(faults[FAULT_FSYNC].calls >= 1 && faults[FAULT_PWRITE].calls == 0);
	maildrop_close(&drop);
	scratch_close();
}

#define TESTS(X) X(test_faults) X(test_faults_when_all_goes) X(test_without_journal) X(test_read_only) X(test_lost_lock) \
	X(test_mail_in_spite_of_locks) X(test_mail_again_and_again) X(test_mail_without_room) X(test_short_results) X(test_scan_faults) X(test_durable)
SUITE("mbox_faults")
