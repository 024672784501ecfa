/*
 * test_mbox_cut.c - an mbox that another program writes anew is never taken for one that was emptied.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/lock.h"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

static int other_fd = -1;
static char kept[4096];
static size_t kept_len;

/* A login, which keeps fcntl's locks. */
static struct maildrop *log_in(const char *label)
{
	struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	struct why why = { .text = "" };
	options.index = &index_files;
	options.locks[0] = HOST_LOCK_FCNTL;
	options.lock_count = 1;
	(void)maildrop_open(&place, &options, &drop, &why);
	ROW_TEXT(label, why.text, "");
	CU_ASSERT_FATAL(drop != NULL);
	return drop;
}

static void others_lock(short type)
{
	struct flock region = { .l_type = type, .l_whence = SEEK_SET };
	CU_ASSERT(fcntl(other_fd, F_OFD_SETLK, &region) == 0);
}

/* As mail(1) and its like leave: under their lock the file is cut, then written. */
static void cut(void)
{
	other_fd = open(in_scratch("mbox"), O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(other_fd >= 0);
	others_lock(F_WRLCK);
	kept_len = (size_t)pread(other_fd, kept, sizeof kept, 0);
	CU_ASSERT(kept_len > 0 && kept_len < sizeof kept && ftruncate(other_fd, 0) == 0);
}

static void let_go(void)
{
	faults_on_sleep = NULL;
	others_lock(F_UNLCK);
	(void)close(other_fd);
}

static void write_and_let_go(void)
{
	CU_ASSERT(pwrite(other_fd, kept, kept_len, 0) == (ssize_t)kept_len);
	let_go();
}

static void test_cut(void)
{
	static const struct {
		const char *label;
		void (*happens)(void);
		size_t count;
	} rows[] = { { "written anew", write_and_let_go, 3 }, { "emptied", let_go, 0 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin();
		put_mbox(3, 100);
		struct maildrop *drop = log_in(rows[i].label);
		char *before = list_text(drop);
		maildrop_close(&drop);
		cut();
		faults_on_sleep = rows[i].happens;
		drop = log_in(rows[i].label);
		char *after = list_text(drop);
		ROW_ASSERT(rows[i].label, maildrop_count(drop) == rows[i].count);
		ROW_TEXT(rows[i].label, after, rows[i].count > 0 ? before : "");
		maildrop_close(&drop);
		free(before);
		free(after);
		end();
	}
}

/* A mailbox that is empty, and was so at the last login, needs no lock: most logins find nothing. */
static void test_empty(void)
{
	begin();
	put_mbox(3, 100);
	for (int i = 0; i < 3; i++) {
		struct maildrop *drop = log_in("empty");
		ROW_ASSERT("empty", maildrop_count(drop) == (i == 0 ? 3 : 0));
		maildrop_close(&drop);
		if (i == 0) {
			cut();
			let_go();
		}
		if (i == 1) {
			other_fd = open(in_scratch("mbox"), O_RDWR | O_CLOEXEC);
			others_lock(F_WRLCK);
		}
	}
	let_go();
	end();
}

#define TESTS(X) X(test_cut) X(test_empty)
SUITE("mbox cut")
