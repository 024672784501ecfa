/*
 * master_inside.h - what the two files of the master share; for nobody else.
 * Runs in: master, as root where started so. Trusts: the configuration; nothing of a peer but its address.
 */
#ifndef POSTERN_MASTER_INSIDE_H
#define POSTERN_MASTER_INSIDE_H

#include "daemon/listeners.h"
#include "daemon/master.h"
#include "daemon/nursery_link.h"
#include "daemon/pool.h"
#include "daemon/proxied.h"
#include "daemon/recorder.h"
#include "daemon/refusal.h"
#include "daemon/shared.h"

enum {
	NURSERY_PAUSE_MS = 1000,         /* between two starts of the nursery */
	CERTIFICATE_MS = 24 * 3600 * 1000, /* between two looks at the certificate's end */
	MASTER_TROUBLE_MAX = SHARED_PROBLEM_MAX,
};

struct master {
	const struct master_options *options;
	struct settings *settings;       /* each fork copies what is here, so there is one */
	struct settings *next;           /* of a reload, until its nursery is ready; else NULL */
	time_t settings_since;           /* when settings came into force */
	bool stopping, serving;
	struct listeners listeners;
	struct pool pool;
	struct nursery nursery, coming;
	long long nursery_due;           /* when a nursery may be started, 0: none is wanted */
	long long nursery_started;
	long long accept_due;
	long long certificate_due;       /* when its end is looked at again */
	long long reread_due;            /* when its file is read again, 0: never */
	bool rereading;                  /* that is what the nursery that is to come is for */
	long long reload_due;            /* of a reload that was asked for during another, 0: none */
	long long watchdog_ms, watchdog_due;
	long long halts_due;             /* when stopped children are heard of again, 0: as they are stopped */
	struct refusals refusals;
	struct proxied proxied;
	struct recorder recorder;
	int signals;
	char reload_trouble[MASTER_TROUBLE_MAX + 64]; /* when and why the last reload failed, a sentence; "": it did not */
};

/* Start a nursery with the settings of the reload under way, or those there are. One that will not start is told in the log; at the start of the server that is the end. */
void master_start_nursery(struct master *m);

/* Say so when the certificate is to be renewed. */
void master_look_at_certificate(struct master *m);

/* Has somebody renewed it? Start a nursery that reads the files; it is taken into use if what they hold is another certificate. */
void master_reread_certificate(struct master *m);

/*
 * The reload is over; trouble says why the old settings stay, NULL when there are new ones. The service manager is told. A nursery or signer
 * that was lost meanwhile is replaced.
 */
void master_end_reload(struct master *m, const char *trouble);

/* The nursery that is to come has not in its time. */
void master_give_up_coming(struct master *m);

/* The nursery that is to come, or its signer, spoke: take them into use when both are ready, or give them up. */
void master_hear_coming(struct master *m);

/* The nursery spoke: a gate died, or it is gone itself. Another one is started for either. */
void master_hear_nursery(struct master *m);

/* The signer is gone: it says nothing more once it is ready. Sessions go on, and connections in clear; TLS waits for the next one. */
void master_lose_signer(struct master *m);

#endif
