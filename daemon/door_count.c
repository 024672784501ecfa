/*
 * door_count.c - wrong doors in the log.
 * Runs in: recorder. Trusts: nothing in a record.
 *
 * The first of a kind and source is logged at once: whoever sets up a mail program watches the log. What follows
 * within DOOR_LOG_MS is one more line then.
 */
#include "daemon/door_count.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/doors.h"
#include "daemon/log.h"
#include "daemon/recorder.h"

static struct count {
	enum door door;
	char peer[INET6_ADDRSTRLEN + 2];
	unsigned long more;     /* since the line before */
	long long due;
} counts[DOORS_MAX];
static size_t used;
static unsigned long beyond; /* those that no place was left for */

static void log_door(enum door door, const char *peer, unsigned long times)
{
	const struct door_row *row = door_row(door);
	char number[24];
	(void)snprintf(number, sizeof number, "%lu", times);
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "wrong-door" }, { "POSTERN_DOOR", row->name }, { "POSTERN_PEER", peer }, { "POSTERN_TIMES", number },
	};
	log_event(LOG_NOTICE, fields, sizeof fields / sizeof fields[0], "wrong door: peer=%s door=%s times=%lu: %s; %s", peer, row->name,
	          times, row->seen, row->advice);
}

static enum door door_by_name(const char *name)
{
	for (int door = DOOR_NONE + 1; door < DOOR_COUNT; door++)
		if (strcmp(door_row((enum door)door)->name, name) == 0)
			return (enum door)door;
	return DOOR_NONE;
}

void doors_count(const struct history_record *record, long long now)
{
	enum door door = door_by_name(record->reason);
	if (door == DOOR_NONE || memchr(record->peer, '\0', sizeof record->peer) == NULL)
		return;
	for (size_t i = 0; i < used; i++)
		if (counts[i].door == door && strcmp(counts[i].peer, record->peer) == 0) {
			counts[i].more++;
			return;
		}
	if (used == DOORS_MAX) {
		beyond++;
		return;
	}
	struct count *c = &counts[used++];
	*c = (struct count){ .door = door, .due = now + DOOR_LOG_MS };
	memcpy(c->peer, record->peer, sizeof c->peer);
	log_door(door, c->peer, 1);
}

long long doors_due(void)
{
	long long due = 0;
	for (size_t i = 0; i < used; i++)
		due = sooner(due, counts[i].due);
	return due;
}

void doors_log(long long now, bool all)
{
	for (size_t i = 0; i < used;) {
		struct count *c = &counts[i];
		if (!all && c->due > now) {
			i++;
			continue;
		}
		if (c->more > 0)
			log_door(c->door, c->peer, c->more);
		if (c->more > 0 && !all) {
			c->more = 0;
			c->due = now + DOOR_LOG_MS;
			i++;
		} else {
			*c = counts[--used];
		}
	}
	if (beyond > 0 && used < DOORS_MAX) {
		log_line(LOG_NOTICE, "wrong door: %lu more, of more kinds and sources than are told apart", beyond);
		beyond = 0;
	}
}
