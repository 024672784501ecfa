/*
 * listeners.h - the sockets that connections come in by.
 * Runs in: master. Trusts: nothing of a peer but its address.
 */
#ifndef POSTERN_LISTENERS_H
#define POSTERN_LISTENERS_H

#include <stdbool.h>

#include "daemon/settings.h"

enum { LISTENERS_MAX = 2 * LISTEN_MAX };

struct listener {
	int fd;
	bool tls;         /* TLS from the start */
	struct sockaddr_storage address;
};

struct listeners {
	size_t count;
	bool inherited;   /* from the service manager: the settings close none, and open none */
	struct listener list[LISTENERS_MAX];
};

/* Take the service manager's sockets, if it handed any over; then those of the settings are not opened. */
void listeners_inherit(struct listeners *l);

/*
 * Make them what the settings say: those that stay are kept open, new ones are opened, then the rest closed.
 * 0, or -1 with a sentence in problem, and nothing changed.
 */
int listeners_apply(struct listeners *l, const struct settings *settings, char *problem, size_t size);

void listeners_close(struct listeners *l);

/* One connection (taken by the caller, non-blocking), or -1 and errno. */
int listener_accept(const struct listener *l, struct sockaddr_storage *peer_r);

#endif
