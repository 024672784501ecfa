/*
 * test_told_ids.c - messages of a Maildir that another server numbered keep the unique-ids that it told, and nothing else gets one.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/told_ids.h"

#define HEAD "3 V1796030837 N9 G8e0a590a75410d6be539000083ecc375\n"

static void begin_maildir(void)
{
	begin();
	wanted = true;
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_UID_FIRST };
	make_maildir(0);
	put("M/cur/1000.a:2,S", "Subject: a\n\ntext\n");
	put("M/cur/1001.b,S=17,W=20:2,", "Subject: b\n\ntext\n");
	put("M/new/1002.c", "Subject: c\n\ntext\n");
	tick();
}

#define OWN "1000.a 1001.b,S=17,W=20 1002.c "
#define TOLD_A "00000001" VALIDITY " "
#define TOLD_B "000000ff" VALIDITY " "

/* What the file says, and what is told; NULL: the login is refused. */
static const struct {
	const char *label, *list, *told;
} lists[] = {
	{ "as 2.3 writes it", HEAD "1 W20 :1000.a\n255 :1001.b,S=17,W=20\n", TOLD_A TOLD_B "1002.c " },
	{ "with flags, and files that are gone", HEAD "1 :1000.a:2,RS\n2 :999.z\n255 W1 S2 :1001.b,S=17,W=20:2,\n", TOLD_A TOLD_B "1002.c " },
	{ "a unique-id of its own", HEAD "1 Pabc.7 W20 :1000.a\n255 :1001.b,S=17,W=20\n", "abc.7 " TOLD_B "1002.c " },
	{ "one that cannot be told", HEAD "1 P\x80 :1000.a\n255 :1001.b,S=17,W=20\n", TOLD_A TOLD_B "1002.c " },
	{ "version 1", "1 1796030837 9\n1 1000.a\n255 1001.b,S=17,W=20\n", TOLD_A TOLD_B "1002.c " },
	{ "a line without an end is not there", HEAD "1 :1000.a\n255 :1001.b,S=17,W=20", TOLD_A "1001.b,S=17,W=20 1002.c " },
	{ "no message", HEAD, OWN },
	{ "one name twice: the last", HEAD "1 Pabc.7 :1000.a\n2 Px :1000.a\n255 :1000.a\n256 :999.z\n", TOLD_B "1001.b,S=17,W=20 1002.c " },
	{ "what another file is called", HEAD "1 P1002.c :1000.a\n255 :1001.b,S=17,W=20\n", "1000.a " TOLD_B "1002.c " },
	{ "what another, numbered file is called", HEAD "1 P1002.c :1000.a\n255 :1002.c\n", "1000.a 1001.b,S=17,W=20 " TOLD_B },
	{ "its own name", HEAD "1 P1000.a :1000.a\n255 :1001.b,S=17,W=20\n", "1000.a " TOLD_B "1002.c " },
	{ "one for two", HEAD "1 Pabc :1000.a\n255 Pabc :1001.b,S=17,W=20\n", OWN },
	{ "another's number", HEAD "1 P000000ff" VALIDITY " :1000.a\n255 :1001.b,S=17,W=20\n", OWN },
	{ "empty", "", NULL },
	{ "another version", "2 V1 N2\n", NULL },
	{ "no UIDVALIDITY", "3 N9\n1 :1000.a\n", NULL },
	{ "UIDVALIDITY is 0", "3 V0 N9\n1 :1000.a\n", NULL },
	{ "UIDs that fall", HEAD "2 :1000.a\n1 :1002.c\n", NULL },
	{ "a UID that is too large", HEAD "4294967296 :1000.a\n", NULL },
	{ "no file", HEAD "1 W20\n", NULL },
	{ "no number", HEAD "\n1 :1000.a\n", NULL },
};

static void test_maildir_lists(void)
{
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		struct why why;
		begin_maildir();
		put("M/dovecot-uidlist", lists[i].list);
		if (lists[i].told != NULL) {
			ROW_TEXT(lists[i].label, ids(lists[i].label, MAILDROP_MAILDIR, "M"), lists[i].told);
		} else {
			struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
			ROW_ASSERT(lists[i].label, drop == NULL && why.reason == REASON_MAILDROP_BROKEN && strstr(why.text, "/dovecot-uidlist line ") != NULL);
			maildrop_close(&drop);
		}
		end();
	}
}

/* How numbers are told; NULL: it is no such format. */
static const struct {
	const char *format, *told;
} formats[] = {
	{ TOLD_UID_FIRST, "000000070000abcd" },
	{ TOLD_VALIDITY_FIRST, "0000abcd00000007" },
	{ "UID%u-%v", "UID7-43981" },
	{ "%v.%u", "43981.7" },
	{ "%Xv%%%03u", "abcd%007" },
	{ "%01u", "7" },
	{ "%09u%09Xv%09v%09v%09v%09v%09v", "00000000700000abcd000043981000043981000043981000043981000043981" },
	{ "", NULL },
	{ "%v", NULL },
	{ "%", NULL },
	{ "%u%", NULL },
	{ "%f", NULL },
	{ "%8Xu", NULL },
	{ "%010u", NULL },
	{ "%u %v", NULL },
	{ "%u\x7f", NULL },
	{ "%u%u%u%u%u%u%u.", NULL },
	{ "%u12345678901234567890123456789", "7" "12345678901234567890123456789" },
	{ "%u123456789012345678901234567890", NULL },
};

static void test_formats(void)
{
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		char told[UIDL_MAX + 1] = "";
		ROW_ASSERT(formats[i].format, (told_format_check(formats[i].format) == 0) == (formats[i].told != NULL));
		if (formats[i].told == NULL)
			continue;
		told[told_uidl(formats[i].format, 7, 0xabcd, told)] = '\0';
		ROW_TEXT(formats[i].format, told, formats[i].told);
		if (strlen(formats[i].format) < TOLD_FORMAT_MAX)
			ROW_ASSERT("fits", told_uidl(formats[i].format, UINT32_MAX, UINT32_MAX, told) <= UIDL_MAX);
	}
}

/* A list of Dovecot's with a pop3_uidl_format that is not the default. */
static void test_maildir_format(void)
{
	begin_maildir();
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, "UID%u-%v" };
	put("M/dovecot-uidlist", HEAD "1 :1000.a\n2 Pabc.7 :1001.b,S=17,W=20\n4294967295 :1002.c\n");
	ROW_TEXT("first", ids("first", MAILDROP_MAILDIR, "M"), "UID1-1796030837 abc.7 UID4294967295-1796030837 ");
	/* Clients know them by now. */
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_UID_FIRST };
	put("M/new/1003.d", "Subject: d\n\ntext\n");
	append("M/dovecot-uidlist", "4294967295 :1003.d\n");
	tick();
	struct why why;
	struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
	ROW_ASSERT("UIDs that do not rise", drop == NULL && why.reason == REASON_MAILDROP_BROKEN);
	put("M/dovecot-uidlist", HEAD "3 :1002.c\n4 :1003.d\n");
	ROW_TEXT("then another", ids("then another", MAILDROP_MAILDIR, "M"), "UID1-1796030837 abc.7 UID4294967295-1796030837 00000004" VALIDITY " ");
	end();
}

/* Courier's list, and what is told; NULL: the login is refused. */
static const struct {
	const char *label, *list, *told;
} couriers[] = {
	{ "as 1.0.16 writes it", "/3 5 1796055165\n1000.a:2,S 20 1:1796055165:0\n1001.b,S=17,W=20:2, 20 3:1700000000:1\n", "UID1-1796055165 UID3-1700000000 1002.c " },
	{ "flags that are others now", "/3 5 1796055165\n1000.a:2, 20 2:1796055165:0\n1002.c:2,RS 20 1:1796055165:0\n", "UID2-1796055165 1001.b,S=17,W=20 UID1-1796055165 " },
	{ "version 2", "/2 5 1796055165\n1000.a:2,S 20 1:1796055165\n1002.c 20 2:1796055165\n", "UID1-1796055165 1001.b,S=17,W=20 UID2-1796055165 " },
	{ "no UIDVALIDITY", "/2 5\n1000.a:2,S 20 1:0\n", "UID1 1001.b,S=17,W=20 1002.c " },
	{ "the file's name", "/2 5 1796055165\n1000.a:2,S 20 0:0\n1002.c 20 2:1796055165\n", "1000.a 1001.b,S=17,W=20 UID2-1796055165 " },
	{ "a blank in a name", "/3 5 1796055165\n1000.a 1002.c 20 1:1796055165:0\n1002.c 20 2:1796055165:0\n", "1000.a 1001.b,S=17,W=20 UID2-1796055165 " },
	{ "one number twice", "/3 5 1\n1000.a 20 1:1:0\n1002.c 20 1:1:0\n", OWN },
	{ "a line without an end is not there", "/3 5 1\n1000.a 20 1:1:0\n1002.c 20 2:1:0", "UID1-1 1001.b,S=17,W=20 1002.c " },
	{ "no message", "/3 5 1796055165\n", OWN },
	{ "older than that", "1000.a:2,S 20\n1002.c 20\n", NULL },
	{ "empty", "", NULL },
	{ "another version", "/4 5 1796055165\n1000.a:2,S 20 1:1796055165:0\n", NULL },
	{ "version 2 in 3", "/3 5 1796055165\n1000.a:2,S 20 1:1796055165\n", NULL },
	{ "version 3 in 2", "/2 5 1796055165\n1000.a:2,S 20 1:1796055165:0\n", NULL },
	{ "no size", "/3 5 1796055165\n1000.a:2,S 1:1796055165:0\n", NULL },
	{ "a size that is none", "/3 5 1796055165\n1000.a:2,S x 1:1796055165:0\n", NULL },
	{ "no numbers", "/3 5 1796055165\n1000.a:2,S 20 \n", NULL },
	{ "a number that is too large", "/3 5 1796055165\n1000.a:2,S 20 4294967296:1796055165:0\n", NULL },
	{ "an empty line", "/3 5 1796055165\n\n1000.a:2,S 20 1:1796055165:0\n", NULL },
};

static void test_courier_lists(void)
{
	for (size_t i = 0; i < sizeof couriers / sizeof couriers[0]; i++) {
		struct why why;
		begin_maildir();
		told_by = (struct told_ids){ .by = TOLD_BY_COURIER };
		put("M/courierpop3dsizelist", couriers[i].list);
		/* Not the one that is meant. */
		put("M/dovecot-uidlist", HEAD "1 :1000.a\n");
		if (couriers[i].told != NULL) {
			ROW_TEXT(couriers[i].label, ids(couriers[i].label, MAILDROP_MAILDIR, "M"), couriers[i].told);
		} else {
			struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
			ROW_ASSERT(couriers[i].label, drop == NULL && why.reason == REASON_MAILDROP_BROKEN && strstr(why.text, "/courierpop3dsizelist line ") != NULL &&
			           strstr(why.text, "Courier writes") != NULL);
			maildrop_close(&drop);
		}
		end();
	}
}

/* Longer than what is read at once; and a line that is. */
static void test_maildir_long(void)
{
	struct why why;
	begin_maildir();
	put("M/dovecot-uidlist", HEAD);
	char *lines = malloc(3 * (size_t)MAILDIR_BUFFER);
	CU_ASSERT_FATAL(lines != NULL);
	size_t n = 0;
	for (unsigned i = 1; n < 2 * (size_t)MAILDIR_BUFFER; i++)
		n += (size_t)sprintf(lines + n, "%u :%u.gone\n", i, i);
	append("M/dovecot-uidlist", lines);
	append("M/dovecot-uidlist", "4294967295 :1000.a\n");
	ROW_TEXT("the last line", ids("the last line", MAILDROP_MAILDIR, "M"), "ffffffff" VALIDITY " 1001.b,S=17,W=20 1002.c ");
	forget_index();
	memset(lines, 'x', MAILDIR_BUFFER);
	lines[MAILDIR_BUFFER] = '\0';
	append("M/dovecot-uidlist", lines);
	append("M/dovecot-uidlist", "\n");
	struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
	CU_ASSERT(drop == NULL && why.reason == REASON_MAILDROP_BROKEN);
	maildrop_close(&drop);
	free(lines);
	end();
}

/* Later comes a file that is called what a message was told to be, or a message that is told the same: the first keeps it. */
static void test_maildir_later(void)
{
	begin_maildir();
	put("M/dovecot-uidlist", HEAD "1 P1004.x :1000.a\n2 P1005.y :1001.b,S=17,W=20\n");
	ROW_TEXT("before", ids("before", MAILDROP_MAILDIR, "M"), "1004.x 1005.y 1002.c ");
	put("M/new/1004.x", "Subject: x\n\ntext\n");
	put("M/new/1006.z", "Subject: z\n\ntext\n");
	append("M/dovecot-uidlist", "3 P1005.y :1006.z\n");
	tick();
	const char *told = ids("later", MAILDROP_MAILDIR, "M");
	ROW_ASSERT("later", strncmp(told, "1004.x 1005.y 1002.c ", 21) == 0 && strcmp(told + 21 + 32, " 1006.z ") == 0);
	ROW_ASSERT("a hash", strspn(told + 21, "0123456789abcdef") == 32);
	end();
}

/* Not wanted, not there, a link, another's. */
static void test_maildir_places(void)
{
	struct why why;
	begin_maildir();
	ROW_TEXT("no list", ids("no list", MAILDROP_MAILDIR, "M"), OWN);
	forget_index();
	put("elsewhere", HEAD "1 :1000.a\n");
	CU_ASSERT(symlink(in_scratch("elsewhere"), in_scratch("M/dovecot-uidlist")) == 0);
	struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
	ROW_ASSERT("a link", drop == NULL && why.reason == REASON_MAILDROP_DENIED);
	wanted = false;
	ROW_TEXT("not wanted", ids("not wanted", MAILDROP_MAILDIR, "M"), OWN);
	wanted = true;
	CU_ASSERT(unlink(in_scratch("M/dovecot-uidlist")) == 0);
	put("M/dovecot-uidlist", HEAD "1 :1000.a\n");
	ROW_TEXT("told already", ids("told already", MAILDROP_MAILDIR, "M"), OWN);
	if (geteuid() == 0) {
		forget_index();
		CU_ASSERT(chown(in_scratch("M/dovecot-uidlist"), NOBODY, NOBODY) == 0);
		drop = try_ids(MAILDROP_MAILDIR, "M", &why);
		ROW_ASSERT("another's", drop == NULL && why.reason == REASON_MAILDROP_DENIED);
	} else {
		printf("another's: skipped, not root\n");
	}
	end();
}

/* What was told stays, with Dovecot or without; what comes later is ours; a removed one's is not given again. */
static void test_maildir_goes_on(void)
{
	begin_maildir();
	put("M/dovecot-uidlist", HEAD "1 :1000.a\n255 :1001.b,S=17,W=20\n");
	ROW_TEXT("first", ids("first", MAILDROP_MAILDIR, "M"), TOLD_A TOLD_B "1002.c ");
	put("M/new/1003.d", "Subject: d\n\ntext\n");
	CU_ASSERT(rename(in_scratch("M/new/1002.c"), in_scratch("M/cur/1002.c:2,S")) == 0);
	tick();
	ROW_TEXT("new mail", ids("new mail", MAILDROP_MAILDIR, "M"), TOLD_A TOLD_B "1002.c 1003.d ");
	/* Dovecot goes on beside us, and numbers what we have told already. */
	put("M/dovecot-uidlist", HEAD "1 :1000.a\n255 :1001.b,S=17,W=20\n256 :1002.c\n257 :1003.d\n");
	tick();
	put("M/new/1004.e", "Subject: e\n\ntext\n");
	CU_ASSERT(rename(in_scratch("M/cur/1002.c:2,S"), in_scratch("M/cur/1002.c:2,RS")) == 0);
	tick();
	ROW_TEXT("numbered later", ids("numbered later", MAILDROP_MAILDIR, "M"), TOLD_A TOLD_B "1002.c 1003.d 1004.e ");
	drop_first(MAILDROP_MAILDIR, "M");
	put("M/cur/1000.a:2,S", "Subject: another\n\ntext\n");
	tick();
	const char *told = ids("another of that name", MAILDROP_MAILDIR, "M");
	ROW_ASSERT("another message has another unique-id", strstr(told, TOLD_A) == NULL && strstr(told, TOLD_B "1002.c 1003.d 1004.e ") != NULL);
	wanted = false;
	ROW_ASSERT("not wanted any more", strstr(ids("kept", MAILDROP_MAILDIR, "M"), TOLD_B "1002.c ") != NULL);
	end();
}

/* A login that meets mail from long after the list reads no line of it. */
static void test_maildir_old_list(void)
{
	begin_maildir();
	put("M/dovecot-uidlist", "this is no list\n");
	const struct timespec times[2] = { { .tv_sec = 500 }, { .tv_sec = 500 } };
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("M/dovecot-uidlist"), times, 0) == 0);
	struct why why;
	struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
	ROW_ASSERT("could be in it", drop == NULL);
	CU_ASSERT(rename(in_scratch("M/cur/1000.a:2,S"), in_scratch("M/cur/100000.a:2,S")) == 0);
	CU_ASSERT(rename(in_scratch("M/cur/1001.b,S=17,W=20:2,"), in_scratch("M/cur/100001.b:2,S")) == 0);
	CU_ASSERT(rename(in_scratch("M/new/1002.c"), in_scratch("M/new/100002.c")) == 0);
	tick();
	ROW_TEXT("cannot be in it", ids("later", MAILDROP_MAILDIR, "M"), "100000.a 100001.b 100002.c ");
	end();
}

/* The list is gone with Dovecot, and a message is written to during a session: all others keep what was told of them. */
static void test_maildir_written_to(void)
{
	for (size_t quit = 0; quit < 2; quit++) {
		struct why why;
		int errors[3];
		begin_maildir();
		put("M/dovecot-uidlist", HEAD "1 :1000.a\n2 :1001.b,S=17,W=20\n3 :1002.c\n");
		ROW_TEXT("told", ids("told", MAILDROP_MAILDIR, "M"), TOLD_A "00000002" VALIDITY " " "00000003" VALIDITY " ");
		CU_ASSERT(unlink(in_scratch("M/dovecot-uidlist")) == 0);
		struct maildrop *drop = try_ids(MAILDROP_MAILDIR, "M", &why);
		CU_ASSERT_FATAL(drop != NULL && maildrop_count(drop) == 3);
		tick();
		put("M/new/1002.c", "Subject: c\n\nTEXT\n");
		CU_ASSERT(quit ? update(drop, "..x", errors, &why) == -1 && errors[2] == ESTALE : fetch_reason(drop, 2) == REASON_MESSAGE_CHANGED);
		maildrop_close(&drop);
		tick();
		/* That one is called by its name, which no message was. */
		ROW_TEXT("written to", ids("written to", MAILDROP_MAILDIR, "M"), TOLD_A "00000002" VALIDITY " 1002.c ");
		end();
	}
}

/*
 * One message was told what a later file is called, and that file is told what another is, too: the first keeps it, and nobody else has it. Which of the two is
 * noticed first hangs on the names.
 */
static void test_maildir_apart_twice(void)
{
	for (char letter = 'd'; letter <= 'k'; letter++) {
		char list[256], name[32];
		const char *told;
		begin_maildir();
		(void)snprintf(list, sizeof list, HEAD "1 P1003.%c :1000.a\n", letter);
		put("M/dovecot-uidlist", list);
		(void)ids("first", MAILDROP_MAILDIR, "M");
		(void)snprintf(name, sizeof name, "M/new/1003.%c", letter);
		put(name, "Subject: d\n\ntext\n");
		put("M/new/1004.e", "Subject: e\n\ntext\n");
		(void)snprintf(list, sizeof list, HEAD "1 P1003.%c :1000.a\n7 Pabc :1003.%c\n8 Pabc :1004.e\n", letter, letter);
		put("M/dovecot-uidlist", list);
		tick();
		told = ids("then", MAILDROP_MAILDIR, "M");
		ROW_ASSERT(told, strncmp(told, name + 6, 6) == 0 && strstr(told + 6, name + 6) == NULL && strstr(told, "abc") == NULL);
		end();
	}
}

/* The list is gone with Dovecot, and the clock goes back: all are looked at, and keep what was told of them. */
static void test_maildir_clock_back(void)
{
	begin_maildir();
	put("M/dovecot-uidlist", HEAD "1 :1000.a\n255 :1001.b,S=17,W=20\n");
	ROW_TEXT("told", ids("told", MAILDROP_MAILDIR, "M"), TOLD_A TOLD_B "1002.c ");
	CU_ASSERT(unlink(in_scratch("M/dovecot-uidlist")) == 0);
	faults_clock_ms -= 5000;
	ROW_TEXT("clock back", ids("clock back", MAILDROP_MAILDIR, "M"), TOLD_A TOLD_B "1002.c ");
	end();
}

#define TESTS(X)                                                                                                             \
	X(test_formats) X(test_maildir_format) X(test_courier_lists) X(test_maildir_lists) X(test_maildir_long) X(test_maildir_later) X(test_maildir_places) X(test_maildir_goes_on) \
	X(test_maildir_old_list) X(test_maildir_written_to) X(test_maildir_clock_back) X(test_maildir_apart_twice)
SUITE("told_ids")
