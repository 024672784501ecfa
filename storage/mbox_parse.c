/*
 * mbox_parse.c - finds the messages of an mbox, their sizes, unique-ids and digests, in one reading.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * A window of fixed size slides over the file; lines may have any length. At the
 * beginning of a line the window holds enough of it to tell what it is.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/number.h"
#include "base/wire.h"
#include "storage/mbox.h"

enum {
	LINE_PEEK = 8,        /* enough for "From " and for a blank line */
	FIELD_PEEK = 256,     /* enough for the names and values of header fields that matter here */
	MESSAGE_ID_MAX = 128, /* is in sight as a whole */
	MESSAGES_FIRST = 64,
};

static const char internal_from[] = "From MAILER-DAEMON";
static const char internal_subject[] = "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";

struct parser {
	struct mbox *m;
	uint64_t size;
	char *window;
	uint64_t base;            /* where in the file the window begins */
	size_t len;               /* octets in it */
	uint64_t pos;             /* the next octet to look at */
	/* the message that pos is in */
	bool in_message, in_header;
	bool blank;               /* the last line was blank: it may turn out to be the separator ... */
	uint64_t blank_at;        /* ... and then the message ends here */
	uint64_t fed;             /* octets of the message before this one are counted and in the digest */
	uint64_t protected_to;    /* a Content-Length that proved right: no From_ line before this */
	struct mbox_message now;
	struct wire wire;
	struct digest_state digest;
	crypto_generichash_state uidl, text; /* of the From_ line and what stays of the header; of the text behind */
	/* its header */
	bool skip_field;          /* in a field that the unique-id does not depend on */
	bool has_length, bad_length;
	uint64_t content_length;
	uint32_t message_id;      /* folded; 0: none */
	uint64_t uid;             /* another server's number; 0: none */
	uint64_t highest;         /* of those before */
	size_t numbered;          /* messages from here on that may have one */
	bool from_internal, internal;
};

/* ---- the window ---- */

static const char *at(const struct parser *p, uint64_t offset)
{
	return p->window + (offset - p->base);
}

static size_t in_sight(const struct parser *p)
{
	return (size_t)(p->base + p->len - p->pos);
}

static bool sees_end(const struct parser *p)
{
	return p->base + p->len == p->size;
}

/* Count and digest the message up to `to`. */
static void feed(struct parser *p, uint64_t to)
{
	if (to <= p->fed)
		return;
	size_t n = (size_t)(to - p->fed);
	const char *from = at(p, p->fed);
	wire_count(&p->wire, from, n);
	digest_add(&p->digest, from, n);
	if (!p->in_header)
		(void)crypto_generichash_update(&p->text, (const unsigned char *)from, n);
	p->fed = to;
}

/* Make `want` octets visible at pos, or all that are left. */
static int look_ahead(struct parser *p, size_t want, struct why *why_r)
{
	if (in_sight(p) >= want || sees_end(p))
		return 0;
	uint64_t from = p->pos;
	if (p->in_message) {
		feed(p, p->blank ? p->blank_at : p->pos);
		from = p->fed;
	}
	uint64_t left = p->size - from;
	size_t n = left < MBOX_BUFFER ? (size_t)left : MBOX_BUFFER;
	ssize_t got = io_read_at(p->m->fd, p->window, n, from);
	if (got < 0)
		return why_errno(why_r, errno, "read %s", p->m->path);
	if ((size_t)got < n)
		return why_set(why_r, REASON_MAILDROP_CHANGED, 0, "%s became shorter while it was read", p->m->path);
	p->base = from;
	p->len = n;
	return host_lock_refresh(&p->m->locks, why_r);
}

/* ---- messages ---- */

static int make_room(struct mbox *m, struct why *why_r)
{
	if (m->drop.count < m->room)
		return 0;
	size_t room = m->room == 0 ? MESSAGES_FIRST : 2 * m->room;
	void *octets = room <= UINT32_MAX / 2 ? realloc(m->drop.image.octets, sizeof(struct list_header) + room * sizeof *m->messages) : NULL;
	if (octets == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	m->drop.image.octets = octets;
	m->messages = mbox_messages(&m->drop.image);
	/* It is part of what m points to, which gcc 12's analyzer does not see. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
	m->room = room;
	return 0;
#pragma GCC diagnostic pop
}

/*
 * Where another server numbered the message, its unique-id is the one that it told. Anybody who sends mail can write such a field: only
 * the first messages have one from that server, up to where it numbered, each a higher one.
 */
static void take_number(struct parser *p)
{
	const struct mbox_numbers *numbers = &p->m->numbers;
	struct mbox_message told = p->now;
	p->now.copy = 1;
	if (p->numbered == 0 || p->uid <= p->highest || p->uid > numbers->last) {
		p->numbered = 0;
		return;
	}
	p->numbered--;
	p->highest = p->uid;
	char text[UIDL_MAX];
	(void)told_uidl(numbers->validity_first ? TOLD_VALIDITY_FIRST : TOLD_UID_FIRST, (uint32_t)p->uid, numbers->validity, text);
	memcpy(told.uidl, text, sizeof told.uidl);
	told.copy = 0;
	if (!mbox_is_gone(p->m, &told))
		p->now = told;
}

static int end_message(struct parser *p, struct why *why_r)
{
	struct mbox *m = p->m;
	unsigned char text[MBOX_UIDL];
	if (!p->in_message)
		return 0;
	uint64_t end = p->blank ? p->blank_at : p->pos;
	p->now.separator = (uint8_t)(p->pos - end);
	feed(p, end);
	p->in_message = false;
	if (p->internal) {
		m->internal = true;
		return 0;
	}
	if (make_room(m, why_r) != 0)
		return -1;
	(void)crypto_generichash_final(&p->text, text, sizeof text);
	(void)crypto_generichash_update(&p->uidl, text, sizeof text);
	const struct digest all = digest_so_far(&p->digest);
	p->now.digest = all.low;
	p->now.digest_high = (uint32_t)all.high;
	memcpy(&p->now.content, text, sizeof p->now.content);
	if (p->message_id != 0)
		p->now.content = p->message_id;
	(void)crypto_generichash_final(&p->uidl, p->now.uidl, sizeof p->now.uidl);
	p->now.octets = wire_count_end(&p->wire);
	take_number(p);
	m->messages[m->drop.count++] = p->now;
	m->next = p->pos;
	return 0;
}

static void begin_message(struct parser *p, size_t line)
{
	const char *from = at(p, p->pos);
	p->now = (struct mbox_message){ .start = p->pos, .body = (uint16_t)line };
	p->in_message = p->in_header = true;
	p->message_id = 0;
	p->uid = 0;
	p->blank = p->skip_field = p->has_length = p->bad_length = p->internal = false;
	p->wire = WIRE_START;
	digest_begin(&p->digest, 0);
	(void)crypto_generichash_init(&p->uidl, NULL, 0, MBOX_UIDL);
	(void)crypto_generichash_init(&p->text, NULL, 0, MBOX_UIDL);
	digest_add(&p->digest, from, line);
	(void)crypto_generichash_update(&p->uidl, (const unsigned char *)from, line);
	/* Mail programs put their own data into a first message that nobody sent. */
	p->from_internal = p->m->drop.count == 0 && !p->m->internal && line > sizeof internal_from - 1 &&
		memcmp(from, internal_from, sizeof internal_from - 1) == 0;
	p->pos += line;
	p->fed = p->protected_to = p->pos;
}

/* ---- header fields ---- */

struct value {
	const char *p;
	size_t len;
};

static void take_length(struct parser *p, struct value v)
{
	uint64_t length = 0;
	if (parse_number(v.p, v.len, 0, INT64_MAX, &length) != 0 || (p->has_length && length != p->content_length))
		p->bad_length = true;
	p->has_length = true;
	p->content_length = length;
}

static void take_subject(struct parser *p, struct value v)
{
	if (p->from_internal && v.len == sizeof internal_subject - 1 && memcmp(v.p, internal_subject, v.len) == 0)
		p->internal = true;
}

/* It came from somewhere: no sender has his mail hidden by its subject. */
static void take_received(struct parser *p, struct value v)
{
	(void)v;
	p->from_internal = p->internal = false;
}

/* It stays when a program adds other fields, or writes them anew. */
static void take_message_id(struct parser *p, struct value v)
{
	if (v.len > 0 && v.len <= MESSAGE_ID_MAX)
		p->message_id = (uint32_t)XXH3_64bits(v.p, v.len);
}

static void take_uid(struct parser *p, struct value v)
{
	(void)parse_number(v.p, v.len, 1, UINT32_MAX, &p->uid);
}

/* UIDVALIDITY and the last UID, perhaps with more behind them. Behind a message without a number it means nothing any more. */
static void take_numbers(struct parser *p, struct value v)
{
	struct mbox_numbers *numbers = &p->m->numbers;
	uint64_t validity, last;
	const char *space = memchr(v.p, ' ', v.len), *end = v.p + v.len;
	if (!p->m->take_numbers || numbers->validity != 0 || space == NULL)
		return;
	const char *behind = memchr(space + 1, ' ', (size_t)(end - space - 1));
	if (parse_number(v.p, (size_t)(space - v.p), 1, UINT32_MAX, &validity) == 0 &&
	    parse_number(space + 1, (size_t)((behind != NULL ? behind : end) - space - 1), 1, UINT32_MAX, &last) == 0) {
		numbers->validity = (uint32_t)validity;
		numbers->last = (uint32_t)last;
	}
}

/* Fields that mean something here, and those that mail programs rewrite: a unique-id must not depend on them. */
static const struct field {
	const char *name;
	bool rewritten;
	void (*take)(struct parser *p, struct value v);
} fields[] = {
	{ "Content-Length", true, take_length },
	{ "Lines", true, NULL },
	{ "Message-ID", false, take_message_id },
	{ "Received", false, take_received },
	{ "Status", true, NULL },
	{ "Subject", false, take_subject },
	{ "X-IMAP", true, take_numbers },
	{ "X-IMAPbase", true, take_numbers },
	{ "X-Keywords", true, NULL },
	{ "X-Status", true, NULL },
	{ "X-UID", true, take_uid },
	{ "X-UIDL", true, NULL },
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A header line begins at text: a continuation belongs to the field before it. */
static void read_field(struct parser *p, const char *text, size_t len)
{
	if (is_space(text[0]))
		return;
	p->skip_field = false;
	const char *lf = memchr(text, '\n', len);
	if (lf != NULL)
		len = (size_t)(lf - text);
	const char *colon = memchr(text, ':', len);
	if (colon == NULL)
		return;
	struct value v = { .p = colon + 1, .len = len - (size_t)(colon + 1 - text) };
	for (; v.len > 0 && is_space(v.p[0]); v.p++)
		v.len--;
	while (v.len > 0 && is_space(v.p[v.len - 1]))
		v.len--;
	size_t name_len = (size_t)(colon - text);
	while (name_len > 0 && is_space(text[name_len - 1]))
		name_len--;
	for (const struct field *f = fields; f < fields + sizeof fields / sizeof fields[0]; f++) {
		if (strlen(f->name) != name_len || strncasecmp(f->name, text, name_len) != 0)
			continue;
		p->skip_field = f->rewritten;
		if (f->take != NULL)
			f->take(p, v);
	}
}

/* Would the message end at `end`, as its Content-Length says? */
static int check_length(struct parser *p, uint64_t end, bool *right_r, struct why *why_r)
{
	char text[MBOX_END_BEFORE + 2 + MBOX_FROM_LINE_MAX];
	*right_r = end == p->size;
	if (end >= p->size)
		return 0;
	/* A From_ line is longer than what comes before it here, so that is there. */
	const uint64_t left = p->size - (end - MBOX_END_BEFORE);
	const size_t n = left < sizeof text ? (size_t)left : sizeof text;
	const ssize_t got = io_read_at(p->m->fd, text, n, end - MBOX_END_BEFORE);
	if (got < 0)
		return why_errno(why_r, errno, "read %s", p->m->path);
	if ((size_t)got < n)
		return why_set(why_r, REASON_MAILDROP_CHANGED, 0, "%s became shorter while it was read", p->m->path);
	*right_r = mbox_ends_at(text + MBOX_END_BEFORE, n - MBOX_END_BEFORE, left == n);
	return 0;
}

static int end_header(struct parser *p, struct why *why_r)
{
	bool right = false;
	/* Not the blank line: in a message without a body it may turn out to be the separator. */
	feed(p, p->blank_at);
	p->in_header = false;
	/* What is not shown hides nothing else. */
	if (!p->has_length || p->bad_length || p->internal)
		return 0;
	if (p->content_length > p->size - p->pos) {
		/* Wrong, until the file grows. */
		const uint64_t end = p->content_length < UINT64_MAX - p->pos ? p->pos + p->content_length : UINT64_MAX;
		p->m->beyond = p->m->beyond == 0 || end < p->m->beyond ? end : p->m->beyond;
		return 0;
	}
	if (check_length(p, p->pos + p->content_length, &right, why_r) != 0)
		return -1;
	if (right)
		p->protected_to = p->pos + p->content_length;
	return 0;
}

/* ---- lines ---- */

/* Go on to the next line, however far that is. */
static int skip_line(struct parser *p, struct why *why_r)
{
	while (p->pos < p->size) {
		if (look_ahead(p, 1, why_r) != 0)
			return -1;
		const char *text = at(p, p->pos), *lf = memchr(text, '\n', in_sight(p));
		size_t n = lf != NULL ? (size_t)(lf - text) + 1 : in_sight(p);
		if (p->in_header && !p->skip_field)
			(void)crypto_generichash_update(&p->uidl, (const unsigned char *)text, n);
		p->pos += n;
		if (lf != NULL)
			break;
	}
	return 0;
}

/* 1: a message began here. 0: no. -1: failure. */
static int try_from_line(struct parser *p, struct why *why_r)
{
	bool may_begin = !p->in_message || (p->blank && p->pos >= p->protected_to);
	if (!may_begin || *at(p, p->pos) != 'F')
		return 0;
	if (look_ahead(p, MBOX_FROM_LINE_MAX, why_r) != 0)
		return -1;
	size_t line = mbox_from_line(at(p, p->pos), in_sight(p), sees_end(p));
	if (line == 0)
		return 0;
	if (end_message(p, why_r) != 0)
		return -1;
	begin_message(p, line);
	return 1;
}

static int parse_line(struct parser *p, struct why *why_r)
{
	if (look_ahead(p, p->in_header ? FIELD_PEEK : LINE_PEEK, why_r) != 0)
		return -1;
	int r = try_from_line(p, why_r);
	if (r != 0)
		return r < 0 ? -1 : 0;
	size_t blank = mbox_line_end(at(p, p->pos), in_sight(p));
	if (!p->in_message && blank == 0)
		return why_set(why_r, REASON_MAILDROP_BROKEN, 0,
		               "%s is no mbox: no From_ line (\"From address weekday month day time year\") at octet %ju",
		               p->m->path, (uintmax_t)p->pos);
	p->blank = blank > 0;
	if (blank > 0) {
		p->blank_at = p->pos;
		p->pos += blank;
		return p->in_header ? end_header(p, why_r) : 0;
	}
	if (p->in_header)
		read_field(p, at(p, p->pos), in_sight(p) < FIELD_PEEK ? in_sight(p) : FIELD_PEEK);
	return skip_line(p, why_r);
}

int mbox_parse_from(struct mbox *m, uint64_t from, uint64_t size, size_t numbered, struct why *why_r)
{
	struct parser p = { .m = m, .size = size, .pos = from, .base = from, .numbered = numbered };
	int r = 0;
	p.window = calloc(1, MBOX_BUFFER);
	if (p.window == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "read %s", m->path);
	while (r == 0 && p.pos < size)
		r = parse_line(&p, why_r);
	if (r == 0)
		r = end_message(&p, why_r);
	/* A higher one that comes later is none of that server's. */
	if (m->take_numbers)
		m->numbers.last = (uint32_t)p.highest;
	free(p.window);
	return r;
}

int mbox_parse(struct mbox *m, uint64_t size, struct why *why_r)
{
	if (mbox_parse_from(m, 0, size, SIZE_MAX, why_r) != 0 || mbox_number_copies(m, why_r) != 0)
		return -1;
	mbox_seal_image(m);
	return 0;
}
