/*
 * line_limit.c - lines of the log that strangers can cause.
 * Runs in: master. Trusts: nothing.
 */
#include "daemon/line_limit.h"

enum { SECOND_MS = 1000 };

bool line_limit_take(struct line_limit *l, long long now)
{
	if (now - l->second >= SECOND_MS) {
		l->second = now;
		l->taken = 0;
	}
	if (l->taken < LINES_A_SECOND) {
		l->taken++;
		return true;
	}
	if (l->silent++ == 0)
		l->since = now;
	return false;
}

void line_limit_give_back(struct line_limit *l, bool taken)
{
	if (taken && l->taken > 0)
		l->taken--;
	else if (!taken && l->silent > 0)
		l->silent--;
}

long long line_limit_due(const struct line_limit *l)
{
	return l->silent > 0 ? l->since + LINES_SUM_MS : 0;
}

unsigned long line_limit_sum(struct line_limit *l, long long now, unsigned *seconds_r)
{
	const unsigned long silent = l->silent;
	*seconds_r = (unsigned)((now - l->since + SECOND_MS - 1) / SECOND_MS);
	if (silent == 0 || now < line_limit_due(l))
		return 0;
	l->silent = 0;
	return silent;
}
