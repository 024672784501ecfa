/*
 * json.c - JSON, member by member (RFC 8259).
 * Runs in: postern. Trusts: nothing in a text: what comes out is ASCII, whatever goes in.
 */
#include "cli/json.h"

#include <string.h>

enum { REPLACEMENT = 0xfffd, BMP_END = 0x10000, UNICODE_END = 0x110000 };

/* One character of UTF-8 at text; returns its octets. What is none is one octet and REPLACEMENT. */
static size_t take_character(const unsigned char *text, uint32_t *character_r)
{
	static const struct { unsigned char mask, lead; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, BMP_END },
	};
	for (size_t more = 0; more < sizeof forms / sizeof forms[0]; more++) {
		if ((text[0] & forms[more].mask) != forms[more].lead)
			continue;
		uint32_t c = text[0] & (unsigned char)~forms[more].mask;
		size_t i = 1;
		for (; i <= more && (text[i] & 0xc0) == 0x80; i++)
			c = c << 6 | (text[i] & 0x3fu);
		if (i <= more || c < forms[more].least || c >= UNICODE_END || (c >= 0xd800 && c < 0xe000))
			break;
		*character_r = c;
		return i;
	}
	*character_r = REPLACEMENT;
	return 1;
}

static void put_character(FILE *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		(void)fprintf(out, "\\%c", (int)c);
	else if (c >= 0x20 && c < 0x7f)
		(void)fputc((int)c, out);
	else if (c < BMP_END)
		(void)fprintf(out, "\\u%04x", (unsigned)c);
	else
		(void)fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - BMP_END) >> 10)), (unsigned)(0xdc00 + ((c - BMP_END) & 0x3ff)));
}

static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t c;
	(void)fputc('"', out);
	while (*at != '\0') {
		at += take_character(at, &c);
		put_character(out, c);
	}
	(void)fputc('"', out);
}

/* What stands before a member: a comma, its place, its name. */
static void begin_member(struct json *j, const char *name)
{
	if (j->some)
		(void)fputc(',', j->out);
	if (j->depth > 0)
		(void)fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
	if (name != NULL) {
		put_text(j->out, name);
		(void)fputs(": ", j->out);
	}
	j->some = true;
}

void json_open(struct json *j, const char *name, char bracket)
{
	begin_member(j, name);
	(void)fputc(bracket, j->out);
	j->depth++;
	j->some = false;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (j->some)
		(void)fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
	(void)fputc(bracket, j->out);
	if (j->depth == 0)
		(void)fputc('\n', j->out);
	j->some = true;
}

void json_text(struct json *j, const char *name, const char *text)
{
	begin_member(j, name);
	if (text == NULL)
		(void)fputs("null", j->out);
	else
		put_text(j->out, text);
}

void json_number(struct json *j, const char *name, uint64_t n)
{
	begin_member(j, name);
	(void)fprintf(j->out, "%ju", (uintmax_t)n);
}

void json_flag(struct json *j, const char *name, bool flag)
{
	begin_member(j, name);
	(void)fputs(flag ? "true" : "false", j->out);
}
