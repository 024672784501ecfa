/*
 * slow_list.h - unique-ids and the lines of LIST and UIDL, an octet at a time: base/list.c has to say the same.
 * Runs in: the tests. Trusts: nothing in an image.
 */
#ifndef POSTERN_TEST_SLOW_LIST_H
#define POSTERN_TEST_SLOW_LIST_H

#include <stdio.h>
#include <string.h>

#include "base/list.h"

/* Octet i of a file's name; -1: it is not in the image. */
static inline int slow_name_octet(const struct list *list, size_t idx, size_t i)
{
	const struct list_name *all = (const void *)list->records, *r = &all[idx], *anchor = &all[idx - idx % LIST_ANCHOR];
	const size_t suffix = (size_t)r->len - r->suffix;
	size_t at = (size_t)anchor->name + i;
	if (r->prefix + r->suffix > r->len || r->prefix > anchor->len || r->suffix > anchor->len)
		return -1;
	if (i >= r->prefix)
		at = i < suffix ? r->name + i - r->prefix : (size_t)anchor->name + anchor->len - r->len + i;
	/* What is not asked for has to be there as well. */
	if ((size_t)anchor->name + anchor->len > list->names_len || r->name + suffix - r->prefix > list->names_len)
		return -1;
	return (unsigned char)list->names[at];
}

static inline size_t slow_name_uidl(const struct list *list, size_t idx, char out[UIDL_MAX])
{
	const struct list_name *r = &((const struct list_name *)(const void *)list->records)[idx];
	const size_t behind = (size_t)r->name + r->len - r->prefix - r->suffix;
	const bool is_behind = (r->flags & LIST_UIDL_BEHIND) != 0;
	bool good = r->uidl > 0 && r->uidl <= UIDL_MAX && (is_behind || r->uidl <= r->len);
	if (is_behind)
		good = good && r->prefix + r->suffix <= r->len && behind + r->uidl <= list->names_len;
	for (size_t i = 0; good && i < r->uidl; i++) {
		const int octet = is_behind ? (unsigned char)list->names[behind + i] : slow_name_octet(list, idx, i);
		good = octet >= 0;
		out[i] = (char)(octet > 0x20 && octet < 0x7f ? octet : '?');
	}
	if (!good)
		out[0] = '?';
	return good ? r->uidl : 1;
}

static inline size_t slow_uidl(const struct list *list, size_t idx, char out[UIDL_MAX])
{
	if (list->header->kind == LIST_NAMES)
		return slow_name_uidl(list, idx, out);
	const struct list_hash *r = (const void *)(list->records + idx * list->record_size);
	char text[UIDL_MAX + 1], copy[16] = "";
	for (size_t i = 0; r->copy == 0 && i < LIST_UIDL_TEXT; i++)
		out[i] = (char)(r->uidl[i] > 0x20 && r->uidl[i] < 0x7f ? r->uidl[i] : '?');
	if (r->copy == 0)
		return LIST_UIDL_TEXT;
	for (size_t i = 0; i < LIST_UIDL_HASH; i++)
		(void)snprintf(text + 2 * i, sizeof text - 2 * i, "%02x", r->uidl[i]);
	if (r->copy > 1)
		(void)snprintf(copy, sizeof copy, "-%ju", (uintmax_t)r->copy);
	memcpy(text + 2 * (size_t)LIST_UIDL_HASH, copy, strlen(copy) + 1);
	memcpy(out, text, strlen(text));
	return strlen(text);
}

/* The line of a message, and a NUL. */
static inline void slow_line(const struct list *list, size_t idx, bool uidl, char out[LISTING_ROOM])
{
	char id[UIDL_MAX];
	if (uidl)
		(void)snprintf(out, LISTING_ROOM, "%zu %.*s\r\n", idx + 1, (int)slow_uidl(list, idx, id), id);
	else
		(void)snprintf(out, LISTING_ROOM, "%zu %ju\r\n", idx + 1, (uintmax_t)list_octets(list, idx));
}

#endif
