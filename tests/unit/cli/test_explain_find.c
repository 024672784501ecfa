/*
 * test_explain_find.c - cli/explain_find.c, explain_shape.c, explain_groups.c: which failure is meant.
 * Runs in: the tests.
 */
#include "cli/explain.h"
#include "daemon/languages.h"
#include "tests/unit/suite.h"

/* The names of what was found, with blanks between them. */
static const char *found(const char *words)
{
	static char text[8192];
	enum reply rows[REPLY_COUNT];
	struct buf b = BUF_OVER(text);
	const size_t count = explain_find(words, rows);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(&b, "%s%s", i > 0 ? " " : "", reply_row(rows[i])->name);
	return buf_text(&b);
}

static void test_words(void)
{
	static const struct { const char *label, *words, *want; } rows[] = {
		{ "a name", "NO_SUCH_MESSAGE", "NO_SUCH_MESSAGE" }, { "a name in lower case", "no_such_message", "NO_SUCH_MESSAGE" },
		{ "a name that looks like a reference", "LOCKED", "LOCKED" },
		{ "a part", "no such message", "NO_SUCH_MESSAGE NO_MESSAGES" },
		{ "a whole text, not its longer neighbour", "invalid password", "INVALID_PASSWORD" },
		{ "a whole text with numbers", "no such message: you asked for 9, the mailbox has 5", "NO_SUCH_MESSAGE" },
		{ "a pasted line", "-ERR no such message: you asked for 9, the mailbox has 5", "NO_SUCH_MESSAGE" },
		{ "with code and reference", "-ERR [AUTH] invalid password: it was empty (ref 7KQ2M)", "EMPTY_PASSWORD" },
		{ "in a mail program's sentence", "The server said: \"-ERR [AUTH] invalid password (ref 7KQ2M)\".", "INVALID_PASSWORD" },
		{ "the administrator's own words behind it", "user name or password not accepted (mail passwords: https://example.org/mail)", "NOT_ACCEPTED" },
		{ "the same without any", "user name or password not accepted", "NOT_ACCEPTED" },
		{ "time and address", "unable to lock mailbox: open since 10:02 from 203.0.113.7, idle 8 minutes; free by 10:13 at the latest", "LOCKED" },
		{ "one of them", "unable to lock mailbox: open since 10:02 from 203.0.113.7, active 8 seconds ago; try again in 22 seconds", "LOCKED_SOON" },
		{ "some deleted", "some deleted messages not removed: 2 of 5 (disk full)", "KEPT_FULL" },
		{ "upper case and many blanks", "  MAILBOX   UNKNOWN ", "MAILBOX_UNKNOWN" },
		{ "a part from the middle", "was removed by another program", "MESSAGE_GONE" },
		{ "a part with a number", "message 31 was removed", "MESSAGE_GONE" },
		{ "words in any order", "full disk server", "DISK_FULL" },
		{ "others' words for it", "no such message exists", "NO_SUCH_MESSAGE NO_MESSAGES" },
		{ "nothing", "", "" }, { "only what every answer has", "-ERR [AUTH] (ref 7KQ2M)", "" },
		{ "nothing of ours", "segmentation fault", "" }, { "not a success", "logged in: 5 messages, 10951 octets", "" },
		{ "a success by its name", "LOGGED_IN", "LOGGED_IN" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ROW_TEXT(rows[i].label, found(rows[i].words), rows[i].want);
}

/* Every row is found by its own line, whatever stands in its places. */
static void test_every_line_finds_its_row(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		char line[REPLY_LINE_MAX];
		struct buf b = BUF_OVER(line);
		const struct reply_row *row = reply_row((enum reply)id);
		if (row->ok)
			continue;
		CU_ASSERT(reply_add(&b, (enum reply)id, &(struct reply_args){ .n = { 17, 23, 42 }, .text = "192.0.2.1", .ref = 12345 }) == 0);
		ROW_TEXT(row->name, found(buf_text(&b)), row->name);
	}
}

/* The same where the numbers are one or none, which takes other forms of words; in each language. */
static void test_forms_of_words(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++)
		for (size_t i = 0; i < 2 * languages_count; i++) {
			char line[REPLY_LINE_MAX];
			struct buf b = BUF_OVER(line);
			const struct language *language = &languages[i / 2];
			const struct reply_row *row = reply_row((enum reply)id);
			const struct reply_args args = { .language = language, .n = { i % 2, 17, 1 }, .text = "192.0.2.1", .ref = 12345 };
			if (row->ok)
				continue;
			CU_ASSERT(reply_add(&b, (enum reply)id, &args) == 0);
			ROW_TEXT(language->tag, found(buf_text(&b)), row->name);
		}
}

static void test_references(void)
{
	static const struct { const char *label, *words, *want; } rows[] = {
		{ "alone", "7KQ2M", "7KQ2M" }, { "typed", "7kq2m", "7KQ2M" }, { "in a line", "-ERR [AUTH] invalid password (ref 7KQ2M)", "7KQ2M" },
		{ "six symbols", "(ref 0A1B2C)", "0A1B2C" }, { "none in it", "invalid password", "" }, { "not one", "(ref no-such-thing)", "" },
		{ "cut off", "(ref 7KQ2M", "7KQ2M" }, { "as the log has it", "ref=7KQ2M", "7KQ2M" },
		{ "a line of the log", "keeper: login failed: user=\"ann\" reply=NOT_ACCEPTED ref=N9NZX (no back end knows the user)", "N9NZX" },
		{ "the field of the journal", "POSTERN_REF=7KQ2M", "7KQ2M" }, { "a name in the line is none", "user=\"ref=00000\" reply=NOT_ACCEPTED ref=N9NZX", "N9NZX" },
		{ "none of the log's", "ref=no-such-thing", "" },
		{ "as it is read out", "ref 7KQ2M", "7KQ2M" }, { "with a colon", "Ref: 7kq2m", "7KQ2M" }, { "the end of a sentence", "7KQ2M.", "7KQ2M" },
		{ "the end of a line", "7KQ2M)", "7KQ2M" }, { "a word behind it", "7KQ2M tells", "" }, { "no separator", "ref7KQ2M", "" }, { "nothing", "ref", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[REF_TEXT_MAX];
		ROW_TEXT(rows[i].label, ref_text(explain_ref(rows[i].words), text), rows[i].want);
	}
}

static void test_shapes(void)
{
	static const struct { enum reply id; const char *want; } rows[] = {
		{ REPLY_NO_SUCH_MESSAGE, "no such message: you asked for N, the mailbox has N" },
		{ REPLY_LOCKED_SOON, "unable to lock mailbox: open since HH:MM from ADDRESS, active N seconds ago; try again in N seconds" },
		{ REPLY_NOT_ACCEPTED, "user name or password not accepted (WORDS)" },
		{ REPLY_UIDL_ONE, "N UNIQUE-ID" },
		{ REPLY_EMPTY_LINE, "empty line: a command was expected" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char shape[REPLY_SHAPE];
		ROW_TEXT(reply_row(rows[i].id)->name, reply_shape(rows[i].id, shape), rows[i].want);
	}
}

/* The pages have every failure once. */
static void test_groups(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		unsigned times = 0;
		for (size_t i = 0; i < explain_groups_count; i++)
			times += id >= (int)explain_groups[i].first && id <= (int)explain_groups[i].last;
		ROW_ASSERT(reply_row((enum reply)id)->name, times == (reply_row((enum reply)id)->ok ? 0 : 1));
	}
	CU_ASSERT_EQUAL(explain_classics_count, 5);
}

#define TESTS(X) X(test_words) X(test_every_line_finds_its_row) X(test_forms_of_words) X(test_references) X(test_shapes) X(test_groups)
SUITE("explain find")
