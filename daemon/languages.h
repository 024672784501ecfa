/*
 * languages.h - the languages that answers can be in, besides English, and which of them a client means (RFC 6856).
 * Runs in: gate. Trusts: nothing in what a client names.
 *
 * The texts come from po/: tools/translate.c makes C tables of them while postern is built. They are octets that nobody
 * writes to and no pointer stands between, so a session that does not ask for a language does not touch them.
 */
#ifndef POSTERN_LANGUAGES_H
#define POSTERN_LANGUAGES_H

#include <stddef.h>
#include <stdint.h>

/* What {1|a|b} goes by. */
enum plural {
	PLURAL_BUT_ONE,   /* a is for 1 */
	PLURAL_FROM_TWO,  /* a is for 0 and 1 */
	PLURAL_NO_FORMS,  /* the language has one form: there is no such place in its texts */
};

/* Each language besides English: its catalogue in po/, its tag (RFC 5646), its own name for itself, its plural. */
#define LANGUAGES(X) \
	X(de,    "de",      "Deutsch",  PLURAL_BUT_ONE) \
	X(es,    "es",      "Español",  PLURAL_BUT_ONE) \
	X(fr,    "fr",      "Français", PLURAL_FROM_TWO) \
	X(ja,    "ja",      "日本語",   PLURAL_NO_FORMS) \
	X(zh_CN, "zh-Hans", "简体中文", PLURAL_NO_FORMS)

/* The texts of one language, by enum reply: where in the octets each begins, as a C string; 0 is for one that is missing. */
struct language_texts {
	const char *octets;
	const uint16_t *at;
};

struct language {
	const char *tag, *name;
	enum plural plural;
	const struct language_texts *texts;  /* NULL: the reply table's own, English */
};

extern const struct language languages[];
extern const size_t languages_count;

/*
 * The language for a basic language range (RFC 4647): what is behind the last hyphen is left off until there is one,
 * so de-AT is de. "*" is the server's own. NULL when there is none.
 */
const struct language *language_find(const char *range, size_t len);

#endif
