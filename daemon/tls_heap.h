/*
 * tls_heap.h - where OpenSSL's memory lies: what a handshake writes to is side by side, so that a gate copies few of its nursery's pages.
 * Runs in: gate nursery, gate. Trusts: nothing.
 *
 * What OpenSSL has loaded and cached is shared by all gates until one writes to it, and a handshake does: it counts references
 * and takes locks, some fifty of them among thousands of objects, and a page is copied for each. Which ones depends on OpenSSL's
 * version and on the settings, so the nursery finds out, by a rehearsal: a child loads all of it with every object on a page of
 * its own, makes these read-only, shakes hands, and notes the objects that were written to by their number in the order
 * of allocation. Then the nursery does the same in earnest, and what has such a number is packed. Where the order is another one
 * after all, objects lie in the wrong place and nothing else is wrong.
 */
#ifndef POSTERN_TLS_HEAP_H
#define POSTERN_TLS_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * OpenSSL's memory comes from here (CRYPTO_set_mem_functions(3)); to be called before anything else of OpenSSL's.
 * wipe: what is freed is wiped first (heap.h). 0, or -1: OpenSSL has memory already.
 */
int tls_heap_begin(bool wipe);

/*
 * A child runs load(data), and a child of that play(data), in which tls_heap_watch() says from when to when writing counts. Returns
 * when they are gone; play has ten seconds. From then on what this process allocates is placed by what was found: it is to do
 * what load does, up to tls_heap_settle().
 */
void tls_heap_rehearse(void (*load)(void *data), void (*play)(void *data), void *data);

/* In the rehearsal: from now on, or no more, writing to what is there now counts. Elsewhere nothing. */
void tls_heap_watch(bool on);

/* All is loaded: what is allocated from now on is a connection's own. */
void tls_heap_settle(void);

/* Give the kernel back what a handshake needed for its time. */
void tls_heap_give_back(void);

/* Is that one of those that are packed? For tests. */
bool tls_heap_packed(const void *p);

#endif
