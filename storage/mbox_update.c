/*
 * mbox_update.c - removes the marked messages of an mbox, under the host's locks.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * NOT YET CRASH-SAFE: the kept messages are moved down in place, without a journal.
 * Whoever kills the process, or the machine, between the first move and the
 * ftruncate leaves a file in which kept messages can be damaged.
 *
 * In place, and never by renaming a copy: a delivery agent that waits for its lock would
 * append to a file that is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/mbox.h"

enum {
	BLANK_LINES_MAX = 4,  /* that a delivery agent may put between the last message and its own */
};

/* One rewrite on its way. */
struct rewrite {
	struct mbox *m;
	char *buffer;
	uint64_t size;      /* of the file, now */
	uint64_t to;        /* where the next kept octet goes */
	bool arrived;       /* mail came behind what the scan saw */
};

/* ---- is everything where the scan saw it? ---- */

static int changed(const struct mbox *m, struct why *why_r)
{
	return why_set(why_r, REASON_MAILDROP_CHANGED, ESTALE, "another program changed %s; nothing was removed", m->path);
}

/*
 * Behind the last message there may be blank lines, and then the end of the file or new mail; all
 * else belongs to that message, which then is no longer the one that the client saw.
 */
static int find_tail(struct rewrite *w, struct why *why_r)
{
	struct mbox *m = w->m;
	struct mbox_message *last = &m->messages[m->drop.count - 1];
	/* Another program's pseudo message is the first, if any, so the last one is ours. The octet before its end is seen too. */
	uint64_t from = last->end - 1;
	ssize_t n = io_read_at(m->fd, w->buffer, MBOX_BUFFER, from);
	if (n < 0)
		return why_errno(why_r, errno, "read %s", m->path);
	if (n == 0)
		return changed(m, why_r);
	bool at_eof = from + (uint64_t)n == w->size;
	size_t at = 1, ends = w->buffer[0] == '\n', line_end;
	while (ends <= BLANK_LINES_MAX && (line_end = mbox_line_end(w->buffer + at, (size_t)n - at)) > 0) {
		at += line_end;
		ends++;
	}
	last->next = from + at;
	if (last->next == w->size)
		return 0;
	/* The message's own line end and a blank line come before a From_ line that counts. */
	if (ends < 2 || mbox_from_line(w->buffer + at, (size_t)n - at, at_eof) == 0)
		return changed(m, why_r);
	w->arrived = true;
	return 0;
}

static int verify_all(struct rewrite *w, struct why *why_r)
{
	struct mbox *m = w->m;
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	w->size = (uint64_t)st.st_size;
	if (w->size < m->messages[m->drop.count - 1].end)
		return changed(m, why_r);
	for (size_t i = 0; i < m->drop.count; i++)
		if (mbox_verify(m, i, w->buffer, why_r) != 0)
			return why_r->reason == REASON_MESSAGE_CHANGED ? changed(m, why_r) : -1;
	return find_tail(w, why_r);
}

/* ---- the rewrite ---- */

/* Keep from..end: it goes behind what is kept already. */
static int keep(struct rewrite *w, uint64_t from, uint64_t end, struct why *why_r)
{
	int fd = w->m->fd;
	struct why ignored;
	if (from == w->to) {
		w->to = end;
		return 0;
	}
	while (from < end) {
		uint64_t left = end - from;
		ssize_t n = io_read_at(fd, w->buffer, left < MBOX_BUFFER ? (size_t)left : MBOX_BUFFER, from);
		if (n < 0)
			return why_errno(why_r, errno, "read %s", w->m->path);
		if (n == 0)
			return changed(w->m, why_r);
		if (io_write_at(fd, w->buffer, (size_t)n, w->to) != 0)
			return why_errno(why_r, errno, "write to %s", w->m->path);
		from += (uint64_t)n;
		w->to += (uint64_t)n;
		/* To stop half-way because the lock file is lost would be worse than to go on. */
		(void)host_lock_refresh(&w->m->locks, &ignored);
	}
	return 0;
}

static int keep_unmarked(struct rewrite *w, const bool *marks, struct why *why_r)
{
	const struct mbox *m = w->m;
	uint64_t kept_to = 0;
	bool all = !m->internal && !w->arrived;
	for (size_t i = 0; i < m->drop.count; i++) {
		if (!marks[i]) {
			all = false;
			continue;
		}
		if (keep(w, kept_to, m->messages[i].start, why_r) != 0)
			return -1;
		kept_to = m->messages[i].next;
	}
	/* Blank lines before the first message need no keeping when nothing is left. */
	if (all) {
		w->to = 0;
		return 0;
	}
	return keep(w, kept_to, w->size, why_r);
}

/* Other programs take "modified after it was read" for new mail: true only of what came meanwhile. */
static void set_times(const struct rewrite *w)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	if (w->arrived)
		times[0] = (struct timespec){ .tv_sec = time(NULL) - 1 };
	(void)futimens(w->m->fd, times);
}

static int rewrite(struct rewrite *w, const bool *marks, struct why *why_r)
{
	int fd = w->m->fd;
	if (keep_unmarked(w, marks, why_r) != 0)
		return -1;
	/* What moved is on the disk before the only other copy of it is cut off. */
	if (w->to > 0 && fsync(fd) != 0)
		return why_errno(why_r, errno, "write to %s", w->m->path);
	if (ftruncate(fd, (off_t)w->to) != 0)
		return why_errno(why_r, errno, "truncate %s", w->m->path);
	set_times(w);
	if (fsync(fd) != 0)
		return why_errno(why_r, errno, "write to %s", w->m->path);
	return 0;
}

static int update_locked(struct mbox *m, const bool *marks, struct why *why_r)
{
	struct rewrite w = { .m = m };
	int r = -1;
	w.buffer = malloc(MBOX_BUFFER);
	if (w.buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "rewrite %s", m->path);
	if (host_lock_take(&m->locks, m->fd, true, why_r) == 0) {
		if (verify_all(&w, why_r) == 0)
			r = rewrite(&w, marks, why_r);
		host_lock_release(&m->locks);
	}
	free(w.buffer);
	return r;
}

int mbox_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r)
{
	struct mbox *m = (struct mbox *)drop;
	int r;
	if (m->read_only != 0)
		r = why_errno(why_r, m->read_only, "open %s for writing", m->path);
	else
		r = update_locked(m, marks, why_r);
	/* One file: either all that were marked are gone, or none can be called gone. */
	int err = r == 0 ? 0 : why_r->err;
	if (r != 0 && err == 0)
		err = why_r->reason == REASON_MAILDROP_CHANGED ? ESTALE : EAGAIN;
	for (size_t i = 0; i < m->drop.count; i++)
		errors[i] = marks[i] ? err : 0;
	return r;
}
