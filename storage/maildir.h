/*
 * maildir.h - the table of messages that the scan of a Maildir makes; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#ifndef POSTERN_MAILDIR_H
#define POSTERN_MAILDIR_H

#include <sys/stat.h>

#include "storage/format.h"

enum maildir_dir { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_DIRS };

enum {
	MAILDIR_ROUNDS_MAX = 12,      /* how often to look again for a file that is being renamed, or a listing that grows */
	MAILDIR_BUFFER = 64 * 1024,   /* for reading messages */
};

enum maildir_state {
	ENTRY_LISTED,   /* a name; not opened yet */
	ENTRY_LOST,     /* the name led to nothing: look for its new one */
	ENTRY_READY,    /* opened, checked, counted */
	ENTRY_DROPPED,  /* not a message, or gone */
};

/* One message. Its base name (the name without flags) and inode are what it is; name and dir are where it was last seen. */
struct maildir_entry {
	uint64_t listed_ino;     /* as the directory said: a hint, some file systems make it up */
	uint64_t delivered;      /* the number that the base name begins with */
	uint64_t octets;         /* on the wire */
	uint64_t size;           /* stored */
	ino_t ino;
	dev_t dev;
	struct timespec modified;
	uint32_t name;           /* offset in names */
	uint32_t seen;           /* the last scan that saw it */
	uint8_t len, room, base_len;
	uint8_t dir;
	uint8_t state;
	bool needs_change;       /* on the wire it is not the octets that are stored */
	bool twin;               /* another message has the same base name and came first */
	uint8_t touched;         /* UPDATE: bit set of directories to make durable */
};

struct maildir {
	struct maildrop drop;
	char *path;
	int dir_fd[MAILDIR_DIRS];  /* -1: there is none, it counts as empty */
	struct maildir_entry *entries;
	size_t entry_count, entry_room;
	char *names;               /* NUL-terminated names, one after the other */
	size_t names_len, names_room;
	uint32_t *slots;           /* hash table by base name: index of an entry + 1, or 0 */
	size_t slot_count;         /* a power of two */
	uint32_t *order;           /* idx to index of entry */
	char *buffer;              /* MAILDIR_BUFFER octets of a message */
	char *listing;             /* names as the kernel lists them */
	size_t listing_room;
	uint32_t scan;             /* number of the scan that is on or was last */
	size_t news;               /* entries that this pass saw first in the scan */
	size_t wanted;             /* once numbered: lost entries that this scan has not seen yet */
	bool noticed;              /* the oddities are in the log */
};

static inline char *maildir_name(const struct maildir *m, const struct maildir_entry *e)
{
	return m->names + e->name;
}

/*
 * List new/ and cur/ until nothing new turns up. Before the messages are numbered this adds
 * entries, and sizes those that are ENTRY_LOST as soon as it sees them; afterwards it
 * only finds the names of those that are ENTRY_LOST, and stops when it has them all.
 * An entry whose seen differs from m->scan afterwards is not there any more.
 */
int maildir_scan(struct maildir *m, bool numbered, struct why *why_r);

/* An entry by base name, starting behind `after` (NULL: the first); NULL when there is no further one. */
struct maildir_entry *maildir_find(const struct maildir *m, const char *base, size_t base_len,
                                   const struct maildir_entry *after);

/* Open an entry, check it and count its octets: it becomes READY, LOST or DROPPED. -1 when no message could be opened. */
int maildir_size_entry(struct maildir *m, struct maildir_entry *e, struct why *why_r);

/* Skip what is no message of ours, with a word in the log. */
void maildir_drop_entry(struct maildir *m, struct maildir_entry *e, const char *what);

/* Is what was looked at the message's file? Is it as it was at the login? */
bool maildir_is_entry(const struct maildir_entry *e, const struct stat *st);
bool maildir_is_unchanged(const struct maildir_entry *e, const struct stat *st);

/* A name for the log; the sender or the owner may have put anything into it. */
struct maildir_shown {
	char text[160];
};
const char *maildir_show(struct maildir_shown *s, const struct maildir *m, const struct maildir_entry *e);

/* RFC 1939's UPDATE; see maildrop.h. */
int maildir_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);

extern const char *const maildir_dir_names[MAILDIR_DIRS];

#endif
