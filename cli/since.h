/*
 * since.h - the time that a command begins at, as people write it.
 * Runs in: postern, as whoever called it. Trusts: nothing.
 */
#ifndef POSTERN_SINCE_H
#define POSTERN_SINCE_H

#include <stdint.h>

/* "2w", "3d", "12h", "30m" ago, or a day in local time: "2026-11-20", "2026-11-20 14:30". 0, since_r: milliseconds since 1970; or -1 with the complaint made. */
int parse_since(const char *text, int64_t *since_r);

#endif
