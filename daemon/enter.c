/*
 * enter.c - the way into a user's maildrop: the locks that only root can take, then the owner's rights, then the mail.
 * Runs in: keeper and recovery, as root when it begins (or as the one user that is served), as the mail's owner afterwards.
 * Trusts: the configuration and the user database.
 */
#include "daemon/enter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/sandbox.h"
#include "daemon/shared.h"
#include "daemon/shared_dotlock.h"
#include "storage/journal.h"
#include "storage/lock.h"

/* ---- what stays open ---- */

/* /proc/locks and /proc/PID/comm: who holds a lock. Whose memory and environment it may read there, the kernel decides anew. */
static const struct sandbox_path processes = { "/proc", SANDBOX_LOOK };

static void confine(const struct maildrop_place *place, const char *told_list)
{
	char added[PATH_MAX + 8], current[PATH_MAX + 8], told[PATH_MAX + TOLD_LIST_NAME_MAX];
	const struct sandbox_path mbox[] = { { place->path, SANDBOX_MBOX }, processes };
	const struct sandbox_path maildir[] = { { added, SANDBOX_MAIL_DIRECTORY }, { current, SANDBOX_MAIL_DIRECTORY }, { told, SANDBOX_READ } };
	(void)snprintf(added, sizeof added, "%s/new", place->path);
	(void)snprintf(current, sizeof current, "%s/cur", place->path);
	(void)snprintf(told, sizeof told, "%s/%s", place->path, told_list != NULL ? told_list : "");
	const bool is_mbox = place->format == MAILDROP_MBOX;
	sandbox_enter(SANDBOX_KEEPER, is_mbox ? mbox : maildir, is_mbox || told_list == NULL ? 2 : 3);
}

static void confine_helper(const struct maildrop_place *place)
{
	char spool[sizeof place->path];
	const struct sandbox_path paths[] = { { spool, SANDBOX_SPOOL }, processes };
	(void)snprintf(spool, sizeof spool, "%s", place->path);
	char *slash = strrchr(spool, '/');
	if (slash != NULL)
		slash[slash == spool] = '\0';
	sandbox_enter(SANDBOX_DOTLOCK, paths, 2);
}

/*
 * A process beside this one for the one thing that is more than the mail: the dotlock, in a directory, often with its group.
 * Our end of the way to it, or -1 and errno.
 */
static int start_dotlock_helper(const struct entrant *who, gid_t group)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	pid_t pid = fork();
	if (pid < 0) {
		const int error = errno;
		(void)close(pair[0]);
		(void)close(pair[1]);
		errno = error;
		return -1;
	}
	if (pid == 0) {
		const int kept[] = { pair[1], log_descriptor() };
		if (who->shed != NULL)
			who->shed(who->context);
		log_role("dotlock helper");
		keep_only(kept, sizeof kept / sizeof kept[0]);
		become_owner(who->uid, group);
		if (who->confined)
			confine_helper(who->place);
		dotlock_serve(pair[1], who->place);
		leave(EXIT_GOOD);
	}
	(void)close(pair[1]);
	return pair[0];
}

/* Does the mail's owner need a helper to make the dotlock? With which group, or -1. */
static gid_t helper_group(const struct entrant *who)
{
	if (!settings_take_dotlocks(who->settings))
		return (gid_t)-1;
	const gid_t group = geteuid() == 0 ? dotlock_helper_group(who->place, who->uid, who->gid) : (gid_t)-1;
	/*
	 * Whoever may remove one file of a directory by Landlock may remove all that its uid may. So a confined keeper
	 * makes no lock file itself, where the directory is its owner's either: other mailboxes of that uid may lie there.
	 */
	return group == (gid_t)-1 && who->confined ? who->gid : group;
}

/* ---- the session lock ---- */

/* What the holder wrote into the lock file. */
static void read_holder(struct entry *e, int fd)
{
	struct session_holder holder;
	e->holder_known = HOLDER_UNKNOWN;
	if (session_lock_read_holder(fd, &holder) != 0)
		return;
	e->holder_known = HOLDER_SILENT;
	e->holder = (struct bell_state){ .since = holder.since };
	(void)snprintf(e->holder.peer, sizeof e->holder.peer, "%.*s", (int)sizeof e->holder.peer - 1, holder.peer);
}

/* Somebody has it: who, and does that session yield? 0 with the lock, or an errno. */
static int meet_holder(struct entry *e, const struct entrant *who, int fd)
{
	const enum bell_wish wish = who->on_locked == ON_LOCKED_TAKE_OVER ? BELL_TAKE_OVER : BELL_ASK;
	struct bell_state state;
	read_holder(e, fd);
	if (bell_ring(fd, who->uid, wish, who->peer, &state) != 0)
		return flock_patiently(fd, 0, -1); /* it may have ended meanwhile */
	e->holder_known = HOLDER_ANSWERED;
	e->holder = state;
	e->took_over = state.yields != 0;
	return e->took_over ? flock_patiently(fd, SESSION_LOCK_WAIT_MS, who->watch) : EWOULDBLOCK;
}

static int lock_session(struct entry *e, const struct entrant *who, struct why *why_r)
{
	const long long wait_ms = who->on_locked == ON_LOCKED_WAIT ? 1000LL * who->settings->on_locked.wait_seconds : SESSION_LOCK_WAIT_MS;
	int fd;
	if (session_lock_open(who->settings->lock_directory, who->place, who->uid, &fd, why_r) != 0)
		return -1;
	int err = flock_patiently(fd, wait_ms, who->watch);
	if (err == EWOULDBLOCK)
		err = meet_holder(e, who, fd);
	if (err != 0) {
		(void)close(fd);
		if (err == EWOULDBLOCK)
			return why_set(why_r, REASON_MAILDROP_LOCKED, 0, "another session holds %s", who->place->path);
		return why_set(why_r, REASON_MAILDROP_IO, err, "lock the maildrop %s", who->place->path);
	}
	session_lock_write_holder(fd, who->peer, who->user);
	e->lock = fd;
	e->bell = bell_hang(fd);
	return 0;
}

/* ---- the maildrop ---- */

/*
 * What an mbox needs of root. Without a journal mail can be read, and all of it removed: why not a part, UPDATE says. But
 * nobody is to see a mailbox that a journal says is half rewritten.
 */
static int prepare_mbox(struct entry *e, const struct entrant *who, struct maildrop_options *options, struct why *why_r)
{
	struct why why;
	if (journal_open(who->settings->journal_directory, who->place, who->uid, who->gid, &e->journal, &why) != 0) {
		if (why.reason == REASON_MAILDROP_LOCKED || why.reason == REASON_UPDATE_UNFINISHED) {
			*why_r = why;
			return -1;
		}
		options->journal_errno = why.err != 0 ? why.err : EIO;
		log_line(LOG_ERR, "%s", why.text);
	}
	options->journal = e->journal;
	gid_t group = helper_group(who);
	if (group != (gid_t)-1 && (e->dotlock_helper = start_dotlock_helper(who, group)) < 0)
		return why_set(why_r, REASON_MAILDROP_IO, errno, "start the helper that makes the lock file");
	if (group == (gid_t)-1 && !who->confined)
		e->dotlock_helper = shared_dotlock_for(who->place);
	options->dotlock_helper = e->dotlock_helper;
	return 0;
}

/* Without an index the login reads everything, and nobody is worse off. */
static void prepare_index(struct entry *e, const struct entrant *who, struct maildrop_options *options)
{
	struct why why;
	if (index_open(who->settings->index_directory, who->place, who->uid, who->gid, &e->index, &why) != 0)
		log_line(LOG_DEBUG, "no index: %s", why.text);
	/* That session's gate may still be sending a list out of it. */
	e->index.frozen = e->took_over;
	options->index = &e->index;
}

int enter_maildrop(struct entry *e, const struct entrant *who, struct why *why_r)
{
	const struct settings *settings = who->settings;
	struct maildrop_options options = { .owner = who->uid, .lock_count = settings->mbox_lock_count, .journal = -1, .dotlock_helper = -1,
		.told = settings->unique_ids, .network_mbox = settings->network_mbox != 0, .unique_ids_may_change = settings->unique_id_changes != 0, .notice = who->notice, .context = who->context };
	memcpy(options.locks, settings->mbox_locks, sizeof options.locks);
	if (geteuid() != 0 && geteuid() != who->uid)
		return why_set(why_r, REASON_AUTH_SETUP, 0, "posternd was not started as root and serves uid %lu only, not uid %lu",
		               (unsigned long)geteuid(), (unsigned long)who->uid);
	const bool shared = shared_serves(settings, who->uid);
	/* Locks and journals are that user's own, too. A keeper for several connections is him already, and stays confined as it is. */
	if (shared && geteuid() == 0)
		become_owner(who->uid, who->gid);
	if (lock_session(e, who, why_r) != 0)
		return -1;
	if (who->place->format == MAILDROP_MBOX && prepare_mbox(e, who, &options, why_r) != 0)
		return -1;
	prepare_index(e, who, &options);
	if (!shared) {
		if (who->shed != NULL)
			who->shed(who->context);
		become_owner(who->uid, who->gid);
		e->rights_gone = true;
	}
	if (who->confined)
		confine(who->place, told_list_name(options.told.by));
	return maildrop_open(who->place, &options, &e->drop, why_r);
}

int notice_priority(enum notice weight)
{
	static const int priority[] = { [NOTICE_DONE] = LOG_NOTICE, [NOTICE_ODD] = LOG_WARNING, [NOTICE_CRITICAL] = LOG_CRIT };
	return priority[weight];
}

void leave_maildrop(struct entry *e)
{
	int *const fds[] = { &e->dotlock_helper, &e->journal, &e->index.read_fd, &e->index.write_fd, &e->lock };
	maildrop_close(&e->drop);
	/* Before the lock: whoever gets the lock hangs his own. */
	bell_take_down(&e->bell);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}
