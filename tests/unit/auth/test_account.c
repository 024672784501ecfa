/*
 * test_account.c - auth/account.c: which line of /etc/passwd is an account, and which one only NSS can tell about.
 * Runs in: the tests.
 */
#include "auth/account.h"

#include "tests/unit/suite.h"

#define FILE_TEXT                                                          \
	"root:x:0:0:root:/root:/bin/sh\n"                                  \
	"# anna:x:7:7::/home/no:/bin/sh\n"                                 \
	"\n"                                                               \
	"-denied:x:11:11::/home/denied:/bin/sh\n"                          \
	"+taken::12:12::/home/taken:/bin/sh\n"                             \
	"anna:x:1001:100:Anna,,,:/home/anna:/bin/sh\n"                     \
	"anna:x:1002:100::/home/second:/bin/sh\n"                          \
	"annabel:x:1003:100::/home/annabel:/bin/sh\n"                      \
	"twin:x:1001:101::/home/twin:/bin/sh\n"                            \
	"nouid:x:::none:/home/nouid:/bin/sh\n"                             \
	"words:x:ten:10::/home/words:/bin/sh\n"                            \
	"nohome:x:1004:100:::/bin/sh\n"                                    \
	"cut:x:1005:100::/home/cu"

static void test_find(void)
{
	static const struct {
		const char *label, *name;
		uid_t uid;
		const char *home;  /* NULL: not an account, as far as the file tells */
		uid_t want_uid;
		gid_t want_gid;
	} rows[] = {
		{ "by name", "anna", 0, "/home/anna", 1001, 100 },
		{ "a name that others begin with", "annabel", 0, "/home/annabel", 1003, 100 },
		{ "the beginning of a name", "ann", 0, NULL, 0, 0 },
		{ "not there", "nosuch", 0, NULL, 0, 0 },
		{ "a comment", "# anna", 0, NULL, 0, 0 },
		{ "compat: excluded", "-denied", 0, NULL, 0, 0 },
		{ "compat: included", "+taken", 0, NULL, 0, 0 },
		{ "without uid", "nouid", 0, NULL, 0, 0 },
		{ "a uid in words", "words", 0, NULL, 0, 0 },
		{ "without a home", "nohome", 0, NULL, 0, 0 },
		{ "a line without its end", "cut", 0, NULL, 0, 0 },
		{ "no name", "", 0, NULL, 0, 0 },
		{ "by uid", NULL, 1003, "/home/annabel", 1003, 100 },
		{ "the first of that uid", NULL, 1001, "/home/anna", 1001, 100 },
		{ "root", NULL, 0, "/root", 0, 0 },
		{ "no such uid", NULL, 4711, NULL, 0, 0 },
		{ "uid of a compat line", NULL, 12, NULL, 0, 0 },
		{ "uid of a line without its end", NULL, 1005, NULL, 0, 0 },
	};
	const struct text file = { FILE_TEXT, sizeof FILE_TEXT - 1 };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct passwd_record record;
		char home[64] = "";
		const bool found = account_find(file, rows[i].name, rows[i].uid, &record);
		ROW_ASSERT(rows[i].label, found == (rows[i].home != NULL));
		if (!found)
			continue;
		(void)snprintf(home, sizeof home, "%.*s", (int)record.home.len, record.home.p);
		ROW_TEXT(rows[i].label, home, rows[i].home);
		ROW_ASSERT(rows[i].label, record.uid == rows[i].want_uid && record.gid == rows[i].want_gid);
	}
}

static void test_empty(void)
{
	struct passwd_record record;
	CU_ASSERT(!account_find((struct text){ "", 0 }, "anna", 0, &record));
	CU_ASSERT(!account_find((struct text){ "\n", 1 }, NULL, 0, &record));
}

#define TESTS(X) X(test_find) X(test_empty)
SUITE("account")
