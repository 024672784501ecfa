/*
 * keeper.c - the half of a worker that holds rights: does what its gate may ask for.
 * Runs in: keeper, as root until the login (session.c: become_owner()), then as the mail's owner; where it is shared, as
 * virtual_user from the start (shared.h).
 * Trusts: the master; nothing from the gate.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/contract.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"
#include "daemon/recorder_link.h"
#include "daemon/replies.h"
#include "daemon/sandbox.h"
#include "daemon/session.h"
#include "daemon/shared.h"

/* The unit test puts shorter ones in their place. */
#ifndef KEEPER_STOP_LIMIT_MS
#define KEEPER_STOP_LIMIT_MS 30000 /* a gate that is told to stop takes a few seconds; a hostile one would take for ever */
#define READY_LIMIT_MS 5000        /* a gate that has said goodbye lingers for two seconds at most */
#endif

/*
 * A gate takes each answer as it comes. One that does not, and goes on asking, would hold us where neither the master nor the bell is heard:
 * what then cannot be sent in time is a violation (session_send()).
 */
static void bound_answers(int gate)
{
	const struct timeval limit = { .tv_sec = KEEPER_STOP_LIMIT_MS / 1000, .tv_usec = KEEPER_STOP_LIMIT_MS % 1000 * 1000L };
	if (setsockopt(gate, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
		fatal("SO_SNDTIMEO");
}

/* A verb's handler; the message has been checked against its row. */
static void (*const handlers[RPC_VERBS])(struct session *, union rpc_message *) = {
	[RPC_KNOWN] = session_known,
	[RPC_AUTH] = session_auth,
	[RPC_FETCH] = session_fetch,
	[RPC_MARK] = session_mark,
	[RPC_COMMIT] = session_commit,
	[RPC_REFER] = session_refer,
	[RPC_ACTIVE] = session_active,
	[RPC_BYE] = session_bye,
	[RPC_SIGN] = session_sign,
	[RPC_READY] = session_ready,
};

/* The gate may be hostile: whatever is outside the table ends the worker. */
static void dispatch(struct session *s, union rpc_message *message, size_t size, bool descriptor)
{
	const struct rpc_row *row = size >= sizeof message->verb ? rpc_row(message->verb) : NULL;
	if (row == NULL)
		violation("verb 0 of %zu octets in phase %d", size, (int)s->phase);
	unsigned long verb = message->verb;
	if ((row->phases & s->phase) == 0)
		violation("verb %lu of %zu octets in phase %d", verb, size, (int)s->phase);
	if (size != row->size || descriptor)
		violation("verb %lu: %zu octets%s", verb, size, descriptor ? " and a descriptor" : "");
	if (++s->asked[message->verb] > row->most && row->most > 0)
		violation("verb %lu came %u times", verb, s->asked[message->verb]);
	handlers[message->verb](s, message);
}

/* One message of the gate. False when the gate is gone or has said goodbye. */
static bool gate_speaks(struct session *s)
{
	union rpc_message message;
	int fd;
	ssize_t n = rpc_receive(s->gate, &message, sizeof message, &fd);
	if (n < 0 && errno == EPROTO)
		violation("a message that is too long, or with too many descriptors");
	if (n <= 0)
		return false;
	if (fd >= 0)
		(void)close(fd);
	dispatch(s, &message, (size_t)n, fd >= 0);
	explicit_bzero(&message, sizeof message);
	return !s->over;
}

struct job keeper_hear(struct session *s)
{
	struct job job;
	int fd;
	if (rpc_receive(s->master, &job, sizeof job, &fd) != (ssize_t)sizeof job)
		job = (struct job){ .verb = JOB_STOP };
	if (fd >= 0)
		(void)close(fd);
	if (job.verb != JOB_STOP && job.verb != JOB_MAKE_ROOM)
		return job;
	struct rpc_stop stop = { .verb = RPC_STOP, .reply = job.verb == JOB_STOP ? REPLY_STOPPING : REPLY_MADE_ROOM };
	(void)session_send(s, &stop, sizeof stop, -1);
	s->stopping = true;
	return job;
}

/* How long to wait for the gate, once it was told to stop whatever it says meanwhile; -1: for ever. *stop_by: 0 until then. */
static int patience(const struct session *s, long long *stop_by)
{
	if (!s->stopping)
		return -1;
	const long long now = now_ms();
	if (*stop_by == 0)
		*stop_by = now + KEEPER_STOP_LIMIT_MS;
	return *stop_by > now ? (int)(*stop_by - now) : 0;
}

static void serve(struct session *s)
{
	long long stop_by = 0;
	for (;;) {
		struct pollfd fds[] = { { .fd = s->gate, .events = POLLIN }, { .fd = s->stopping ? -1 : s->master, .events = POLLIN },
		                        { .fd = s->in.bell, .events = POLLIN } };
		const int left = patience(s, &stop_by);
		int n = left != 0 ? poll(fds, sizeof fds / sizeof fds[0], left) : 0;
		if (n < 0 && errno != EINTR)
			fatal("poll");
		if (n == 0)
			return; /* whatever the gate is at, it is not an update */
		if (fds[1].revents != 0)
			(void)keeper_hear(s);
		if (fds[2].revents != 0)
			session_bell(s);
		if (fds[0].revents != 0 && !gate_speaks(s))
			return;
	}
}

/*
 * Wait for work: until the gate has something to ask of a client's, or is gone, or the master says more than that there is one. Ends the
 * process when none will come, or when the gate is gone before.
 */
static void await_job(struct session *s, struct job *job_r)
{
	struct pollfd fds[] = { { .fd = s->gate, .events = POLLIN }, { .fd = s->master, .events = POLLRDHUP } };
	int connection;
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			fatal("poll");
	if ((fds[0].revents & POLLHUP) != 0 && poll(&(struct pollfd){ .fd = s->master, .events = POLLIN }, 1, 0) != 1)
		leave(EXIT_GATE_GONE);
	ssize_t n = rpc_receive(s->master, job_r, sizeof *job_r, &connection);
	if (n != (ssize_t)sizeof *job_r || job_r->verb != JOB_SERVE || connection >= 0)
		leave(EXIT_GOOD);
}

/* The connection that the gate has, to its end. */
static void serve_job(struct session *s, const struct job *job)
{
	session_begin(s, &job->peer, job->begun);
	s->quiet = job->quiet != 0;
	serve(s);
	session_end(s);
}

/*
 * Until the gate has closed the connection and forgotten the client. Whatever the master says meanwhile ends the worker, and
 * so do a session that was told to stop, a gate that died in one, and what a stranger sent to the bell.
 */
static bool may_go_on(struct session *s)
{
	struct pollfd fds[] = { { .fd = s->gate, .events = POLLIN }, { .fd = s->master, .events = POLLIN } };
	if (!shared_workers(s->settings) || s->stopping || !s->said_bye || bell_left_open())
		return false;
	s->phase = RPC_BETWEEN;
	int n;
	while ((n = poll(fds, 2, READY_LIMIT_MS)) < 0)
		if (errno != EINTR)
			fatal("poll");
	if (n == 0 || fds[1].revents != 0)
		return false;
	(void)gate_speaks(s);
	return s->ready;
}

/*
 * Until the gate is gone as well. Where its client is given time for the last words, or takes them as slowly as it likes, it is a connection that
 * counts for its source, its account and `max`. Nothing is open to it any more, and when the server stops nobody waits for it.
 */
static void await_gate(const struct session *s)
{
	/* A shared one's may be READY too late, instead of gone. */
	struct pollfd fds[] = { { .fd = s->gate, .events = shared_workers(s->settings) ? POLLIN : 0 }, { .fd = s->master, .events = POLLIN } };
	const struct rpc_stop stop = { .verb = RPC_STOP, .reply = REPLY_MADE_ROOM };
	struct job job;
	int fd = -1, left = -1;
	while (s->said_bye && !s->stopping && fds[0].revents == 0) {
		const int n = poll(fds, 2, left);
		if (n < 0 && errno != EINTR)
			fatal("poll");
		if (n == 0)
			return;
		if (fds[1].revents == 0)
			continue;
		if (rpc_receive(s->master, &job, sizeof job, &fd) != (ssize_t)sizeof job || job.verb != JOB_MAKE_ROOM)
			return;
		/* It is on its way, the master counts those, and says nothing more. Nor is the client to have time now for what it was told. */
		(void)rpc_send(s->gate, &stop, sizeof stop, -1);
		fds[1] = (struct pollfd){ .fd = -1 };
		left = READY_LIMIT_MS;
	}
}

void keeper_serve(const struct settings *settings, const char *pam_helper, int master, int gate, int signer)
{
	static struct session session;
	static const struct keeper_word idle = { .verb = KEEPER_FREE };
	struct session *s = &session;
	struct job job;
	const struct recorder_link link = recorder_link();
	gate = sandbox_renumber(gate);
	bound_answers(gate);
	const int kept[] = { master, gate, signer, log_descriptor(), link.records, link.refs };
	keep_only(kept, sizeof kept / sizeof kept[0]);
	log_role("keeper");
	if (shared_workers(settings))
		shared_enter(settings);
	else
		shrink_root();
	for (;;) {
		session_init(s, settings, pam_helper, master, gate, signer);
		await_job(s, &job);
		serve_job(s, &job);
		if (!may_go_on(s)) {
			await_gate(s);
			leave(EXIT_GOOD);
		}
		session_forget(s);
		explicit_bzero(&job, sizeof job);
		/* Who cannot say that it is free is never given anything. */
		if (rpc_send(master, &idle, sizeof idle, -1) != 0)
			leave(EXIT_GOOD);
	}
}
