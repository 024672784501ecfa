/*
 * explain.h - the parts of `postern explain`, as they see each other.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record, nor in what was typed.
 */
#ifndef POSTERN_EXPLAIN_H
#define POSTERN_EXPLAIN_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/json.h"
#include "daemon/history.h"
#include "daemon/replies.h"

enum { EXPLAIN_WORDS = 1024, REPLY_SHAPE = 256 };

/* ---- explain_find.c ---- */

/*
 * The failures that the words name: a row's name, an answer's text or a part of it, with or without "-ERR", code and
 * reference, and with anything where the row has a place. Best first; returns how many.
 */
size_t explain_find(const char *words, enum reply found_r[REPLY_COUNT]);

/* The reference in "... (ref 7KQ2M)", or what the words are as a whole; REF_NONE. */
uint32_t explain_ref(const char *words);

/* ---- explain_shape.c: an answer's text with names in its places ---- */

enum shape_part { PART_WORDS, PART_PLACE /* what stands for it */, PART_FORM /* of a word, as it is for most numbers */ };

/* "no such message: you asked for N, the mailbox has N". Called for each part. language: NULL for English. */
void reply_shape_parts(enum reply id, const struct language *language, void (*part)(void *context, const char *text, size_t len, enum shape_part kind), void *context);

/* All of it. Returns text. */
const char *reply_shape(enum reply id, char text[REPLY_SHAPE]);

/* ---- explain_row.c, explain_record.c ---- */

/* "Label:          text", wrapped; nothing when there is nothing to say. */
void explain_labelled(FILE *out, const char *label, const char *text);

/* Whose side, what it means, who does what; admin: his part, filled in. */
void explain_advice(FILE *out, const struct reply_advice *advice, const char *admin);

/* What an answer means, for people or as a member of an array. */
void explain_row(FILE *out, enum reply id);
void explain_row_json(struct json *j, enum reply id);

/* One line for each failure. */
void explain_list(FILE *out);

/* The line that the client was sent, without its CRLF; "" when this version does not know the row. Returns line. */
const char *record_line(const struct history_record *record, char line[REPLY_LINE_MAX]);

/* What happened. */
void explain_record(FILE *out, const struct history_record *record);
void explain_record_json(struct json *j, const struct history_record *record);

/* ---- explain_groups.c, explain_man.c, explain_html.c ---- */

/* Failures that belong together, in the reply table's order. */
struct explain_group {
	const char *title, *anchor;
	const char *about;       /* a sentence or two */
	enum reply first, last;
};
extern const struct explain_group explain_groups[];
extern const size_t explain_groups_count;

/* The failures that everybody meets first. */
struct explain_classic {
	const char *title;
	const char *about;
	enum reply rows[3];      /* the first ones of what the server says, REPLY_NONE behind the last */
};
extern const struct explain_classic explain_classics[];
extern const size_t explain_classics_count;

/* The manual page, and the page for a browser. */
void explain_man(FILE *out);
void explain_html(FILE *out);

#endif
