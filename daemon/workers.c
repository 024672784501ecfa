/*
 * workers.c - the table of workers.
 * Runs in: master. Trusts: nothing that a worker does.
 */
#include "daemon/workers.h"

#include "daemon/privilege.h"

int workers_open(struct workers *t)
{
	*t = (struct workers){ .rows = private_memory(sizeof *t->rows) };
	return t->rows != NULL ? 0 : -1;
}

ssize_t workers_add(struct workers *t, pid_t pid, int channel, uint64_t number)
{
	if (t->count == WORKERS_MAX)
		return -1;
	const size_t at = t->count++;
	t->rows->list[at] = (struct worker){ .channel = channel, .gate = -1 };
	t->rows->pids[at] = pid;
	t->rows->numbers[at] = number;
	t->rows->sources[at] = t->rows->accounts[at] = 0;
	t->rows->states[at] = WORKER_IDLE;
	t->of_state[WORKER_IDLE]++;
	return (ssize_t)at;
}

void workers_remove(struct workers *t, size_t at)
{
	const size_t last = --t->count;
	t->of_state[t->rows->states[at]]--;
	t->rows->list[at] = t->rows->list[last];
	t->rows->pids[at] = t->rows->pids[last];
	t->rows->numbers[at] = t->rows->numbers[last];
	t->rows->sources[at] = t->rows->sources[last];
	t->rows->accounts[at] = t->rows->accounts[last];
	t->rows->states[at] = t->rows->states[last];
}

static bool has_user(unsigned state)
{
	return state == WORKER_REMEMBERED || state == WORKER_PROVEN;
}

void workers_left(struct workers *t, size_t at)
{
	if (!has_user(t->rows->states[at]))
		t->rows->accounts[at] = 0;
	t->rows->pids[at] = 0;
	workers_set(t, at, WORKER_LEFT);
}

void workers_set(struct workers *t, size_t at, enum worker_state state)
{
	t->of_state[t->rows->states[at]]--;
	t->of_state[state]++;
	t->rows->states[at] = (uint8_t)state;
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
		if (t->rows->pids[i] == pid)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_by_number(const struct workers *t, uint64_t number)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows->numbers[i] == number)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_first(const struct workers *t, enum worker_state state)
{
	for (size_t i = 0; t->of_state[state] > 0 && i < t->count; i++)
		if (t->rows->states[i] == state)
			return (ssize_t)i;
	return -1;
}

ssize_t workers_oldest(const struct workers *t, enum worker_state state)
{
	ssize_t oldest = -1;
	for (size_t i = 0; t->of_state[state] > 0 && i < t->count; i++)
		if (t->rows->states[i] == state && (oldest < 0 || t->rows->list[i].since < t->rows->list[oldest].since))
			oldest = (ssize_t)i;
	return oldest;
}

size_t workers_of_source(const struct workers *t, uint64_t source, size_t *unproven_r)
{
	size_t n = 0;
	*unproven_r = 0;
	for (size_t i = 0; i < t->count; i++) {
		if (t->rows->sources[i] != source || !worker_busy(t->rows->states[i]))
			continue;
		n++;
		*unproven_r += is_unproven(t->rows->states[i]);
	}
	return n;
}

size_t workers_of_account(const struct workers *t, size_t at, size_t *verifying_r)
{
	size_t users = 0;
	*verifying_r = 0;
	for (size_t i = 0; i < t->count; i++) {
		const uint8_t state = t->rows->states[i];
		if (i == at || t->rows->accounts[i] != t->rows->accounts[at])
			continue;
		users += has_user(state) || state == WORKER_LEFT;
		*verifying_r += state == WORKER_VERIFYING;
	}
	return users;
}

bool workers_full(const struct workers *t, uint64_t max)
{
	return t->count - t->of_state[WORKER_LEAVING] - t->of_state[WORKER_LEFT] >= max;
}

size_t workers_unproven(const struct workers *t)
{
	size_t n = 0;
	for (unsigned state = 0; state < WORKER_STATES; state++)
		n += is_unproven(state) ? t->of_state[state] : 0;
	return n;
}
