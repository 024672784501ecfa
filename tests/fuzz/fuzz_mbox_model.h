/*
 * fuzz_mbox_model.h - a slow parser of an mbox: it has all of it in memory and looks at one line at a time.
 * Runs in: the tests. Trusts: nothing. Include it once in a program.
 */
#ifndef POSTERN_FUZZ_MBOX_MODEL_H
#define POSTERN_FUZZ_MBOX_MODEL_H

#include <ctype.h>

#include "storage/mbox.h"
#include "tests/fuzz/fuzz.h"

enum { MESSAGES_MOST = 4096, FIELD_SEEN = 256 };

struct file {
	const char *p;
	size_t len;
};

struct message {
	size_t start, body, end, next;
};

struct slow {
	struct message messages[MESSAGES_MOST];
	size_t count;
	bool broken, internal;
};

static size_t line_length(struct file f, size_t at)
{
	const char *lf = memchr(f.p + at, '\n', f.len - at);
	return lf != NULL ? (size_t)(lf - f.p) + 1 - at : f.len - at;
}

static bool is_blank(struct file f, size_t at)
{
	return f.p[at] == '\n' || (at + 1 < f.len && f.p[at] == '\r' && f.p[at + 1] == '\n');
}

static bool is_word_of(const char *word, const char *words)
{
	const char *at = strlen(word) == 3 ? strcasestr(words, word) : NULL;
	return at != NULL && (at - words) % 3 == 0;
}

static bool is_clock(const char *word)
{
	unsigned parts = 1, digits = 0;
	for (; *word != '\0'; word++) {
		if (*word == ':' && digits >= 1 && parts < 3) {
			parts++;
			digits = 0;
		} else if (!isdigit((unsigned char)*word) || ++digits > 2) {
			return false;
		}
	}
	return parts >= 2 && digits == 2;
}

static bool is_day(const char *word)
{
	return strlen(word) >= 1 && strlen(word) <= 2 && strspn(word, "0123456789") == strlen(word);
}

static bool is_date(char *const *words, size_t n)
{
	bool clock = false, year = false;
	if (n < 5 || !is_word_of(words[0], "MonTueWedThuFriSatSun"))
		return false;
	if (!(is_word_of(words[1], "JanFebMarAprMayJunJulAugSepOctNovDec") && is_day(words[2])) &&
	    !(is_day(words[1]) && is_word_of(words[2], "JanFebMarAprMayJunJulAugSepOctNovDec")))
		return false;
	for (size_t i = 3; i < n && i < 8; i++) {
		clock = clock || is_clock(words[i]);
		year = year || (strlen(words[i]) == 4 && strspn(words[i], "0123456789") == 4 && words[i][0] != '0');
	}
	return clock && year;
}

static bool is_from_line(struct file f, size_t at)
{
	size_t len = at < f.len ? line_length(f, at) : 0, n = 0;
	static char line[MBOX_FROM_LINE_MAX + 1], *words[MBOX_FROM_LINE_MAX];
	char *state = NULL;
	if (len < 5 || len > MBOX_FROM_LINE_MAX || memcmp(f.p + at, "From ", 5) != 0)
		return false;
	memcpy(line, f.p + at, len);
	len -= line[len - 1] == '\n';
	len -= len > 0 && line[len - 1] == '\r';
	line[len] = '\0';
	/* A NUL is a character like others here. */
	for (size_t i = 0; i < len; i++)
		if (line[i] == '\0')
			line[i] = '\1';
	if (len <= 5)
		return false;
	for (char *w = strtok_r(line + 5, " \t,", &state); w != NULL; w = strtok_r(NULL, " \t,", &state))
		words[n++] = w;
	for (size_t i = n > 32 ? n - 32 : 0; i < n; i++)
		if (is_date(words + i, n - i))
			return true;
	return false;
}

/* A field's value in the octets of it that are looked at; NULL when the line is not of that name. */
static const char *field_value(struct file f, size_t at, const char *name, char value[FIELD_SEEN + 1])
{
	size_t len = line_length(f, at), name_len = strlen(name), colon = name_len;
	len = len < FIELD_SEEN ? len : FIELD_SEEN;
	if (len < name_len || strncasecmp(f.p + at, name, name_len) != 0)
		return NULL;
	while (colon < len && strchr(" \t\r", f.p[at + colon]) != NULL && f.p[at + colon] != '\0')
		colon++;
	if (colon == len || f.p[at + colon] != ':')
		return NULL;
	size_t begin = at + colon + 1, end = at + len;
	end -= end > begin && f.p[end - 1] == '\n';
	while (begin < end && strchr(" \t\r", f.p[begin]) != NULL && f.p[begin] != '\0')
		begin++;
	while (end > begin && strchr(" \t\r", f.p[end - 1]) != NULL && f.p[end - 1] != '\0')
		end--;
	memcpy(value, f.p + begin, end - begin);
	value[end - begin] = '\0';
	return memchr(value, '\0', end - begin) != NULL ? "\1" : value;
}

struct header {
	bool from_internal, internal, has_length, bad_length;
	unsigned long long length;
};

static void read_header_line(struct file f, size_t at, struct header *h)
{
	char storage[FIELD_SEEN + 1];
	const char *value;
	if ((value = field_value(f, at, "Subject", storage)) != NULL && h->from_internal)
		h->internal = h->internal || strcmp(value, "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA") == 0;
	if (field_value(f, at, "Received", storage) != NULL)
		h->from_internal = h->internal = false;
	if ((value = field_value(f, at, "Content-Length", storage)) == NULL)
		return;
	const size_t digits = strspn(value, "0123456789"), zeros = strspn(value, "0");
	const bool good = digits > 0 && value[digits] == '\0' && (digits - zeros < 19 || (digits - zeros == 19 && strcmp(value + zeros, "9223372036854775807") <= 0));
	const unsigned long long length = good ? strtoull(value, NULL, 10) : 0;
	h->bad_length = h->bad_length || !good || (h->has_length && h->length != length);
	h->has_length = true;
	h->length = length;
}

/* Does a message end there, as its Content-Length says? */
static bool ends_at(struct file f, size_t end)
{
	if (end >= f.len)
		return end == f.len;
	if (f.p[end - 1] != '\n')
		return false;
	size_t blank = is_blank(f, end) ? (f.p[end] == '\n' ? 1 : 2) : 0;
	bool behind_blank = f.p[end - 2] == '\n' || (f.p[end - 2] == '\r' && f.p[end - 3] == '\n');
	return (blank > 0 && end + blank == f.len) || ((blank > 0 || behind_blank) && is_from_line(f, end + blank));
}

/* The message that begins at `at`: where its text ends, and where the next one begins. */
static struct message read_message(struct file f, size_t at, bool first, bool *internal_r)
{
	struct message m = { .start = at, .body = at + line_length(f, at) };
	struct header h = { .from_internal = first && m.body - at > 18 && memcmp(f.p + at, "From MAILER-DAEMON", 18) == 0 };
	bool in_header = true, blank = false;
	size_t protected_to = 0, blank_at = 0;
	for (at = m.body; at < f.len; at += line_length(f, at)) {
		if (blank && at >= protected_to && is_from_line(f, at))
			break;
		blank = is_blank(f, at);
		blank_at = blank ? at : blank_at;
		if (in_header && blank) {
			in_header = false;
			const size_t text = at + line_length(f, at);
			if (h.has_length && !h.bad_length && !h.internal && h.length <= f.len - text && ends_at(f, text + (size_t)h.length))
				protected_to = text + (size_t)h.length;
		} else if (in_header && strchr(" \t\r", f.p[at]) == NULL) {
			read_header_line(f, at, &h);
		} else if (in_header && f.p[at] == '\0') {
			read_header_line(f, at, &h);
		}
	}
	m.end = blank ? blank_at : at;
	m.next = at;
	*internal_r = h.internal;
	return m;
}

static void parse_slowly(struct file f, struct slow *s)
{
	size_t at = 0;
	s->count = 0;
	s->broken = s->internal = false;
	while (at < f.len) {
		bool internal;
		if (!is_from_line(f, at)) {
			s->broken = s->broken || !is_blank(f, at);
			if (s->broken)
				return;
			at += line_length(f, at);
			continue;
		}
		struct message m = read_message(f, at, s->count == 0 && !s->internal, &internal);
		CHECK(s->count < MESSAGES_MOST, "too many messages");
		if (internal)
			s->internal = true;
		else
			s->messages[s->count++] = m;
		at = m.next;
	}
}

#endif
