/*
 * recorder_link.h - the others' side of the recorder: references to give out, records to send.
 * Runs in: master, keeper. Trusts: nothing; the recorder may be slow or gone, and nobody waits for it.
 */
#ifndef POSTERN_RECORDER_LINK_H
#define POSTERN_RECORDER_LINK_H

#include "daemon/history.h"

enum {
	REF_WAIT_MS = 20,       /* how long to wait for the recorder to make more */
	HISTORY_DOOR = HISTORY_KINDS, /* a kind of record that is counted, not kept: somebody came to the wrong door */
};

/* Descriptors that the master makes once and everybody inherits. */
struct recorder_link {
	int records;            /* datagrams of struct history_record */
	int refs;               /* a pipe of references, each an uint32_t; whoever reads one has it for himself */
};

#define NO_RECORDER ((struct recorder_link){ .records = -1, .refs = -1 })

/* From now on the calls below use this link. Borrowed. */
void recorder_connect(const struct recorder_link *link);

/* The link in use: to be kept when other descriptors are closed. */
struct recorder_link recorder_link(void);

/* A reference that nobody else gets. A random one when the recorder does not keep up, or what comes is none; REF_NONE without a link. */
uint32_t recorder_take_ref(void);

/*
 * A record with format, time, process and role filled in; the caller fills the rest and sends it.
 */
void recorder_begin(struct history_record *record, uint32_t kind, const char *role);

/* Send it; never waits. The kernel tells the recorder who sent it. */
void recorder_send(const struct history_record *record);

#endif
