/*
 * session_sign.c - the signature of a TLS handshake: from the gate's request to the signer and back.
 * Runs in: keeper, before the login. Trusts: the signer; nothing in the request.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/shared.h"

enum { SIGN_MS = 5000 };  /* a signer that takes longer hangs, or is asked far more than it can do */

static const char gone[] = "the signer is gone", late[] = "the signer does not answer", given_up[] = "given up: the master says something";

/* NULL when the descriptor is ready, or what is wrong. */
static const char *wait_for(int fd, short events, int master, long long deadline)
{
	struct pollfd fds[] = { { .fd = fd, .events = events }, { .fd = master, .events = POLLIN } };
	long long left;
	while ((left = deadline - now_ms()) > 0) {
		int n = poll(fds, 2, (int)left);
		if (n > 0)
			return fds[0].revents != 0 ? NULL : given_up;
		if (n < 0 && errno != EINTR)
			fatal("poll");
	}
	return late;
}

/* All keepers send on one socket (non-blocking); back is where this answer is to go. */
static const char *ask(const struct session *s, const struct sign_request *request, int back, long long deadline)
{
	const char *wrong = NULL;
	while (wrong == NULL && rpc_send(s->signer, request, sizeof *request, back) != 0)
		wrong = errno == EAGAIN ? wait_for(s->signer, POLLOUT, s->master, deadline) : gone;
	return wrong;
}

/* NULL with the signature, or what is wrong. */
static const char *obtain(const struct session *s, const struct sign_request *request, struct sign_answer *answer_r)
{
	const long long deadline = now_ms() + SIGN_MS;
	int pair[2], fd = -1;
	if (s->signer < 0)
		return "there is no signer";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return "no socket for the answer";
	const char *wrong = ask(s, request, pair[1], deadline);
	/* With our copy gone, the signer's end is our end of file. */
	(void)close(pair[1]);
	if (wrong == NULL)
		wrong = wait_for(pair[0], POLLIN, s->master, deadline);
	if (wrong == NULL && rpc_receive(pair[0], answer_r, sizeof *answer_r, &fd) != (ssize_t)sizeof *answer_r)
		wrong = gone;
	if (wrong == NULL && (answer_r->size == 0 || answer_r->size > sizeof answer_r->octets))
		wrong = "the signer refuses: not a request for its key";
	if (fd >= 0)
		(void)close(fd);
	(void)close(pair[0]);
	return wrong;
}

void session_sign(struct session *s, union rpc_message *message)
{
	struct rpc_signature a = { .verb = RPC_SIGN };
	if (sign_row(&message->sign.request) == NULL)
		violation("a signature by scheme %lu for %lu octets", (unsigned long)message->sign.request.scheme, (unsigned long)message->sign.request.size);
	const char *wrong = obtain(s, &message->sign.request, &a.answer);
	/* There is one handshake in a session, which the table of verbs holds the gate to. */
	if (s->signer >= 0 && !shared_workers(s->settings)) {
		(void)close(s->signer);
		s->signer = -1;
	}
	if (wrong != NULL)
		a.answer.size = 0;
	/* To end, most likely: the gate is told, if it was not yet, before it has its answer, and nothing is wrong. */
	if (wrong == given_up && !s->stopping)
		(void)keeper_hear(s);
	else if (wrong != NULL && wrong != given_up)
		log_line(s->quiet ? LOG_DEBUG : LOG_ERR, "no signature for a TLS handshake: peer=%s: %s", s->peer_text, wrong);
	/* A gate that is there waits for it. */
	if (session_send(s, &a, sizeof a, -1) != 0 && errno != EPIPE && errno != ECONNRESET)
		fatal("the signature to the gate");
}
