/*
 * test_buf.c - bounded text: an append fits whole or does nothing.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/buf.h"

#include "tests/unit/suite.h"

static void test_add(void)
{
	static const struct {
		const char *label, *first, *second, *want;
		int result;
	} rows[] = {
		{ "fits", "ab", "cd", "abcd", 0 },
		{ "fills", "abcd", "efgh", "abcdefgh", 0 },
		{ "one too many", "abcd", "efghi", "abcd", -1 },
		{ "nothing", "abcd", "", "abcd", 0 },
		{ "nothing when full", "abcdefgh", "", "abcdefgh", 0 },
		{ "full", "abcdefgh", "i", "abcdefgh", -1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char room[9];
		struct buf b = { .p = room, .cap = 8 };
		CU_ASSERT(buf_add_text(&b, rows[i].first) == 0);
		ROW_ASSERT(rows[i].label, buf_add_text(&b, rows[i].second) == rows[i].result);
		room[b.len] = '\0';
		ROW_TEXT(rows[i].label, room, rows[i].want);
	}
}

static void test_printf(void)
{
	char room[8];
	struct buf b = BUF_OVER(room);
	CU_ASSERT(buf_printf(&b, "%d-%s", 12, "ab") == 0);
	CU_ASSERT(strcmp(buf_text(&b), "12-ab") == 0);
	CU_ASSERT(buf_printf(&b, "%s", "xyz") == -1);
	CU_ASSERT(strcmp(buf_text(&b), "12-ab") == 0);
	CU_ASSERT(buf_printf(&b, "%s", "xy") == 0);
	CU_ASSERT(strcmp(buf_text(&b), "12-abxy") == 0);
}

static void test_number(void)
{
	static const struct { uint64_t n; const char *want; } rows[] = {
		{ 0, "0" }, { 9, "9" }, { 10, "10" }, { 1234567890, "1234567890" }, { UINT64_MAX, "18446744073709551615" },
	};
	char room[21];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b = BUF_OVER(room);
		CU_ASSERT(buf_add_number(&b, rows[i].n) == 0);
		ROW_TEXT(rows[i].want, buf_text(&b), rows[i].want);
	}
	struct buf small = { .p = room, .cap = 2 };
	CU_ASSERT(buf_add_number(&small, 100) == -1 && small.len == 0);
	CU_ASSERT(buf_add_number(&small, 99) == 0 && small.len == 2);
}

static void test_text_when_full(void)
{
	char room[4];
	struct buf b = BUF_OVER(room);
	CU_ASSERT(buf_add(&b, "abcd", 4) == 0);
	CU_ASSERT(strcmp(buf_text(&b), "abc") == 0);
}

static void test_escaped(void)
{
	static const struct {
		const char *label, *in;
		size_t len, cap;
		const char *want;
	} rows[] = {
		{ "plain", "ab c", 4, 40, "ab c" },
		{ "line end", "a\r\nb", 4, 40, "a\\x0d\\x0ab" },
		{ "NUL", "a\0b", 3, 40, "a\\x00b" },
		{ "quote and backslash", "\"\\", 2, 40, "\\x22\\x5c" },
		{ "8 bits and DEL", "\377\177~", 3, 40, "\\xff\\x7f~" },
		{ "cut", "abcdefghij", 10, 8, "abcde..." },
		{ "cut inside an escape", "abc\n\n", 5, 11, "abc\\x0a..." },
		{ "empty", "", 0, 8, "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char room[41];
		struct buf b = { .p = room, .cap = rows[i].cap };
		buf_add_escaped(&b, rows[i].in, rows[i].len);
		ROW_ASSERT(rows[i].label, b.len <= rows[i].cap);
		room[b.len] = '\0';
		ROW_TEXT(rows[i].label, room, rows[i].want);
	}
}

#define TESTS(X) X(test_add) X(test_number) X(test_printf) X(test_text_when_full) X(test_escaped)
SUITE("buf")
