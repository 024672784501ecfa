/*
 * attempts_fixture.h - a table of workers whose keepers are played, and a clock that is made up.
 * Runs in: the tests.
 */
#ifndef POSTERN_ATTEMPTS_FIXTURE_H
#define POSTERN_ATTEMPTS_FIXTURE_H

#include "daemon/attempts.h"
#include "tests/unit/daemon/worker.h"

static struct workers workers;
static struct attempts attempts;
static struct settings settings;
static int kept_stderr = -1;
static long long now;

enum { KEEPERS_MAX = 16 };
static int ends[KEEPERS_MAX];  /* keepers' ends of their channels */

/* So many keepers with strangers, each from a source of its own unless `together`. */
static inline void begin(size_t count, bool together)
{
	int pair[2];
	host_make();
	settings = (struct settings){ .free_failures = 2, .longest_wait = 15, .repeat_seconds = 600, .hash_memory = 100, .login_tries = 3 };
	now = 5000000;
	CU_ASSERT_FATAL(workers_open(&workers) == 0 && attempts_open(&attempts, &settings, &workers) == 0);
	now = attempts.guesses.begun;
	for (size_t i = 0; i < count; i++) {
		socket_pair(SOCK_SEQPACKET, pair);
		ends[i] = pair[0];
		CU_ASSERT_FATAL(workers_add(&workers, (pid_t)(100 + i), pair[1], i + 1) == (ssize_t)i);
		attempts_made(&attempts, i);
		workers_set(&workers, i, WORKER_STRANGER);
		workers.rows->sources[i] = together ? 1 : i + 1;
	}
	kept_stderr = log_capture();
}

static inline void end(void)
{
	for (size_t i = 0; i < workers.count; i++) {
		(void)close(workers.rows->list[i].channel);
		(void)close(ends[i]);
	}
	log_release(kept_stderr);
	host_remove();
}

static inline bool say(size_t at, enum keeper_verb verb, uint64_t number)
{
	const struct keeper_word word = { .verb = verb, .mebibytes = (uint32_t)number, .reason = verb == KEEPER_FAILED ? REASON_PASSWORD_WRONG : 0,
	                                  .owner = 77, .record = number, .hash = { 9, { number, ~number } } };
	return attempts_hear(&attempts, at, &word, now);
}

/* What that keeper was told, 0: nothing. */
static inline uint32_t heard(size_t at, struct job *job_r)
{
	int fd;
	*job_r = (struct job){ .verb = 0 };
	if (recv(ends[at], job_r, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		CU_ASSERT(rpc_receive(ends[at], job_r, sizeof *job_r, &fd) == (ssize_t)sizeof *job_r && fd == -1);
	return job_r->verb;
}

#endif
