/*
 * dotlock.h - the lock file beside an mbox; inside storage/ only.
 * Runs in: keeper, as the mail's owner, or the dotlock helper, with the spool's group.
 * Trusts: nothing in the spool directory.
 */
#ifndef POSTERN_DOTLOCK_H
#define POSTERN_DOTLOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
	DOTLOCK_WATCH_MS = 1000,  /* a lock file that looks stale has to stay as it is for so long before it is removed */
};

/* What tells one lock file, and one touch of it, from another. */
struct dotlock_sight {
	dev_t dev;
	ino_t ino;
	struct timespec modified;
};

struct dotlock {
	int dir_fd;                   /* borrowed */
	char name[NAME_MAX + 1];
	bool held;
	struct dotlock_sight ours;    /* while held */
	struct dotlock_sight watched; /* another's, that looks stale */
	int64_t watched_since_ms;
};

/* For the file called mbox_name in dir_fd. 0 or an errno. */
int dotlock_init(struct dotlock *lock, int dir_fd, const char *mbox_name);

/* One try, without waiting: 0, EEXIST when another program has it, or another errno. */
int dotlock_take(struct dotlock *lock);

/* Tell the others that we are alive: 0, or ESTALE when the lock is no longer ours. */
int dotlock_refresh(struct dotlock *lock);

/* Let go; does nothing when it is not held. 0, or an errno when our lock file had to stay. */
int dotlock_release(struct dotlock *lock);

/* Commands to dotlock_serve(), one octet each; the answer is an int, 0 or an errno as above; that to OWNER -pid, or 0. */
enum dotlock_command { DOTLOCK_TAKE = 'L', DOTLOCK_REFRESH = 'R', DOTLOCK_RELEASE = 'U', DOTLOCK_OWNER = 'O' };

#endif
