/*
 * clock.h - time for deadlines.
 * Runs in: every process. Trusts: the kernel.
 */
#ifndef POSTERN_CLOCK_H
#define POSTERN_CLOCK_H

/* Milliseconds of a clock that only goes forward (CLOCK_MONOTONIC, clock_gettime(2)). */
long long now_ms(void);

#endif
