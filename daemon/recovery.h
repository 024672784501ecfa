/*
 * recovery.h - finishes what a crash interrupted, at the server's start, before the users come.
 * Runs in: master. Trusts: the journal directory (root's), not the journals.
 */
#ifndef POSTERN_RECOVERY_H
#define POSTERN_RECOVERY_H

#include "daemon/settings.h"

/* Start a process that opens each maildrop with a journal that is not empty. Returns at once. */
void recover_maildrops(const struct settings *settings);

#endif
