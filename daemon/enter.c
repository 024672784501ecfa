/*
 * enter.c - the way into a user's maildrop: the locks that only root can take, then the owner's rights, then the mail.
 * Runs in: keeper and recovery, as root when it begins (or as the one user that is served), as the mail's owner afterwards.
 * Trusts: the configuration and the user database.
 */
#include "daemon/enter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "storage/journal.h"
#include "storage/lock.h"

/* A process beside this one for the one thing that needs the spool directory's group: the dotlock. */
static int start_dotlock_helper(const struct maildrop_place *place, uid_t uid, gid_t group)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	pid_t pid = fork();
	if (pid < 0)
		fatal("fork");
	if (pid == 0) {
		const int kept[] = { pair[1], log_descriptor() };
		log_role("dotlock helper");
		keep_only(kept, sizeof kept / sizeof kept[0]);
		become_owner(uid, group);
		dotlock_serve(pair[1], place);
		leave(EXIT_GOOD);
	}
	(void)close(pair[1]);
	return pair[0];
}

/* What an mbox needs of root. Without a journal mail can be read, and removed from the end: why not more, UPDATE says. */
static int prepare_mbox(struct entry *e, const struct settings *settings, const struct maildrop_place *place, uid_t uid, gid_t gid,
                        struct maildrop_options *options, struct why *why_r)
{
	struct why why;
	if (journal_open(settings->journal_directory, place, uid, gid, &e->journal, &why) != 0) {
		if (why.reason == REASON_MAILDROP_LOCKED) {
			*why_r = why;
			return -1;
		}
		options->journal_errno = why.err != 0 ? why.err : EIO;
		log_line(LOG_ERR, "%s", why.text);
	}
	options->journal = e->journal;
	gid_t group = geteuid() == 0 ? dotlock_helper_group(place, uid, gid) : (gid_t)-1;
	if (group != (gid_t)-1)
		e->dotlock_helper = start_dotlock_helper(place, uid, group);
	options->dotlock_helper = e->dotlock_helper;
	return 0;
}

int enter_maildrop(struct entry *e, const struct settings *settings, const struct maildrop_place *place, uid_t uid, gid_t gid,
                   const char *holder, void (*notice)(void *, enum notice, const char *), void *context, struct why *why_r)
{
	struct maildrop_options options = { .owner = uid, .lock_count = settings->mbox_lock_count, .journal = -1, .dotlock_helper = -1,
		.network_mbox = settings->network_mbox != 0, .notice = notice, .context = context };
	memcpy(options.locks, settings->mbox_locks, sizeof options.locks);
	if (geteuid() != 0 && geteuid() != uid)
		return why_set(why_r, REASON_AUTH_SETUP, 0, "posternd was not started as root and serves uid %lu only, not uid %lu",
		               (unsigned long)geteuid(), (unsigned long)uid);
	if (session_lock(settings->lock_directory, place, holder, &e->lock, why_r) != 0)
		return -1;
	if (place->format == MAILDROP_MBOX && prepare_mbox(e, settings, place, uid, gid, &options, why_r) != 0)
		return -1;
	become_owner(uid, gid);
	e->rights_gone = true;
	return maildrop_open(place, &options, &e->drop, why_r);
}

int notice_priority(enum notice weight)
{
	static const int priority[] = { [NOTICE_DONE] = LOG_NOTICE, [NOTICE_ODD] = LOG_WARNING, [NOTICE_CRITICAL] = LOG_CRIT };
	return priority[weight];
}

void leave_maildrop(struct entry *e)
{
	int *const fds[] = { &e->dotlock_helper, &e->journal, &e->lock };
	maildrop_close(&e->drop);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}
