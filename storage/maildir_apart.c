/*
 * maildir_apart.c - of unique-ids that another server gave, none is another message's too.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * A unique-id made here follows from the name, and no two of these are the same. One that dovecot-uidlist tells ("P") can be anything:
 * that of another line, another file's name, or what a file will be called that is delivered years later.
 */
#include <stdlib.h>

#include "storage/gone.h"
#include "storage/maildir.h"

/* Who has, or would have, a unique-id. */
struct claim {
	uint64_t id;               /* gone_hash() */
	struct maildir_entry *new; /* NULL: a message that was told it before */
	bool told;                 /* by that server, or else what follows from the name */
};

struct claims {
	struct claim *list;
	size_t count;
	uint64_t *may_be;          /* bit set: may a new message claim an id of this hash? */
	uint64_t mask;
};

static uint64_t *bit_of(const struct claims *c, uint64_t id, uint64_t *bit_r)
{
	const uint64_t at = id & c->mask;
	*bit_r = UINT64_C(1) << at % 64;
	return &c->may_be[at / 64];
}

static void add(struct claims *c, uint64_t id, struct maildir_entry *new, bool told)
{
	uint64_t bit, *word = bit_of(c, id, &bit);
	if (new == NULL && (*word & bit) == 0)
		return;
	*word |= bit;
	c->list[c->count++] = (struct claim){ .id = id, .new = new, .told = told };
}

static void add_new(struct claims *c, const struct maildir *m, struct maildir_entry *e)
{
	const uint8_t told = e->uidl_len;
	const uint64_t id = maildir_uidl_hash(m, e);
	e->uidl_len = 0;
	const uint64_t own = maildir_uidl_hash(m, e);
	e->uidl_len = told;
	add(c, own, e, false);
	if (told > 0 && id != own)
		add(c, id, e, true);
}

/* What messages of the index have, if some new one may claim it as well. */
static void add_known(struct claims *c, const struct maildir *m)
{
	for (size_t i = 0; i < m->drop.count; i++) {
		char uidl[UIDL_MAX];
		const uint32_t from = m->order[i];
		if (from >= MAILDIR_OF_INDEX)
			add(c, gone_hash(uidl, list_uidl(&m->drop.image.list, from - MAILDIR_OF_INDEX, uidl)), NULL, false);
		else if (m->entries[from].record != 0)
			add(c, maildir_uidl_hash(m, &m->entries[from]), NULL, false);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

/* What becomes of those who claim one. 0, or -1 and *why_r. */
typedef int part_some(struct maildir *m, const struct claim *claims, size_t count, struct why *why_r);

/* Nobody gets it by being told so. */
static int part_told(struct maildir *m, const struct claim *claims, size_t count, struct why *why_r)
{
	(void)m, (void)why_r;
	for (size_t i = 0; i < count; i++)
		if (claims[i].told)
			claims[i].new->uidl_len = 0;
	return 0;
}

/* Who has it by its name, or may have it again, gets another if it was told before. */
static int part_own(struct maildir *m, const struct claim *claims, size_t count, struct why *why_r)
{
	bool held = false;
	for (size_t i = 0; i < count; i++)
		held = held || claims[i].new == NULL;
	for (size_t i = 0; held && i < count; i++)
		if (claims[i].new != NULL && !claims[i].told && maildir_hash_anew(m, claims[i].new, why_r) != 0)
			return -1;
	return 0;
}

/* Wherever several claim one. */
static int part_each(const struct claims *c, struct maildir *m, part_some *part, struct why *why_r)
{
	for (size_t first = 0, n; first < c->count; first += n) {
		for (n = 1; first + n < c->count && c->list[first].id == c->list[first + n].id; n++)
			;
		if (n > 1 && part(m, c->list + first, n, why_r) != 0)
			return -1;
	}
	return 0;
}

static int part_all(struct claims *c, struct maildir *m, struct why *why_r)
{
	for (size_t i = 0; i < m->drop.count; i++)
		if (m->order[i] < MAILDIR_OF_INDEX && m->entries[m->order[i]].record == 0)
			add_new(c, m, &m->entries[m->order[i]]);
	add_known(c, m);
	qsort(c->list, c->count, sizeof *c->list, by_id);
	/* First all of those: whoever lost one has that of its name again. */
	return part_each(c, m, part_told, why_r) == 0 ? part_each(c, m, part_own, why_r) : -1;
}

int maildir_part_ids(struct maildir *m, struct why *why_r)
{
	struct claims c = { .mask = 63 };
	size_t new = 0;
	for (size_t i = 0; i < m->drop.count; i++)
		new += m->order[i] < MAILDIR_OF_INDEX && m->entries[m->order[i]].record == 0;
	if (new == 0)
		return 0;
	while (c.mask < 32 * new)
		c.mask = 2 * c.mask + 1;
	c.may_be = calloc(c.mask / 64 + 1, sizeof *c.may_be);
	c.list = calloc(m->drop.count + new, sizeof *c.list);
	const int r = c.may_be != NULL && c.list != NULL ? part_all(&c, m, why_r) : maildir_no_memory(why_r);
	free(c.list);
	free(c.may_be);
	return r;
}
