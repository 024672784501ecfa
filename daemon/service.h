/*
 * service.h - what the service manager is told (sd_notify(3)), and the sockets it hands over (sd_listen_fds(3)).
 * Runs in: master. Trusts: its environment.
 *
 * Both protocols are a few lines and stable by promise; libsystemd would bring six libraries into
 * a process that is forked for every session.
 */
#ifndef POSTERN_SERVICE_H
#define POSTERN_SERVICE_H

#include <stddef.h>

/* "READY=1" and the like; does nothing without NOTIFY_SOCKET. */
void service_notify(const char *state);

/* How often WATCHDOG=1 is due, in milliseconds: half of what the manager allows; 0 when it does not ask. */
long long service_watchdog_ms(void);

/* The next inherited listening socket (3, 4, ...) and its name ("" without one), or -1 behind the last. *at starts at 0. */
int service_next_socket(size_t *at, char *name, size_t size);

#endif
