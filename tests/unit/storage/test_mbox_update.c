/*
 * test_mbox_update.c - what is left of an mbox after an UPDATE.
 * Runs in: the tests. Trusts: nothing.
 */
#include <stdint.h>

#include "storage/mbox.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
#define FR "From ann@example.org Thu Jan  1 00:00:00 1970\r\n"
#define A F "S: a\n\none\n\n"
#define B F "S: b\n\ntwo, a bit longer\n\n"
#define C F "S: c\n\nthree\n\n"
#define D F "S: d\n\n"
#define INTERNAL "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\ntext\n\n"

static const struct {
	const char *label, *file, *marks, *want;
} rows[] = {
	{ "none", A B C, "...", A B C },
	{ "first", A B C, "x..", B C },
	{ "middle", A B C, ".x.", A C },
	{ "last", A B C, "..x", A B },
	{ "all but the first", A B C, ".xx", A },
	{ "all but the last", A B C, "xx.", C },
	{ "alternate", A B C D, "x.x.", B D },
	{ "the other ones", A B C D, ".x.x", A C },
	{ "all", A B C, "xxx", "" },
	{ "the only one", A, "x", "" },
	{ "first, no body anywhere", D D D, "x..", D D },
	{ "all, last line end missing", A F "S: b\n\ntwo", "xx", "" },
	{ "first, last line end missing", A F "S: b\n\ntwo", "x.", F "S: b\n\ntwo" },
	{ "last, its line end missing", A F "S: b\n\ntwo", ".x", A },
	{ "last, no separator", A F "S: b\n\ntwo\n", ".x", A },
	{ "CRLF, first", FR "S: a\r\n\r\none\r\n\r\n" FR "S: b\r\n\r\ntwo\r\n\r\n", "x.", FR "S: b\r\n\r\ntwo\r\n\r\n" },
	{ "CRLF, last", FR "S: a\r\n\r\none\r\n\r\n" FR "S: b\r\n\r\ntwo\r\n\r\n", ".x", FR "S: a\r\n\r\none\r\n\r\n" },
	{ "CRLF, all", FR "S: a\r\n\r\none\r\n\r\n" FR "S: b\r\n\r\ntwo\r\n\r\n", "xx", "" },
	{ "pseudo message stays", INTERNAL A B, "xx", INTERNAL },
	{ "pseudo message stays in front", INTERNAL A B, "x.", INTERNAL B },
	{ "blank lines first, all", "\n\n" A B, "xx", "" },
	{ "blank lines first, one", "\n\n" A B, "x.", "\n\n" B },
	{ "body with From_ and Content-Length", F "Content-Length: 57\n\none\n\n" F "x: y\n\n" C, "x.", C },
	{ "blank lines at the end", A B "\n\n", ".x", A },
	{ "three of one", A A A, ".x.", A A },
};

static void test_marks(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		scratch_open();
		put("mbox", rows[i].file);
		ino_t before, after;
		struct stat st;
		CU_ASSERT(stat(in_scratch("mbox"), &st) == 0);
		before = st.st_ino;
		struct maildrop *drop = open_drop(rows[i].label, MAILDROP_MBOX, "mbox");
		ROW_ASSERT(rows[i].label, count_of(drop) == strlen(rows[i].marks));
		update_well(rows[i].label, drop, rows[i].marks);
		maildrop_close(&drop);
		expect_content(rows[i].label, "mbox", rows[i].want);
		CU_ASSERT(stat(in_scratch("mbox"), &st) == 0);
		after = st.st_ino;
		/* A delivery agent may have the file open, waiting for its lock. */
		ROW_ASSERT(rows[i].label, before == after);
		scratch_close();
	}
}

/* ---- what others do between the scan and the update ---- */

static const struct {
	const char *label, *file, *then, *marks;
	const char *want; /* NULL: refused, and the file stays as `then` has it */
} changes[] = {
	{ "delivery", A B, A B C, "x.", B C },
	{ "delivery, all marked", A B, A B C, "xx", C },
	{ "two deliveries", A B, A B C D, ".x", A C D },
	{ "delivery, nothing marked of two", A B, A B C, "..", A B C },
	{ "separator comes with the delivery", A F "S: b\n\ntwo\n", A F "S: b\n\ntwo\n\n" C, ".x", A C },
	{ "line end comes with the delivery", A F "S: b\n\ntwo", A F "S: b\n\ntwo\n\n" C, "x.", F "S: b\n\ntwo\n\n" C },
	{ "the same, and that one is removed", A F "S: b\n\ntwo", A F "S: b\n\ntwo\n\n" C, ".x", A C },
	{ "one blank line more", A B, A B "\n" C, ".x", A C },
	{ "CRLF separator", A F "S: b\n\ntwo\n", A F "S: b\n\ntwo\n\r\n" C, ".x", A C },
	{ "only a blank line came", A B, A B "\n", ".x", A },
	{ "no separator before the delivery", A F "S: b\n\ntwo\n", A F "S: b\n\ntwo\n" C, ".x", NULL },
	{ "delivery glued to the last line", A F "S: b\n\ntwo", A F "S: b\n\ntwo" C, ".x", NULL },
	{ "last line went on", A F "S: b\n\ntwo", A F "S: b\n\ntwo and more\n", ".x", NULL },
	{ "text behind the separator", A B, A B "more\n", ".x", NULL },
	{ "too many blank lines", A B, A B "\n\n\n\n\n\n\n\n" C, ".x", NULL },
	{ "marked one changed", A B, F "S: a\n\nonX\n\n" B, "x.", NULL },
	{ "unmarked one changed", A B, A F "S: b\n\ntwX, a bit longer\n\n", "x.", NULL },
	{ "swapped", A B, B A, "x.", NULL },
	{ "first removed", A B C, B C, "x..", NULL },
	{ "last removed", A B C, A B, "x..", NULL },
	{ "cut short", A B C, A B F "S: c\n\nth", "x..", NULL },
	{ "emptied", A B, "", "x.", NULL },
	{ "inserted", A B, A C B, ".x", NULL },
	{ "Status set", A B, F "S: a\nStatus: R\n\none\n\n" B, ".x", NULL },
};

static void test_changes(void)
{
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		const char *label = changes[i].label, *marks = changes[i].marks;
		int errors[8];
		struct why why;
		scratch_open();
		put("mbox", changes[i].file);
		struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
		put("mbox", changes[i].then);
		int r = update(drop, marks, errors, &why);
		ROW_ASSERT(label, r == (changes[i].want != NULL ? 0 : -1));
		ROW_ASSERT(label, r == 0 || why.reason == REASON_MAILDROP_CHANGED);
		for (size_t m = 0; marks[m] != '\0'; m++)
			ROW_ASSERT(label, errors[m] == (r != 0 && marks[m] == 'x' ? ESTALE : 0));
		maildrop_close(&drop);
		expect_content(label, "mbox", changes[i].want != NULL ? changes[i].want : changes[i].then);
		scratch_close();
	}
}

static void test_replaced_file(void)
{
	int errors[2];
	struct why why;
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop("replaced", MAILDROP_MBOX, "mbox");
	put("new", A B);
	CU_ASSERT(rename(in_scratch("new"), in_scratch("mbox")) == 0);
	CU_ASSERT(update(drop, "x.", errors, &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_CHANGED && errors[0] == ESTALE && errors[1] == 0);
	expect_content("replaced", "mbox", A B);
	CU_ASSERT(unlink(in_scratch("mbox")) == 0);
	CU_ASSERT(update(drop, "x.", errors, &why) == -1 && why.reason == REASON_MAILDROP_CHANGED);
	CU_ASSERT(!exists("mbox"));
	maildrop_close(&drop);
	scratch_close();
}

/* ---- sizes ---- */

/* Builds a message of exactly `size` octets with its separator. */
static size_t add_message(char *out, size_t size, size_t number)
{
	static const char head[] = F "\n";
	size_t n = sizeof head - 1;
	memcpy(out, head, n);
	while (n < size - 2) {
		out[n] = n % 61 == 0 ? '\n' : (char)('a' + (n + number) % 26);
		n++;
	}
	out[n++] = '\n';
	out[n++] = '\n';
	return n;
}

/* Messages around the size of the buffer and the page, in every pattern of marks. */
static void test_sizes(void)
{
	enum { COUNT = 5, ROUNDS = 12 };
	static const size_t bases[] = { 100, 4096, MBOX_BUFFER, 3 * MBOX_BUFFER };
	size_t room = COUNT * (4 * MBOX_BUFFER);
	char *file = malloc(room), *want = malloc(room);
	unsigned seed = 7;
	scratch_open();
	for (unsigned pattern = 0; pattern < 1u << COUNT; pattern++) {
		for (size_t round = 0; round < ROUNDS; round++) {
			size_t len = 0, want_len = 0, got_len = 0;
			char marks[COUNT + 1] = { 0 }, label[64];
			for (size_t i = 0; i < COUNT; i++) {
				size_t size = bases[(size_t)rand_r(&seed) % 4] + (size_t)rand_r(&seed) % 4 - 1;
				size_t n = add_message(file + len, size, i);
				marks[i] = (pattern >> i & 1) != 0 ? 'x' : '.';
				if (marks[i] == '.') {
					memcpy(want + want_len, file + len, n);
					want_len += n;
				}
				len += n;
			}
			(void)snprintf(label, sizeof label, "%s round %zu", marks, round);
			put_octets("mbox", file, len);
			struct maildrop *drop = open_drop(label, MAILDROP_MBOX, "mbox");
			ROW_ASSERT(label, count_of(drop) == COUNT);
			update_well(label, drop, marks);
			maildrop_close(&drop);
			char *got = get("mbox", &got_len);
			ROW_ASSERT(label, got_len == want_len && memcmp(got, want, want_len) == 0);
			free(got);
		}
	}
	scratch_close();
	free(file);
	free(want);
}

/* ---- times ---- */

/* Mail programs tell new mail by atime < mtime. */
static void test_times(void)
{
	struct stat st;
	scratch_open();
	put("mbox", A B);
	struct maildrop *drop = open_drop("times", MAILDROP_MBOX, "mbox");
	update_well("times", drop, "x.");
	maildrop_close(&drop);
	CU_ASSERT(stat(in_scratch("mbox"), &st) == 0);
	CU_ASSERT(st.st_atim.tv_sec == st.st_mtim.tv_sec && st.st_atim.tv_nsec == st.st_mtim.tv_nsec);
	drop = open_drop("arrived", MAILDROP_MBOX, "mbox");
	append("mbox", C);
	update_well("arrived", drop, "x");
	maildrop_close(&drop);
	CU_ASSERT(stat(in_scratch("mbox"), &st) == 0);
	CU_ASSERT(st.st_atim.tv_sec < st.st_mtim.tv_sec);
	scratch_close();
}

#define TESTS(X) X(test_marks) X(test_changes) X(test_replaced_file) X(test_sizes) X(test_times)
SUITE("mbox_update")
