/*
 * pool.h - the workers: forked ahead of need, one connection each.
 * Runs in: master. Trusts: nothing that a worker does; knows it by its pid and its channel.
 */
#ifndef POSTERN_POOL_H
#define POSTERN_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/attempts.h"
#include "daemon/settings.h"
#include "daemon/workers.h"

enum {
	THROTTLE_FIRST_MS = 50,   /* after a worker that broke, none is forked ahead for so long; */
	THROTTLE_REFUSE_MS = 800, /* each further one in a row doubles that; from here on connections are refused too, */
	THROTTLE_MOST_MS = 5000,  /* and this is the longest */
	END_LIMIT_MS = 35000,     /* a worker that was told to end has so long; its keeper gives its gate KEEPER_STOP_LIMIT_MS */
};

struct pool {
	const struct settings *settings;
	const char *pam_helper;
	uint32_t ref_key;        /* of the references to workers that broke */
	int nursery;             /* the channel to the nursery, -1 while there is none; borrowed */
	int signer;              /* where its gates' keepers ask for signatures, -1: nowhere; borrowed */
	int words;               /* an epoll(7): readable when a keeper has said something */
	struct workers workers;
	struct attempts attempts;
	uint64_t next_number;
	bool stopping;           /* all that are busy were told to end */
	bool filling;            /* idle fell under spare_min and has not come to spare_max again */
	long long throttled_until;
	long long throttle_ms;
};

/* A pool without workers. 0, or -1 and errno. */
int pool_open(struct pool *pool, const struct settings *settings, const char *pam_helper);

/* Fork one worker. 0, or -1 (the log says why, and forking is throttled). */
int pool_spawn(struct pool *pool);

/* Is a spare worker to be forked now? */
bool pool_wants_spare(struct pool *pool);

/* When one is to be forked that waits for nothing but the end of the throttling; 0: none does. */
long long pool_spare_due(const struct pool *pool);

/* Can a worker be forked for who comes now? Not without a nursery, nor where the last ones broke. */
bool pool_may_fork(const struct pool *pool, long long now);

/* Give the connection (borrowed) to an idle worker, or to one forked now. 0, or -1 when there is none. */
int pool_assign(struct pool *pool, int connection, const struct sockaddr_storage *peer, bool tls);

/* The client of that worker has to make room for others. */
void pool_evict(struct pool *pool, size_t at);

/* pool->words can be read: hear what keepers said. */
void pool_hear(struct pool *pool);

/* A child of the master has ended, which was that user's. */
void pool_reaped(struct pool *pool, pid_t pid, int status, uid_t uid);

/* The nursery saw a worker's gate die. */
void pool_gate_died(struct pool *pool, uint64_t number, int signal, int status);

/* Let all idle workers go (their settings or their gate's nursery are old). */
void pool_retire_idle(struct pool *pool);

/* Tell all busy workers that the server stops. */
void pool_stop(struct pool *pool);

/* A child of the master, perhaps a keeper, was stopped by a signal, or goes on. The owner of a session may send his keeper any. Is it a keeper? */
bool pool_halted(struct pool *pool, pid_t pid, bool halted);

/*
 * Kill who does not end: who was told to make room and is stopped, or is there END_LIMIT_MS later; and, END_LIMIT_MS after the server was
 * told to stop, who is stopped. No message is lost by it.
 */
void pool_end_late(struct pool *pool, long long now);

/* When that is due; 0: not. */
long long pool_late_due(const struct pool *pool);

#endif
