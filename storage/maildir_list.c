/*
 * maildir_list.c - the messages of a Maildir as a list for gate and index, and back.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop; an image's records as far as list_open() looked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/maildir.h"

static int no_memory(struct why *why_r)
{
	return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
}

/* ---- to an image ---- */

/* Octets at the beginning and at the end that a name shares with another. */
static void find_shared(const struct maildir *m, const struct maildir_entry *e, const struct maildir_entry *anchor, struct list_name *r)
{
	const char *name = maildir_name(m, e), *other = maildir_name(m, anchor);
	const size_t most = e->len < anchor->len ? e->len : anchor->len;
	size_t prefix = 0, suffix = 0;
	while (prefix < most && name[prefix] == other[prefix])
		prefix++;
	while (suffix < most - prefix && name[(size_t)e->len - suffix - 1] == other[(size_t)anchor->len - suffix - 1])
		suffix++;
	r->prefix = (uint8_t)prefix;
	r->suffix = (uint8_t)suffix;
}

/* The record of entry i of the order; what is its own of its name goes to names + at. Octets of names that it took. */
static size_t put_record(const struct maildir *m, size_t i, struct list_name *r, char *names, size_t at)
{
	const struct maildir_entry *e = &m->entries[m->order[i]];
	const size_t behind = maildir_uidl_behind(m, e);
	*r = (struct list_name){ .octets = e->octets & LIST_OCTETS_MAX, .digest = e->digest, .name = (uint32_t)at, .identity = e->identity,
	                         .inode = e->inode, .len = e->len, .base = e->base_len, .uidl = behind > 0 ? (uint8_t)behind : e->base_len };
	r->flags = (uint8_t)((e->dir == MAILDIR_CUR ? LIST_IN_CUR : 0) | (behind > 0 ? LIST_UIDL_BEHIND : 0) | (e->needs_change ? 0 : LIST_AS_STORED));
	if (i % LIST_ANCHOR != 0)
		find_shared(m, e, &m->entries[m->order[i - i % LIST_ANCHOR]], r);
	const size_t prefix = r->prefix, suffix = r->suffix, own = e->len - prefix - suffix;
	memcpy(names + at, maildir_name(m, e) + prefix, own);
	if (behind > 0)
		(void)maildir_uidl(m, e, names + at + own);
	return own + behind;
}

static void digest_uidls(struct list_header *h, const struct list *list)
{
	struct digest_state d;
	char uidl[UIDL_MAX + 1];
	digest_begin(&d, 0);
	for (size_t i = 0; i < list->count; i++) {
		size_t len = list_uidl(list, i, uidl);
		uidl[len++] = '\n';
		digest_add(&d, uidl, len);
	}
	const struct digest all = digest_so_far(&d);
	memcpy(h->digest, &all, sizeof h->digest);
}

int maildir_make_image(struct maildir *m, struct why *why_r)
{
	struct image *image = &m->drop.image;
	struct list_header h = { .magic = LIST_MAGIC_OCTETS, .kind = LIST_NAMES, .record_size = sizeof(struct list_name), .count = m->drop.count };
	/* At most; names that are alike take less. */
	for (size_t i = 0; i < m->drop.count; i++)
		h.names += m->entries[m->order[i]].len + maildir_uidl_behind(m, &m->entries[m->order[i]]);
	image->octets = h.names <= UINT32_MAX ? malloc(list_size(&h)) : NULL;
	if (image->octets == NULL)
		return no_memory(why_r);
	struct list_header *header = image->octets;
	struct list_name *records = (struct list_name *)(header + 1);
	char *names = (char *)(records + h.count);
	size_t at = 0;
	for (size_t i = 0; i < h.count; i++) {
		at += put_record(m, i, &records[i], names, at);
		h.octets += records[i].octets;
	}
	h.names = at;
	*header = h;
	image->size = list_size(&h);
	(void)list_open(&image->list, image->octets, image->size);
	digest_uidls(header, &image->list);
	return 0;
}

/* ---- and back ---- */

bool maildir_listed_name(const struct maildir *m, size_t idx, char name_r[LIST_NAME_MAX + 1])
{
	const struct list *list = &m->drop.image.list;
	const struct list_name *r = &maildir_records(m)[idx];
	const size_t len = list_name_text(list, idx, name_r);
	name_r[len] = '\0';
	return len > 0 && r->base <= len && r->uidl <= UIDL_MAX && ((r->flags & LIST_UIDL_BEHIND) == 0 || list_uidl_behind(list, r) != NULL) &&
		memchr(name_r, '\0', len) == NULL && memchr(name_r, '/', len) == NULL;
}

/* Octets that a record takes in the names of entries. */
static size_t taken_by(const struct list_name *r)
{
	return r->len + 1u + (r->flags & LIST_UIDL_BEHIND ? r->uidl : 0u);
}

static int take_record(struct maildir *m, size_t i, enum maildir_state state)
{
	const struct list_name *r = &maildir_records(m)[i];
	const bool behind = (r->flags & LIST_UIDL_BEHIND) != 0;
	char *name = m->names + m->names_len;
	char text[LIST_NAME_MAX + 1];
	if (!maildir_listed_name(m, i, text))
		return -1;
	memcpy(name, text, r->len + 1u);
	if (behind)
		memcpy(name + r->len + 1, list_uidl_behind(&m->drop.image.list, r), r->uidl);
	m->entries[i] = (struct maildir_entry){ .octets = r->octets, .digest = r->digest, .inode = r->inode, .identity = r->identity,
		.name = (uint32_t)m->names_len, .len = r->len, .room = (uint8_t)(r->len + 1u), .base_len = r->base,
		.dir = r->flags & LIST_IN_CUR ? MAILDIR_CUR : MAILDIR_NEW, .state = (uint8_t)state, .owns_name = !behind && r->base > 0 && r->uidl == r->base, .needs_change = (r->flags & LIST_AS_STORED) == 0,
		.uidl = behind ? (uint32_t)m->names_len + r->len + 1 : 0, .uidl_len = behind ? r->uidl : 0 };
	m->names_len += taken_by(r);
	m->order[i] = (uint32_t)i;
	maildir_put_entry(m, i);
	m->entry_count++;
	/* One that a session of ours removed, and yet there it is: another file may have its name and its inode. */
	m->entries[i].again = state == ENTRY_KNOWN && m->gone != NULL && gone_has(m->gone, maildir_uidl_hash(m, &m->entries[i]));
	return 0;
}

int maildir_take_entries(struct maildir *m, enum maildir_state state, struct why *why_r)
{
	const struct list *list = &m->drop.image.list;
	size_t room = 1;
	for (size_t i = 0; i < list->count; i++)
		room += taken_by(&maildir_records(m)[i]);
	m->names = room <= UINT32_MAX ? malloc(room) : NULL;
	m->order = calloc(list->count + 1, sizeof *m->order);
	if (m->names == NULL || m->order == NULL || maildir_reserve(m, list->count + 1, why_r) != 0) {
		maildir_free_entries(m);
		return no_memory(why_r);
	}
	m->names_len = 0;
	m->names_room = room;
	for (size_t i = 0; i < list->count; i++)
		if (take_record(m, i, state) != 0) {
			maildir_free_entries(m);
			return why_set(why_r, REASON_MAILDROP_IO, 0, "the index of %s is none", m->path);
		}
	return 0;
}

void maildir_free_entries(struct maildir *m)
{
	free(m->order);
	free(m->slots);
	free(m->names);
	free(m->entries);
	m->order = m->slots = NULL;
	m->names = NULL;
	m->entries = NULL;
	m->entry_count = m->entry_room = m->names_len = m->names_room = m->slot_count = 0;
}
