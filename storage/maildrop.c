/*
 * maildrop.c - hands each call to the maildrop's format.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#include "storage/maildrop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "storage/format.h"

enum { NOTICE_MAX = 512 };

static const struct format *const formats[] = {
	[MAILDROP_MAILDIR] = &maildir_format,
	[MAILDROP_MBOX] = &mbox_format,
};

int maildrop_open(const struct maildrop_place *place, const struct maildrop_options *options,
                  struct maildrop **drop_r, struct why *why_r)
{
	return formats[place->format]->open(place, options, drop_r, why_r);
}

size_t maildrop_count(const struct maildrop *drop)
{
	return drop->count;
}

void maildrop_record(const struct maildrop *drop, size_t idx, struct message_record *record_r)
{
	memset(record_r, 0, sizeof *record_r);
	record_r->octets = list_octets(&drop->image.list, idx);
	record_r->uidl[list_uidl(&drop->image.list, idx, record_r->uidl)] = '\0';
}

struct maildrop_list maildrop_list(const struct maildrop *drop)
{
	const struct image *image = &drop->image;
	return (struct maildrop_list){ .list = &image->list, .image = image->octets, .size = image->size, .offset = drop->image_at,
	                               .fd = drop->image_at > 0 ? drop->options.index->read_fd : -1 };
}

int maildrop_fetch(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r)
{
	if (idx >= drop->count)
		return why_set(why_r, REASON_MESSAGE_GONE, 0, "no message with index %zu of %zu", idx, drop->count);
	if (drop->format->fetch(drop, idx, body_r, why_r) != 0)
		return -1;
	body_r->wire = list_octets(&drop->image.list, idx);
	return 0;
}

bool maildrop_is_unopened(const struct maildrop *drop, size_t idx)
{
	return list_is_unopened(&drop->image.list, idx);
}

int maildrop_read(struct maildrop *drop, size_t idx, char *to, size_t room, size_t *len_r, uint64_t *wire_r)
{
	/* A dot more for each line is not counted, a line end is: on the wire a message is never shorter than in its file. */
	if (idx >= drop->count || list_octets(&drop->image.list, idx) > room || drop->format->read(drop, idx, to, room, len_r) != 0)
		return -1;
	*wire_r = list_octets(&drop->image.list, idx);
	return 0;
}

int maildrop_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r)
{
	bool any = false;
	for (size_t i = 0; i < drop->count; i++) {
		errors[i] = 0;
		any = any || marks[i];
	}
	return any ? drop->format->update(drop, marks, errors, why_r) : 0;
}

void maildrop_close(struct maildrop **drop)
{
	if (*drop != NULL)
		(*drop)->format->close(*drop);
	*drop = NULL;
}

void maildrop_notice_name(const struct maildrop *drop, const char *where, const char *name, const char *what)
{
	char text[NOTICE_MAX];
	struct buf b = BUF_OVER(text);
	if (drop->options.notice == NULL)
		return;
	buf_add_escaped(&b, where, strlen(where));
	(void)buf_add(&b, "/", 1);
	/* The end of the sentence says what is wrong: it must fit behind the longest name. */
	struct buf shown = { .p = b.p, .len = b.len, .cap = sizeof text - strlen(what) - 3 };
	buf_add_escaped(&shown, name, strlen(name));
	b.len = shown.len;
	(void)buf_printf(&b, ": %s", what);
	drop->options.notice(drop->options.context, NOTICE_ODD, buf_text(&b));
}
