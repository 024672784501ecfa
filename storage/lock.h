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
 * One session a maildrop: flock(2) a file of the maildrop's own in directory (made and owned by root, never
 * removed), tried for at most SESSION_LOCK_WAIT_MS. The file is named after the place with its links
 * resolved, and its content says who holds it, for people; it is never trusted.
 * On success *fd_r is the lock (taken by the caller; close it to let go; never pass it on).
 * -1 with REASON_MAILDROP_LOCKED (why_r->told: what the other wrote as its holder, printable) or another reason.
 */
int session_lock(const char *directory, const struct maildrop_place *place, const char *holder,
                 int *fd_r, struct why *why_r);

/* Lock a file of ours (flock(2)), tried for at most SESSION_LOCK_WAIT_MS. 0, or an errno: EWOULDBLOCK when it stayed busy. */
int flock_patiently(int fd);

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
