/*
 * test_advice.c - daemon/replies_advice*.c: that every failure has whole advice, and no success has any.
 * Runs in: the tests.
 */
#include <ctype.h>
#include <stdbool.h>

#include "daemon/replies_advice.h"
#include "tests/unit/suite.h"

enum { TEXT_LEAST = 20, TEXT_MOST = 700, MEANING_SENTENCES = 4 };

static bool printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

/* Sentences: ends of them that are followed by a blank or nothing, outside of what is to be typed. */
static int sentences(const char *text)
{
	int count = 0;
	bool literal = false;
	for (; *text != '\0'; text++) {
		literal ^= *text == '`';
		count += !literal && strchr(".?!", *text) != NULL && (text[1] == ' ' || text[1] == '\0');
	}
	return count;
}

static bool marks_are_pairs(const char *text)
{
	int marks = 0;
	for (; *text != '\0'; text++)
		marks += *text == '`';
	return marks % 2 == 0;
}

static void check_text(const char *label, const char *text)
{
	ROW_ASSERT(label, text != NULL);
	if (text == NULL)
		return;
	const size_t len = strlen(text);
	ROW_ASSERT(label, len >= TEXT_LEAST && len <= TEXT_MOST);
	ROW_ASSERT(label, printable(text));
	ROW_ASSERT(label, len > 0 && (text[len - 1] == '.' || text[len - 1] == '?'));
	ROW_ASSERT(label, isupper((unsigned char)text[0]) || text[0] == '`');
	ROW_ASSERT(label, strstr(text, "  ") == NULL && strstr(text, "..") == NULL && strstr(text, " .") == NULL);
	ROW_ASSERT(label, marks_are_pairs(text));
	/* Where two texts were put together, a sentence begins. */
	for (const char *at = strstr(text, "; "); at != NULL; at = strstr(at + 1, "; "))
		ROW_ASSERT(label, !isupper((unsigned char)at[2]) || isupper((unsigned char)at[3]));
}

static void test_every_failure_has_advice(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		const struct reply_advice *advice = reply_advice((enum reply)id);
		ROW_ASSERT(row->name, row->ok == (advice == NULL));
		if (advice == NULL)
			continue;
		ROW_ASSERT(row->name, (int)advice->side >= 0 && advice->side < SIDE_COUNT);
		check_text(row->name, advice->meaning);
		check_text(row->name, advice->user);
		check_text(row->name, advice->admin);
		ROW_ASSERT(row->name, sentences(advice->meaning) <= MEANING_SENTENCES);
	}
	CU_ASSERT(reply_advice(REPLY_NONE) == NULL);
}

/* No row stands twice, so that none hides another. */
static void test_rows_are_single(void)
{
	const size_t failures = advice_typed_count + advice_login_count + advice_mailbox_count + advice_connection_count;
	size_t want = 0;
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++)
		want += !reply_row((enum reply)id)->ok;
	CU_ASSERT_EQUAL(failures, want);
}

/* The side agrees with the response code: [SYS/...] never blames the user, and [AUTH] never the server. */
static void test_sides(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		const struct reply_advice *advice = reply_advice((enum reply)id);
		if (advice == NULL || row->code == NULL)
			continue;
		if (strncmp(row->code, "SYS/", 4) == 0)
			ROW_ASSERT(row->name, advice->side == SIDE_SERVER || advice->side == SIDE_OTHER_PROGRAM || advice->side == SIDE_NETWORK);
		if (strcmp(row->code, "AUTH") == 0)
			ROW_ASSERT(row->name, advice->side == SIDE_ACCOUNT || advice->side == SIDE_SETTINGS);
		if (strcmp(row->code, "IN-USE") == 0)
			ROW_ASSERT(row->name, advice->side == SIDE_OTHER_PROGRAM);
	}
	for (int side = 0; side < SIDE_COUNT; side++)
		CU_ASSERT(side_text((enum side)side) != NULL && printable(side_text((enum side)side)));
}

#define TESTS(X) X(test_every_failure_has_advice) X(test_rows_are_single) X(test_sides)
SUITE("advice")
