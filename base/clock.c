/*
 * clock.c - time for deadlines, and time for people.
 * Runs in: every process. Trusts: the kernel.
 */
#include "base/clock.h"

#include <time.h>

static long long read_ms(clockid_t clock)
{
	struct timespec t;
	(void)clock_gettime(clock, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

long long now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

long long wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}
