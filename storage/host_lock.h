/*
 * host_lock.h - the locks that the host's mail programs keep on an mbox; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the spool directory.
 */
#ifndef POSTERN_HOST_LOCK_H
#define POSTERN_HOST_LOCK_H

#include "storage/dotlock.h"
#include "storage/maildrop.h"

/* The mbox to lock, and what is held of it. */
struct host_locks {
	const struct maildrop_options *options;  /* borrowed */
	const char *path;                        /* for sentences; borrowed */
	const char *name;                        /* in dir_fd; borrowed */
	int dir_fd;                              /* borrowed */
	int fd;                                  /* while held: the locked file; borrowed */
	size_t held;                             /* how many of options->locks */
	bool dotlocked;                          /* one of these, and there is a lock file: where none can be made it counts as held for reading */
	struct dotlock dotlock;
	int64_t refreshed_ms;
};

/* path and name must outlive the lock. 0, or -1 when the name is too long for a dotlock. */
int host_lock_init(struct host_locks *lock, const struct maildrop_options *options, const char *path, int dir_fd,
                   const char *name, struct why *why_r);

/*
 * Take all locks on fd, for writing or only for reading. Tries for HOST_LOCK_SECONDS.
 * 0; or -1 with MAILDROP_BUSY or MAILDROP_DELIVERY (why_r->told: the other program, where it is known), with MAILDROP_CHANGED when the path leads to
 * another file by now (open it and try again), or another reason.
 */
int host_lock_take(struct host_locks *lock, int fd, bool write, struct why *why_r);

/* To be called now and then during long work: keeps the dotlock from looking stale. 0, or -1 when it was lost. */
int host_lock_refresh(struct host_locks *lock, struct why *why_r);

/* In reverse order; does nothing when nothing is held. */
void host_lock_release(struct host_locks *lock);

#endif
