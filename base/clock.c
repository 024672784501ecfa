/*
 * clock.c - time for deadlines.
 * Runs in: every process. Trusts: the kernel.
 */
#include "base/clock.h"

#include <time.h>

long long now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
