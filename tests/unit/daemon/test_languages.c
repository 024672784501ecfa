/*
 * test_languages.c - po/ and daemon/languages.c: that every answer is there in every language and fits the wire, and
 * which language a client gets.
 * Runs in: the tests.
 */
#include <glob.h>
#include <locale.h>
#include <stdbool.h>

#include "base/ref.h"
#include "daemon/languages.h"
#include "daemon/replies.h"
#include "tests/unit/suite.h"

enum { LABEL = 64, PLACES = 8, POT_ROOM = 65536, PLAIN_TEXT = WHY_TOLD_MAX - 1, HOSTILE = 4096 };

static bool speaks_english(const struct language *language)
{
	return language->texts == NULL;
}

/* Every row in every language but English. */
static void each_text(void (*check)(const char *label, const struct language *language, enum reply id))
{
	CU_ASSERT(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
	for (size_t i = 0; i < languages_count; i++)
		for (int id = REPLY_NONE + 1; id < REPLY_COUNT && !speaks_english(&languages[i]); id++) {
			char label[LABEL];
			(void)snprintf(label, sizeof label, "%s %s", languages[i].tag, reply_row((enum reply)id)->name);
			check(label, &languages[i], (enum reply)id);
		}
}

/* Texts that are the same on purpose. */
static bool may_be_english(const struct language *language, enum reply id)
{
	static const struct { const char *tag; enum reply id; } rows[] = {
		{ NULL, REPLY_STAT }, { NULL, REPLY_LIST_ONE }, { NULL, REPLY_UIDL_ONE },
		{ "fr", REPLY_MESSAGE }, { "fr", REPLY_LIST_ALL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].id == id && (rows[i].tag == NULL || strcmp(rows[i].tag, language->tag) == 0))
			return true;
	return false;
}

static void check_translated(const char *label, const struct language *language, enum reply id)
{
	const char *english = reply_row(id)->text, *text = reply_text(id, language);
	/* What msgfmt leaves out, because it is not translated or marked fuzzy, is the English itself. */
	ROW_ASSERT(label, text != english);
	ROW_ASSERT(label, may_be_english(language, id) == (strcmp(text, english) == 0));
	ROW_ASSERT(label, mbstowcs(NULL, text, 0) != (size_t)-1);
	/* A bracket would be taken for a response code. */
	ROW_ASSERT(label, text[0] != '\0' && text[0] != '[' && text[0] != ' ');
	for (const char *at = text; *at != '\0'; at++)
		ROW_ASSERT(label, (unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void test_translated(void)
{
	each_text(check_translated);
}

/* The places of a text, without the choices, one letter or digit each, sorted. The first place that it begins with stays first. */
static void values_of(const char *text, char values_r[PLACES + 1], bool choices_r[REPLY_NUMBERS + 1])
{
	size_t count = 0;
	memset(values_r, 0, PLACES + 1);
	memset(choices_r, 0, (REPLY_NUMBERS + 1) * sizeof *choices_r);
	for (const char *at = strchr(text, '{'); at != NULL && count < PLACES; at = strchr(at + 1, '{')) {
		if (at[2] == '|') {
			choices_r[at[1] - '0'] = true;
			continue;
		}
		/* {c1} counts as C1, a number's place as its digit. */
		size_t place = count++;
		char value = at[1] == 'c' ? (char)('A' + at[2] - '1') : at[1];
		for (; place > 0 && values_r[place - 1] > value; place--)
			values_r[place] = values_r[place - 1];
		values_r[place] = value;
	}
}

static void check_places(const char *label, const struct language *language, enum reply id)
{
	const char *english = reply_row(id)->text, *text = reply_text(id, language);
	char want[PLACES + 1], got[PLACES + 1];
	bool choices[REPLY_NUMBERS + 1], ignored[REPLY_NUMBERS + 1];
	values_of(english, want, ignored);
	values_of(text, got, choices);
	ROW_TEXT(label, got, want);
	for (int n = 1; n <= REPLY_NUMBERS; n++)
		ROW_ASSERT(label, !choices[n] || (language->plural != PLURAL_NO_FORMS && strchr(want, '0' + n) != NULL));
	/* Programs read the numbers in front (RFC 1939 sections 5 and 7), and LANG's tag. */
	if (english[0] == '{')
		ROW_ASSERT(label, strncmp(text, english, strcspn(english, "}") + 1) == 0);
	for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
		size_t len = strcspn(at, "}");
		const char *bar = memchr(at, '|', len), *brace = memchr(at + 1, '{', len);
		ROW_ASSERT(label, at[len] == '}' && (bar == NULL || memchr(bar + 1, '|', len - (size_t)(bar + 1 - at)) != NULL));
		ROW_ASSERT(label, brace == NULL || brace > at + len);
	}
}

static void test_places(void)
{
	each_text(check_places);
}

static const char *line_in(const struct language *language, enum reply id, const char *text, uint64_t n)
{
	static char storage[2 * REPLY_LINE_MAX];
	struct buf out = BUF_OVER(storage);
	int r = reply_add(&out, id, &(struct reply_args){ .language = language, .n = { n, n, n }, .text = text, .ref = REF_FAILURES - 1 });
	CU_ASSERT(r == 0);
	return buf_text(&out);
}

static void check_line(const char *label, const struct language *language, enum reply id)
{
	static char plain[PLAIN_TEXT + 1], hostile[HOSTILE];
	const struct reply_row *row = reply_row(id);
	memset(plain, 'x', sizeof plain - 1);
	memset(hostile, '\xff', sizeof hostile - 1);
	/* With the longest text that there can be of printable characters, nothing of ours is cut away. */
	const char *text = reply_text(id, language), *last = strrchr(text, '}');
	const char *tail = last != NULL ? last + 1 : text;
	char end[2 * REPLY_LINE_MAX], ref[REF_TEXT_MAX];
	(void)snprintf(end, sizeof end, row->referenced ? "%s (ref %s)\r\n" : "%s\r\n", tail, ref_text(REF_FAILURES - 1, ref));
	const char *line = line_in(language, id, plain, UINT64_MAX);
	size_t len = strlen(line);
	ROW_ASSERT(label, len <= REPLY_LINE_MAX);
	ROW_TEXT(label, len > strlen(end) ? line + len - strlen(end) : "", end);
	/* Whatever is put in: a line, of whole characters, with the reference at its end. */
	if (strstr(text, "{u}") != NULL)
		return;
	line = line_in(language, id, hostile, UINT64_MAX);
	len = strlen(line);
	ROW_ASSERT(label, len <= REPLY_LINE_MAX && strcspn(line, "\r\n") == len - 2);
	ROW_ASSERT(label, mbstowcs(NULL, line, 0) != (size_t)-1);
	ROW_ASSERT(label, !row->referenced || strcmp(line + len - 3, ")\r\n") == 0);
	(void)snprintf(end, sizeof end, row->code != NULL ? "-ERR [%s] " : row->ok ? "+OK " : "-ERR ", row->code);
	ROW_ASSERT(label, strncmp(line, end, strlen(end)) == 0);
}

static void test_lines(void)
{
	each_text(check_line);
}

/* Where a text is too long, it ends with a whole character. */
static void test_cut(void)
{
	static char octets[3 * REPLY_LINE_MAX];
	static uint16_t at[REPLY_COUNT] = { [REPLY_BYE] = 1 };
	static const struct language_texts texts = { octets, at };
	static const struct language language = { .tag = "x", .name = "x", .texts = &texts };
	/* One to four octets a character, behind up to three octets. */
	static const char *const characters[] = { "x", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x93\xab" };
	CU_ASSERT(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
	for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++)
		for (size_t before = 0; before < 4; before++) {
			char label[LABEL];
			size_t len = 1 + before, size = strlen(characters[i]);
			(void)snprintf(label, sizeof label, "characters of %zu octets behind %zu", size, before);
			memset(octets, 'a', len);
			for (; len < 2 * REPLY_LINE_MAX; len += size)
				memcpy(octets + len, characters[i], size + 1);
			const char *line = line_in(&language, REPLY_BYE, NULL, 0);
			ROW_ASSERT(label, strlen(line) <= REPLY_LINE_MAX && strlen(line) > REPLY_LINE_MAX - size);
			ROW_ASSERT(label, mbstowcs(NULL, line, 0) != (size_t)-1);
		}
}

static void test_plurals(void)
{
	static const struct { const char *tag; enum reply id; uint64_t n; const char *want; } rows[] = {
		{ "en", REPLY_LIST_ALL, 0, "+OK 0 messages, 0 octets\r\n" },
		{ "en", REPLY_LIST_ALL, 1, "+OK 1 message, 1 octets\r\n" },
		{ "de", REPLY_LIST_ALL, 0, "+OK 0 Nachrichten, 0 Bytes\r\n" },
		{ "de", REPLY_LIST_ALL, 1, "+OK 1 Nachricht, 1 Bytes\r\n" },
		{ "de", REPLY_LIST_ALL, 2, "+OK 2 Nachrichten, 2 Bytes\r\n" },
		{ "es", REPLY_BYE_UPDATED, 1, "+OK 1 mensaje borrado, queda 1; adiós\r\n" },
		{ "es", REPLY_BYE_UPDATED, 0, "+OK 0 mensajes borrados, quedan 0; adiós\r\n" },
		{ "fr", REPLY_LIST_ALL, 0, "+OK 0 message, 0 octets\r\n" },
		{ "fr", REPLY_LIST_ALL, 1, "+OK 1 message, 1 octets\r\n" },
		{ "fr", REPLY_LIST_ALL, 2, "+OK 2 messages, 2 octets\r\n" },
		{ "ja", REPLY_LIST_ALL, 1, "+OK 1 通、1 バイト\r\n" },
		{ "zh-Hans", REPLY_LIST_ALL, 2, "+OK 2 封邮件，2 字节\r\n" },
		{ "i-default", REPLY_LIST_ALL, 2, "+OK 2 messages, 2 octets\r\n" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ROW_TEXT(rows[i].tag, line_in(language_find(rows[i].tag, strlen(rows[i].tag)), rows[i].id, NULL, rows[i].n), rows[i].want);
}

static void test_find(void)
{
	static const struct { const char *range, *want; } rows[] = {
		{ "de", "de" }, { "DE", "de" }, { "de-AT", "de" }, { "de-Latn-CH-1996", "de" }, { "de-x-dialect", "de" },
		{ "en", "en" }, { "en-GB", "en" }, { "*", "en" }, { "i-default", "i-default" }, { "I-DEFAULT", "i-default" },
		{ "fr-CA", "fr" }, { "es-419", "es" }, { "ja-JP", "ja" },
		{ "zh", "zh-Hans" }, { "zh-Hans", "zh-Hans" }, { "zh-CN", "zh-Hans" }, { "zh-cn", "zh-Hans" }, { "zh-SG", "zh-Hans" },
		{ "zh-Hans-TW", "zh-Hans" }, { "zh-Hant", NULL }, { "zh-TW", NULL }, { "zh-Hant-HK", NULL },
		{ "MUL", NULL }, { "und", NULL }, { "uga", NULL }, { "d", NULL }, { "deu", NULL }, { "de_DE", NULL }, { "i", NULL },
		{ "i-klingon", NULL }, { "-", NULL }, { "--", NULL }, { "-de", NULL }, { " de", NULL }, { "de fr", NULL }, { "", NULL },
		{ "en-*", "en" }, { "*-AT", "en" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct language *found = language_find(rows[i].range, strlen(rows[i].range));
		ROW_TEXT(rows[i].range, found != NULL ? found->tag : "none", rows[i].want != NULL ? rows[i].want : "none");
	}
}

/* Each catalogue is served, and each has a tag and a name of its own. */
static void test_list(void)
{
	glob_t found;
	size_t served = 0;
	CU_ASSERT_FATAL(glob("po/*.po", 0, NULL, &found) == 0);
	for (size_t i = 0; i < languages_count; i++) {
		served += !speaks_english(&languages[i]);
		for (size_t other = 0; other < i; other++)
			ROW_ASSERT(languages[i].tag, strcmp(languages[i].tag, languages[other].tag) != 0 && strcmp(languages[i].name, languages[other].name) != 0);
	}
	CU_ASSERT_EQUAL(served, found.gl_pathc);
	globfree(&found);
}

/* po/postern.pot is what `make pot` writes. */
static void test_template(void)
{
	static char want[POT_ROOM], got[POT_ROOM];
	char command[4096 + 16];
	(void)snprintf(command, sizeof command, "%s pot", built("tools/translate"));
	FILE *made = popen(command, "re");  /* NOLINT(cert-env33-c): the tests' own program */
	FILE *kept = fopen("po/postern.pot", "re");
	CU_ASSERT_FATAL(made != NULL && kept != NULL);
	size_t want_len = fread(want, 1, sizeof want - 1, made), got_len = fread(got, 1, sizeof got - 1, kept);
	CU_ASSERT(pclose(made) == 0);
	(void)fclose(kept);
	CU_ASSERT(want_len > 0 && want_len < sizeof want - 1);
	ROW_ASSERT("po/postern.pot: run make pot", want_len == got_len && memcmp(want, got, want_len) == 0);
}

#define TESTS(X) X(test_translated) X(test_places) X(test_lines) X(test_cut) X(test_plurals) X(test_find) X(test_list) X(test_template)
SUITE("languages")
