/*
 * keeper_peer.h - a real keeper in a process of its own, between a master and a gate that the test plays.
 * Runs in: the tests, as root or as any user.
 */
#ifndef POSTERN_TEST_KEEPER_PEER_H
#define POSTERN_TEST_KEEPER_PEER_H

#include "base/clock.h"
#include "daemon/contract.h"
#include "daemon/keeper.h"
#include "daemon/replies.h"
#include "daemon/session.h"
#include "tests/unit/daemon/worker.h"

struct worker_ends {
	pid_t pid;
	int master, gate;   /* the test's ends */
};

static int keeper_signer = -1;    /* where keepers ask for signatures */
static bool keeper_unprivileged;  /* keepers start as the mail's owner, not as root */
static int keeper_room;           /* octets that they may have on their way to their gate; 0: as many as the host gives */

/* A keeper without work. */
static inline struct worker_ends keeper_start(const struct settings *settings)
{
	int master[2], gate[2];
	socket_pair(SOCK_SEQPACKET, master);
	socket_pair(SOCK_SEQPACKET, gate);
	CU_ASSERT_FATAL(keeper_room == 0 || setsockopt(gate[1], SOL_SOCKET, SO_SNDBUF, &keeper_room, sizeof keeper_room) == 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		(void)close(master[0]);
		(void)close(gate[0]);
		if (keeper_unprivileged && geteuid() == 0 && (setresgid(MAIL_UID, MAIL_UID, MAIL_UID) != 0 || setresuid(MAIL_UID, MAIL_UID, MAIL_UID) != 0))
			_exit(1);
		keeper_serve(settings, "/nonexistent/pam", master[1], gate[1], keeper_signer);
	}
	(void)close(master[1]);
	(void)close(gate[1]);
	return (struct worker_ends){ .pid = pid, .master = master[0], .gate = gate[0] };
}

/* One whose gate has a connection from that address. */
static inline struct worker_ends keeper_serving(const struct settings *settings, const char *address)
{
	struct worker_ends w = keeper_start(settings);
	const struct job job = { .verb = JOB_SERVE, .begun = now_ms(), .peer = address_of(address) };
	CU_ASSERT(rpc_send(w.master, &job, sizeof job, -1) == 0);
	return w;
}

static inline void keeper_end(const char *label, struct worker_ends *w, int want, const char *words)
{
	if (w->gate >= 0)
		(void)close(w->gate);
	expect_end(label, w->pid, want, words);
	if (w->master >= 0)
		(void)close(w->master);
	*w = (struct worker_ends){ .master = -1, .gate = -1 };
}

/* Ask, and take the answer with its descriptor; .verb is 0 when none came. */
static inline struct rpc_answer ask(const struct worker_ends *w, const void *request, size_t size, int *fd_r)
{
	union rpc_message message = { .verb = 0 };
	CU_ASSERT(rpc_send(w->gate, request, size, -1) == 0);
	if (rpc_await(w->gate, &message, sizeof message, fd_r) != (ssize_t)sizeof message.answer)
		message.answer.verb = 0;
	return message.answer;
}

/* A login, and the name of its answer. */
static inline const char *login(const struct worker_ends *w, const char *user, const char *password, struct rpc_answer *answer_r, int *fd_r)
{
	struct rpc_auth auth = auth_of(user, password);
	*answer_r = ask(w, &auth, sizeof auth, fd_r);
	static char name[64];
	bool good = answer_r->reply > REPLY_NONE && answer_r->reply < REPLY_COUNT;
	const struct reply_row *row = reply_row(good ? (enum reply)answer_r->reply : REPLY_KEEPER_LOST);
	(void)snprintf(name, sizeof name, "%s", answer_r->verb != RPC_AUTH ? "(none)" : row->name);
	return name;
}

/* Ann's mailbox of three is open. */
static inline struct worker_ends keeper_logged_in(const struct settings *settings)
{
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	struct rpc_answer answer;
	int fd;
	ROW_TEXT("login", login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT(answer.count == 3 && fd >= 0);
	if (fd >= 0)
		(void)close(fd);
	return w;
}

static inline struct rpc_answer fetch(const struct worker_ends *w, uint32_t idx, int *fd_r)
{
	struct rpc_fetch request = { .verb = RPC_FETCH, .idx = idx };
	return ask(w, &request, sizeof request, fd_r);
}

/* The answer that has message idx, and those of `more` behind it that come along; how long it is. */
static inline size_t fetch_text(const struct worker_ends *w, uint32_t idx, uint32_t more, struct rpc_text *text_r)
{
	struct rpc_fetch request = { .verb = RPC_FETCH, .idx = idx, .more = more };
	int fd;
	CU_ASSERT(rpc_send(w->gate, &request, sizeof request, -1) == 0);
	const ssize_t n = rpc_await(w->gate, text_r, sizeof *text_r, &fd);
	CU_ASSERT_FATAL(n > (ssize_t)sizeof text_r->answer && fd == -1 && text_r->answer.verb == RPC_FETCH && text_r->answer.reply == REPLY_MESSAGE);
	CU_ASSERT(text_r->answer.n[0] == idx + 1);
	return (size_t)n;
}

static inline void mark(const struct worker_ends *w, uint32_t first, uint32_t count, unsigned bits)
{
	struct rpc_mark request = { .verb = RPC_MARK, .first = first, .count = count };
	request.bits[0] = (uint8_t)bits;
	CU_ASSERT(rpc_send(w->gate, &request, sizeof request, -1) == 0);
}

static inline void bye(const struct worker_ends *w, enum session_end end)
{
	struct rpc_bye request = { .verb = RPC_BYE, .end = (uint32_t)end, .tls = 0x0304, .fetched = 7, .octets = 4711, .marked = 2 };
	(void)snprintf(request.detail, sizeof request.detail, "%s", end == END_PEER_ERROR ? "a \"reset\"" : "");
	CU_ASSERT(rpc_send(w->gate, &request, sizeof request, -1) == 0);
}

#endif
