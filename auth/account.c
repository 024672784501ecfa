/*
 * account.c - the host's accounts: /etc/passwd here, all others through the PAM helper.
 * Runs in: keeper and master, as root. Trusts: /etc/passwd, and NSS's answer.
 */
#include "auth/account.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "auth/pam_parts.h"

enum { ACCOUNT_TEXT_MAX = 16384 };  /* octets of one account's fields; glibc itself suggests 1024 */

/* The first account of that name in /etc/passwd, or with name NULL of that uid; NULL when it is not there. */
static struct passwd *local_account(const char *name, uid_t uid, struct passwd *entry, char *text, size_t size)
{
	struct passwd *account = NULL;
	FILE *f = fopen("/etc/passwd", "re");
	if (f == NULL)
		return NULL;
	while (fgetpwent_r(f, entry, text, size, &account) == 0) {
		/* "+" and "-" lines are not accounts but orders to NSS (nsswitch.conf(5), compat). */
		bool compat = account->pw_name[0] == '+' || account->pw_name[0] == '-';
		if (!compat && (name != NULL ? strcmp(account->pw_name, name) == 0 : account->pw_uid == uid))
			break;
	}
	(void)fclose(f);
	return account;
}

static void fill(struct identity *identity_r, const char *name, uid_t uid, gid_t gid, const char *home)
{
	identity_r->uid = uid;
	identity_r->gid = gid;
	(void)snprintf(identity_r->user, sizeof identity_r->user, "%s", name);
	(void)snprintf(identity_r->home, sizeof identity_r->home, "%s", home);
}

static enum auth_verdict ask_nss(const struct auth_settings *settings, struct pam_wire_request *request, const char *what,
                                 struct identity *identity_r, struct why *why_r)
{
	struct pam_wire_result result;
	if (pam_helper_ask(settings, request, &result, why_r) < 0)
		return AUTH_FAILED;
	switch (result.account) {
	case PAM_ACCOUNT_THERE:
		fill(identity_r, result.name, result.uid, result.gid, result.home);
		return AUTH_ACCEPTED;
	case PAM_ACCOUNT_MISSING:
		(void)why_set(why_r, REASON_USER_UNKNOWN, 0, "no account with %s", what);
		return AUTH_NOT_HERE;
	default:
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "the account with %s cannot be looked up (NSS)", what);
		return AUTH_FAILED;
	}
}

static enum auth_verdict find(const struct auth_settings *settings, const char *name, uid_t uid, const char *what,
                              struct identity *identity_r, struct why *why_r)
{
	static char text[ACCOUNT_TEXT_MAX]; /* not on the stack, where all of it would be touched */
	struct passwd entry;
	struct pam_wire_request request;
	const struct passwd *account = local_account(name, uid, &entry, text, sizeof text);
	if (account == NULL) {
		memset(&request, 0, sizeof request);
		request.question = name != NULL ? PAM_ASK_NAME : PAM_ASK_UID;
		request.uid = uid;
		if (name != NULL)
			(void)snprintf(request.user, sizeof request.user, "%s", name);
		return ask_nss(settings, &request, what, identity_r, why_r);
	}
	if (strlen(account->pw_name) > USER_NAME_MAX || strlen(account->pw_dir) >= sizeof identity_r->home) {
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "the account with %s has too long a name or home", what);
		return AUTH_FAILED;
	}
	fill(identity_r, account->pw_name, account->pw_uid, account->pw_gid, account->pw_dir);
	return AUTH_ACCEPTED;
}

enum auth_verdict account_by_name(const struct auth_settings *settings, const char *name, struct identity *identity_r,
                                  struct why *why_r)
{
	char what[USER_NAME_MAX + 16];
	(void)snprintf(what, sizeof what, "the name %s", name);
	return find(settings, name, 0, what, identity_r, why_r);
}

enum auth_verdict account_by_uid(const struct auth_settings *settings, uid_t uid, struct identity *identity_r, struct why *why_r)
{
	char what[32];
	(void)snprintf(what, sizeof what, "uid %u", (unsigned)uid);
	return find(settings, NULL, uid, what, identity_r, why_r);
}
