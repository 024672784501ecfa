/*
 * maildir.h - the table of messages that the scan of a Maildir makes; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#ifndef POSTERN_MAILDIR_H
#define POSTERN_MAILDIR_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/gone.h"

enum maildir_dir { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_DIRS };

enum {
	MAILDIR_ROUNDS_MAX = 12,      /* how often to look again for a file that is being renamed, or a listing that grows */
	MAILDIR_BUFFER = 64 * 1024,   /* for reading messages */
	MAILDIR_OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	CHECK_EACH_MAX = 512,         /* messages up to which a login looks at each file that the index knows */
	MAILDIR_AHEAD = 16,           /* names of a large Maildir that are looked up at once */
	MAILDIR_ALL_DIRS = (1 << MAILDIR_DIRS) - 1,
};
#define MAILDIR_NAMES_LIE UINT32_MAX           /* one that was held against its file did */
#define MAILDIR_OF_INDEX UINT32_C(0x80000000)  /* in the order: not an entry, but a record of the index */

enum maildir_state {
	ENTRY_KNOWN,    /* from the index; this scan has not seen it yet */
	ENTRY_LISTED,   /* a name; not opened yet */
	ENTRY_LOST,     /* the name led to nothing: look for its new one */
	ENTRY_READY,    /* opened, checked, counted */
	ENTRY_DROPPED,  /* not a message, or gone */
};

/* One message. Its base name (the name without flags) and inode are what it is; name and dir are where it was last seen. */
struct maildir_entry {
	uint64_t listed_ino;     /* as the directory said: a hint, some file systems make it up; 0: its inode is that of the record */
	uint32_t record;         /* of the index's list, + 1; 0: the index does not have it */
	uint64_t delivered;      /* the number that the base name begins with */
	uint64_t octets;         /* on the wire; unopened: as the name says */
	uint64_t digest;         /* of the stored octets; unopened: maildir_stand_in() */
	uint64_t stored;         /* octets of the file, */
	ino_t ino;               /* with modified: only of a file that was looked at in this session, */
	struct timespec modified; /* which those are that share a base name */
	uint32_t inode;          /* maildir_inode() */
	uint32_t identity;       /* maildir_identity() */
	uint32_t name;           /* offset in names */
	uint32_t seen;           /* the last scan that saw it */
	uint32_t uidl;           /* offset in names of a unique-id that does not follow from the name, */
	uint8_t uidl_len;        /* or 0 */
	uint8_t len, room, base_len;
	uint8_t dir;
	uint8_t state;
	bool unopened;           /* the file was not read, and its size is what its name says */
	bool needs_change;       /* on the wire it is not the octets that are stored */
	bool fits_uidl;          /* the base name can be a unique-id */
	bool twin;               /* another message has the same base name and came first */
	bool owns_name;          /* the index has its name for its unique-id */
	bool again;              /* it is to be opened whatever index and name say: another file has its base name, or had */
	bool by_others;          /* UPDATE: it is not there any more, and not by us; or no scan saw it */
	uint8_t touched;         /* UPDATE: bit set of directories to make durable */
};

/* What this scan knows of a record of the index. */
enum maildir_met {
	KNOWN_UNSEEN,   /* nothing yet */
	KNOWN_ENTRY,    /* it became an entry */
	KNOWN_SEEN,     /* this or more, which is the last reading that met it: its file is there, under its name, and needs no second look */
};

/* A slot of the table of known files. */
struct maildir_file {
	uint32_t key;              /* half of the hash */
	uint32_t record;           /* + 1; 0: the slot is empty */
};

/* A slot of the table of entries. */
struct maildir_slot {
	uint32_t hash;             /* of the base name: who has another need not be looked at */
	uint32_t entry;            /* + 1; 0: the slot is empty */
};

/* A directory as a scan found it. */
struct maildir_listed {
	uint64_t dev, ino, size;
	struct timespec modified, changed;
};

/* The maildrop as the index knows it. */
struct maildir_left {
	struct maildir_listed dirs[MAILDIR_DIRS];
	uint64_t quiet;            /* bit set of directories: as long as each is so, it holds what the list says */
	uint64_t proven;           /* as in struct maildir; 0 as well in the index of an older version, */
	uint64_t doubted;          /* as this: a file was not as the list had it, so each is looked at */
};
_Static_assert(sizeof(struct maildir_left) <= INDEX_STATE, "has room in the index");

/*
 * A session works on the image of the list. Entries, names and slots are there while a scan needs them: at a login that
 * finds a change, for a message whose file has another name by now, and at UPDATE.
 */
struct maildir {
	struct maildrop drop;
	char *path;
	int dir_fd[MAILDIR_DIRS];  /* -1: there is none, it counts as empty */
	int top_fd;                /* the Maildir itself, where something may be looked for in it; else -1 */
	struct index index;
	struct gone *gone;         /* NULL: nothing is remembered */
	size_t known;              /* records of the index's list that the scan is held against */
	bool each;                 /* each of their files is looked at */
	struct maildir_file *files; /* hash table of them by name, directory and inode */
	size_t file_slots;         /* a power of two */
	unsigned tabled;           /* bit set of directories whose messages are in the table */
	uint8_t *met;              /* of each record: enum maildir_met */
	uint8_t reading;           /* of a directory, that is on or was last: the numbers begin anew after some 250 */
	bool doubtful;             /* in this pass one reading met a record twice */
	struct maildir_listed listed[MAILDIR_DIRS];  /* before the last pass */
	unsigned quiet;            /* bit set of directories in which nothing can have changed unseen since */
	unsigned steady;           /* those of them that were so in each pass: the list has nothing of them that was removed meanwhile */
	unsigned held;             /* those that need not be read, as long as they are as in held_as */
	struct maildir_listed held_as[MAILDIR_DIRS];
	bool skipped;              /* something was no message, and may become one without the directory's knowing */
	struct maildir_entry *entries;
	size_t entry_count, entry_room;
	char *names;               /* NUL-terminated names, one after the other */
	size_t names_len, names_room;
	struct maildir_slot *slots; /* hash table of entries by base name */
	size_t slot_count;         /* a power of two */
	uint32_t *order;           /* idx to index of entry, or MAILDIR_OF_INDEX and a record */
	char *buffer;              /* MAILDIR_BUFFER octets of a message */
	char *listing;             /* names as the kernel lists them */
	size_t listing_room;
	uint32_t scan;             /* number of the scan that is on or was last */
	size_t news;               /* entries that this pass saw first in the scan */
	size_t wanted;             /* once numbered: lost entries that this scan has not seen yet */
	int fault;                 /* errno of the first message that the disk did not give; 0: none */
	bool noticed;              /* the oddities are in the log */
	bool lie_noticed;          /* so is a name that has a wrong size */
	uint32_t proven;           /* names whose size was right when they were held against the file; or MAILDIR_NAMES_LIE: none is believed */
	size_t learned_from, learned_to;  /* records of the image that the file in the index has otherwise; none: 0, 0 */
};

/* The messages of the list: records of the image, and their names. */
static inline const struct list_name *maildir_records(const struct maildir *m)
{
	/* An image is aligned, and so are its records (base/list.h). */
	return (const void *)m->drop.image.list.records;
}

static inline int maildir_no_memory(struct why *why_r)
{
	return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "list of messages");
}

static inline enum maildir_dir maildir_dir_of(const struct list_name *record)
{
	return record->flags & LIST_IN_CUR ? MAILDIR_CUR : MAILDIR_NEW;
}

/* Has it a unique-id that clients were told? */
static inline bool maildir_is_known(const struct maildir_entry *e)
{
	return e->owns_name || e->uidl_len > 0;
}

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

/* Room for so many octets more in names; their offset is names_len. 0, or -1 and *why_r. */
int maildir_names_room(struct maildir *m, size_t room, struct why *why_r);

/* An entry by base name, starting behind `after` (NULL: the first); NULL when there is no further one. */
struct maildir_entry *maildir_find(const struct maildir *m, const char *base, size_t base_len,
                                   const struct maildir_entry *after);

/* Make the image of the numbered messages, in place of the index's. 0, or -1 and *why_r. */
int maildir_make_image(struct maildir *m, struct why *why_r);

/* Octets of a name without its flags. */
size_t maildir_base_length(const char *name, size_t len);

/* The number that a base name begins with. */
uint64_t maildir_delivered(const char *base, size_t len);

/* ---- maildir_known.c ---- */

/* Hold the scan against the image's records. 0, or -1 and *why_r: then nothing is known. */
int maildir_know(struct maildir *m, struct why *why_r);

/* The scan reads that directory: its messages into the table, if they are not there yet. */
void maildir_begin_reading(struct maildir *m, enum maildir_dir dir);

/* It will come to this name in a moment: into the processor's cache with what it is held against, and then, by what that gave, with the rest. */
uint64_t maildir_expect(const struct maildir *m, enum maildir_dir dir, uint64_t ino, const char *name, size_t len);
void maildir_expect_met(const struct maildir *m, uint64_t hash);

/*
 * The file that a scan found under that name has the record's name and inode: is it looked at all the same? Each is in a small Maildir, and where
 * the name is not made of the time, so that another file may have got it, and the inode.
 */
bool maildir_is_looked_at(const struct maildir *m, const char *name, size_t base_len);

/* The scan sees that name: 1 when it is one that the index knows, as the index knows it, and there is no more to do. 0, or -1 and *why_r. */
int maildir_met_known(struct maildir *m, enum maildir_dir dir, uint64_t ino, const char *name, size_t len, struct why *why_r);

/* A file of that base name is no such: a record of this base name becomes an entry. 0, or -1 and *why_r. */
int maildir_take_alike(struct maildir *m, const char *base, size_t len, struct why *why_r);

/* The directory is as the index has it: its messages are all there. False when one of them has to be looked at. */
bool maildir_keep_directory(struct maildir *m, enum maildir_dir dir);

/* Those that no scan has seen become entries that are dropped. 0, or -1 and *why_r. */
int maildir_take_lost(struct maildir *m, struct why *why_r);

/* Where a message of that base name belongs among the records, at `from` or behind: so many are before it. */
size_t maildir_place_of(const struct maildir *m, size_t from, uint64_t delivered, const char *base, size_t len);

/* The name that a record of the image leads to, with a NUL; false when it leads to none. */
bool maildir_listed_name(const struct maildir *m, size_t idx, char name_r[LIST_NAME_MAX + 1]);

/* Make entries of the image's records, in that state and in order. 0, or -1 and *why_r. */
int maildir_take_entries(struct maildir *m, enum maildir_state state, struct why *why_r);

/* Are these the octets of a unique-id (RFC 1939 section 7)? */
bool maildir_can_be_uidl(const char *text, size_t len);

/* Can the base name be a unique-id? */
bool maildir_fits_uidl(const char *base, size_t len);

/* Octets that the unique-id takes behind the name; 0: the name without flags is it. */
size_t maildir_uidl_behind(const struct maildir_entry *e);

/* Writes the unique-id without a NUL; its octets. */
size_t maildir_uidl(const struct maildir *m, const struct maildir_entry *e, char out[UIDL_MAX]);

/* gone_hash() of it. */
uint64_t maildir_uidl_hash(const struct maildir *m, const struct maildir_entry *e);

/* Remember it, which the index has, with the content that may have it again, or GONE_FOR_GOOD. */
void maildir_remember_gone(struct maildir *m, const struct maildir_entry *e, uint64_t content);

/* Another program wrote to the file: its unique-id is that of what was listed, and the next login looks at all files. */
void maildir_was_written(struct maildir *m, const struct maildir_entry *e);

/* What tells it from another message of that unique-id, for maildir_remember_gone(). */
uint64_t maildir_content(const struct maildir *m, const struct maildir_entry *e);

/*
 * A unique-id that no message was ever told: a hash of the name and the content. It does not depend on the inode, so it is the same when both
 * come back elsewhere. 0, or -1 and *why_r.
 */
int maildir_hash_anew(struct maildir *m, struct maildir_entry *e, struct why *why_r);

/* No other content gets this entry's unique-id any more, which the index has; the entry gets another, too. */
void maildir_forget_uidl(struct maildir *m, struct maildir_entry *e);

/*
 * Give the numbered entries their unique-ids, and remember those of entries that are gone. 0, or -1 and *why_r: NO_MEMORY, or
 * IDS_CHANGED when most of what the index has is there under other unique-ids, which is not allowed.
 */
int maildir_settle_uidls(struct maildir *m, struct why *why_r);

/* ---- maildir_told.c ---- */

/* The numbered entries that are new get the unique-ids that another server gave them, if that is wanted. 0, or -1 and *why_r. */
int maildir_take_told_ids(struct maildir *m, struct why *why_r);

/* ---- maildir_apart.c ---- */

/* Of the numbered entries that are new none has the unique-id of another message, whatever another server gave them. 0, or -1 and *why_r. */
int maildir_part_ids(struct maildir *m, struct why *why_r);

/* Let go of entries, names and slots. */
void maildir_free_entries(struct maildir *m);

/* Room for so many entries, in the table as well. */
int maildir_reserve(struct maildir *m, size_t wanted, struct why *why_r);

/* Entry i has a name now: into the table. */
void maildir_put_entry(struct maildir *m, size_t i);

/* ---- maildir_directory.c ---- */

/* Open new/ and cur/, where they are. 0, or -1 and *why_r. */
int maildir_open_directories(struct maildir *m, struct why *why_r);

/* Open those that were not there, and are by now, by what maildir_look() found. 0, or -1 and *why_r: MAILDROP_BUSY where that is not allowed any more. */
int maildir_open_made(struct maildir *m, struct why *why_r);

/* The directories as they are now; also one that was made since, and is not open. */
int maildir_look(const struct maildir *m, struct maildir_listed listed_r[MAILDIR_DIRS], struct why *why_r);

/* Look at an entry's file, and open it unless its name is believed: it becomes READY, LOST or DROPPED. -1 when no message could be opened. */
int maildir_size_entry(struct maildir *m, struct maildir_entry *e, struct why *why_r);

/* Skip what is no message of ours, with a word in the log. */
void maildir_drop_entry(struct maildir *m, struct maildir_entry *e, const char *what);

/* Tells one file of a Maildir from another: by its inode's number; by number, size, owner and times. */
uint32_t maildir_inode(uint64_t ino);
uint32_t maildir_identity(const struct stat *st, uint64_t size);

/* What reading a file to its end tells. */
struct maildir_reading {
	uint64_t octets, stored, digest;  /* on the wire; in the file; of these */
	bool needs_change;
};

/* Of a file that should have `expected` octets. 0, or -1 and errno. */
int maildir_read_file(struct maildir *m, int fd, uint64_t expected, struct maildir_reading *r_r);

/* Of one that was read. */
void maildir_count(const char *octets, size_t len, struct maildir_reading *r_r);

/* The entry is that file. */
void maildir_take_file(struct maildir_entry *e, const struct stat *st, uint64_t stored);

/* Open an entry that was not, and learn what is in it. Where that fails it stays as it is. */
void maildir_open_unopened(struct maildir *m, struct maildir_entry *e);

/* ---- maildir_sizes.c ---- */

/*
 * The size that the name says, where the file is as long as the name says (Maildir++'s ",S=", Dovecot's ",W="), and nothing hangs on the
 * content: true when it was taken, and the file need not be opened.
 */
bool maildir_size_by_name(const struct maildir *m, struct maildir_entry *e);

/*
 * As long as little is known of this maildrop's names: open a few of the files that were listed, all over the list, whose names have sizes. One that
 * lies, and no name is believed any more.
 */
void maildir_prove_names(struct maildir *m);

/* What stands in for the digest of a message that nobody has read: it stays with the file, as long as nobody writes to it. */
uint64_t maildir_stand_in(uint64_t stored, uint64_t octets, const struct timespec *modified);

/* What of a digest a copy of the message has, too: all, and of one that stands in for it the half without a fraction of a second. */
static inline uint64_t maildir_lasting(uint64_t digest, bool unopened)
{
	return unopened ? digest & ~(uint64_t)UINT32_MAX : digest;
}

/* What stands in for its content where the name is the same: the sizes in it. 0: it has none, or the file is not as long as it says. */
uint64_t maildir_named_content(const struct maildir *m, const struct maildir_entry *e);

/* An entry, or a message of the list, was read. */
void maildir_learn_entry(struct maildir *m, struct maildir_entry *e, const struct maildir_reading *r);
void maildir_learn_octets(struct maildir *m, size_t idx, const char *octets, size_t len);

/* Read message idx, which is unopened, from its file, which is as st says. 0, or -1 and errno (ESTALE: somebody wrote to it meanwhile). */
int maildir_learn(struct maildir *m, size_t idx, int fd, const struct stat *st);

/* The session is over, and with it the gate's use of the list: what was learned goes into the index. */
void maildir_keep_learned(struct maildir *m);

/* Is there a file of that name, and of that identity? */
bool maildir_has_identity(const struct maildir *m, enum maildir_dir dir, const char *name, uint32_t identity);

/* Is what was looked at the message's file? */
bool maildir_is_entry(const struct maildir_entry *e, const struct stat *st);

/*
 * Is that file's content what the list was made from? By its identity, or else by its digest: a rename changes the ctime.
 * fd may be -1: it is opened when it is needed.
 */
bool maildir_is_unchanged(struct maildir *m, struct maildir_entry *e, int fd, const struct stat *st);

/* Is there a file of that name with the message's content, whatever its inode? Then it is the message's from now on. */
bool maildir_take_equal(struct maildir *m, struct maildir_entry *e, enum maildir_dir dir, const char *name);

/* A name for the log; the sender or the owner may have put anything into it. */
struct maildir_shown {
	char text[160];
};
const char *maildir_show(struct maildir_shown *s, const struct maildir *m, const struct maildir_entry *e);

/* RFC 1939's UPDATE; see maildrop.h. */
int maildir_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);

extern const char *const maildir_dir_names[MAILDIR_DIRS];

#endif
