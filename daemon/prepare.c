/*
 * prepare.c - what the master does once, before it serves: its signals, its limits and rights, the directories it needs.
 * Runs in: master, as root where started so. Trusts: the configuration.
 */
#include "daemon/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/process_limit.h"
#include "daemon/shared.h"

enum { DESCRIPTORS_SPARE = 64 };  /* besides two a worker: to it, and to its gate */

int prepare_signals(void)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		sigaddset(&set, taken[i]);
	worker_signals();
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		fatal("sigprocmask");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fatal("signalfd");
	return fd;
}

/* A directory of our own, where it is missing. */
static void make_directory(const char *name, const char *path, const char *without)
{
	char parent[PATH_MAX];
	(void)snprintf(parent, sizeof parent, "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash != NULL && slash != parent) {
		*slash = '\0';
		/* Users pass through it to history_socket, whatever our umask. */
		if (mkdir(parent, 0755) == 0)
			(void)chmod(parent, 0755);
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		log_line(LOG_ERR, "%s = %s: %s; until it is there, %s", name, path, strerror(errno), without);
}

void prepare_own_directories(const struct settings *settings)
{
	make_directory("lock_directory", settings->lock_directory, "nobody can log in");
	make_directory("journal_directory", settings->journal_directory, "only the newest messages of an mbox can be deleted");
	make_directory("index_directory", settings->index_directory, "each login reads all of a maildrop");
	make_directory("history_directory", settings->history_directory, "postern explain and postern log know nothing");
}

int prepare_directories(struct settings *settings, const char *pam_helper)
{
	char problem[SHARED_PROBLEM_MAX];
	prepare_own_directories(settings);
	int r = shared_find_owner(settings, pam_helper, problem);
	if (r == 0) {
		shared_claim_directories(settings);
		r = shared_try_owner(settings, true, problem);
	}
	if (r != 0)
		log_line(LOG_ERR, "%s", problem);
	return r;
}

void prepare_process(const struct settings *settings)
{
	struct rlimit files;
	char text[512];
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
		if (files.rlim_cur < 2 * settings->max + DESCRIPTORS_SPARE)
			log_line(LOG_WARNING, "the limit of %llu open files is too small for max = %llu sessions; raise it (LimitNOFILE= of the unit, ulimit -n), or lower max",
			         (unsigned long long)files.rlim_cur, (unsigned long long)settings->max);
	}
	if (process_limit_is_low(process_limit(), settings->max, text, sizeof text))
		log_line(LOG_WARNING, "%s", text);
	(void)umask(INSTRUMENTED ? 0 : 077);
	/* Gates of a nursery that died, and helpers, come to us when they end: no zombie stays. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	shrink_master();
	(void)prctl(PR_SET_DUMPABLE, INSTRUMENTED, 0, 0, 0);
	if (geteuid() != 0)
		log_line(LOG_NOTICE, "not started as root: everything runs as uid %lu, gates are kept from mail by the sandbox alone, and only "
		         "that uid's mail can be served", (unsigned long)geteuid());
}
