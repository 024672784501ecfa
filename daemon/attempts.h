/*
 * attempts.h - the master's side of a login attempt: may the password be verified, when, and with how much memory.
 * Runs in: master. Trusts: a keeper's word on what became of an attempt; reads no octet of a client.
 *
 * Nobody is made to wait here: an attempt that is not due stands in the table of workers until a timer, or the outcome of
 * another, lets it go.
 */
#ifndef POSTERN_ATTEMPTS_H
#define POSTERN_ATTEMPTS_H

#include "daemon/contract.h"
#include "daemon/line_limit.h"
#include "daemon/workers.h"

enum {
	ATTEMPT_HOLD_MS = 20000,     /* who waits longer for the outcome of others, or for memory, is told to come again */
	ATTEMPT_AGAIN_SECONDS = 10,  /* and when */
	ATTEMPT_WORDS = 5,           /* that a keeper has for each login try; past them nobody listens to it */
};

struct attempts {
	const struct settings *settings;
	struct workers *workers;     /* borrowed */
	struct guesses guesses;
	struct proven proven;
	unsigned room;               /* MiB in use for hashes */
	struct line_limit failures;  /* lines about failed logins */
	struct line_limit ends;      /* about sessions without one */
};

/* Empty. 0, or -1 and errno. */
int attempts_open(struct attempts *a, const struct settings *settings, struct workers *workers);

/* A worker was made: with the settings of now. */
void attempts_made(const struct attempts *a, size_t at);

/* A keeper has said something. False: it is not to be listened to any more. */
bool attempts_hear(struct attempts *a, size_t at, const struct keeper_word *word, long long now);

/* A connection comes to that worker: is its end, if there will be no login, too much for the log? */
bool attempts_begin(struct attempts *a, long long now);

/* That worker has ended, or was told to leave. */
void attempts_end(struct attempts *a, size_t at, long long now);

/* When attempts_run() is due, 0: not. */
long long attempts_due(const struct attempts *a);
void attempts_run(struct attempts *a, long long now);

#endif
