/*
 * mbox_rewrite.c - does what a journal says, and finishes what a crash interrupted.
 * Runs in: keeper, as the mail's owner, with the host's locks held for writing.
 * Trusts: nothing in the maildrop; the journal as far as its digests prove it.
 *
 * The order is what makes it safe, whatever stops it and wherever:
 *   1. the file is on the disk as others left it, and the journal is, whole
 *   2. its octets are written over the file from `cut` on, and are on the disk
 *   3. the file is cut off behind them, on the disk
 *   4. the journal is empty, on the disk; only then are the locks released
 * In place, and never by renaming a copy: a delivery agent that waits for its lock would append to a file that is gone.
 *
 * Step 3 is not one step for a file system: it fills the rest of the last block with zeros first, and after a power failure
 * these may be in a file that has its old size. So the journal has a copy of these octets, the edge.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/mbox_rewrite.h"

enum { APPENDED_MAX = 4 };  /* times that all is put in place, because mail came meanwhile */

static int add_to_digest(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	(void)at, (void)why_r;
	digest_add(context, octets, len);
	return 0;
}

/* The digest of the file's octets from..to. */
static int digest_range(struct mbox *m, uint64_t from, uint64_t to, char *buffer, uint64_t seed, struct digest *digest_r,
                        struct why *why_r)
{
	struct digest_state digest;
	digest_begin(&digest, seed);
	if (mbox_read(m, from, to, buffer, add_to_digest, &digest, why_r) != 0)
		return -1;
	*digest_r = digest_so_far(&digest);
	return 0;
}

int mbox_size(const struct mbox *m, uint64_t *size_r, struct why *why_r)
{
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	*size_r = (uint64_t)st.st_size;
	return 0;
}

static int sync_file(const struct mbox *m, struct why *why_r)
{
	return fsync(m->fd) != 0 ? why_errno(why_r, errno, "write to %s", m->path) : 0;
}

/* ---- steps 2 to 4 ---- */

static int put_in_place(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct mbox *m = context;
	struct why ignored;
	if (io_write_at(m->fd, octets, len, m->journal.plan.cut + at) != 0)
		return why_errno(why_r, errno, "write to %s", m->path);
	io_start_writing(m->fd, len, m->journal.plan.cut + at);
	/* To stop half-way because the lock file is lost would be worse than to go on. */
	(void)host_lock_refresh(&m->locks, &ignored);
	return 0;
}

static int write_kept(struct mbox *m, char *buffer, struct why *why_r)
{
	if (journal_kept(&m->journal, buffer, put_in_place, m, why_r) != 0)
		return -1;
	return sync_file(m, why_r);
}

/* Other programs take "modified after it was read" for new mail: true only of what came meanwhile. */
static void set_times(const struct mbox *m, bool arrived)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	if (arrived)
		times[0] = (struct timespec){ .tv_sec = time(NULL) - 1 };
	(void)futimens(m->fd, times);
}

int mbox_cut_off(struct mbox *m, uint64_t size, bool arrived, struct why *why_r)
{
	if (ftruncate(m->fd, (off_t)size) != 0)
		return why_errno(why_r, errno, "truncate %s", m->path);
	set_times(m, arrived);
	return sync_file(m, why_r);
}

static int unfinished(const struct mbox *m, struct why *why_r)
{
	struct why why = *why_r;
	return why_set(why_r, REASON_UPDATE_UNFINISHED, why.err, "rewriting %.100s was interrupted, and the next login finishes it: "
	               "%.100s", m->path, why.text);
}

/* The mail is as it should be, for good. A journal that stays is found to be done by the next who opens the maildrop. */
static void end_journal(struct mbox *m)
{
	struct why why;
	if (journal_clear(&m->journal, &why) != 0)
		mbox_notice(m, NOTICE_ODD, why.text);
}

int mbox_ready_journal(struct mbox *m, struct why *why_r)
{
	if (m->journal.fd < 0)
		return why_errno(why_r, m->drop.options.journal_errno, "no journal, without which %s cannot be rewritten safely", m->path);
	if (m->journal.state == JOURNAL_SET_ASIDE)
		return why_set(why_r, REASON_MAILDROP_BUSY, EAGAIN, "the journal of %s was set aside in this session; the next has a new one",
		               m->path);
	/* Else what it said is done, but it could not be emptied when the maildrop was opened. */
	return m->journal.state != JOURNAL_EMPTY ? journal_clear(&m->journal, why_r) : 0;
}

int mbox_take_to_journal(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct mbox *m = context;
	(void)at;
	return journal_add(&m->journal, octets, len, why_r);
}

int mbox_seal_journal(struct mbox *m, struct journal_plan *plan, char *buffer, struct why *why_r)
{
	const uint64_t new_end = plan->cut + plan->kept, doomed = plan->size - new_end;
	struct statvfs fs;
	/*
	 * Delivery agents and mail readers need not sync what they write. If the power took some of that when the file is half rewritten, no
	 * digest would hold any more, and nobody could finish it.
	 */
	if (sync_file(m, why_r) != 0)
		return -1;
	if (fstatvfs(m->fd, &fs) != 0)
		return why_errno(why_r, errno, "statvfs %s", m->path);
	const uint64_t block = fs.f_bsize < JOURNAL_EDGE_MAX ? fs.f_bsize : JOURNAL_EDGE_MAX, edge = block < doomed ? block : doomed;
	if (digest_range(m, new_end + edge, plan->size, buffer, plan->seed, &plan->doomed, why_r) != 0)
		return -1;
	if (io_read_at(m->fd, buffer, (size_t)edge, new_end) != (ssize_t)edge)
		return why_errno(why_r, errno, "read %s", m->path);
	return journal_add_edge(&m->journal, buffer, (size_t)edge, why_r) != 0 ? -1 : journal_seal(&m->journal, plan, why_r);
}

/* Mail came: it is kept, too, and has to be in the journal before the file is touched. */
static int take_in_arrived(struct mbox *m, uint64_t size, char *buffer, struct why *why_r)
{
	struct journal_plan plan = m->journal.plan;
	if (mbox_read(m, plan.size, size, buffer, mbox_take_to_journal, m, why_r) != 0)
		return -1;
	plan.kept += size - plan.size;
	plan.size = size;
	return mbox_seal_journal(m, &plan, buffer, why_r);
}

/* Everything but what is to be cut off is in its place, with what a program without our locks appended meanwhile. */
static int put_all_in_place(struct mbox *m, char *buffer, bool *arrived, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	for (size_t round = 0; round < APPENDED_MAX; round++) {
		uint64_t size = 0;
		/* A write that fails may have been a passing fault. After a failed fsync nothing of it is known, so all is written anew. */
		if ((write_kept(m, buffer, why_r) != 0 && write_kept(m, buffer, why_r) != 0) || mbox_size(m, &size, why_r) != 0)
			return -1;
		if (size <= plan->size)
			return 0;
		*arrived = true;
		mbox_notice(m, NOTICE_ODD, "mail came while it was locked, and is kept; but a program here uses other locks than mbox_locks names");
		if (take_in_arrived(m, size, buffer, why_r) != 0)
			return -1;
	}
	return why_set(why_r, REASON_MAILDROP_CHANGED, EAGAIN, "mail comes to %s again and again while it is locked", m->path);
}

int mbox_do_journal(struct mbox *m, char *buffer, bool arrived, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	if (put_all_in_place(m, buffer, &arrived, why_r) != 0 || mbox_cut_off(m, plan->cut + plan->kept, arrived, why_r) != 0)
		return unfinished(m, why_r);
	end_journal(m);
	return 0;
}

/* ---- appending ---- */

int mbox_take_to_edge(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct mbox *m = context;
	(void)at;
	return journal_add_edge(&m->journal, octets, len, why_r);
}

/* The journal: what is behind `cut` is to be cut off, where it is these octets, or zeros that none of them has taken the place of yet. */
static int promise_to_cut_off(struct mbox *m, struct journal_plan *plan, char *buffer, struct why *why_r)
{
	struct digest_state none;
	digest_begin(&none, plan->seed);
	plan->size = plan->cut + m->journal.edged;
	plan->doomed = digest_so_far(&none);
	/* As for mbox_seal_journal(). */
	if (sync_file(m, why_r) != 0 || digest_range(m, 0, plan->cut, buffer, plan->seed, &plan->head, why_r) != 0)
		return -1;
	return journal_seal(&m->journal, plan, why_r);
}

/* Has no program without our locks been at it? What that wrote is not to be written over. */
static int check_size(const struct mbox *m, uint64_t expected, struct why *why_r)
{
	uint64_t size = 0;
	if (mbox_size(m, &size, why_r) != 0)
		return -1;
	return size == expected ? 0 : why_set(why_r, REASON_MAILDROP_CHANGED, ESTALE, "another program changed %s", m->path);
}

/* At first the file has its new length: so mail that comes, whatever becomes of this, is behind it. */
static int grow(struct mbox *m, char *buffer, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	struct why ignored;
	if (ftruncate(m->fd, (off_t)plan->size) != 0)
		return why_errno(why_r, errno, "write to %s", m->path);
	for (uint64_t at = 0; at < plan->edge;) {
		const size_t n = plan->edge - at < MBOX_BUFFER ? (size_t)(plan->edge - at) : MBOX_BUFFER;
		if (journal_edge(&m->journal, at, n, buffer, why_r) != 0)
			return -1;
		if (io_write_at(m->fd, buffer, n, plan->cut + at) != 0)
			return why_errno(why_r, errno, "write to %s", m->path);
		(void)host_lock_refresh(&m->locks, &ignored);
		at += n;
	}
	set_times(m, true);
	return sync_file(m, why_r);
}

/* As it was. What came behind it, from a program without our locks, the next login keeps. */
static int take_back(struct mbox *m, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	struct why why;
	uint64_t size = 0;
	if (mbox_size(m, &size, &why) != 0 || size > plan->size || mbox_cut_off(m, plan->cut, false, &why) != 0)
		return unfinished(m, why_r);
	end_journal(m);
	return -1;
}

int mbox_append(struct mbox *m, struct journal_plan *plan, char *buffer, struct why *why_r)
{
	if (promise_to_cut_off(m, plan, buffer, why_r) != 0 || check_size(m, plan->cut, why_r) != 0) {
		end_journal(m);
		return -1;
	}
	/* As long as the journal is there, all is cut off again. */
	return grow(m, buffer, why_r) == 0 && journal_clear(&m->journal, why_r) == 0 ? 0 : take_back(m, why_r);
}

/* ---- recovery ---- */

/* What the file tells about the rewrite that the journal describes. */
enum finding { NOT_CUT_OFF, FINISHED, UNPROVEN };

/* Are the first of the doomed octets as they were, but for zeros? 1, 0, or -1. */
static int is_edge_there(struct mbox *m, char *buffer, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	char *was = buffer, *is = buffer + JOURNAL_EDGE_MAX;
	for (uint64_t at = 0; at < plan->edge;) {
		const size_t n = plan->edge - at < JOURNAL_EDGE_MAX ? (size_t)(plan->edge - at) : JOURNAL_EDGE_MAX;
		if (journal_edge(&m->journal, at, n, was, why_r) != 0)
			return -1;
		if (io_read_at(m->fd, is, n, plan->cut + plan->kept + at) != (ssize_t)n)
			return why_errno(why_r, errno, "read %s", m->path);
		for (size_t i = 0; i < n; i++)
			if (is[i] != was[i] && is[i] != '\0')
				return 0;
		at += n;
	}
	return 1;
}

/* Are all of them behind the new end? 1, 0, or -1. */
static int are_doomed_there(struct mbox *m, char *buffer, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	struct digest digest;
	const int edge = is_edge_there(m, buffer, why_r);
	if (edge <= 0)
		return edge;
	if (digest_range(m, plan->cut + plan->kept + plan->edge, plan->size, buffer, plan->seed, &digest, why_r) != 0)
		return -1;
	return digest_same(digest, plan->doomed);
}

static int look(struct mbox *m, uint64_t size, char *buffer, enum finding *finding_r, struct why *why_r)
{
	const struct journal_plan *plan = &m->journal.plan;
	const uint64_t new_end = plan->cut + plan->kept;
	struct digest digest;
	*finding_r = UNPROVEN;
	if (m->scanned.st_ino != plan->ino || size < new_end)
		return 0;
	if (digest_range(m, 0, plan->cut, buffer, plan->seed, &digest, why_r) != 0)
		return -1;
	if (!digest_same(digest, plan->head))
		return 0;
	/* The doomed octets tell "not cut off yet" from "cut off, and then mail arrived". */
	int doomed = size >= plan->size ? are_doomed_there(m, buffer, why_r) : 0;
	if (doomed != 0) {
		*finding_r = NOT_CUT_OFF;
		return doomed < 0 ? -1 : 0;
	}
	if (digest_range(m, plan->cut, new_end, buffer, plan->seed, &digest, why_r) != 0)
		return -1;
	if (digest_same(digest, plan->tail))
		*finding_r = FINISHED;
	return 0;
}

static int finish(struct mbox *m, uint64_t size, char *buffer, struct why *why_r)
{
	bool arrived = size > m->journal.plan.size;
	if (journal_sync(&m->journal, buffer, why_r) != 0)
		return -1;
	if (arrived && take_in_arrived(m, size, buffer, why_r) != 0)
		return -1;
	return mbox_do_journal(m, buffer, arrived, why_r);
}

static int set_aside(struct mbox *m, const char *cause, struct why *why_r)
{
	char text[WHY_TEXT_MAX];
	if (m->journal.plan.kept == 0) {
		(void)snprintf(text, sizeof text, "an interrupted update is given up, because %s; there was no mail to keep", cause);
		mbox_notice(m, NOTICE_ODD, text);
		return journal_clear(&m->journal, why_r);
	}
	(void)snprintf(text, sizeof text, "an interrupted update cannot be finished, because %s; the kept mail is in a journal that is "
	               "set aside: see postern recover", cause);
	mbox_notice(m, NOTICE_CRITICAL, text);
	return journal_set_aside(&m->journal, why_r);
}

static int recover(struct mbox *m, char *buffer, struct why *why_r)
{
	enum finding finding;
	uint64_t size = 0;
	if (mbox_size(m, &size, why_r) != 0 || look(m, size, buffer, &finding, why_r) != 0)
		return -1;
	if (finding == UNPROVEN)
		return set_aside(m, "another program changed the mailbox since", why_r);
	if (finding == NOT_CUT_OFF) {
		if (finish(m, size, buffer, why_r) != 0)
			return -1;
	} else {
		/* It is as it should be; its new size perhaps in memory only. */
		if (sync_file(m, why_r) != 0)
			return -1;
		end_journal(m);
	}
	mbox_notice(m, NOTICE_DONE, "an interrupted update was finished");
	return 0;
}

int mbox_not_mounted(const struct mbox *m, struct why *why_r)
{
	return why_set(why_r, REASON_UPDATE_UNFINISHED, ENOENT, "an update of %.100s was interrupted, and neither the file nor the file system that it was on is "
	               "there: mount it; if the file is gone, make an empty one", m->path);
}

/* On what that directory is on it never was: what is there may be a mount point without its file system. The number may be another after a reboot. */
static bool was_elsewhere(const struct mbox *m)
{
	struct stat file, directory;
	return fstatat(m->dir_fd, m->name, &file, AT_SYMLINK_NOFOLLOW) != 0 &&
		(fstat(m->dir_fd, &directory) != 0 || directory.st_dev != m->journal.plan.dev);
}

int mbox_recover(struct mbox *m, struct why *why_r)
{
	char *buffer;
	int r;
	if (m->journal.state == JOURNAL_EMPTY || m->journal.state == JOURNAL_SET_ASIDE)
		return 0;
	/* The crash came before anything was done to the mailbox. */
	if (m->journal.state == JOURNAL_TORN)
		return journal_clear(&m->journal, why_r);
	if (m->fd < 0)
		return was_elsewhere(m) ? mbox_not_mounted(m, why_r) : set_aside(m, "another program removed or emptied the mailbox", why_r);
	buffer = malloc(MBOX_BUFFER);
	if (buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "finish the update of %s", m->path);
	r = recover(m, buffer, why_r);
	free(buffer);
	return r;
}
