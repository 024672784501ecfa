/*
 * test_restore.c - mail that is put back from a journal: all of what is missing, once, whatever fails and wherever it is killed.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/restore.h"

#include <sys/wait.h>

#include "storage/mbox_rewrite.h"
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
#define A F "Subject: a\n\none\n\n"
#define C F "Subject: c\n\nthree\n\n"
#define D F "Subject: d\n\nfour\n\n"
#define NEW F "Subject: new\n\nmail that came\n\n"

static int memory_file(const char *text)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static const struct put_back {
	const char *label, *mbox, *kept;
	size_t appended;
	const char *want;
} put_backs[] = {
	{ "all is missing", A, C D, 2, A C D },
	{ "some is missing", A C, C D, 1, A C D },
	{ "nothing is missing", A C D, C D, 0, A C D },
	{ "to an mbox that is gone", NULL, C D, 2, C D },
	{ "to an empty one", "", C D, 2, C D },
	{ "other flags", A F "Subject: c\nStatus: RO\n\nthree\n\n", C D, 1, A F "Subject: c\nStatus: RO\n\nthree\n\n" D },
	{ "equal messages", A C, C C, 1, A C C },
	{ "no blank line at the end", F "Subject: a\n\none\n", C, 1, A C },
	{ "no line end at the end", F "Subject: a\n\none", C, 1, A C },
	{ "what is put back lacks its end", A, F "Subject: c\n\nthree", 1, A C },
	{ "a blank line with CRLF is one", A, F "Subject: c\r\n\r\nthree\r\n\r\n", 1, A F "Subject: c\r\n\r\nthree\r\n\r\n" },
	{ "what lacks its end is there with it", A C, F "Subject: c\n\nthree", 0, A C },
	{ "what lacks its end is there without it", A F "Subject: c\n\nthree", F "Subject: c\n\nthree", 0, A F "Subject: c\n\nthree" },
};


static bool numbered;  /* unique_ids = dovecot */

static struct maildrop *open_mbox(struct why *why_r)
{
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	options.index = &index_files;
	options.told = (struct told_ids){ numbered ? TOLD_BY_DOVECOT : TOLD_BY_NOBODY, TOLD_UID_FIRST };
	*why_r = (struct why){ .reason = REASON_NONE };
	(void)maildrop_open(&place, &options, &drop, why_r);
	return drop;
}

static int put_back_text(const char *kept_text, size_t *appended_r, struct why *why_r)
{
	struct maildrop *drop = open_mbox(why_r);
	CU_ASSERT_FATAL(drop != NULL);
	int kept = memory_file(kept_text);
	int r = mbox_put_back(drop, kept, appended_r, why_r);
	(void)close(kept);
	maildrop_close(&drop);
	return r;
}

static int put_back(const struct put_back *p, size_t *appended_r, struct why *why_r)
{
	if (p->mbox != NULL)
		put("mbox", p->mbox);
	return put_back_text(p->kept, appended_r, why_r);
}

static void begin_put_back(void)
{
	begin();
	numbered = false;
	(void)default_options();
	CU_ASSERT_FATAL(ftruncate(scratch_journal, 0) == 0);
}

static off_t journal_size(void)
{
	struct stat st;
	CU_ASSERT_FATAL(fstat(scratch_journal, &st) == 0);
	return st.st_size;
}

/* The next login; what it finds is what stays. */
static void log_in(const char *label)
{
	struct why why;
	struct maildrop *drop = open_mbox(&why);
	ROW_ASSERT(label, drop != NULL);
	maildrop_close(&drop);
	ROW_ASSERT(label, journal_size() == 0);
}

/* Mail that is going to be put back into an mbox. */
struct under_way {
	struct maildrop *drop;
	int kept;
};

static struct under_way set_out(const char *mbox, const char *kept)
{
	struct why why;
	begin_put_back();
	put("mbox", mbox);
	return (struct under_way){ open_mbox(&why), memory_file(kept) };
}

/* It is over, whatever came of it. */
static void come_home(struct under_way *u)
{
	faults_clear();
	(void)close(u->kept);
	maildrop_close(&u->drop);
}

static void test_put_back(void)
{
	for (size_t i = 0; i < sizeof put_backs / sizeof put_backs[0]; i++) {
		struct why why;
		size_t appended;
		begin_put_back();
		ROW_ASSERT(put_backs[i].label, put_back(&put_backs[i], &appended, &why) == 0 && appended == put_backs[i].appended);
		expect_content(put_backs[i].label, "mbox", put_backs[i].want);
		log_in(put_backs[i].label);
		expect_content(put_backs[i].label, "mbox", put_backs[i].want);
		end();
	}
}

/* A message is there, whatever Dovecot told clients that it is called. */
static void test_numbered(void)
{
#define NUMBERED F "X-IMAPbase: 1796030837 0000000002\nX-UID: 1\nSubject: a\n\none\n\n" F "X-UID: 2\nSubject: c\n\nthree\n\n"
	struct why why;
	size_t appended;
	begin_put_back();
	numbered = true;
	put("mbox", NUMBERED);
	CU_ASSERT(put_back_text(C D, &appended, &why) == 0 && appended == 1);
	expect_content("numbered", "mbox", NUMBERED D);
	end();
}

/* The index has a message that is not in the file any more, and no sample came to it: it is missing. */
static void test_not_by_the_index(void)
{
	struct why why;
	size_t appended, len;
	begin_put_back();
	put_mbox(6, LARGE_MESSAGE);
	char *whole = get("mbox", &len);
	const char *third = whole + 2 * (len / 6), *fourth = whole + 3 * (len / 6);
	char *kept = strndup(third, (size_t)(fourth - third));
	CU_ASSERT_FATAL(kept != NULL && strncmp(third, "From ", 5) == 0);
	struct maildrop *drop = open_mbox(&why);
	maildrop_close(&drop);
	change_in_place("mbox", "Subject: 2", "Subject: x");
	put_mbox(1, 100);
	drop = open_mbox(&why);
	CU_ASSERT_FATAL(drop != NULL && count_of(drop) == 7 && mbox_of(drop)->sampled);
	maildrop_close(&drop);
	CU_ASSERT(put_back_text(kept, &appended, &why) == 0 && appended == 1);
	free(kept);
	free(whole);
	end();
}

/* ---- what fails ---- */

static const struct put_back faulty[] = {
	{ "missing", A, C D, 2, A C D },
	{ "missing, no blank line", F "Subject: a\n\none\n", C, 1, A C },
	{ "not missing", A C D, C D, 0, A C D },
};

/* True when that call was made, which fails. An error leaves the mbox as it was. */
static bool put_back_with_fault(const struct put_back *p, enum fault_call call, unsigned at, int error)
{
	struct why why = { .reason = REASON_NONE };
	size_t appended;
	struct under_way u = set_out(p->mbox, p->kept);
	faults_set(call, at, error, 0);
	int r = mbox_put_back(u.drop, u.kept, &appended, &why);
	const bool struck = faults[call].calls >= at;
	come_home(&u);
	ROW_ASSERT(p->label, r == 0 || why.reason != REASON_NONE);
	expect_content(p->label, "mbox", r == 0 ? p->want : p->mbox);
	log_in(p->label);
	expect_content(p->label, "mbox", r == 0 ? p->want : p->mbox);
	end();
	return struck;
}

static void test_faults(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error;
		unsigned least;  /* calls that there are, where something is missing */
	} cases[] = {
		{ "write", FAULT_PWRITE, ENOSPC, 3 }, { "sync", FAULT_FSYNC, EIO, 4 }, { "stat", FAULT_FSTAT, EIO, 4 },
		{ "cut off", FAULT_FTRUNCATE, EIO, 2 }, { "read", FAULT_PREAD, EIO, 6 }, { "memory", FAULT_MALLOC, ENOMEM, 4 },
	};
	for (size_t f = 0; f < sizeof faulty / sizeof faulty[0]; f++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			unsigned at = 1;
			if (!faults_can(cases[i].call))
				continue;
			while (at < 60 && put_back_with_fault(&faulty[f], cases[i].call, at, cases[i].error))
				at++;
			ROW_ASSERT(cases[i].label, at < 60 && (faulty[f].appended == 0 || at > cases[i].least));
		}
}

/* Where the taking back fails as well, the next login does it. */
static void test_taken_back_later(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		unsigned at;   /* from there on, while the mbox cannot be synced */
	} rows[] = { { "sync", FAULT_FSYNC, 3 }, { "cut off", FAULT_FTRUNCATE, 2 }, { "size", FAULT_FSTAT, 5 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		size_t appended;
		struct under_way u = set_out(A, C D);
		faults_set(FAULT_FSYNC, 3, EIO, 0);
		faults[rows[i].call].fail_at = rows[i].at;
		faults[rows[i].call].error = EIO;
		faults[rows[i].call].lasting = 1;
		ROW_ASSERT(rows[i].label, mbox_put_back(u.drop, u.kept, &appended, &why) == -1 && why.reason == REASON_UPDATE_UNFINISHED && appended == 0);
		come_home(&u);
		log_in(rows[i].label);
		expect_content(rows[i].label, "mbox", A);
		end();
	}
}

/* ---- what comes meanwhile, from a program without our locks ---- */

static unsigned comes_at;
static enum fault_call comes_before;
static void new_mail(void)
{
	if (faults[comes_before].calls == comes_at)
		append("mbox", NEW);
}

static void test_mail_comes(void)
{
	static const struct {
		const char *label;
		enum fault_call call;
		unsigned at;
		bool fails;    /* the sync behind it */
		int result;
		const char *want;
	} rows[] = {
		{ "before it grows", FAULT_FSYNC, 2, false, -1, A NEW },
		{ "behind what is put back", FAULT_FSYNC, 3, false, 0, A C D NEW },
		{ "behind what is taken back", FAULT_FSYNC, 3, true, -1, A NEW },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		size_t appended;
		struct under_way u = set_out(A, C D);
		faults_set(rows[i].call, rows[i].fails ? rows[i].at : 0, EIO, 0);
		faults[rows[i].call].before = new_mail;
		comes_before = rows[i].call;
		comes_at = rows[i].at;
		ROW_ASSERT(rows[i].label, mbox_put_back(u.drop, u.kept, &appended, &why) == rows[i].result);
		come_home(&u);
		log_in(rows[i].label);
		expect_content(rows[i].label, "mbox", rows[i].want);
		end();
	}
}

/* ---- who is killed ---- */

enum { MUCH = 13 * LARGE };  /* more than is read at once */

static enum fault_call dies_before;
static unsigned dies_at;
static void die(void)
{
	if (faults[dies_before].calls == dies_at)
		_exit(1);
}

/* A process that puts it back is killed before that call; torn: behind half of the one before. Was it? */
static bool killed(const char *kept, enum fault_call call, unsigned at, bool torn)
{
	size_t appended;
	struct why why;
	int status = 0;
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		faults_clear();
		if (torn)
			faults_set(call, at - 1, 0, 0);
		faults[call].before = die;
		dies_before = call;
		dies_at = at;
		_exit(put_back_text(kept, &appended, &why) == 0 ? 0 : 2);
	}
	CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/* Mail comes, or not, and the next login finds all or nothing; then it is put back once more. */
static void check_killed(const char *label, const char *before, const char *kept, enum fault_call call, unsigned at, const char *came, bool *more_r)
{
	static char nothing[MUCH + 2 * LARGE], all[MUCH + 2 * LARGE];
	struct why why;
	size_t appended;
	begin_put_back();
	put("mbox", before);
	*more_r = killed(kept, call, at, call == FAULT_PWRITE && at % 2 == 0);
	append("mbox", came);
	log_in(label);
	char *got = get("mbox", NULL);
	(void)snprintf(nothing, sizeof nothing, "%s%s", before, came);
	(void)snprintf(all, sizeof all, "%s%s%s", before, kept, came);
	ROW_ASSERT(label, got != NULL && (strcmp(got, all) == 0 || (*more_r && strcmp(got, nothing) == 0)));
	const bool done = got != NULL && strcmp(got, all) == 0;
	free(got);
	ROW_ASSERT(label, put_back_text(kept, &appended, &why) == 0 && (appended == 0) == done);
	(void)snprintf(all, sizeof all, "%s%s%s", before, done ? kept : came, done ? came : kept);
	expect_content(label, "mbox", all);
	end();
}

static void test_killed(void)
{
	static const enum fault_call calls[] = { FAULT_PWRITE, FAULT_FSYNC, FAULT_FTRUNCATE };
	static const char *const came[] = { "", NEW };
	static char kept[MUCH + sizeof D];
	for (size_t n = 0; n < MUCH; n += LARGE)
		memcpy(kept + n, large_message(), LARGE);
	memcpy(kept + MUCH, D, sizeof D);
	const struct {
		const char *label, *before, *kept;
	} rows[] = { { "killed", A, C D }, { "killed, much", A, kept }, { "killed, nothing there", "", C D } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++)
			for (size_t mail = 0; mail < sizeof came / sizeof came[0]; mail++) {
				unsigned at = 1;
				for (bool more = true; more && at < 60; at += more)
					check_killed(rows[i].label, rows[i].before, rows[i].kept, calls[c], at, came[mail], &more);
				ROW_ASSERT(rows[i].label, at > 2 && at < 60);
			}
}

/* ---- what may not be ---- */

/* Where it may not be written, or not made: nothing is done. */
static void test_put_back_denied(void)
{
	static const struct {
		const char *label, *mbox;
		unsigned at;  /* open fails */
	} rows[] = { { "read only", A, 1 }, { "may not be made", NULL, 2 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct put_back denied = { rows[i].label, rows[i].mbox, C D, 0, NULL };
		struct why why;
		size_t appended;
		begin_put_back();
		faults_set(FAULT_OPENAT, rows[i].at, EACCES, 0);
		ROW_ASSERT(rows[i].label, put_back(&denied, &appended, &why) == -1 && why.err == EACCES);
		faults_clear();
		if (rows[i].mbox != NULL)
			expect_content(rows[i].label, "mbox", rows[i].mbox);
		else
			ROW_ASSERT(rows[i].label, !exists("mbox"));
		end();
	}
}


/* Without a journal nothing is put back that could be cut in half. */
static void test_no_journal(void)
{
	struct why why;
	size_t appended;
	begin_put_back();
	put("mbox", A);
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	options.journal = -1;
	options.journal_errno = EACCES;
	CU_ASSERT_FATAL(maildrop_open(&place, &options, &drop, &why) == 0);
	int kept = memory_file(C);
	CU_ASSERT(mbox_put_back(drop, kept, &appended, &why) == -1 && why.err == EACCES);
	(void)close(kept);
	maildrop_close(&drop);
	expect_content("no journal", "mbox", A);
	end();
}

#define TESTS(X) X(test_put_back) X(test_numbered) X(test_not_by_the_index) X(test_faults) X(test_taken_back_later) X(test_mail_comes) X(test_killed) \
	X(test_put_back_denied) X(test_no_journal)
SUITE("restore")
