/*
 * mbox_update.c - removes the marked messages of an mbox, under the host's locks.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * First proves that every message still is where and what the session saw; then plans which octets stay.
 */
#include <errno.h>
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
	char *buffer;       /* JOURNAL_BUFFER octets */
	uint64_t size;      /* of the file, now */
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

static int verify_all(struct update *u, struct why *why_r)
{
	struct mbox *m = u->m;
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	u->size = (uint64_t)st.st_size;
	if (u->size < mbox_end(m, m->drop.count - 1))
		return changed(m, why_r);
	for (size_t i = 0; i < m->drop.count; i++)
		if (mbox_verify(m, i, u->buffer, why_r) != 0)
			return why_r->reason == REASON_MESSAGE_CHANGED ? changed(m, why_r) : -1;
	return find_tail(u, why_r);
}

/* ---- the plan ---- */

/* Octets from..to of the file stay. */
struct range {
	uint64_t from, to;
};

/* The next range that stays, from idx on, where marked messages are left out; idx is `count` for what arrived, then beyond. */
static bool next_kept(const struct update *u, const bool *marks, size_t *idx, struct range *range_r)
{
	const struct mbox *m = u->m;
	const size_t count = m->drop.count;
	while (*idx < count && marks[*idx])
		++*idx;
	if (*idx > count)
		return false;
	range_r->from = *idx < count ? m->messages[*idx].start : m->next;
	while (*idx < count && !marks[*idx])
		++*idx;
	/* Up to the next marked message, or with all that arrived to the end. */
	range_r->to = *idx < count ? m->messages[*idx].start : u->size;
	*idx += *idx == count;
	return range_r->from < range_r->to;
}

/* Where the file is cut, and how much of what is behind stays. Returns the first marked message. */
static size_t make_plan(const struct update *u, const bool *marks, struct journal_plan *plan_r)
{
	const struct mbox *m = u->m;
	struct range range;
	size_t first = 0;
	while (!marks[first])
		first++;
	*plan_r = (struct journal_plan){ .dev = m->scanned.st_dev, .ino = m->scanned.st_ino, .size = u->size,
		.cut = m->messages[first].start };
	for (size_t idx = first; next_kept(u, marks, &idx, &range);)
		plan_r->kept += range.to - range.from;
	/* Blank lines before the first message need no keeping when nothing is left. */
	if (first == 0 && plan_r->kept == 0 && !m->internal)
		plan_r->cut = 0;
	return first;
}

/* ---- the journal, and then the file ---- */

static int check_journal(const struct mbox *m, struct why *why_r)
{
	if (m->journal.fd < 0)
		return why_errno(why_r, m->drop.options.journal_errno, "no journal, without which %s cannot be rewritten safely", m->path);
	if (m->journal.state != JOURNAL_EMPTY)
		return why_set(why_r, REASON_MAILDROP_BUSY, EAGAIN, "the journal of %s was set aside in this session; the next has a new one",
		               m->path);
	return 0;
}

static int write_journal(struct update *u, const bool *marks, size_t first, struct journal_plan *plan, struct why *why_r)
{
	struct mbox *m = u->m;
	struct range range;
	if (mbox_hash(m, 0, plan->cut, u->buffer, plan->head, why_r) != 0)
		return -1;
	for (size_t idx = first; next_kept(u, marks, &idx, &range);)
		if (mbox_add_to_journal(m, range.from, range.to, u->buffer, why_r) != 0)
			return -1;
	return mbox_seal_journal(m, plan, u->buffer, why_r);
}

static int rewrite(struct update *u, const bool *marks, struct why *why_r)
{
	struct mbox *m = u->m;
	struct journal_plan plan;
	struct why ignored;
	size_t first = make_plan(u, marks, &plan);
	/* Nothing has to move: the end of the file goes, at one stroke. */
	if (plan.kept == 0)
		return mbox_cut_off(m, plan.cut, false, why_r);
	if (check_journal(m, why_r) != 0)
		return -1;
	if (write_journal(u, marks, first, &plan, why_r) == 0)
		return mbox_do_journal(m, u->buffer, u->arrived, why_r);
	/* Nothing was done to the file. If this fails, too, the next login may do what we call not done; it cannot do harm. */
	if (journal_clear(&m->journal, &ignored) != 0)
		mbox_notice(m, NOTICE_CRITICAL, ignored.text);
	return -1;
}

static int update_locked(struct mbox *m, const bool *marks, struct why *why_r)
{
	struct update u = { .m = m };
	int r = -1;
	u.buffer = malloc(JOURNAL_BUFFER);
	if (u.buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "rewrite %s", m->path);
	if (host_lock_take(&m->locks, m->fd, true, why_r) == 0) {
		if (verify_all(&u, why_r) == 0)
			r = rewrite(&u, marks, why_r);
		host_lock_release(&m->locks);
	}
	free(u.buffer);
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
