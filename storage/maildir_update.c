/*
 * maildir_update.c - removes the marked messages of a Maildir, whatever their names are by now.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * A name is believed only when it leads to the inode, size and time that the session saw.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/maildir.h"

/* Removes what the name leads to if that is the message; else the entry is ENTRY_LOST, to be looked for. */
static int remove_entry(struct maildir *m, struct maildir_entry *e)
{
	struct stat st;
	int dir = m->dir_fd[e->dir];
	e->state = ENTRY_LOST;
	if (fstatat(dir, maildir_name(m, e), &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : errno;
	if (!maildir_is_entry(e, &st))
		return 0;
	/* The same inode with other content: a file system gives the number of a removed file to the next one. */
	if (!maildir_is_unchanged(m, e, -1, &st)) {
		maildir_was_written(m, e);
		return ESTALE;
	}
	if (unlinkat(dir, maildir_name(m, e), 0) != 0)
		return errno == ENOENT ? 0 : errno;
	e->touched |= (uint8_t)(1u << e->dir);
	/* With a second link the message may still be there under another name: look. */
	if (st.st_nlink == 1)
		e->state = ENTRY_DROPPED;
	return 0;
}

/* After a scan: what it did not see, another program removed, and that is to be made durable as well. */
static void settle_gone(struct maildir *m, struct maildir_entry *e)
{
	if (e->state == ENTRY_LOST && e->seen != m->scan) {
		e->state = ENTRY_DROPPED;
		e->by_others = e->touched == 0;
		e->touched = (1u << MAILDIR_NEW) | (1u << MAILDIR_CUR);
	}
}

/* One try at each message that is marked, still there and not failed; returns how many are lost. */
static size_t remove_marked(struct maildir *m, const bool *marks, int *errors)
{
	size_t lost = 0;
	for (size_t i = 0; i < m->drop.count; i++) {
		struct maildir_entry *e = &m->entries[m->order[i]];
		if (!marks[i] || errors[i] != 0 || e->state == ENTRY_DROPPED)
			continue;
		errors[i] = remove_entry(m, e);
		lost += errors[i] == 0 && e->state == ENTRY_LOST;
	}
	return lost;
}

static int remove_and_refind(struct maildir *m, const bool *marks, int *errors, struct why *why_r)
{
	int r = 0;
	for (size_t round = 0; remove_marked(m, marks, errors) > 0; round++) {
		r = round < MAILDIR_ROUNDS_MAX ? maildir_scan(m, true, why_r) :
			why_set(why_r, REASON_MAILDROP_BUSY, 0, "files in %s are renamed faster than they can be removed", m->path);
		if (r != 0)
			break;
		for (size_t i = 0; i < m->drop.count; i++)
			settle_gone(m, &m->entries[m->order[i]]);
	}
	for (size_t i = 0; r != 0 && i < m->drop.count; i++)
		if (marks[i] && errors[i] == 0 && m->entries[m->order[i]].state == ENTRY_LOST)
			errors[i] = why_r->err != 0 ? why_r->err : EBUSY;
	return r;
}

/*
 * What we removed is not told of anything else again, even if it comes back as it was. What no scan saw may have been renamed
 * between its readings: if it is still there it is what the client knows.
 */
static void remember_removed(struct maildir *m, const bool *marks, const int *errors)
{
	for (size_t i = 0; i < m->drop.count; i++) {
		const struct maildir_entry *e = &m->entries[m->order[i]];
		if (marks[i] && errors[i] == 0)
			maildir_remember_gone(m, e, e->by_others ? maildir_content(m, e) : GONE_FOR_GOOD);
	}
	gone_write(m->gone, &m->index);
	index_keep(&m->index);
}

/* A removal that is not on the disk is none: it would be undone by a power failure. */
static void sync_directories(struct maildir *m, const bool *marks, int *errors)
{
	int failed[MAILDIR_DIRS] = { 0 };
	unsigned touched = 0;
	for (size_t i = 0; i < m->drop.count; i++)
		touched |= m->entries[m->order[i]].touched;
	for (size_t d = 0; d < MAILDIR_DIRS; d++)
		if ((touched & 1u << d) != 0 && m->dir_fd[d] >= 0 && fsync(m->dir_fd[d]) != 0)
			failed[d] = errno;
	for (size_t i = 0; i < m->drop.count; i++)
		for (size_t d = 0; d < MAILDIR_DIRS; d++)
			if (marks[i] && errors[i] == 0 && (m->entries[m->order[i]].touched & 1u << d) != 0)
				errors[i] = failed[d];
}

int maildir_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r)
{
	struct maildir *m = (struct maildir *)drop;
	struct maildir_shown name;
	if (m->entries == NULL && maildir_take_entries(m, ENTRY_READY, why_r) != 0) {
		for (size_t i = 0; i < m->drop.count; i++)
			errors[i] = marks[i] ? ENOMEM : 0;
		return -1;
	}
	int r = remove_and_refind(m, marks, errors, why_r);
	sync_directories(m, marks, errors);
	remember_removed(m, marks, errors);
	for (size_t i = 0; r == 0 && i < m->drop.count; i++) {
		const struct maildir_entry *e = &m->entries[m->order[i]];
		if (marks[i] && errors[i] != 0)
			r = why_errno(why_r, errors[i], "remove %s/%s/%s", m->path, maildir_dir_names[e->dir], maildir_show(&name, m, e));
	}
	return r;
}
