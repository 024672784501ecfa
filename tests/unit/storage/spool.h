/*
 * spool.h - a spool directory with one mbox, and another program that locks it.
 * Runs in: the tests. Trusts: nothing. Comes behind faults.h.
 */
#ifndef POSTERN_SPOOL_H
#define POSTERN_SPOOL_H

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"
static const char one[] = F "S: a\n\none\n\n";

static int other_fd = -1;

static inline long clock_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void hold_dotlock(void) { put("box/mbox.lock", "1"); }
static inline void hold_stale_dotlock(void)
{
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	hold_dotlock();
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("box/mbox.lock"), old, 0) == 0);
}

/* A holder with a wrong clock, that shows that it is alive. */
static inline void touch_dotlock(void)
{
	static time_t t = 2000;
	t++;
	struct timespec old[2] = { { .tv_sec = t }, { .tv_sec = t } };
	(void)utimensat(AT_FDCWD, in_scratch("box/mbox.lock"), old, 0);
}

static inline void open_box(struct maildrop_options *options, struct maildrop_place *place)
{
	scratch_open();
	make_dir("box");
	put("box/mbox", one);
	*place = place_in_scratch(MAILDROP_MBOX, "box/mbox");
	*options = default_options();
	other_fd = open(in_scratch("box/mbox"), O_RDWR | O_CLOEXEC);
}

static inline void close_box(void)
{
	faults_on_sleep = NULL;
	(void)close(other_fd);
	scratch_close();
}

#endif
