/*
 * admission.c - who is let in when many come.
 * Runs in: master. Trusts: nothing.
 */
#include "daemon/admission.h"

/* Is this one too many of a crowd? */
static bool is_crowding(const struct workers *t, uint64_t max, size_t of_source, uint32_t chance)
{
	const uint64_t half = max / 2, strangers = workers_unproven(t);
	return of_source > 0 && strangers > half && chance % (max - half) < strangers - half;
}

/* Who has never logged in from there goes before who has; else who came first. */
static bool goes_before(const struct worker *w, const struct worker *other)
{
	return w->trusted != other->trusted ? other->trusted : w->since < other->since;
}

/* Of those whose password has not come to be looked at, as there was no memory for its hash. */
static ssize_t first_without_room(const struct workers *t)
{
	ssize_t first = -1;
	for (size_t i = 0; t->of_state[WORKER_VERIFYING] > 0 && i < t->count; i++) {
		const struct worker *w = &t->rows->list[i];
		if (t->rows->states[i] == WORKER_VERIFYING && w->room == 0 && w->room_wanted > 0 && (first < 0 || goes_before(w, &t->rows->list[first])))
			first = (ssize_t)i;
	}
	return first;
}

static bool had_time(const struct workers *t, ssize_t at, long long now)
{
	return at >= 0 && now - t->rows->list[at].since >= EVICT_AFTER_MS;
}

/* Who makes room: nobody whose password is being looked at. */
static ssize_t find_victim(const struct workers *t, long long now)
{
	ssize_t at = workers_oldest(t, WORKER_STRANGER);
	if (!had_time(t, at, now))
		at = workers_oldest(t, WORKER_HELD);
	if (!had_time(t, at, now))
		at = first_without_room(t);
	return had_time(t, at, now) ? at : -1;
}

enum admission admission_decide(const struct workers *workers, const struct settings *settings, uint64_t source, uint32_t chance, long long now,
                                size_t *open_r, size_t *victim_r)
{
	size_t strangers;
	const bool gateway = settings_gateway(settings, source);
	*open_r = workers_of_source(workers, source, &strangers);
	if (!gateway && *open_r >= settings->per_source)
		return ADMIT_NOT_SOURCE;
	const bool full = workers->of_state[WORKER_IDLE] == 0 && workers_full(workers, settings->max);
	const ssize_t victim = full && workers->of_state[WORKER_LEAVING] < LEAVING_MAX ? find_victim(workers, now) : -1;
	if (full && victim < 0)
		return ADMIT_NOT_FULL;
	if (!gateway && is_crowding(workers, settings->max, strangers, chance))
		return ADMIT_NOT_CROWDED;
	if (!full)
		return ADMIT;
	*victim_r = (size_t)victim;
	return ADMIT_EVICTING;
}
