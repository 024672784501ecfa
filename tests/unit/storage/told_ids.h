/*
 * told_ids.h - maildrops whose messages another server numbered; for test_told_ids.c and test_told_mbox.c.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_TEST_TOLD_IDS_H
#define POSTERN_TEST_TOLD_IDS_H

#include "storage/told_ids.h"

#include "storage/maildir.h"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

#define VALIDITY "6b0d4175" /* 1796030837 */

static bool wanted = true;
static struct told_ids told_by = { TOLD_BY_DOVECOT, TOLD_UID_FIRST };

static inline struct maildrop *try_ids(enum maildrop_format format, const char *name, struct why *why_r)
{
	struct maildrop_place place = place_in_scratch(format, name);
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	options.index = &index_files;
	options.told = wanted ? told_by : (struct told_ids){ .by = TOLD_BY_NOBODY };
	*why_r = (struct why){ .reason = REASON_NONE };
	(void)maildrop_open(&place, &options, &drop, why_r);
	return drop;
}

enum { IDS_TEXT = 4096 };  /* octets of what ids() returns */

/* The unique-ids, a space behind each. */
static inline const char *ids(const char *label, enum maildrop_format format, const char *name)
{
	static char text[IDS_TEXT];
	struct why why;
	struct maildrop *drop = try_ids(format, name, &why);
	text[0] = '\0';
	ROW_ASSERT(label, drop != NULL);
	if (drop == NULL)
		return strcpy(text, why.text);
	for (size_t i = 0; i < maildrop_count(drop); i++) {
		struct message_record record;
		maildrop_record(drop, i, &record);
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", record.uidl);
	}
	maildrop_close(&drop);
	return text;
}

static inline void forget_index(void)
{
	CU_ASSERT(unlink(in_scratch("index")) == 0);
	index_reopen();
}

static inline void drop_first(enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = try_ids(format, name, &why);
	CU_ASSERT_FATAL(drop != NULL && maildrop_count(drop) <= 8);
	const bool marks[8] = { true };
	int errors[8];
	CU_ASSERT(maildrop_update(drop, marks, errors, &why) == 0);
	maildrop_close(&drop);
	tick();
}

#endif
