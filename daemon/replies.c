/*
 * replies.c - a row of the reply table as a line on the wire.
 * Runs in: gate, keeper, master. Trusts: nothing; text from elsewhere is cut and made printable.
 */
#include "daemon/replies.h"

#include <string.h>
#include <time.h>

#include "base/ref.h"
#include "daemon/languages.h"
#include "daemon/replies_table.h"

enum {
	LINE_END = 2,
	REF_ROOM = sizeof " (ref )" - 1 + REF_TEXT_MAX - 1,
};

const struct reply_row *reply_row(enum reply id)
{
	return &replies_table[id];
}

const char *reply_text(enum reply id, const struct language *language)
{
	const struct language_texts *texts = language != NULL ? language->texts : NULL;
	return texts != NULL && texts->at[id] != 0 ? texts->octets + texts->at[id] : replies_table[id].text;
}

enum reply reply_by_name(const char *name)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++)
		if (strcmp(replies_table[id].name, name) == 0)
			return (enum reply)id;
	return REPLY_NONE;
}

enum reply reply_for_reason(enum reason reason, bool told)
{
	return told ? reasons_table[reason].told : reasons_table[reason].guarded;
}

enum reply reply_not_removed(enum reason reason)
{
	return reasons_table[reason].kept;
}

static void add_clock(struct buf *out, uint64_t seconds)
{
	char text[8];
	time_t t = (time_t)seconds;
	struct tm tm;
	if (localtime_r(&t, &tm) != NULL && strftime(text, sizeof text, "%H:%M", &tm) > 0)
		(void)buf_add_text(out, text);
}

/* Our own text, or as much of it as there is room for, in whole characters of UTF-8. */
static void add_own(struct buf *out, const char *text, size_t len)
{
	size_t n = len < out->cap - out->len ? len : out->cap - out->len;
	while (n > 0 && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	(void)buf_add(out, text, n);
}

/* {1|one|more}: place is at the digit. */
static void add_choice(struct buf *out, const char *place, const char *end, bool is_one)
{
	const char *one = place + 2;
	const char *more = memchr(one, '|', (size_t)(end - one));
	if (more == NULL)
		return;
	if (is_one)
		add_own(out, one, (size_t)(more - one));
	else
		add_own(out, more + 1, (size_t)(end - more - 1));
}

/* French says "0 message". */
static bool is_one(const struct language *language, uint64_t n)
{
	return n == 1 || (n == 0 && language != NULL && language->plural == PLURAL_FROM_TWO);
}

static void add_text(struct buf *out, const char *before, const char *text, const char *after)
{
	if (text == NULL || *text == '\0')
		return;
	(void)buf_add_text(out, before);
	buf_add_escaped(out, text, strlen(text));
	(void)buf_add_text(out, after);
}

/* Fill one {place}; returns what follows it in the row's text. */
static const char *fill_place(struct buf *out, const char *brace, const struct reply_args *args)
{
	const char *place = brace + 1, *end = strchr(brace, '}');
	switch (*place) {
	case 't': add_text(out, "", args->text, ""); break;
	case 'q': add_text(out, " (", args->text, ")"); break;
	case 'u': (void)buf_add_text(out, args->text); break;
	case 'c': add_clock(out, args->n[place[1] - '1']); break;
	default:
		if (place[1] == '|')
			add_choice(out, place, end, is_one(args->language, args->n[place[0] - '1']));
		else
			(void)buf_add_number(out, args->n[place[0] - '1']);
	}
	return end + 1;
}

int reply_add(struct buf *out, enum reply id, const struct reply_args *args)
{
	static const struct reply_args none;
	const struct reply_row *row = &replies_table[id];
	char storage[REPLY_LINE_MAX - LINE_END], ref[REF_TEXT_MAX];
	struct buf line = BUF_OVER(storage);
	if (args == NULL)
		args = &none;
	const bool referred = row->referenced && args->ref != REF_NONE;
	/* A text that is too long makes way for the reference. */
	line.cap -= referred ? REF_ROOM : 0;
	(void)buf_add_text(&line, row->ok ? "+OK " : "-ERR ");
	if (row->code != NULL)
		(void)buf_printf(&line, "[%s] ", row->code);
	for (const char *at = reply_text(id, args->language); *at != '\0';) {
		const char *place = strchr(at, '{');
		const size_t words = place != NULL ? (size_t)(place - at) : strlen(at);
		add_own(&line, at, words);
		at += words;
		if (*at == '{')
			at = fill_place(&line, at, args);
	}
	line.cap = sizeof storage;
	if (referred)
		(void)buf_printf(&line, " (ref %s)", ref_text(args->ref, ref));
	if (out->cap - out->len < line.len + LINE_END)
		return -1;
	(void)buf_add(out, line.p, line.len);
	return buf_add(out, "\r\n", LINE_END);
}
