/*
 * workers.c - the table of workers.
 * Runs in: master. Trusts: nothing that a worker does.
 */
#include "daemon/workers.h"

#include <stdlib.h>

static int make_room(struct workers *t)
{
	if (t->count < t->room)
		return 0;
	const size_t room = t->room == 0 ? 64 : 2 * t->room;
	struct worker *list = reallocarray(t->list, room, sizeof *list);
	if (list != NULL)
		t->list = list;
	pid_t *pids = reallocarray(t->pids, room, sizeof *pids);
	if (pids != NULL)
		t->pids = pids;
	uint64_t *numbers = reallocarray(t->numbers, room, sizeof *numbers);
	if (numbers != NULL)
		t->numbers = numbers;
	uint64_t *sources = reallocarray(t->sources, room, sizeof *sources);
	if (sources != NULL)
		t->sources = sources;
	uint8_t *states = reallocarray(t->states, room, sizeof *states);
	if (states != NULL)
		t->states = states;
	if (list == NULL || pids == NULL || numbers == NULL || sources == NULL || states == NULL)
		return -1;
	t->room = room;
	return 0;
}

ssize_t workers_add(struct workers *t, pid_t pid, int channel, uint64_t number)
{
	if (make_room(t) != 0)
		return -1;
	const size_t at = t->count++;
	t->list[at] = (struct worker){ .channel = channel };
	t->pids[at] = pid;
	t->numbers[at] = number;
	t->sources[at] = 0;
	t->states[at] = WORKER_IDLE;
	t->of_state[WORKER_IDLE]++;
	return (ssize_t)at;
}

void workers_remove(struct workers *t, size_t at)
{
	const size_t last = --t->count;
	t->of_state[t->states[at]]--;
	t->list[at] = t->list[last];
	t->pids[at] = t->pids[last];
	t->numbers[at] = t->numbers[last];
	t->sources[at] = t->sources[last];
	t->states[at] = t->states[last];
}

void workers_set(struct workers *t, size_t at, enum worker_state state)
{
	t->of_state[t->states[at]]--;
	t->of_state[state]++;
	t->states[at] = (uint8_t)state;
}

bool worker_busy(enum worker_state state)
{
	return state != WORKER_IDLE && state != WORKER_RETIRED;
}

static bool is_unproven(unsigned state)
{
	return state == WORKER_STRANGER || state == WORKER_HELD || state == WORKER_VERIFYING;
}

ssize_t workers_by_pid(const struct workers *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->pids[i] == pid)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_by_number(const struct workers *t, uint64_t number)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->numbers[i] == number)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_first(const struct workers *t, enum worker_state state)
{
	for (size_t i = 0; t->of_state[state] > 0 && i < t->count; i++)
		if (t->states[i] == state)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_oldest(const struct workers *t, enum worker_state state)
{
	ssize_t oldest = -1;
	for (size_t i = 0; t->of_state[state] > 0 && i < t->count; i++)
		if (t->states[i] == state && (oldest < 0 || t->list[i].since < t->list[oldest].since))
			oldest = (ssize_t)i;
	return oldest;
}

size_t workers_of_source(const struct workers *t, uint64_t source, size_t *unproven_r)
{
	size_t n = 0;
	*unproven_r = 0;
	for (size_t i = 0; i < t->count; i++) {
		if (t->sources[i] != source || !worker_busy(t->states[i]))
			continue;
		n++;
		*unproven_r += is_unproven(t->states[i]);
	}
	return n;
}

size_t workers_unproven(const struct workers *t)
{
	return t->of_state[WORKER_STRANGER] + t->of_state[WORKER_HELD] + t->of_state[WORKER_VERIFYING];
}

void workers_free(struct workers *t)
{
	free(t->list);
	free(t->pids);
	free(t->numbers);
	free(t->sources);
	free(t->states);
	*t = (struct workers){ .count = 0 };
}
