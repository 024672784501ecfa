/*
 * changes.c - holds the contents whose unique-ids are gone against those that have new ones.
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 */
#include "storage/changes.h"

#include <errno.h>
#include <stdlib.h>

bool changes_are_many(size_t lost, size_t fresh)
{
	return lost >= CHANGES_MIN && fresh >= CHANGES_MIN;
}

int changes_begin(struct changes *c, size_t known, size_t lost, size_t fresh, struct why *why_r)
{
	*c = (struct changes){ .contents = { calloc(known + lost + fresh + 1, sizeof **c->contents) } };
	if (c->contents[CHANGES_KNOWN] == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	c->contents[CHANGES_LOST] = c->contents[CHANGES_KNOWN] + known;
	c->contents[CHANGES_FRESH] = c->contents[CHANGES_LOST] + lost;
	return 0;
}

void changes_add(struct changes *c, enum changes_kind kind, uint64_t content)
{
	c->contents[kind][c->count[kind]++] = content;
	if (kind == CHANGES_LOST)
		c->contents[CHANGES_KNOWN][c->count[CHANGES_KNOWN]++] = content;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Each once, in order. */
static void make_set(struct changes *c, enum changes_kind kind)
{
	uint64_t *contents = c->contents[kind];
	size_t n = 0;
	qsort(contents, c->count[kind], sizeof *contents, compare);
	for (size_t i = 0; i < c->count[kind]; i++)
		if (i == 0 || contents[i] != contents[i - 1])
			contents[n++] = contents[i];
	c->count[kind] = n;
}

/* How many of the lost are there anew. */
static size_t count_moved(const struct changes *c)
{
	size_t moved = 0;
	for (size_t l = 0, f = 0; l < c->count[CHANGES_LOST] && f < c->count[CHANGES_FRESH];) {
		const uint64_t lost = c->contents[CHANGES_LOST][l], fresh = c->contents[CHANGES_FRESH][f];
		moved += lost == fresh;
		l += lost <= fresh;
		f += fresh <= lost;
	}
	return moved;
}

/* Most of what is known, and not just a few. */
static bool is_most(size_t contents, size_t known)
{
	return contents >= CHANGES_MIN && 2 * contents > known;
}

bool changes_may_be(struct changes *c)
{
	make_set(c, CHANGES_KNOWN);
	make_set(c, CHANGES_LOST);
	const bool may = is_most(c->count[CHANGES_LOST], c->count[CHANGES_KNOWN]);
	if (!may)
		free(c->contents[CHANGES_KNOWN]);
	return may;
}

int changes_end(struct changes *c, const struct maildrop *drop, const char *path, struct why *why_r)
{
	const struct maildrop_options *o = &drop->options;
	make_set(c, CHANGES_FRESH);
	const size_t moved = count_moved(c), known = c->count[CHANGES_KNOWN];
	free(c->contents[CHANGES_KNOWN]);
	if (!is_most(moved, known))
		return 0;
	if (!o->unique_ids_may_change)
		return why_set(why_r, REASON_IDS_CHANGED, 0, "%zu of %zu messages have other unique-ids than at the last login; allow it once: rm %s/%s; "
		               "or put back as it was: %s", moved, known, o->index->directory, o->index->name, path);
	if (o->notice != NULL) {
		struct why allowed;
		(void)why_set(&allowed, REASON_IDS_CHANGED, 0, "%zu of %zu messages in %s have other unique-ids than at the last login, and "
		              "unique_id_changes = allow: clients fetch them again", moved, known, path);
		o->notice(o->context, NOTICE_ODD, allowed.text);
	}
	return 0;
}
