/*
 * pool.c - the workers: forked ahead of need, one connection each.
 * Runs in: master. Trusts: nothing that a worker does; knows it by its pid only.
 */
#include "daemon/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/contract.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/recorder_link.h"
#include "daemon/replies.h"
#include "daemon/rpc.h"

uint64_t pool_source(const struct sockaddr_storage *address)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	uint32_t host;
	uint64_t network;
	if (address->ss_family == AF_INET6) {
		memcpy(&v6, address, sizeof v6);
		memcpy(&network, v6.sin6_addr.s6_addr, sizeof network);
		memcpy(&host, v6.sin6_addr.s6_addr + 12, sizeof host);
		if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
			return network;
	} else {
		memcpy(&v4, address, sizeof v4);
		host = v4.sin_addr.s_addr;
	}
	/* No IPv6 network begins like this: 0:ffff::/32 is not unicast. */
	return (uint64_t)0xffff << 32 | ntohl(host);
}

size_t pool_source_count(const struct pool *pool, uint64_t source)
{
	size_t n = 0;
	for (size_t i = 0; i < pool->count; i++)
		n += pool->workers[i].busy && pool->workers[i].source == source;
	return n;
}

/* A worker broke: forking ahead pauses, longer each time, so that a broken set-up does not burn the host. */
static void throttle(struct pool *pool)
{
	pool->throttle_ms = pool->throttle_ms == 0 ? THROTTLE_FIRST_MS : 2 * pool->throttle_ms;
	if (pool->throttle_ms > THROTTLE_MOST_MS)
		pool->throttle_ms = THROTTLE_MOST_MS;
	pool->throttled_until = now_ms() + pool->throttle_ms;
}

static int make_room(struct pool *pool)
{
	if (pool->count < pool->room)
		return 0;
	size_t room = pool->room == 0 ? 64 : 2 * pool->room;
	struct worker *more = reallocarray(pool->workers, room, sizeof *more);
	if (more == NULL)
		return -1;
	pool->workers = more;
	pool->room = room;
	return 0;
}

int pool_spawn(struct pool *pool)
{
	int channel[2] = { -1, -1 }, halves[2] = { -1, -1 };
	const char *what = "no memory";
	pid_t pid = -1;
	if (pool->nursery < 0)
		return -1;
	if (make_room(pool) != 0)
		goto failed;
	what = "socketpair";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, halves) != 0)
		goto failed;
	struct nursery_order order = { .worker = ++pool->next_number };
	what = "order to the nursery";
	if (rpc_send(pool->nursery, &order, sizeof order, halves[1]) != 0)
		goto failed;
	what = "fork";
	pid = fork();
	if (pid < 0)
		goto failed;
	if (pid == 0)
		keeper_serve(pool->settings, pool->pam_helper, channel[1], halves[0], pool->signer);
	(void)close(channel[1]);
	(void)close(halves[0]);
	(void)close(halves[1]);
	pool->workers[pool->count++] = (struct worker){ .pid = pid, .channel = channel[0], .number = order.worker };
	pool->idle++;
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
	return pool->filling && pool->nursery >= 0 && pool->count < pool->settings->max;
}

bool pool_wants_spare(struct pool *pool)
{
	if (pool->idle < pool->settings->spare_min)
		pool->filling = true;
	else if (pool->idle >= pool->settings->spare_max)
		pool->filling = false;
	return has_place(pool) && now_ms() >= pool->throttled_until;
}

long long pool_spare_due(const struct pool *pool)
{
	return has_place(pool) ? pool->throttled_until : 0;
}

static void let_go(struct pool *pool, struct worker *w)
{
	(void)close(w->channel);
	w->channel = -1;
	pool->idle--;
}

static struct worker *first_idle(struct pool *pool)
{
	for (size_t i = 0; pool->idle > 0 && i < pool->count; i++)
		if (!pool->workers[i].busy && pool->workers[i].channel >= 0)
			return &pool->workers[i];
	return NULL;
}

int pool_assign(struct pool *pool, int connection, const struct sockaddr_storage *peer, bool tls)
{
	struct job job = { .verb = JOB_SERVE, .tls = tls, .peer = *peer };
	struct worker *w;
	for (;;) {
		w = first_idle(pool);
		if (w == NULL) {
			bool refuse = pool->throttle_ms >= THROTTLE_REFUSE_MS && now_ms() < pool->throttled_until;
			if (pool->count >= pool->settings->max || refuse || pool_spawn(pool) != 0)
				return -1;
			w = &pool->workers[pool->count - 1];
		}
		job.lost_ref = ref_of_worker(w->number, pool->ref_key);
		if (rpc_send(w->channel, &job, sizeof job, connection) == 0)
			break;
		/* It died while it waited; the next one, please. */
		let_go(pool, w);
	}
	pool->idle--;
	w->busy = true;
	w->source = pool_source(peer);
	(void)address_text(peer, w->peer, sizeof w->peer);
	return 0;
}

/* What its client was told with this reference, if it was there to be told. */
static void report_lost(const struct pool *pool, const struct worker *w, const char *what)
{
	struct history_record record;
	char ref[REF_TEXT_MAX];
	recorder_begin(&record, HISTORY_FAILURE, "master");
	record.ref = ref_of_worker(w->number, pool->ref_key);
	(void)snprintf(record.peer, sizeof record.peer, "%s", w->peer);
	(void)snprintf(record.reply, sizeof record.reply, "%s", reply_row(REPLY_KEEPER_LOST)->name);
	(void)snprintf(record.reason, sizeof record.reason, "keeper died");
	(void)snprintf(record.text, sizeof record.text, "%s", what);
	recorder_send(&record);
	const struct log_field fields[] = {
		{ "POSTERN_EVENT", "keeper-died" }, { "POSTERN_REF", ref_text(record.ref, ref) }, { "POSTERN_REPLY", record.reply }, { "POSTERN_PEER", w->peer },
	};
	log_event(LOG_CRIT, fields, sizeof fields / sizeof fields[0], "%s peer=%s reply=%s ref=%s", what, w->peer, record.reply, ref);
}

static void note_end(struct pool *pool, const struct worker *w, int status)
{
	char what[WHY_TEXT_MAX];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (code == EXIT_GOOD) {
		if (w->busy)
			pool->throttle_ms = pool->throttled_until = 0;
		return;
	}
	throttle(pool);
	if (code == EXIT_GATE_GONE)
		return; /* the nursery's report has the cause */
	if (WIFSIGNALED(status))
		(void)snprintf(what, sizeof what, "keeper %ld (%s) was killed by signal %d (%s)", (long)w->pid, w->busy ? w->peer : "idle",
		               WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(what, sizeof what, "keeper %ld (%s) ended with status %d", (long)w->pid, w->busy ? w->peer : "idle", code);
	if (w->busy)
		report_lost(pool, w, what);
	else
		log_line(LOG_CRIT, "%s", what);
}

void pool_reaped(struct pool *pool, pid_t pid, int status)
{
	for (size_t i = 0; i < pool->count; i++) {
		struct worker *w = &pool->workers[i];
		if (w->pid != pid)
			continue;
		note_end(pool, w, status);
		if (!w->busy && w->channel >= 0)
			let_go(pool, w);
		if (w->channel >= 0)
			(void)close(w->channel);
		*w = pool->workers[--pool->count];
		return;
	}
}

void pool_gate_died(struct pool *pool, uint64_t number, int signal, int status)
{
	const char *peer = "over";
	for (size_t i = 0; i < pool->count; i++)
		if (pool->workers[i].number == number)
			peer = pool->workers[i].busy ? pool->workers[i].peer : "idle";
	if (signal != 0)
		log_line(LOG_CRIT, "gate of worker %llu (%s) was killed by signal %d (%s)", (unsigned long long)number, peer, signal, strsignal(signal));
	else
		log_line(LOG_CRIT, "gate of worker %llu (%s) ended with status %d", (unsigned long long)number, peer, status);
	throttle(pool);
}

void pool_retire_idle(struct pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		if (!pool->workers[i].busy && pool->workers[i].channel >= 0)
			let_go(pool, &pool->workers[i]);
}

void pool_stop(struct pool *pool)
{
	struct job stop = { .verb = JOB_STOP };
	for (size_t i = 0; i < pool->count; i++)
		if (pool->workers[i].busy)
			(void)rpc_send(pool->workers[i].channel, &stop, sizeof stop, -1);
}
