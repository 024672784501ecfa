/*
 * mbox_rewrite.h - the journalled rewrite of an mbox and its recovery; inside storage/ only.
 * Runs in: keeper, as the mail's owner, with the host's locks held for writing. Trusts: nothing in the maildrop.
 *
 * All return 0, or -1 and *why_r. buffer has MBOX_BUFFER octets.
 */
#ifndef POSTERN_MBOX_REWRITE_H
#define POSTERN_MBOX_REWRITE_H

#include "storage/mbox.h"

/* An mbox_take: the octets go into the journal's record that is being written. context is the struct mbox. */
int mbox_take_to_journal(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r);

/* An mbox_take: the octets go into the edge of that record, for mbox_append(). context is the struct mbox. */
int mbox_take_to_edge(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r);

/* The journal as UPDATE needs it: there is one, and it is empty. */
int mbox_ready_journal(struct mbox *m, struct why *why_r);

/* The file's octets, now. */
int mbox_size(const struct mbox *m, uint64_t *size_r, struct why *why_r);

/* End that record; plan lacks nothing but what has to do with the doomed octets, and the digest of the kept ones. */
int mbox_seal_journal(struct mbox *m, struct journal_plan *plan, char *buffer, struct why *why_r);

/* Do what the whole journal says. -1 with UPDATE_UNFINISHED: the file is half rewritten, and the journal stays. */
int mbox_do_journal(struct mbox *m, char *buffer, bool arrived, struct why *why_r);

/*
 * Append the octets in the edge of the journal's first record to the file of plan->cut octets, on the disk; plan has dev, ino, cut and the seed
 * that the record was begun with. Whoever is killed here has done nothing: the next who opens the maildrop cuts off what is there of it.
 * -1: the file is as it was; or with UPDATE_UNFINISHED will be then.
 */
int mbox_append(struct mbox *m, struct journal_plan *plan, char *buffer, struct why *why_r);

/* Cut the file off, on the disk. arrived: it holds mail that nobody has read. */
int mbox_cut_off(struct mbox *m, uint64_t size, bool arrived, struct why *why_r);

/* The journal is whole, and its mailbox not to be seen: says what to do. */
int mbox_not_mounted(const struct mbox *m, struct why *why_r);

/* At open, with the journal read: finish what a crash interrupted, or set it aside, and say so in the log. */
int mbox_recover(struct mbox *m, struct why *why_r);

#endif
