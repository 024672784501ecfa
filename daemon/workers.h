/*
 * workers.h - the table of workers: who is there, for which client, and how far its login is.
 * Runs in: master. Trusts: nothing that a worker does; knows it by its pid and its channel.
 *
 * What is looked for at every connection lies in arrays of its own, which are read from end to end: a thousand workers
 * are a few cache lines each.
 */
#ifndef POSTERN_WORKERS_H
#define POSTERN_WORKERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/guesses.h"
#include "daemon/proven.h"

enum {
	WORKERS_MAX = 12000,  /* [workers] max, those that are on their way out, and those that are left */
};

enum worker_state {
	WORKER_IDLE,        /* waits for a connection */
	WORKER_RETIRED,     /* let go while it was idle */
	WORKER_STRANGER,    /* has a client who has not proven who he is */
	WORKER_HELD,        /* its client's password may not be verified yet: GUESS_HOLD, or not before .due */
	WORKER_VERIFYING,
	WORKER_REMEMBERED,  /* its client's password was right a short while ago: has a user, unless its keeper says otherwise */
	WORKER_PROVEN,      /* has a user */
	WORKER_LEAVING,     /* was told to make room */
	WORKER_LEFT,        /* its keeper is gone, and its gate is not */
	WORKER_STATES,
};

struct worker {
	int channel;        /* the master's end, -1: retired */
	int gate;           /* the keeper's end of the way to its gate: for HELLO, and to see when that is gone; -1: retired */
	long long since;    /* now_ms(): when its connection came */
	char peer[INET6_ADDRSTRLEN]; /* as text, for the log */
	bool halted;        /* its keeper is stopped by a signal (SIGSTOP) */
	bool unheard;       /* its channel is at its end, or it is not listened to any more */
	bool quiet;         /* its end without a login is not to be logged */
	unsigned sessions;  /* connections that it may serve in its life */
	unsigned served;    /* and those that it has got */
	/* Its login attempt. */
	unsigned words, words_most; /* that it said, and may say: its login_tries are those of its start, whatever was read since */
	struct guess guess;
	struct proven_hash hash;
	uint64_t proven;    /* it was found among those that were right a short while ago: for that record. 0: it was not */
	long long due;      /* WORKER_HELD: when it may go, 0: when it is known what became of others */
	long long until;    /* WORKER_HELD: when it is told no; WORKER_LEAVING: when it is killed */
	bool charged;       /* let go by guesses_ask(), and not settled */
	bool trusted;       /* as in struct guess_ruling */
	enum worker_line { LINE_UNKNOWN, LINE_LOUD, LINE_QUIET } line; /* is its failure to be logged? */
	unsigned room, room_wanted; /* MiB for its hash: granted, asked for */
};

/* In memory that keepers do not get. With the same index in each: */
struct worker_rows {
	struct worker list[WORKERS_MAX];
	pid_t pids[WORKERS_MAX];
	uint64_t numbers[WORKERS_MAX];  /* the nursery, and references, know a worker by it; never used again */
	uint64_t sources[WORKERS_MAX];  /* of the connection, address_source(); 0 for an idle one */
	uint64_t accounts[WORKERS_MAX]; /* keyed hash of the user name that was tried last, for those that have tried one */
	uint8_t states[WORKERS_MAX];
};

struct workers {
	size_t count;
	size_t of_state[WORKER_STATES];
	struct worker_rows *rows;
};

/* An empty table. 0, or -1 and errno. */
int workers_open(struct workers *t);

/* A new one, idle. Its index; or -1: there are WORKERS_MAX. */
ssize_t workers_add(struct workers *t, pid_t pid, int channel, uint64_t number);

/* Its keeper was reaped: from here it counts for its source, and for its account if it had a user, and has no pid. */
void workers_left(struct workers *t, size_t at);

/* Takes it out. The last one gets its index. */
void workers_remove(struct workers *t, size_t at);

void workers_set(struct workers *t, size_t at, enum worker_state state);

/* Has it a client? */
bool worker_busy(enum worker_state state);

/* Indices, or -1. */
ssize_t workers_by_pid(const struct workers *t, pid_t pid);
ssize_t workers_by_number(const struct workers *t, uint64_t number);
ssize_t workers_first(const struct workers *t, enum worker_state state);

/* The one of that state whose connection came first; or -1. */
ssize_t workers_oldest(const struct workers *t, enum worker_state state);

/* How many connections of that source are open; *unproven_r: how many of them without a login. */
size_t workers_of_source(const struct workers *t, uint64_t source, size_t *unproven_r);

/* Other workers of the account that at has: how many with a user, or left by one; *verifying_r: how many more whose password is being verified. */
size_t workers_of_account(const struct workers *t, size_t at, size_t *verifying_r);

/*
 * Are there as many as there may be, but for those that are on their way out, and those that are left? Nobody can be told to make room
 * in place of a gate that does not go.
 */
bool workers_full(const struct workers *t, uint64_t max);

/* Workers with a client who has not proven who he is. */
size_t workers_unproven(const struct workers *t);

#endif
