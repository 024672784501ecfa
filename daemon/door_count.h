/*
 * door_count.h - wrong doors in the log: one line a minute for each kind and source, with how often.
 * Runs in: recorder. Trusts: nothing in a record.
 */
#ifndef POSTERN_DOOR_COUNT_H
#define POSTERN_DOOR_COUNT_H

#include "daemon/history.h"

/* One more: record->reason is the door's name, record->peer the source. */
void doors_count(const struct history_record *record, long long now);

/* When doors_log() has something to do, 0 for never. */
long long doors_due(void);

/* Log what was counted for long enough, or all of it. */
void doors_log(long long now, bool all);

#endif
