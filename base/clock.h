/*
 * clock.h - time for deadlines, and time for people.
 * Runs in: every process. Trusts: the kernel.
 */
#ifndef POSTERN_CLOCK_H
#define POSTERN_CLOCK_H

/* Milliseconds of a clock that only goes forward (CLOCK_MONOTONIC, clock_gettime(2)). */
long long now_ms(void);

/* Milliseconds since 1970 (CLOCK_REALTIME). */
long long wall_ms(void);

/* The sooner of two times at which something is due; 0 is never. */
static inline long long sooner(long long one, long long other)
{
	return one == 0 || (other > 0 && other < one) ? other : one;
}

#endif
