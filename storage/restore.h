/*
 * restore.h - puts mail from a journal that was set aside back into its mbox.
 * Runs in: `postern recover`, as the mail's owner. Trusts: nothing in the maildrop or the journal.
 * A library: returns, never logs, never exits.
 */
#ifndef POSTERN_RESTORE_H
#define POSTERN_RESTORE_H

#include "storage/maildrop.h"

/*
 * Append to the open mbox each message of the mbox text in `kept` (a descriptor, borrowed) that it does not have; a
 * message is the same when it would have the same unique-id, whatever its flags. Durable when it returns.
 * 0 and the number of messages that were appended, or -1 and *why_r, and the mbox is as it was.
 */
int mbox_put_back(struct maildrop *drop, int kept, size_t *appended_r, struct why *why_r);

#endif
