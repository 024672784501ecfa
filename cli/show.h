/*
 * show.h - text for a terminal: safe, wrapped, with times and sizes as people write them.
 * Runs in: postern. Trusts: nothing in a text that came from elsewhere.
 */
#ifndef POSTERN_SHOW_H
#define POSTERN_SHOW_H

#include <stdint.h>
#include <stdio.h>

enum { SHOW_TIME = 40, SHOW_SIZE = 40, SHOW_COLUMNS = 100 };

/* Octets that a terminal might obey become \xNN. */
void show_printable(FILE *out, const char *text);

/*
 * The text in lines of at most SHOW_COLUMNS, each behind so many blanks; the first line goes on at column `at`. What stands
 * between `such marks` is not parted.
 */
void show_paragraph(FILE *out, unsigned blanks, unsigned at, const char *text);

/* "2026-11-24 14:44:25", local time. Returns text. */
const char *show_time(int64_t when_ms, char text[SHOW_TIME]);

/* The zone of that time, "+0100". Returns text. */
const char *show_zone(int64_t when_ms, char text[SHOW_TIME]);

/* "812 octets", "9.1 GB" (10^9). Returns text. */
const char *show_size(uint64_t octets, char text[SHOW_SIZE]);

/* "0.4 s", "20 seconds", "5 minutes", "3 days": roughly. Returns text. */
const char *show_span(uint64_t ms, char text[SHOW_SIZE]);

#endif
