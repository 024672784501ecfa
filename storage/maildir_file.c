/*
 * maildir_file.c - the file of a message: how many octets it has on the wire, and whether it still is what it was.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/wire.h"
#include "storage/maildir.h"

/* ---- what a file is ---- */

static uint32_t fold(uint64_t h)
{
	return (uint32_t)(h ^ h >> 32);
}

uint32_t maildir_inode(uint64_t ino)
{
	return fold(XXH3_64bits(&ino, sizeof ino));
}

uint32_t maildir_identity(const struct stat *st, uint64_t size)
{
	const uint64_t what[] = { st->st_dev, st->st_ino, size, st->st_uid, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
	                          (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec };
	return fold(XXH3_64bits(what, sizeof what));
}

bool maildir_has_identity(const struct maildir *m, enum maildir_dir dir, const char *name, uint32_t identity)
{
	struct stat st;
	return fstatat(m->dir_fd[dir], name, &st, AT_SYMLINK_NOFOLLOW) == 0 && maildir_identity(&st, (uint64_t)st.st_size) == identity;
}

/* ---- sizes ---- */

/* The octets of a file, as they come in. */
struct counting {
	struct wire wire;
	struct digest_state digest;
	uint64_t stored;
};

static void begin_count(struct counting *c)
{
	c->wire = WIRE_START;
	c->stored = 0;
	digest_begin(&c->digest, 0);
}

static void count_some(struct counting *c, const char *octets, size_t len)
{
	wire_count(&c->wire, octets, len);
	digest_add(&c->digest, octets, len);
	c->stored += len;
}

static void end_count(struct counting *c, struct maildir_reading *r_r)
{
	*r_r = (struct maildir_reading){ .octets = wire_count_end(&c->wire), .stored = c->stored, .digest = digest_so_far(&c->digest).low,
	                                  .needs_change = wire_needs_change(&c->wire, c->stored) };
}

void maildir_count(const char *octets, size_t len, struct maildir_reading *r_r)
{
	struct counting c;
	begin_count(&c);
	count_some(&c, octets, len);
	end_count(&c, r_r);
}

int maildir_read_file(struct maildir *m, int fd, uint64_t expected, struct maildir_reading *r_r)
{
	struct counting c;
	begin_count(&c);
	/* Most messages fit the buffer: no second read to learn that the first one was all. */
	while (c.stored != expected || c.stored == 0) {
		ssize_t n = read(fd, m->buffer, MAILDIR_BUFFER);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		count_some(&c, m->buffer, (size_t)n);
	}
	end_count(&c, r_r);
	if (r_r->octets <= LIST_OCTETS_MAX)
		return 0;
	errno = EFBIG;
	return -1;
}

void maildir_take_file(struct maildir_entry *e, const struct stat *st, uint64_t stored)
{
	e->stored = stored;
	e->ino = st->st_ino;
	e->inode = maildir_inode(st->st_ino);
	e->modified = st->st_mtim;
	e->identity = maildir_identity(st, stored);
}

static int count_octets(struct maildir *m, struct maildir_entry *e, int fd, const struct stat *st)
{
	struct maildir_reading r;
	if (maildir_read_file(m, fd, (uint64_t)st->st_size, &r) != 0)
		return -1;
	/* Another message under the same name and number than the index has. Of one that nobody has read nobody has the unique-id. */
	if (!e->unopened && r.digest != e->digest && maildir_is_known(e))
		maildir_forget_uidl(m, e);
	maildir_take_file(e, st, r.stored);
	maildir_learn_entry(m, e, &r);
	return 0;
}

/* Of the disk, or of the server that has it: no fault of the message. */
static bool is_storage_fault(int err)
{
	return err == EIO || err == ESTALE || err == ETIMEDOUT || err == EUCLEAN || err == EBADMSG;
}

/* The message's own trouble: it is skipped, and the others are served. */
static int skip_unreadable(struct maildir *m, struct maildir_entry *e, int err, struct why *why_r)
{
	char what[128];
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
		if (is_storage_fault(err) && m->fault == 0)
			m->fault = err;
		(void)snprintf(what, sizeof what, "skipped, it cannot be read: %s", strerror(err));
		maildir_drop_entry(m, e, what);
		return 0;
	}
}

int maildir_size_entry(struct maildir *m, struct maildir_entry *e, struct why *why_r)
{
	struct stat st;
	int r = 0;
	if (maildir_size_by_name(m, e)) {
		e->state = ENTRY_READY;
		return 0;
	}
	int fd = openat(m->dir_fd[e->dir], maildir_name(m, e), MAILDIR_OPEN_FLAGS);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int err = errno;
		if (fd >= 0)
			(void)close(fd);
		return skip_unreadable(m, e, err, why_r);
	}
	if (!S_ISREG(st.st_mode))
		maildir_drop_entry(m, e, "skipped, it is no file");
	else if (st.st_uid != m->drop.options.owner)
		maildir_drop_entry(m, e, "skipped, it belongs to another user");
	else if (count_octets(m, e, fd, &st) != 0)
		r = skip_unreadable(m, e, errno, why_r);
	else
		e->state = ENTRY_READY;
	(void)close(fd);
	return r;
}

void maildir_open_unopened(struct maildir *m, struct maildir_entry *e)
{
	struct stat st;
	const int fd = openat(m->dir_fd[e->dir], maildir_name(m, e), MAILDIR_OPEN_FLAGS);
	if (fd < 0)
		return;
	/* Otherwise it is another file by now. */
	if (fstat(fd, &st) == 0 && maildir_identity(&st, (uint64_t)st.st_size) == e->identity)
		(void)count_octets(m, e, fd, &st);
	(void)close(fd);
}

/* ---- is it still the same? ---- */

bool maildir_is_entry(const struct maildir_entry *e, const struct stat *st)
{
	return maildir_inode(st->st_ino) == e->inode;
}

/* As many octets, and not written to since: of one that nobody has read there is no more to go by. */
static bool is_stand_in(const struct maildir *m, const struct maildir_entry *e, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == m->drop.options.owner && maildir_stand_in((uint64_t)st->st_size, e->octets, &st->st_mtim) == e->digest;
}

/* As many octets, and the same: it is read. */
static bool has_digest(struct maildir *m, const struct maildir_entry *e, int fd, const struct stat *st)
{
	struct maildir_reading r;
	return S_ISREG(st->st_mode) && st->st_uid == m->drop.options.owner && maildir_read_file(m, fd, (uint64_t)st->st_size, &r) == 0 &&
		r.digest == e->digest && r.octets == e->octets;
}

static bool is_entry_with_digest(struct maildir *m, const struct maildir_entry *e, int fd)
{
	struct stat opened;
	const int file = fd >= 0 ? fd : openat(m->dir_fd[e->dir], maildir_name(m, e), MAILDIR_OPEN_FLAGS);
	const bool same = file >= 0 && fstat(file, &opened) == 0 && maildir_is_entry(e, &opened) && has_digest(m, e, file, &opened);
	if (file >= 0 && fd < 0)
		(void)close(file);
	return same;
}

bool maildir_is_unchanged(struct maildir *m, struct maildir_entry *e, int fd, const struct stat *st)
{
	const uint64_t size = (uint64_t)st->st_size;
	if (maildir_identity(st, size) == e->identity)
		return true;
	const bool same = e->unopened ? is_stand_in(m, e, st) : is_entry_with_digest(m, e, fd);
	if (same)
		e->identity = maildir_identity(st, size);
	return same;
}

bool maildir_take_equal(struct maildir *m, struct maildir_entry *e, enum maildir_dir dir, const char *name)
{
	struct stat st;
	const int fd = openat(m->dir_fd[dir], name, MAILDIR_OPEN_FLAGS);
	const bool same = fd >= 0 && fstat(fd, &st) == 0 && (e->unopened ? is_stand_in(m, e, &st) : has_digest(m, e, fd, &st));
	if (fd >= 0)
		(void)close(fd);
	if (same) {
		e->inode = maildir_inode(st.st_ino);
		e->identity = maildir_identity(&st, (uint64_t)st.st_size);
	}
	return same;
}
