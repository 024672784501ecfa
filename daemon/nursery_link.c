/*
 * nursery_link.c - the master's side of the gate nursery and of the signer beside it.
 * Runs in: master. Trusts: of their reports no more than what a dead worker could cause too.
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/account.h"
#include "base/clock.h"
#include "base/io.h"
#include "daemon/rpc.h"

/* Whom gate_user_find() found last; uid 0: nobody yet. */
static struct {
	char name[sizeof ((struct settings *)NULL)->gate_user];
	uid_t uid;
	gid_t gid;
} found;

/* 0 with found, or -1 and a sentence. */
static int look_up(const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX])
{
	struct auth_settings auth;
	struct identity account;
	struct why why;
	const char *name = settings->gate_user;
	settings_for_auth(settings, program->pam_helper, &auth);
	enum auth_verdict verdict = account_by_name(&auth, name, &account, &why);
	if (verdict == AUTH_ACCEPTED && account.uid != 0) {
		memcpy(found.name, name, sizeof found.name);
		found.uid = account.uid;
		found.gid = account.gid;
		return 0;
	}
	(void)snprintf(problem, NURSERY_TEXT_MAX, "gate_user = %s: %s; make one with: useradd --system --no-create-home --shell /usr/sbin/nologin %s",
	               name, verdict == AUTH_ACCEPTED ? "it must not be root" : why.text, verdict == AUTH_ACCEPTED ? "postern" : name);
	return -1;
}

int gate_user_find(const struct nursery_program *program, const struct settings *settings, uid_t *uid_r, gid_t *gid_r,
                   char problem[NURSERY_TEXT_MAX])
{
	*uid_r = geteuid();
	*gid_r = getegid();
	if (geteuid() != 0)
		return 0;
	const bool known = found.uid != 0 && strcmp(found.name, settings->gate_user) == 0;
	if (!known && look_up(program, settings, problem) != 0)
		return -1;
	*uid_r = found.uid;
	*gid_r = found.gid;
	return 0;
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
	    /* Restartable sequences, which nothing here uses, would be a page that the kernel writes to in each gate. */
	    close_range(NURSERY_ORDERS_FD + 1, UINT_MAX, 0) == 0 && setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) == 0)
		(void)execl(program, program, (char *)NULL);
	_exit(127);
}

/* Start a program with its end of a new pair of sockets; ours does not block: one that hangs must not hang the master. */
static int start_program(const char *program, int orders, pid_t *pid_r, int *channel_r)
{
	int pair[2] = { -1, -1 };
	pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ? fork() : -1;
	if (pid == 0)
		run(program, pair[1], orders);
	const int error = errno;
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (pid < 0) {
		if (pair[0] >= 0)
			(void)close(pair[0]);
		errno = error;
		return -1;
	}
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*pid_r = pid;
	*channel_r = pair[0];
	return 0;
}

int nursery_start(struct nursery *n, const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX])
{
	int file = -1;
	*n = NO_NURSERY;
	struct nursery_orders *orders = calloc(1, sizeof *orders);
	if (orders == NULL) {
		(void)snprintf(problem, NURSERY_TEXT_MAX, "cannot start %s: no memory", program->gate);
		return -1;
	}
	orders->settings = *settings;
	orders->background = program->background;
	if (gate_user_find(program, settings, &orders->uid, &orders->gid, problem) != 0) {
		free(orders);
		return -1;
	}
	file = io_sealed("orders", orders, sizeof *orders);
	free(orders);
	int r = file >= 0 ? start_program(program->gate, file, &n->pid, &n->channel) : -1;
	if (r == 0 && settings->certificate[0] != '\0')
		r = start_program(program->signer, file, &n->signer_pid, &n->signer);
	if (r != 0) {
		(void)snprintf(problem, NURSERY_TEXT_MAX, "cannot start %s: %s", n->pid == 0 ? program->gate : program->signer, strerror(errno));
		nursery_dismiss(n);
	}
	if (file >= 0)
		(void)close(file);
	return r;
}

static int hear(int channel, struct nursery_report *report_r)
{
	int fd;
	ssize_t got = rpc_receive(channel, report_r, sizeof *report_r, &fd);
	if (fd >= 0)
		(void)close(fd);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got != (ssize_t)sizeof *report_r)
		return -1;
	report_r->text[sizeof report_r->text - 1] = '\0';
	return 1;
}

int nursery_hear(const struct nursery *n, struct nursery_report *report_r)
{
	return hear(n->channel, report_r);
}

/* One program that comes up: READY is noted once. -1 and a sentence when it will not. */
static int hear_half(int channel, const char *gone, bool *ready, uint8_t certificates[CERTIFICATES_MAX][SIGN_CERTIFICATE], struct certificate_seen *seen, char problem[NURSERY_TEXT_MAX])
{
	struct nursery_report report;
	int r = *ready ? 0 : hear(channel, &report);
	if (r > 0 && report.verb == NURSERY_READY) {
		*ready = true;
		memcpy(certificates, report.certificates, sizeof report.certificates);
		if (report.certificate_ends != 0) {
			seen->ends = report.certificate_ends;
			seen->ending = report.ending;
		}
		if (report.text[0] != '\0')
			(void)snprintf(seen->doubt, sizeof seen->doubt, "%s", report.text);
	} else if (r != 0) {
		(void)snprintf(problem, NURSERY_TEXT_MAX, "%s", r > 0 && report.verb == NURSERY_FAILED ? report.text : gone);
		return -1;
	}
	return 0;
}

int nursery_coming(struct nursery *n, char problem[NURSERY_TEXT_MAX])
{
	/* Both read the certificate's file and say the same about it; what only the signer knows is about the key. */
	if (hear_half(n->channel, "the gate program ended before it was ready; is posternd-gate beside posternd, whole, and of the same build? After an upgrade restart posternd", &n->ready, n->certificates,
	              &n->seen, problem) != 0)
		return -1;
	if (n->signer < 0)
		return n->ready;
	if (hear_half(n->signer, "the program that holds the TLS key ended before it was ready; is posternd-sign beside posternd, whole, and of the same build? After an upgrade restart posternd",
	              &n->signer_ready, n->signer_certificates, &n->seen, problem) != 0)
		return -1;
	if (!n->ready || !n->signer_ready)
		return 0;
	if (memcmp(n->certificates, n->signer_certificates, sizeof n->certificates) == 0)
		return 1;
	(void)snprintf(problem, NURSERY_TEXT_MAX, "a certificate's file was replaced while it was read; try again");
	return -1;
}

/* A child that has been waited for is no more, and its number may be another's. */
static void kill_child(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	if (pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		(void)kill(pid, SIGKILL);
}

void nursery_abandon(struct nursery *n)
{
	kill_child(n->pid);
	kill_child(n->signer_pid);
	nursery_dismiss(n);
}

void nursery_dismiss(struct nursery *n)
{
	if (n->channel >= 0)
		(void)close(n->channel);
	if (n->signer >= 0)
		(void)close(n->signer);
	*n = NO_NURSERY;
}

int nursery_try(const struct nursery_program *program, const struct settings *settings, struct certificate_seen *seen_r, char problem[NURSERY_TEXT_MAX])
{
	struct nursery n;
	const long long deadline = now_ms() + NURSERY_COMING_MS;
	int r = 0;
	if (nursery_start(&n, program, settings, problem) != 0)
		return -1;
	const pid_t pids[] = { n.pid, n.signer_pid };
	for (long long left; r == 0 && (left = deadline - now_ms()) > 0; r = nursery_coming(&n, problem)) {
		struct pollfd fds[] = { { .fd = n.ready ? -1 : n.channel, .events = POLLIN }, { .fd = n.signer_ready ? -1 : n.signer, .events = POLLIN } };
		(void)poll(fds, 2, (int)left);
	}
	if (r == 0)
		(void)snprintf(problem, NURSERY_TEXT_MAX, "%s", NURSERY_SLOW);
	*seen_r = n.seen;
	nursery_abandon(&n);
	for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++)
		if (pids[i] > 0)
			(void)waitpid(pids[i], NULL, 0);
	return r > 0 ? 0 : -1;
}

bool certificate_is_old(const struct settings *settings, const struct certificate_seen *seen, int64_t now, char *text_r, size_t size)
{
	enum { DAY = 24 * 3600, DATE_MAX = 16 };
	const time_t end = (time_t)seen->ends;
	const int64_t left = seen->ends - now;
	const char *path = settings_path_at(settings->certificate, seen->ending), *then = settings->reread_seconds > 0 ? "" : ", then reload";
	char date[DATE_MAX] = "";
	struct tm tm;
	if (seen->ends == 0 || path == NULL || left >= (int64_t)CERTIFICATE_DAYS * DAY)
		return false;
	if (gmtime_r(&end, &tm) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d", &tm);
	if (left <= 0)
		(void)snprintf(text_r, size, "certificate %s has expired, on %s: mail programs refuse it; renew it%s", path, date, then);
	else
		(void)snprintf(text_r, size, "certificate %s ends on %s, in %jd day%s; renew it%s", path, date, (intmax_t)(left / DAY), left / DAY == 1 ? "" : "s", then);
	return true;
}
