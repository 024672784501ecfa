/*
 * maildrop.h - a user's mail as one POP3 session sees it.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop: names,
 * sizes, links and contents may be anything.
 * A library: returns, never logs, never exits.
 *
 * idx is 0..count-1; message numbers on the wire are idx + 1 and do not occur here.
 */
#ifndef POSTERN_MAILDROP_H
#define POSTERN_MAILDROP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "base/list.h"
#include "base/why.h"
#include "storage/told_ids.h"

enum {
	MAILDROP_KEY = 32,        /* digits of maildrop_key() */
	MAILDROP_FILE_NAME = MAILDROP_KEY + 32,
	HOST_LOCKS_MAX = 3,
	HOST_LOCK_SECONDS = 30,   /* how long to try for another program's lock; then MAILDROP_BUSY */
};

enum maildrop_format { MAILDROP_MAILDIR, MAILDROP_MBOX };

/* Where a maildrop is, after ~, %u, %n and %d are filled in. */
struct maildrop_place {
	enum maildrop_format format;
	char path[PATH_MAX];
	char key[MAILDROP_KEY + 1];  /* maildrop_key(), or "": not worked out yet */
};

/*
 * Fill in `location` ("maildir:~/Maildir", "mbox:/var/mail/%u"): ~ at the start of the path is home,
 * %u the user name, %n its part before the first @, %d the part after it, %% a percent sign.
 * 0, or -1 with REASON_MAILDROP_BROKEN when the result is no absolute path, is too long, or the user
 * name would lead elsewhere ("", ".", "..", one with a slash or a NUL).
 * With user NULL only the pattern is checked.
 */
int maildrop_place_expand(const char *location, const char *user, const char *home,
                          struct maildrop_place *place_r, struct why *why_r);

/*
 * The first location of a list ("maildir:~/Maildir mbox:/var/mail/%u") into one_r, which has room for the whole list. A location begins at the
 * list's beginning, or behind a blank, with the name of a format; other blanks are a path's own. Where the next one begins, or NULL.
 */
const char *maildrop_location_cut(const char *list, char *one_r);

/*
 * Is there something at the place, of whatever kind? As the mail's owner, whose way it is. Only what is known not to exist (ENOENT) is absent: of
 * anything else maildrop_open() finds out what is wrong with it.
 */
bool maildrop_is_absent(const struct maildrop_place *place);

/* What is known of the last login to a maildrop. */
struct maildrop_trace {
	size_t count;          /* messages that there were */
	uint64_t dev, ino;     /* of the directory that it was in; 0: not known */
};

/*
 * A maildrop that is absent, and had messages at the last login: 0; or -1 and *why_r, because its file system is not mounted: even the directory that
 * it was in is missing, or another one is there, on another device. As the mail's owner.
 */
int maildrop_check_mounted(const char *path, const struct maildrop_trace *trace, struct why *why_r);

/* The directory that the path is in. 0, or -1 and errno. */
int maildrop_stat_directory(const char *path, struct stat *st_r);

/*
 * The place's name for lock and journal files: the BLAKE2b hash, in hex digits, of the format and the path with the
 * links of its directory resolved, so that two ways to one maildrop have one name.
 */
void maildrop_key(const struct maildrop_place *place, char key_r[MAILDROP_KEY + 1]);

/* What a maildrop's files in directories of root's are called: the key and the owner. */
void maildrop_file_name(const struct maildrop_place *place, uid_t uid, gid_t gid, char name_r[MAILDROP_FILE_NAME]);

/* The index of a maildrop (storage/index.h): a file of root's, opened twice, and locked as long as write_fd is open. */
struct index_files {
	int write_fd, read_fd;  /* -1: there is none */
	const char *directory;  /* where it is; borrowed, for sentences */
	char name[MAILDROP_FILE_NAME + sizeof ".index"];
	bool frozen;            /* another session's gate may still read an image: none is written */
};

#define NO_INDEX ((struct index_files){ .write_fd = -1, .read_fd = -1, .directory = "" })

/*
 * Open the index of a maildrop, which is made when it is missing. As root; the descriptors are taken by the caller.
 * 0, or -1 and *why_r: the session goes on without.
 */
int index_open(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid, struct index_files *files_r,
               struct why *why_r);

/* What the index knows of the last login; zeros where there is none. As index_open(), but nothing is made. */
struct maildrop_trace index_look(const char *directory, const struct maildrop_place *place, uid_t uid, gid_t gid);

/* The locks of the host's other mail programs, for mbox; in the order to take them. */
enum host_lock { HOST_LOCK_FCNTL, HOST_LOCK_DOTLOCK, HOST_LOCK_FLOCK };

/* How much a notice matters. */
enum notice { NOTICE_DONE, NOTICE_ODD, NOTICE_CRITICAL };

struct maildrop_options {
	uid_t owner;
	enum host_lock locks[HOST_LOCKS_MAX];
	size_t lock_count;
	int dotlock_helper;  /* socket to dotlock_serve(), or -1: make the dotlock ourselves; borrowed */
	int journal;         /* mbox: from journal_open(), or -1: then only all messages can be removed; borrowed */
	int journal_errno;   /* why there is none */
	const struct index_files *index;  /* NULL: none; borrowed, with its descriptors */
	bool unique_ids_may_change;  /* most messages may have other unique-ids than at the last login */
	struct told_ids told; /* messages that were told to nobody from here get the unique-ids that another server gave them */
	bool network_mbox;   /* an mbox on a network file system is served, too */
	/* Called for what is skipped or odd (a link in cur/, say), and for repairs: one sentence for the log. May be NULL. */
	void (*notice)(void *context, enum notice weight, const char *text);
	void *context;
};

/* What clients know of a message. */
struct message_record {
	uint64_t octets;          /* what RETR sends, without the final dot line (base/wire.h); until it is fetched, maybe by a file's name */
	char uidl[UIDL_MAX + 1];  /* NUL-terminated */
};

/* Where a message lies: a fresh O_RDONLY descriptor (taken by the caller), and the stored octets in it. */
struct message_body {
	int fd;
	const char *octets; /* length of them, borrowed, where the message was read by maildrop_read(): then there is no descriptor */
	bool as_stored;   /* RETR sends these octets as they are (base/wire.h) */
	uint64_t wire;    /* exactly what RETR sends: the list has the same, unless a file's name lied to it */
	uint64_t offset, length;
	uint64_t file_size;         /* with the time: of the file when this was found to be the message; else it may be another */
	struct timespec modified;
};

struct maildrop;

/*
 * Open and scan. A maildrop that does not exist is an empty one, and is not made. With sodium_init(3) before, hashes are faster.
 * 0 and *drop_r, or -1 and *why_r.
 */
int maildrop_open(const struct maildrop_place *place, const struct maildrop_options *options,
                  struct maildrop **drop_r, struct why *why_r);

/* How many messages there are. */
size_t maildrop_count(const struct maildrop *drop);

/* All messages, as the gate gets them. */
struct maildrop_list {
	const struct list *list;
	const void *image;        /* size octets, borrowed as long as the maildrop is open */
	size_t size;
	int fd;                   /* of the index file, only to read, where the same octets lie at offset; -1: nowhere. Borrowed */
	uint64_t offset;
};

/* The list. There is one only when there are messages. */
struct maildrop_list maildrop_list(const struct maildrop *drop);

/* Fill in the record of message idx, which is less than the count. */
void maildrop_record(const struct maildrop *drop, size_t idx, struct message_record *record_r);

/*
 * Open message idx for reading, after checking that it still is what the scan saw.
 * 0, or -1 with REASON_MESSAGE_GONE, REASON_MESSAGE_CHANGED or another reason.
 */
int maildrop_fetch(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r);

/* Does maildrop_fetch() read all of it, because the list has its size by the file's name? idx is less than the count. */
bool maildrop_is_unopened(const struct maildrop *drop, size_t idx);

/*
 * The stored octets of message idx into `to`: in the common case, where the file is where it was,
 * nobody wrote to it until they were read, and they are no more than room. 0, *len_r, and *wire_r as in struct message_body; -1 for
 * whatever else there is, which maildrop_fetch() finds out: then nothing of it is left there.
 */
int maildrop_read(struct maildrop *drop, size_t idx, char *to, size_t room, size_t *len_r, uint64_t *wire_r);

/*
 * RFC 1939's UPDATE: remove each message whose marks[idx] is true, durably, and no other.
 * errors[idx] (count entries, the caller's) becomes 0 for a marked message that is gone for good,
 * and an errno for one that is not. 0 when all are gone; else -1, with *why_r for the first that failed.
 */
int maildrop_update(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);

/* Close and free; *drop may be NULL. Sets it to NULL. */
void maildrop_close(struct maildrop **drop);

#endif
