/*
 * list_image.h - a list of messages as a keeper sends it, made from records.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_TEST_LIST_IMAGE_H
#define POSTERN_TEST_LIST_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "storage/maildrop.h"

/* To be freed; NULL without memory. */
static inline void *list_image(const struct message_record *records, size_t count, size_t *size_r)
{
	struct list_header h = { .magic = LIST_MAGIC_OCTETS, .kind = LIST_NAMES, .record_size = sizeof(struct list_name), .count = count };
	for (size_t i = 0; i < count; i++) {
		h.octets += records[i].octets;
		h.names += strlen(records[i].uidl);
	}
	*size_r = list_size(&h);
	struct list_header *image = calloc(1, *size_r);
	if (image == NULL)
		return NULL;
	*image = h;
	struct list_name *to = (struct list_name *)(image + 1);
	char *names = (char *)(to + count);
	for (size_t i = 0, at = 0; i < count; i++) {
		const size_t len = strlen(records[i].uidl);
		to[i] = (struct list_name){ .octets = records[i].octets & LIST_OCTETS_MAX, .name = (uint32_t)at, .len = (uint8_t)len, .base = (uint8_t)len, .uidl = (uint8_t)len };
		memcpy(names + at, records[i].uidl, len);
		at += len;
	}
	return image;
}

#endif
