/*
 * restore.h - puts mail from a journal that was set aside back into its mbox.
 * Runs in: `postern recover`, as the mail's owner. Trusts: nothing in the maildrop or the journal.
 * A library: returns, never logs, never exits.
 */
#ifndef POSTERN_RESTORE_H
#define POSTERN_RESTORE_H

#include "storage/maildrop.h"

/*
 * Append to the open mbox each message of the mbox text in `kept` (a descriptor to read and write, borrowed; the text gets the line
 * end that it may lack) that it does not have; a message is the same when it would have the same unique-id, whatever its flags, and
 * also when it is the last one of the text and lacks the line end that it has in the mbox. Durable when it returns.
 * 0 and the number of messages that were appended, or -1 and *why_r, and the mbox is as it was.
 */
int mbox_put_back(struct maildrop *drop, int kept, size_t *appended_r, struct why *why_r);

#endif
