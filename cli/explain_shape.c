/*
 * explain_shape.c - an answer's text with names in its places.
 * Runs in: postern. Trusts: nothing; this is our own text.
 */
#include "cli/explain.h"

#include <string.h>

/* What the text in an answer is, where it is not just words. */
static const char *name_of_text(enum reply id)
{
	switch ((int)id) {
	case REPLY_LOCKED: case REPLY_LOCKED_ACTIVE: case REPLY_LOCKED_SOON: case REPLY_LOCKED_WORKING: case REPLY_TAKEN_OVER:
		return "ADDRESS";
	case REPLY_BUSY_NAMED: case REPLY_BUSY_DELIVERY:
		return "PROGRAM";
	default:
		return "WORDS";
	}
}

/* What stands for a place; see struct reply_row. */
static const char *name_of_place(enum reply id, const char *place, size_t *len_r)
{
	const char *name = "N", *end = place + strcspn(place, "}"), *more = end;
	switch (*place) {
	case 't': name = name_of_text(id); break;
	case 'q': name = " (WORDS)"; break;
	case 'u': name = "UNIQUE-ID"; break;
	case 'c': name = "HH:MM"; break;
	default: break;
	}
	*len_r = strlen(name);
	/* {1|message|messages} is read as it is for most numbers. */
	if (place[1] != '|')
		return name;
	while (more > place && more[-1] != '|')
		more--;
	*len_r = (size_t)(end - more);
	return more;
}

void reply_shape_parts(enum reply id, const struct language *language, void (*part)(void *context, const char *text, size_t len, enum shape_part kind), void *context)
{
	const char *at = reply_text(id, language);
	while (*at != '\0') {
		size_t literal = strcspn(at, "{"), len;
		if (literal > 0)
			part(context, at, literal, PART_WORDS);
		at += literal;
		if (*at == '{') {
			const char *name = name_of_place(id, at + 1, &len);
			part(context, name, len, at[2] != '|' ? PART_PLACE : PART_FORM);
			at += strcspn(at, "}") + 1;
		}
	}
}

static void add_part(void *context, const char *text, size_t len, enum shape_part kind)
{
	(void)kind;
	(void)buf_add(context, text, len);
}

const char *reply_shape(enum reply id, char text[REPLY_SHAPE])
{
	struct buf shape = { .p = text, .cap = REPLY_SHAPE };
	reply_shape_parts(id, NULL, add_part, &shape);
	return buf_text(&shape);
}
