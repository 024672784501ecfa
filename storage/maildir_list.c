/*
 * maildir_list.c - the messages of a Maildir as a list for gate and index.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop; an image's records as far as list_open() looked.
 *
 * Most messages are the index's, and as they were: up to the first that is not, records and names are copied as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/maildir.h"

/* A message on its way into the list. */
struct listed {
	struct list_name record;
	char name[LIST_NAME_MAX + 1];
	char uidl[UIDL_MAX];       /* what is behind the name */
	size_t behind;             /* octets of it */
};

/* The list that is made. */
struct making {
	struct list_name *records;
	char *names;
	size_t at;                 /* octets of names so far */
	uint64_t octets;
	struct listed anchor, other;
};

/* ---- where a message comes from ---- */

static void listed_by_entry(const struct maildir *m, const struct maildir_entry *e, struct listed *l)
{
	const size_t behind = maildir_uidl_behind(e);
	l->record = (struct list_name){ .octets = e->octets & LIST_OCTETS_MAX, .digest = e->digest, .identity = e->identity,
	                                .inode = e->inode, .len = e->len, .base = e->base_len, .uidl = behind > 0 ? (uint8_t)behind : e->base_len };
	l->record.flags = (uint8_t)((e->dir == MAILDIR_CUR ? LIST_IN_CUR : 0) | (behind > 0 ? LIST_UIDL_BEHIND : 0) | (e->needs_change ? 0 : LIST_AS_STORED) |
		(e->unopened ? LIST_UNOPENED : 0));
	memcpy(l->name, maildir_name(m, e), e->len);
	l->behind = behind;
	if (behind > 0)
		(void)maildir_uidl(m, e, l->uidl);
}

/* A record that a scan has seen: its name was held against the file's. */
static void listed_by_record(const struct maildir *m, size_t i, struct listed *l)
{
	const struct list *list = &m->drop.image.list;
	l->record = maildir_records(m)[i];
	(void)list_name_text(list, i, l->name);
	l->behind = l->record.flags & LIST_UIDL_BEHIND ? l->record.uidl : 0;
	if (l->behind > 0)
		memcpy(l->uidl, list_uidl_behind(list, &l->record), l->behind);
}

static void find_listed(const struct maildir *m, size_t idx, struct listed *l)
{
	const uint32_t from = m->order[idx];
	if (from < MAILDIR_OF_INDEX)
		listed_by_entry(m, &m->entries[from], l);
	else
		listed_by_record(m, from - MAILDIR_OF_INDEX, l);
}

/* ---- to an image ---- */

/* Octets at the beginning and at the end that a name shares with another; eight at a time, as long as there are so many. */
static void find_shared(const struct listed *l, const struct listed *anchor, struct list_name *r)
{
	const size_t len = l->record.len, other = anchor->record.len, most = len < other ? len : other;
	size_t prefix = 0, suffix = 0;
	while (prefix + 8 <= most && memcmp(l->name + prefix, anchor->name + prefix, 8) == 0)
		prefix += 8;
	while (prefix < most && l->name[prefix] == anchor->name[prefix])
		prefix++;
	while (suffix + 8 <= most - prefix && memcmp(l->name + len - suffix - 8, anchor->name + other - suffix - 8, 8) == 0)
		suffix += 8;
	while (suffix < most - prefix && l->name[len - suffix - 1] == anchor->name[other - suffix - 1])
		suffix++;
	r->prefix = (uint8_t)prefix;
	r->suffix = (uint8_t)suffix;
}

/* Entries lie as the directory listed them: those that will be put in a moment come into the processor's cache, and then their names. */
static void expect_message(const struct maildir *m, size_t idx)
{
	const size_t far = idx + MAILDIR_AHEAD, near = idx + MAILDIR_AHEAD / 2;
	if (far >= m->drop.count)
		return;
	if (m->order[far] < MAILDIR_OF_INDEX)
		__builtin_prefetch(&m->entries[m->order[far]]);
	if (m->order[near] < MAILDIR_OF_INDEX)
		__builtin_prefetch(maildir_name(m, &m->entries[m->order[near]]));
}

static void put_message(struct making *k, const struct maildir *m, size_t idx)
{
	struct listed *l = idx % LIST_ANCHOR == 0 ? &k->anchor : &k->other;
	struct list_name *r = &k->records[idx];
	find_listed(m, idx, l);
	*r = l->record;
	r->name = (uint32_t)k->at;
	r->prefix = r->suffix = 0;
	if (l != &k->anchor)
		find_shared(l, &k->anchor, r);
	const size_t prefix = r->prefix, left = r->len - prefix - r->suffix;
	memcpy(k->names + k->at, l->name + prefix, left);
	memcpy(k->names + k->at + left, l->uidl, l->behind);
	k->at += left + l->behind;
	k->octets += r->octets;
}

/* So many messages, a whole number of anchors, are where they are in the index's list. */
static size_t count_kept(const struct maildir *m)
{
	size_t n = 0;
	while (n < m->drop.count && m->order[n] == (MAILDIR_OF_INDEX | n))
		n++;
	return n - n % LIST_ANCHOR;
}

/* Where the names of those end; every record was looked at when its file was seen. */
static size_t end_of_names(const struct maildir *m, size_t kept)
{
	size_t end = 0;
	for (size_t i = 0; i < kept; i++) {
		const struct list_name *r = &maildir_records(m)[i];
		const size_t behind = r->flags & LIST_UIDL_BEHIND ? r->uidl : 0, last = r->name + (size_t)r->len - r->prefix - r->suffix + behind;
		end = last > end ? last : end;
	}
	return end;
}

/*
 * The digest of a list: a sum over its unique-ids, each hashed with its place. So that of a list which differs from another
 * only from some place on is made of the other's.
 */
static void digest_uidls(struct digest *sum, const struct list *list, size_t from, bool less)
{
	char uidl[UIDL_MAX];
	for (size_t i = from; i < list->count; i++) {
		const XXH128_hash_t h = XXH3_128bits_withSeed(uidl, list_uidl(list, i, uidl), i);
		sum->low += less ? -h.low64 : h.low64;
		sum->high += less ? -h.high64 : h.high64;
	}
}

static void put_digest(struct list_header *h, const struct list *list, const struct list *was, size_t kept)
{
	struct digest sum = { .low = 0 };
	if (was->count - kept < kept) {
		memcpy(&sum, was->header->digest, sizeof h->digest);
		digest_uidls(&sum, was, kept, true);
	} else {
		kept = 0;
	}
	digest_uidls(&sum, list, kept, false);
	memcpy(h->digest, &sum, sizeof h->digest);
}

/* Octets of names at most; names that are alike take less. */
static uint64_t most_names(const struct maildir *m, size_t kept, size_t kept_names)
{
	uint64_t most = kept_names;
	for (size_t i = kept; i < m->drop.count; i++) {
		const uint32_t from = m->order[i];
		if (from < MAILDIR_OF_INDEX)
			continue;
		const struct list_name *r = &maildir_records(m)[from - MAILDIR_OF_INDEX];
		most += r->len + (r->flags & LIST_UIDL_BEHIND ? r->uidl : 0u);
	}
	for (size_t i = 0; i < m->entry_count; i++)
		most += m->entries[i].state == ENTRY_READY ? m->entries[i].len + maildir_uidl_behind(&m->entries[i]) : 0;
	return most;
}

int maildir_make_image(struct maildir *m, struct why *why_r)
{
	const struct list *was = &m->drop.image.list;
	const size_t kept = count_kept(m), kept_names = end_of_names(m, kept);
	struct list_header h = { .magic = LIST_MAGIC_OCTETS, .kind = LIST_NAMES, .record_size = sizeof(struct list_name), .count = m->drop.count };
	h.names = most_names(m, kept, kept_names);
	struct list_header *header = h.names <= UINT32_MAX ? malloc(list_size(&h)) : NULL;
	if (header == NULL)
		return maildir_no_memory(why_r);
	struct list_name *records = (struct list_name *)(header + 1);
	struct making k = { .records = records, .names = (char *)(records + h.count), .at = kept_names };
	if (kept > 0) {
		memcpy(records, maildir_records(m), kept * sizeof *records);
		memcpy(k.names, was->names, kept_names);
	}
	for (size_t i = 0; i < kept; i++)
		k.octets += records[i].octets;
	for (size_t i = kept; i < h.count; i++) {
		expect_message(m, i);
		put_message(&k, m, i);
	}
	h.octets = k.octets;
	h.names = k.at;
	*header = h;
	struct list made;
	(void)list_open(&made, header, list_size(&h));
	put_digest(header, &made, was, kept);
	image_free(&m->drop.image);
	m->drop.image = (struct image){ .list = made, .octets = header, .size = list_size(&h) };
	return 0;
}
