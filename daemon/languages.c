/*
 * languages.c - the languages that answers can be in, and which of them a client means.
 * Runs in: gate. Trusts: nothing in what a client names.
 */
#include "daemon/languages.h"

#include <string.h>

#include "base/buf.h"

#define DECLARE(po, tag_, name_, plural_) extern const struct language_texts language_texts_##po;
LANGUAGES(DECLARE)

/* RFC 2277 section 4.5: i-default is what is said before anybody chose. */
#define ROW(po, tag_, name_, plural_) { .tag = (tag_), .name = (name_), .plural = (plural_), .texts = &language_texts_##po },
const struct language languages[] = {
	{ .tag = "en", .name = "English" },
	LANGUAGES(ROW)
	{ .tag = "i-default", .name = "Default language: English" },
};
const size_t languages_count = sizeof languages / sizeof languages[0];

/* Ranges that are no tag of a language here; NULL: it is not served, and neither is what it begins with. */
static const struct alias { const char *range, *tag; } aliases[] = {
	{ "*", "en" },
	{ "zh", "zh-Hans" }, { "zh-CN", "zh-Hans" }, { "zh-SG", "zh-Hans" },
	/* Readers of the traditional characters get English rather than the simplified ones. */
	{ "zh-Hant", NULL }, { "zh-TW", NULL }, { "zh-HK", NULL }, { "zh-MO", NULL },
};

static const struct language *find_tag(const char *tag, size_t len)
{
	for (size_t i = 0; i < languages_count; i++)
		if (is_keyword(tag, len, languages[i].tag))
			return &languages[i];
	return NULL;
}

static const struct alias *find_alias(const char *range, size_t len)
{
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (is_keyword(range, len, aliases[i].range))
			return &aliases[i];
	return NULL;
}

const struct language *language_find(const char *range, size_t len)
{
	while (len > 0) {
		const struct alias *alias = find_alias(range, len);
		if (alias != NULL)
			return alias->tag != NULL ? find_tag(alias->tag, strlen(alias->tag)) : NULL;
		const struct language *language = find_tag(range, len);
		if (language != NULL)
			return language;
		const char *hyphen = memrchr(range, '-', len);
		len = hyphen != NULL ? (size_t)(hyphen - range) : 0;
	}
	return NULL;
}
