/*
 * test_check_rows.c - the catalogue of what POP3 servers say: each of its rows can be read.
 * Runs in: the tests. Trusts: nothing.
 */
#include "cli/check_texts.c"

#include "tests/unit/suite.h"

static bool situations_known(struct span list)
{
	while (list.len > 0) {
		const char *bar = memchr(list.p, '|', list.len);
		size_t len = bar != NULL ? (size_t)(bar - list.p) : list.len;
		if (situation_named(list.p, len) == SITUATION_NONE)
			return false;
		len += bar != NULL ? 1 : 0;
		list.p += len;
		list.len -= len;
	}
	return true;
}

static bool text_row_good(const struct row *row)
{
	bool moment_known = false;
	if (row->count != COLUMNS_MAX || row->columns[TEXT_TEXT].len == 0 || row->columns[TEXT_SITUATIONS].len == 0)
		return false;
	for (size_t i = 0; i < MOMENT_COUNT; i++)
		moment_known |= span_is(row->columns[TEXT_MOMENT], moments[i]);
	return (moment_known || span_is(row->columns[TEXT_MOMENT], "any")) && situations_known(row->columns[TEXT_SITUATIONS]);
}

static bool sign_row_good(const struct row *row)
{
	static const char *const kinds[] = { "greeting", "bye", "reply", "capability", "capabilities", "uidl", "host", "issuer", "between" };
	bool kind_known = false;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		kind_known |= span_is(row->columns[SIGN_KIND], kinds[i]);
	return kind_known && row->count == SIGN_COLUMNS && row->columns[SIGN_NAME].len < SERVER_NAME_MAX && row->columns[SIGN_TEXT].len > 0;
}

static void each_row(const char *at, bool (*good)(const struct row *row))
{
	char label[80];
	size_t count = 0;
	for (struct row row; next_row(&at, &row); count++) {
		(void)snprintf(label, sizeof label, "%.*s", (int)row.columns[row.count - 1].len, row.columns[row.count - 1].p);
		ROW_ASSERT(label, good(&row));
	}
	CU_ASSERT(count > 50);
}

static void test_texts(void)
{
	each_row(pop3_texts, text_row_good);
}

static void test_servers(void)
{
	each_row(pop3_servers, sign_row_good);
}

#define TESTS(X) X(test_texts) X(test_servers)
SUITE("check rows")
