/*
 * pam_run.c - one attempt with the PAM helper: start it, ask it, end it.
 * Runs in: keeper, as root. Trusts: nothing that the helper answers, and not that it does.
 *
 * Whatever the modules in there do, this returns within the time given, and leaves
 * no process, no zombie and no descriptor behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "auth/pam_parts.h"

enum {
	MS_PER_S = 1000,
	NS_PER_MS = 1000000,
	EXIT_GRACE_MS = 1000,  /* for a helper that has answered to end by itself */
	LOOK_MS = 20,          /* how often to look whether it has ended */
	GIVEN_UP = 2,
};

/* It is a zombie by now, or somebody else has reaped it. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

/*
 * Wait until the channel can be read or is at its end, or the helper has ended. The channel
 * alone does not tell: a child that a module has left behind holds it too. 1, 0 when the
 * deadline has passed, GIVEN_UP, -1 with errno.
 */
static int wait_for(int channel, pid_t pid, int watch, long long deadline)
{
	for (;;) {
		long long left = deadline - now_ms();
		int slice = left < LOOK_MS ? (left > 0 ? (int)left : 0) : LOOK_MS;
		struct pollfd fds[] = { { .fd = channel, .events = POLLIN }, { .fd = watch, .events = POLLIN } };
		int n = poll(fds, 2, slice);
		if (n < 0 && errno != EINTR)
			return n;
		if (n > 0)
			return fds[0].revents != 0 ? 1 : GIVEN_UP;
		if (has_ended(pid))
			return 1;
		if (left <= 0)
			return 0;
	}
}

/* A clean start: descriptors 0 to 3 only, a session (so a process group) of its own, no signal blocked or ignored. */
static int set_attributes(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *actions, int channel)
{
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	err = err != 0 ? err : posix_spawnattr_setsigmask(attributes, &none);
	err = err != 0 ? err : posix_spawnattr_setsigdefault(attributes, &all);
	/* the channel first: its number may be one of 0 to 2 */
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(actions, channel, PAM_WIRE_FD);
	err = err != 0 ? err : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(actions, 0, 1);
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(actions, 0, 2);
	return err != 0 ? err : posix_spawn_file_actions_addclosefrom_np(actions, PAM_WIRE_FD + 1);
}

/* 0 and *pid_r, or an errno. */
static int start(const char *helper, int channel, pid_t *pid_r)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char name[] = "posternd-pam";
	static char *const environment[] = { path, NULL };
	static char *const arguments[] = { name, NULL };
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;

	int err = posix_spawnattr_init(&attributes);
	if (err != 0)
		return err;
	err = posix_spawn_file_actions_init(&actions);
	if (err == 0) {
		err = set_attributes(&attributes, &actions, channel);
		if (err == 0)
			err = posix_spawn(pid_r, helper, &actions, &attributes, arguments, environment);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attributes);
	return err;
}

/* Kill the helper and its children, and reap it. Returns its wait status; -1 when somebody else has reaped it. */
static int end(pid_t pid)
{
	int status = -1;
	(void)kill(-pid, SIGKILL);  /* before it is reaped, the number is still its own */
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* The result as it came. 1 received; 0 the deadline has passed; GIVEN_UP; -1 the helper ended without a word; -2 nonsense. */
static int receive(int channel, pid_t pid, int watch, uint64_t nonce, long long deadline, struct pam_wire_result *result_r)
{
	int ready = wait_for(channel, pid, watch, deadline);
	if (ready != 1)
		return ready;
	ssize_t n = recv(channel, result_r, sizeof *result_r, MSG_DONTWAIT | MSG_TRUNC);
	if (n <= 0)
		return -1;
	if (n != (ssize_t)sizeof *result_r || result_r->magic != PAM_WIRE_MAGIC || result_r->nonce != nonce)
		return -2;
	if (result_r->stage >= PAM_STAGE_COUNT || memchr(result_r->home, '\0', sizeof result_r->home) == NULL
	    || memchr(result_r->name, '\0', sizeof result_r->name) == NULL)
		return -2;
	result_r->text[sizeof result_r->text - 1] = '\0';
	return 1;
}

static int died(int status, struct why *why_r)
{
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "a PAM module crashed: the helper ended of signal %d (%s)",
		               WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (status >= 0 && WIFEXITED(status))
		return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "a PAM module ended the helper: exit status %d and no answer",
		               WEXITSTATUS(status));
	return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "the PAM helper ended without an answer");
}

int pam_helper_ask(const struct auth_settings *settings, struct pam_wire_request *request, struct pam_wire_result *result_r,
                   struct why *why_r)
{
	int pair[2] = { -1, -1 };
	const char *helper = settings->pam_helper;
	unsigned seconds = settings->helper_seconds != 0 ? settings->helper_seconds : AUTH_HELPER_SECONDS;
	long long deadline = now_ms() + (long long)seconds * MS_PER_S;
	int result = -1;
	pid_t pid;

	request->magic = PAM_WIRE_MAGIC;
	request->seconds = seconds;
	request->keeper = getpid();
	if (getrandom(&request->nonce, sizeof request->nonce, 0) != (ssize_t)sizeof request->nonce
	    || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return why_set(why_r, REASON_AUTH_TEMPORARY, errno, "make a channel to the PAM helper");
	int err = start(helper, pair[1], &pid);
	if (err != 0) {
		bool passes = err == EAGAIN || err == ENOMEM || err == EMFILE || err == ENFILE;
		(void)why_set(why_r, passes ? REASON_AUTH_TEMPORARY : REASON_AUTH_SETUP, err, "start the PAM helper %.150s", helper);
		goto done;
	}
	(void)close(pair[1]);
	pair[1] = -1;
	/* a helper that is gone already shows in receive() */
	(void)send(pair[0], request, sizeof *request, MSG_NOSIGNAL);
	int got = receive(pair[0], pid, settings->watch != NULL ? *settings->watch : -1, request->nonce, deadline, result_r);
	if (got == 1)
		(void)wait_for(pair[0], pid, -1, now_ms() + EXIT_GRACE_MS);
	int status = end(pid);
	if (got == 0)
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "PAM gave no answer in %u s: a module hangs, and was ended", seconds);
	else if (got == GIVEN_UP)
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "given up: the server stops");
	else if (got == -1)
		(void)died(status, why_r);
	else if (got == -2)
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "the PAM helper's answer is not in its format");
	else
		result = 0;
done:
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			(void)close(pair[i]);
	return result;
}
