/*
 * test_maildir_hashes.c - files that have one hash in the table of those that the index knows: each of them is listed.
 * Runs in: the tests. Trusts: nothing.
 */
#define MAILDIR_KEY_BITS 2  /* of 32: they meet often */
#include "storage/maildir_known.c"

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum { MANY = 1000 /* so many files are not looked at one by one */, NEW = 300 };

static bool is_listed(const struct maildrop *drop, const char *uidl)
{
	struct message_record record;
	for (size_t i = 0; i < maildrop_count(drop); i++) {
		maildrop_record(drop, i, &record);
		if (strcmp(record.uidl, uidl) == 0)
			return true;
	}
	return false;
}

static bool are_all_listed(const struct maildrop *drop, unsigned most)
{
	char uidl[64];
	unsigned listed = 0;
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(uidl, sizeof uidl, "%u.M%uP.host", 1000 + i, i);
		listed += is_listed(drop, uidl);
	}
	for (unsigned i = 0; i < most; i++) {
		(void)snprintf(uidl, sizeof uidl, "%u.new", 5000 + i);
		listed += is_listed(drop, uidl);
	}
	return listed == MANY + most && maildrop_count(drop) == listed;
}

static void test_new_ones(void)
{
	char name[64];
	begin();
	make_maildir(MANY);
	struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
	CU_ASSERT(are_all_listed(drop, 0));
	maildrop_close(&drop);
	for (unsigned i = 0; i < NEW; i++) {
		(void)snprintf(name, sizeof name, "M/cur/%u.new:2,", 5000 + i);
		put(name, "Subject: b\n\n");
	}
	tick();
	for (unsigned login = 0; login < 3; login++) {
		drop = with_index("new ones", MAILDROP_MAILDIR, "M");
		CU_ASSERT(are_all_listed(drop, NEW));
		expect_message("new ones", drop, MANY, "Subject: b\r\n\r\n");
		maildrop_close(&drop);
	}
	end();
}

#define TESTS(X) X(test_new_ones)
SUITE("maildir_hashes")
