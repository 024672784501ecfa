/*
 * shared.h - workers that serve several connections, one after the other ([workers] sessions above 1): whose they are,
 * what they may open, which directories of ours they need.
 * Runs in: master, keeper, recovery, as root (or as the one user that is served); then keeper, as virtual_user.
 * Trusts: the configuration and the user database.
 *
 * Such a keeper becomes virtual_user before its first connection, for good. So it takes locks and opens journals and indexes with that
 * user's rights, and reads the passwd file with them: the directories have that user's group, with the sticky bit, so that it
 * can remove nothing there that is root's.
 */
#ifndef POSTERN_SHARED_H
#define POSTERN_SHARED_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/settings.h"

enum { SHARED_PROBLEM_MAX = 1024 };

/* Do workers serve more than one connection? */
bool shared_workers(const struct settings *settings);

/* The same, and is that uid's mail what they serve? */
bool shared_serves(const struct settings *settings, uid_t uid);

/* The directory above all mail: of location the part before its first %. 0; or -1: it has none but /, or begins with ~. */
int shared_mail_root(const struct settings *settings, char root_r[SETTING_TEXT_MAX]);

/*
 * Fill in settings->owner. 0, also where sessions is 1; or -1 and in problem what is wrong and what to change: no such user, or
 * a record of the passwd file has another one. pam_helper as in auth.h.
 */
int shared_find_owner(struct settings *settings, const char *pam_helper, char problem[SHARED_PROBLEM_MAX]);

/*
 * Master, at the start, before anything is recovered: lock_directory, journal_directory and index_directory, and what is in them, belong to whom
 * they have to in this mode; from the other mode they are taken back. What fails is logged.
 */
void shared_claim_directories(const struct settings *settings);

/*
 * May the owner use all that he needs? Tried in a child. started: our directories are his by now.
 * 0, or -1 and in problem what to change.
 */
int shared_try_owner(const struct settings *settings, bool started, char problem[SHARED_PROBLEM_MAX]);

/* May a reload change the one into the other? Fills in to->owner. 0; or -1, and in problem why not. */
int shared_reload(const struct settings *from, struct settings *to, const char *pam_helper, char problem[SHARED_PROBLEM_MAX]);

/* Keeper, before its first connection: be the owner, confined to his mail, for good. */
void shared_enter(const struct settings *settings);

#endif
