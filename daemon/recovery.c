/*
 * recovery.c - finishes what a crash interrupted, at the server's start, before the users come.
 * Runs in: recovery, a child of the master, as root; a child of that for each maildrop, as its owner.
 * Trusts: the journal directory (root's), not the journals: their owners could have written them.
 *
 * To open a maildrop is to recover it; so all there is to do is to open each that has a journal. Logins need not wait
 * for this: they do the same for themselves, and the session lock keeps the two apart.
 */
#include "daemon/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/attempt.h"
#include "daemon/enter.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "storage/journal.h"

/*
 * The unit test puts a shorter one in its place. So long others wait for one maildrop; then it goes on beside the next. It may be large,
 * and its owner may have stopped the process, which has become his, or serve the file himself (FUSE).
 */
#ifndef RECOVERY_PATIENCE_MS
#define RECOVERY_PATIENCE_MS 60000
#endif

static bool is_pending(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		strstr(name, JOURNAL_ASIDE) == NULL;
}

static void notice(void *context, enum notice weight, const char *text)
{
	(void)context;
	log_line(notice_priority(weight), "%s", text);
}

/* Ends the process. */
static void recover_one(const struct settings *settings, int dir, const char *name)
{
	struct maildrop_place place = { .format = MAILDROP_MBOX };
	struct entry e = NO_ENTRY;
	struct why why;
	uid_t uid;
	gid_t gid;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* One without a whole record says nothing, and the next login empties it. */
	if (fd < 0 || journal_path(fd, place.path) != 0)
		leave(EXIT_GOOD);
	(void)close(fd);
	if (journal_owner(name, place.path, &uid, &gid) != 0 || uid == 0) {
		log_line(LOG_CRIT, "%s/%s is not the journal of what it says; it is left alone", settings->journal_directory, name);
		leave(EXIT_GOOD);
	}
	const struct entrant who = { .settings = settings, .place = &place, .uid = uid, .gid = gid, .user = "", .peer = "this server's recovery",
	                             .confined = true, .watch = -1, .notice = notice };
	if (enter_maildrop(&e, &who, &why) != 0 && why.reason != REASON_MAILDROP_LOCKED)
		log_line(LOG_ERR, "the interrupted update of %s is not finished yet: %s", place.path, why.text);
	leave_maildrop(&e);
	leave(EXIT_GOOD);
}

/* Its end, for as long as one may take for itself. */
static void await_one(pid_t pid)
{
	static const struct timespec look = { .tv_sec = 1 };
	const long long end = now_ms() + RECOVERY_PATIENCE_MS;
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* It is held back, as in the master: one that comes between the two calls is not missed. */
	while (waitpid(pid, NULL, WNOHANG) == 0 && now_ms() < end)
		(void)sigtimedwait(&child, NULL, &look);
}

static void recover_all(const struct settings *settings, DIR *d)
{
	const struct dirent *entry;
	while ((entry = readdir(d)) != NULL) {
		if (!is_pending(dirfd(d), entry->d_name))
			continue;
		pid_t pid = fork();
		if (pid == 0)
			recover_one(settings, dirfd(d), entry->d_name);
		if (pid > 0)
			await_one(pid);
	}
}

void recover_maildrops(const struct settings *settings)
{
	bool any = false;
	const struct dirent *entry;
	DIR *d = opendir(settings->journal_directory);
	if (d == NULL)
		return;
	while (!any && (entry = readdir(d)) != NULL)
		any = is_pending(dirfd(d), entry->d_name);
	pid_t pid = any ? fork() : -1;
	if (pid == 0) {
		const int kept[] = { dirfd(d), log_descriptor() };
		attempt_forget();
		log_role("recovery");
		keep_only(kept, sizeof kept / sizeof kept[0]);
		(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
		shrink_root();
		rewinddir(d);
		recover_all(settings, d);
		leave(EXIT_GOOD);
	}
	if (any && pid < 0)
		log_line(LOG_ERR, "fork: %s; interrupted updates are finished by the next logins", strerror(errno));
	(void)closedir(d);
}
