/*
 * recorder_link.c - the others' side of the recorder.
 * Runs in: master, keeper (as root, then as the mail's owner). Trusts: nothing.
 */
#include "daemon/recorder_link.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static struct recorder_link state = { .records = -1, .refs = -1 };

void recorder_connect(const struct recorder_link *link)
{
	state = *link;
}

struct recorder_link recorder_link(void)
{
	return state;
}

/*
 * Whole ones only are written, so whole ones only are read. But a user's keeper that was taken over reads as it likes, and where it took a
 * part of one, what comes behind is no reference.
 */
static bool take(uint32_t *ref_r)
{
	return read(state.refs, ref_r, sizeof *ref_r) == (ssize_t)sizeof *ref_r && *ref_r != REF_NONE && *ref_r < REF_FAILURES;
}

uint32_t recorder_take_ref(void)
{
	uint32_t ref;
	struct pollfd p = { .fd = state.refs, .events = POLLIN };
	if (state.refs < 0)
		return REF_NONE;
	if (take(&ref) || (poll(&p, 1, REF_WAIT_MS) == 1 && take(&ref)))
		return ref;
	uint64_t n = 0;
	(void)!getrandom(&n, sizeof n, GRND_NONBLOCK);
	return ref_of_failure(n, 0);
}

void recorder_begin(struct history_record *record, uint32_t kind, const char *role)
{
	memset(record, 0, sizeof *record);
	record->format = HISTORY_FORMAT;
	record->kind = kind;
	record->when_ms = wall_ms();
	record->pid = getpid();
	record->uid = HISTORY_NOBODY;
	(void)snprintf(record->role, sizeof record->role, "%s", role);
}

void recorder_send(const struct history_record *record)
{
	if (state.records >= 0)
		(void)!send(state.records, record, sizeof *record, MSG_DONTWAIT | MSG_NOSIGNAL);
}
