/*
 * check_login.h - the one login.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#ifndef POSTERN_CLI_CHECK_LOGIN_H
#define POSTERN_CLI_CHECK_LOGIN_H

#include "cli/check_session.h"

/* May the password be sent there? */
bool login_may_send(const struct check *c, const struct attempt *a);

/* Log in with c->user and c->password; notes the steps. 0, or -1 when there is no mailbox. */
int check_login(struct session *s);

/* After a failure: could the user name be the reason? */
bool login_was_refused(const struct check *c);

/* The full address for a short name, and the reverse. false when there is none: the host was given as an address. */
bool login_other_name(const struct check *c, char *name_r, size_t size);

/* STAT to QUIT, behind a login; notes the steps (check_mail.c). */
void check_maildrop(struct session *s);

#endif
