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

#endif
