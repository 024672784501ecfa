/*
 * lock_owner.h - which program holds a lock of the host's on an mbox, or a session's, where the kernel knows.
 * Runs in: keeper, as the mail's owner; dotlock helper; postern sessions. Trusts: /proc, for a name that people read; decides nothing by it.
 */
#ifndef POSTERN_LOCK_OWNER_H
#define POSTERN_LOCK_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LOCK_OWNER_MAX = 48 };

/*
 * Who holds a lock on the open file (flock or fcntl), by /proc/locks: "procmail (process 4711)". False when that is not known: the
 * kernel names no process for locks of open file descriptions (fcntl's F_OFD_*), and hides others' processes where /proc is mounted so.
 */
bool lock_owner_of_file(int fd, char owner_r[LOCK_OWNER_MAX]);

/* The process id that most programs write into their dotlock, or 0. */
pid_t lock_owner_in_dotlock(int dir_fd, const char *name);

/* The process, as above. False when there is none, or it is hidden. */
bool lock_owner_name(pid_t pid, char owner_r[LOCK_OWNER_MAX]);

/* Is that a program which delivers mail? By its name. */
bool lock_owner_delivers(const char *owner);

#endif
