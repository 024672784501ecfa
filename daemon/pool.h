/*
 * pool.h - the workers: forked ahead of need, one connection each.
 * Runs in: master. Trusts: nothing that a worker does; knows it by its pid only.
 */
#ifndef POSTERN_POOL_H
#define POSTERN_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/settings.h"

enum {
	THROTTLE_FIRST_MS = 50,   /* after a worker that broke, none is forked ahead for so long; */
	THROTTLE_REFUSE_MS = 800, /* each further one in a row doubles that; from here on connections are refused too, */
	THROTTLE_MOST_MS = 5000,  /* and this is the longest */
};

struct worker {
	pid_t pid;
	int channel;        /* the master's end; closed to let an idle worker go */
	bool busy;
	uint64_t number;
	uint64_t source;    /* of its connection */
	char peer[INET6_ADDRSTRLEN]; /* as text, for the log */
};

struct pool {
	const struct settings *settings;
	const char *pam_helper;
	uint32_t ref_key;        /* of the references to workers that broke */
	int nursery;             /* the channel to the nursery, -1 while there is none; borrowed */
	int signer;              /* where its gates' keepers ask for signatures, -1: nowhere; borrowed */
	struct worker *workers;
	size_t count, room, idle;
	uint64_t next_number;
	bool filling;            /* idle fell under spare_min and has not come to spare_max again */
	long long throttled_until;
	long long throttle_ms;
};

/* Addresses that count as one source: an IPv4 address, or an IPv6 /64. */
uint64_t pool_source(const struct sockaddr_storage *address);

/* How many connections of that source are open. */
size_t pool_source_count(const struct pool *pool, uint64_t source);

/* Fork one worker. 0, or -1 (the log says why, and forking is throttled). */
int pool_spawn(struct pool *pool);

/* Is a spare worker to be forked now? */
bool pool_wants_spare(struct pool *pool);

/* When one is to be forked that waits for nothing but the end of the throttling; 0: none does. */
long long pool_spare_due(const struct pool *pool);

/* Give the connection (borrowed) to an idle worker, or to one forked now. 0, or -1 when there is none. */
int pool_assign(struct pool *pool, int connection, const struct sockaddr_storage *peer, bool tls);

/* A child of the master has ended. */
void pool_reaped(struct pool *pool, pid_t pid, int status);

/* The nursery saw a worker's gate die. */
void pool_gate_died(struct pool *pool, uint64_t number, int signal, int status);

/* Let all idle workers go (their settings or their gate's nursery are old). */
void pool_retire_idle(struct pool *pool);

/* Tell all busy workers that the server stops. */
void pool_stop(struct pool *pool);

#endif
