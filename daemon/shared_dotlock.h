/*
 * shared_dotlock.h - the dotlock helper of a shared worker: one process for all its sessions.
 * Runs in: keeper that is shared, and a child of it, as virtual_user. Trusts: the keeper, to say beside which mbox.
 */
#ifndef POSTERN_SHARED_DOTLOCK_H
#define POSTERN_SHARED_DOTLOCK_H

#include "daemon/settings.h"

/* Fork it, before the keeper is confined; where there are mboxes below root and dotlocks among their locks, else nothing. */
void shared_dotlock_start(const struct settings *settings, const char *root);

/* For the session on that mbox: what dotlock_helper of struct maildrop_options is to be; -1: there is no helper. */
int shared_dotlock_for(const struct maildrop_place *place);

#endif
