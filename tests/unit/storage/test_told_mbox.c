/*
 * test_told_mbox.c - messages of an mbox that another server numbered keep the unique-ids that it told, and nothing else gets one.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/told_ids.h"

static void message(const char *fields, const char *body)
{
	char text[512];
	(void)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\n%sSubject: x\n\n%s\n\n", fields, body);
	append("mbox", text);
}

static void begin_mbox(void)
{
	begin();
	wanted = true;
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_UID_FIRST };
	put("mbox", "");
}

/* By an equal file, of which all is read. */
static void replace_mbox(void)
{
	size_t len;
	char *text = get("mbox", &len);
	put("mbox.new", text);
	free(text);
	CU_ASSERT(rename(in_scratch("mbox.new"), in_scratch("mbox")) == 0);
	tick();
}

static off_t last_octet_of_index(void)
{
	struct stat st;
	CU_ASSERT_FATAL(fstat(index_files.write_fd, &st) == 0 && st.st_size > INDEX_IMAGES);
	return st.st_size - 1;
}

#define BASE "X-IMAPbase: 1796030837 0000000005\n"
#define TOLD(n) "0000000" #n VALIDITY " "

/* The fields of three messages, and of whom the unique-id is Dovecot's. */
static const struct {
	const char *label, *fields[3];
	bool told[3];
} boxes[] = {
	{ "as 2.3 writes it", { BASE "X-UID: 1                    \n", "X-UID: 2    \n", "X-UID: 3\n" }, { true, true, true } },
	{ "as c-client does", { "X-IMAP: 1796030837 0000000005 Junk $x\nStatus: RO\nX-UID: 1\n", "X-UID: 2\n", "X-UID: 3\n" }, { true, true, true } },
	{ "the last is new", { BASE "X-UID: 1\n", "X-UID: 2\n", "" }, { true, true, false } },
	{ "behind a new one none is", { BASE "X-UID: 1\n", "", "X-UID: 3\n" }, { true, false, false } },
	{ "beyond the last that was given", { BASE "X-UID: 1\n", "X-UID: 2\n", "X-UID: 6\n" }, { true, true, false } },
	{ "a number twice", { BASE "X-UID: 1\n", "X-UID: 2\n", "X-UID: 2\n" }, { true, true, false } },
	{ "no numbers in the first", { "X-UID: 1\n", BASE "X-UID: 2\n", "X-UID: 3\n" }, { false, false, false } },
	{ "a number that is none", { BASE "X-UID: one\n", "X-UID: 2\n", "X-UID: 3\n" }, { false, false, false } },
	{ "UIDVALIDITY is 0", { "X-IMAPbase: 0 0000000005\nX-UID: 1\n", "X-UID: 2\n", "X-UID: 3\n" }, { false, false, false } },
	{ "half of it", { "X-IMAPbase: 1796030837\nX-UID: 1\n", "X-UID: 2\n", "X-UID: 3\n" }, { false, false, false } },
};

static size_t count(const char *text, const char *what)
{
	size_t n = 0;
	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

static void test_mbox_fields(void)
{
	for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++) {
		begin_mbox();
		for (size_t n = 0; n < 3; n++)
			message(boxes[i].fields[n], n == 0 ? "one" : n == 1 ? "two" : "three");
		tick();
		const char *told = ids(boxes[i].label, MAILDROP_MBOX, "mbox");
		ROW_ASSERT(boxes[i].label, count(told, VALIDITY " ") == (size_t)boxes[i].told[0] + boxes[i].told[1] + boxes[i].told[2]);
		for (size_t n = 0; n < 3; n++) {
			char want[32];
			(void)snprintf(want, sizeof want, "%08zx" VALIDITY " ", n + 1);
			ROW_ASSERT(boxes[i].label, (strstr(told, want) != NULL) == boxes[i].told[n]);
		}
		end();
	}
}

/* What UW's ipop3d told. It holds when the setting is another one later, or none; Courier's numbers are in no mbox. */
static void test_mbox_validity_first(void)
{
	begin_mbox();
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_VALIDITY_FIRST };
	message(BASE "X-UID: 1\n", "one");
	message("X-UID: 2\n", "two");
	tick();
	ROW_TEXT("first", ids("first", MAILDROP_MBOX, "mbox"), VALIDITY "00000001 " VALIDITY "00000002 ");
	told_by = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_UID_FIRST };
	message("", "three");
	tick();
	ROW_ASSERT("another setting", strncmp(ids("another setting", MAILDROP_MBOX, "mbox"), VALIDITY "00000001 " VALIDITY "00000002 ", 34) == 0);
	wanted = false;
	replace_mbox();
	ROW_ASSERT("none", strncmp(ids("none", MAILDROP_MBOX, "mbox"), VALIDITY "00000001 " VALIDITY "00000002 ", 34) == 0);
	forget_index();
	wanted = true;
	told_by = (struct told_ids){ .by = TOLD_BY_COURIER };
	ROW_ASSERT("Courier", strstr(ids("Courier", MAILDROP_MBOX, "mbox"), VALIDITY) == NULL);
	end();
}

/* Three that Dovecot has numbered, as they are told at the first login. */
static void begin_three(void)
{
	begin_mbox();
	message(BASE "X-UID: 1\n", "one");
	message("X-UID: 2\n", "two");
	message("X-UID: 3\n", "three");
	tick();
	ROW_TEXT("first", ids("first", MAILDROP_MBOX, "mbox"), TOLD(1) TOLD(2) TOLD(3));
}

/* The first message, which has UIDVALIDITY, goes; mail comes; Dovecot numbers beside us; a sender writes fields of his own. */
static void test_mbox_goes_on(void)
{
	char text[IDS_TEXT], *end_of_told;
	begin_three();
	drop_first(MAILDROP_MBOX, "mbox");
	ROW_TEXT("without the first", ids("without the first", MAILDROP_MBOX, "mbox"), TOLD(2) TOLD(3));
	message("X-UID: 1\n", "forged");
	tick();
	(void)snprintf(text, sizeof text, "%s", ids("new mail", MAILDROP_MBOX, "mbox"));
	ROW_ASSERT("new mail", strncmp(text, TOLD(2) TOLD(3), strlen(TOLD(2) TOLD(3))) == 0 && strlen(text) == strlen(TOLD(2) TOLD(3)) + 33);
	end_of_told = text + strlen(TOLD(2) TOLD(3));
	/* The same message, with what Dovecot writes into it. */
	put("mbox", "");
	message("X-IMAPbase: 1796030837 0000000006\nX-UID: 2\n", "two");
	message("X-UID: 3\n", "three");
	message("X-UID: 6\n", "forged");
	tick();
	ROW_TEXT("numbered later", ids("numbered later", MAILDROP_MBOX, "mbox"), text);
	wanted = false;
	message("", "last");
	tick();
	ROW_ASSERT("not wanted any more", strncmp(ids("kept", MAILDROP_MBOX, "mbox"), text, strlen(text)) == 0);
	ROW_ASSERT("a hash", strspn(end_of_told, "0123456789abcdef") == 32);
	end();
}

/* What was told before Dovecot's were wanted stays as it is. */
static void test_mbox_told_already(void)
{
	char before[IDS_TEXT];
	begin_mbox();
	message(BASE "X-UID: 1\n", "one");
	message("X-UID: 2\n", "two");
	tick();
	wanted = false;
	(void)snprintf(before, sizeof before, "%s", ids("own", MAILDROP_MBOX, "mbox"));
	wanted = true;
	message("", "three");
	tick();
	ROW_ASSERT("told already", strncmp(ids("wanted late", MAILDROP_MBOX, "mbox"), before, strlen(before)) == 0);
	forget_index();
	ROW_ASSERT("and anew without an index", strncmp(ids("anew", MAILDROP_MBOX, "mbox"), TOLD(1) TOLD(2), strlen(TOLD(1) TOLD(2))) == 0);
	end();
}

/* Five messages that no sample looks at. */
static void begin_large(void)
{
	static char body[LARGE_MESSAGE];
	begin_mbox();
	memset(body, 'x', sizeof body - 1);
	for (size_t i = 63; i < sizeof body - 1; i += 64)
		body[i] = '\n';
	for (unsigned n = 1; n <= 5; n++) {
		char fields[128];
		(void)snprintf(fields, sizeof fields, "From a@b Thu Jan  1 00:00:00 1970\n%s%sX-UID: %u\n\n%u\n", n == 1 ? BASE : "", n == 3 ? "Status: O \n" : "", n, n);
		append("mbox", fields);
		append("mbox", body);
		append("mbox", "\n\n");
	}
	tick();
}

/* A large mbox that grows is read from its last message on: that keeps its unique-id, and what is new gets none of Dovecot's. */
static void test_mbox_grows(void)
{
	begin_large();
	ROW_TEXT("first", ids("first", MAILDROP_MBOX, "mbox"), TOLD(1) TOLD(2) TOLD(3) TOLD(4) TOLD(5));
	message("X-UID: 6\n", "forged");
	tick();
	const char *told = ids("grown", MAILDROP_MBOX, "mbox"), *all = TOLD(1) TOLD(2) TOLD(3) TOLD(4) TOLD(5);
	ROW_ASSERT("grown", strncmp(told, all, strlen(all)) == 0 && strlen(told) == strlen(all) + 33);
	char grown[IDS_TEXT];
	(void)snprintf(grown, sizeof grown, "%s", told);
	message("", "six");
	tick();
	ROW_ASSERT("once more", strncmp(ids("once more", MAILDROP_MBOX, "mbox"), grown, strlen(grown)) == 0);
	replace_mbox();
	ROW_ASSERT("another file", strncmp(ids("another file", MAILDROP_MBOX, "mbox"), grown, strlen(grown)) == 0);
	end();
}

/*
 * The first message, which had UIDVALIDITY, is gone, and another program set a flag in a large one, which no sample shows: who fetches that finds it
 * out. What was told of all of them holds; also where the mailbox is not what it was at all.
 */
static void test_mbox_distrusted(void)
{
	static const struct {
		const char *label, *what, *with;
		enum reason reason;
	} cases[] = { { "a flag", "Status: O ", "Status: RO", REASON_NONE }, { "a text", "X-UID: 3\n\n3", "X-UID: 3\n\nX", REASON_MESSAGE_CHANGED } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct why why;
		begin_large();
		ROW_TEXT("first", ids("first", MAILDROP_MBOX, "mbox"), TOLD(1) TOLD(2) TOLD(3) TOLD(4) TOLD(5));
		drop_first(MAILDROP_MBOX, "mbox");
		change_in_place("mbox", cases[i].what, cases[i].with);
		message("", "new");
		tick();
		struct maildrop *drop = try_ids(MAILDROP_MBOX, "mbox", &why);
		CU_ASSERT_FATAL(drop != NULL && maildrop_count(drop) == 5);
		ROW_ASSERT(cases[i].label, fetch_reason(drop, 1) == cases[i].reason);
		maildrop_close(&drop);
		const char *told = ids(cases[i].label, MAILDROP_MBOX, "mbox"), *all = TOLD(2) TOLD(3) TOLD(4) TOLD(5);
		ROW_ASSERT(cases[i].label, strncmp(told, all, strlen(all)) == 0 && strlen(told) == strlen(all) + 33);
		end();
	}
}

/* The first message, which had UIDVALIDITY, is gone, and the clock goes back: a host without one that runs on has that at each start. */
static void test_mbox_clock_back(void)
{
	begin_three();
	drop_first(MAILDROP_MBOX, "mbox");
	faults_clock_ms -= 5000;
	ROW_TEXT("clock back", ids("clock back", MAILDROP_MBOX, "mbox"), TOLD(2) TOLD(3));
	ROW_TEXT("and on", ids("and on", MAILDROP_MBOX, "mbox"), TOLD(2) TOLD(3));
	end();
}

/*
 * The list of what QUIT left cannot be written: the session took the maildrop over, and the other's gate may still read an image, or the disk is full.
 * With the first message UIDVALIDITY goes.
 */
static void test_mbox_not_written(void)
{
	static const struct {
		const char *label;
		bool frozen;
		unsigned fails;   /* which write of QUIT's; those before are the journal's, the mailbox's and the ring's */
	} rows[] = { { "taken over", true, 0 }, { "disk full", false, 7 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		int errors[3];
		begin_three();
		index_files.frozen = rows[i].frozen;
		struct maildrop *drop = try_ids(MAILDROP_MBOX, "mbox", &why);
		CU_ASSERT_FATAL(drop != NULL);
		faults_set(FAULT_PWRITE, rows[i].fails, ENOSPC, 0);
		ROW_ASSERT(rows[i].label, update(drop, "x..", errors, &why) == 0 && faults[FAULT_PWRITE].calls > rows[i].fails);
		faults_clear();
		maildrop_close(&drop);
		index_files.frozen = false;
		tick();
		ROW_TEXT(rows[i].label, ids(rows[i].label, MAILDROP_MBOX, "mbox"), TOLD(2) TOLD(3));
		end();
	}
}

/* The power fails when the index's head is on the disk, and its image is not, or in part. */
static void test_mbox_image_torn(void)
{
	for (size_t cut = 0; cut < 2; cut++) {
		const char odd = 'x';
		begin_three();
		drop_first(MAILDROP_MBOX, "mbox");
		CU_ASSERT(cut ? ftruncate(index_files.write_fd, INDEX_IMAGES) == 0 : pwrite(index_files.write_fd, &odd, 1, last_octet_of_index()) == 1);
		ROW_TEXT("torn", ids("torn", MAILDROP_MBOX, "mbox"), TOLD(2) TOLD(3));
		end();
	}
}

/* A removed one's is not given again, should the numbers be. */
static void test_mbox_gone(void)
{
	begin_mbox();
	message(BASE "X-UID: 1\n", "one");
	message("X-UID: 2\n", "two");
	tick();
	drop_first(MAILDROP_MBOX, "mbox");
	put("mbox", "");
	message(BASE "X-UID: 1\n", "another");
	message("X-UID: 2\n", "two");
	tick();
	const char *told = ids("back", MAILDROP_MBOX, "mbox");
	ROW_ASSERT("back", strstr(told, TOLD(1)) == NULL && strstr(told, TOLD(2)) != NULL);
	end();
}

#define TESTS(X)                                                                                                             \
	X(test_mbox_fields) X(test_mbox_validity_first) X(test_mbox_goes_on) X(test_mbox_told_already) X(test_mbox_grows) X(test_mbox_distrusted) X(test_mbox_clock_back) X(test_mbox_image_torn) X(test_mbox_not_written) X(test_mbox_gone)
SUITE("told_mbox")
