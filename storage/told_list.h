/*
 * told_list.h - the file of another server's in a Maildir that has the messages' numbers; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#ifndef POSTERN_TOLD_LIST_H
#define POSTERN_TOLD_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/told_ids.h"

/* Some octets of a line, that are borrowed. */
struct span {
	const char *p;
	size_t len;
};

/* What the lines so far said; a reader's own. */
struct told_so_far {
	uint64_t version, validity, uid;
};

/* A line that is a message's. */
struct told_message {
	struct span file;        /* maybe with flags */
	struct span uidl;        /* what it was called, where that does not follow from its numbers; else empty */
	const char *format;      /* how it follows from them */
	uint32_t uid, validity;
};

/*
 * A reader of one server's lists. Both get a line without its end; -1: it is not as that server writes it. The message is set to
 * nothing but the configuration's format before.
 */
struct told_reader {
	const char *server;      /* its name, for sentences */
	int (*head)(struct told_so_far *so_far, struct span line); /* of the first line: 0 */
	int (*message)(struct told_so_far *so_far, struct span line, struct told_message *message_r); /* 1; or 0: it was told by its file's name, as here */
};

extern const struct told_reader told_dovecot, told_courier;

/* Cut the next word off, with the blank behind it; empty at the end. */
struct span span_word(struct span *rest);

#endif
