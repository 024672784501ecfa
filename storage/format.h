/*
 * format.h - what a maildrop format has to offer; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: its caller.
 */
#ifndef POSTERN_FORMAT_H
#define POSTERN_FORMAT_H

#include "storage/maildrop.h"

/* One row for each format. open() fills in count; record() gets a record of zeros; the rest is as in maildrop.h, with idx checked. */
struct format {
	int (*open)(const struct maildrop_place *place, const struct maildrop_options *options,
	            struct maildrop **drop_r, struct why *why_r);
	void (*record)(const struct maildrop *drop, size_t idx, struct message_record *record_r);
	int (*fetch)(struct maildrop *drop, size_t idx, struct message_body *body_r, struct why *why_r);
	int (*update)(struct maildrop *drop, const bool *marks, int *errors, struct why *why_r);
	void (*close)(struct maildrop *drop);
};

extern const struct format maildir_format, mbox_format;

/* The part that every format has, as the first member of its own struct. */
struct maildrop {
	const struct format *format;
	struct maildrop_options options;
	size_t count;
};

/* One sentence for the log about something odd in the maildrop; name is escaped. */
void maildrop_notice_name(const struct maildrop *drop, const char *where, const char *name, const char *what);

#endif
