/*
 * enter.h - the way into a user's maildrop: the locks that only root can take, then the owner's rights, then the mail.
 * Runs in: keeper and recovery, as root when it begins (or as the one user that is served), as the mail's owner afterwards.
 * Trusts: the configuration and the user database.
 */
#ifndef POSTERN_ENTER_H
#define POSTERN_ENTER_H

#include "daemon/settings.h"
#include "storage/maildrop.h"

struct entry {
	int lock;             /* the session lock, -1 when not held */
	int journal;          /* mbox, -1 when there is none */
	int dotlock_helper;   /* -1 when there is none */
	struct maildrop *drop;
	bool rights_gone;     /* became the owner: no other maildrop can be entered */
};

#define NO_ENTRY ((struct entry){ .lock = -1, .journal = -1, .dotlock_helper = -1 })

/*
 * Lock the maildrop at place, become uid and gid, open it. holder: for people who meet the lock. notice as in maildrop.h.
 * 0; or -1 and *why_r, and e->rights_gone tells how far it came. In both cases leave_maildrop() is to be called.
 */
int enter_maildrop(struct entry *e, const struct settings *settings, const struct maildrop_place *place, uid_t uid, gid_t gid,
                   const char *holder, void (*notice)(void *, enum notice, const char *), void *context, struct why *why_r);

/* The log's priority for a notice (syslog(3)). */
int notice_priority(enum notice weight);

/* Close the maildrop and let go of all locks. */
void leave_maildrop(struct entry *e);

#endif
