/*
 * test_number.c - the one number parser.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/number.h"

#include "tests/unit/suite.h"

static void test_table(void)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int result;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 9, 0, 0 },
		{ "9", 0, 9, 0, 9 },
		{ "10", 0, 9, -1, 0 },
		{ "0", 1, 9, -1, 0 },
		{ "007", 1, 9, 0, 7 },
		{ "", 0, 9, -1, 0 },
		{ "-1", 0, 9, -1, 0 },
		{ "+1", 0, 9, -1, 0 },
		{ " 1", 0, 9, -1, 0 },
		{ "1 ", 0, 9, -1, 0 },
		{ "1a", 0, 99, -1, 0 },
		{ "0x1", 0, 99, -1, 0 },
		{ "/", 0, 99, -1, 0 },
		{ ":", 0, 99, -1, 0 },
		{ "\363\240", 0, 99, -1, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -1, 0 },
		{ "18446744073709551620", 0, UINT64_MAX, -1, 0 },
		{ "99999999999999999999999999", 0, UINT64_MAX, -1, 0 },
		{ "00000000000000000000000000000001", 0, 9, 0, 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t value = 4711;
		int r = parse_number(rows[i].text, strlen(rows[i].text), rows[i].min, rows[i].max, &value);
		ROW_ASSERT(rows[i].text, r == rows[i].result);
		ROW_ASSERT(rows[i].text, value == (r == 0 ? rows[i].value : 4711));
	}
}

/* The length counts, not a NUL. */
static void test_length(void)
{
	uint64_t value = 0;
	CU_ASSERT(parse_number("1234", 2, 0, 99, &value) == 0 && value == 12);
	CU_ASSERT(parse_number("1\0002", 3, 0, 99, &value) == -1 && value == 12);
}

/* Of what lies behind NUMBER_MAX octets none is written to. */
static void test_room(void)
{
	for (uint64_t value = UINT64_MAX, digits = NUMBER_MAX; digits > 0; value /= 10, digits--) {
		char out[NUMBER_MAX + 8];
		memset(out, '#', sizeof out);
		CU_ASSERT(format_number(out, value) == digits);
		for (size_t i = NUMBER_MAX; i < sizeof out; i++)
			CU_ASSERT(out[i] == '#');
	}
}

/* Written as printf(3) does. */
static void test_digits(void)
{
	static const uint64_t from[] = { 0, 900, 9900, 99900, 999900, 9999900, 999999900, 4294967290, 999999999900, 9999999999999999, UINT64_MAX - 300 };
	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		for (uint64_t value = from[i]; value < from[i] + 250; value++) {
			char want[NUMBER_MAX + 1], got[NUMBER_MAX + 1];
			(void)snprintf(want, sizeof want, "%ju", (uintmax_t)value);
			got[format_number(got, value)] = '\0';
			ROW_TEXT("format_number", got, want);
		}
	}
}

#define TESTS(X) X(test_table) X(test_length) X(test_room) X(test_digits)
SUITE("number")
