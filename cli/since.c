/*
 * since.c - the time that a command begins at, as people write it.
 * Runs in: postern, as whoever called it. Trusts: nothing.
 */
#include "cli/since.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/number.h"
#include "cli/cli.h"

/* "2d". 0, or -1. */
static int parse_ago(const char *text, size_t len, int64_t *ms_r)
{
	static const struct { char unit; int64_t ms; } units[] = {
		{ 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 }, { 'w', 7 * 86400000LL },
	};
	uint64_t n;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (len > 1 && text[len - 1] == units[i].unit && parse_number(text, len - 1, 0, 10000, &n) == 0) {
			*ms_r = (int64_t)n * units[i].ms;
			return 0;
		}
	return -1;
}

int parse_since(const char *text, int64_t *since_r)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M" };
	int64_t ago;
	if (parse_ago(text, strlen(text), &ago) == 0) {
		*since_r = wall_ms() - ago;
		return 0;
	}
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, formats[i], &tm);
		const int day = tm.tm_mday;
		if (end == NULL || *end != '\0')
			continue;
		*since_r = (int64_t)mktime(&tm) * 1000;
		/* Of February 31st it makes March 3rd. */
		if (tm.tm_mday == day)
			return 0;
	}
	cli_complain("\"%s\" is no time: write 2w, 3d, 12h or 30m, or a day as 2026-11-20", text);
	return -1;
}
