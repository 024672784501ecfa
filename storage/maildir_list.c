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

/* The record of an entry; its name goes to names + at. Octets of names that it took. */
static size_t put_record(const struct maildir *m, const struct maildir_entry *e, struct list_name *r, char *names, size_t at)
{
	const size_t behind = maildir_uidl_behind(m, e), len = e->len;
	*r = (struct list_name){ .octets = e->octets, .digest = e->digest, .name = (uint32_t)at, .identity = e->identity, .inode = e->inode,
	                         .len = e->len, .base = e->base_len, .uidl = behind > 0 ? (uint8_t)behind : e->base_len };
	r->flags = (uint8_t)((e->dir == MAILDIR_CUR ? LIST_IN_CUR : 0) | (behind > 0 ? LIST_UIDL_BEHIND : 0) | (e->needs_change ? 0 : LIST_AS_STORED));
	memcpy(names + at, maildir_name(m, e), len + 1);
	if (behind > 0)
		(void)maildir_uidl(m, e, names + at + len + 1);
	return len + 1 + behind;
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
	for (size_t i = 0; i < m->drop.count; i++)
		h.names += m->entries[m->order[i]].len + 1u + maildir_uidl_behind(m, &m->entries[m->order[i]]);
	image->size = list_size(&h);
	image->octets = h.names <= UINT32_MAX ? malloc(image->size) : NULL;
	if (image->octets == NULL)
		return no_memory(why_r);
	struct list_header *header = image->octets;
	struct list_name *records = (struct list_name *)(header + 1);
	char *names = (char *)(records + h.count);
	size_t at = 0;
	for (size_t i = 0; i < h.count; i++) {
		const struct maildir_entry *e = &m->entries[m->order[i]];
		at += put_record(m, e, &records[i], names, at);
		h.octets += e->octets;
	}
	*header = h;
	(void)list_open(&image->list, image->octets, image->size);
	digest_uidls(header, &image->list);
	return 0;
}

/* ---- and back ---- */

const char *maildir_listed_name(const struct maildir *m, const struct list_name *r)
{
	const struct list *list = &m->drop.image.list;
	const char *name = list->names + r->name;
	const size_t len = r->len, uidl = r->flags & LIST_UIDL_BEHIND ? r->uidl : 0;
	if (r->name > list->names_len || len + 1 + uidl > list->names_len - r->name || len == 0 || r->base > len || r->uidl > UIDL_MAX)
		return NULL;
	return name[len] == '\0' && memchr(name, '\0', len) == NULL && memchr(name, '/', len) == NULL ? name : NULL;
}

static int take_record(struct maildir *m, size_t i, enum maildir_state state)
{
	const struct list_name *r = &maildir_records(m)[i];
	const bool behind = (r->flags & LIST_UIDL_BEHIND) != 0;
	if (maildir_listed_name(m, r) == NULL)
		return -1;
	m->entries[i] = (struct maildir_entry){ .octets = r->octets, .digest = r->digest, .inode = r->inode, .identity = r->identity,
		.name = r->name, .len = r->len, .room = (uint8_t)(r->len + 1u), .base_len = r->base,
		.dir = r->flags & LIST_IN_CUR ? MAILDIR_CUR : MAILDIR_NEW, .state = (uint8_t)state, .owns_name = !behind, .needs_change = (r->flags & LIST_AS_STORED) == 0,
		.uidl = behind ? r->name + r->len + 1 : 0, .uidl_len = behind ? r->uidl : 0 };
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
	m->names = malloc(list->names_len + 1);
	m->order = calloc(list->count + 1, sizeof *m->order);
	if (m->names == NULL || m->order == NULL || maildir_reserve(m, list->count + 1, why_r) != 0) {
		maildir_free_entries(m);
		return no_memory(why_r);
	}
	memcpy(m->names, list->names, list->names_len);
	m->names_len = m->names_room = list->names_len;
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
