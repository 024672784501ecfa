/*
 * account.c - the host's accounts: /etc/passwd, then whatever NSS knows.
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

/*
 * The account of that name (or, with name NULL, of that uid) in /etc/passwd, NULL when it is not there. Local
 * accounts come first on every host (nsswitch.conf(5)); asking for them here spares a login the loading of NSS.
 */
static struct passwd *local_account(const char *name, uid_t uid, struct passwd *entry, char *text, size_t size)
{
	struct passwd *account = NULL;
	FILE *f = fopen("/etc/passwd", "re");
	if (f == NULL)
		return NULL;
	while (fgetpwent_r(f, entry, text, size, &account) == 0) {
		bool compat = account->pw_name[0] == '+' || account->pw_name[0] == '-';
		if (!compat && (name != NULL ? strcmp(account->pw_name, name) == 0 : account->pw_uid == uid))
			break;
	}
	(void)fclose(f);
	return account;
}

enum auth_verdict account_by_name(const char *name, struct identity *identity_r, struct why *why_r)
{
	static char text[ACCOUNT_TEXT_MAX]; /* not on the stack, where all of it would be touched */
	char what[USER_NAME_MAX + 16];
	struct passwd entry, *account = NULL;
	(void)snprintf(what, sizeof what, "the name %s", name);
	account = local_account(name, 0, &entry, text, sizeof text);
	int err = account == NULL ? getpwnam_r(name, &entry, text, sizeof text, &account) : 0;
	return fill(account, err, what, identity_r, why_r);
}

enum auth_verdict account_by_uid(uid_t uid, struct identity *identity_r, struct why *why_r)
{
	static char text[ACCOUNT_TEXT_MAX];
	char what[32];
	struct passwd entry, *account = NULL;
	(void)snprintf(what, sizeof what, "uid %u", (unsigned)uid);
	account = local_account(NULL, uid, &entry, text, sizeof text);
	int err = account == NULL ? getpwuid_r(uid, &entry, text, sizeof text, &account) : 0;
	return fill(account, err, what, identity_r, why_r);
}
