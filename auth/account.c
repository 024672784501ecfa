/*
 * account.c - the host's accounts, as NSS knows them.
 * Runs in: keeper, as root. Trusts: NSS.
 */
#include "auth/account.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum { ACCOUNT_TEXT_MAX = 16384 };  /* octets of one account's fields; glibc itself suggests 1024 */

static enum auth_verdict not_here(const char *what, struct why *why_r)
{
	(void)why_set(why_r, REASON_USER_UNKNOWN, 0, "no account with %s", what);
	return AUTH_NOT_HERE;
}

static enum auth_verdict fill(const struct passwd *account, int err, const char *what, struct identity *identity_r,
                              struct why *why_r)
{
	if (account == NULL) {
		/* getpwnam_r(3) names these as what systems return for "not found" */
		if (err == 0 || err == ENOENT || err == ESRCH || err == EBADF || err == EPERM)
			return not_here(what, why_r);
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, err, "look up the account with %s", what);
		return AUTH_FAILED;
	}
	if (strlen(account->pw_name) > USER_NAME_MAX || strlen(account->pw_dir) >= sizeof identity_r->home) {
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "the account with %s has too long a name or home", what);
		return AUTH_FAILED;
	}
	identity_r->uid = account->pw_uid;
	identity_r->gid = account->pw_gid;
	(void)snprintf(identity_r->user, sizeof identity_r->user, "%s", account->pw_name);
	(void)snprintf(identity_r->home, sizeof identity_r->home, "%s", account->pw_dir);
	return AUTH_ACCEPTED;
}

enum auth_verdict account_by_name(const char *name, struct identity *identity_r, struct why *why_r)
{
	char what[USER_NAME_MAX + 16], text[ACCOUNT_TEXT_MAX];
	struct passwd entry, *account = NULL;
	(void)snprintf(what, sizeof what, "the name %s", name);
	int err = getpwnam_r(name, &entry, text, sizeof text, &account);
	return fill(account, err, what, identity_r, why_r);
}

enum auth_verdict account_by_uid(uid_t uid, struct identity *identity_r, struct why *why_r)
{
	char what[32], text[ACCOUNT_TEXT_MAX];
	struct passwd entry, *account = NULL;
	(void)snprintf(what, sizeof what, "uid %u", (unsigned)uid);
	int err = getpwuid_r(uid, &entry, text, sizeof text, &account);
	return fill(account, err, what, identity_r, why_r);
}
