/*
 * explain_find.c - which failure is meant: by its name, or by words of its answer.
 * Runs in: postern. Trusts: nothing in the words.
 *
 * An answer's text is a pattern: where the row has a place, anything may stand. What was typed may be the whole of it, a
 * part of it, or, when it is neither, some of its words in any order. What no English answer fits may be one in another language.
 */
#include "cli/explain.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "daemon/languages.h"

enum {
	PLACE = '\1', PATTERN_MAX = REPLY_LINE_MAX,
	SHARE_LEAST = 66,              /* of a hundred words, when they stand in any order */
	FIT_PART = 101, FIT_WHOLE = 102,
};

/* Lower case, single blanks, none at the ends. */
static void normalise(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)text[i];
		if (!isspace(c))
			out[n++] = (char)tolower(c);
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

struct pattern {
	struct buf text;
	bool any_form;     /* a word that has forms by number is a place, too */
	bool has_form;     /* there is one */
};

static void add_part(void *context, const char *text, size_t len, enum shape_part kind)
{
	struct pattern *pattern = context;
	const bool place = kind == PART_PLACE || (kind == PART_FORM && pattern->any_form);
	const size_t from = pattern->text.len;
	pattern->has_form = pattern->has_form || kind == PART_FORM;
	(void)(place ? buf_add(&pattern->text, &(char){ PLACE }, 1) : buf_add(&pattern->text, text, len));
	for (char *p = pattern->text.p + from; p < pattern->text.p + pattern->text.len; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* True when it would be another one with !any_form. */
static bool pattern_of(enum reply id, const struct language *language, bool any_form, char storage[PATTERN_MAX])
{
	struct pattern pattern = { .text = { .p = storage, .cap = PATTERN_MAX }, .any_form = any_form };
	reply_shape_parts(id, language, add_part, &pattern);
	(void)buf_text(&pattern.text);
	return pattern.has_form;
}

/*
 * Does the text run along the pattern from here? Returns how many octets of it were literal, at the most, -1 if it does
 * not; *whole_r: the pattern was used up, too.
 */
static int run_along(const char *pattern, const char *text, bool *whole_r)
{
	int literal = 0, best = -1;
	for (; *text != '\0' && *pattern != PLACE; pattern++, text++, literal++)
		if (*pattern != *text)
			return -1;
	if (*pattern != PLACE || *text == '\0') {
		*whole_r = *pattern == '\0' || (*pattern == PLACE && pattern[1] == '\0');
		return literal;
	}
	/* In the place stands anything. */
	for (const char *end = text + strlen(text), *at = text; at <= end; at++) {
		bool whole = false;
		const int rest = run_along(pattern + 1, at, &whole);
		if (rest >= 0 && ((whole && !*whole_r) || (whole == *whole_r && rest > best))) {
			best = rest;
			*whole_r = whole;
		}
	}
	return best >= 0 ? literal + best : -1;
}

/* The best fit of the text anywhere in the pattern. At least half of it has to be the row's own words. */
static unsigned fit_text(const char *pattern, const char *text)
{
	unsigned best = 0;
	const int len = (int)strlen(text);
	for (const char *at = pattern; *at != '\0'; at++) {
		bool whole = false;
		if ((*at == PLACE && at > pattern) || *at == ' ' || (at > pattern && isalnum((unsigned char)at[-1]) && isalnum((unsigned char)*at)))
			continue;
		int literal = run_along(at, text, &whole);
		if (literal < 0)
			continue;
		if (at == pattern && whole)
			return FIT_WHOLE;
		if (2 * literal >= len)
			best = FIT_PART;
	}
	return best;
}

/* How many in a hundred of the text's words stand in the pattern. */
static unsigned share_of_words(const char *pattern, const char *text)
{
	unsigned words = 0, found = 0;
	while (*text != '\0') {
		char word[PATTERN_MAX];
		size_t len = strcspn(text, " ");
		if (len < sizeof word) {
			memcpy(word, text, len);
			word[len] = '\0';
			found += strstr(pattern, word) != NULL;
		}
		words++;
		text += len;
		text += strspn(text, " ");
	}
	return words > 0 ? 100 * found / words : 0;
}

/* How well the text fits the row: SHARE_LEAST to 100 for words in any order, more for a part or the whole, else 0. */
static unsigned fit_row(enum reply id, const struct language *language, const char *text)
{
	char pattern[PATTERN_MAX];
	const bool has_form = pattern_of(id, language, true, pattern);
	unsigned fit = fit_text(pattern, text);
	if (fit != FIT_WHOLE && has_form) {
		(void)pattern_of(id, language, false, pattern);
		const unsigned usual = fit_text(pattern, text);
		fit = usual > fit ? usual : fit;
	}
	/* Words are looked for in English only: the same few letters mean something else in the next language. */
	if (fit == 0 && language->texts == NULL)
		fit = share_of_words(pattern, text);
	return fit >= SHARE_LEAST ? fit : 0;
}

/* What is left when the parts are taken off that belong to every answer: "-ERR", "[AUTH]", "(ref 7KQ2M)". */
static void bare(const char *words, char *text, size_t size)
{
	const char *err = strstr(words, "-ERR");
	const char *begin = err != NULL ? err + strlen("-ERR") : words;
	const char *end = strstr(begin, "(ref ");
	begin += strspn(begin, " \"'");
	const char *close = *begin == '[' ? strchr(begin, ']') : NULL;
	if (close != NULL)
		begin = close + 1;
	if (end == NULL)
		end = begin + strlen(begin);
	while (end > begin && strchr(" .!\"'\r\n", end[-1]) != NULL)
		end--;
	normalise(begin, end > begin ? (size_t)(end - begin) : 0, text, size);
}

static enum reply by_name(const char *words)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++)
		if (strcasecmp(reply_row((enum reply)id)->name, words) == 0)
			return (enum reply)id;
	return REPLY_NONE;
}

/* The failures whose answers in one language the text fits best. */
static size_t find_in(const struct language *language, const char *text, enum reply found_r[REPLY_COUNT])
{
	size_t count = 0;
	unsigned best = 0;
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const unsigned fit = reply_row((enum reply)id)->ok ? 0 : fit_row((enum reply)id, language, text);
		/* Of the kinds of fit only the best. */
		if (fit > best) {
			best = fit;
			count = 0;
		}
		if (fit > 0 && fit == best)
			found_r[count++] = (enum reply)id;
	}
	return count;
}

size_t explain_find(const char *words, enum reply found_r[REPLY_COUNT])
{
	char text[EXPLAIN_WORDS];
	size_t count = 0;
	bare(words, text, sizeof text);
	if ((found_r[0] = by_name(text)) != REPLY_NONE)
		return 1;
	/* English is the first. */
	for (size_t i = 0; i < languages_count && text[0] != '\0' && count == 0; i++)
		count = find_in(&languages[i], text, found_r);
	return count;
}

/* Where the reference begins, as in an answer, or as in the log, where a client's words stand in quotes; NULL for nowhere. */
static const char *ref_in(const char *words)
{
	static const char told[] = "(ref ", logged[] = "ref=";
	const char *at = strstr(words, told), *last = NULL;
	bool quoted = false;
	if (at != NULL)
		return at + sizeof told - 1;
	for (; *words != '\0'; words++) {
		quoted = quoted != (*words == '"');
		if (!quoted && strncasecmp(words, logged, sizeof logged - 1) == 0)
			last = words + sizeof logged - 1;
	}
	return last;
}

uint32_t explain_ref(const char *words)
{
	static const char marks[] = " .,:;()\"'";
	const char *at = ref_in(words);
	const bool alone = at == NULL;
	char text[REF_TEXT_MAX];
	if (alone) {
		/* As it is read out: "ref 7KQ2M.". */
		at = strncasecmp(words, "ref", strlen("ref")) == 0 && strchr(" :", words[strlen("ref")]) != NULL ? words + strlen("ref") : words;
		at += strspn(at, marks);
	}
	const size_t len = strcspn(at, marks);
	if (len >= sizeof text || (alone && at[len + strspn(at + len, marks)] != '\0'))
		return REF_NONE;
	memcpy(text, at, len);
	text[len] = '\0';
	return ref_parse(text);
}
