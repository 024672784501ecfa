/*
 * passwd.h - the actions of postern passwd.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#ifndef POSTERN_CLI_PASSWD_H
#define POSTERN_CLI_PASSWD_H

#include <stdint.h>

struct passwd_options {
	const char *file;                        /* the passwd file */
	const char *config;                      /* where that is named, if not above; NULL: the default one */
	const char *user;                        /* NULL for list */
	const char *uid, *gid, *home, *comment;  /* "" when not given */
	uint64_t ops, memory_mib;                /* cost of a new hash */
};

/* Each returns an exit code, with the complaint made. */
int passwd_add(const struct passwd_options *o);
int passwd_set(const struct passwd_options *o);
int passwd_delete(const struct passwd_options *o);
int passwd_verify(const struct passwd_options *o);
int passwd_list(const struct passwd_options *o);

#endif
