/*
 * test_way.c - what stays of a place that a way leads to no more.
 * Runs in: the tests. Trusts: nothing.
 */
#include <sys/file.h>

#include "storage/index.h"
#include "storage/journal.h"
#include "storage/lock.h"
#include "tests/unit/storage/spool.h"

enum { UID = 1000, GID = 1001 };

/* What a session has of ours. */
struct held {
	int lock, journal;
	struct index_files index;
};

static struct maildrop_place place(void)
{
	return place_in_scratch(MAILDROP_MBOX, "d/mbox");
}

static void make_directories(void)
{
	scratch_open();
	make_dir("locks");
	make_dir("journals");
	make_dir("indexes");
}

static void lead_to(const char *name)
{
	(void)unlink(in_scratch("d"));
	(void)mkdir(in_scratch(name), 0755);
	CU_ASSERT_FATAL(symlink(name, in_scratch("d")) == 0);
}

static struct held begin(void)
{
	const struct maildrop_place p = place();
	struct held h = { .lock = -1 };
	struct why why;
	CU_ASSERT_FATAL(session_lock_open(in_scratch("locks"), &p, UID, &h.lock, &why) == 0 && flock_patiently(h.lock, 0, -1) == 0);
	CU_ASSERT_FATAL(index_open(in_scratch("indexes"), &p, UID, GID, &h.index, &why) == 0);
	CU_ASSERT_FATAL(way_leave_former(&h.index, in_scratch("locks"), in_scratch("journals"), &p, UID, GID, &why) == 0);
	CU_ASSERT_FATAL(journal_open(in_scratch("journals"), &p, UID, GID, &h.journal, &why) == 0);
	session_lock_write_holder(h.lock, "203.0.113.7", "anna");
	return h;
}

static void end(struct held *h)
{
	const int fds[] = { h->lock, h->journal, h->index.write_fd, h->index.read_fd };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		(void)close(fds[i]);
}

/* Of the first place, in the scratch directory. */
static char lock[2 * MAILDROP_FILE_NAME], journal[2 * MAILDROP_FILE_NAME], its_index[2 * MAILDROP_FILE_NAME];

static void begin_and_end_first(void)
{
	char name[MAILDROP_FILE_NAME];
	lead_to("first");
	const struct maildrop_place p = place();
	struct held h = begin();
	session_lock_name(&p, UID, name);
	(void)snprintf(lock, sizeof lock, "locks/%s", name);
	journal_name(&p, UID, GID, name);
	(void)snprintf(journal, sizeof journal, "journals/%s", name);
	(void)snprintf(its_index, sizeof its_index, "indexes/%s", h.index.name);
	CU_ASSERT(exists(lock) && exists(journal));
	end(&h);
}

static void remove_both(void)
{
	CU_ASSERT(unlink(in_scratch(lock)) == 0 && unlink(in_scratch(journal)) == 0);
}

static int held_fd = -1;

static void hold(const char *name)
{
	held_fd = open(in_scratch(name), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(flock(held_fd, LOCK_EX | LOCK_NB) == 0);
}

static void nothing(void) { }
static void hold_lock(void) { hold(lock); }
static void hold_journal(void) { hold(journal); }
static void tear_journal(void) { append(journal, "postern1 and what came of it"); }
static void lose_record(void) { CU_ASSERT(truncate(in_scratch(its_index), 0) == 0); }
static void cut_record(void) { CU_ASSERT(truncate(in_scratch(its_index), INDEX_PLACE + MAILDROP_KEY - 1) == 0); }
static void make_links(void) { remove_both(); CU_ASSERT(symlink("../first", in_scratch(lock)) == 0 && symlink("../first", in_scratch(journal)) == 0); }

static void garble_record(void)
{
	int fd = open(in_scratch(its_index), O_WRONLY | O_CLOEXEC);
	CU_ASSERT(pwrite(fd, "../first/", 9, INDEX_PLACE) == 9);
	(void)close(fd);
}

/* An update that was interrupted before anything was done. */
static void write_journal(void)
{
	struct journal_plan plan = { .size = 100, .cut = 10, .kept = 4 };
	struct journal j;
	struct why why;
	int fd = open(in_scratch(journal), O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(journal_read(&j, fd, &why) == 0);
	journal_begin(&j, in_scratch("d/mbox"), 0);
	CU_ASSERT(journal_add(&j, "kept", 4, &why) == 0 && journal_seal(&j, &plan, &why) == 0);
	(void)close(fd);
}

static void set_aside(void)
{
	write_journal();
	int fd = open(in_scratch(journal), O_RDWR | O_CLOEXEC);
	CU_ASSERT(pwrite(fd, "aside  1", 8, 0) == 8);
	(void)close(fd);
}

static void test_former(void)
{
	static const struct {
		const char *label;
		void (*before)(void);
		bool lock, journal;  /* do they stay? */
	} rows[] = {
		{ "nobody's", nothing, false, false }, { "a session by another way", hold_lock, true, false }, { "its journal", hold_journal, false, true },
		{ "a torn journal", tear_journal, false, false }, { "a journal that was set aside", set_aside, false, false }, { "which is not known", lose_record, true, true },
		{ "known in part", cut_record, true, true }, { "no name", garble_record, true, true }, { "gone", remove_both, false, false },
		{ "links", make_links, true, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_directories();
		begin_and_end_first();
		rows[i].before();
		lead_to("second");
		for (size_t round = 0; round < 2; round++) {
			struct held h = begin();
			ROW_ASSERT(rows[i].label, exists(lock) == rows[i].lock);
			ROW_ASSERT(rows[i].label, exists(journal) == rows[i].journal);
			end(&h);
		}
		if (held_fd >= 0)
			(void)close(held_fd);
		held_fd = -1;
		scratch_close();
	}
}

/* A directory in place of the link, and back. */
static void test_no_link(void)
{
	struct index_head none = { .size = 0 };
	char octets[sizeof none] = { 0 };
	make_directories();
	make_dir("d");
	struct held h = begin();
	CU_ASSERT(pread(h.index.write_fd, octets, sizeof octets, INDEX_PLACE) == 0);
	end(&h);
	CU_ASSERT(rmdir(in_scratch("d")) == 0);
	begin_and_end_first();
	CU_ASSERT(unlink(in_scratch("d")) == 0);
	make_dir("d");
	h = begin();
	CU_ASSERT(!exists(lock) && !exists(journal));
	end(&h);
	scratch_close();
}

/* What is at the new place may be a copy of a mailbox that is half rewritten. */
static void test_unfinished(void)
{
	make_directories();
	begin_and_end_first();
	write_journal();
	lead_to("second");
	const struct maildrop_place p = place();
	struct index_files index;
	struct why why;
	CU_ASSERT_FATAL(index_open(in_scratch("indexes"), &p, UID, GID, &index, &why) == 0);
	for (size_t round = 0; round < 2; round++) {
		CU_ASSERT(way_leave_former(&index, in_scratch("locks"), in_scratch("journals"), &p, UID, GID, &why) == -1 && why.reason == REASON_UPDATE_UNFINISHED);
		CU_ASSERT(strstr(why.text, journal) != NULL && exists(journal) && exists(lock));
	}
	/* What cannot be opened, or read, may say so. */
	faults_set(FAULT_OPENAT, 1, EMFILE, 0);
	CU_ASSERT(way_leave_former(&index, in_scratch("locks"), in_scratch("journals"), &p, UID, GID, &why) == -1 && why.err == EMFILE);
	faults_set(FAULT_PREAD, 2, EIO, 0);
	CU_ASSERT(way_leave_former(&index, in_scratch("locks"), in_scratch("journals"), &p, UID, GID, &why) == -1 && why.err == EIO);
	faults_clear();
	CU_ASSERT(exists(journal) && exists(lock));
	(void)close(index.write_fd);
	(void)close(index.read_fd);
	lead_to("first");
	struct held h = begin();
	CU_ASSERT(exists(journal));
	end(&h);
	/* As that says. */
	CU_ASSERT(unlink(in_scratch(journal)) == 0);
	lead_to("second");
	h = begin();
	CU_ASSERT(!exists(lock));
	end(&h);
	scratch_close();
}

/* By one way there is one index, and one session, wherever it leads: the second gives up its lock, which whoever waits for it sees. */
static void test_two(void)
{
	struct index_files index;
	struct why why;
	int waiting;
	make_directories();
	lead_to("first");
	struct held h = begin();
	lead_to("second");
	const struct maildrop_place p = place();
	CU_ASSERT_FATAL(session_lock_open(in_scratch("locks"), &p, UID, &waiting, &why) == 0);
	CU_ASSERT(session_lock_is_called(in_scratch("locks"), &p, UID, waiting));
	CU_ASSERT(index_open(in_scratch("indexes"), &p, UID, GID, &index, &why) == -1 && why.reason == REASON_MAILDROP_LOCKED && maildrop_has_links(&p));
	way_give_up(in_scratch("locks"), &p, UID);
	CU_ASSERT(flock_patiently(waiting, 0, -1) == 0 && !session_lock_is_called(in_scratch("locks"), &p, UID, waiting));
	int anew;
	CU_ASSERT(session_lock_open(in_scratch("locks"), &p, UID, &anew, &why) == 0 && !session_lock_is_called(in_scratch("locks"), &p, UID, waiting) &&
	          session_lock_is_called(in_scratch("locks"), &p, UID, anew));
	(void)close(anew);
	(void)close(waiting);
	end(&h);
	h = begin();
	end(&h);
	scratch_close();
}

#define TESTS(X) X(test_former) X(test_unfinished) X(test_no_link) X(test_two)
SUITE("way")
