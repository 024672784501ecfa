/*
 * master.h - configuration, listeners, accept, limits, pool, supervision.
 * Runs in: master. Trusts: the configuration; nothing of a peer but its address. Reads no octet that a client sent, but behind a PROXY header (proxied.h).
 */
#ifndef POSTERN_MASTER_H
#define POSTERN_MASTER_H

#include "daemon/nursery_link.h"
#include "daemon/settings.h"

struct master_options {
	const char *config;      /* the file, for a reload */
	struct nursery_program programs;
	int ready;               /* a pipe to tell who waits that we serve (one octet), or -1; taken */
};

/* Serve until told to stop; *settings is replaced by a reload. The exit status of the process. */
int master_run(const struct master_options *options, struct settings *settings);

#endif
