/*
 * admission.h - who is let in when many come: shares of a source, crowding by strangers, a full house.
 * Runs in: master. Trusts: nothing; of a peer it knows the address.
 *
 * A stranger is a client who has not proven who he is. The aim is that whoever has one connection and a password gets in,
 * whatever others do:
 *   - a source has at most `per_source` connections, unless it is one of `gateways`;
 *   - when strangers have more than half of `max`, a source that already has one of theirs is refused at random, more
 *     likely the more there are; a source that has none never is;
 *   - when all workers are in use, the stranger who came first makes room, if he had EVICT_AFTER_MS to log in: who has sent no password, else who
 *     waits for his turn, else who waits for memory to be verified in. Who is being verified never does.
 */
#ifndef POSTERN_ADMISSION_H
#define POSTERN_ADMISSION_H

#include "daemon/settings.h"
#include "daemon/workers.h"

enum {
	EVICT_AFTER_MS = 500,   /* so long everybody has, whoever else comes; a thousand workers are not filled faster */
	LEAVING_MAX = 64,       /* workers that are on their way out, and not counted */
};

enum admission {
	ADMIT,
	ADMIT_EVICTING,         /* after *victim_r was told to make room */
	ADMIT_NOT_SOURCE,       /* this source has all that it may have */
	ADMIT_NOT_CROWDED,
	ADMIT_NOT_FULL,
};

/* source: address_source(). open_r: that source's connections. chance: any number, anew for each call. now: now_ms(). */
enum admission admission_decide(const struct workers *workers, const struct settings *settings, uint64_t source, uint32_t chance, long long now,
                                size_t *open_r, size_t *victim_r);

#endif
