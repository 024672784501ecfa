/*
 * account.h - the host's accounts, as NSS knows them.
 * Runs in: keeper, as root. Trusts: NSS.
 */
#ifndef POSTERN_ACCOUNT_H
#define POSTERN_ACCOUNT_H

#include "auth/auth.h"

/* Fill *identity_r from the account of that name. AUTH_ACCEPTED, AUTH_NOT_HERE or AUTH_FAILED. */
enum auth_verdict account_by_name(const char *name, struct identity *identity_r, struct why *why_r);

/* The same for the first account with that uid. */
enum auth_verdict account_by_uid(uid_t uid, struct identity *identity_r, struct why *why_r);

#endif
