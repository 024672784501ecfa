/*
 * index.h - what the last login found in a maildrop, so that the next need not look again; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in an index but what its digests prove whole; and that only as far as
 * the maildrop's format holds it against the files.
 * A library: returns, never logs, never exits.
 *
 * One file of root's a maildrop: a head, a ring of the unique-ids of messages that are gone (storage/gone.h), and from
 * INDEX_IMAGES on one image of a list (base/list.h). A new image goes where the current one is not, because a gate may have
 * that mapped; the head follows, and has the digests of both. Nothing is synced: what a crash tore has another digest.
 * The ring has none: it is written before the head that counts its entries, and an entry that is damaged is an id that
 * nobody has.
 */
#ifndef POSTERN_INDEX_H
#define POSTERN_INDEX_H

#include <stdbool.h>

#include "storage/digest.h"
#include "storage/format.h"

enum {
	INDEX_STATE = 256,           /* octets for what the format needs to know of the maildrop */
	INDEX_AREA = 4096,           /* images begin at a multiple of it, as mmap(2) wants; the ring is at the first */
	INDEX_GONE_MAX = 4096,       /* unique-ids of messages that are gone: the oldest is forgotten first */
	INDEX_GONE_SIZE = 16,        /* octets of each */
	INDEX_IMAGES = INDEX_AREA + INDEX_GONE_MAX * INDEX_GONE_SIZE,
	INDEX_MAP_MIN = 64 * 1024,   /* smaller images are read: a mapping costs more */
	INDEX_SPARE_IMAGES = 2,      /* octets behind the image, in sizes of it, that the file may have too many */
	INDEX_QUIET_SECONDS = 2,     /* stamps older than that show any later change: more than the grain of any clock */
};

#define INDEX_MAGIC "POPINDX2"

struct index_head {
	char magic[8];
	uint64_t offset, size;       /* of the image */
	struct digest image;
	int64_t written;             /* seconds since 1970 */
	uint8_t state[INDEX_STATE];
	uint64_t gone;               /* entries of the ring that were ever written */
	uint64_t directory_dev, directory_ino; /* as in struct maildrop_trace; 0 as well in the index of an older version */
	uint8_t reserved[512 - 16 - 8 - 16 - 8 - 8 - 16 - INDEX_STATE - 16];
	struct digest head;          /* of all before it */
};
_Static_assert(sizeof(struct index_head) == 512, "one block");

/* An index that may be there. */
struct index {
	int fd, read_fd;             /* -1: none; borrowed */
	bool frozen;                 /* nothing of an image may be written */
	bool there;                  /* the head is whole, and says where an image is */
	uint64_t gone;               /* as in the head, also when there is no image */
	const char *path;            /* of the maildrop; borrowed */
	struct index_head head;
};

/* Read the head. path is the maildrop's, and outlives the index. */
void index_begin(struct index *x, const struct maildrop_options *options, const char *path);

/* The state that was written with the image, or NULL when there is no index. */
const void *index_state(const struct index *x);

/* Did the clock go back since it was written? Then a stamp that is as it was proves nothing. What clients were told holds. */
bool index_is_ahead(const struct index *x);

/* What it knows of the last login; zeros where index_state() has nothing. */
struct maildrop_trace index_trace(const struct index *x);

/* Read or map the image and prove it whole. 0 and *image_r, or -1: there is no index. */
int index_image(struct index *x, enum list_kind kind, size_t record_size, struct image *image_r);

/* The image in the file once more, as it was proven or written before. 0, or -1. */
int index_again(const struct index *x, struct image *image_r);

/* Write image and state; afterwards the image is in the file, at head.offset. 0, or -1: it could not be written. */
int index_write(struct index *x, const struct image *image, const void *state, size_t state_size);

/*
 * The image in the file, as index_image() gave it, gets `added` octets in place of those from `from` on, and that header.
 * 0, or -1: it could not be written, and the image in the file may be none any more.
 */
int index_append(struct index *x, const struct image *image, const struct list_header *header, size_t from, const void *added,
                 size_t added_size, const void *state, size_t state_size);

/*
 * The image in the file, as it was proven or written before, gets its header and `size` octets from `from` on once more, as they are in
 * `image` by now, which differs nowhere else. Only when no gate reads it any more. 0, or -1: as for index_append().
 */
int index_amend(struct index *x, const struct image *image, size_t from, size_t size);

/*
 * The image stays, with another state: what clients were told of the messages holds, though nothing else may. index_drop() where that cannot be
 * written.
 */
void index_restate(struct index *x, const void *state, size_t state_size);

/* The head once more, when nothing but the ring was written. */
void index_keep(struct index *x);

/* From now on there is no image: the next login reads everything. Only the ring stays. */
void index_drop(struct index *x);

#endif
