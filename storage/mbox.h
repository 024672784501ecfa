/*
 * mbox.h - the messages of an mbox and where they lie; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 *   From_ line    header, blank line, body    blank line    From_ line ...
 *   ^start        ^body                       ^end          ^next
 *
 * The client gets body..end; removing the message removes start..next.
 */
#ifndef POSTERN_MBOX_H
#define POSTERN_MBOX_H

#include <sys/stat.h>

#include "storage/digest.h"
#include "storage/format.h"
#include "storage/gone.h"
#include "storage/host_lock.h"
#include "storage/index.h"
#include "storage/journal.h"

enum {
	MBOX_BUFFER = 128 * 1024,
	MBOX_UIDL = 16,            /* octets of BLAKE2b that unique-ids are made of */
	MBOX_END_BEFORE = 3,       /* a line end, and perhaps a blank line */
	MBOX_FROM_LINE_MAX = 4096, /* longer lines are no From_ lines; RFC 5321 allows addresses of 256, and Postfix takes some of 2,000 */
};

/* A record of the list: begins as a struct list_hash. */
struct mbox_message {
	uint64_t octets;           /* on the wire */
	unsigned char uidl[MBOX_UIDL];
	uint32_t copy;             /* 1 for the first message with this unique-id, then 2 ...; 0: the unique-id is what another server told */
	uint16_t body;             /* counted from start */
	uint8_t separator;         /* octets from end to next */
	uint8_t reserved;
	uint64_t start;
	uint64_t digest;           /* of start..end, */
	uint32_t digest_high;      /* 96 of its bits */
	uint32_t content;          /* folded: of the Message-ID, or else of the text; other headers and From_ lines do not change it */
};
_Static_assert(offsetof(struct mbox_message, body) == offsetof(struct mbox_message, copy) + sizeof(uint32_t) &&
               offsetof(struct mbox_message, copy) == offsetof(struct mbox_message, uidl) + MBOX_UIDL, "a unique-id in one piece");
_Static_assert(offsetof(struct mbox_message, octets) == offsetof(struct list_hash, octets) &&
               offsetof(struct mbox_message, uidl) == offsetof(struct list_hash, uidl) &&
               offsetof(struct mbox_message, copy) == offsetof(struct list_hash, copy) && (int)MBOX_UIDL == (int)LIST_UIDL_HASH,
               "the gate reads these");
_Static_assert((int)MBOX_BUFFER == (int)JOURNAL_BUFFER && MBOX_BUFFER == 2 * JOURNAL_EDGE_MAX, "one buffer does for all");
_Static_assert(sizeof(struct mbox_message) <= 56, "a million messages are to cost little memory");

/* Another server's numbers, as the first message had them when the first list was made: those up to `last` are its. validity 0: there are none. */
struct mbox_numbers {
	uint32_t validity, last;
	uint32_t validity_first;   /* in the unique-ids that it told: 0, or 1 for TOLD_VALIDITY_FIRST */
};

struct mbox {
	struct maildrop drop;
	char *path;
	const char *name;          /* the last component of path */
	int dir_fd;                /* its directory */
	int fd;                    /* -1: there is no such file, or it is empty */
	int read_only;             /* 0, or the errno why it could not be opened for writing */
	struct stat scanned;       /* the file as the scan saw it */
	bool fresh;                /* not all of the list was proven, or the file's times may hide another write */
	struct host_locks locks;
	struct journal journal;
	struct index index;
	struct gone *gone;         /* NULL: nothing is remembered */
	struct mbox_message *messages;  /* in the image, behind its header */
	size_t room;
	bool sampled;              /* the list was believed without reading all of the file */
	uint64_t beyond;           /* the least end that a Content-Length pointed to behind the end of the file; 0: none */
	uint64_t next;             /* of the last message */
	struct mbox_numbers numbers;
	bool take_numbers;         /* there is no list yet: what the file says of them holds */
	bool internal;             /* begins with another program's pseudo message: stays, is not shown */
};

/* The mbox that a maildrop of this format is; made as a whole, with the alignment of the whole. */
static inline struct mbox *mbox_of(struct maildrop *drop)
{
	void *whole = drop;
	return whole;
}

/* The messages of an image, behind its header. */
static inline struct mbox_message *mbox_messages(const struct image *image)
{
	struct list_header *h = image->octets;
	return (struct mbox_message *)(h + 1);
}

static inline uint64_t mbox_next(const struct mbox *m, size_t idx)
{
	return idx + 1 < m->drop.count ? m->messages[idx + 1].start : m->next;
}

/* gone_hash() of a unique-id. */
static inline uint64_t mbox_uidl_hash(const struct mbox_message *message)
{
	return gone_hash(message->uidl, offsetof(struct mbox_message, body) - offsetof(struct mbox_message, uidl));
}

static inline uint64_t mbox_end(const struct mbox *m, size_t idx)
{
	return mbox_next(m, idx) - m->messages[idx].separator;
}

/* Does the record lead to a message between the next one and itself? Those of an index may not, whatever its digests say. */
static inline bool mbox_is_placed(const struct mbox *m, size_t idx)
{
	const struct mbox_message *message = &m->messages[idx];
	const uint64_t next = mbox_next(m, idx);
	return message->start <= next && next <= m->next && next - message->start >= (uint64_t)message->body + message->separator;
}

/* Do all of them? */
bool mbox_is_sound(const struct mbox *m);

/*
 * Does a valid From_ line begin at text? Its length with the line end, or 0. len octets can be
 * seen; at_eof says that these are the file's last, so that the line may lack its end.
 */
size_t mbox_from_line(const char *text, size_t len, bool at_eof);

/*
 * Could a message end at `here`? At the end of the file, or at a From_ line with a blank line before it, on either side. Anything else is a wrong
 * Content-Length, which is common: the field travels with mail that programs changed on the way. As above; MBOX_END_BEFORE octets before it can be seen, too.
 */
bool mbox_ends_at(const char *here, size_t len, bool at_eof);

/* Octets of the line end that text begins with: 1, 2, or 0 when there is none. */
size_t mbox_line_end(const char *text, size_t len);

/* Fill in messages and count from the first `size` octets of fd. The caller holds the locks. */
int mbox_parse(struct mbox *m, uint64_t size, struct why *why_r);

/* Tell equal messages apart, in the order of the file. 0, or -1 and *why_r. */
int mbox_number_copies(struct mbox *m, struct why *why_r);

/* Is that unique-id one of a message that is gone? */
static inline bool mbox_is_gone(const struct mbox *m, const struct mbox_message *message)
{
	return m->gone != NULL && gone_has(m->gone, mbox_uidl_hash(message));
}

/* Remember the unique-id of a message that is gone. */
void mbox_remember_gone(struct mbox *m, const struct mbox_message *message);

/*
 * The list was made by reading, and is held against what the index has: those that are not there any more are remembered.
 * 0, or -1 and *why_r: NO_MEMORY, or IDS_CHANGED when most are there under other unique-ids, which is not allowed.
 */
int mbox_compare(struct mbox *m, const struct mbox_message *old, size_t count, struct why *why_r);

/* Those that the index knows keep the numbers that they have there. */
void mbox_keep_copies(struct mbox *m, const struct mbox_message *old, size_t count);

/*
 * The same from octet `from` on, where a message that is not the first begins; without the copies' numbers. The first
 * `numbered` messages at most have the unique-ids that another server told.
 */
int mbox_parse_from(struct mbox *m, uint64_t from, uint64_t size, size_t numbered, struct why *why_r);

bool mbox_same_time(const struct timespec *a, const struct timespec *b);

/* The file as scanned: its list by the index, or by reading it. The caller holds the locks. */
int mbox_list(struct mbox *m, struct why *why_r);

/* A message is not what a list says that was never proven: read all anew. 0: the list holds after all, with new places. */
int mbox_list_again(struct mbox *m, struct why *why_r);

/* After UPDATE, with the locks held: what is left, for the next login. */
void mbox_list_left(struct mbox *m, const bool *marks);

/* Complete the image's header. */
void mbox_seal_image(struct mbox *m);

/* One sentence about this mbox for the log. */
void mbox_notice(const struct mbox *m, enum notice weight, const char *what);

/* Takes octets of the file, that lie at `at`. 0, or -1 and *why_r. */
typedef int mbox_take(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r);

/* Read the file's octets from..to in pieces. buffer has MBOX_BUFFER octets. 0, or -1 and *why_r. */
int mbox_read(struct mbox *m, uint64_t from, uint64_t to, char *buffer, mbox_take *take, void *context, struct why *why_r);

/*
 * Does the message still lie where the scan saw it? 0, or -1 with MESSAGE_CHANGED or another reason. take, which may be
 * NULL, gets all that removing the message removes. buffer has MBOX_BUFFER octets.
 */
int mbox_verify(struct mbox *m, size_t idx, char *buffer, mbox_take *take, void *context, struct why *why_r);

/* RFC 1939's UPDATE; see maildrop.h. */
int mbox_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);

#endif
