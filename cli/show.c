/*
 * show.c - text for a terminal: safe, wrapped, with times and sizes as people write them.
 * Runs in: postern. Trusts: nothing in a text that came from elsewhere.
 */
#include "cli/show.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static unsigned put_printable(FILE *out, const char *text, size_t len)
{
	unsigned columns = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		int n = c >= 0x20 && c < 0x7f ? fprintf(out, "%c", c) : fprintf(out, "\\x%02x", c);
		columns += n > 0 ? (unsigned)n : 0;
	}
	return columns;
}

void show_printable(FILE *out, const char *text)
{
	(void)put_printable(out, text, strlen(text));
}

/* Up to the next blank; what is to be typed, `between such marks`, stays in one line. */
static size_t word_length(const char *text)
{
	const char *mark = text + strcspn(text, " `");
	const char *end = *mark == '`' ? strchr(mark + 1, '`') : NULL;
	return end != NULL ? (size_t)(end + 1 - text) + strcspn(end + 1, " ") : strcspn(text, " ");
}

void show_paragraph(FILE *out, unsigned blanks, unsigned at, const char *text)
{
	unsigned column = at;
	while (*text != '\0') {
		size_t word = word_length(text);
		if (column > blanks && column + 1 + word > SHOW_COLUMNS) {
			(void)fprintf(out, "\n%*s", (int)blanks, "");
			column = blanks;
		} else if (column > blanks) {
			(void)fputc(' ', out);
			column++;
		} else if (column < blanks) {
			(void)fprintf(out, "%*s", (int)(blanks - column), "");
			column = blanks;
		}
		column += put_printable(out, text, word);
		text += word;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static const char *time_text(int64_t when_ms, bool zone, char text[SHOW_TIME])
{
	time_t t = (time_t)(when_ms / 1000);
	struct tm tm;
	if (localtime_r(&t, &tm) == NULL || strftime(text, SHOW_TIME, zone ? "%z" : "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(text, SHOW_TIME, "?");
	return text;
}

const char *show_time(int64_t when_ms, char text[SHOW_TIME])
{
	return time_text(when_ms, false, text);
}

const char *show_zone(int64_t when_ms, char text[SHOW_TIME])
{
	return time_text(when_ms, true, text);
}

const char *show_size(uint64_t octets, char text[SHOW_SIZE])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double size = (double)octets / 1000;
	size_t unit = 0;
	if (octets < 10000) {
		(void)snprintf(text, SHOW_SIZE, "%ju octet%s", (uintmax_t)octets, octets == 1 ? "" : "s");
		return text;
	}
	for (; size >= 1000 && unit + 1 < sizeof units / sizeof units[0]; unit++)
		size /= 1000;
	(void)snprintf(text, SHOW_SIZE, size < 10 ? "%.1f %s" : "%.0f %s", size, units[unit]);
	return text;
}

const char *show_span(uint64_t ms, char text[SHOW_SIZE])
{
	static const struct { uint64_t least_ms, unit_ms; const char *name; } units[] = {
		{ 172800000, 86400000, "day" }, { 7200000, 3600000, "hour" }, { 120000, 60000, "minute" }, { 10000, 1000, "second" },
	};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (ms >= units[i].least_ms) {
			(void)snprintf(text, SHOW_SIZE, "%ju %ss", (uintmax_t)((ms + units[i].unit_ms / 2) / units[i].unit_ms), units[i].name);
			return text;
		}
	(void)snprintf(text, SHOW_SIZE, "%ju.%ju s", (uintmax_t)(ms / 1000), (uintmax_t)(ms % 1000 / 100));
	return text;
}
