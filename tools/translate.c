/*
 * translate.c - the reply table's way to the translators, and back: prints po/postern.pot, or C tables of what the
 * compiled catalogues have for each row.
 * Runs in: the build. Trusts: the catalogues, which msgfmt has checked.
 *
 * usage: translate pot            print the template
 *        translate table FOLDER   FOLDER/LANGUAGE/LC_MESSAGES/postern.mo to C
 *
 * Done here and not in the gate: a gate has an empty root directory, and each file that is mapped makes its fork dearer.
 */
#include <libintl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/languages.h"
#include "daemon/replies_table.h"

enum {
	KEY_MAX = REPLY_NAME_ROOM + REPLY_LINE_MAX,
	DOMAIN_OCTETS_MAX = 65535,  /* what struct language_texts can point into */
};

static const char domain[] = "postern";

static const char *const header[] = {
	"# The answers of postern, a POP3 server. po/README.md says what the places in {} are, and how to translate.",
	"msgid \"\"",
	"msgstr \"\"",
	"\"Project-Id-Version: postern\\n\"",
	"\"PO-Revision-Date: YEAR-MO-DA HO:MI+ZONE\\n\"",
	"\"Last-Translator: \\n\"",
	"\"Language-Team: \\n\"",
	"\"Language: \\n\"",
	"\"MIME-Version: 1.0\\n\"",
	"\"Content-Type: text/plain; charset=UTF-8\\n\"",
	"\"Content-Transfer-Encoding: 8bit\\n\"",
};

/* As a string of C, which is one of gettext's files as well. */
static void print_quoted(const char *text)
{
	(void)putchar('"');
	for (; *text != '\0'; text++)
		(void)printf(strchr("\"\\", *text) != NULL ? "\\%c" : "%c", *text);
	(void)putchar('"');
}

static int print_template(void)
{
	for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
		(void)puts(header[i]);
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = &replies_table[id];
		(void)printf("\n#. %s%s%s%s\nmsgctxt \"%s\"\nmsgid ", row->ok ? "+OK" : "-ERR", row->code != NULL ? " [" : "",
		             row->code != NULL ? row->code : "", row->code != NULL ? "]" : "", row->name);
		print_quoted(row->text);
		(void)printf("\nmsgstr \"\"\n");
	}
	return 0;
}

/* A row in the language that LANGUAGE names, NULL when its catalogue does not have it. */
static const char *translated(const struct reply_row *row)
{
	char key[KEY_MAX];
	/* How gettext joins a context to a message. */
	(void)snprintf(key, sizeof key, "%s\004%s", row->name, row->text);
	const char *text = dgettext(domain, key);
	return text != key ? text : NULL;
}

/*
 * One struct with a member a row, so that no string is longer than C promises to take, and a table of the members' places.
 * A row without a translation is English at run time; the tests find it.
 */
static int print_language(const char *po)
{
	size_t octets = 1;
	unsigned missing = 0;
	if (setenv("LANGUAGE", po, 1) != 0 || textdomain(domain) == NULL)  /* which makes gettext look again */
		return -1;
	(void)printf("\nstatic const struct texts_%s {\n\tchar none[1];\n", po);
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const char *text = translated(&replies_table[id]);
		if (text != NULL)
			(void)printf("\tchar %s[%zu];\n", replies_table[id].name, strlen(text) + 1);
		octets += text != NULL ? strlen(text) + 1 : 0;
	}
	(void)printf("} texts_%s = {\n", po);
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const char *text = translated(&replies_table[id]);
		missing += text == NULL;
		if (text == NULL)
			continue;
		(void)printf("\t.%s = ", replies_table[id].name);
		print_quoted(text);
		(void)printf(",\n");
	}
	(void)printf("};\nstatic const uint16_t at_%s[REPLY_COUNT] = {\n", po);
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++)
		if (translated(&replies_table[id]) != NULL)
			(void)printf("\t[REPLY_%s] = offsetof(struct texts_%s, %s),\n", replies_table[id].name, po, replies_table[id].name);
	(void)printf("};\nconst struct language_texts language_texts_%s = { (const char *)&texts_%s, at_%s };\n", po, po, po);
	if (missing > 0)
		(void)fprintf(stderr, "translate: po/%s.po: %u of %d texts are missing, and stay English\n", po, missing, REPLY_COUNT - 1);
	return missing < REPLY_COUNT - 1 && octets <= DOMAIN_OCTETS_MAX ? 0 : -1;
}

static int print_tables(const char *folder)
{
	static const char *const po[] = {
#define NAME(po_, tag, name, plural) #po_,
		LANGUAGES(NAME)
	};
	/* In the locale C itself gettext translates nothing. */
	if (setlocale(LC_ALL, "C.UTF-8") == NULL || bindtextdomain(domain, folder) == NULL || bind_textdomain_codeset(domain, "UTF-8") == NULL) {
		(void)fputs("translate: gettext cannot be used: is there no locale C.UTF-8?\n", stderr);
		return -1;
	}
	(void)puts("/* Made by tools/translate.c from po/. */\n#include <stddef.h>\n\n#include \"daemon/languages.h\"\n#include \"daemon/replies.h\"\n");
	for (size_t i = 0; i < sizeof po / sizeof po[0]; i++)
		(void)printf("extern const struct language_texts language_texts_%s;\n", po[i]);
	for (size_t i = 0; i < sizeof po / sizeof po[0]; i++)
		if (print_language(po[i]) != 0) {
			(void)fprintf(stderr, "translate: %s/%s/LC_MESSAGES/%s.mo: nothing in it, or too much\n", folder, po[i], domain);
			return -1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	int r = -1;
	if (argc == 2 && strcmp(argv[1], "pot") == 0)
		r = print_template();
	else if (argc == 3 && strcmp(argv[1], "table") == 0)
		r = print_tables(argv[2]);
	else
		(void)fputs("usage: translate pot | table FOLDER\n", stderr);
	return r == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
