/*
 * maildir_told.c - the unique-ids that another server told of a Maildir's messages: from its list of them.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * Only new messages are looked for: whoever was told a unique-id keeps it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "storage/maildir.h"
#include "storage/told_list.h"

enum {
	CLOCKS_DIFFER = 24 * 3600,  /* seconds by which a name's time may be ahead of the list's */
};

struct told_list {
	struct maildir *m;
	const struct told_reader *reader;
	const char *name;
	int fd;
	uint64_t line;              /* counted from 1 */
	struct told_so_far so_far;
};

struct span span_word(struct span *rest)
{
	const char *space = rest->len > 0 ? memchr(rest->p, ' ', rest->len) : NULL;
	const struct span w = { rest->p, space != NULL ? (size_t)(space - rest->p) : rest->len };
	const size_t taken = w.len + (space != NULL);
	rest->p += taken;
	rest->len -= taken;
	return w;
}

static int broken(const struct told_list *l, struct why *why_r)
{
	return why_set(why_r, REASON_MAILDROP_BROKEN, 0, "%s/%s line %ju is not as %s writes it; put the file back, or remove it: then mail programs "
	               "fetch again what they have", l->m->path, l->name, (uintmax_t)l->line, l->reader->server);
}

/* A message that was told to nobody from here, of that base name. */
static struct maildir_entry *find_new(const struct maildir *m, const char *base, size_t len)
{
	struct maildir_entry *e = NULL;
	while ((e = maildir_find(m, base, len, e)) != NULL)
		if (e->record == 0 && e->state == ENTRY_READY && !e->twin)
			return e;
	return NULL;
}

/* A file that went and came back is there twice: the later line is what clients were told last. */
static int give(const struct told_list *l, const struct told_message *message, struct why *why_r)
{
	struct maildir *m = l->m;
	struct maildir_entry *e = find_new(m, message->file.p, maildir_base_length(message->file.p, message->file.len));
	struct span told = message->uidl;
	char made[UIDL_MAX];
	if (e == NULL)
		return 0;
	if (told.len == 0)
		told = (struct span){ made, told_uidl(message->format, message->uid, message->validity, made) };
	if (told.len > e->uidl_len) {
		if (maildir_names_room(m, told.len, why_r) != 0)
			return -1;
		e->uidl = (uint32_t)m->names_len;
		m->names_len += told.len;
	}
	memcpy(m->names + e->uidl, told.p, told.len);
	e->uidl_len = (uint8_t)told.len;
	return 0;
}

static int read_line(struct told_list *l, struct span line, struct why *why_r)
{
	struct told_message message = { .format = l->m->drop.options.told.format };
	const int found = l->line == 1 ? l->reader->head(&l->so_far, line) : l->reader->message(&l->so_far, line, &message);
	return found < 0 ? broken(l, why_r) : found > 0 ? give(l, &message, why_r) : 0;
}

/* The whole lines among len octets; how many octets those are. What the server was writing when it died has no end, and counts as not there. */
static int read_lines(struct told_list *l, const char *text, size_t len, size_t *taken_r, struct why *why_r)
{
	const char *lf;
	int r = 0;
	*taken_r = 0;
	while (r == 0 && (lf = memchr(text + *taken_r, '\n', len - *taken_r)) != NULL) {
		const struct span line = { text + *taken_r, (size_t)(lf - text) - *taken_r };
		l->line++;
		r = read_line(l, line, why_r);
		*taken_r += line.len + 1;
	}
	return r;
}

static int read_list(struct told_list *l, struct why *why_r)
{
	char *buffer = l->m->buffer;
	uint64_t offset = 0;
	size_t taken;
	ssize_t n;
	do {
		n = io_read_at(l->fd, buffer, MAILDIR_BUFFER, offset);
		if (n < 0)
			return why_errno(why_r, errno, "read %s/%s", l->m->path, l->name);
		if (read_lines(l, buffer, (size_t)n, &taken, why_r) != 0)
			return -1;
		offset += taken;
	} while (n == MAILDIR_BUFFER && taken > 0);
	/* One that has no first line, or a line as long as the buffer. */
	l->line++;
	return l->line > 1 && n < MAILDIR_BUFFER ? 0 : broken(l, why_r);
}

/* Can one of the messages be in a list that was last written then? Mail programs put the time into a file's name. */
static bool may_have_new(const struct maildir *m, time_t written)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct maildir_entry *e = &m->entries[i];
		if (e->record == 0 && e->state == ENTRY_READY && e->delivered <= (uint64_t)written + CLOCKS_DIFFER)
			return true;
	}
	return false;
}

int maildir_take_told_ids(struct maildir *m, struct why *why_r)
{
	static const struct told_reader *const readers[] = { [TOLD_BY_DOVECOT] = &told_dovecot, [TOLD_BY_COURIER] = &told_courier };
	const enum told_by by = m->drop.options.told.by;
	struct stat st;
	if (by == TOLD_BY_NOBODY || m->top_fd < 0)
		return 0;
	struct told_list l = { .m = m, .reader = readers[by], .name = told_list_name(by) };
	l.fd = openat(m->top_fd, l.name, MAILDIR_OPEN_FLAGS);
	if (l.fd < 0)
		return errno == ENOENT ? maildir_part_ids(m, why_r) : why_errno(why_r, errno, "open %s/%s", m->path, l.name);
	int r = 0;
	if (fstat(l.fd, &st) != 0)
		r = why_errno(why_r, errno, "stat %s/%s", m->path, l.name);
	else if (!S_ISREG(st.st_mode) || st.st_uid != m->drop.options.owner)
		r = why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s/%s is no file of uid %ju", m->path, l.name, (uintmax_t)m->drop.options.owner);
	else if (may_have_new(m, st.st_mtime))
		r = read_list(&l, why_r);
	(void)close(l.fd);
	return r == 0 ? maildir_part_ids(m, why_r) : r;
}
