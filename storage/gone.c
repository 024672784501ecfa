/*
 * gone.c - the ring of unique-ids whose messages are gone.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the ring.
 */
#include "storage/gone.h"

#include <stdlib.h>

#include "base/io.h"

static uint16_t *chain_of(struct gone *g, uint64_t uidl)
{
	return &g->first[uidl % GONE_CHAINS];
}

static void link_in(struct gone *g, size_t place)
{
	uint16_t *first = chain_of(g, g->ids[place].uidl);
	g->next[place] = *first;
	*first = (uint16_t)(place + 1);
}

static void take_out(struct gone *g, size_t place)
{
	uint16_t *at = chain_of(g, g->ids[place].uidl);
	while (*at != 0 && *at != place + 1)
		at = &g->next[*at - 1];
	if (*at != 0)
		*at = g->next[place];
}

struct gone *gone_read(const struct index *x)
{
	struct gone *g = x->fd >= 0 ? calloc(1, sizeof *g) : NULL;
	if (g == NULL)
		return NULL;
	const size_t n = x->gone < INDEX_GONE_MAX ? (size_t)x->gone : INDEX_GONE_MAX;
	g->count = g->written = x->gone;
	/* What cannot be read stays empty. */
	(void)io_read_at(x->fd, (char *)g->ids, n * sizeof *g->ids, INDEX_AREA);
	for (size_t i = 0; i < n; i++)
		link_in(g, i);
	return g;
}

/* The next entry with that unique-id from this place + 1 on, as place + 1; 0: none. */
static size_t find(const struct gone *g, size_t at, uint64_t uidl)
{
	while (at != 0 && g->ids[at - 1].uidl != uidl)
		at = g->next[at - 1];
	return at;
}

bool gone_has(const struct gone *g, uint64_t uidl)
{
	return g != NULL && find(g, g->first[uidl % GONE_CHAINS], uidl) != 0;
}

/* Did whoever had it have this content? */
static bool had(const struct gone_id *id, uint64_t content, uint64_t stand_in)
{
	return id->content == gone_content(content) || (stand_in != 0 && id->content == stand_in);
}

bool gone_was_anothers(const struct gone *g, uint64_t uidl, uint64_t content, uint64_t stand_in)
{
	size_t at = g != NULL ? find(g, g->first[uidl % GONE_CHAINS], uidl) : 0;
	while (at != 0 && had(&g->ids[at - 1], content, stand_in))
		at = find(g, g->next[at - 1], uidl);
	return at != 0;
}

void gone_add(struct gone *g, uint64_t uidl, uint64_t content)
{
	if (g == NULL)
		return;
	for (size_t at = find(g, *chain_of(g, uidl), uidl); at != 0; at = find(g, g->next[at - 1], uidl))
		if (g->ids[at - 1].content == GONE_FOR_GOOD || g->ids[at - 1].content == content)
			return;
	const size_t place = (size_t)(g->count % INDEX_GONE_MAX);
	if (g->count >= INDEX_GONE_MAX)
		take_out(g, place);
	g->ids[place] = (struct gone_id){ .uidl = uidl, .content = content };
	link_in(g, place);
	g->count++;
}

void gone_write(struct gone *g, struct index *x)
{
	if (g == NULL || x->fd < 0 || g->count == g->written)
		return;
	const size_t from = (size_t)(g->written % INDEX_GONE_MAX), to = (size_t)(g->count % INDEX_GONE_MAX);
	const bool all = g->count - g->written >= INDEX_GONE_MAX, wraps = !all && to < from;
	const size_t first = all ? 0 : from, end = all || wraps ? INDEX_GONE_MAX : to;
	if ((end > first && io_write_at(x->fd, (const char *)&g->ids[first], (end - first) * sizeof *g->ids, INDEX_AREA + first * sizeof *g->ids) != 0) ||
	    (wraps && to > 0 && io_write_at(x->fd, (const char *)g->ids, to * sizeof *g->ids, INDEX_AREA) != 0))
		return;
	g->written = x->gone = g->count;
}
