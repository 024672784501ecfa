/*
 * changes.h - has most of a maildrop other unique-ids than at the last login? Inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 *
 * A maildrop that was restored under other names, or written anew with other headers, is the same mail to its owner and all
 * new to every client, which would fetch it once more. What is compared are contents that differ from each other: a
 * message that came a hundred times counts once, so that lists, empty messages and duplicates prove nothing.
 */
#ifndef POSTERN_CHANGES_H
#define POSTERN_CHANGES_H

#include "storage/format.h"

enum { CHANGES_MIN = 20 };  /* messages with other unique-ids, and more than half of those known, up to which none is refused */

enum changes_kind { CHANGES_KNOWN, CHANGES_LOST, CHANGES_FRESH, CHANGES_KINDS };

/* The contents of messages: known by the index, and of these whose unique-id is gone; and with one that is new. */
struct changes {
	uint64_t *contents[CHANGES_KINDS];
	size_t count[CHANGES_KINDS];
};

/* Is it worth looking closer, with so many unique-ids that are gone, and so many that are new? */
bool changes_are_many(size_t lost, size_t fresh);

/* Room for so many; changes_may_be() or changes_end() frees it. 0, or -1 and *why_r. */
int changes_begin(struct changes *c, size_t known, size_t lost, size_t fresh, struct why *why_r);

/* A lost one is known as well, and need not be added twice. */
void changes_add(struct changes *c, enum changes_kind kind, uint64_t content);

/*
 * All that are known and lost were added: are so many lost that those which are new have to be looked at? If not, it is over, and
 * changes_end() is not to be called.
 */
bool changes_may_be(struct changes *c);

/* 0: the list may be told; if that is so by the setting alone, with a notice. Or -1 and *why_r: IDS_CHANGED. */
int changes_end(struct changes *c, const struct maildrop *drop, const char *path, struct why *why_r);

#endif
