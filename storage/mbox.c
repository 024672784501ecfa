/*
 * mbox.c - an mbox as a maildrop: opens it, hands out its messages.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * The host's locks are held only while the file is read or rewritten. In between
 * mail may be appended, which disturbs nothing; other changes are noticed by the
 * file's times and size, and then by the digest of each message that is asked for.
 */
#include "storage/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/file_system.h"
#include "storage/mbox_rewrite.h"

enum {
	REOPEN_MAX = 5,  /* times that another program may put a new file in the place of the old while we open it */
	OPEN_FLAGS = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
};

/* ---- opening ---- */

static int open_parent(struct mbox *m, struct why *why_r)
{
	char *slash = strrchr(m->path, '/');
	m->name = slash + 1;
	*slash = '\0';
	m->dir_fd = open(slash == m->path ? "/" : m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int err = errno;
	*slash = '/';
	if (m->dir_fd < 0 && err != ENOENT)
		return why_errno(why_r, err, "open the directory of %s", m->path);
	return 0;
}

/* For writing if that is possible; reading alone still lets the mail be fetched. EPERM: chattr(1) made it append-only or immutable. */
static int open_file(struct mbox *m, struct why *why_r)
{
	m->read_only = 0;
	m->fd = openat(m->dir_fd, m->name, O_RDWR | OPEN_FLAGS);
	if (m->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		m->read_only = errno;
		m->fd = openat(m->dir_fd, m->name, O_RDONLY | OPEN_FLAGS);
	}
	if (m->fd >= 0 || errno == ENOENT)
		return 0;
	if (errno == ELOOP)
		return why_set(why_r, REASON_MAILDROP_DENIED, ELOOP, "%s is a symbolic link, which is not followed", m->path);
	return why_errno(why_r, errno, "open %s", m->path);
}

/*
 * On a network file system another host's programs may write without seeing our locks, and what is on the
 * disk is the server's secret: nothing that is promised of an mbox would be true.
 */
static int check_file_system(const struct mbox *m, struct why *why_r)
{
	const char *name;
	if (m->drop.options.network_mbox)
		return 0;
	if (network_file_system(m->fd, &name) != 0)
		return why_errno(why_r, errno, "statfs %s", m->path);
	if (name != NULL)
		return why_set(why_r, REASON_MAILDROP_BROKEN, 0, "%s is on %s, where an mbox is not safe; use Maildir there, or set "
		               "network_mbox = yes", m->path, name);
	return 0;
}

static int check_file(struct mbox *m, struct why *why_r)
{
	if (fstat(m->fd, &m->scanned) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	if (!S_ISREG(m->scanned.st_mode))
		return why_set(why_r, REASON_MAILDROP_BROKEN, 0, "%s is not a regular file", m->path);
	if (check_file_system(m, why_r) != 0)
		return -1;
	if (m->scanned.st_uid != m->drop.options.owner)
		return why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s belongs to uid %ju, not to uid %ju", m->path,
		               (uintmax_t)m->scanned.st_uid, (uintmax_t)m->drop.options.owner);
	/* A second name could be one in a directory where another user may put links. */
	if (m->scanned.st_nlink > 1)
		return why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s has %ju names (hard links), and may have one", m->path,
		               (uintmax_t)m->scanned.st_nlink);
	return 0;
}

static void close_file(struct mbox *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	m->fd = -1;
}

/*
 * Open and lock one and the same file. Afterwards fd is -1 when there is nothing to read. A file of no octets in which there was mail at the last
 * login may be one that another program has cut and is about to write anew, under its lock.
 */
static int open_locked(struct mbox *m, struct why *why_r)
{
	const bool write = m->journal.state == JOURNAL_WHOLE;
	for (size_t round = 0; round < REOPEN_MAX; round++) {
		if (open_file(m, why_r) != 0) {
			/* A sandbox knows the file, not its name: one that was put in its place is for the next login. */
			if (round > 0 && why_r->err == EACCES)
				return why_set(why_r, REASON_MAILDROP_CHANGED, 0, "another program replaced %s", m->path);
			return -1;
		}
		if (m->fd < 0)
			return 0;
		if (check_file(m, why_r) != 0)
			return -1;
		if (write && m->read_only != 0)
			return why_errno(why_r, m->read_only, "open %s to finish an interrupted update", m->path);
		if (m->scanned.st_size == 0 && index_state(&m->index) == NULL) {
			close_file(m);
			return 0;
		}
		if (host_lock_take(&m->locks, m->fd, write, why_r) == 0)
			return 0;
		close_file(m);
		if (why_r->reason != REASON_MAILDROP_CHANGED)
			return -1;
	}
	return -1;
}

void mbox_notice(const struct mbox *m, enum notice weight, const char *what)
{
	char text[WHY_TEXT_MAX + PATH_MAX];
	if (m->drop.options.notice == NULL)
		return;
	(void)snprintf(text, sizeof text, "%s: %s", m->path, what);
	m->drop.options.notice(m->drop.options.context, weight, text);
}

/* An empty mailbox, or the file system that it is on is not mounted. */
static int check_mounted(const struct mbox *m, struct why *why_r)
{
	const struct maildrop_trace trace = index_trace(&m->index);
	return maildrop_check_mounted(m->path, &trace, why_r);
}

static int no_directory(const struct mbox *m, struct why *why_r)
{
	if (m->journal.state == JOURNAL_WHOLE)
		return mbox_not_mounted(m, why_r);
	return check_mounted(m, why_r);
}

static int scan(struct mbox *m, struct why *why_r)
{
	index_begin(&m->index, &m->drop.options, m->path);
	if (journal_read(&m->journal, m->drop.options.journal, why_r) != 0)
		return -1;
	if (m->dir_fd < 0)
		return no_directory(m, why_r);
	if (host_lock_init(&m->locks, &m->drop.options, m->path, m->dir_fd, m->name, why_r) != 0 ||
	    open_locked(m, why_r) != 0)
		return -1;
	int r = mbox_recover(m, why_r);
	if (m->fd < 0)
		return r == 0 ? check_mounted(m, why_r) : r;
	/* Again, now that nobody else writes: mail may have come while we waited for the locks. */
	if (r == 0 && fstat(m->fd, &m->scanned) != 0)
		r = why_errno(why_r, errno, "stat %s", m->path);
	if (r == 0)
		r = mbox_list(m, why_r);
	host_lock_release(&m->locks);
	if (r == 0 && m->scanned.st_size == 0) {
		index_drop(&m->index);
		close_file(m);
	}
	return r;
}

static void mbox_close(struct maildrop *drop)
{
	struct mbox *m = mbox_of(drop);
	close_file(m);
	if (m->dir_fd >= 0)
		(void)close(m->dir_fd);
	image_free(&m->drop.image);
	free(m->gone);
	free(m->path);
	free(m);
}

static int mbox_open(const struct maildrop_place *place, const struct maildrop_options *options,
                     struct maildrop **drop_r, struct why *why_r)
{
	struct mbox *m = aligned_alloc(_Alignof(struct mbox), sizeof *m);
	if (m == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "open %s", place->path);
	memset(m, 0, sizeof *m);
	m->drop.format = &mbox_format;
	m->drop.options = *options;
	m->dir_fd = m->fd = -1;
	m->path = strdup(place->path);
	if (m->path == NULL) {
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "open %s", place->path);
		goto fail;
	}
	if (open_parent(m, why_r) != 0 || scan(m, why_r) != 0)
		goto fail;
	*drop_r = &m->drop; /* the first member: freed as what it is part of, which gcc 12's analyzer does not see */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
	return 0;
#pragma GCC diagnostic pop
fail:
	mbox_close(&m->drop);
	return -1;
}

/* ---- one message ---- */

int mbox_read(struct mbox *m, uint64_t from, uint64_t to, char *buffer, mbox_take *take, void *context, struct why *why_r)
{
	while (from < to) {
		ssize_t n = io_read_at(m->fd, buffer, to - from < MBOX_BUFFER ? (size_t)(to - from) : MBOX_BUFFER, from);
		if (n < 0)
			return why_errno(why_r, errno, "read %s", m->path);
		if (n == 0)
			return why_set(why_r, REASON_MAILDROP_CHANGED, ESTALE, "%s became shorter", m->path);
		if (take(context, buffer, (size_t)n, from, why_r) != 0 || host_lock_refresh(&m->locks, why_r) != 0)
			return -1;
		from += (uint64_t)n;
	}
	return 0;
}

/* A message on its way through mbox_verify(). */
struct verification {
	struct digest_state digest;
	uint64_t end;
	mbox_take *take;
	void *context;
};

static int verify_piece(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct verification *v = context;
	if (at < v->end)
		digest_add(&v->digest, octets, v->end - at < len ? (size_t)(v->end - at) : len);
	return v->take != NULL ? v->take(v->context, octets, len, at, why_r) : 0;
}

int mbox_verify(struct mbox *m, size_t idx, char *buffer, mbox_take *take, void *context, struct why *why_r)
{
	const struct mbox_message *message = &m->messages[idx];
	struct verification v = { .end = mbox_end(m, idx), .take = take, .context = context };
	digest_begin(&v.digest, 0);
	if (mbox_read(m, message->start, take != NULL ? mbox_next(m, idx) : v.end, buffer, verify_piece, &v, why_r) != 0) {
		if (why_r->reason != REASON_MAILDROP_CHANGED)
			return -1;
	} else {
		const struct digest now = digest_so_far(&v.digest);
		if (now.low == message->digest && (uint32_t)now.high == message->digest_high)
			return 0;
	}
	return why_set(why_r, REASON_MESSAGE_CHANGED, 0, "another program changed %s at octet %ju", m->path,
	               (uintmax_t)message->start);
}

bool mbox_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_as_scanned(const struct mbox *m, const struct stat *now)
{
	return !m->fresh && now->st_size == m->scanned.st_size && mbox_same_time(&now->st_mtim, &m->scanned.st_mtim) &&
		mbox_same_time(&now->st_ctim, &m->scanned.st_ctim);
}

/* The list leads out of the file: the index was none. */
static int misled(struct mbox *m, struct why *why_r)
{
	index_drop(&m->index);
	return why_set(why_r, REASON_MESSAGE_CHANGED, 0, "the index of %s was damaged: it is dropped, and the next login reads the mailbox", m->path);
}

/* Was the file written to since the scan? Then only the digest tells whether this message was touched. */
static int check_message(struct mbox *m, size_t idx, const struct stat *now, struct why *why_r)
{
	if (!mbox_is_placed(m, idx))
		return misled(m, why_r);
	if (is_as_scanned(m, now))
		return 0;
	struct why ignored;
	char *buffer = malloc(MBOX_BUFFER);
	if (buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "read %s", m->path);
	/* As it should be it is even without the locks; else somebody may be at it just now. */
	int r = mbox_verify(m, idx, buffer, NULL, NULL, why_r);
	if (r != 0 && host_lock_take(&m->locks, m->fd, false, why_r) == 0) {
		r = mbox_verify(m, idx, buffer, NULL, NULL, why_r);
		if (r != 0 && why_r->reason == REASON_MESSAGE_CHANGED && m->sampled && mbox_list_again(m, &ignored) == 0)
			r = 0;
		host_lock_release(&m->locks);
	}
	free(buffer);
	return r;
}

static int mbox_fetch(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r)
{
	struct mbox *m = mbox_of(drop);
	struct stat st;
	int r = -1;
	/* A descriptor of its own: whoever gets it could let go of the locks on ours. */
	int fd = openat(m->dir_fd, m->name, O_RDONLY | OPEN_FLAGS);
	if (fd < 0 && errno == ENOENT) {
		(void)why_set(why_r, REASON_MESSAGE_GONE, 0, "another program removed %s", m->path);
		goto out;
	}
	int err = errno;
	/* In a sandbox a file that was put in its place cannot be opened, but looked at. */
	if (fd >= 0 ? fstat(fd, &st) != 0 : err != EACCES || fstatat(m->dir_fd, m->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		(void)why_errno(why_r, fd >= 0 ? errno : err, "open %s", m->path);
		goto out;
	}
	if (st.st_dev != m->scanned.st_dev || st.st_ino != m->scanned.st_ino) {
		(void)why_set(why_r, REASON_MESSAGE_CHANGED, 0, "another program replaced %s", m->path);
		goto out;
	}
	if (fd < 0) {
		(void)why_errno(why_r, err, "open %s", m->path);
		goto out;
	}
	if (check_message(m, idx, &st, why_r) != 0)
		goto out;
	const struct mbox_message *message = &m->messages[idx];
	/*
	 * Never as_stored: sendfile(2) hands over the pages of the file, and what a client has not taken when UPDATE writes over them
	 * it would get as it is then: octets of other messages. A Maildir's file is not written to.
	 */
	*body_r = (struct message_body){ .fd = fd, .offset = message->start + message->body, .length = mbox_end(m, idx) - message->start - message->body,
	                                 .file_size = (uint64_t)st.st_size, .modified = st.st_mtim };
	fd = -1;
	r = 0;
out:
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* A file that was put in its place takes the name from ours, which changes its ctime. */
static int mbox_read_message(struct maildrop *drop, size_t idx, char *to, size_t room, size_t *len_r)
{
	const struct mbox *m = mbox_of(drop);
	const struct mbox_message *message = &m->messages[idx];
	const size_t len = (size_t)(mbox_end(m, idx) - message->start - message->body);
	struct stat st;
	if (m->fresh || !mbox_is_placed(m, idx) || len > room)
		return -1;
	*len_r = len;
	if (io_read_at(m->fd, to, len, message->start + message->body) == (ssize_t)len && fstat(m->fd, &st) == 0 && is_as_scanned(m, &st))
		return 0;
	explicit_bzero(to, len);
	return -1;
}

const struct format mbox_format = {
	.open = mbox_open,
	.fetch = mbox_fetch,
	.read = mbox_read_message,
	.update = mbox_update,
	.close = mbox_close,
};
