/*
 * test_json.c - cli/json.c and cli/show.c: nothing that comes out can be more than text.
 * Runs in: the tests.
 */
#include "cli/json.h"
#include "cli/show.h"
#include "tests/unit/suite.h"

/* What is written by write() to a file in memory. */
static char *written;
static size_t written_len;

static FILE *begin(void)
{
	FILE *out = open_memstream(&written, &written_len);
	CU_ASSERT_FATAL(out != NULL);
	return out;
}

static void check(const char *label, FILE *out, const char *want)
{
	CU_ASSERT(fclose(out) == 0);
	ROW_TEXT(label, written, want);
	free(written);
}

static void test_texts(void)
{
	static const struct { const char *label, *text, *want; } rows[] = {
		{ "plain", "ann", "\"ann\"\n" }, { "quote and backslash", "a\"b\\c", "\"a\\\"b\\\\c\"\n" }, { "control", "a\r\n\x1b[31m\x7f", "\"a\\u000d\\u000a\\u001b[31m\\u007f\"\n" },
		{ "umlaut", "\xc3\xbc", "\"\\u00fc\"\n" }, { "euro", "\xe2\x82\xac", "\"\\u20ac\"\n" }, { "beyond the plane", "\xf0\x9f\x93\xa7", "\"\\ud83d\\udce7\"\n" },
		{ "no UTF-8", "a\xff\xfe z", "\"a\\ufffd\\ufffd z\"\n" }, { "cut off", "a\xe2\x82", "\"a\\ufffd\\ufffd\"\n" },
		{ "longer than needed", "\xc0\xaf", "\"\\ufffd\\ufffd\"\n" }, { "half of a pair", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n" },
		{ "too large", "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"\n" },
		{ "empty", "", "\"\"\n" }, { "none", NULL, "null\n" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FILE *out = begin();
		struct json j = { .out = out };
		json_text(&j, NULL, rows[i].text);
		(void)fputc('\n', out);
		check(rows[i].label, out, rows[i].want);
	}
}

static void test_structure(void)
{
	FILE *out = begin();
	struct json j = { .out = out };
	json_open(&j, NULL, '{');
	json_number(&j, "n", UINT64_MAX);
	json_flag(&j, "yes", true);
	json_open(&j, "none", '[');
	json_close(&j, ']');
	json_open(&j, "list", '[');
	json_open(&j, NULL, '{');
	json_text(&j, "a", "b");
	json_close(&j, '}');
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_close(&j, ']');
	json_flag(&j, "last", false);
	json_close(&j, '}');
	check("structure", out, "{\n  \"n\": 18446744073709551615,\n  \"yes\": true,\n  \"none\": [],\n  \"list\": [\n    {\n      \"a\": \"b\"\n    },\n    {}\n  ],\n"
	      "  \"last\": false\n}\n");
}

static void test_printable(void)
{
	FILE *out = begin();
	show_printable(out, "a\x1b]0;x\x07\r\n\x9b" "31m\xc3\xbc \\ \"");
	check("printable", out, "a\\x1b]0;x\\x07\\x0d\\x0a\\x9b31m\\xc3\\xbc \\ \"");
}

static void test_paragraph(void)
{
	char line[3 * SHOW_COLUMNS];
	FILE *out = begin();
	memset(line, 'x', 60);
	(void)snprintf(line + 60, sizeof line - 60, " %.*s end", 50, line);
	(void)fputs("label:", out);
	show_paragraph(out, 8, 6, line);
	char want[4 * SHOW_COLUMNS];
	(void)snprintf(want, sizeof want, "label:  %.*s\n        %.*s end\n", 60, line, 50, line);
	check("paragraph", out, want);
	out = begin();
	(void)snprintf(line, sizeof line, "%.*s `chattr -i /a long/path`, then `x", 85, want + 8);
	memset(line, 'y', 85);
	show_paragraph(out, 2, 0, line);
	(void)snprintf(want, sizeof want, "  %.*s\n  `chattr -i /a long/path`, then `x\n", 85, line);
	check("what is to be typed stays together", out, want);
}

static void test_sizes_and_spans(void)
{
	static const struct { uint64_t n; const char *size, *span; } rows[] = {
		{ 0, "0 octets", "0.0 s" }, { 1, "1 octet", "0.0 s" }, { 9999, "9999 octets", "9.9 s" }, { 20000, "20 kB", "20 seconds" },
		{ 90000, "90 kB", "90 seconds" }, { 300000, "300 kB", "5 minutes" }, { 9100000000, "9.1 GB", "105 days" }, { 7200000, "7.2 MB", "2 hours" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[SHOW_SIZE];
		ROW_TEXT(rows[i].size, show_size(rows[i].n, text), rows[i].size);
		ROW_TEXT(rows[i].span, show_span(rows[i].n, text), rows[i].span);
	}
}

#define TESTS(X) X(test_texts) X(test_structure) X(test_printable) X(test_paragraph) X(test_sizes_and_spans)
SUITE("json and show")
