/*
 * mbox_update.c - removes the marked messages of an mbox, under the host's locks.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * Proves that every message still is where and what the session saw while it puts those that stay into the journal.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "storage/mbox_rewrite.h"

enum {
	BLANK_LINES_MAX = 4,  /* that a delivery agent may put between the last message and its own */
};

/* One UPDATE on its way. */
struct update {
	struct mbox *m;
	const bool *marks;
	char *buffer;       /* MBOX_BUFFER octets */
	uint64_t size;      /* of the file, now */
	bool arrived;       /* mail came behind what the scan saw */
	struct journal_plan plan;
	struct digest_state head;
	bool keeping;       /* the octets that are read stay */
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
static int find_tail(struct update *u, struct why *why_r)
{
	struct mbox *m = u->m;
	const size_t last = m->drop.count - 1;
	/* Another program's pseudo message is the first, if any, so the last one is ours. The octet before its end is seen too. */
	uint64_t from = mbox_end(m, last) - 1;
	ssize_t n = io_read_at(m->fd, u->buffer, MBOX_BUFFER, from);
	if (n < 0)
		return why_errno(why_r, errno, "read %s", m->path);
	if (n == 0)
		return changed(m, why_r);
	bool at_eof = from + (uint64_t)n == u->size;
	size_t at = 1, ends = u->buffer[0] == '\n', line_end;
	while (ends <= BLANK_LINES_MAX && (line_end = mbox_line_end(u->buffer + at, (size_t)n - at)) > 0) {
		at += line_end;
		ends++;
	}
	m->next = from + at;
	m->messages[last].separator = (uint8_t)(at - 1);
	if (m->next == u->size)
		return 0;
	/* The message's own line end and a blank line come before a From_ line that counts. */
	if (ends < 2 || mbox_from_line(u->buffer + at, (size_t)n - at, at_eof) == 0)
		return changed(m, why_r);
	u->arrived = true;
	return 0;
}

static int find_end(struct update *u, struct why *why_r)
{
	struct mbox *m = u->m;
	if (mbox_size(m, &u->size, why_r) != 0)
		return -1;
	if (!mbox_is_sound(m)) {
		index_drop(&m->index);
		return changed(m, why_r);
	}
	if (u->size < mbox_end(m, m->drop.count - 1))
		return changed(m, why_r);
	return find_tail(u, why_r);
}

/* ---- the plan ---- */

/* Where the file is cut, and how much of what is behind stays. */
static void make_plan(struct update *u)
{
	const struct mbox *m = u->m;
	size_t i = 0;
	while (!u->marks[i])
		i++;
	u->plan = (struct journal_plan){ .dev = m->scanned.st_dev, .ino = m->scanned.st_ino, .size = u->size,
		.cut = m->messages[i].start, .kept = u->size - m->next };
	for (; i < m->drop.count; i++)
		if (!u->marks[i])
			u->plan.kept += mbox_next(m, i) - m->messages[i].start;
	/* Blank lines before the first message need no keeping when nothing is left. */
	if (u->plan.cut == m->messages[0].start && u->plan.kept == 0 && !m->internal)
		u->plan.cut = 0;
	randombytes_buf(&u->plan.seed, sizeof u->plan.seed);
}

/* ---- the journal, and then the file ---- */

/* One reading of the file proves that nothing changed and puts what stays into the journal. */
static int take_piece(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct update *u = context;
	if (at < u->plan.cut)
		digest_add(&u->head, octets, len);
	else if (u->keeping)
		return mbox_take_to_journal(u->m, octets, len, at, why_r);
	return 0;
}

static int read_all(struct update *u, mbox_take *take, struct why *why_r)
{
	struct mbox *m = u->m;
	u->keeping = false;
	if (take != NULL && mbox_read(m, 0, m->messages[0].start, u->buffer, take, u, why_r) != 0)
		return -1;
	for (size_t i = 0; i < m->drop.count; i++) {
		u->keeping = !u->marks[i];
		if (mbox_verify(m, i, u->buffer, take, u, why_r) != 0)
			return why_r->reason == REASON_MESSAGE_CHANGED ? changed(m, why_r) : -1;
	}
	u->keeping = true;
	return take != NULL ? mbox_read(m, m->next, u->size, u->buffer, take, u, why_r) : 0;
}

static int write_journal(struct update *u, struct why *why_r)
{
	journal_begin(&u->m->journal, u->m->path, u->plan.seed);
	digest_begin(&u->head, u->plan.seed);
	if (read_all(u, take_piece, why_r) != 0)
		return -1;
	u->plan.head = digest_so_far(&u->head);
	return mbox_seal_journal(u->m, &u->plan, u->buffer, why_r);
}

/* All goes, at one stroke; unless a program without our locks has appended meanwhile. No journal of what was done before stays, to put it back. */
static int empty(struct update *u, struct why *why_r)
{
	struct mbox *m = u->m;
	uint64_t size;
	if (m->journal.state == JOURNAL_WHOLE && journal_clear(&m->journal, why_r) != 0)
		return -1;
	if (read_all(u, NULL, why_r) != 0 || mbox_size(m, &size, why_r) != 0)
		return -1;
	return size != u->size ? changed(m, why_r) : mbox_cut_off(m, 0, false, why_r);
}

static int rewrite(struct update *u, struct why *why_r)
{
	struct mbox *m = u->m;
	struct why ignored;
	make_plan(u);
	if (u->plan.kept == 0 && u->plan.cut == 0)
		return empty(u, why_r);
	if (mbox_ready_journal(m, why_r) != 0)
		return -1;
	if (write_journal(u, why_r) == 0)
		return mbox_do_journal(m, u->buffer, u->arrived, why_r);
	/* Nothing was done to the file. If this fails, too, the next login may do what we call not done; it cannot do harm. */
	if (journal_clear(&m->journal, &ignored) != 0)
		mbox_notice(m, NOTICE_CRITICAL, ignored.text);
	return -1;
}

static int update_locked(struct mbox *m, const bool *marks, struct why *why_r)
{
	struct update u = { .m = m, .marks = marks };
	struct why ignored;
	int r = -1;
	u.buffer = malloc(MBOX_BUFFER);
	if (u.buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "rewrite %s", m->path);
	if (host_lock_take(&m->locks, m->fd, true, why_r) == 0) {
		do
			r = find_end(&u, why_r) == 0 ? rewrite(&u, why_r) : -1;
		while (r != 0 && why_r->reason == REASON_MAILDROP_CHANGED && m->sampled && mbox_list_again(m, &ignored) == 0);
		if (r == 0)
			mbox_list_left(m, marks);
		host_lock_release(&m->locks);
	}
	free(u.buffer);
	return r;
}

int mbox_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r)
{
	struct mbox *m = mbox_of(drop);
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
