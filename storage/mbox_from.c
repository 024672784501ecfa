/*
 * mbox_from.c - tells a From_ line, which begins a message, from text that begins with "From ".
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * From_ lines differ: "Thu Nov 29 22:33:52 2001", with or without seconds, with a zone
 * before or behind the year, with the day first, with a comma. All have these parts in
 * about this order, and prose does not.
 */
#include <string.h>
#include <strings.h>

#include "storage/mbox.h"

enum {
	WORDS_MAX = 32,     /* the last ones: an address in quotes may have any number before them */
	DATE_REST_MAX = 5,  /* words behind month and day among which time and year must be */
};

struct word {
	const char *p;
	size_t len;
};

static bool is_one_of(const struct word *w, const char *three_letter_names)
{
	if (w->len != 3)
		return false;
	for (const char *name = three_letter_names; *name != '\0'; name += 3)
		if (strncasecmp(w->p, name, 3) == 0)
			return true;
	return false;
}

static bool is_weekday(const struct word *w)
{
	return is_one_of(w, "MonTueWedThuFriSatSun");
}

static bool is_month(const struct word *w)
{
	return is_one_of(w, "JanFebMarAprMayJunJulAugSepOctNovDec");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_digits(const struct word *w, size_t min, size_t max)
{
	if (w->len < min || w->len > max)
		return false;
	for (size_t i = 0; i < w->len; i++)
		if (!is_digit(w->p[i]))
			return false;
	return true;
}

/* 9:05, 09:05 or 09:05:59 */
static bool is_time(const struct word *w)
{
	size_t i = 0, digits = 0, colons = 0;
	for (; i < w->len; i++) {
		if (is_digit(w->p[i])) {
			if (++digits > 2)
				return false;
		} else if (w->p[i] == ':' && digits > 0 && ++colons <= 2) {
			digits = 0;
		} else {
			return false;
		}
	}
	return colons >= 1 && digits == 2;
}

static bool is_between(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The last words of the text: where they begin in `words`, which they fill to its end. */
static size_t split(const char *text, size_t len, struct word words[WORDS_MAX])
{
	size_t first = WORDS_MAX, i = len;
	while (first > 0) {
		while (i > 0 && is_between(text[i - 1]))
			i--;
		if (i == 0)
			break;
		const size_t end = i;
		while (i > 0 && !is_between(text[i - 1]))
			i--;
		words[--first] = (struct word){ .p = text + i, .len = end - i };
	}
	return first;
}

/* words[0] is a weekday: does a date go on from there? */
static bool is_date(const struct word *words, size_t n)
{
	bool time = false, year = false;
	if (n < 5)
		return false;
	if (!(is_month(&words[1]) && is_digits(&words[2], 1, 2)) && !(is_digits(&words[1], 1, 2) && is_month(&words[2])))
		return false;
	for (size_t i = 3; i < n && i < 3 + DATE_REST_MAX; i++) {
		time = time || is_time(&words[i]);
		year = year || (is_digits(&words[i], 4, 4) && words[i].p[0] != '0');
	}
	return time && year;
}

size_t mbox_line_end(const char *text, size_t len)
{
	if (len >= 1 && text[0] == '\n')
		return 1;
	return len >= 2 && text[0] == '\r' && text[1] == '\n' ? 2 : 0;
}

size_t mbox_from_line(const char *text, size_t len, bool at_eof)
{
	static const char from[] = "From ";
	const size_t from_len = sizeof from - 1;
	struct word words[WORDS_MAX];
	if (len < from_len || memcmp(text, from, from_len) != 0)
		return 0;
	size_t seen = len < MBOX_FROM_LINE_MAX ? len : MBOX_FROM_LINE_MAX;
	const char *lf = memchr(text, '\n', seen);
	if (lf == NULL && !(at_eof && seen == len))
		return 0;
	size_t line = lf != NULL ? (size_t)(lf - text) : len;
	size_t whole = lf != NULL ? line + 1 : len;
	if (text[line - 1] == '\r')
		line--;
	for (size_t i = split(text + from_len, line - from_len, words); i < WORDS_MAX; i++)
		if (is_weekday(&words[i]) && is_date(words + i, WORDS_MAX - i))
			return whole;
	return 0;
}

bool mbox_ends_at(const char *here, size_t len, bool at_eof)
{
	const size_t blank = mbox_line_end(here, len);
	const bool after_blank = here[-2] == '\n' || (here[-2] == '\r' && here[-3] == '\n');
	if (here[-1] != '\n')
		return false;
	return (blank > 0 && at_eof && len == blank) || ((blank > 0 || after_blank) && mbox_from_line(here + blank, len - blank, at_eof) > 0);
}
