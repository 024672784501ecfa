/*
 * recover.c - postern recover: shows what interrupted updates of mboxes left behind, and puts it back.
 * Runs in: postern, as root; what touches a mailbox, in a child that became the mail's owner.
 * Trusts: the configuration and the journal directory, not the journals.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <dirent.h>

#include "base/io.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "daemon/enter.h"
#include "daemon/log.h"
#include "daemon/shared.h"
#include "storage/journal.h"
#include "storage/lock.h"
#include "storage/restore.h"

/* One journal, and where it is. */
struct left {
	const struct settings *settings;
	int dir;
	const char *name;
	int fd;
	struct journal journal;
	uid_t uid;
	gid_t gid;
};

static int complain(int code, const char *what, const char *name)
{
	const int error = errno;
	cli_complain("cannot %s %s: %s%s", what, name, strerror(error), cli_needs_root(error));
	return code;
}

/* ---- one journal ---- */

static int open_left(struct left *l)
{
	struct why why;
	l->fd = openat(l->dir, l->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (l->fd < 0)
		return complain(CLI_IO, "open", l->name);
	if (flock(l->fd, LOCK_EX | LOCK_NB) != 0) {
		cli_complain("%s is in use: a session is updating that mailbox; try later", l->name);
		return CLI_TEMPORARY;
	}
	if (!lock_is_called(l->dir, l->fd, l->name)) {
		cli_complain("%s has another name by now, or is gone; list again", l->name);
		return CLI_TEMPORARY;
	}
	if (journal_read(&l->journal, l->fd, &why) != 0) {
		cli_complain("%s", why.text);
		return CLI_IO;
	}
	if (l->journal.state == JOURNAL_EMPTY || l->journal.state == JOURNAL_TORN)
		return CLI_OK;
	if (journal_owner(l->name, l->journal.path, &l->uid, &l->gid) != 0) {
		cli_complain("%s is not the journal of %s, which it names; it may be forged", l->name, l->journal.path);
		return CLI_DATA;
	}
	return CLI_OK;
}

static void close_left(struct left *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

static int put_out(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	const int *fd = context;
	(void)at;
	return io_write_all(*fd, octets, len) != 0 ? why_errno(why_r, errno, "write") : 0;
}

/* The kept mail, as it is in the journal, to fd. */
static int copy_kept(const struct left *l, int fd)
{
	static char buffer[JOURNAL_BUFFER];
	struct why why;
	if (journal_kept(&l->journal, buffer, put_out, &fd, &why) == 0)
		return CLI_OK;
	cli_complain("%s", why.text);
	return CLI_IO;
}

static int remove_left(const struct left *l)
{
	if (unlinkat(l->dir, l->name, 0) != 0 || fsync(l->dir) != 0)
		return complain(CLI_IO, "remove", l->name);
	return CLI_OK;
}

/* ---- the actions ---- */

static int show(struct left *l)
{
	return copy_kept(l, STDOUT_FILENO);
}

static void notice(void *context, enum notice weight, const char *text)
{
	(void)context, (void)weight;
	cli_complain("%s", text);
}

/* In a child, which becomes the owner. */
static int put_back_as_owner(const struct left *l, int kept)
{
	struct maildrop_place place = { .format = MAILDROP_MBOX };
	struct entry e = NO_ENTRY;
	struct why why;
	size_t appended = 0;
	memcpy(place.path, l->journal.path, sizeof place.path);
	const struct entrant who = { .settings = l->settings, .place = &place, .uid = l->uid, .gid = l->gid, .user = "", .peer = "postern recover",
	                             .watch = -1, .notice = notice };
	int r = enter_maildrop(&e, &who, &why);
	if (r == 0)
		r = mbox_put_back(e.drop, kept, &appended, &why);
	leave_maildrop(&e);
	if (r != 0) {
		cli_complain("%s", why.text);
		return why.reason == REASON_MAILDROP_LOCKED || why.reason == REASON_MAILDROP_BUSY || why.reason == REASON_MAILDROP_DELIVERY ? CLI_TEMPORARY : CLI_IO;
	}
	show_printable(stdout, place.path);
	(void)printf(": %zu message%s put back\n", appended, appended == 1 ? "" : "s");
	return fflush(stdout) == 0 ? CLI_OK : CLI_IO;
}

static int put_back(struct left *l)
{
	int status = 0;
	int kept = open(l->settings->journal_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (kept < 0)
		return complain(CLI_CANNOT_CREATE, "make a file in", l->settings->journal_directory);
	int result = copy_kept(l, kept);
	if (result == CLI_OK) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(put_back_as_owner(l, kept));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			result = complain(CLI_TEMPORARY, "fork for", l->name);
		else
			result = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_IO;
	}
	(void)close(kept);
	return result == CLI_OK ? remove_left(l) : result;
}

static int with_journal(struct left *l, const char *action)
{
	const bool discard = strcmp(action, "discard") == 0;
	if (strchr(l->name, '/') != NULL) {
		cli_complain("\"%s\" is no name of the list", l->name);
		return CLI_USAGE;
	}
	int result = open_left(l);
	if (result == CLI_OK && l->journal.state == JOURNAL_WHOLE && strcmp(action, "show") != 0) {
		cli_complain("%s is pending: the next login, or a start of posternd, finishes that update by itself. Until then the mailbox is half "
		             "rewritten, and this is the only whole copy", l->name);
		return CLI_NO;
	}
	if (discard && (result == CLI_OK || result == CLI_DATA))
		return remove_left(l);
	if (result != CLI_OK)
		return result;
	if (l->journal.state == JOURNAL_EMPTY || l->journal.state == JOURNAL_TORN) {
		cli_complain("%s keeps nothing: the crash came before anything was done to the mailbox", l->name);
		return CLI_NO;
	}
	return strcmp(action, "show") == 0 ? show(l) : put_back(l);
}

static void print_left(struct left *l)
{
	static const char *const states[] = {
		[JOURNAL_EMPTY] = "empty", [JOURNAL_TORN] = "torn, nothing was done", [JOURNAL_WHOLE] = "pending",
		[JOURNAL_SET_ASIDE] = "set aside",
	};
	struct stat st;
	char when[SHOW_TIME];
	if (open_left(l) == CLI_OK && fstat(l->fd, &st) == 0) {
		/* What a journal says is its writer's, the mail's owner. */
		(void)printf("%s\n  %s since %s: %ju octets of mail for ", l->name, states[l->journal.state],
		             show_time((int64_t)st.st_mtim.tv_sec * 1000, when), (uintmax_t)l->journal.plan.kept);
		show_printable(stdout, l->journal.path[0] != '\0' ? l->journal.path : "an unknown mailbox");
		(void)putchar('\n');
	}
	close_left(l);
}

/* A session marks a journal, and only root can rename it: from now on it has the name that it keeps. */
static void name_aside(struct left *l)
{
	l->fd = openat(l->dir, l->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (l->fd >= 0 && strstr(l->name, JOURNAL_ASIDE) == NULL && flock(l->fd, LOCK_EX | LOCK_NB) == 0 &&
	    lock_is_called(l->dir, l->fd, l->name) && journal_is_aside(l->fd) > 0 && journal_move_aside(l->dir, l->name) != 0)
		(void)complain(CLI_IO, "rename", l->name);
	close_left(l);
}

/* Each journal that is not empty. Returns how many, or -1. */
static int each_left(struct left *l, void (*act)(struct left *))
{
	const struct dirent *entry;
	struct stat st;
	int count = 0, copy = dup(l->dir);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	if (d == NULL) {
		if (copy >= 0)
			(void)close(copy);
		return -complain(1, "read", l->settings->journal_directory);
	}
	rewinddir(d);
	while ((entry = readdir(d)) != NULL) {
		if (fstatat(l->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
			continue;
		l->name = entry->d_name;
		act(l);
		count++;
	}
	(void)closedir(d);
	return count;
}

static int list(struct left *l)
{
	int count = each_left(l, print_left);
	if (count < 0)
		return CLI_IO;
	if (count == 0)
		(void)puts("no update was interrupted");
	return CLI_OK;
}

static bool is_action(const char *text)
{
	return strcmp(text, "show") == 0 || strcmp(text, "put-back") == 0 || strcmp(text, "discard") == 0;
}

int cli_recover(int argc, char **argv)
{
	static struct settings settings;
	static struct left l = { .settings = &settings, .fd = -1 };
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *config = DEFAULT_CONFIG;
	char problem[SHARED_PROBLEM_MAX];
	int option;
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) == 'c')
		config = optarg;
	if (option == 'h')
		return cli_help("recover");
	const int left = argc - optind;
	if (option != -1 || !(left == 0 || (left == 2 && is_action(argv[optind])))) {
		return cli_usage("recover");
	}
	if (cli_settings(config, &settings) != CLI_OK)
		return CLI_CONFIG;
	if (shared_find_owner(&settings, NULL, problem) != 0) {
		cli_complain("%s", problem);
		return CLI_CONFIG;
	}
	log_open(LOG_TARGET_STDERR, LOG_WARNING, true);
	l.dir = open(settings.journal_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.dir < 0)
		return complain(errno == ENOENT ? CLI_CONFIG : CLI_IO, "open", settings.journal_directory);
	int result = each_left(&l, name_aside) < 0 ? CLI_IO : CLI_OK;
	l.name = left == 2 ? argv[optind + 1] : NULL;
	if (result == CLI_OK)
		result = left == 2 ? with_journal(&l, argv[optind]) : list(&l);
	close_left(&l);
	(void)close(l.dir);
	return result;
}
