/*
 * restore.c - puts mail from a journal that was set aside back into its mbox.
 * Runs in: `postern recover`, as the mail's owner. Trusts: nothing in the maildrop or the journal.
 */
#include "storage/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/mbox.h"

/* The mbox, and where the next octet goes. */
struct restore {
	struct mbox *m;
	uint64_t end;
};

/* One row of a list that is searched for messages. */
struct row {
	const struct mbox_message *message;
	uint32_t rank;    /* among equal ones, from 1: what number an index gave them is not in the mail */
};

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = memcmp(x->message->uidl, y->message->uidl, sizeof x->message->uidl);
	return order != 0 ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

/* The messages of m in the order of compare(): to be freed. NULL: no memory. */
static struct row *make_index(const struct mbox *m)
{
	struct row *index = calloc(m->drop.count + 1, sizeof *index);
	if (index == NULL)
		return NULL;
	for (size_t i = 0; i < m->drop.count; i++)
		index[i].message = &m->messages[i];
	qsort(index, m->drop.count, sizeof *index, compare);
	for (size_t i = 0; i < m->drop.count; i++) {
		const bool equal = i > 0 && memcmp(index[i].message->uidl, index[i - 1].message->uidl, sizeof index[i].message->uidl) == 0;
		index[i].rank = equal ? index[i - 1].rank + 1 : 1;
	}
	return index;
}

static int put(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct restore *r = context;
	(void)at;
	if (io_write_at(r->m->fd, octets, len, r->end) != 0)
		return why_errno(why_r, errno, "write to %s", r->m->path);
	r->end += len;
	return 0;
}

/* Line ends until there is a blank line before the next message. */
static int end_with_blank_line(struct restore *r, struct why *why_r)
{
	char last[2] = "\n\n";
	size_t n = r->end < sizeof last ? (size_t)r->end : sizeof last;
	if (io_read_at(r->m->fd, last + sizeof last - n, n, r->end - n) != (ssize_t)n)
		return why_errno(why_r, errno, "read %s", r->m->path);
	/* After CRLF one more line end makes a blank line, too. */
	size_t want = last[1] != '\n' ? 2 : last[0] != '\n' ? 1 : 0;
	return put(r, "\n\n", want, 0, why_r);
}

static int append_missing(struct restore *r, struct mbox *kept, char *buffer, size_t *appended_r, struct why *why_r)
{
	struct row *index = make_index(r->m);
	int failed = 0;
	if (index == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	for (size_t i = 0; failed == 0 && i < kept->drop.count; i++) {
		const struct row row = { &kept->messages[i], kept->messages[i].copy };
		if (bsearch(&row, index, r->m->drop.count, sizeof *index, compare) != NULL)
			continue;
		failed = end_with_blank_line(r, why_r);
		if (failed == 0)
			failed = mbox_read(kept, row.message->start, mbox_next(kept, i), buffer, put, r, why_r);
		++*appended_r;
	}
	if (failed == 0 && *appended_r > 0)
		failed = end_with_blank_line(r, why_r);
	free(index);
	return failed;
}

static int append_locked(struct mbox *m, struct mbox *kept, char *buffer, size_t *appended_r, struct why *why_r)
{
	struct restore r = { .m = m };
	struct stat st;
	if (host_lock_take(&m->locks, m->fd, true, why_r) != 0)
		return -1;
	int failed = fstat(m->fd, &st) != 0 ? why_errno(why_r, errno, "stat %s", m->path) : 0;
	if (failed == 0) {
		r.end = (uint64_t)st.st_size;
		failed = append_missing(&r, kept, buffer, appended_r, why_r);
		if (failed == 0 && fsync(m->fd) != 0)
			failed = why_errno(why_r, errno, "write to %s", m->path);
		if (failed != 0 && (ftruncate(m->fd, st.st_size) != 0 || fsync(m->fd) != 0))
			mbox_notice(m, NOTICE_CRITICAL, "messages that were put back in part could not be taken out again");
	}
	host_lock_release(&m->locks);
	return failed;
}

/* An mbox that is gone or empty is not open: it is needed now. */
static int open_for_writing(struct mbox *m, struct why *why_r)
{
	if (m->fd < 0)
		m->fd = openat(m->dir_fd, m->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	else if (m->read_only != 0)
		return why_errno(why_r, m->read_only, "open %s for writing", m->path);
	return m->fd < 0 ? why_errno(why_r, errno, "open or make %s", m->path) : 0;
}

int mbox_put_back(struct maildrop *drop, int kept, size_t *appended_r, struct why *why_r)
{
	struct mbox *m = mbox_of(drop);
	struct stat st;
	char name[] = "the journal";
	struct mbox *text = aligned_alloc(_Alignof(struct mbox), sizeof *text);
	char *buffer = malloc(MBOX_BUFFER);
	int r = -1;
	*appended_r = 0;
	if (text == NULL || buffer == NULL) {
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "put mail back into %s", m->path);
	} else {
		memset(text, 0, sizeof *text);
		text->fd = kept;
		text->path = name;
		text->locks.options = &text->drop.options;
		if (fstat(kept, &st) != 0)
			(void)why_errno(why_r, errno, "stat %s", name);
		else if (open_for_writing(m, why_r) == 0 && mbox_parse(text, (uint64_t)st.st_size, why_r) == 0)
			r = append_locked(m, text, buffer, appended_r, why_r);
		image_free(&text->drop.image);
	}
	free(text);
	free(buffer);
	return r;
}
