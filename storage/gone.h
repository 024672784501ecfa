/*
 * gone.h - the unique-ids of messages that are gone, so that no other message gets one of them; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the ring: an entry that is none is an id that nobody has.
 *
 * Up to INDEX_GONE_MAX, in the index's file; the oldest is forgotten first. A client that leaves mail on the server would
 * never fetch a message that has the unique-id of one which it has fetched.
 */
#ifndef POSTERN_GONE_H
#define POSTERN_GONE_H

#include "storage/index.h"

/* An entry of the ring. */
struct gone_id {
	uint64_t uidl;             /* gone_hash() */
	uint64_t content;          /* whoever has this content, or this for a stand-in, gets the unique-id back; GONE_FOR_GOOD: nobody does */
};
_Static_assert(sizeof(struct gone_id) == INDEX_GONE_SIZE, "as the index has it");

enum { GONE_FOR_GOOD = 0, GONE_CHAINS = 4096 };

struct gone {
	uint64_t count, written;   /* entries ever made; of these in the file */
	uint16_t first[GONE_CHAINS], next[INDEX_GONE_MAX];  /* entries whose hashes end alike: place + 1, or 0 */
	struct gone_id ids[INDEX_GONE_MAX];
};

/* What the index remembers, which may be nothing. To be freed with free(3); NULL without memory, or without an index. */
struct gone *gone_read(const struct index *x);

/* Remember a unique-id, with the content that may have it again, or GONE_FOR_GOOD. g may be NULL. */
void gone_add(struct gone *g, uint64_t uidl, uint64_t content);

/* Is this unique-id remembered at all? g may be NULL: no. */
bool gone_has(const struct gone *g, uint64_t uidl);

/* Was it that of another message than one with this content, or with what stood in for it (0: nothing did)? g may be NULL: no. */
bool gone_was_anothers(const struct gone *g, uint64_t uidl, uint64_t content, uint64_t stand_in);

/* Put what is new into the ring; the head that counts it is the caller's. Does nothing when there is no index to write to. */
void gone_write(struct gone *g, struct index *x);

/* Of the octets that make up a unique-id. */
static inline uint64_t gone_hash(const void *uidl, size_t len)
{
	return XXH3_64bits(uidl, len);
}

/* A digest that can stand in an entry. */
static inline uint64_t gone_content(uint64_t digest)
{
	return digest != GONE_FOR_GOOD ? digest : 1;
}

#endif
