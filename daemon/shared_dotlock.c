/*
 * shared_dotlock.c - the dotlock helper of a shared worker: one process for all its sessions.
 * Runs in: keeper that is shared, and a child of it, as virtual_user. Trusts: the keeper, to say beside which mbox.
 *
 * A process of its own because a keeper that dies must not leave a lock file behind, for which deliveries would wait. It
 * learns of each session by a socket, whose end is the session's, or the keeper's.
 */
#include "daemon/shared_dotlock.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"
#include "daemon/sandbox.h"
#include "storage/lock.h"

static int channel = -1;

_Noreturn static void serve(const struct settings *settings, const char *root, int keeper)
{
	const struct sandbox_path paths[] = { { root, SANDBOX_SPOOL }, { "/proc", SANDBOX_LOOK } };
	const int kept[] = { keeper, log_descriptor() };
	struct maildrop_place place;
	int session;
	log_role("dotlock helper");
	keep_only(kept, sizeof kept / sizeof kept[0]);
	become_owner(settings->owner.uid, settings->owner.gid);
	sandbox_enter(SANDBOX_DOTLOCK, paths, 2);
	while (rpc_receive(keeper, &place, sizeof place, &session) == (ssize_t)sizeof place && session >= 0) {
		place.path[sizeof place.path - 1] = '\0';
		dotlock_serve(session, &place);
		explicit_bzero(&place, sizeof place);
		wipe_stack();
		(void)close(session);
	}
	leave(EXIT_GOOD);
}

void shared_dotlock_start(const struct settings *settings, const char *root)
{
	int pair[2];
	if (!settings_take_dotlocks(settings))
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	pid_t pid = fork();
	if (pid < 0)
		fatal("fork");
	if (pid == 0)
		serve(settings, root, pair[1]);
	(void)close(pair[1]);
	channel = pair[0];
}

int shared_dotlock_for(const struct maildrop_place *place)
{
	int pair[2];
	if (channel < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	if (rpc_send(channel, place, sizeof *place, pair[1]) != 0)
		fatal("the dotlock helper is gone");
	(void)close(pair[1]);
	return pair[0];
}
