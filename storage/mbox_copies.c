/*
 * mbox_copies.c - messages that are equal get unique-ids that differ: HASH, HASH-2, HASH-3 ...
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * In the order of the file, but for those that the index knows: they keep their numbers when one before them is deleted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/mbox.h"

static size_t uidl_slot(const unsigned char *uidl, size_t mask)
{
	uint64_t h;
	memcpy(&h, uidl, sizeof h);
	return (size_t)h & mask;
}

/* The second message with the same hash becomes HASH-2, and so on in the order of the file. */
int mbox_number_copies(struct mbox *m, struct why *why_r)
{
	size_t slots = 4;
	while (slots < m->drop.count + m->drop.count / 4)
		slots *= 2;
	uint32_t *table = calloc(slots, sizeof *table); /* index of the last message with a hash, + 1 */
	if (table == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	for (size_t i = 0; i < m->drop.count; i++) {
		struct mbox_message *message = &m->messages[i];
		if (message->copy == 0)
			continue;
		size_t s = uidl_slot(message->uidl, slots - 1);
		while (table[s] != 0 && memcmp(m->messages[table[s] - 1].uidl, message->uidl, MBOX_UIDL) != 0)
			s = (s + 1) & (slots - 1);
		message->copy = table[s] == 0 ? 1 : m->messages[table[s] - 1].copy + 1;
		while (mbox_is_gone(m, message))
			message->copy++;
		table[s] = (uint32_t)i + 1;
	}
	free(table);
	return 0;
}

/* ---- the numbers that the index knows ---- */

/* A message of the index that is one of several equal ones, or was. */
struct known {
	const struct mbox_message *message;
	uint32_t at;      /* in the list */
	uint32_t count;   /* of the first of its kind: how many there are, once that was asked, */
	uint32_t taken;   /* how many of them have got their message, */
	uint32_t highest; /* and the highest number of one, or that was given to one more */
};

static int compare(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int order = memcmp(x->message->uidl, y->message->uidl, MBOX_UIDL);
	return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* The first of n that has this unique-id, or n. */
static size_t find(const struct known *known, size_t n, const unsigned char *uidl)
{
	size_t low = 0, high = n;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (memcmp(known[middle].message->uidl, uidl, MBOX_UIDL) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && memcmp(known[low].message->uidl, uidl, MBOX_UIDL) == 0 ? low : n;
}

/*
 * All that have the unique-id of one with a number, sorted; but not what a session of ours removed whose list could not be written. To be freed; NULL and
 * *count_r 0 when there are none.
 */
static struct known *find_numbered(const struct mbox *m, const struct mbox_message *old, size_t count, size_t *count_r)
{
	size_t numbered = 0, n = 0;
	for (size_t i = 0; i < count; i++)
		numbered += old[i].copy > 1;
	*count_r = 0;
	struct known *first = numbered > 0 ? calloc(numbered, sizeof *first) : NULL, *all = first != NULL ? calloc(count, sizeof *all) : NULL;
	for (size_t i = 0; all != NULL && i < count; i++)
		if (old[i].copy > 1)
			first[n++] = (struct known){ .message = &old[i] };
	if (all != NULL)
		qsort(first, n, sizeof *first, compare);
	for (size_t i = 0; all != NULL && i < count; i++)
		if (find(first, n, old[i].uidl) < n && !mbox_is_gone(m, &old[i]))
			all[(*count_r)++] = (struct known){ .message = &old[i], .at = (uint32_t)i };
	free(first);
	if (all != NULL)
		qsort(all, *count_r, sizeof *all, compare);
	return all;
}

/* known[first] is the first of its kind: it tells of all. */
static void count_kind(struct known *known, size_t count, size_t first)
{
	struct known *kind = &known[first];
	while (first + kind->count < count && memcmp(known[first + kind->count].message->uidl, kind->message->uidl, MBOX_UIDL) == 0) {
		const uint32_t copy = known[first + kind->count++].message->copy;
		kind->highest = copy > kind->highest ? copy : kind->highest;
	}
}

/* The message's number among those with the unique-id of known[first]: as the index has it, then one more than the highest. */
static void give_number(const struct mbox *m, struct mbox_message *message, struct known *known, size_t count, size_t first)
{
	struct known *kind = &known[first];
	if (kind->count == 0)
		count_kind(known, count, first);
	if (kind->taken < kind->count) {
		message->copy = known[first + kind->taken++].message->copy;
		return;
	}
	message->copy = kind->highest + 1;
	while (mbox_is_gone(m, message))
		message->copy++;
	kind->highest = message->copy;
}

void mbox_keep_copies(struct mbox *m, const struct mbox_message *old, size_t count)
{
	size_t n;
	struct known *known = find_numbered(m, old, count, &n);
	for (size_t i = 0; n > 0 && i < m->drop.count; i++) {
		const size_t first = find(known, n, m->messages[i].uidl);
		if (first < n)
			give_number(m, &m->messages[i], known, n, first);
	}
	free(known);
}
