/*
 * check_texts.c - looks up what servers say in the catalogue, cli/pop3-texts.tsv and cli/pop3-servers.tsv.
 * Runs in: postern, as whoever called it. Trusts: the catalogue, which is part of the program; nothing that a server said.
 */
#include "cli/check_texts.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* The files as they are become part of the program; the Makefile knows that this object depends on them. */
__asm__(".pushsection .rodata\n"
        "pop3_texts: .incbin \"cli/pop3-texts.tsv\"\n.byte 0\n"
        "pop3_servers: .incbin \"cli/pop3-servers.tsv\"\n.byte 0\n"
        ".popsection\n");
extern const char pop3_texts[], pop3_servers[];

/* A stretch of octets in a catalogue or an answer. */
struct span {
	const char *p;
	size_t len;
};

static bool span_is(struct span s, const char *text)
{
	return strlen(text) == s.len && memcmp(s.p, text, s.len) == 0;
}

/* ---- rows ---- */

enum { COLUMNS_MAX = 4 };

struct row {
	struct span columns[COLUMNS_MAX];
	size_t count;
};

/* The next row that is no comment; false at the end. *at moves on. */
static bool next_row(const char **at, struct row *row_r)
{
	while (**at != '\0') {
		const char *line = *at, *end = strchrnul(line, '\n');
		*at = *end == '\n' ? end + 1 : end;
		if (line == end || *line == '#')
			continue;
		row_r->count = 0;
		for (;;) {
			const char *tab = row_r->count + 1 < COLUMNS_MAX ? memchr(line, '\t', (size_t)(end - line)) : NULL;
			const char *stop = tab != NULL ? tab : end;
			row_r->columns[row_r->count++] = (struct span){ line, (size_t)(stop - line) };
			if (tab == NULL)
				return true;
			line = tab + 1;
		}
	}
	return false;
}

/* ---- patterns ---- */

enum pattern_rule { RULE_CASE, RULE_NO_CASE, RULE_HEX };

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool octet_fits(char pattern, char octet, enum pattern_rule rule)
{
	if (rule == RULE_HEX && pattern == '#')
		return is_hex(octet);
	if (rule != RULE_NO_CASE)
		return pattern == octet;
	return strncasecmp(&pattern, &octet, 1) == 0;
}

/* One octet of the pattern; "\*" is a star. *step_r is how many octets of the pattern it takes. */
static bool fits_at(struct span pattern, size_t i, char octet, enum pattern_rule rule, size_t *step_r)
{
	bool is_escape = pattern.p[i] == '\\' && i + 1 < pattern.len;
	*step_r = is_escape ? 2 : 1;
	return octet_fits(pattern.p[is_escape ? i + 1 : i], octet, rule);
}

/* Time at most pattern times text. */
static bool fits(struct span pattern, struct span text, enum pattern_rule rule)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0, step = 0;
	if (span_is(pattern, "<bare>"))
		return text.len == 0;
	while (t < text.len) {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = ++p;
			resume = t;
		} else if (p < pattern.len && fits_at(pattern, p, text.p[t], rule, &step)) {
			p += step;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.p[s.len - 1] == '.' || s.p[s.len - 1] == ' '))
		s.len--;
	return s;
}

static struct span skip_spaces(struct span s)
{
	while (s.len > 0 && *s.p == ' ') {
		s.p++;
		s.len--;
	}
	return s;
}

static struct span without_code(struct span s)
{
	const char *close = s.len > 0 && *s.p == '[' ? memchr(s.p, ']', s.len) : NULL;
	if (close == NULL)
		return s;
	return skip_spaces((struct span){ close + 1, s.len - (size_t)(close + 1 - s.p) });
}

/* As it stands, or but for full stops at the end: servers, and versions of one, differ in those. */
static bool pattern_fits(struct span pattern, struct span text, enum pattern_rule rule)
{
	return fits(pattern, text, rule) || fits(trim(pattern), trim(text), rule);
}

/* How much a pattern says: its octets without the stars. */
static size_t letters(struct span pattern)
{
	size_t count = pattern.len;
	for (size_t i = 0; i < pattern.len; i++)
		count -= pattern.p[i] == '*' ? 1 : 0;
	return span_is(pattern, "<bare>") ? 0 : count;
}

/* ---- texts ---- */

enum { TEXT_SERVER, TEXT_MOMENT, TEXT_SITUATIONS, TEXT_TEXT };

static const char *const moments[MOMENT_COUNT] = {
	[MOMENT_CONNECT] = "connect", [MOMENT_TLS] = "tls", [MOMENT_LOGIN] = "login", [MOMENT_MAIL] = "mail", [MOMENT_QUIT] = "quit",
};

static void add_situations(struct meaning *m, struct span list)
{
	while (list.len > 0) {
		const char *bar = memchr(list.p, '|', list.len);
		size_t len = bar != NULL ? (size_t)(bar - list.p) : list.len;
		enum situation s = situation_named(list.p, len);
		bool is_there = s == SITUATION_NONE;
		for (size_t i = 0; i < m->count; i++)
			is_there |= m->situations[i] == s;
		if (!is_there && m->count < MEANINGS_MAX)
			m->situations[m->count++] = s;
		len += bar != NULL ? 1 : 0;
		list.p += len;
		list.len -= len;
	}
}

static bool text_fits(const struct row *row, enum moment moment, struct span whole, struct span bare)
{
	struct span pattern = row->columns[TEXT_TEXT];
	if (row->count != COLUMNS_MAX)
		return false;
	if (!span_is(row->columns[TEXT_MOMENT], "any") && !span_is(row->columns[TEXT_MOMENT], moments[moment]))
		return false;
	return pattern_fits(pattern, pattern.len > 0 && *pattern.p == '[' ? whole : bare, RULE_NO_CASE);
}

void text_explain(const char *server, enum moment moment, const char *text, size_t len, struct meaning *meaning_r)
{
	struct span whole = skip_spaces((struct span){ text, len }), bare = without_code(whole);
	const char *at = pop3_texts;
	size_t best = 0;
	struct row row;
	*meaning_r = (struct meaning){ .count = 0 };
	while (next_row(&at, &row)) {
		if (!text_fits(&row, moment, whole, bare))
			continue;
		bool is_own = *server != '\0' && span_is(row.columns[TEXT_SERVER], server);
		/* Of two that say as much, the one that is about this moment. */
		size_t weight = 2 * letters(trim(row.columns[TEXT_TEXT])) + (span_is(row.columns[TEXT_MOMENT], "any") ? 0 : 1);
		if (meaning_r->is_of_server && !is_own)
			continue;
		if ((is_own && !meaning_r->is_of_server) || weight > best || meaning_r->count == 0)
			*meaning_r = (struct meaning){ .is_of_server = is_own };
		else if (weight < best)
			continue;
		best = weight;
		add_situations(meaning_r, row.columns[TEXT_SITUATIONS]);
	}
	if (meaning_r->count == 0)
		*meaning_r = (struct meaning){ .situations = { SITUATION_UNKNOWN_TEXT }, .count = 1 };
}

/* ---- servers ---- */

enum { SIGN_KIND, SIGN_NAME, SIGN_TEXT, SIGN_COLUMNS };

bool server_recognize(const char *kind, const char *text, size_t len, char name_r[SERVER_NAME_MAX])
{
	enum pattern_rule rule = strcmp(kind, "uidl") == 0 ? RULE_HEX : strcmp(kind, "host") == 0 ? RULE_NO_CASE : RULE_CASE;
	struct span whole = skip_spaces((struct span){ text, len }), bare = without_code(whole);
	const char *at = pop3_servers;
	struct row row;
	while (next_row(&at, &row)) {
		if (row.count != SIGN_COLUMNS || !span_is(row.columns[SIGN_KIND], kind))
			continue;
		if (!pattern_fits(row.columns[SIGN_TEXT], bare, rule) || row.columns[SIGN_NAME].len >= SERVER_NAME_MAX)
			continue;
		memcpy(name_r, row.columns[SIGN_NAME].p, row.columns[SIGN_NAME].len);
		name_r[row.columns[SIGN_NAME].len] = '\0';
		return true;
	}
	return false;
}
