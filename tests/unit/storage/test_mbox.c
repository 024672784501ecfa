/*
 * test_mbox.c - what an mbox holds: From_ lines, sizes, unique-ids.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/mbox.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
#define FR "From ann@example.org Thu Jan  1 00:00:00 1970\r\n"
#define INTERNAL "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nFrom: x\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n" \
	"X-IMAP: 1 2\n\nThis text is part of the internal format.\n\n"
#define L1000 L100 L100 L100 L100 L100 L100 L100 L100 L100 L100
#define L100 L10 L10 L10 L10 L10 L10 L10 L10 L10 L10
#define L10 "0123456789"
#define WORDS "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f" /* an address may have 64 octets before its @ */

enum { MESSAGES_MAX = 5 };

static const struct row {
	const char *label, *file;
	const char *messages[MESSAGES_MAX]; /* as RETR sends them */
} rows[] = {
	{ "empty file", "", { NULL } },
	{ "one", F "S: a\n\nbody\n", { "S: a\r\n\r\nbody\r\n" } },
	{ "separator at the end", F "S: a\n\nbody\n\n", { "S: a\r\n\r\nbody\r\n" } },
	{ "two blank lines at the end", F "S: a\n\nbody\n\n\n", { "S: a\r\n\r\nbody\r\n\r\n" } },
	{ "last line end missing", F "S: a\n\nbody", { "S: a\r\n\r\nbody\r\n" } },
	{ "two", F "S: a\n\none\n\n" F "S: b\n\ntwo\n\n", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "two, last line end missing", F "S: a\n\none\n\n" F "S: b\n\ntwo", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "CRLF file", FR "S: a\r\n\r\none\r\n\r\n" FR "S: b\r\n\r\ntwo\r\n\r\n", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "CRLF before an LF message", FR "S: a\r\n\r\none\r\n\r\n" F "S: b\n\ntwo\n", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "CR ends the line before From_", F "S: a\n\none\n\r" F "x\n", { "S: a\r\n\r\none\r\n\rFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nx\r\n" } },
	{ "no body", F "S: a\n\n" F "S: b\n\n", { "S: a\r\n", "S: b\r\n" } },
	{ "no body, no blank line", F "S: a\n", { "S: a\r\n" } },
	{ "header's blank line and separator", F "S: a\n\n\n" F "S: b\n", { "S: a\r\n\r\n", "S: b\r\n" } },
	{ "no header", F "\nbody\n\n" F "\nmore\n", { "\r\nbody\r\n", "\r\nmore\r\n" } },
	{ "nothing but From_ lines", F "\n" F "\n" F, { "", "", "" } },
	{ "From_ line without line end", "From a@b Thu Jan  1 00:00:00 1970", { "" } },
	{ "blank lines first", "\n\n" F "S: a\n\nbody\n", { "S: a\r\n\r\nbody\r\n" } },
	{ "nothing but blank lines", "\n\n", { NULL } },
	{ "From_ without blank line before", F "S: a\n\none\n" F "two\n", { "S: a\r\n\r\none\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\ntwo\r\n" } },
	{ "From_ in the header", F "S: a\n" F "T: b\n\nbody\n", { "S: a\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nT: b\r\n\r\nbody\r\n" } },
	{ "prose that begins with From", F "S: a\n\none\n\nFrom here on it is prose.\n", { "S: a\r\n\r\none\r\n\r\nFrom here on it is prose.\r\n" } },
	{ "From_ with a bad date", F "S: a\n\none\n\nFrom a@b Thu Foo  1 00:00:00 1970\nx\n",
	  { "S: a\r\n\r\none\r\n\r\nFrom a@b Thu Foo  1 00:00:00 1970\r\nx\r\n" } },
	{ "quoted From stays quoted", F "S: a\n\n>From me\n>>From you\n", { "S: a\r\n\r\n>From me\r\n>>From you\r\n" } },
	{ "lower case from", F "S: a\n\n\nfrom a@b Thu Jan  1 00:00:00 1970\n", { "S: a\r\n\r\n\r\nfrom a@b Thu Jan  1 00:00:00 1970\r\n" } },
	{ "a sender of many words first", "From \"" WORDS "\"@b Thu Jan  1 00:00:00 1970\nS: a\n\none\n\n" F "S: b\n\ntwo\n", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "a long sender behind another message", F "S: a\n\none\n\nFrom " L1000 L1000 "@b Thu Jan  1 00:00:00 1970\nS: b\n\ntwo\n", { "S: a\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "Content-Length at the end", F "Content-Length: 61\n\none\n\n" F "S: b\n\ntwo\n", /* 5 + 46 + 6 + 4 */
	  { "Content-Length: 61\r\n\r\none\r\n\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nS: b\r\n\r\ntwo\r\n" } },
	{ "Content-Length at the end, separator behind", F "Content-Length: 61\n\none\n\n" F "S: b\n\ntwo\n\n",
	  { "Content-Length: 61\r\n\r\none\r\n\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nS: b\r\n\r\ntwo\r\n" } },
	{ "Content-Length at From_", F "content-length :\t56 \n\none\n\n" F "x: y\n\n" F "S: c\n",
	  { "content-length :\t56 \r\n\r\none\r\n\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nx: y\r\n", "S: c\r\n" } },
	{ "Content-Length behind the separator", F "Content-Length: 57\n\none\n\n" F "x: y\n\n" F "S: c\n",
	  { "Content-Length: 57\r\n\r\none\r\n\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nx: y\r\n", "S: c\r\n" } },
	{ "Content-Length too small", F "Content-Length: 3\n\none\n\n" F "S: b\n", { "Content-Length: 3\r\n\r\none\r\n", "S: b\r\n" } },
	{ "Content-Length inside a line", F "Content-Length: 6\n\none\n\n" F "S: b\n", { "Content-Length: 6\r\n\r\none\r\n", "S: b\r\n" } },
	{ "Content-Length too large", F "Content-Length: 99999\n\none\n\n" F "S: b\n", { "Content-Length: 99999\r\n\r\none\r\n", "S: b\r\n" } },
	{ "Content-Length beyond 64 bits", F "Content-Length: 18446744073709551617\n\none\n\n" F "S: b\n",
	  { "Content-Length: 18446744073709551617\r\n\r\none\r\n", "S: b\r\n" } },
	{ "Content-Length that would wrap", F "Content-Length: 9223372036854775807\n\none\n\n" F "S: b\n",
	  { "Content-Length: 9223372036854775807\r\n\r\none\r\n", "S: b\r\n" } },
	{ "Content-Length is no number", F "Content-Length: x\n\none\n\n" F "S: b\n", { "Content-Length: x\r\n\r\none\r\n", "S: b\r\n" } },
	{ "two that differ", F "Content-Length: 4\nContent-Length: 61\n\none\n\n" F "S: b\n\ntwo\n",
	  { "Content-Length: 4\r\nContent-Length: 61\r\n\r\none\r\n", "S: b\r\n\r\ntwo\r\n" } },
	{ "Content-Length before a line end, no blank line", F "Content-Length: 55\n\none\n\n" F "x: y\n" F "S: c\n",
	  { "Content-Length: 55\r\n\r\none\r\n", "x: y\r\nFrom ann@example.org Thu Jan  1 00:00:00 1970\r\nS: c\r\n" } },
	{ "Content-Length 0, right", F "Content-Length: 0\n\n\n" F "S: b\n", { "Content-Length: 0\r\n\r\n", "S: b\r\n" } },
	{ "Content-Length in the body", F "S: a\n\nContent-Length: 999\n\n" F "S: b\n", { "S: a\r\n\r\nContent-Length: 999\r\n", "S: b\r\n" } },
	{ "Content-Length in a longer name", F "X-Content-Length: 51\n\none\n\n" F "S: b\n\n", { "X-Content-Length: 51\r\n\r\none\r\n", "S: b\r\n" } },
	{ "pseudo message first", INTERNAL F "S: a\n\nbody\n", { "S: a\r\n\r\nbody\r\n" } },
	{ "pseudo message alone", INTERNAL, { NULL } },
	{ "pseudo message not first", F "S: a\n\nbody\n\n" INTERNAL,
	  { "S: a\r\n\r\nbody\r\n", "From: x\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n"
	    "X-IMAP: 1 2\r\n\r\nThis text is part of the internal format.\r\n" } },
	{ "mail that looks like it", "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nReceived: from x\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\nx\n",
	  { "Received: from x\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n\r\nx\r\n" } },
	{ "the same, the other way round", "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nreceived: from x\n\nx\n",
	  { "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\nreceived: from x\r\n\r\nx\r\n" } },
	{ "pseudo message with a Content-Length", "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
	  "Content-Length: 60\n\nx\n\n" F "S: a\n\nbody\n", { "S: a\r\n\r\nbody\r\n" } },
	{ "its subject from elsewhere", F "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n",
	  { "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n" } },
	{ "a real bounce", "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: DON'T\n", { "Subject: DON'T\r\n" } },
	{ "dots", F "S: a\n\n.\n..\n", { "S: a\r\n\r\n..\r\n...\r\n" } },
};

static void test_messages(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		scratch_open();
		put("mbox", rows[i].file);
		struct maildrop *drop = open_drop(rows[i].label, MAILDROP_MBOX, "mbox");
		size_t want = 0;
		while (want < MESSAGES_MAX && rows[i].messages[want] != NULL)
			want++;
		ROW_ASSERT(rows[i].label, count_of(drop) == want);
		for (size_t m = 0; m < want && m < count_of(drop); m++)
			expect_message(rows[i].label, drop, m, rows[i].messages[m]);
		maildrop_close(&drop);
		CU_ASSERT(drop == NULL);
		expect_content(rows[i].label, "mbox", rows[i].file);
		scratch_close();
	}
}

/* NUL is an octet like any other. */
static void test_nul(void)
{
	static const char file[] = F "S: a\0b\n\n\0\n\0From \n\n" F "\0";
	scratch_open();
	put_octets("mbox", file, sizeof file - 1);
	struct maildrop *drop = open_drop("NUL", MAILDROP_MBOX, "mbox");
	CU_ASSERT(count_of(drop) == 2);
	CU_ASSERT(record_of(drop, 0)->octets == 8 + 2 + 3 + 8);
	CU_ASSERT(record_of(drop, 1)->octets == 3);
	maildrop_close(&drop);
	scratch_close();
}

static const struct {
	const char *line;
	bool valid;
} from_lines[] = {
	{ "From ann@example.org Thu Jan  1 00:00:00 1970\n", true },
	{ "From ann@example.org  Thu Nov 29 22:33:52 2001\n", true },
	{ "From ann@example.org Thu Nov 29 22:33 2001\n", true },
	{ "From ann@example.org Thu Nov 29 9:33:52 2001\n", true },
	{ "From ann@example.org Thu Nov 29 22:33:52 EET 2001\n", true },
	{ "From ann@example.org Thu Nov 29 22:33:52 2001 +0300\n", true },
	{ "From ann@example.org Thu Nov 29 22:33:52 MET DST 2001\n", true },
	{ "From ann@example.org Thu, 29 Nov 2001 22:33:52 +0300\n", true },
	{ "From ann@example.org Thu Nov 29 22:33:52 2001 remote from host\n", true },
	{ "From \"ann b\"@example.org Thu Nov 29 22:33:52 2001\n", true },
	{ "From - Thu Nov 29 22:33:52 2001\n", true },
	{ "From Thu Nov 29 22:33:52 2001\n", true },
	{ "From ann thu nov 29 22:33:52 2001\r\n", true },
	{ "From ann@example.org\tThu Nov 29 22:33:52 2001\n", true },
	{ "From thu Thu Nov 29 22:33:52 2001\n", true },
	{ "From \n", false },
	{ "From\n", false },
	{ "From ann\n", false },
	{ "From: Thu Nov 29 22:33:52 2001\n", false },
	{ "Fromage Thu Nov 29 22:33:52 2001\n", false },
	{ "From ann Xyz Nov 29 22:33:52 2001\n", false },
	{ "From ann Thursday Nov 29 22:33:52 2001\n", false },
	{ "From ann Thu Nov 29 2001\n", false },
	{ "From ann Thu Nov 29 22:33:52\n", false },
	{ "From ann Thu Nov 299 22:33:52 2001\n", false },
	{ "From ann Thu Nov 29 22:333:52 2001\n", false },
	{ "From ann Thu Nov 29 22::52 2001\n", false },
	{ "From ann Thu Nov 29 22:33: 2001\n", false },
	{ "From ann Thu Nov 29 22:33:5:1 2001\n", false },
	{ "From ann Thu Nov 29 2233 0001\n", false },
	{ "From ann Thu Nov 29 22:33:52 0201\n", false },
	{ "From ann Thu 29 29 22:33:52 2001\n", false },
	{ "From ann Thu Nov\n", false },
	{ "From we left on Thu Nov 29 and came back, all of us, in the year after 22:33 2001\n", false },
	{ "From \"a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g\"@example.org Thu Nov 29 22:33:52 2001\n", true },
	{ "From " L1000 L1000 "@example.org Thu Nov 29 22:33:52 2001\n", true },
	{ "From a Thu Nov 29 22:33:52 2001 a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d\n", false },
};

static void test_from_lines(void)
{
	for (size_t i = 0; i < sizeof from_lines / sizeof from_lines[0]; i++) {
		const char *line = from_lines[i].line;
		size_t len = strlen(line), got = mbox_from_line(line, len, false);
		ROW_ASSERT(line, got == (from_lines[i].valid ? len : 0));
		/* Cut off anywhere before its end, it is none unless the file ends there. */
		ROW_ASSERT(line, mbox_from_line(line, len - 1, false) == 0);
		for (size_t n = 0; n < len; n++) {
			char *exact = malloc(n + 1);
			memcpy(exact, line, n);
			(void)mbox_from_line(exact, n, true);
			free(exact);
		}
	}
}

static const struct {
	const char *label, *file;
} broken[] = {
	{ "one octet", "x" },
	{ "two octets", "x\n" },
	{ "a message without From_", "Subject: a\n\nbody\n" },
	{ "bad From_ line", "From here to eternity\n\nbody\n" },
	{ "NUL first", "\001\001\001\001\n" F },
	{ "blank lines, then no From_", "\n\nSubject: a\n" },
	{ "CR only", "\r" },
	{ "From_ cut off", "From " },
	{ "F", "F" },
};

static void test_broken(void)
{
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		struct why why;
		scratch_open();
		put("mbox", broken[i].file);
		struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
		ROW_ASSERT(broken[i].label, drop == NULL);
		ROW_ASSERT(broken[i].label, why.reason == REASON_MAILDROP_BROKEN);
		ROW_ASSERT(broken[i].label, strstr(why.text, "From_ line") != NULL);
		maildrop_close(&drop);
		scratch_close();
	}
}

/* Body lines of every length around the window's and the page's edges: the messages behind must not be missed. */
static void test_edges(void)
{
	static const size_t edges[] = { 4096, 8192, MBOX_BUFFER - MBOX_FROM_LINE_MAX, MBOX_BUFFER, 2 * MBOX_BUFFER, 3 * MBOX_BUFFER };
	static const char head[] = F "S: a\n\n", tail[] = "\n\n" F "S: b\n\nsecond\n";
	enum { AROUND = 60 };
	scratch_open();
	for (size_t e = 0; e < sizeof edges / sizeof edges[0]; e++) {
		for (size_t d = 0; d <= 2 * AROUND + 50; d++) {
			/* Let each octet between the body's end and the second header be the one at the edge. */
			size_t end = edges[e] + AROUND - d, body = end - (sizeof head - 1);
			size_t size = end + sizeof tail - 1;
			char *file = malloc(size), label[64];
			memset(file, 'x', size);
			memcpy(file, head, sizeof head - 1);
			memcpy(file + end, tail, sizeof tail - 1);
			put_octets("mbox", file, size);
			(void)snprintf(label, sizeof label, "body ends at %zu", end);
			struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
			ROW_ASSERT(label, count_of(drop) == 2);
			ROW_ASSERT(label, record_of(drop, 0)->octets == 6 + 2 + body + 2);
			if (count_of(drop) == 2)
				expect_message(label, drop, 1, "S: b\r\n\r\nsecond\r\n");
			maildrop_close(&drop);
			free(file);
		}
	}
	scratch_close();
}

/* A line that begins like a From_ line and never ends like one, longer than any buffer. */
static void test_long_from(void)
{
	static const size_t lengths[] = { 4096, 8187, 8192, 9000, MBOX_BUFFER, 3 * MBOX_BUFFER };
	static const char head[] = F "S: a\n\n\nFrom ", tail[] = " Thu Jan  1 00:00:00 1970\n\n" F "S: b\n\n";
	scratch_open();
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		char label[32], *line = malloc(lengths[i] + 1);
		memset(line, 'x', lengths[i]);
		line[lengths[i]] = '\0';
		put("mbox", head);
		append("mbox", line);
		append("mbox", tail);
		(void)snprintf(label, sizeof label, "%zu octets", lengths[i]);
		struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
		ROW_ASSERT(label, count_of(drop) == 2);
		ROW_ASSERT(label, record_of(drop, 0)->octets == 6 + 2 + 2 + 5 + lengths[i] + 25 + 2);
		maildrop_close(&drop);
		free(line);
	}
	scratch_close();
}

/* Files of exactly these sizes, full of short lines and of blank ones. */
static void test_file_sizes(void)
{
	static const size_t sizes[] = { 4095, 4096, 4097, 65535, 65536, 65537, 131071, 131072, 131073, 196608 };
	static const char *const fills[] = { "\n", "a\n", "From \n\n", "\r\n", "\nFrom ann@x Thu Jan  1 00:00:0x 1970\n" };
	scratch_open();
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++) {
			static const char head[] = F "\n";
			char *file = malloc(sizes[s]), *want;
			size_t at = sizeof head - 1, len = strlen(fills[f]);
			memcpy(file, head, at);
			for (size_t i = 0; at < sizes[s]; i++)
				file[at++] = fills[f][i % len];
			put_octets("mbox", file, sizes[s]);
			struct maildrop *drop = open_drop(fills[f], MAILDROP_MBOX, "mbox");
			ROW_ASSERT(fills[f], count_of(drop) == 1);
			/* All but the separator, as the slow way would count it. */
			size_t end = sizes[s], octets = 0;
			if (end >= 2 && file[end - 1] == '\n' && file[end - 2] == '\n')
				end--;
			else if (end >= 3 && memcmp(file + end - 3, "\n\r\n", 3) == 0)
				end -= 2;
			for (size_t i = sizeof F - 1; i < end; i++)
				octets += file[i] == '\n' && file[i - 1] != '\r' ? 2 : 1;
			if (file[end - 1] != '\n')
				octets += 2;
			ROW_ASSERT(fills[f], record_of(drop, 0)->octets == octets);
			want = fetch(fills[f], drop, 0);
			free(want);
			maildrop_close(&drop);
			free(file);
		}
	}
	scratch_close();
}

/* ---- unique-ids ---- */

static void read_uidl(const char *file, size_t idx, char uidl_r[UIDL_MAX + 2])
{
	put("mbox", file);
	struct maildrop *drop = open_drop(file, MAILDROP_MBOX, "mbox");
	memcpy(uidl_r, record_of(drop, idx)->uidl, UIDL_MAX + 2);
	maildrop_close(&drop);
}

static const struct {
	const char *label, *a;
	size_t a_idx;
	const char *b;
	size_t b_idx;
	bool same;
} uidls[] = {
	{ "read twice", F "S: a\n\nx\n", 0, F "S: a\n\nx\n", 0, true },
	{ "moved down by a deletion", F "S: 0\n\n" F "S: a\n\nx\n", 1, F "S: a\n\nx\n", 0, true },
	{ "separator added", F "S: a\n\nx\n", 0, F "S: a\n\nx\n\n", 0, true },
	{ "Status set", F "S: a\n\nx\n", 0, F "S: a\nStatus: RO\n\nx\n", 0, true },
	{ "all of them", F "S: a\n\nx\n", 0, F "status: O\nX-Status: A\nS: a\nX-UID: 7\nX-UIDL: z\nX-Keywords:   \nX-IMAPbase: 1 2\nX-IMAP: 3\n"
	  "Lines: 1\nContent-Length: 2\n\nx\n", 0, true },
	{ "folded", F "S: a\n\nx\n", 0, F "X-Keywords: a\n b\n\tc\nS: a\n\nx\n", 0, true },
	{ "header differs", F "S: a\n\nx\n", 0, F "S: b\n\nx\n", 0, false },
	{ "only the text differs", F "S: a\n\nx\n", 0, F "S: a\n\ny\n", 0, false },
	{ "same header, the first one removed", F "S: a\n\nx\n\n" F "S: a\n\ny\n", 1, F "S: a\n\ny\n", 0, true },
	{ "From_ differs", F "S: a\n\nx\n", 0, "From a@b Thu Jan  1 00:00:01 1970\nS: a\n\nx\n", 0, false },
	{ "folded line of another field", F "S: a\n b\n", 0, F "S: a\n c\n", 0, false },
	{ "field that looks like one", F "Statuses: a\n", 0, F "Statuses: b\n", 0, false },
	{ "two the same in one file", F "S: a\n\nx\n\n" F "S: a\n\nx\n", 0, F "S: a\n\nx\n\n" F "S: a\n\nx\n", 1, false },
	{ "the first of two keeps its own", F "S: a\n\nx\n", 0, F "S: a\n\nx\n\n" F "S: a\n\nx\n", 0, true },
	{ "the second of three", F "S: a\n\n" F "S: a\n\n" F "S: a\n\n", 1, F "S: a\n\n" F "S: 0\n\n" F "S: a\n\n", 2, true },
	{ "the third of three", F "S: a\n\n" F "S: a\n\n" F "S: a\n\n", 1, F "S: a\n\n" F "S: a\n\n" F "S: a\n\n", 2, false },
};

static void test_uidl(void)
{
	scratch_open();
	for (size_t i = 0; i < sizeof uidls / sizeof uidls[0]; i++) {
		char a[UIDL_MAX + 2], b[UIDL_MAX + 2];
		read_uidl(uidls[i].a, uidls[i].a_idx, a);
		read_uidl(uidls[i].b, uidls[i].b_idx, b);
		ROW_ASSERT(uidls[i].label, (strcmp(a, b) == 0) == uidls[i].same);
		ROW_ASSERT(uidls[i].label, strlen(a) >= 32 && strlen(a) <= UIDL_MAX);
		ROW_ASSERT(uidls[i].label, strspn(a, "0123456789abcdef-") == strlen(a));
	}
	scratch_close();
}

/* A header longer than the window, and more messages than the first table has room for. */
static void test_large(void)
{
	enum { MANY = 1000, LONG = 3 * MBOX_BUFFER };
	scratch_open();
	char *line = malloc(LONG + 1);
	memset(line, 'y', LONG);
	line[LONG] = '\0';
	put("mbox", F "S: ");
	append("mbox", line);
	append("mbox", "\nStatus: ");
	append("mbox", line);
	append("mbox", "\n\nbody\n\n");
	for (size_t i = 0; i < MANY; i++) {
		char text[128];
		(void)snprintf(text, sizeof text, F "S: %zu\n\nbody\n\n", i % 500);
		append("mbox", text);
	}
	struct maildrop *drop = open_drop("large", MAILDROP_MBOX, "mbox");
	CU_ASSERT(count_of(drop) == MANY + 1);
	CU_ASSERT(record_of(drop, 0)->octets == 3 + LONG + 2 + 8 + LONG + 2 + 2 + 6);
	expect_message("last", drop, MANY, "S: 499\r\n\r\nbody\r\n");
	for (size_t i = 0; i < 500; i++) {
		const char *first = record_of(drop, 1 + i)->uidl, *second = record_of(drop, 501 + i)->uidl;
		CU_ASSERT(strncmp(first, second, 32) == 0 && strcmp(second + 32, "-2") == 0);
	}
	maildrop_close(&drop);
	free(line);
	scratch_close();
}

#define TESTS(X) X(test_messages) X(test_nul) X(test_from_lines) X(test_broken) X(test_edges) \
	X(test_long_from) X(test_file_sizes) X(test_uidl) X(test_large)
SUITE("mbox")
