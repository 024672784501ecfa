/*
 * explain_man.c - postern-errors(7), made of the reply table and its advice.
 * Runs in: postern, when the manual is made. Trusts: nothing; this is our own text.
 */
#include <string.h>

#include "cli/explain.h"

/* A line of running text may not begin with a control character of roff, and a backslash is one anywhere. */
static void put_escaped(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			(void)fputs("\\e", out);
		else if (text[i] == '-')
			(void)fputs("\\-", out);
		else if ((i == 0 || text[i - 1] == '\n') && (text[i] == '.' || text[i] == '\''))
			(void)fprintf(out, "\\&%c", text[i]);
		else
			(void)fputc(text[i], out);
	}
}

static bool ends_sentence(const char *word, size_t len)
{
	while (len > 0 && strchr("`)\"", word[len - 1]) != NULL)
		len--;
	return len > 0 && strchr(".?!", word[len - 1]) != NULL;
}

/* What stands between `such marks` is literal. */
static void put_word(FILE *out, const char *word, size_t len, bool *literal)
{
	for (size_t part; len > 0; word += part, len -= part) {
		part = strcspn(word, "`") < len ? strcspn(word, "`") : len;
		put_escaped(out, word, part);
		if (part < len) {
			(void)fputs(*literal ? "\\fR" : "\\fB", out);
			*literal = !*literal;
			part++;
		}
	}
}

/* Running text in short lines. Each sentence begins one, as mdoc(7) wants it. */
static void put_text(FILE *out, const char *text)
{
	enum { COLUMNS = 72 };
	bool literal = false, fresh = true;
	size_t column = 0;
	while (*text != '\0') {
		const size_t len = strcspn(text, " ");
		if (!fresh && column + 1 + len > COLUMNS)
			fresh = true;
		if (fresh && column > 0) {
			(void)fputc('\n', out);
			column = 0;
		} else if (!fresh) {
			(void)fputc(' ', out);
			column++;
		}
		put_word(out, text, len, &literal);
		fresh = !literal && ends_sentence(text, len);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static void put_part(void *context, const char *text, size_t len, enum shape_part kind)
{
	FILE *out = context;
	if (kind == PART_PLACE)
		(void)fputs("\\fI", out);
	put_escaped(out, text, len);
	if (kind == PART_PLACE)
		(void)fputs("\\fR", out);
}

static void put_row(FILE *out, enum reply id)
{
	const struct reply_row *row = reply_row(id);
	const struct reply_advice *advice = reply_advice(id);
	(void)fprintf(out, ".It \\-ERR %s%s%s", row->code != NULL ? "[" : "", row->code != NULL ? row->code : "", row->code != NULL ? "] " : "");
	reply_shape_parts(id, NULL, put_part, out);
	(void)fprintf(out, "\n.Sy %s :\n", row->name);
	(void)fprintf(out, "the cause is with %s%s.\n", side_text(advice->side), row->referenced ? "; with a reference" : "");
	put_text(out, advice->meaning);
	(void)fputs(".Pp\n.Sy User :\n", out);
	put_text(out, advice->user);
	(void)fputs(".Pp\n.Sy Administrator :\n", out);
	put_text(out, advice->admin);
}

static void put_classics(FILE *out)
{
	(void)fputs(".Sh THE FIVE THAT EVERYBODY MEETS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < explain_classics_count; i++) {
		/* "No" is a macro. */
		(void)fprintf(out, ".It \\&%s\n", explain_classics[i].title);
		put_text(out, explain_classics[i].about);
		(void)fputs("See", out);
		for (size_t k = 0; k < 3 && explain_classics[i].rows[k] != REPLY_NONE; k++)
			(void)fprintf(out, "%s\n.Em %s", k > 0 ? " ," : "", reply_row(explain_classics[i].rows[k])->name);
		(void)fputs(" .\n", out);
	}
	(void)fputs(".El\n", out);
}

static const char HEAD[] =
	".\\\" Made by `postern explain --man` from the reply table: change daemon/replies_*.c, then run `make errors`.\n"
	".Dd November 30, 2026\n"
	".Dt POSTERN-ERRORS 7\n"
	".Os\n"
	".Sh NAME\n"
	".Nm postern-errors\n"
	".Nd what the POP3 server answers when something fails, and what to do\n"
	".Sh DESCRIPTION\n"
	"POP3 knows two answers,\n"
	".Ql +OK\n"
	"and\n"
	".Ql \\-ERR .\n"
	"What stands behind\n"
	".Ql \\-ERR\n"
	"is for people.\n"
	"This page has every such answer of\n"
	".Xr posternd 8 ,\n"
	"with whose side the cause is on, what the user does, and what the administrator does.\n"
	".Pp\n"
	"A word in brackets is for programs (RFC 2449, RFC 3206):\n"
	".Ql [AUTH]\n"
	"speaks of user name, password or account,\n"
	".Ql [IN\\-USE]\n"
	"of a mailbox that somebody else has open,\n"
	".Ql [SYS/TEMP]\n"
	"and\n"
	".Ql [SYS/PERM]\n"
	"of trouble on the server: no setting of the mail program is wrong then.\n"
	".Pp\n"
	"An answer that ends in a reference, such as\n"
	".Ql (ref 7KQ2M) ,\n"
	"is on record:\n"
	".Ql postern explain 7KQ2M\n"
	"shows the whole cause, to root and to the user whose mailbox it is about.\n"
	"In the journal,\n"
	".Ql journalctl POSTERN_REF=7KQ2M\n"
	"finds the same.\n"
	"No reference is given when the answer is about what was typed.\n";

static const char FOOT[] =
	".Sh SEE ALSO\n"
	".Xr postern 1 ,\n"
	".Xr postern.conf 5 ,\n"
	".Xr posternd 8\n";

static void put_upper(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		(void)fputc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, out);
}

void explain_man(FILE *out)
{
	(void)fputs(HEAD, out);
	put_classics(out);
	for (size_t i = 0; i < explain_groups_count; i++) {
		const struct explain_group *group = &explain_groups[i];
		(void)fputs(".Sh ", out);
		put_upper(out, group->title);
		(void)fputc('\n', out);
		put_text(out, group->about);
		(void)fputs(".Bl -tag -width Ds\n", out);
		for (int id = (int)group->first; id <= (int)group->last; id++)
			put_row(out, (enum reply)id);
		(void)fputs(".El\n", out);
	}
	(void)fputs(FOOT, out);
}
