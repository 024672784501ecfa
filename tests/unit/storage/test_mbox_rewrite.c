/*
 * test_mbox_rewrite.c - recovery of an mbox, with each of its calls failing.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/mbox_rewrite.h"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/journal_record.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
#define A F "Subject: a\n\none\n\n"
#define B F "Subject: b\n\ntwo, to be deleted, and longer than what comes behind it\n\n"
#define C F "Subject: c\n\nthree\n\n"
#define D F "Subject: d\n\nfour\n\n"

static off_t journal_size(void)
{
	struct stat st;
	CU_ASSERT_FATAL(fstat(scratch_journal, &st) == 0);
	return st.st_size;
}

/* ---- what a crash left behind ---- */

/* The session removes the second of three; the calls fail as said. What QUIT would say. */
static enum reason interrupted_in(const char *file, enum fault_call call, unsigned at, int lasting)
{
	int errors[3];
	struct why why;
	(void)default_options();
	CU_ASSERT_FATAL(ftruncate(scratch_journal, 0) == 0);
	put("mbox", file);
	struct maildrop *drop = open_drop("interrupted", MAILDROP_MBOX, "mbox");
	faults_set(call, at, EIO, lasting);
	(void)update(drop, ".x.", errors, &why);
	faults_clear();
	maildrop_close(&drop);
	CU_ASSERT(journal_size() > 0);
	return why.reason;
}

static enum reason interrupted(enum fault_call call, unsigned at, int lasting)
{
	return interrupted_in(A B C, call, at, lasting);
}

static void not_cut_off(void) { CU_ASSERT(interrupted(FAULT_FTRUNCATE, 1, 0) == REASON_UPDATE_UNFINISHED); }
static void not_written(void) { CU_ASSERT(interrupted(FAULT_PWRITE, 4, 1) == REASON_UPDATE_UNFINISHED); }
static void mail_came(void) { not_cut_off(); append("mbox", D); }
static void finished(void) { CU_ASSERT(interrupted(FAULT_FTRUNCATE, 2, 0) == REASON_NONE); }
static void mail_came_behind_it(void) { finished(); append("mbox", D); }
static void zeros_at_the_edge(void)
{
	static const char zeros[4];
	not_cut_off();
	int fd = open(in_scratch("mbox"), O_WRONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && pwrite(fd, zeros, sizeof zeros, sizeof A - 1 + sizeof C - 1) == sizeof zeros);
	(void)close(fd);
}
static void torn(void)
{
	not_cut_off();
	CU_ASSERT(ftruncate(scratch_journal, 1000) == 0);
	put("mbox", A B C);
}
/* More octets are to be cut off than the edge has. */
static void much_to_cut_off(void)
{
	char file[sizeof A C + LARGE];
	(void)snprintf(file, sizeof file, A "%s" C, large_message());
	CU_ASSERT(interrupted_in(file, FAULT_FTRUNCATE, 1, 0) == REASON_UPDATE_UNFINISHED);
}
static void other_device(struct record *r) { r->plan.dev++; }
/* The numbers of disks depend on the order in which a boot finds them. */
static void rebooted(void) { not_cut_off(); forge_record(scratch_journal, other_device); }
static void not_begun_and_rebooted(void) { rebooted(); put("mbox", A B C); }
static void changed_behind_the_cut(void) { not_cut_off(); put("mbox", A D D D D); }
static void rewritten(void) { not_cut_off(); put("mbox", C A B); }
static void made_shorter(void) { not_cut_off(); put("mbox", A); }
static void replaced(void)
{
	not_cut_off();
	put("other", A B C);
	CU_ASSERT(rename(in_scratch("other"), in_scratch("mbox")) == 0);
}
static void removed(void) { not_cut_off(); CU_ASSERT(unlink(in_scratch("mbox")) == 0); }

static const struct left_behind {
	const char *label;
	void (*make)(void);
	const char *mbox;     /* after recovery; NULL: there is none */
	bool aside;           /* the journal is */
	const char *notice;
} left_behind[] = {
	{ "not cut off", not_cut_off, A C, false, "was finished" },
	{ "not written", not_written, A C, false, "was finished" },
	{ "not cut off, and mail came", mail_came, A C D, false, "was finished" },
	{ "not cut off, zeros at the edge", zeros_at_the_edge, A C, false, "was finished" },
	{ "not cut off, much to cut off", much_to_cut_off, A C, false, "was finished" },
	{ "finished", finished, A C, false, "was finished" },
	{ "finished, and mail came", mail_came_behind_it, A C D, false, "was finished" },
	{ "not cut off, and the disk has another number", rebooted, A C, false, "was finished" },
	{ "nothing moved yet, and the disk has another number", not_begun_and_rebooted, A C, false, "was finished" },
	{ "torn", torn, A B C, false, "" },
	{ "rewritten by another program", rewritten, C A B, true, "another program changed" },
	{ "changed behind the cut by another program", changed_behind_the_cut, A D D D D, true, "another program changed" },
	{ "made shorter by another program", made_shorter, A, true, "another program changed" },
	{ "replaced by another program", replaced, A B C, true, "another program changed" },
	{ "removed by another program", removed, NULL, true, "another program removed" },
};

/* Open it, with a fault perhaps: what holds afterwards, at the latest after another open. True when the fault struck. */
static bool recover(const struct left_behind *l, enum fault_call call, unsigned at, int error, int lasting)
{
	char label[96];
	struct why why;
	(void)snprintf(label, sizeof label, "%s, call %d fails at %u%s", l->label, (int)call, at, lasting ? " and on" : "");
	scratch_open();
	l->make();
	notices[0] = '\0';
	faults_set(call, at, error, lasting);
	struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
	bool struck = at > 0 && faults[call].calls >= at;
	faults_clear();
	ROW_ASSERT(label, drop != NULL || (struck && why.reason != REASON_NONE));
	maildrop_close(&drop);
	drop = open_drop(label, MAILDROP_MBOX, "mbox");
	maildrop_close(&drop);
	if (l->mbox != NULL)
		expect_content(label, "mbox", l->mbox);
	else
		ROW_ASSERT(label, !exists("mbox"));
	ROW_ASSERT(label, journal_is_aside(scratch_journal) == l->aside && (l->aside || journal_size() == 0));
	ROW_ASSERT(label, strstr(notices, l->notice) != NULL);
	scratch_close();
	return struck;
}

static void test_recovery(void)
{
	for (size_t i = 0; i < sizeof left_behind / sizeof left_behind[0]; i++)
		(void)recover(&left_behind[i], FAULT_PREAD, 0, EIO, 0);
}

static void test_recovery_faults(void)
{
	static const struct {
		enum fault_call call;
		int error;
	} cases[] = {
		{ FAULT_PREAD, EIO }, { FAULT_PWRITE, ENOSPC }, { FAULT_FSYNC, EIO }, { FAULT_FTRUNCATE, EIO }, { FAULT_FSTAT, EIO },
		{ FAULT_FSTATVFS, EIO }, { FAULT_MALLOC, ENOMEM },
	};
	enum { CALLS_MAX = 60 };
	for (size_t i = 0; i < sizeof left_behind / sizeof left_behind[0]; i++)
		for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
			for (int lasting = 0; lasting <= 1; lasting++) {
				unsigned at = 1;
				if (!faults_can(cases[c].call))
					continue;
				while (recover(&left_behind[i], cases[c].call, at, cases[c].error, lasting) && ++at < CALLS_MAX)
					;
				ROW_ASSERT(left_behind[i].label, at < CALLS_MAX);
			}
}

/* What can be read only: the recovery has to wait, and nobody sees half a rewrite. */
static void test_read_only(void)
{
	struct why why;
	scratch_open();
	not_cut_off();
	faults_set(FAULT_OPENAT, 1, EACCES, 0);
	struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
	CU_ASSERT(drop == NULL && why.reason == REASON_MAILDROP_DENIED && journal_size() > 0);
	faults_clear();
	maildrop_close(&drop);
	scratch_close();
}

/*
 * The file is not there, and what its directory is on is not what it was on; or there is no directory either: its file system is not mounted. Nothing
 * is given up, and the journal is done when it is back.
 */
static void test_not_mounted(void)
{
	for (size_t directory = 0; directory < 2; directory++) {
		struct why why;
		scratch_open();
		make_dir("D");
		not_cut_off();
		forge_record(scratch_journal, other_device);
		CU_ASSERT(directory || rmdir(in_scratch("D")) == 0);
		struct maildrop *drop = try_open(MAILDROP_MBOX, "D/mbox", &why);
		ROW_ASSERT(why.text, drop == NULL && why.reason == REASON_UPDATE_UNFINISHED && strstr(why.text, "mount it") != NULL);
		maildrop_close(&drop);
		CU_ASSERT(journal_size() > 0 && journal_is_aside(scratch_journal) == 0);
		CU_ASSERT(directory || mkdir(in_scratch("D"), 0755) == 0);
		CU_ASSERT(rename(in_scratch("mbox"), in_scratch("D/mbox")) == 0);
		drop = open_drop("mounted", MAILDROP_MBOX, "D/mbox");
		CU_ASSERT(count_of(drop) == 2);
		maildrop_close(&drop);
		expect_content("mounted", "D/mbox", A C);
		CU_ASSERT(journal_size() == 0);
		scratch_close();
	}
}

static unsigned written_anew;
static void note_writes(void)
{
	if (faults[FAULT_FSYNC].calls == 1)
		written_anew = faults[FAULT_PWRITE].calls;
}

/* A sync that fails says so once, and then what was lost counts as written: so the journal that is synced was written just now. */
static void test_journal_written_anew(void)
{
	scratch_open();
	not_cut_off();
	written_anew = 0;
	faults[FAULT_FSYNC].before = note_writes;
	struct maildrop *drop = open_drop("written anew", MAILDROP_MBOX, "mbox");
	faults_clear();
	maildrop_close(&drop);
	CU_ASSERT(written_anew == 1);
	expect_content("written anew", "mbox", A C);
	scratch_close();
}

/* Who knows better makes an empty file. */
static void test_gone_for_good(void)
{
	scratch_open();
	removed();
	forge_record(scratch_journal, other_device);
	put("mbox", "");
	struct maildrop *drop = open_drop("empty", MAILDROP_MBOX, "mbox");
	maildrop_close(&drop);
	CU_ASSERT(journal_is_aside(scratch_journal) == 1);
	scratch_close();
}

/* The recovery was done but for the journal, which could not be emptied: the session can delete all the same, and the next finds nothing to do. */
static void test_emptied_later(void)
{
	static const struct {
		const char *label, *marks, *left;
	} rows[] = { { "emptied later", "x.", C }, { "emptied later, all goes", "xx", "" } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		scratch_open();
		finished();
		faults_set(FAULT_FTRUNCATE, 1, EIO, 0);
		struct maildrop *drop = open_drop(rows[i].label, MAILDROP_MBOX, "mbox");
		faults_clear();
		CU_ASSERT(journal_size() > 0 && count_of(drop) == 2);
		update_well(rows[i].label, drop, rows[i].marks);
		maildrop_close(&drop);
		expect_content(rows[i].label, "mbox", rows[i].left);
		ROW_ASSERT(rows[i].label, journal_size() == 0);
		scratch_close();
	}
}

/* Where it cannot be emptied then either, all stays. */
static void test_not_emptied(void)
{
	int errors[2];
	struct why why;
	scratch_open();
	finished();
	faults_set(FAULT_FTRUNCATE, 1, EIO, 1);
	struct maildrop *drop = open_drop("not emptied", MAILDROP_MBOX, "mbox");
	CU_ASSERT(count_of(drop) == 2 && update(drop, "xx", errors, &why) == -1 && errors[0] == EIO && errors[1] == EIO);
	faults_clear();
	maildrop_close(&drop);
	expect_content("not emptied", "mbox", A C);
	scratch_close();
}

/* What is set aside stays as it is until it can be renamed, at the next login. */
static void test_set_aside_in_this_session(void)
{
	int errors[3];
	struct why why;
	scratch_open();
	rewritten();
	struct maildrop *drop = open_drop("set aside", MAILDROP_MBOX, "mbox");
	CU_ASSERT(update(drop, "x..", errors, &why) == -1 && why.reason == REASON_MAILDROP_BUSY && errors[0] == EAGAIN);
	maildrop_close(&drop);
	expect_content("set aside", "mbox", C A B);
	CU_ASSERT(journal_is_aside(scratch_journal) == 1);
	scratch_close();
}

#define TESTS(X) X(test_recovery) X(test_recovery_faults) X(test_read_only) X(test_not_mounted) X(test_journal_written_anew) X(test_gone_for_good) X(test_emptied_later) X(test_not_emptied) X(test_set_aside_in_this_session)
SUITE("mbox_rewrite")
