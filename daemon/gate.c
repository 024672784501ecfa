/*
 * gate.c - a connection from greeting to goodbye: joins the protocol (pop3.c) to the connection (conn.c) and to the keeper (rpc.c).
 * Runs in: gate, as the gate's user. Trusts: the keeper; nothing from the client.
 */
#include "daemon/gate.h"

#include <malloc.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ahead.h"
#include "daemon/conn.h"
#include "daemon/gate_end.h"
#include "daemon/gate_list.h"
#include "daemon/log.h"
#include "daemon/message.h"
#include "daemon/pop3.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"

struct gate {
	const struct settings *settings;
	SSL_CTX *context;
	struct pop3 pop3;
	struct rpc_bye bye;
	struct ahead ahead;
	size_t fetched;           /* idx of the message that was asked for last */
	unsigned known_asked, refer_asked;
	uint32_t lost_ref;
	long long login_deadline;
	bool input_pending;
	struct conn conn;         /* last: the buffers at its end are touched as far as they are used */
} __attribute__((aligned(PAGE))); /* all but the buffers on one page, and nothing else on the last */

/* ---- asking the keeper ---- */

/*
 * Wait for the answer to what was asked; a stop that comes first is remembered. text: ahead_text() where messages may come with
 * the answer, else NULL. The octets that came, or 0 when the keeper is gone.
 */
static size_t await_answer(struct gate *g, const struct rpc_text *text, struct rpc_answer *answer_r, int *fd_r)
{
	union rpc_message message;
	for (;;) {
		ssize_t n = text != NULL ? ahead_receive(g->conn.keeper, fd_r) : rpc_receive(g->conn.keeper, &message, sizeof message, fd_r);
		if (text != NULL)
			memcpy(&message, text, sizeof message < sizeof *text ? sizeof message : sizeof *text);
		if (n == (ssize_t)sizeof *answer_r || (text != NULL && n > (ssize_t)sizeof *answer_r && message.verb == RPC_FETCH)) {
			*answer_r = message.answer;
			answer_r->told[sizeof answer_r->told - 1] = '\0';
			return (size_t)n;
		}
		if (*fd_r >= 0)
			(void)close(*fd_r);
		*fd_r = -1;
		if (n != (ssize_t)sizeof message.stop || message.verb != RPC_STOP) {
			g->conn.keeper_lost = true;
			return 0;
		}
		conn_take_stop(&g->conn, &message.stop);
	}
}

/* Ask, and turn the answer into the protocol's form. text, and what is returned: as above. */
static size_t ask(struct gate *g, const void *request, size_t size, const struct rpc_text *text, struct rpc_answer *rpc_r, int *fd_r,
                  struct pop3_answer *answer_r)
{
	size_t came = 0;
	*fd_r = -1;
	*rpc_r = (struct rpc_answer){ .reply = REPLY_KEEPER_LOST, .ref = g->lost_ref };
	if (rpc_send(g->conn.keeper, request, size, -1) != 0 || (came = await_answer(g, text, rpc_r, fd_r)) == 0) {
		g->conn.keeper_lost = true;
		rpc_r->final = 1;
	}
	const bool known = rpc_r->reply > REPLY_NONE && rpc_r->reply < REPLY_COUNT;
	*answer_r = (struct pop3_answer){ .reply = known ? (enum reply)rpc_r->reply : REPLY_KEEPER_LOST, .final = rpc_r->final != 0 };
	memcpy(answer_r->args.n, rpc_r->n, sizeof answer_r->args.n);
	answer_r->args.ref = answer_r->reply == REPLY_KEEPER_LOST ? g->lost_ref : rpc_r->ref;
	memcpy(answer_r->told, rpc_r->told, sizeof answer_r->told);
	return came;
}

/* The same where no descriptor is to come. */
static void ask_plainly(struct gate *g, const void *request, size_t size, struct pop3_answer *answer_r)
{
	struct rpc_answer rpc;
	int fd;
	(void)ask(g, request, size, NULL, &rpc, &fd, answer_r);
	if (fd >= 0)
		(void)close(fd);
}

static void host_login(void *context, const char *user, const struct secret *password, struct pop3_maildrop *drop_r,
                       struct pop3_answer *answer_r)
{
	struct gate *g = context;
	struct rpc_answer rpc;
	int fd;
	struct rpc_auth request = { .verb = RPC_AUTH, .tls = g->bye.tls, .password = *password };
	memcpy(request.user, user, strlen(user) + 1);
	(void)ask(g, &request, sizeof request, NULL, &rpc, &fd, answer_r);
	wipe(&request, sizeof request);
	if (answer_r->reply == REPLY_LOGGED_IN) {
		gate_list_take(fd, &rpc, drop_r);
		g->conn.session = true;
		g->conn.active_due = now_ms() + ACTIVE_MS;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void host_known(void *context, const char *user, struct pop3_answer *answer_r)
{
	struct gate *g = context;
	struct rpc_user request = { .verb = RPC_KNOWN, .tls = g->bye.tls };
	if (g->known_asked++ >= RPC_KNOWN_MOST)
		return;
	memcpy(request.user, user, strlen(user) + 1);
	ask_plainly(g, &request, sizeof request, answer_r);
}

/* One message, and those behind it that the client is likely to want. */
static void ask_for_message(struct gate *g, size_t idx, uint32_t more, struct message_body *body_r, struct pop3_answer *answer_r)
{
	struct rpc_answer rpc;
	struct rpc_fetch request = { .verb = RPC_FETCH, .idx = (uint32_t)idx, .more = more };
	const size_t came = ask(g, &request, sizeof request, ahead_text(), &rpc, &body_r->fd, answer_r);
	if (came > sizeof rpc) {
		if (answer_r->reply != REPLY_MESSAGE || body_r->fd >= 0 || !ahead_take_text(&g->ahead, came, more, body_r))
			panic("%zu octets that are no messages", came);
		return;
	}
	if ((answer_r->reply == REPLY_MESSAGE) != (body_r->fd >= 0))
		panic("a message without a descriptor, or a descriptor without a message");
	*body_r = ahead_body(&rpc, body_r->fd);
	for (; answer_r->reply == REPLY_MESSAGE && more > 0; more--) {
		int fd = -1;
		if (await_answer(g, NULL, &rpc, &fd) == 0) {
			(void)close(body_r->fd);
			body_r->fd = -1;
			*answer_r = (struct pop3_answer){ .reply = REPLY_KEEPER_LOST, .args = { .ref = g->lost_ref }, .final = true };
			return;
		}
		const struct message_body body = ahead_body(&rpc, fd);
		ahead_keep(&g->ahead, &body);
	}
}

static void host_fetch(void *context, size_t idx, struct message_body *body_r, struct pop3_answer *answer_r)
{
	struct gate *g = context;
	uint32_t more;
	*answer_r = (struct pop3_answer){ .reply = REPLY_MESSAGE, .args = { .n = { idx + 1 } } };
	g->fetched = idx;
	if (g->conn.stopping)
		ahead_forget(&g->ahead);
	if (!ahead_take(&g->ahead, idx, g->pop3.drop.count - idx - 1, line_count(&g->conn.in), body_r, &more))
		ask_for_message(g, idx, more, body_r, answer_r);
	if (answer_r->reply == REPLY_MESSAGE && !g->pop3.utf8 && message_needs_utf8(g->settings->utf8_required, body_r)) {
		if (body_r->fd >= 0)
			(void)close(body_r->fd);
		body_r->fd = -1;
		*answer_r = (struct pop3_answer){ .reply = REPLY_UTF8_NEEDED, .args = { .n = { idx + 1 } } };
	}
}

static void host_commit(void *context, const struct pop3_maildrop *drop, size_t marked, struct pop3_answer *answer_r)
{
	struct gate *g = context;
	gate_end_figures(&g->bye, &g->pop3, &g->conn, END_QUIT);
	struct rpc_commit request = { .verb = RPC_COMMIT, .marked = (uint32_t)marked, .bye = g->bye };
	ahead_forget(&g->ahead);
	if (marked > 0 && gate_list_send_marks(g->conn.keeper, drop) != 0)
		g->conn.keeper_lost = true; /* ask() finds the same and says so */
	ask_plainly(g, &request, sizeof request, answer_r);
	if (answer_r->reply == REPLY_KEEPER_LOST && marked > 0)
		answer_r->reply = REPLY_UPDATE_LOST;
	g->conn.keeper_done = !g->conn.keeper_lost && answer_r->reply != REPLY_TAKEN_OVER && answer_r->reply != REPLY_ENDED;
}

static uint32_t host_refer(void *context, enum reply reply, const struct reply_args *args)
{
	struct gate *g = context;
	struct pop3_answer answer;
	struct rpc_refer request = { .verb = RPC_REFER, .reply = (uint32_t)reply, .tls = g->bye.tls };
	if (g->conn.keeper_lost || g->conn.keeper_done || g->refer_asked++ >= RPC_REFER_MOST)
		return REF_NONE;
	memcpy(request.n, args->n, sizeof request.n);
	memcpy(request.user, g->pop3.user, sizeof g->pop3.user);
	ask_plainly(g, &request, sizeof request, &answer);
	return answer.args.ref;
}

/* ---- the session ---- */

/* The last words for an end that is not the client's own; said between two answers only. */
static void say_why(struct gate *g, enum session_end end)
{
	struct reply_args args = { .ref = end == END_KEEPER_LOST ? g->lost_ref : REF_NONE };
	const enum reply reply = gate_last_words(end, g->settings, &g->conn.stop, &args);
	if (reply == REPLY_NONE)
		return;
	pop3_say(&g->pop3, reply, &args, &g->conn.out);
	(void)conn_flush(&g->conn);
}

/* An absolute deadline: no octet that drips in moves it. */
static long long before_login(const struct gate *g, long long seconds)
{
	const long long due = now_ms() + 1000 * seconds;
	return due < g->login_deadline ? due : g->login_deadline;
}

static enum conn_result start_tls(struct gate *g)
{
	g->conn.deadline = before_login(g, TLS_SECONDS);
	/* What the client sent in clear is gone before the first octet of TLS is read. */
	g->conn.in = (struct line_reader){ .start = 0 };
	enum conn_result r = conn_start_tls(&g->conn, g->context);
	if (r == CONN_OK)
		g->bye.tls = (uint32_t)SSL_version(g->conn.ssl);
	return r;
}

/* The next line through the protocol, reading as needed. */
static enum conn_result next_line(struct gate *g, enum pop3_next *next_r)
{
	struct conn *c = &g->conn;
	char *line;
	size_t len;
	for (;;) {
		enum door door = c->in.begun || g->pop3.tls ? DOOR_NONE : door_of_octets(c->in.octets + c->in.start, c->in.end - c->in.start);
		if (door != DOOR_NONE) {
			*next_r = pop3_wrong_door(&g->pop3, door, &c->out);
			return CONN_OK;
		}
		switch (line_next(&c->in, pop3_line_max(&g->pop3), &line, &len)) {
		case LINE_WHOLE:
			g->input_pending = line_pending(&c->in);
			*next_r = pop3_line(&g->pop3, line, len, &c->out);
			return CONN_OK;
		case LINE_TOO_LONG:
			*next_r = pop3_long_line(&g->pop3, &c->out);
			return CONN_OK;
		case LINE_NONE:
			break;
		}
		if (c->in.skipped > LINE_SKIP_MAX) {
			(void)pop3_long_line(&g->pop3, &c->out);
			g->pop3.end = END_TOO_MANY_BAD;
			*next_r = POP3_NEXT_CLOSE;
			return CONN_OK;
		}
		/* Everything that came in is answered: the answers go out in one piece. */
		enum conn_result r = conn_flush(c);
		if (r == CONN_OK)
			r = conn_read(c);
		if (r != CONN_OK)
			return r;
	}
}

/* The keeper looks at it as if it were wanted once more. Octets instead of a descriptor do not tell where they lie. */
static bool still_there(void *context, const struct message_body *sent)
{
	struct gate *g = context;
	struct message_body body = { .fd = -1 };
	struct pop3_answer answer;
	ask_for_message(g, g->fetched, 0, &body, &answer);
	if (body.fd < 0)
		return false;
	(void)close(body.fd);
	return body.offset == sent->offset && body.length == sent->length;
}

static enum conn_result send_message(struct gate *g)
{
	const struct message_witness witness = { still_there, g };
	enum conn_result r = message_send(&g->conn, &g->pop3.send, &witness, &g->bye.octets);
	if (r == CONN_OK && !g->pop3.send.top)
		g->bye.fetched++;
	return r;
}

/* STLS was accepted: say so in clear, then go on in TLS. */
static enum conn_result upgrade(struct gate *g)
{
	enum conn_result r = conn_flush(&g->conn);
	if (r == CONN_OK)
		r = start_tls(g);
	if (r == CONN_OK)
		pop3_tls_started(&g->pop3);
	return r;
}

/* Do what the protocol asked for, and learn what it asks for next. */
static enum conn_result turn(struct gate *g, enum pop3_next *next)
{
	struct conn *c = &g->conn;
	enum conn_result r = CONN_OK;
	const bool is_full = c->out.cap - c->out.len < POP3_OUT_MIN || (*next == POP3_NEXT_MORE && c->out.len >= POP3_LISTING);
	if (is_full && (r = *next == POP3_NEXT_MORE ? conn_push(c) : conn_flush(c)) != CONN_OK)
		return r;
	switch (*next) {
	case POP3_NEXT_LINE:
		return next_line(g, next);
	case POP3_NEXT_MORE:
		*next = pop3_more(&g->pop3, &c->out);
		return CONN_OK;
	case POP3_NEXT_SEND:
		*next = POP3_NEXT_LINE;
		return send_message(g);
	case POP3_NEXT_TLS:
		*next = POP3_NEXT_LINE;
		return upgrade(g);
	case POP3_NEXT_CLOSE:
		break;
	}
	return CONN_OK;
}

/* Lines until the session is over. *linger_r: our last words may still be on their way. */
static enum session_end converse(struct gate *g, bool *linger_r)
{
	struct conn *c = &g->conn;
	enum pop3_next next = POP3_NEXT_LINE;
	for (;;) {
		enum pop3_next doing = next;
		bool logged_in = g->pop3.state == POP3_TRANSACTION;
		c->deadline = logged_in ? now_ms() + 60000LL * (long long)g->settings->idle_minutes : before_login(g, COMMAND_SECONDS);
		enum conn_result r = turn(g, &next);
		/* Without its keeper a session ends; a command that met that has said so. */
		if (r == CONN_OK && (next == POP3_NEXT_CLOSE || c->keeper_lost)) {
			(void)conn_flush(c);
			enum session_end end = c->keeper_lost ? END_KEEPER_LOST : g->pop3.end;
			*linger_r = end != END_QUIT;
			return end;
		}
		if (r == CONN_OK)
			continue;
		if (doing == POP3_NEXT_TLS && r != CONN_STOPPED && r != CONN_KEEPER_LOST)
			return END_TLS_FAILED;
		enum session_end end = gate_end_of_connection(c, r, logged_in);
		if (end == END_LOGIN_TIMEOUT && now_ms() < g->login_deadline)
			end = END_COMMAND_TIMEOUT;
		/* In the middle of an answer there is no place for other words. */
		if (doing == POP3_NEXT_LINE) {
			say_why(g, end);
			*linger_r = end != END_PEER_CLOSED && end != END_PEER_ERROR && end != END_MADE_ROOM && end != END_STALLED;
		}
		return end;
	}
}

/* The connection that the keeper hands over, or the end of the process when none will come. */
static void receive_hello(struct gate *g, struct rpc_hello *hello_r)
{
	union rpc_message message;
	int fd;
	ssize_t n = rpc_receive(g->conn.keeper, &message, sizeof message, &fd);
	/* Of a shared worker, which was told to stop when the last connection was over. */
	const bool late_stop = g->settings->sessions > 1 && n == (ssize_t)sizeof message.stop && message.verb == RPC_STOP && fd < 0;
	if (n <= 0 || late_stop)
		leave(EXIT_GOOD); /* the worker was not needed, or is not any more */
	if (n != (ssize_t)sizeof *hello_r || message.verb != RPC_HELLO || fd < 0)
		panic("the keeper's first message is no HELLO");
	*hello_r = message.hello;
	g->conn.fd = fd;
	g->lost_ref = message.hello.lost_ref;
}

/* The talk, on a connection that may begin with TLS. */
static enum session_end serve(struct gate *g, bool tls, bool *linger_r)
{
	struct conn *c = &g->conn;
	enum conn_result r = tls ? conn_look_for_tls(c) : CONN_OK;
	if (r == CONN_OK && c->door != DOOR_NONE) {
		(void)pop3_wrong_door(&g->pop3, c->door, &c->out);
		(void)conn_flush(c);
		*linger_r = true;
		return END_WRONG_DOOR;
	}
	if (r == CONN_OK && tls)
		r = start_tls(g);
	if (r != CONN_OK)
		return r == CONN_STOPPED ? gate_end_of_connection(c, r, false) : END_TLS_FAILED;
	pop3_greet(&g->pop3, &c->out);
	return converse(g, linger_r);
}

/* All of one connection, from the keeper's HELLO to its close. */
static void serve_one(struct gate *g, int keeper, SSL_CTX *context, const struct settings *settings, const struct pop3_host *host)
{
	struct rpc_hello hello;
	bool linger = false;
	g->settings = settings;
	g->context = context;
	g->conn.keeper = keeper;
	g->conn.out = BUF_OVER(g->conn.out_storage);
	receive_hello(g, &hello);
	g->login_deadline = g->conn.deadline = now_ms() + 1000LL * (long long)settings->login_seconds;
	g->pop3 = (struct pop3){ .host = host, .tls = hello.tls != 0, .tls_offered = context != NULL,
	                         .plaintext_admitted = policy_admits(settings->plaintext_login, &hello.peer),
	                         .explain = settings_explain(settings, &hello.peer),
	                         .input_pending = &g->input_pending, .login_tries = (unsigned)settings->login_tries };
	gate_end_figures(&g->bye, &g->pop3, &g->conn, serve(g, hello.tls != 0, &linger));
	ahead_forget(&g->ahead);
	/* The last word to the keeper comes first: it lets go of the maildrop while the client reads on. */
	if (!g->conn.keeper_done)
		(void)rpc_send(keeper, &g->bye, sizeof g->bye, -1);
	conn_close(&g->conn, linger);
}

/* Nothing of this client is to be there when the next one comes. What was freed is wiped already (heap.h). */
static void forget_client(struct gate *g)
{
	gate_list_forget(&g->pop3.drop);
	/* The kernel has its pages back: to wipe them would take those that were not used, too. */
	if (madvise(g, sizeof *g, MADV_DONTNEED) != 0)
		wipe(g, sizeof *g);
	message_forget();
	ahead_wipe();
	ERR_clear_error();
	(void)malloc_trim(0);
	wipe_stack();
}

void gate_serve(int keeper, SSL_CTX *context, const struct settings *settings)
{
	static struct gate gate;
	static const struct pop3_host host = { host_login, host_known, host_fetch, host_commit, host_refer, &gate };
	const struct rpc_ready ready = { .verb = RPC_READY };
	for (;;) {
		serve_one(&gate, keeper, context, settings, &host);
		/* Where workers are not shared, one connection is all. */
		if (settings->sessions == 1)
			leave(EXIT_GOOD);
		forget_client(&gate);
		if (rpc_send(keeper, &ready, sizeof ready, -1) != 0)
			leave(EXIT_GOOD);
	}
}
