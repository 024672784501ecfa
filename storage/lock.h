/*
 * lock.h - the locks on a maildrop: ours for the session, and the host's for the moment.
 * Runs in: keeper (session lock as root, before become_owner(); the host's as the
 * mail's owner) and the dotlock helper. Trusts: nothing but the kernel's locks.
 * A library: returns, never logs, never exits.
 */
#ifndef POSTERN_LOCK_H
#define POSTERN_LOCK_H

#include "storage/maildrop.h"

enum {
	SESSION_LOCK_WAIT_MS = 500,    /* a session that just ended may need a moment to let go */
	DOTLOCK_STALE_SECONDS = 300,   /* an untouched dotlock older than this is a dead program's */
};

/*
 * The file by which sessions on one maildrop exclude each other: in directory (made and owned by root, never removed), named
 * after the place with its links resolved, and the mail's owner: nobody else can open that maildrop, and where the links are another user's
 * he could lead them to any place. *fd_r is taken by the caller; once it is locked, closing it lets go; never pass it on.
 * 0, or -1 and *why_r.
 */
int session_lock_open(const char *directory, const struct maildrop_place *place, uid_t owner, int *fd_r, struct why *why_r);

/* What the file says of the session that holds it: for people, never trusted. */
struct session_holder {
	int64_t since;            /* seconds since 1970 */
	pid_t pid;
	char peer[WHY_TOLD_MAX];  /* from where */
	char user[WHY_TOLD_MAX];  /* who; "" for none, as for a recovery. A longer name is cut */
};

/* A lock that is held. */
struct session_lock {
	int fd;                   /* borrowed */
	uid_t owner;              /* whose mailbox it is of */
	struct session_holder holder; /* zeros, where it says nothing */
};

/* Write it: this process, since now. When it cannot be written (a full disk), the lock is as good. */
void session_lock_write_holder(int fd, const char *peer, const char *user);

/* Read what the one who holds it has written, printable (buf_add_escaped()). 0; or -1: nothing, or something else. */
int session_lock_read_holder(int fd, struct session_holder *holder_r);

/*
 * Each lock of the directory that is held at this moment. A lock that is not is held here for that moment, shared, which a login waits for.
 * Files that are no locks are passed over. 0, or -1 and *why_r.
 */
int session_locks_held(const char *directory, void (*found)(void *context, const struct session_lock *lock), void *context, struct why *why_r);

/*
 * Lock a file of ours (flock(2)), tried for at most wait_ms. 0, or an errno: EWOULDBLOCK when it stayed busy, ECANCELED when
 * watch (borrowed; -1: none) could be read before.
 */
int flock_patiently(int fd, long long wait_ms, int watch);

/* Is the file that is open and locked still the one of that name? Who waited for the lock may have one that was removed or renamed. */
bool lock_is_called(int dir, int fd, const char *name);

/*
 * Must the dotlock beside this mbox be made by a helper, because its owner (uid, gid) may not write
 * the spool directory? Returns the group that may (to run the helper with), or (gid_t)-1 when no
 * helper is needed or none would help. Called as root.
 */
gid_t dotlock_helper_group(const struct maildrop_place *place, uid_t uid, gid_t gid);

/*
 * The helper's whole life: makes, refreshes and removes the one dotlock of `place` as asked on fd, until fd is at
 * its end; then removes its own lock if it still holds it. Runs with the spool's group, reads no mail.
 */
void dotlock_serve(int fd, const struct maildrop_place *place);

#endif
