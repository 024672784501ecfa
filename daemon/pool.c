/*
 * pool.c - the workers: forked ahead of need, one connection each (or several, one after the other: shared.h).
 * Runs in: master. Trusts: nothing that a worker does; knows it by its pid and its channel.
 */
#include "daemon/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/attempt.h"
#include "daemon/contract.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/recorder_link.h"
#include "daemon/replies.h"
#include "daemon/rpc.h"

/* A worker broke: forking ahead pauses, longer each time, so that a broken set-up does not burn the host. */
static void throttle(struct pool *pool)
{
	pool->throttle_ms = pool->throttle_ms == 0 ? THROTTLE_FIRST_MS : 2 * pool->throttle_ms;
	if (pool->throttle_ms > THROTTLE_MOST_MS)
		pool->throttle_ms = THROTTLE_MOST_MS;
	pool->throttled_until = now_ms() + pool->throttle_ms;
}

/* Whatever is listened for, the other end's going is heard. */
static int listen_to(struct pool *pool, int fd, uint32_t events, uint64_t number)
{
	struct epoll_event event = { .events = events, .data.u64 = number };
	return epoll_ctl(pool->words, EPOLL_CTL_ADD, fd, &event);
}

int pool_open(struct pool *pool, const struct settings *settings, const char *pam_helper)
{
	*pool = (struct pool){ .settings = settings, .pam_helper = pam_helper, .nursery = -1, .signer = -1 };
	if (attempt_prepare() != 0)
		return -1;
	pool->words = epoll_create1(EPOLL_CLOEXEC);
	return pool->words >= 0 && workers_open(&pool->workers) == 0 ? attempts_open(&pool->attempts, settings, &pool->workers) : -1;
}

/*
 * A pair for what master and keeper say. Our end waits for no keeper that does not listen, and the kernel puts the sender's ids on
 * each word. 0, or -1 and errno.
 */
static int make_channel(int channel_r[2])
{
	const int on = 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel_r) != 0)
		return -1;
	(void)fcntl(channel_r[0], F_SETFL, O_NONBLOCK);
	return setsockopt(channel_r[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

int pool_spawn(struct pool *pool)
{
	int channel[2] = { -1, -1 }, halves[2] = { -1, -1 };
	const char *what = "socketpair";
	pid_t pid = -1;
	if (pool->nursery < 0)
		return -1;
	if (make_channel(channel) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, halves) != 0)
		goto failed;
	struct nursery_order order = { .worker = ++pool->next_number };
	what = "epoll_ctl";
	if (listen_to(pool, channel[0], EPOLLIN, order.worker) != 0)
		goto failed;
	what = "order to the nursery";
	if (rpc_send(pool->nursery, &order, sizeof order, halves[1]) != 0)
		goto failed;
	what = "fork";
	pid = fork_half();
	if (pid < 0)
		goto failed;
	if (pid == 0)
		keeper_serve(pool->settings, pool->pam_helper, channel[1], halves[0], pool->signer);
	what = "no row for it";
	const ssize_t at = workers_add(&pool->workers, pid, channel[0], order.worker);
	if (at < 0)
		goto failed; /* it sees its channel's end, and goes */
	attempts_made(&pool->attempts, (size_t)at);
	pool->workers.rows->list[at].gate = halves[0];
	(void)close(channel[1]);
	(void)close(halves[1]);
	return 0;
failed:
	log_line(LOG_ERR, "cannot start a worker: %s: %s", what, strerror(errno));
	for (int i = 0; i < 2; i++) {
		if (channel[i] >= 0)
			(void)close(channel[i]);
		if (halves[i] >= 0)
			(void)close(halves[i]);
	}
	throttle(pool);
	return -1;
}

/* Could another worker be forked, but for the throttling? */
static bool has_place(const struct pool *pool)
{
	return pool->filling && pool->nursery >= 0 && !workers_full(&pool->workers, pool->settings->max);
}

bool pool_wants_spare(struct pool *pool)
{
	const size_t idle = pool->workers.of_state[WORKER_IDLE];
	if (idle < pool->settings->spare_min)
		pool->filling = true;
	else if (idle >= pool->settings->spare_max)
		pool->filling = false;
	return has_place(pool) && now_ms() >= pool->throttled_until;
}

long long pool_spare_due(const struct pool *pool)
{
	return has_place(pool) ? pool->throttled_until : 0;
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void let_go(struct pool *pool, size_t at)
{
	struct worker *w = &pool->workers.rows->list[at];
	hang_up(&w->channel);
	hang_up(&w->gate);
	workers_set(&pool->workers, at, WORKER_RETIRED);
}

static void forget(struct pool *pool, size_t at)
{
	let_go(pool, at);
	workers_remove(&pool->workers, at);
}

static bool gate_is_gone(const struct worker *w)
{
	struct pollfd p = { .fd = w->gate };
	return w->gate < 0 || poll(&p, 1, 0) == 1;
}

/* The last that it hears. It may not have read yet that it has a client: shutdown(2) wakes it. */
static void tell_to_end(const struct worker *w, uint32_t verb)
{
	const struct job job = { .verb = verb };
	(void)rpc_send(w->channel, &job, sizeof job, -1);
	(void)shutdown(w->channel, SHUT_WR);
}

/* The connection goes to its gate; the keeper, which has it never, finds beside the gate's first word whose it is. 0, or -1: one of them is not there. */
static int hand_over(const struct worker *w, const struct job *job, const struct rpc_hello *hello, int connection)
{
	if (rpc_send(w->channel, job, sizeof *job, -1) != 0)
		return -1;
	return rpc_send_now(w->gate, hello, sizeof *hello, connection);
}

bool pool_may_fork(const struct pool *pool, long long now)
{
	return pool->nursery >= 0 && (pool->throttle_ms < THROTTLE_REFUSE_MS || now >= pool->throttled_until);
}

int pool_assign(struct pool *pool, int connection, const struct sockaddr_storage *peer, bool tls)
{
	const long long now = now_ms();
	struct workers *t = &pool->workers;
	const struct job job = { .verb = JOB_SERVE, .begun = now, .peer = *peer, .quiet = attempts_begin(&pool->attempts, now) };
	struct rpc_hello hello = { .verb = RPC_HELLO, .tls = tls, .peer = *peer };
	ssize_t at;
	for (;;) {
		at = workers_first(t, WORKER_IDLE);
		if (at < 0) {
			if (workers_full(&pool->workers, pool->settings->max) || !pool_may_fork(pool, now) || pool_spawn(pool) != 0)
				return -1;
			continue;
		}
		hello.lost_ref = ref_of_worker(t->rows->numbers[at], pool->ref_key);
		if (hand_over(&t->rows->list[at], &job, &hello, connection) == 0)
			break;
		/* It died while it waited; the next one, please. */
		let_go(pool, (size_t)at);
	}
	struct worker *w = &t->rows->list[at];
	workers_set(t, (size_t)at, WORKER_STRANGER);
	t->rows->sources[at] = address_source(peer);
	w->since = now;
	w->served++;
	w->quiet = job.quiet;
	(void)address_text(peer, w->peer, sizeof w->peer);
	return 0;
}

/* No message is lost by it. */
static void end_now(struct pool *pool, size_t at, long long now)
{
	struct worker *w = &pool->workers.rows->list[at];
	log_line(LOG_WARNING, "keeper %ld (%s) was told to end and does not; killing it", (long)pool->workers.rows->pids[at], w->peer);
	(void)kill(pool->workers.rows->pids[at], SIGKILL);
	w->halted = false;
	w->until = now + END_LIMIT_MS;
}

/*
 * When that worker is to be killed, 0: not. One that is stopped hears nothing. Of a session's, one that is not may be at an UPDATE, which is
 * let go on when the server stops.
 */
static long long end_due(const struct pool *pool, size_t at)
{
	const struct worker *w = &pool->workers.rows->list[at];
	const enum worker_state state = pool->workers.rows->states[at];
	if (state == WORKER_LEAVING)
		return w->halted ? 1 : w->until;
	return pool->stopping && worker_busy(state) && w->halted ? w->until : 0;
}

void pool_evict(struct pool *pool, size_t at)
{
	const long long now = now_ms();
	tell_to_end(&pool->workers.rows->list[at], JOB_MAKE_ROOM);
	workers_set(&pool->workers, at, WORKER_LEAVING);
	attempts_end(&pool->attempts, at, now);
	pool->workers.rows->list[at].until = now + END_LIMIT_MS;
}

/* It waits again. It is let go where it has served as many as it may, is of an older nursery, or enough others wait. */
static void take_back(struct pool *pool, size_t at)
{
	const struct worker *w = &pool->workers.rows->list[at];
	pool->throttle_ms = pool->throttled_until = 0;
	if (w->served >= w->sessions || pool->workers.of_state[WORKER_IDLE] > pool->settings->spare_max)
		let_go(pool, at);
}

/*
 * Is that keeper still ours, or already the mail's owner, who has been let in and has nothing to ask? All that it says then is that there
 * is no session after all. A shared one has never been ours.
 */
static bool may_say(const struct worker *w, const struct keeper_word *word, uid_t uid)
{
	if (uid == getuid() || w->sessions > 1 || word->verb == KEEPER_MOOT)
		return true;
	log_line(LOG_CRIT, "a keeper (%s) said verb %lu as uid %lu: not listened to any more", w->peer, (unsigned long)word->verb, (unsigned long)uid);
	return false;
}

/* One word of that keeper's, if there is one. False: it has said its last. */
static bool hear_word(struct pool *pool, size_t at)
{
	struct worker *w = &pool->workers.rows->list[at];
	struct keeper_word word;
	struct ucred who;
	ssize_t size;
	/* Where it has closed its end and not read all of ours, the kernel says that once, before what it has said. */
	do
		size = rpc_receive_from(w->channel, &word, sizeof word, &who, 0);
	while (size < 0 && errno == ECONNRESET);
	/* At the end of file it is on its way out, and will be reaped. */
	if (size != (ssize_t)sizeof word || !may_say(w, &word, who.uid) || !attempts_hear(&pool->attempts, at, &word, now_ms())) {
		(void)epoll_ctl(pool->words, EPOLL_CTL_DEL, w->channel, NULL);
		w->unheard = true;
	} else if (word.verb == KEEPER_FREE && pool->workers.rows->states[at] == WORKER_IDLE) {
		take_back(pool, at);
	}
	return !w->unheard && w->channel >= 0;
}

void pool_hear(struct pool *pool)
{
	enum { AT_ONCE = 32 };
	struct epoll_event events[AT_ONCE];
	const int n = epoll_wait(pool->words, events, AT_ONCE, 0);
	for (int i = 0; i < n; i++) {
		const ssize_t at = workers_by_number(&pool->workers, events[i].data.u64);
		if (at < 0)
			continue;
		/* What is heard may still be its channel's end: a keeper that is being forked may have a copy of that. */
		if (pool->workers.rows->states[at] != WORKER_LEFT)
			(void)hear_word(pool, (size_t)at);
		else if (gate_is_gone(&pool->workers.rows->list[at]))
			forget(pool, (size_t)at);
	}
}

/* What it said before it ended, as its last words may be what became of a password. */
static void hear_out(struct pool *pool, size_t at)
{
	const struct worker *w = &pool->workers.rows->list[at];
	bool more = !w->unheard && w->channel >= 0;
	while (more)
		more = hear_word(pool, at);
}

/* What its client was told with this reference, if it was there to be told. */
static void report_lost(const struct pool *pool, size_t at, const char *what)
{
	const char *peer = pool->workers.rows->list[at].peer;
	struct history_record record;
	char ref[REF_TEXT_MAX];
	recorder_begin(&record, HISTORY_FAILURE, "master");
	record.ref = ref_of_worker(pool->workers.rows->numbers[at], pool->ref_key);
	(void)snprintf(record.peer, sizeof record.peer, "%s", peer);
	(void)snprintf(record.reply, sizeof record.reply, "%s", reply_row(REPLY_KEEPER_LOST)->name);
	(void)snprintf(record.reason, sizeof record.reason, "keeper died");
	(void)snprintf(record.text, sizeof record.text, "%s", what);
	recorder_send(&record);
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "keeper-died" }, { "POSTERN_REF", ref_text(record.ref, ref) }, { "POSTERN_REPLY", record.reply }, { "POSTERN_PEER", peer },
	};
	log_event(LOG_CRIT, fields, sizeof fields / sizeof fields[0], "%s peer=%s reply=%s ref=%s", what, peer, record.reply, ref);
}

static void note_end(struct pool *pool, size_t at, int status, uid_t uid)
{
	char what[WHY_TEXT_MAX];
	const bool busy = worker_busy(pool->workers.rows->states[at]);
	const char *whose = busy ? pool->workers.rows->list[at].peer : "idle";
	const long pid = (long)pool->workers.rows->pids[at];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (code == EXIT_GOOD) {
		if (busy)
			pool->throttle_ms = pool->throttled_until = 0;
		return;
	}
	/* One that has become the mail's owner may be killed by him as often as he likes: others are not to wait for that. */
	if (uid == getuid() || pool->workers.rows->list[at].sessions > 1)
		throttle(pool);
	if (code == EXIT_GATE_GONE)
		return; /* the nursery's report has the cause */
	if (WIFSIGNALED(status))
		(void)snprintf(what, sizeof what, "keeper %ld (%s) was killed by signal %d (%s)", pid, whose, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(what, sizeof what, "keeper %ld (%s) ended with status %d", pid, whose, code);
	if (busy)
		report_lost(pool, at, what);
	else
		log_line(LOG_CRIT, "%s", what);
}

/*
 * A connection counts as long as its gate is there, which hears that its keeper is gone, and mostly goes as well. Where the keeper was killed by
 * its user, who has the gate wait in a file system that does not answer, that lasts as long as he likes. False: it cannot be seen when it goes.
 */
static bool keep_for_gate(struct pool *pool, size_t at)
{
	struct worker *w = &pool->workers.rows->list[at];
	(void)shutdown(w->gate, SHUT_WR);
	if (listen_to(pool, w->gate, 0, pool->workers.rows->numbers[at]) != 0)
		return false;
	hang_up(&w->channel);
	workers_left(&pool->workers, at);
	return true;
}

void pool_reaped(struct pool *pool, pid_t pid, int status, uid_t uid)
{
	const ssize_t at = workers_by_pid(&pool->workers, pid);
	if (at < 0)
		return;
	hear_out(pool, (size_t)at);
	note_end(pool, (size_t)at, status, uid);
	attempts_end(&pool->attempts, (size_t)at, now_ms());
	if (pool->stopping || gate_is_gone(&pool->workers.rows->list[at]) || !keep_for_gate(pool, (size_t)at))
		forget(pool, (size_t)at);
}

void pool_gate_died(struct pool *pool, uint64_t number, int signal, int status)
{
	const ssize_t at = workers_by_number(&pool->workers, number);
	const char *peer = at < 0 ? "over" : worker_busy(pool->workers.rows->states[at]) ? pool->workers.rows->list[at].peer : "idle";
	if (signal != 0)
		log_line(LOG_CRIT, "gate of worker %llu (%s) was killed by signal %d (%s)", (unsigned long long)number, peer, signal, strsignal(signal));
	else
		log_line(LOG_CRIT, "gate of worker %llu (%s) ended with status %d", (unsigned long long)number, peer, status);
	throttle(pool);
}

void pool_retire_idle(struct pool *pool)
{
	for (ssize_t at; (at = workers_first(&pool->workers, WORKER_IDLE)) >= 0; )
		let_go(pool, (size_t)at);
	/* The others after the connection that they have. */
	for (size_t i = 0; i < pool->workers.count; i++)
		pool->workers.rows->list[i].served = pool->workers.rows->list[i].sessions;
}

void pool_stop(struct pool *pool)
{
	const long long now = now_ms();
	pool->stopping = true;
	for (ssize_t at; (at = workers_first(&pool->workers, WORKER_LEFT)) >= 0; )
		forget(pool, (size_t)at);
	for (size_t i = 0; i < pool->workers.count; i++)
		if (worker_busy(pool->workers.rows->states[i])) {
			tell_to_end(&pool->workers.rows->list[i], JOB_STOP);
			pool->workers.rows->list[i].until = now + END_LIMIT_MS;
		}
}

bool pool_halted(struct pool *pool, pid_t pid, bool halted)
{
	const ssize_t at = workers_by_pid(&pool->workers, pid);
	if (at >= 0)
		pool->workers.rows->list[at].halted = halted;
	return at >= 0;
}

static bool some_may_be_late(const struct pool *pool)
{
	return pool->stopping || pool->workers.of_state[WORKER_LEAVING] > 0;
}

void pool_end_late(struct pool *pool, long long now)
{
	for (size_t i = 0; some_may_be_late(pool) && i < pool->workers.count; i++) {
		const long long due = end_due(pool, i);
		if (due > 0 && now >= due)
			end_now(pool, i, now);
	}
}

long long pool_late_due(const struct pool *pool)
{
	long long due = 0;
	for (size_t i = 0; some_may_be_late(pool) && i < pool->workers.count; i++)
		due = sooner(due, end_due(pool, i));
	return due;
}
