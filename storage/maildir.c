/*
 * maildir.c - a Maildir as a maildrop: lists and numbers the messages, by the index or by a scan, and hands them out.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * A message is its base name and its inode: other programs may set its flags or move it from
 * new/ to cur/ at any time, and it stays the same message. tmp/ is never looked at.
 */
#include "storage/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "storage/file_system.h"

const char *maildir_show(struct maildir_shown *s, const struct maildir *m, const struct maildir_entry *e)
{
	struct buf b = BUF_OVER(s->text);
	buf_add_escaped(&b, maildir_name(m, e), e->len);
	return buf_text(&b);
}

/* ---- opening ---- */

/* None could be had, because the disk fails: that is no empty maildrop, or clients would forget what they have fetched. */
static int check_faults(const struct maildir *m, struct why *why_r)
{
	bool any = m->fault == 0;
	for (size_t i = 0; !any && i < m->entry_count; i++)
		any = m->entries[i].state == ENTRY_READY;
	for (size_t i = 0; !any && i < m->known; i++)
		any = m->met[i] >= KNOWN_SEEN;
	return any ? 0 : why_set(why_r, REASON_MAILDROP_IO, m->fault, "open any message in %s", m->path);
}

/* Opens every listed file; those renamed meanwhile are looked up again until each is found or gone. */
static int size_entries(struct maildir *m, struct why *why_r)
{
	for (size_t round = 0; round < MAILDIR_ROUNDS_MAX; round++) {
		size_t lost = 0;
		if (maildir_scan(m, false, why_r) != 0)
			return -1;
		if (round == 0)
			maildir_prove_names(m);
		for (size_t i = 0; i < m->entry_count; i++) {
			struct maildir_entry *e = &m->entries[i];
			if ((e->state == ENTRY_LOST || e->state == ENTRY_KNOWN) && e->seen != m->scan)
				e->state = ENTRY_DROPPED;
			if (e->state == ENTRY_LISTED || e->state == ENTRY_LOST) {
				if (maildir_size_entry(m, e, why_r) != 0)
					return -1;
				lost += e->state == ENTRY_LOST;
			}
		}
		if (lost == 0)
			return check_faults(m, why_r);
	}
	return why_set(why_r, REASON_MAILDROP_BUSY, 0, "files in %s are renamed faster than they can be opened", m->path);
}

/* ---- numbers and unique-ids ---- */

/* An entry on its way to its number, with what mostly decides it: entries lie about as the directory listed them. */
struct sorted {
	uint64_t delivered;
	uint32_t entry;
};

static int compare_entries(const void *a, const void *b, void *context)
{
	const struct maildir *m = context;
	const struct sorted *s = a, *t = b;
	if (s->delivered != t->delivered)
		return s->delivered < t->delivered ? -1 : 1;
	const struct maildir_entry *x = &m->entries[s->entry], *y = &m->entries[t->entry];
	size_t shorter = x->base_len < y->base_len ? x->base_len : y->base_len;
	int order = memcmp(maildir_name(m, x), maildir_name(m, y), shorter);
	if (order == 0 && x->base_len != y->base_len)
		order = x->base_len < y->base_len ? -1 : 1;
	/* The same base name twice: who has the name for a unique-id keeps it, else the older file gets it. */
	if (order == 0 && x->owns_name != y->owns_name)
		order = x->owns_name ? -1 : 1;
	if (order == 0 && x->modified.tv_sec != y->modified.tv_sec)
		order = x->modified.tv_sec < y->modified.tv_sec ? -1 : 1;
	if (order == 0 && x->modified.tv_nsec != y->modified.tv_nsec)
		order = x->modified.tv_nsec < y->modified.tv_nsec ? -1 : 1;
	if (order == 0 && x->ino != y->ino)
		order = x->ino < y->ino ? -1 : 1;
	return order;
}

static bool same_base(const struct maildir *m, const struct maildir_entry *x, const struct maildir_entry *y)
{
	return x->base_len == y->base_len && memcmp(maildir_name(m, x), maildir_name(m, y), x->base_len) == 0;
}

/* The entries that are messages, in order, without those that were seen under two names; how many. */
static size_t sort_entries(struct maildir *m, struct sorted *sorted)
{
	size_t ready = 0, n = 0;
	for (size_t i = 0; i < m->entry_count; i++)
		if (m->entries[i].state == ENTRY_READY)
			sorted[ready++] = (struct sorted){ .delivered = m->entries[i].delivered, .entry = (uint32_t)i };
	qsort_r(sorted, ready, sizeof *sorted, compare_entries, m);
	for (size_t i = 0; i < ready; i++) {
		struct maildir_entry *e = &m->entries[sorted[i].entry];
		const struct maildir_entry *last = n > 0 && sorted[n - 1].delivered == sorted[i].delivered ? &m->entries[sorted[n - 1].entry] : NULL;
		const bool twin = last != NULL && same_base(m, last, e);
		if (twin)
			e->twin = true;
		/* Two that the index has, and that were not looked at, are two. */
		if (twin && last->ino == e->ino && e->ino != 0)
			e->state = ENTRY_DROPPED;
		else
			sorted[n++] = sorted[i];
	}
	return n;
}

/* The records that a scan has seen are in order; those that became entries, and new ones, come in between. */
static int number_messages(struct maildir *m, struct why *why_r)
{
	struct sorted *sorted = calloc(m->entry_count + 1, sizeof *sorted);
	free(m->order);
	m->drop.count = 0;
	m->order = calloc(m->known + m->entry_count + 1, sizeof *m->order);
	if (sorted == NULL || m->order == NULL) {
		free(sorted);
		return maildir_no_memory(why_r);
	}
	const size_t entries = sort_entries(m, sorted);
	for (size_t i = 0, at = 0; i <= entries; i++) {
		const struct maildir_entry *e = i < entries ? &m->entries[sorted[i].entry] : NULL;
		const size_t place = e == NULL ? m->known : m->known == 0 ? 0 : e->record != 0 ? e->record - 1 : maildir_place_of(m, at, e->delivered, maildir_name(m, e), e->base_len);
		for (; at < place; at++)
			if (m->met[at] >= KNOWN_SEEN)
				m->order[m->drop.count++] = MAILDIR_OF_INDEX | (uint32_t)at;
		if (e != NULL)
			m->order[m->drop.count++] = sorted[i].entry;
	}
	free(sorted);
	return 0;
}

/* ---- the index ---- */

/* Does the list that the index has still hold, without a scan? */
static bool is_as_left(struct maildir *m, const struct maildir_left *state)
{
	const struct list_name *r = maildir_records(m);
	char name[LIST_NAME_MAX + 1];
	if (state->quiet != MAILDIR_ALL_DIRS || memcmp(state->dirs, m->listed, sizeof m->listed) != 0)
		return false;
	for (size_t i = 0; m->drop.count <= CHECK_EACH_MAX && i < m->drop.count; i++)
		if (!maildir_listed_name(m, i, name) || !maildir_has_identity(m, maildir_dir_of(&r[i]), name, r[i].identity))
			return false;
	return true;
}

static void remember(struct maildir *m)
{
	struct maildir_left state = { .quiet = m->skipped ? 0 : m->steady, .proven = m->proven };
	struct image *image = &m->drop.image;
	memcpy(state.dirs, m->listed, sizeof state.dirs);
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if ((state.quiet & 1u << i) != 0 && m->dir_fd[i] >= 0 && !is_local_file_system(m->dir_fd[i]))
			state.quiet &= ~(UINT64_C(1) << i);
	gone_write(m->gone, &m->index);
	if (index_write(&m->index, image, &state, sizeof state) == 0)
		m->drop.image_at = m->index.head.offset;
}

/* The list as the last login left it: 1 when it is whole, and *state_r. */
static bool recall(struct maildir *m, struct maildir_left *state_r)
{
	const void *state = index_state(&m->index);
	if (state == NULL || index_image(&m->index, LIST_NAMES, sizeof(struct list_name), &m->drop.image) != 0)
		return false;
	memcpy(state_r, state, sizeof *state_r);
	m->drop.count = m->drop.image.list.count;
	m->proven = (uint32_t)state_r->proven;
	const bool ahead = index_is_ahead(&m->index);
	if (ahead)
		state_r->quiet = 0;
	m->each = m->drop.count <= CHECK_EACH_MAX || state_r->doubted != 0 || ahead;
	return true;
}

/* Directories that are as the last login left them need no reading, whatever became of the others. */
static void hold_directories(struct maildir *m, const struct maildir_left *state)
{
	for (enum maildir_dir i = 0; i < MAILDIR_DIRS; i++)
		if ((state->quiet & 1u << i) != 0 && memcmp(&state->dirs[i], &m->listed[i], sizeof m->listed[i]) == 0 && maildir_keep_directory(m, i))
			m->held |= 1u << i;
	memcpy(m->held_as, m->listed, sizeof m->held_as);
}

/* There is nothing in it, or the file system that it is on, or is, is not mounted. */
static int check_mounted(const struct maildir *m, const struct maildir_left *state, struct why *why_r)
{
	const struct maildrop_trace trace = index_trace(&m->index);
	struct stat st;
	if (m->top_fd < 0)
		return maildrop_check_mounted(m->path, &trace, why_r);
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if (state->dirs[i].ino != 0 && fstat(m->top_fd, &st) == 0 && st.st_dev != state->dirs[i].dev)
			return why_set(why_r, REASON_MAILDROP_IO, ENOENT, "find %s/new or %s/cur, which had %zu messages at the last login, and were on another file system "
			               "(mount it, or make them)", m->path, m->path, trace.count);
	return 0;
}

static int list_messages(struct maildir *m, struct why *why_r)
{
	struct maildir_left state = { .quiet = 0 };
	m->steady = MAILDIR_ALL_DIRS;
	index_begin(&m->index, &m->drop.options, m->path);
	if (maildir_look(m, m->listed, why_r) != 0)
		return -1;
	if (recall(m, &state)) {
		m->drop.image_at = m->index.head.offset;
		if (m->dir_fd[MAILDIR_NEW] < 0 && m->dir_fd[MAILDIR_CUR] < 0 && check_mounted(m, &state, why_r) != 0)
			return -1;
		if (is_as_left(m, &state))
			return 0;
	}
	if (m->index.gone > 0)
		m->gone = gone_read(&m->index);
	/* When it cannot be taken it is as if there were none. */
	if (m->drop.image_at > 0 && maildir_know(m, why_r) == 0)
		hold_directories(m, &state);
	m->drop.image_at = 0;
	if (size_entries(m, why_r) != 0 || number_messages(m, why_r) != 0 || maildir_take_told_ids(m, why_r) != 0 ||
	    maildir_settle_uidls(m, why_r) != 0 || maildir_make_image(m, why_r) != 0)
		return -1;
	remember(m);
	maildir_free_entries(m);
	return 0;
}

static void maildir_close(struct maildrop *drop)
{
	struct maildir *m = (struct maildir *)drop;
	maildir_keep_learned(m);
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if (m->dir_fd[i] >= 0)
			(void)close(m->dir_fd[i]);
	if (m->top_fd >= 0)
		(void)close(m->top_fd);
	maildir_free_entries(m);
	image_free(&m->drop.image);
	free(m->gone);
	free(m->listing);
	free(m->buffer);
	free(m->path);
	free(m);
}

static int maildir_open(const struct maildrop_place *place, const struct maildrop_options *options,
                        struct maildrop **drop_r, struct why *why_r)
{
	struct maildir *m = calloc(1, sizeof *m);
	if (m == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "open %s", place->path);
	m->drop.format = &maildir_format;
	m->drop.options = *options;
	m->dir_fd[MAILDIR_NEW] = m->dir_fd[MAILDIR_CUR] = m->top_fd = -1;
	m->path = strdup(place->path);
	m->buffer = malloc(MAILDIR_BUFFER);
	if (m->path == NULL || m->buffer == NULL) {
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "open %s", place->path);
		goto fail;
	}
	if (maildir_open_directories(m, why_r) != 0 || list_messages(m, why_r) != 0)
		goto fail;
	*drop_r = &m->drop;
	return 0;
fail:
	maildir_close(&m->drop);
	return -1;
}

/* ---- one message ---- */

/* The file that is where the list says, or -1. */
static int open_listed(const struct maildir *m, size_t idx)
{
	const struct list_name *r = &maildir_records(m)[idx];
	char name[LIST_NAME_MAX + 1];
	return m->entries == NULL && maildir_listed_name(m, idx, name) ? openat(m->dir_fd[r->flags & LIST_IN_CUR], name, MAILDIR_OPEN_FLAGS) : -1;
}

static bool is_as_listed(const struct maildir *m, size_t idx, int fd, struct stat *st_r)
{
	return fstat(fd, st_r) == 0 && maildir_identity(st_r, (uint64_t)st_r->st_size) == maildir_records(m)[idx].identity;
}

/* The common case: the file is where the list says, and as it was. A descriptor, or -1: look closer. */
static int open_as_listed(const struct maildir *m, size_t idx, struct stat *st_r)
{
	int fd = open_listed(m, idx);
	if (fd < 0 || is_as_listed(m, idx, fd, st_r))
		return fd;
	(void)close(fd);
	return -1;
}

static int maildir_read(struct maildrop *drop, size_t idx, char *to, size_t room, size_t *len_r)
{
	struct maildir *m = (struct maildir *)drop;
	struct stat st;
	int fd = open_listed(m, idx);
	if (fd < 0)
		return -1;
	/* Looked at afterwards: it was still so when the octets had been read. */
	const ssize_t n = read(fd, to, room);
	const bool good = n >= 0 && is_as_listed(m, idx, fd, &st) && st.st_size == n;
	(void)close(fd);
	if (good && list_is_unopened(&drop->image.list, idx))
		maildir_learn_octets(m, idx, to, (size_t)n);
	if (good)
		*len_r = (size_t)n;
	else if (n > 0)
		explicit_bzero(to, (size_t)n);
	return good ? 0 : -1;
}

static int changed(struct maildir *m, struct maildir_entry *e, struct why *why_r)
{
	struct maildir_shown name;
	maildir_was_written(m, e);
	return why_set(why_r, REASON_MESSAGE_CHANGED, 0, "another program wrote to %s", maildir_show(&name, m, e));
}

/* Whatever its name is by now. A descriptor, or -1 and *why_r. */
static int open_anywhere(struct maildir *m, struct maildir_entry *e, struct stat *st_r, struct why *why_r)
{
	struct maildir_shown name;
	for (size_t round = 0; round < MAILDIR_ROUNDS_MAX; round++) {
		int fd = openat(m->dir_fd[e->dir], maildir_name(m, e), MAILDIR_OPEN_FLAGS);
		if (fd >= 0 && fstat(fd, st_r) == 0 && maildir_is_entry(e, st_r)) {
			e->state = ENTRY_READY;
			if (maildir_is_unchanged(m, e, fd, st_r))
				return fd;
			(void)close(fd);
			return changed(m, e, why_r);
		}
		int err = fd < 0 ? errno : ENOENT;
		if (fd >= 0)
			(void)close(fd);
		if (err != ENOENT && err != ELOOP)
			return why_errno(why_r, err, "open %s/%s", m->path, maildir_show(&name, m, e));
		e->state = ENTRY_LOST;
		if (maildir_scan(m, true, why_r) != 0)
			return -1;
		if (e->seen != m->scan)
			return why_set(why_r, REASON_MESSAGE_GONE, 0, "another program removed %s",
			               maildir_show(&name, m, e));
	}
	return why_set(why_r, REASON_MAILDROP_BUSY, 0, "%s is renamed faster than it can be opened",
	               maildir_show(&name, m, e));
}

/* What nobody has read is read before it is sent. The descriptor, or -1 and *why_r. */
static int learn_first(struct maildir *m, size_t idx, int fd, const struct stat *st, struct why *why_r)
{
	struct maildir_shown name;
	if (!list_is_unopened(&m->drop.image.list, idx) || maildir_learn(m, idx, fd, st) == 0)
		return fd;
	const int err = errno;
	(void)close(fd);
	if (m->entries == NULL && maildir_take_entries(m, ENTRY_READY, why_r) != 0)
		return -1;
	struct maildir_entry *e = &m->entries[m->order[idx]];
	return err == ESTALE ? changed(m, e, why_r) : why_errno(why_r, err, "read %s/%s", m->path, maildir_show(&name, m, e));
}

static int maildir_fetch(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r)
{
	struct maildir *m = (struct maildir *)drop;
	struct stat st;
	int fd = open_as_listed(m, idx, &st);
	if (fd < 0 && m->entries == NULL && maildir_take_entries(m, ENTRY_READY, why_r) != 0)
		return -1;
	if (fd < 0)
		fd = open_anywhere(m, &m->entries[m->order[idx]], &st, why_r);
	if (fd >= 0)
		fd = learn_first(m, idx, fd, &st, why_r);
	if (fd < 0)
		return -1;
	*body_r = (struct message_body){ .fd = fd, .as_stored = (maildir_records(m)[idx].flags & LIST_AS_STORED) != 0, .offset = 0,
	                                 .length = (uint64_t)st.st_size, .file_size = (uint64_t)st.st_size, .modified = st.st_mtim };
	return 0;
}

const struct format maildir_format = {
	.open = maildir_open,
	.fetch = maildir_fetch,
	.read = maildir_read,
	.update = maildir_update,
	.close = maildir_close,
};
