/*
 * list.h - the list of messages as keeper and gate share it: a header, a record for each message, names behind them.
 * Runs in: keeper (storage/ makes it), gate (reads it). Trusts: nothing in an image; no number in it leads out of it.
 *
 * Pointer-free, as it lies in an index file or a memfd. Two kinds of records: a Maildir's, whose unique-ids mostly are names,
 * and an mbox's, whose unique-ids are hashes. What the gate needs is in the first octets; the rest is the keeper's.
 */
#ifndef POSTERN_LIST_H
#define POSTERN_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UIDL_MAX = 70,            /* RFC 1939 section 7: 1 to 70 octets of 0x21..0x7E */
	LIST_DIGEST = 16,
	LIST_UIDL_HASH = 16,      /* octets of a hash; 32 digits on the wire */
	LIST_UIDL_TEXT = LIST_UIDL_HASH, /* octets of a unique-id that stands where a hash would */
	LIST_NAME_MAX = 254,      /* octets of a name */
	LIST_ANCHOR = 16,         /* one name in so many is there as a whole */
};
#define LIST_OCTETS_MAX ((UINT64_C(1) << 48) - 1) /* of a message in a list of names */

#define LIST_MAGIC "POPLIST4"
#define LIST_MAGIC_OCTETS { 'P', 'O', 'P', 'L', 'I', 'S', 'T', '4' }

enum list_kind { LIST_NAMES = 1, LIST_HASHES = 2 };

struct list_header {
	char magic[8];
	uint32_t kind;            /* enum list_kind */
	uint32_t record_size;
	uint64_t count;           /* records */
	uint64_t names;           /* octets behind the records */
	uint64_t octets;          /* of all messages on the wire */
	uint8_t digest[LIST_DIGEST]; /* of all unique-ids in their order: two lists with the same one are alike */
	uint64_t reserved;
};
_Static_assert(sizeof(struct list_header) == 64, "crosses between processes");

/*
 * LIST_NAMES. Names that follow each other begin and end alike: a record has what is its own between the octets that it shares
 * with its anchor, the last record before it, or itself, whose index is a multiple of LIST_ANCHOR. That one shares nothing.
 */
struct list_name {
	uint64_t octets : 48;     /* exactly what RETR sends, without the final dot line (base/wire.h); with LIST_UNOPENED what the file's name says of that */
	uint64_t prefix : 8, suffix : 8; /* octets of the name that are the anchor's first, and its last */
	uint64_t digest;          /* of the stored octets; with LIST_UNOPENED of their number, that on the wire and the file's time */
	uint32_t name;            /* where the rest of the file's name begins in the names */
	uint32_t identity;        /* of the file's inode, size and times, folded */
	uint32_t inode;           /* as the directory lists it, folded */
	uint8_t len, base;        /* octets of the name; of the name without flags */
	uint8_t uidl;             /* octets of the unique-id, which is how the name begins, or follows the rest of it: */
	uint8_t flags;            /* a sum of enum list_flag */
};
_Static_assert(sizeof(struct list_name) == 32, "crosses between processes");
enum list_flag {
	LIST_IN_CUR = 1, LIST_UIDL_BEHIND = 2,
	LIST_AS_STORED = 4,       /* on the wire it is the octets that are stored (base/wire.h) */
	LIST_UNOPENED = 8,        /* nobody has read the file: its size is by its name */
};

/* LIST_HASHES: how each record begins. */
struct list_hash {
	uint64_t octets;
	unsigned char uidl[LIST_UIDL_HASH];
	uint32_t copy;            /* above 1: -N behind the digits; 0: no hash, but the unique-id itself */
};

/* An image that was looked at. */
struct list {
	const struct list_header *header;
	const unsigned char *records;
	const char *names;
	size_t count, record_size, names_len;
	uint64_t octets;
};

/* Octets of an image with so many records and names. */
size_t list_size(const struct list_header *header);

/* Is this the image of a list? 0 and *list_r, which points into it (it is 8-octet aligned and must outlive the list), or -1. */
int list_open(struct list *list_r, const void *image, size_t size);

/* idx is less than count. */
uint64_t list_octets(const struct list *list, size_t idx);

/* Is that size only what a name says? idx is less than count. */
bool list_is_unopened(const struct list *list, size_t idx);

/*
 * For a list of names: writes the file's name without a NUL, and anything behind it; its octets, or 0: it would lead out of the image. What the name
 * is made of was not looked at.
 */
size_t list_name_text(const struct list *list, size_t idx, char out[LIST_NAME_MAX]);

/* Where in the names a unique-id is that does not follow from the name, with LIST_UIDL_BEHIND; NULL: out of the image. */
const char *list_uidl_behind(const struct list *list, const struct list_name *record);

/* Writes the unique-id without a NUL, and anything behind it; its octets, 1 to UIDL_MAX. One that would lead out of the image is "?". */
size_t list_uidl(const struct list *list, size_t idx, char out[UIDL_MAX]);

/* The lines of LIST or UIDL (RFC 1939 sections 5 and 7) for all messages, in pieces: which list, and how far. */
struct listing {
	const struct list *list;
	const bool *left_out;     /* list->count of them: messages that have no line; NULL: all have one */
	bool uidl;
	size_t next;              /* idx */
};

enum { LISTING_ROOM = 160 };  /* for the longest line, and what is written and lost behind it */

/*
 * Writes lines to out, of which any number of octets up to `room` is in use then or lost: until all messages had theirs
 * (l->next is list->count), or fewer than LISTING_ROOM octets are left. How many octets the lines have.
 */
size_t listing_lines(struct listing *l, char *out, size_t room);

#endif
