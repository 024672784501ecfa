/*
 * format.h - what a maildrop format has to offer; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 */
#ifndef POSTERN_FORMAT_H
#define POSTERN_FORMAT_H

#include "storage/maildrop.h"

/* One row for each format. open() fills in count and image; the rest is as in maildrop.h, with idx checked. */
struct format {
	int (*open)(const struct maildrop_place *place, const struct maildrop_options *options,
	            struct maildrop **drop_r, struct why *why_r);
	int (*fetch)(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r);
	int (*read)(struct maildrop *drop, size_t idx, char *to, size_t room, size_t *len_r);
	int (*update)(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);
	void (*close)(struct maildrop *drop);
};

extern const struct format maildir_format, mbox_format;

/* The list of messages as it goes to the gate. */
struct image {
	void *octets;            /* owned: mapped, or from malloc(3); NULL: no messages */
	size_t size;
	bool mapped;
	struct list list;        /* into it */
};

/* Lets go of it; does nothing when there is none. */
void image_free(struct image *image);

/* The part that every format has, as the first member of its own struct. */
struct maildrop {
	const struct format *format;
	struct maildrop_options options;
	size_t count;
	struct image image;
	uint64_t image_at;       /* where it lies in the index file; 0: in memory only */
};

/* One sentence for the log about something odd in the maildrop; name is escaped. */
void maildrop_notice_name(const struct maildrop *drop, const char *where, const char *name, const char *what);

#endif
