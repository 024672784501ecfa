/*
 * restore.c - puts mail from a journal that was set aside back into its mbox.
 * Runs in: `postern recover`, as the mail's owner. Trusts: nothing in the maildrop or the journal.
 *
 * What is put back is in the mbox's own journal before it is in the mbox, so that whoever is killed meanwhile leaves no half of a message.
 */
#include "storage/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/mbox_rewrite.h"

/* An mbox that mail is put back into. */
struct restore {
	struct mbox *m;
	struct mbox *there, *kept;  /* its messages, and those of the text */
	struct mbox *ended;         /* those of the text with the line end that it lacks; NULL: it has it */
	char *buffer;               /* MBOX_BUFFER octets */
	char last[3];               /* the octets before the next one; line ends where there are none */
	size_t appended;
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

/* ---- what is missing, into the journal ---- */

static int put(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct restore *r = context;
	for (size_t i = len < sizeof r->last ? 0 : len - sizeof r->last; i < len; i++) {
		r->last[0] = r->last[1];
		r->last[1] = r->last[2];
		r->last[2] = octets[i];
	}
	return mbox_take_to_edge(r->m, octets, len, at, why_r);
}

/* Line ends until there is a blank line before the next message. It may end in CRLF; behind another line, whatever its end, LF is one. */
static int end_with_blank_line(struct restore *r, struct why *why_r)
{
	const char *last = r->last;
	int failed = 0;
	while (failed == 0 && !(last[2] == '\n' && (last[1] == '\n' || (last[1] == '\r' && last[0] == '\n'))))
		failed = put(r, "\n", 1, 0, why_r);
	return failed;
}

static bool has(const struct mbox *there, const struct row *index, const struct mbox_message *message)
{
	const struct row row = { message, message->copy };
	return bsearch(&row, index, there->drop.count, sizeof *index, compare) != NULL;
}

/* Is it there, as it is or as it was put back or made a line of by who appended to it: with a line end? */
static bool is_there(const struct restore *r, const struct row *index, size_t idx)
{
	const size_t count = r->kept->drop.count;
	return has(r->there, index, &r->kept->messages[idx]) ||
	       (r->ended != NULL && idx + 1 == count && r->ended->drop.count == count && has(r->there, index, &r->ended->messages[idx]));
}

static int put_missing(struct restore *r, struct why *why_r)
{
	struct mbox *kept = r->kept;
	struct row *index = make_index(r->there);
	int failed = 0;
	if (index == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	for (size_t i = 0; failed == 0 && i < kept->drop.count; i++) {
		if (is_there(r, index, i))
			continue;
		failed = end_with_blank_line(r, why_r);
		if (failed == 0)
			failed = mbox_read(kept, kept->messages[i].start, mbox_next(kept, i), r->buffer, put, r, why_r);
		r->appended++;
	}
	if (failed == 0 && r->appended > 0)
		failed = end_with_blank_line(r, why_r);
	free(index);
	return failed;
}

/* ---- two texts ---- */

static void close_text(struct mbox *text)
{
	if (text != NULL)
		image_free(&text->drop.image);
	free(text);
}

/*
 * The messages in the file, by what is in it alone: neither an index, which may be wrong where nobody looked, nor numbers that clients were told
 * make a message another. To be closed; NULL and *why_r.
 */
static struct mbox *open_text(int fd, char *path, const struct host_locks *locks, uint64_t size, struct why *why_r)
{
	struct mbox *text = aligned_alloc(_Alignof(struct mbox), sizeof *text);
	if (text == NULL) {
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "read %s", path);
		return NULL;
	}
	memset(text, 0, sizeof *text);
	text->fd = fd;
	text->path = path;
	text->locks = *locks;
	if (mbox_parse(text, size, why_r) == 0)
		return text;
	close_text(text);
	return NULL;
}

/* The text to put back. 0, or -1 and *why_r. */
static int open_kept(struct restore *r, int kept, char *path, struct why *why_r)
{
	static const struct host_locks none = { .held = 0 };
	struct stat st;
	char last = '\n';
	if (fstat(kept, &st) != 0)
		return why_errno(why_r, errno, "stat %s", path);
	if (st.st_size > 0 && io_read_at(kept, &last, 1, (uint64_t)st.st_size - 1) != 1)
		return why_errno(why_r, errno, "read %s", path);
	r->kept = open_text(kept, path, &none, (uint64_t)st.st_size, why_r);
	if (r->kept == NULL || last == '\n')
		return r->kept != NULL ? 0 : -1;
	if (io_write_at(kept, "\n", 1, (uint64_t)st.st_size) != 0)
		return why_errno(why_r, errno, "write %s", path);
	r->ended = open_text(kept, path, &none, (uint64_t)st.st_size + 1, why_r);
	return r->ended != NULL ? 0 : -1;
}

/* ---- the mbox ---- */

static int append_missing(struct restore *r, struct why *why_r)
{
	struct mbox *m = r->m;
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	struct journal_plan plan = { .dev = st.st_dev, .ino = st.st_ino, .cut = (uint64_t)st.st_size };
	const size_t n = plan.cut < sizeof r->last ? (size_t)plan.cut : sizeof r->last;
	memset(r->last, '\n', sizeof r->last);
	if (io_read_at(m->fd, r->last + sizeof r->last - n, n, plan.cut - n) != (ssize_t)n)
		return why_errno(why_r, errno, "read %s", m->path);
	r->there = open_text(m->fd, m->path, &m->locks, plan.cut, why_r);
	if (r->there == NULL)
		return -1;
	randombytes_buf(&plan.seed, sizeof plan.seed);
	journal_begin(&m->journal, m->path, plan.seed);
	const int failed = put_missing(r, why_r);
	if (failed == 0 && r->appended > 0)
		return mbox_append(m, &plan, r->buffer, why_r);
	/* Also where all is there: what a run put back that could not empty it is not to be cut off any more. */
	struct why ignored;
	return journal_clear(&m->journal, failed == 0 ? why_r : &ignored) == 0 ? failed : -1;
}

static int append_locked(struct restore *r, struct why *why_r)
{
	struct mbox *m = r->m;
	int result = -1;
	if (host_lock_take(&m->locks, m->fd, true, why_r) != 0)
		return -1;
	if (mbox_ready_journal(m, why_r) == 0)
		result = append_missing(r, why_r);
	host_lock_release(&m->locks);
	return result;
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
	struct restore r = { .m = mbox_of(drop), .buffer = malloc(MBOX_BUFFER) };
	char name[] = "the journal";
	int result = -1;
	*appended_r = 0;
	if (r.buffer == NULL)
		(void)why_set(why_r, REASON_NO_MEMORY, ENOMEM, "put mail back into %s", r.m->path);
	else if (open_for_writing(r.m, why_r) == 0 && open_kept(&r, kept, name, why_r) == 0)
		result = append_locked(&r, why_r);
	if (result == 0)
		*appended_r = r.appended;
	close_text(r.there);
	close_text(r.kept);
	close_text(r.ended);
	free(r.buffer);
	return result;
}
