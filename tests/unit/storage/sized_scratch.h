/*
 * sized_scratch.h - a Maildir of files whose names carry sizes, for one test.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_SIZED_SCRATCH_H
#define POSTERN_SIZED_SCRATCH_H

#include "tests/unit/storage/index_scratch.h"

enum { SOME = 30, MANY = 600 /* more than are looked at one by one */ };

#define TEXT "ab\ncd\n"       /* 6 octets, 8 on the wire */

static inline struct maildrop *log_in(const char *label)
{
	tick();
	return with_index(label, MAILDROP_MAILDIR, "M");
}

static inline char *list_and_leave(const char *label)
{
	struct maildrop *drop = log_in(label);
	char *text = list_text(drop);
	maildrop_close(&drop);
	return text;
}

static inline void put_some(const char *begin_with, unsigned count)
{
	char name[64], text[64];
	for (unsigned i = 0; i < count; i++) {
		const int len = snprintf(text, sizeof text, "Subject: %u\n\ntext\n", i);
		(void)snprintf(name, sizeof name, "M/cur/%u.%s,S=%d,W=%d:2,S", 1000 + i, begin_with, len, len + 3);
		put(name, text);
	}
	tick();
}

static inline unsigned unopened(const struct maildrop *drop)
{
	unsigned n = 0;
	for (size_t i = 0; i < maildrop_count(drop); i++)
		n += maildrop_is_unopened(drop, i);
	return n;
}

static const char unread[] = "M/cur/1.a,S=6,W=8:2,";

static inline void write_over(void) { tick(); put(unread, "ab\nCD\n"); }
static inline void write_more(void) { tick(); append(unread, "more\n"); }

#endif
