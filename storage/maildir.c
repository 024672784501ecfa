/*
 * maildir.c - a Maildir as a maildrop: opens, sizes and numbers the messages, hands them out.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * A message is its base name and its inode: other programs may set its flags or move it from
 * new/ to cur/ at any time, and it stays the same message. tmp/ is never looked at.
 */
#include "storage/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/wire.h"

enum {
	UIDL_HASH = 16,  /* octets of BLAKE2b: 32 digits */
	OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
};

const char *maildir_show(struct maildir_shown *s, const struct maildir *m, const struct maildir_entry *e)
{
	struct buf b = BUF_OVER(s->text);
	buf_add_escaped(&b, maildir_name(m, e), e->len);
	return buf_text(&b);
}

/* ---- opening ---- */

/* *fd_r becomes -1 when there is no such directory. */
static int open_directory(const struct maildir *m, int at, const char *name, int flags, int *fd_r, struct why *why_r)
{
	struct stat st;
	int fd = openat(at, name, flags | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	*fd_r = -1;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		int err = errno;
		if ((err == ENOTDIR || err == ELOOP) && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			return why_set(why_r, REASON_MAILDROP_DENIED, ELOOP,
			               "%s (in %s) is a symbolic link, which is not followed", name, m->path);
		return why_errno(why_r, err, "open the directory %s (in %s)", name, m->path);
	}
	if (fstat(fd, &st) != 0) {
		(void)why_errno(why_r, errno, "stat %s (in %s)", name, m->path);
	} else if (st.st_uid != m->drop.options.owner) {
		(void)why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s (in %s) belongs to uid %ju, not to uid %ju", name, m->path,
		              (uintmax_t)st.st_uid, (uintmax_t)m->drop.options.owner);
	} else {
		*fd_r = fd;
		return 0;
	}
	(void)close(fd);
	return -1;
}

static int open_directories(struct maildir *m, struct why *why_r)
{
	int top = -1, r = -1;
	if (open_directory(m, AT_FDCWD, m->path, O_PATH, &top, why_r) != 0)
		return -1;
	r = 0;
	for (size_t i = 0; top >= 0 && r == 0 && i < MAILDIR_DIRS; i++)
		r = open_directory(m, top, maildir_dir_names[i], O_RDONLY, &m->dir_fd[i], why_r);
	if (top >= 0)
		(void)close(top);
	return r;
}

/* ---- sizes ---- */

static int count_octets(struct maildir *m, struct maildir_entry *e, int fd)
{
	struct wire w = WIRE_START;
	uint64_t stored = 0;
	/* Most messages fit the buffer: no second read to learn that the first one was all. */
	while (stored != e->size || stored == 0) {
		ssize_t n = read(fd, m->buffer, MAILDIR_BUFFER);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		wire_count(&w, m->buffer, (size_t)n);
		stored += (uint64_t)n;
	}
	e->size = stored;
	e->octets = wire_count_end(&w);
	e->needs_change = wire_needs_change(&w, stored);
	return 0;
}

/* The message's own trouble: it is skipped, and the others are served. */
static int skip_unreadable(struct maildir *m, struct maildir_entry *e, int err, struct why *why_r)
{
	switch (err) {
	case ENOENT:
		e->state = ENTRY_LOST;
		return 0;
	case EMFILE: case ENFILE: case ENOMEM:
		return why_errno(why_r, err, "open messages in %s", m->path);
	case ELOOP:
		maildir_drop_entry(m, e, "skipped, it is a symbolic link");
		return 0;
	default:
		maildir_drop_entry(m, e, "skipped, it cannot be read");
		return 0;
	}
}

int maildir_size_entry(struct maildir *m, struct maildir_entry *e, struct why *why_r)
{
	struct stat st;
	int fd = openat(m->dir_fd[e->dir], maildir_name(m, e), OPEN_FLAGS);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int err = errno;
		if (fd >= 0)
			(void)close(fd);
		return skip_unreadable(m, e, err, why_r);
	}
	e->ino = st.st_ino;
	e->dev = st.st_dev;
	e->size = (uint64_t)st.st_size;
	e->modified = st.st_mtim;
	if (!S_ISREG(st.st_mode))
		maildir_drop_entry(m, e, "skipped, it is no file");
	else if (st.st_uid != m->drop.options.owner)
		maildir_drop_entry(m, e, "skipped, it belongs to another user");
	else if (count_octets(m, e, fd) != 0)
		maildir_drop_entry(m, e, "skipped, it cannot be read");
	else
		e->state = ENTRY_READY;
	(void)close(fd);
	return 0;
}

/* Opens every listed file; those renamed meanwhile are looked up again until each is found or gone. */
static int size_entries(struct maildir *m, struct why *why_r)
{
	for (size_t round = 0; round < MAILDIR_ROUNDS_MAX; round++) {
		size_t lost = 0;
		if (maildir_scan(m, false, why_r) != 0)
			return -1;
		for (size_t i = 0; i < m->entry_count; i++) {
			struct maildir_entry *e = &m->entries[i];
			if (e->state == ENTRY_LOST && e->seen != m->scan)
				e->state = ENTRY_DROPPED;
			if (e->state == ENTRY_LISTED || e->state == ENTRY_LOST) {
				if (maildir_size_entry(m, e, why_r) != 0)
					return -1;
				lost += e->state == ENTRY_LOST;
			}
		}
		if (lost == 0)
			return 0;
	}
	return why_set(why_r, REASON_MAILDROP_BUSY, 0, "files in %s are renamed faster than they can be opened", m->path);
}

/* ---- numbers and unique-ids ---- */

static int compare_entries(const void *a, const void *b, void *context)
{
	const struct maildir *m = context;
	const struct maildir_entry *x = &m->entries[*(const uint32_t *)a], *y = &m->entries[*(const uint32_t *)b];
	if (x->delivered != y->delivered)
		return x->delivered < y->delivered ? -1 : 1;
	size_t shorter = x->base_len < y->base_len ? x->base_len : y->base_len;
	int order = memcmp(maildir_name(m, x), maildir_name(m, y), shorter);
	if (order == 0 && x->base_len != y->base_len)
		order = x->base_len < y->base_len ? -1 : 1;
	/* The same base name twice: the older file comes first and keeps the name for its unique-id. */
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

/* Not one that looks like the hash of another name, which it could be. */
static bool fits_uidl(const char *base, size_t len)
{
	size_t digits = 0;
	if (len == 0 || len > UIDL_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (base[i] < 0x21 || base[i] > 0x7e)
			return false;
		digits += (base[i] >= '0' && base[i] <= '9') || (base[i] >= 'a' && base[i] <= 'f');
	}
	return len != (size_t)2 * UIDL_HASH || digits < len;
}

static void make_uidl(const struct maildir *m, const struct maildir_entry *e, char *uidl_r)
{
	const char *base = maildir_name(m, e);
	if (!e->twin && fits_uidl(base, e->base_len)) {
		memcpy(uidl_r, base, e->base_len);
		return;
	}
	unsigned char hash[UIDL_HASH];
	uint64_t ino = e->ino;
	/* A key sets the hash of a twin apart from all hashes of names alone. */
	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)base, e->base_len,
	                         e->twin ? (const unsigned char *)&ino : NULL, e->twin ? sizeof ino : 0);
	(void)sodium_bin2hex(uidl_r, UIDL_MAX + 1, hash, sizeof hash);
}

static int number_messages(struct maildir *m, struct why *why_r)
{
	size_t n = 0;
	m->order = calloc(m->entry_count + 1, sizeof *m->order);
	if (m->order == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	for (size_t i = 0; i < m->entry_count; i++)
		if (m->entries[i].state == ENTRY_READY)
			m->order[n++] = (uint32_t)i;
	qsort_r(m->order, n, sizeof *m->order, compare_entries, m);
	for (size_t i = 0; i < n; i++) {
		struct maildir_entry *e = &m->entries[m->order[i]];
		if (m->drop.count > 0) {
			const struct maildir_entry *last = &m->entries[m->order[m->drop.count - 1]];
			e->twin = same_base(m, last, e);
			/* Seen under two names: one message. */
			if (e->twin && last->ino == e->ino && last->dev == e->dev) {
				e->state = ENTRY_DROPPED;
				continue;
			}
		}
		m->order[m->drop.count++] = m->order[i];
	}
	return 0;
}

static void maildir_record(const struct maildrop *drop, size_t idx, struct message_record *record_r)
{
	const struct maildir *m = (const struct maildir *)drop;
	const struct maildir_entry *e = &m->entries[m->order[idx]];
	record_r->octets = e->octets;
	make_uidl(m, e, record_r->uidl);
}

static void maildir_close(struct maildrop *drop)
{
	struct maildir *m = (struct maildir *)drop;
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if (m->dir_fd[i] >= 0)
			(void)close(m->dir_fd[i]);
	free(m->order);
	free(m->slots);
	free(m->names);
	free(m->entries);
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
	m->dir_fd[MAILDIR_NEW] = m->dir_fd[MAILDIR_CUR] = -1;
	m->path = strdup(place->path);
	m->buffer = malloc(MAILDIR_BUFFER);
	if (m->path == NULL || m->buffer == NULL) {
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "open %s", place->path);
		goto fail;
	}
	if (open_directories(m, why_r) != 0 || size_entries(m, why_r) != 0 || number_messages(m, why_r) != 0)
		goto fail;
	*drop_r = &m->drop;
	return 0;
fail:
	maildir_close(&m->drop);
	return -1;
}

/* ---- one message ---- */

bool maildir_is_entry(const struct maildir_entry *e, const struct stat *st)
{
	return st->st_ino == e->ino && st->st_dev == e->dev;
}

bool maildir_is_unchanged(const struct maildir_entry *e, const struct stat *st)
{
	return (uint64_t)st->st_size == e->size && st->st_mtim.tv_sec == e->modified.tv_sec &&
		st->st_mtim.tv_nsec == e->modified.tv_nsec;
}

static int check_unchanged(const struct maildir *m, const struct maildir_entry *e, const struct stat *st,
                           struct why *why_r)
{
	struct maildir_shown name;
	if (maildir_is_unchanged(e, st))
		return 0;
	return why_set(why_r, REASON_MESSAGE_CHANGED, 0, "another program wrote to %s",
	               maildir_show(&name, m, e));
}

static int maildir_fetch(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r)
{
	struct maildir *m = (struct maildir *)drop;
	struct maildir_entry *e = &m->entries[m->order[idx]];
	struct maildir_shown name;
	for (size_t round = 0; round < MAILDIR_ROUNDS_MAX; round++) {
		struct stat st;
		int fd = openat(m->dir_fd[e->dir], maildir_name(m, e), OPEN_FLAGS);
		if (fd >= 0 && fstat(fd, &st) == 0 && maildir_is_entry(e, &st)) {
			e->state = ENTRY_READY;
			if (check_unchanged(m, e, &st, why_r) != 0) {
				(void)close(fd);
				return -1;
			}
			*body_r = (struct message_body){ .fd = fd, .as_stored = !e->needs_change, .offset = 0, .length = e->size,
			                                 .file_size = e->size, .modified = e->modified };
			return 0;
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

const struct format maildir_format = {
	.open = maildir_open,
	.record = maildir_record,
	.fetch = maildir_fetch,
	.update = maildir_update,
	.close = maildir_close,
};
