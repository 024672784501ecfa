/*
 * account.h - the host's accounts: /etc/passwd, then whatever else NSS knows (a directory service, say).
 * Runs in: keeper and master, as root. Trusts: /etc/passwd, and NSS's answer.
 *
 * NSS itself runs in the PAM helper: its modules are foreign code and may hang, and the keeper then needs
 * no dynamic loader.
 */
#ifndef POSTERN_ACCOUNT_H
#define POSTERN_ACCOUNT_H

#include "auth/auth.h"
#include "auth/passwd_records.h"

/* Fill *identity_r from the account of that name. AUTH_ACCEPTED, AUTH_NOT_HERE or AUTH_FAILED. */
enum auth_verdict account_by_name(const struct auth_settings *settings, const char *name, struct identity *identity_r, struct why *why_r);

/* The same for the first account with that uid. */
enum auth_verdict account_by_uid(const struct auth_settings *settings, uid_t uid, struct identity *identity_r, struct why *why_r);

/*
 * The first account of that name in the text of /etc/passwd, or with name NULL of that uid. False when there is none, and
 * where its line is not as it should be: NSS may know what to make of it. *record_r points into the text.
 */
bool account_find(struct text accounts, const char *name, uid_t uid, struct passwd_record *record_r);

#endif
