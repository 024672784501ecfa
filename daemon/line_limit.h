/*
 * line_limit.h - lines of the log that strangers can cause: so many a second one by one, the others as a sum.
 * Runs in: master. Trusts: nothing.
 */
#ifndef POSTERN_LINE_LIMIT_H
#define POSTERN_LINE_LIMIT_H

#include <stdbool.h>

enum {
	LINES_A_SECOND = 10,
	LINES_SUM_MS = 10000,  /* so often there is a line with the sum of the others */
};

struct line_limit {
	long long second;      /* the one that .taken is about, in milliseconds of now_ms() */
	unsigned taken;
	unsigned long silent;  /* that were not logged, since .since */
	long long since;
};

/* May another line be logged? If not, it is counted. now: now_ms(). */
bool line_limit_take(struct line_limit *l, long long now);

/* What line_limit_take() answered was not needed. */
void line_limit_give_back(struct line_limit *l, bool taken);

/* When line_limit_sum() is due, 0: not. */
long long line_limit_due(const struct line_limit *l);

/* How many were not logged, if it is time to say so, and since how many seconds; else 0. Begins anew. */
unsigned long line_limit_sum(struct line_limit *l, long long now, unsigned *seconds_r);

#endif
