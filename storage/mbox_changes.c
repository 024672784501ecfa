/*
 * mbox_changes.c - holds the list of an mbox that was read against the one that the index has: what is gone, and is it all new?
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/changes.h"
#include "storage/mbox.h"

/* The messages that were read, by their unique-ids. */
struct table {
	uint32_t *slots;          /* idx + 1, or 0 */
	size_t mask;
	bool *told;               /* the index has it, too */
};

void mbox_remember_gone(struct mbox *m, const struct mbox_message *message)
{
	if (m->gone == NULL)
		m->gone = gone_read(&m->index);
	gone_add(m->gone, mbox_uidl_hash(message), GONE_FOR_GOOD);
}

static bool same_uidl(const struct mbox_message *a, const struct mbox_message *b)
{
	return a->copy == b->copy && memcmp(a->uidl, b->uidl, sizeof a->uidl) == 0;
}

/* The slot of that unique-id, or the free one where it belongs. */
static uint32_t *find(const struct mbox *m, const struct table *t, const struct mbox_message *message)
{
	size_t s = (size_t)mbox_uidl_hash(message) & t->mask;
	while (t->slots[s] != 0 && !same_uidl(&m->messages[t->slots[s] - 1], message))
		s = (s + 1) & t->mask;
	return &t->slots[s];
}

static int make_table(const struct mbox *m, struct table *t, struct why *why_r)
{
	size_t slots = 4;
	while (slots < 2 * m->drop.count)
		slots *= 2;
	*t = (struct table){ .slots = calloc(slots, sizeof *t->slots), .mask = slots - 1, .told = calloc(m->drop.count + 1, sizeof *t->told) };
	if (t->slots == NULL || t->told == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
	for (size_t i = 0; i < m->drop.count; i++)
		*find(m, t, &m->messages[i]) = (uint32_t)i + 1;
	return 0;
}

static int check_changes(const struct mbox *m, const struct table *t, const struct mbox_message *old, size_t count, size_t lost, size_t fresh,
                         struct why *why_r)
{
	struct changes c;
	if (changes_begin(&c, count, lost, fresh, why_r) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		changes_add(&c, *find(m, t, &old[i]) == 0 ? CHANGES_LOST : CHANGES_KNOWN, old[i].content);
	if (!changes_may_be(&c))
		return 0;
	for (size_t i = 0; i < m->drop.count; i++)
		if (!t->told[i])
			changes_add(&c, CHANGES_FRESH, m->messages[i].content);
	return changes_end(&c, &m->drop, m->path, why_r);
}

int mbox_compare(struct mbox *m, const struct mbox_message *old, size_t count, struct why *why_r)
{
	struct table t = { .slots = NULL };
	size_t lost = 0, fresh = m->drop.count;
	if (count == 0)
		return 0;
	int r = make_table(m, &t, why_r);
	for (size_t i = 0; r == 0 && i < count; i++) {
		const uint32_t at = *find(m, &t, &old[i]);
		lost += at == 0;
		if (at != 0 && !t.told[at - 1]) {
			t.told[at - 1] = true;
			fresh--;
		}
	}
	if (r == 0 && changes_are_many(lost, fresh))
		r = check_changes(m, &t, old, count, lost, fresh, why_r);
	/* Most of a mailbox may be put back as it was, and a unique-id here is its content: then it is to be the same. */
	for (size_t i = 0; r == 0 && i < count && !(lost >= CHANGES_MIN && 2 * lost > count); i++)
		if (*find(m, &t, &old[i]) == 0)
			mbox_remember_gone(m, &old[i]);
	free(t.slots);
	free(t.told);
	return r;
}
