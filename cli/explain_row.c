/*
 * explain_row.c - what an answer means.
 * Runs in: postern, as whoever called it. Trusts: nothing; this is our own text.
 */
#include "cli/explain.h"

#include <stdlib.h>

#include "cli/show.h"

enum { NAME = 20, SIDE = 34 };

static const char *status_of(const struct reply_row *row)
{
	return row->ok ? "+OK" : "-ERR";
}

static void print_line(FILE *out, enum reply id)
{
	const struct reply_row *row = reply_row(id);
	char shape[REPLY_SHAPE];
	(void)fprintf(out, "%s %s%s%s%s%s", status_of(row), row->code != NULL ? "[" : "", row->code != NULL ? row->code : "",
	              row->code != NULL ? "] " : "", reply_shape(id, shape), row->referenced ? " (ref ...)" : "");
}

void explain_labelled(FILE *out, const char *label, const char *text)
{
	enum { LABEL = 16 };
	if (*text == '\0')
		return;
	int at = fprintf(out, "%-*s", LABEL, label);
	show_paragraph(out, LABEL, at > 0 ? (unsigned)at : 0, text);
}

void explain_advice(FILE *out, const struct reply_advice *advice, const char *admin)
{
	explain_labelled(out, "Whose side:", side_text(advice->side));
	explain_labelled(out, "What it means:", advice->meaning);
	explain_labelled(out, "The user:", advice->user);
	explain_labelled(out, "The admin:", admin);
}

void explain_row(FILE *out, enum reply id)
{
	const struct reply_advice *advice = reply_advice(id);
	(void)fprintf(out, "%s\n  ", reply_row(id)->name);
	print_line(out, id);
	(void)fputs("\n\n", out);
	if (advice == NULL) {
		(void)fputs("This is an answer of success; nothing is wrong.\n", out);
		return;
	}
	explain_advice(out, advice, advice->admin);
}

void explain_row_json(struct json *j, enum reply id)
{
	const struct reply_row *row = reply_row(id);
	const struct reply_advice *advice = reply_advice(id);
	char shape[REPLY_SHAPE];
	json_open(j, NULL, '{');
	json_text(j, "name", row->name);
	json_text(j, "status", status_of(row));
	json_text(j, "code", row->code);
	json_text(j, "text", reply_shape(id, shape));
	json_flag(j, "referenced", row->referenced);
	json_text(j, "side", advice != NULL ? side_text(advice->side) : NULL);
	json_text(j, "meaning", advice != NULL ? advice->meaning : NULL);
	json_text(j, "user", advice != NULL ? advice->user : NULL);
	json_text(j, "admin", advice != NULL ? advice->admin : NULL);
	json_close(j, '}');
}

void explain_list(FILE *out)
{
	for (int i = REPLY_NONE + 1; i < REPLY_COUNT; i++) {
		const enum reply id = (enum reply)i;
		const struct reply_advice *advice = reply_advice(id);
		if (advice == NULL)
			continue;
		(void)fprintf(out, "%-*s %-*s ", NAME, reply_row(id)->name, SIDE, side_text(advice->side));
		print_line(out, id);
		(void)fputc('\n', out);
	}
}
