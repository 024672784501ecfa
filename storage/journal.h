/*
 * journal.h - what an mbox's UPDATE is about to do, on the disk before it is done.
 * Runs in: journal_open() and journal_owner() as root; the rest in keeper, as the mail's owner. `postern recover`.
 * Trusts: the directory (root's). Not a journal's content: the owner of the mail could have written it.
 * A library: returns, never logs, never exits.
 *
 * A journal is a file of root's, which the owner's quota does not count, in a directory of root's; the keeper
 * opens it before it becomes the owner. Empty: nothing is under way. Else it is a chain of records,
 *
 *   struct record   kept octets   edge     struct record   octets that arrived since   edge     ...
 *
 * of which the last whole one counts, with the kept octets of all. A record that a crash tore has wrong digests and is not there.
 * So a journal in another form would be taken for a torn one and emptied, with the only whole copy of mail in it: whoever changes
 * struct record has to go on reading this one.
 */
#ifndef POSTERN_JOURNAL_H
#define POSTERN_JOURNAL_H

#include "storage/digest.h"
#include "storage/maildrop.h"

enum {
	JOURNAL_BUFFER = 128 * 1024,
	JOURNAL_EDGE_MAX = 64 * 1024,  /* the largest block of a file system that writes in place; an edge can be longer, and is read in pieces of it */
};

#define JOURNAL_ASIDE ".aside-"  /* stands in the name of one that was set aside, before the time */

/* In the file `ino` of `size` octets, `kept` octets take the place of what is behind the first `cut`; the file ends there. */
struct journal_plan {
	uint64_t dev, ino;     /* dev counts only where the file is missing: after a reboot the same disk may have another number */
	uint64_t size, cut, kept;
	uint64_t seed;         /* of the digests, at random: no sender of mail can know what they will be */
	struct digest head;    /* of the first `cut` octets */
	uint64_t edge;         /* octets behind the new end that may be zeros yet, or already: see docs/design.md (The journal) */
	struct digest edges;   /* of them */
	struct digest doomed;  /* of those behind the edge: still there, or cut off already? */
	struct digest tail;    /* of the `kept` octets */
};

enum journal_state {
	JOURNAL_EMPTY,
	JOURNAL_TORN,       /* written to, but no record is whole: nothing was done yet */
	JOURNAL_WHOLE,
	JOURNAL_SET_ASIDE,  /* what it says cannot be proven to be still to do */
};

struct journal {
	int fd;                             /* borrowed */
	enum journal_state state;
	struct journal_plan plan;           /* of the last whole record */
	char path[PATH_MAX];                /* of the mbox, as the record says */
	uint64_t end;                       /* behind the last whole record and its octets */
	uint64_t added, edged;              /* octets behind the record that is being written, and of its edge behind these */
	struct digest_state tail, edges;    /* of all octets to keep so far; of that edge */
};

/* ---- the file; as root ---- */

/*
 * Open the journal of a maildrop, which is made when it is missing, and lock it for as long as the descriptor is
 * open. One that was set aside is renamed to NAME.aside-TIME first. *fd_r is taken by the caller.
 * 0, or -1 with MAILDROP_LOCKED, UPDATE_UNFINISHED (it cannot be opened, and there is something in it; or too many were set aside), or another reason.
 */
int journal_open(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid, int *fd_r,
                 struct why *why_r);

/* So many that were set aside are kept of a maildrop. Whose next one would be one more has no session before somebody looks after them (`postern recover`). */
enum { JOURNALS_ASIDE_MAX = 16 };

/* Rename a journal that is marked as set aside. 0, or -1 and errno. The caller has it locked, under that name. */
int journal_move_aside(int dir, const char *name);

/*
 * Does a journal called `name` belong to the mbox at `path`? Then whose it is; path comes from a journal, so this is
 * what makes it trusted. 0 or -1.
 */
int journal_owner(const char *name, const char *path, uid_t *uid_r, gid_t *gid_r);

/* The path that its first record says. 0, or -1 when there is no such record. */
int journal_path(int fd, char path_r[PATH_MAX]);

/* Is the journal on fd marked as set aside? 1, 0, or -1 and errno. */
int journal_is_aside(int fd);

/* ---- its content ---- */

/* Read the journal on fd, all of it; with fd -1 there is none, which counts as empty. 0; or -1 and *why_r: it cannot be read. */
int journal_read(struct journal *j, int fd, struct why *why_r);

/* Begin the first record: for the mbox at path, with the seed for all digests of the plan. */
void journal_begin(struct journal *j, const char *path, uint64_t seed);

/* Add octets to a record behind the last whole one. */
int journal_add(struct journal *j, const char *octets, size_t len, struct why *why_r);

/* Add octets to its edge, when all others were added. */
int journal_add_edge(struct journal *j, const char *octets, size_t len, struct why *why_r);

/*
 * End the record: plan (its tail, edge and edges are filled in). 0: all is on the disk.
 * -1: the record does not count; when it is the first, the caller empties the journal.
 */
int journal_seal(struct journal *j, struct journal_plan *plan, struct why *why_r);

/* Of the plan.edge octets of the last whole record, len from `at` on. */
int journal_edge(const struct journal *j, uint64_t at, size_t len, char *edge_r, struct why *why_r);

/*
 * A journal that was found whole may be so in memory only: its writer was killed before it could sync, or could not; and after a failed fsync(2) the
 * kernel counts as written what it lost. So it is written once more as it is, and synced. buffer has JOURNAL_BUFFER octets.
 */
int journal_sync(struct journal *j, char *buffer, struct why *why_r);

/* Hand out the octets to keep, in pieces, in order. put() returns 0, or -1 and *why_r. buffer has JOURNAL_BUFFER octets. */
typedef int journal_put(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r);
int journal_kept(const struct journal *j, char *buffer, journal_put *put, void *context, struct why *why_r);

/* Empty it, on the disk. */
int journal_clear(struct journal *j, struct why *why_r);

/* Mark it as set aside, on the disk; it stays as it is otherwise. */
int journal_set_aside(struct journal *j, struct why *why_r);

#endif
