/*
 * master.c - configuration, listeners, accept, limits, signals, the loop. Of the nursery: master_nursery.c.
 * Runs in: master, as root where started so. Trusts: the configuration; nothing of a peer but its address.
 */
#include "daemon/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/admission.h"
#include "daemon/log.h"
#include "daemon/master_inside.h"
#include "daemon/prepare.h"
#include "daemon/privilege.h"
#include "daemon/recorder.h"
#include "daemon/recovery.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "daemon/shared.h"

enum {
	ACCEPTS_AT_ONCE = 64,        /* connections taken before anything else is looked at again */
	ACCEPT_PAUSE_MS = 100,       /* after accept(2) failed */
	SIGNALS_AT_ONCE = 4,
	HALTS_AT_ONCE = 64,          /* children that were stopped or go on */
	HALTS_PAUSE_MS = 100,        /* where there were as many */
	CHILDREN_MS = 2000,          /* for the last children, at the end */
	CHILDREN_LOOK_MS = 100,
};

/* What the service manager is told to show is the first of them (context: room for it); a settings_finding. */
static void log_finding(void *context, const char *file, unsigned line, const char *text)
{
	char *first = context, where[16] = "";
	if (line > 0)
		(void)snprintf(where, sizeof where, ":%u", line);
	log_line(LOG_ERR, "%s%s: %s", file, where, text);
	if (first[0] == '\0')
		(void)snprintf(first, MASTER_TROUBLE_MAX, "%s%s: %s", file, where, text);
}

static void check_listeners(const struct master *m)
{
	if (m->listeners.inherited)
		log_line(LOG_NOTICE, "the listening sockets come from the service manager; pop3 and pop3s in [listen] are not used");
	for (size_t i = 0; i < m->listeners.count; i++)
		if (m->listeners.list[i].tls && m->settings->certificate[0] == '\0')
			log_line(LOG_ERR, "a socket for TLS was handed over, but [tls] has no certificate: its clients will fail");
}

/* ---- connections ---- */

static void refuse(struct master *m, int connection, bool tls, const struct sockaddr_storage *peer, enum reply reply, const struct reply_args *args)
{
	char text[INET6_ADDRSTRLEN];
	(void)address_text(peer, text, sizeof text);
	refusals_add(&m->refusals, connection, tls, text, reply, args);
}

/* context: the master; a proxied_calls. */
static void admit(void *context, int connection, bool tls, const struct sockaddr_storage *peer)
{
	struct master *m = context;
	enum reply reply = REPLY_SERVER_FULL;
	struct reply_args args = { .n = { m->settings->max } };
	size_t open, victim;
	const long long now = now_ms();
	const enum admission admission = admission_decide(&m->pool.workers, m->settings, address_source(peer), randombytes_random(), now, &open, &victim);
	if (admission == ADMIT_EVICTING && pool_may_fork(&m->pool, now))
		pool_evict(&m->pool, victim);
	switch (admission) {
	case ADMIT_EVICTING:
	case ADMIT:
		if (pool_assign(&m->pool, connection, peer, tls) == 0) {
			(void)close(connection);
			return;
		}
		reply = REPLY_THROTTLED;
		break;
	case ADMIT_NOT_SOURCE:
		reply = REPLY_SOURCE_FULL;
		args = (struct reply_args){ .n = { open, m->settings->per_source } };
		break;
	case ADMIT_NOT_CROWDED:
		reply = REPLY_CROWDED;
		args = (struct reply_args){ .n = { open } };
		break;
	case ADMIT_NOT_FULL:
		break;
	}
	refuse(m, connection, tls, peer, reply, &args);
}

/* The same. */
static void refuse_proxied(void *context, int connection, bool tls, const struct sockaddr_storage *proxy)
{
	const struct reply_args args = { .text = NULL };
	refuse(context, connection, tls, proxy, REPLY_NO_PROXY_HEADER, &args);
}

static void accept_some(struct master *m, const struct listener *l)
{
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage peer;
		int connection = listener_accept(l, &peer);
		if (connection >= 0 && settings_proxy(m->settings, &peer)) {
			proxied_add(&m->proxied, connection, l->tls, &peer, now_ms());
			continue;
		}
		if (connection >= 0) {
			admit(m, connection, l->tls, &peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* Descriptors or memory ran out, or the kernel does not let us: the connection may still be waiting, and poll(2) would say so at once. */
		if (errno != EAGAIN) {
			log_line(LOG_ERR, "accept: %s; pausing", strerror(errno));
			refusals_close(&m->refusals);
			m->accept_due = now_ms() + ACCEPT_PAUSE_MS;
		}
		return;
	}
}

/* ---- signals ---- */

/* The configuration as it is now, into m->next. 0; or -1, what is wrong is in the log, and the first of it in trouble_r. */
static int read_again(struct master *m, char trouble_r[MASTER_TROUBLE_MAX])
{
	trouble_r[0] = '\0';
	m->next = malloc(sizeof *m->next);
	if (m->next == NULL) {
		(void)snprintf(trouble_r, MASTER_TROUBLE_MAX, "no memory");
	} else if (settings_read(m->options->config, m->next, log_finding, trouble_r) == 0) {
		if (shared_reload(m->settings, m->next, m->options->programs.pam_helper, trouble_r) != 0)
			log_line(LOG_ERR, "%s", trouble_r);
		else if (sandbox_prepare(m->next->sandbox == SANDBOX_REQUIRED))
			return 0;
		else
			(void)snprintf(trouble_r, MASTER_TROUBLE_MAX, "the kernel lacks what sandbox = required needs");
	}
	return -1;
}

static void reload(struct master *m)
{
	struct timespec t;
	char text[64], trouble[MASTER_TROUBLE_MAX];
	/* Each costs a nursery and a signer. However often it is asked for meanwhile, that is one more, and a pause. */
	if (m->next != NULL || m->reload_due > 0) {
		m->reload_due = m->nursery_started + NURSERY_PAUSE_MS;
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
	               (unsigned long long)t.tv_sec * 1000000ULL + (unsigned long long)t.tv_nsec / 1000ULL);
	service_notify(text);
	/* A nursery on its way has older settings; where these stay after all, it was wanted all the same. */
	const bool wanted = m->coming.pid > 0 && !m->rereading;
	nursery_abandon(&m->coming);
	if (read_again(m, trouble) == 0) {
		master_start_nursery(m);
	} else {
		log_line(LOG_ERR, "reload: the old configuration stays");
		master_end_reload(m, trouble);
		m->nursery_due = wanted ? m->nursery_started + NURSERY_PAUSE_MS : m->nursery_due;
	}
}

static void stop(struct master *m)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->reload_due = m->nursery_due = m->reread_due = 0;
	service_notify("STOPPING=1");
	log_line(LOG_NOTICE, "stopping; sessions to be told or finished: %zu", m->pool.workers.count - m->pool.workers.of_state[WORKER_IDLE] - m->pool.workers.of_state[WORKER_RETIRED]);
	listeners_close(&m->listeners);
	proxied_close(&m->proxied);
	pool_retire_idle(&m->pool);
	pool_stop(&m->pool);
	nursery_abandon(&m->coming);
	nursery_dismiss(&m->nursery);
	m->pool.nursery = m->pool.signer = -1;
}

/*
 * What a session's keeper has left to us and its user has stopped, a lock file's helper: it would stand there for good, one for each login,
 * for it does not hear that its keeper is gone. Ours, and the gates' user's, are not his to stop.
 */
static void end_leftover(const struct master *m, pid_t pid, uid_t uid)
{
	if (uid == getuid() || uid == m->recorder.uid)
		return;
	log_line(LOG_NOTICE, "process %ld of uid %lu is left of a session, and was stopped; killing it", (long)pid, (unsigned long)uid);
	(void)kill(pid, SIGKILL);
}

/* Its owner may stop a session's process, and have it go on, as often as he likes: so many are heard of at a time, and those behind that after a pause. */
static void hear_halts(struct master *m)
{
	for (int i = 0; i < HALTS_AT_ONCE; i++) {
		siginfo_t info = { .si_pid = 0 };
		if (waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG) != 0 || info.si_pid == 0) {
			m->halts_due = 0;
			return;
		}
		const bool halted = info.si_code == CLD_STOPPED;
		if (!pool_halted(&m->pool, info.si_pid, halted) && halted)
			end_leftover(m, info.si_pid, info.si_uid);
	}
	m->halts_due = now_ms() + HALTS_PAUSE_MS;
}

static void reap(struct master *m)
{
	siginfo_t info = { .si_pid = 0 };
	/* waitid(2) tells whose it was, besides. */
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid > 0) {
		const int status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
		if (!recorder_reaped(&m->recorder, info.si_pid, status))
			pool_reaped(&m->pool, info.si_pid, status, info.si_uid);
		info.si_pid = 0;
	}
	if (m->halts_due == 0)
		hear_halts(m);
}

static void take_signals(struct master *m)
{
	struct signalfd_siginfo signals[SIGNALS_AT_ONCE];
	const ssize_t n = read(m->signals, signals, sizeof signals);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof signals[0]; i++) {
		switch (signals[i].ssi_signo) {
		case SIGTERM:
		case SIGINT: stop(m); break;
		case SIGHUP: if (!m->stopping && m->serving) reload(m); break;
		default: break;
		}
	}
	/* One SIGCHLD may stand for many. */
	reap(m);
}

/* ---- the loop ---- */

/* How long poll(2) may wait. */
static int wait_ms(struct master *m)
{
	long long now = now_ms(), due = now + 60000;
	if (!m->stopping && pool_wants_spare(&m->pool))
		return 0;
	const long long dues[] = {
		m->nursery_due, m->coming.pid > 0 ? m->nursery_started + NURSERY_COMING_MS : 0, m->accept_due, m->next == NULL ? m->reload_due : 0,
		m->recorder.due, m->watchdog_due, m->reread_due, m->halts_due, refusals_due(&m->refusals), proxied_due(&m->proxied),
		attempts_due(&m->pool.attempts), pool_late_due(&m->pool), pool_spare_due(&m->pool),
	};
	for (size_t i = 0; i < sizeof dues / sizeof dues[0]; i++)
		due = sooner(due, dues[i]);
	return due > now ? (int)(due - now) : 0;
}

static void run_timers(struct master *m)
{
	long long now = now_ms();
	if (m->coming.pid > 0 && now >= m->nursery_started + NURSERY_COMING_MS)
		master_give_up_coming(m);
	if (m->nursery_due > 0 && now >= m->nursery_due)
		master_start_nursery(m);
	if (m->accept_due > 0 && now >= m->accept_due)
		m->accept_due = 0;
	if (m->serving && now >= m->certificate_due)
		master_look_at_certificate(m);
	if (m->reread_due > 0 && now >= m->reread_due)
		master_reread_certificate(m);
	if (m->watchdog_ms > 0 && now >= m->watchdog_due) {
		service_notify("WATCHDOG=1");
		m->watchdog_due = now + m->watchdog_ms;
	}
	if (m->recorder.due > 0)
		recorder_start(&m->recorder);
	if (m->halts_due > 0 && now >= m->halts_due)
		hear_halts(m);
	refusals_expire(&m->refusals, now);
	proxied_expire(&m->proxied, now);
	attempts_run(&m->pool.attempts, now);
	pool_end_late(&m->pool, now);
	if (m->reload_due > 0 && now >= m->reload_due && m->next == NULL && !m->stopping) {
		m->reload_due = 0;
		reload(m);
	}
}

static void turn(struct master *m)
{
	enum { SIGNALS, NURSERY, SIGNER, COMING, COMING_SIGNER, KEEPERS, PROXIED, FIRST_LISTENER };
	struct pollfd fds[FIRST_LISTENER + LISTENERS_MAX] = {
		[SIGNALS] = { .fd = m->signals, .events = POLLIN },
		[NURSERY] = { .fd = m->nursery.channel, .events = POLLIN },
		[SIGNER] = { .fd = m->nursery.signer, .events = 0 },
		[COMING] = { .fd = m->coming.ready ? -1 : m->coming.channel, .events = POLLIN },
		[KEEPERS] = { .fd = m->pool.words, .events = POLLIN },
		[PROXIED] = { .fd = m->proxied.epoll, .events = POLLIN },
		[COMING_SIGNER] = { .fd = m->coming.signer_ready ? -1 : m->coming.signer, .events = POLLIN },
	};
	size_t count = m->listeners.count;
	bool accepting = m->serving && m->accept_due == 0;
	for (size_t i = 0; i < count; i++)
		fds[FIRST_LISTENER + i] = (struct pollfd){ .fd = accepting ? m->listeners.list[i].fd : -1, .events = POLLIN };
	if (poll(fds, FIRST_LISTENER + count, wait_ms(m)) < 0 && errno != EINTR)
		fatal("poll");
	for (size_t i = 0; i < count; i++)
		if (fds[FIRST_LISTENER + i].revents != 0)
			accept_some(m, &m->listeners.list[i]);
	if (fds[PROXIED].revents != 0)
		proxied_hear(&m->proxied);
	if (fds[KEEPERS].revents != 0)
		pool_hear(&m->pool);
	if (fds[NURSERY].revents != 0)
		master_hear_nursery(m);
	if (fds[SIGNER].revents != 0 && m->nursery.signer == fds[SIGNER].fd)
		master_lose_signer(m);
	if (fds[COMING].revents != 0 || fds[COMING_SIGNER].revents != 0)
		master_hear_coming(m);
	if (fds[SIGNALS].revents != 0)
		take_signals(m);
	run_timers(m);
	if (!m->stopping && pool_wants_spare(&m->pool))
		(void)pool_spawn(&m->pool);
}

/* The last children (the nursery, a helper) end by themselves; whoever waits for us must not find them left behind. */
static void await_children(const struct master *m)
{
	struct signalfd_siginfo info;
	long long end = now_ms() + CHILDREN_MS;
	while (waitpid(-1, NULL, WNOHANG) >= 0 && now_ms() < end) {
		struct pollfd p = { .fd = m->signals, .events = POLLIN };
		(void)poll(&p, 1, CHILDREN_LOOK_MS);
		(void)!read(m->signals, &info, sizeof info);
	}
}

/* With the gates' user; if there is none, the nursery says so, and that is the end. */
static void open_recorder(struct master *m)
{
	char problem[NURSERY_TEXT_MAX];
	uid_t uid;
	gid_t gid;
	if (gate_user_find(&m->options->programs, m->settings, &uid, &gid, problem) == 0)
		recorder_open(&m->recorder, m->settings, uid, gid);
	if (getrandom(&m->pool.ref_key, sizeof m->pool.ref_key, 0) != (ssize_t)sizeof m->pool.ref_key)
		fatal("getrandom");
}

int master_run(const struct master_options *options, struct settings *settings)
{
	static struct master master;
	struct master *m = &master;
	char problem[NURSERY_TEXT_MAX];
	*m = (struct master){ .options = options, .settings = settings, .nursery = NO_NURSERY, .coming = NO_NURSERY, .recorder = NO_RECORDER_YET };
	if (pool_open(&m->pool, settings, options->programs.pam_helper) != 0) {
		log_line(LOG_ERR, "cannot make the tables of workers and of failed logins: %s", strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	if (proxied_open(&m->proxied, &(struct proxied_calls){ .admit = admit, .refuse = refuse_proxied, .context = m }) != 0)
		fatal("epoll_create1");
	prepare_process(settings);
	if (!sandbox_prepare(settings->sandbox == SANDBOX_REQUIRED))
		return EXIT_ENVIRONMENT;
	m->signals = prepare_signals();
	listeners_inherit(&m->listeners);
	if (listeners_apply(&m->listeners, settings, problem, sizeof problem) != 0) {
		log_line(LOG_ERR, "%s", problem);
		return EXIT_ENVIRONMENT;
	}
	if (prepare_directories(settings, options->programs.pam_helper) != 0)
		return EXIT_ENVIRONMENT;
	recover_maildrops(settings);
	open_recorder(m);
	check_listeners(m);
	m->watchdog_ms = service_watchdog_ms();
	m->watchdog_due = m->watchdog_ms > 0 ? now_ms() + m->watchdog_ms : 0;
	master_start_nursery(m);
	forget_stack();
	while (!m->stopping)
		turn(m);
	bool served = m->serving;
	while (m->pool.workers.count > 0)
		turn(m);
	nursery_abandon(&m->coming);
	nursery_dismiss(&m->nursery);
	recorder_dismiss(&m->recorder);
	await_children(m);
	if (served)
		log_line(LOG_NOTICE, "stopped");
	return served ? EXIT_GOOD : EXIT_ENVIRONMENT;
}
