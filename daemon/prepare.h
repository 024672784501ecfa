/*
 * prepare.h - what the master does once, before it serves.
 * Runs in: master, as root where started so. Trusts: the configuration.
 */
#ifndef POSTERN_PREPARE_H
#define POSTERN_PREPARE_H

#include "daemon/settings.h"

/* Block SIGTERM, SIGINT, SIGHUP and SIGCHLD, and read them from a descriptor (signalfd(2)), which is returned; non-blocking. fatal() without one. */
int prepare_signals(void);

/* Limits, umask, capabilities; from here on children of children come to us. Logs what is too small. */
void prepare_process(const struct settings *settings);

/* Make those of our directories that are missing. What cannot be made is logged, with what is not possible without it. */
void prepare_own_directories(const struct settings *settings);

/* The same; then find out whose they are (shared.h; pam_helper as in auth.h). 0; or -1, logged: sessions above 1 cannot be served so. */
int prepare_directories(struct settings *settings, const char *pam_helper);

#endif
