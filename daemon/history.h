/*
 * history.h - what happened: a record for each failure that a client was told, and for each session, in rings of fixed size.
 * Runs in: recorder (writes them, answers users), the postern command (reads them, as root).
 * Trusts: nothing in a record's text; who sent a record is the kernel's word.
 *
 * Three files in history_directory, so that what strangers can cause never pushes out the rest:
 * "guesses" (failures before a password was proven), "failures", "sessions".
 */
#ifndef POSTERN_HISTORY_H
#define POSTERN_HISTORY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ref.h"
#include "base/secret.h"
#include "base/why.h"
#include "daemon/replies.h"

enum history_kind { HISTORY_GUESS, HISTORY_FAILURE, HISTORY_SESSION, HISTORY_KINDS };

enum {
	HISTORY_FORMAT = 0x50480001,
	HISTORY_WORD = 40,           /* the longest short name in a record, with its NUL */
	HISTORY_PATH = 128,
	HISTORY_RECORD = 1024,       /* octets of a record in the file */
	HISTORY_DIGEST = 16,
};

#define HISTORY_NOBODY ((uint32_t)-1)   /* not known whose it is */

/* One event. Zeroed before it is filled; texts end in NUL and may be cut. */
struct history_record {
	uint32_t format;            /* HISTORY_FORMAT; anything else is no record */
	uint32_t kind;              /* enum history_kind */
	int64_t when_ms;            /* since 1970 */
	uint32_t ref;
	uint32_t uid;               /* whose it is, HISTORY_NOBODY when that is not known */
	int32_t pid;                /* of the process that found it */
	int32_t err;                /* errno, or 0 */
	int32_t pam;                /* PAM's code, or 0 */
	uint32_t tls;               /* protocol version, or 0 */
	char role[12];              /* "keeper", "gate", "master" */
	char user[USER_NAME_MAX + 4];
	char peer[INET6_ADDRSTRLEN + 2];
	char reply[HISTORY_WORD];   /* the row of the reply table by name */
	char reason[HISTORY_WORD];  /* why, in the log's short words */
	char place[HISTORY_PATH];   /* the maildrop: "mbox:/var/mail/ann" */
	char text[WHY_TEXT_MAX];    /* what was tried, on what, with what result */
	char told[WHY_TOLD_MAX];    /* the text in the answer */
	uint64_t n[REPLY_NUMBERS];  /* the numbers in the answer */
	/* A session's figures. */
	struct history_figures {
		uint64_t count, octets;        /* messages and octets at the login */
		uint64_t fetched, sent;        /* messages fetched whole; octets of text sent */
		uint64_t deleted, left;        /* messages removed, messages left */
		uint64_t dropped;              /* marks that were given up, for want of a QUIT */
		uint64_t duration_ms;
		uint8_t list[HISTORY_DIGEST];  /* of the list of unique-ids */
	} figures;
};
_Static_assert(sizeof(struct history_record) <= HISTORY_RECORD, "a record has a fixed place in the file");

/* One ring in its file: a head, then room records. */
struct history_ring {
	int fd;                     /* -1: not there */
	uint64_t room, next;        /* records; how many were ever written */
};

struct history {
	struct history_ring rings[HISTORY_KINDS];
	uint64_t next_ref;          /* the counter behind the references of failures */
	uint32_t key;
};

#define NO_HISTORY ((struct history){ .rings = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } } })

/*
 * Open the rings below directory, to write (made, or made anew when they are of another size or format) or only to read
 * (room is then taken from the files). 0; or -1 and errno with *path_r (borrowed, until the next call) being what could not be opened.
 */
int history_open(struct history *h, const char *directory, uint64_t room, bool write, const char **path_r);

/* Another process wrote to the same files and is gone: go on where it was. */
void history_resume(struct history *h);

/* Close what is open. */
void history_close(struct history *h);

/* Put a record where the oldest is. Not synced: what it says is for people, and a power failure may cost the last of it. */
void history_add(struct history *h, const struct history_record *record);

/* The next reference for a failure; the counter behind it survives restarts. */
uint32_t history_take_ref(struct history *h);

/* What to look for. */
struct history_query {
	uint32_t format;            /* HISTORY_FORMAT */
	uint32_t ref;               /* REF_NONE: any */
	int64_t since_ms;
	uint32_t kinds;             /* a sum of 1 << enum history_kind */
	uint32_t uid;               /* HISTORY_NOBODY: anybody's */
	char user[USER_NAME_MAX + 4]; /* "": any */
};

/*
 * Call found() for each record that matches, oldest first in each ring; a found() that does not return 0 ends it.
 * Whatever is no whole record is passed over.
 */
void history_find(const struct history *h, const struct history_query *query,
                  int (*found)(void *context, const struct history_record *record), void *context);

/* A whole record of that kind, whose texts end? For what came from a file or over a socket. */
bool history_is_whole(const struct history_record *record, uint32_t kind);

#endif
