/*
 * enter.h - the way into a user's maildrop: the locks that only root can take, then the owner's rights, then the mail.
 * Runs in: keeper and recovery, as root when it begins (or as the one user that is served), as the mail's owner afterwards.
 * Trusts: the configuration and the user database.
 */
#ifndef POSTERN_ENTER_H
#define POSTERN_ENTER_H

#include "daemon/bell.h"
#include "daemon/settings.h"
#include "storage/maildrop.h"

struct entry {
	int lock;             /* the session lock, -1 when not held */
	int bell;             /* by which later logins reach us, -1 when there is none */
	int journal;          /* mbox, -1 when there is none */
	int dotlock_helper;   /* -1 when there is none */
	struct index_files index;
	struct maildrop *drop;
	bool took_over;       /* the maildrop was another session's a moment ago */
	bool rights_gone;     /* became the owner: no other maildrop can be entered */
	/* Who has it, when the reason is REASON_MAILDROP_LOCKED. */
	enum { HOLDER_UNKNOWN, HOLDER_SILENT, HOLDER_ANSWERED } holder_known;
	struct bell_state holder;
};

#define NO_ENTRY ((struct entry){ .lock = -1, .bell = -1, .journal = -1, .dotlock_helper = -1, .index = NO_INDEX })

/* Who wants in. */
struct entrant {
	const struct settings *settings;
	const struct maildrop_place *place;
	uid_t uid;
	gid_t gid;
	const char *user;     /* who, and from where; for whoever meets the lock. A user of "" is none: the server itself */
	const char *peer;
	enum on_locked on_locked;
	bool confined;        /* from then on nothing can be opened but the maildrop (sandbox.h); not where the process is confined to all mail (shared.h) */
	int watch;            /* waiting ends when this can be read (the server stops); -1: nothing to watch */
	void (*shed)(void *context);  /* called while we still are root, here and in the helper: let go of what the owner must not have; NULL: nothing */
	void (*notice)(void *context, enum notice weight, const char *text);  /* as in maildrop.h */
	void *context;
};

/*
 * Lock the maildrop, become uid and gid, open it.
 * 0; or -1 and *why_r, and e->rights_gone tells how far it came. In both cases leave_maildrop() is to be called.
 */
int enter_maildrop(struct entry *e, const struct entrant *who, struct why *why_r);

/* The log's priority for a notice (syslog(3)). */
int notice_priority(enum notice weight);

/* Close the maildrop and let go of all locks. */
void leave_maildrop(struct entry *e);

#endif
