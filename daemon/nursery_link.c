/*
 * nursery_link.c - the master's side of the gate nursery.
 * Runs in: master. Trusts: of a nursery's reports no more than what a dead worker could cause too.
 */
#include "daemon/nursery_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/account.h"
#include "daemon/rpc.h"

enum { TRY_MS = 10000 };

int gate_user_find(const struct nursery_program *program, const struct settings *settings, uid_t *uid_r, gid_t *gid_r,
                   char problem[NURSERY_TEXT_MAX])
{
	struct auth_settings auth;
	struct identity account;
	struct why why;
	const char *name = settings->gate_user;
	*uid_r = geteuid();
	*gid_r = getegid();
	if (geteuid() != 0)
		return 0;
	settings_for_auth(settings, program->pam_helper, &auth);
	enum auth_verdict verdict = account_by_name(&auth, name, &account, &why);
	if (verdict == AUTH_ACCEPTED && account.uid != 0) {
		*uid_r = account.uid;
		*gid_r = account.gid;
		return 0;
	}
	(void)snprintf(problem, NURSERY_TEXT_MAX, "gate_user = %s: %s; make one with: useradd --system --no-create-home --shell /usr/sbin/nologin postern",
	               name, verdict == AUTH_ACCEPTED ? "it must not be root" : why.text);
	return -1;
}

/* The orders as a file without a name, for the program to map. A descriptor, or -1 and errno. */
static int orders_descriptor(const struct nursery_orders *orders)
{
	int fd = memfd_create("orders", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, orders, sizeof *orders) == (ssize_t)sizeof *orders)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* In the child: put the two descriptors where the program looks for them, and nothing else. */
_Noreturn static void run(const char *program, int channel, int orders)
{
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of each other's way first. */
	int a = fcntl(channel, F_DUPFD, NURSERY_ORDERS_FD + 1), b = fcntl(orders, F_DUPFD, NURSERY_ORDERS_FD + 1);
	if (a >= 0 && b >= 0 && dup2(a, NURSERY_CHANNEL_FD) >= 0 && dup2(b, NURSERY_ORDERS_FD) >= 0 &&
	    close_range(NURSERY_ORDERS_FD + 1, UINT_MAX, 0) == 0)
		(void)execl(program, program, (char *)NULL);
	_exit(127);
}

int nursery_start(struct nursery *n, const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX])
{
	int pair[2] = { -1, -1 }, file = -1;
	*n = NO_NURSERY;
	struct nursery_orders *orders = calloc(1, sizeof *orders);
	if (orders == NULL) {
		(void)snprintf(problem, NURSERY_TEXT_MAX, "cannot start %s: no memory", program->gate);
		return -1;
	}
	orders->settings = *settings;
	if (gate_user_find(program, settings, &orders->uid, &orders->gid, problem) != 0) {
		free(orders);
		return -1;
	}
	file = orders_descriptor(orders);
	free(orders);
	pid_t pid = file >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ? fork() : -1;
	if (pid == 0)
		run(program->gate, pair[1], file);
	if (pid < 0)
		(void)snprintf(problem, NURSERY_TEXT_MAX, "cannot start %s: %s", program->gate, strerror(errno));
	if (file >= 0)
		(void)close(file);
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (pid < 0) {
		if (pair[0] >= 0)
			(void)close(pair[0]);
		return -1;
	}
	/* A nursery that hangs must not hang the master. */
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*n = (struct nursery){ .pid = pid, .channel = pair[0] };
	return 0;
}

int nursery_hear(const struct nursery *n, struct nursery_report *report_r)
{
	int fd;
	ssize_t got = rpc_receive(n->channel, report_r, sizeof *report_r, &fd);
	if (fd >= 0)
		(void)close(fd);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got != (ssize_t)sizeof *report_r)
		return -1;
	report_r->text[sizeof report_r->text - 1] = '\0';
	return 1;
}

void nursery_dismiss(struct nursery *n)
{
	if (n->channel >= 0)
		(void)close(n->channel);
	*n = NO_NURSERY;
}

int nursery_try(const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX])
{
	struct nursery n;
	struct nursery_report report = { .verb = 0 };
	if (nursery_start(&n, program, settings, problem) != 0)
		return -1;
	pid_t pid = n.pid;
	struct pollfd p = { .fd = n.channel, .events = POLLIN };
	int heard = poll(&p, 1, TRY_MS) > 0 ? nursery_hear(&n, &report) : -1;
	nursery_dismiss(&n);
	(void)waitpid(pid, NULL, 0);
	if (heard > 0 && report.verb == NURSERY_READY)
		return 0;
	(void)snprintf(problem, NURSERY_TEXT_MAX, "%.*s", NURSERY_TEXT_MAX - 1,
	               heard > 0 ? report.text : "the gate program did not answer; is posternd-gate damaged?");
	return -1;
}
