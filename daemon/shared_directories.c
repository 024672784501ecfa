/*
 * shared_directories.c - whose lock_directory, journal_directory and index_directory are, with what is in them, in either mode.
 * Runs in: master, as root, before anything is served or recovered; a child of it as virtual_user.
 * Trusts: the configuration. Not what virtual_user has made in the directories: a file changes hands only where its
 * name says that it may, so that no journal for somebody else's mail becomes one that root believes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/shared.h"

enum { OURS_ALONE = 0700, SHARED_BITS = 01070, SHARED_MODE = OURS_ALONE | SHARED_BITS };

/* The uid in the name of a journal or an index, "KEY-UID-GID..."; or -1. */
static uid_t uid_of_name(const char *name)
{
	const char *dash = strchr(name, '-');
	uint64_t uid;
	if (dash == NULL || parse_number(dash + 1, strcspn(dash + 1, "-"), 0, UINT32_MAX - 1, &uid) != 0)
		return (uid_t)-1;
	return (uid_t)uid;
}

/* May a file of `from` become the other's? Of journals and indexes those for the user's own mail; a lock file is for any. */
static bool may_change_hands(const char *name, bool by_name, uid_t user)
{
	return !by_name || uid_of_name(name) == user;
}

static void claim_file(int dir, const char *name, bool by_name, uid_t to, gid_t to_gid)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid != to && (to == 0 || st.st_uid == 0) &&
	    may_change_hands(name, by_name, to != 0 ? to : st.st_uid) && fchown(fd, to, to_gid) != 0)
		log_line(LOG_ERR, "%s cannot be given to uid %ju: %s", name, (uintmax_t)to, strerror(errno));
	(void)close(fd);
}

static void claim(const struct settings *settings, const char *path, bool by_name)
{
	const bool shared = shared_workers(settings);
	const struct dirent *entry;
	struct stat st;
	DIR *d = opendir(path);
	if (d == NULL)
		return; /* who made it has said why not */
	if (fstat(dirfd(d), &st) != 0 || (!shared && (st.st_mode & SHARED_BITS) != SHARED_BITS)) {
		(void)closedir(d);
		return; /* it has never been anybody's but ours */
	}
	const uid_t to = shared ? settings->owner.uid : 0;
	const gid_t to_gid = shared ? settings->owner.gid : 0;
	/* Taken back, it is closed before its files are; opened, after. */
	if (!shared && (fchown(dirfd(d), 0, 0) != 0 || fchmod(dirfd(d), OURS_ALONE) != 0))
		log_line(LOG_ERR, "%s cannot be taken back from the group: %s", path, strerror(errno));
	while ((entry = readdir(d)) != NULL)
		claim_file(dirfd(d), entry->d_name, by_name, to, to_gid);
	if (shared && (fchown(dirfd(d), 0, to_gid) != 0 || fchmod(dirfd(d), SHARED_MODE) != 0))
		log_line(LOG_ERR, "%s cannot be opened to virtual_user: %s", path, strerror(errno));
	(void)closedir(d);
}

void shared_claim_directories(const struct settings *settings)
{
	if (geteuid() != 0)
		return; /* they are ours in either mode */
	claim(settings, settings->lock_directory, false);
	claim(settings, settings->journal_directory, true);
	claim(settings, settings->index_directory, true);
}

/* ---- what the owner may ---- */

/* What virtual_user has to be able to do, and what to change where he cannot. */
static const struct need {
	const char *name;
	bool ours;        /* a directory that is given to him at the start */
	int how;          /* as in access(2) */
	const char *fix;
} needs[] = {
	{ "passwd_file", false, R_OK, "give the file that group and mode 0640, and let the user pass through the directories above it" },
	{ "location", false, R_OK | X_OK, "let the user read that directory" },
	{ "lock_directory", true, R_OK | W_OK | X_OK, "let the user pass through the directories above it" },
	{ "journal_directory", true, R_OK | W_OK | X_OK, "let the user pass through the directories above it" },
	{ "index_directory", true, R_OK | W_OK | X_OK, "let the user pass through the directories above it" },
};
enum { NEEDS = sizeof needs / sizeof *needs };

/* The unit test puts another one in its place. A running server waits for no file system longer than that, nor does its watchdog. */
#ifndef TRY_SECONDS
#define TRY_SECONDS 10
#endif

/* The first need that is not met, as the exit status. */
_Noreturn static void try_in_child(const struct settings *settings, const char *const paths[NEEDS], bool started)
{
	end_in(TRY_SECONDS);
	become_owner(settings->owner.uid, settings->owner.gid);
	for (int i = 0; i < NEEDS; i++)
		if ((started || !needs[i].ours) && faccessat(AT_FDCWD, paths[i], needs[i].how, AT_EACCESS) != 0 && errno != ENOENT)
			_exit(1 + i);
	_exit(0);
}

int shared_try_owner(const struct settings *settings, bool started, char problem[SHARED_PROBLEM_MAX])
{
	char root[SETTING_TEXT_MAX] = "";
	const char *const paths[NEEDS] = { settings->passwd_file, root, settings->lock_directory, settings->journal_directory,
	                                    settings->index_directory };
	int status = 0;
	if (!shared_workers(settings) || shared_mail_root(settings, root) != 0)
		return 0;
	pid_t pid = fork();
	if (pid == 0)
		try_in_child(settings, paths, started);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	const int failed = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) - 1 : NEEDS;
	if (failed < 0)
		return 0;
	if (failed >= NEEDS)
		(void)snprintf(problem, SHARED_PROBLEM_MAX, "what virtual_user %s may do cannot be tried; see whether passwd_file, location or one of our directories "
		               "is on a file system that does not answer", settings->virtual_user);
	else
		(void)snprintf(problem, SHARED_PROBLEM_MAX, "with sessions above 1 virtual_user %s (uid %ju, gid %ju) has to be able to use %s = %.512s, and cannot; %s",
		               settings->virtual_user, (uintmax_t)settings->owner.uid, (uintmax_t)settings->owner.gid, needs[failed].name, paths[failed], needs[failed].fix);
	return -1;
}
