/*
 * shared.c - a worker for several connections: whose it is, and what stays open to it.
 * Runs in: master and keeper, as root (or as the one user that is served); keeper, as virtual_user from shared_enter() on.
 * Trusts: the configuration and the user database.
 */
#include "daemon/shared.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/account.h"
#include "auth/passwd_check.h"
#include "daemon/privilege.h"
#include "daemon/sandbox.h"
#include "daemon/shared_dotlock.h"

enum { OWNER_SECONDS = 15 }; /* for virtual_user's account, at a reload before the service manager's watchdog */

bool shared_workers(const struct settings *settings)
{
	return settings->sessions > 1;
}

bool shared_serves(const struct settings *settings, uid_t uid)
{
	return shared_workers(settings) && uid == settings->owner.uid;
}

int shared_mail_root(const struct settings *settings, char root_r[SETTING_TEXT_MAX])
{
	const char *pattern = strchr(settings->location, ':');
	if (pattern == NULL || pattern[1] != '/')
		return -1;
	(void)snprintf(root_r, SETTING_TEXT_MAX, "%.*s", (int)strcspn(pattern + 1, "%"), pattern + 1);
	char *end = strrchr(root_r, '/');
	while (end > root_r && end[-1] == '/')
		end--;
	*end = '\0';
	return root_r[0] == '/' ? 0 : -1;
}

int shared_find_owner(struct settings *settings, const char *pam_helper, char problem[SHARED_PROBLEM_MAX])
{
	struct auth_settings auth;
	struct identity account;
	struct why why;
	if (!shared_workers(settings))
		return 0;
	settings_for_auth(settings, pam_helper, &auth);
	auth.helper_seconds = OWNER_SECONDS;
	if (account_by_name(&auth, settings->virtual_user, &account, &why) != AUTH_ACCEPTED) {
		(void)snprintf(problem, SHARED_PROBLEM_MAX, "virtual_user %s: %s", settings->virtual_user, why.text);
		return -1;
	}
	settings->owner.uid = auth.owner_uid = account.uid;
	settings->owner.gid = auth.owner_gid = account.gid;
	if (account.uid == 0 || account.uid < settings->minimum_uid) {
		(void)snprintf(problem, SHARED_PROBLEM_MAX, "virtual_user %s has uid %ju, under minimum_uid %ju; choose another user, or lower minimum_uid",
		               settings->virtual_user, (uintmax_t)account.uid, (uintmax_t)settings->minimum_uid);
		return -1;
	}
	if (geteuid() != 0 && geteuid() != account.uid) {
		(void)snprintf(problem, SHARED_PROBLEM_MAX, "not started as root, so virtual_user has to be the user who starts posternd");
		return -1;
	}
	if (passwd_check_owners(&auth, &why) == 0)
		return 0;
	(void)snprintf(problem, SHARED_PROBLEM_MAX, "%s", why.text);
	return -1;
}

/* By another lock a second session would come to an open maildrop, and what is interrupted in an old journal the next login would not see. */
static bool same_locks(const struct settings *from, const struct settings *to)
{
	return strcmp(from->lock_directory, to->lock_directory) == 0 && strcmp(from->journal_directory, to->journal_directory) == 0;
}

static bool same_owner(const struct settings *from, const struct settings *to)
{
	if (!shared_workers(from) && !shared_workers(to))
		return true;
	return shared_workers(from) == shared_workers(to) && from->owner.uid == to->owner.uid && from->owner.gid == to->owner.gid &&
		strcmp(from->index_directory, to->index_directory) == 0;
}

int shared_reload(const struct settings *from, struct settings *to, const char *pam_helper, char problem[SHARED_PROBLEM_MAX])
{
	if (shared_find_owner(to, pam_helper, problem) != 0)
		return -1;
	if (same_locks(from, to) && same_owner(from, to))
		return shared_try_owner(to, true, problem);
	(void)snprintf(problem, SHARED_PROBLEM_MAX, "another lock_directory or journal_directory, sessions from 1 to more or back, and with more another virtual_user or "
	               "index_directory, take a restart: sessions under way hold their locks as they are");
	return -1;
}

void shared_enter(const struct settings *settings)
{
	char root[SETTING_TEXT_MAX] = "", passwd[PATH_MAX];
	const bool mbox = strncmp(settings->location, "mbox:", 5) == 0;
	(void)shared_mail_root(settings, root);
	/* The directory: whoever changes the file puts another one in its place. */
	(void)snprintf(passwd, sizeof passwd, "%s", settings->passwd_file);
	*strrchr(passwd, '/') = '\0';
	const struct sandbox_path paths[] = {
		{ root, mbox ? SANDBOX_SPOOLS : SANDBOX_MAILDIRS }, { settings->lock_directory, SANDBOX_OURS },
		{ settings->journal_directory, SANDBOX_OURS }, { settings->index_directory, SANDBOX_OURS },
		{ passwd[0] != '\0' ? passwd : "/", SANDBOX_LOOK }, { "/proc", SANDBOX_LOOK },
	};
	if (mbox)
		shared_dotlock_start(settings, root);
	become_owner(settings->owner.uid, settings->owner.gid);
	sandbox_enter(SANDBOX_SHARED, paths, sizeof paths / sizeof *paths - !mbox);
}
