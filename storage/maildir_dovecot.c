/*
 * maildir_dovecot.c - the unique-ids that Dovecot gave a Maildir's messages: from its dovecot-uidlist.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 *   3 V1796030837 N5 G8e0a590a...           version, UIDVALIDITY, the next UID
 *   4 W1394 S1355 :1276528487.M364837P9     UID, what else is known (P: the unique-id for POP3, where it is another), the file
 *
 * Version 1 has "1 UIDVALIDITY NEXT" and "UID FILE". UIDs rise from line to line. Only new messages are looked for: whoever was
 * told a unique-id keeps it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"
#include "storage/dovecot_ids.h"
#include "storage/maildir.h"

enum {
	CLOCKS_DIFFER = 24 * 3600,  /* seconds by which a name's time may be ahead of the list's */
};

struct uidlist {
	struct maildir *m;
	int fd;
	uint64_t line;              /* counted from 1 */
	uint64_t version, validity, uid;
};

/* What is left of a line. */
struct rest {
	const char *p;
	size_t len;
};

/* The next word; empty at the end. */
static struct rest word(struct rest *rest)
{
	const char *space = memchr(rest->p, ' ', rest->len);
	const struct rest w = { rest->p, space != NULL ? (size_t)(space - rest->p) : rest->len };
	const size_t taken = w.len + (space != NULL);
	rest->p += taken;
	rest->len -= taken;
	return w;
}

static int broken(const struct uidlist *l, struct why *why_r)
{
	return why_set(why_r, REASON_MAILDROP_BROKEN, 0, "%s/" MAILDROP_DOVECOT_LIST " line %ju is not as Dovecot writes it; put the file back, or remove "
	               "it: then mail programs fetch again what they have", l->m->path, (uintmax_t)l->line);
}

static int read_head(struct uidlist *l, struct rest rest, struct why *why_r)
{
	const struct rest version = word(&rest);
	bool has_validity = false;
	if (parse_number(version.p, version.len, 1, 3, &l->version) != 0 || l->version == 2)
		return broken(l, why_r);
	while (!has_validity && rest.len > 0) {
		const struct rest w = word(&rest);
		const size_t letter = l->version > 1;
		has_validity = w.len > letter && (letter == 0 || w.p[0] == 'V') && parse_number(w.p + letter, w.len - letter, 1, UINT32_MAX, &l->validity) == 0;
	}
	return has_validity ? 0 : broken(l, why_r);
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

/* A file that went and came back is there twice: the later number is the one that clients were told last. */
static int give(struct uidlist *l, struct maildir_entry *e, struct rest told, struct why *why_r)
{
	struct maildir *m = l->m;
	char made[LIST_UIDL_TEXT];
	if (told.len == 0) {
		dovecot_uidl((uint32_t)l->uid, (uint32_t)l->validity, made);
		told = (struct rest){ made, sizeof made };
	}
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

static int read_message(struct uidlist *l, struct rest rest, struct why *why_r)
{
	const struct rest number = word(&rest);
	struct rest told = { NULL, 0 };
	if (parse_number(number.p, number.len, l->uid + 1, UINT32_MAX, &l->uid) != 0)
		return broken(l, why_r);
	while (l->version > 1 && rest.len > 0 && rest.p[0] != ':') {
		const struct rest w = word(&rest);
		if (w.len > 1 && w.p[0] == 'P' && maildir_can_be_uidl(w.p + 1, w.len - 1))
			told = (struct rest){ w.p + 1, w.len - 1 };
	}
	if (l->version > 1 && rest.len > 0) {
		rest.p++;
		rest.len--;
	}
	if (rest.len == 0)
		return broken(l, why_r);
	struct maildir_entry *e = find_new(l->m, rest.p, maildir_base_length(rest.p, rest.len));
	return e != NULL ? give(l, e, told, why_r) : 0;
}

/* The whole lines among len octets; how many octets those are. What Dovecot was writing when it died has no end, and counts as not there. */
static int read_lines(struct uidlist *l, const char *text, size_t len, size_t *taken_r, struct why *why_r)
{
	const char *lf;
	int r = 0;
	*taken_r = 0;
	while (r == 0 && (lf = memchr(text + *taken_r, '\n', len - *taken_r)) != NULL) {
		const struct rest line = { text + *taken_r, (size_t)(lf - text) - *taken_r };
		l->line++;
		r = l->line == 1 ? read_head(l, line, why_r) : read_message(l, line, why_r);
		*taken_r += line.len + 1;
	}
	return r;
}

static int read_list(struct uidlist *l, struct why *why_r)
{
	char *buffer = l->m->buffer;
	uint64_t offset = 0;
	for (;;) {
		size_t taken;
		const ssize_t n = io_read_at(l->fd, buffer, MAILDIR_BUFFER, offset);
		if (n < 0)
			return why_errno(why_r, errno, "read %s/" MAILDROP_DOVECOT_LIST, l->m->path);
		if (read_lines(l, buffer, (size_t)n, &taken, why_r) != 0)
			return -1;
		offset += taken;
		if (n < MAILDIR_BUFFER)
			break;
		if (taken == 0) {
			l->line++;
			return broken(l, why_r);
		}
	}
	l->line++;
	return l->line > 1 && l->version != 0 ? 0 : broken(l, why_r);
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

int maildir_take_dovecot_ids(struct maildir *m, struct why *why_r)
{
	struct uidlist l = { .m = m };
	struct stat st;
	if (!m->drop.options.dovecot_ids || m->top_fd < 0)
		return 0;
	l.fd = openat(m->top_fd, MAILDROP_DOVECOT_LIST, MAILDIR_OPEN_FLAGS);
	if (l.fd < 0)
		return errno == ENOENT ? maildir_part_ids(m, why_r) : why_errno(why_r, errno, "open %s/" MAILDROP_DOVECOT_LIST, m->path);
	int r = 0;
	if (fstat(l.fd, &st) != 0)
		r = why_errno(why_r, errno, "stat %s/" MAILDROP_DOVECOT_LIST, m->path);
	else if (!S_ISREG(st.st_mode) || st.st_uid != m->drop.options.owner)
		r = why_set(why_r, REASON_MAILDROP_DENIED, 0, "%s/" MAILDROP_DOVECOT_LIST " is no file of uid %ju", m->path, (uintmax_t)m->drop.options.owner);
	else if (may_have_new(m, st.st_mtime))
		r = read_list(&l, why_r);
	(void)close(l.fd);
	return r == 0 ? maildir_part_ids(m, why_r) : r;
}
