/*
 * session.c - what a gate may ask for an open mailbox: messages, update; and the session's end.
 * Runs in: keeper, as the mail's owner (before the login as root). Trusts: nothing in the messages beyond their size.
 */
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/attempt.h"
#include "daemon/doors.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/replies.h"
#include "daemon/session_log.h"

void session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate, int signer)
{
	*s = (struct session){ .settings = settings, .master = master, .gate = gate, .signer = signer, .phase = RPC_LOGIN, .in = NO_ENTRY, .owner = HISTORY_NOBODY };
	settings_for_auth(settings, pam_helper, &s->auth);
	s->auth.watch = &s->master;
	s->auth.room = (struct hash_room){ attempt_room, s };
}

void session_begin(struct session *s, const struct sockaddr_storage *peer, long long begun)
{
	s->peer = *peer;
	(void)address_text(peer, s->peer_text, sizeof s->peer_text);
	s->begun = begun;
}

int session_send(const struct session *s, const void *message, size_t size, int fd)
{
	const int r = rpc_send(s->gate, message, size, fd);
	if (r != 0 && errno == EAGAIN)
		violation("it asks, and takes no answers");
	return r;
}

/* Then it asks for nothing more, which shows at the next receive. Whatever else keeps an answer from it, it would wait for ever. */
static bool is_gone(int error)
{
	return error == EPIPE || error == ECONNRESET;
}

/*
 * Send an answer. Descriptors that were sent and not yet received count for their sender's uid in all its processes, and a confined one may have
 * SANDBOX_DESCRIPTORS of these (unix(7), ETOOMANYREFS), so where one uid owns all mail it may have to be tried again, for wait_ms. False:
 * nothing was sent; errno.
 */
static bool send_answer(const struct session *s, struct rpc_answer *a, uint32_t verb, int fd, long long wait_ms)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	const long long end = now_ms() + wait_ms;
	a->verb = verb;
	while (session_send(s, a, sizeof *a, fd) != 0) {
		if (errno != ETOOMANYREFS || now_ms() >= end)
			return is_gone(errno);
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void session_answer(const struct session *s, struct rpc_answer *a, uint32_t verb, int fd)
{
	if (!send_answer(s, a, verb, fd, PASS_MS))
		fatal("the answer to verb %lu", (unsigned long)verb);
}

void session_check_text(const char *text, size_t size, const char *what)
{
	if (memchr(text, '\0', size) == NULL)
		violation("%s without its end", what);
}

/* What goes wrong in an open mailbox is its owner's. */
static void report(const struct session *s, const char *event, const char *words, const struct why *why, struct rpc_answer *a)
{
	session_report(s, &(struct report){ .event = event, .words = words, .user = s->user, .tls = s->bye.tls, .owner = s->owner, .why = why }, a);
}

/* The maildrop is not ours any more. True when that was the answer. */
static bool answer_evicted(const struct session *s, uint32_t verb)
{
	struct rpc_answer a = { .reply = s->evicted };
	if (s->evicted == REPLY_NONE)
		return false;
	(void)snprintf(a.told, sizeof a.told, "%s", s->successor);
	session_answer(s, &a, verb, -1);
	return true;
}

/* wait_ms: as for send_answer(). Its descriptor is closed. False: it could not be passed, and nothing was answered. */
static bool answer_message(const struct session *s, struct rpc_answer *a, const struct message_body *body, long long wait_ms)
{
	a->offset = body->offset;
	a->length = body->length;
	a->wire = body->wire;
	a->as_stored = body->as_stored;
	a->file_size = body->file_size;
	a->modified[0] = (uint64_t)body->modified.tv_sec;
	a->modified[1] = (uint64_t)body->modified.tv_nsec;
	const bool passed = send_answer(s, a, RPC_FETCH, body->fd, wait_ms);
	const int error = errno;
	if (body->fd >= 0)
		(void)close(body->fd);
	errno = error;
	return passed;
}

/*
 * Those that fit, from the one that is wanted on, in one answer. False: not even that one, or the host has no room for so large a message of its
 * sockets, now or ever (net.core.wmem_default).
 */
static bool answer_text(const struct session *s, size_t idx, size_t most)
{
	static struct rpc_text text;
	size_t used = 0, len;
	uint64_t wire;
	text.count = 0;
	while (text.count < most && maildrop_read(s->in.drop, idx + text.count, text.octets + used, sizeof text.octets - used, &len, &wire) == 0) {
		text.wire[text.count] = (uint32_t)wire;
		text.lengths[text.count++] = (uint32_t)len;
		used += len;
	}
	if (text.count == 0)
		return false;
	text.answer = (struct rpc_answer){ .verb = RPC_FETCH, .reply = REPLY_MESSAGE, .n = { idx + 1 } };
	const bool over = session_send(s, &text, offsetof(struct rpc_text, octets) + used, -1) == 0 || is_gone(errno);
	if (s->settings->sessions > 1)
		explicit_bzero(text.octets, used);
	return over;
}

/* Of each message that is likely to be wanted next, so much is read from the disk meanwhile; the kernel goes on from there by itself. */
enum { AHEAD_OCTETS = 128 * 1024 };

/* What has to be read first is so when it is wanted, or the client would wait for those behind what it wants. */
static bool fetch_ahead(const struct session *s, size_t idx, struct message_body *body_r)
{
	struct why why;
	return !maildrop_is_unopened(s->in.drop, idx) && maildrop_fetch(s->in.drop, idx, body_r, &why) == 0;
}

/* What nobody has asked for yet may fail without a word: the gate asks again when it is wanted. */
static void answer_ahead(const struct session *s, size_t idx, size_t more)
{
	for (size_t i = 0; i < more; i++) {
		struct rpc_answer a = { .reply = REPLY_MESSAGE };
		struct message_body body = { .fd = -1 };
		if (fetch_ahead(s, idx + i, &body)) {
			/* An advice: whether it is taken does not matter. */
			(void)posix_fadvise(body.fd, (off_t)body.offset, body.length < AHEAD_OCTETS ? (off_t)body.length : AHEAD_OCTETS, POSIX_FADV_WILLNEED);
			if (answer_message(s, &a, &body, 0))
				continue;
		}
		a = (struct rpc_answer){ .reply = REPLY_NONE };
		session_answer(s, &a, RPC_FETCH, -1);
	}
}

static void answer_not_sent(const struct session *s, struct rpc_answer *a, size_t idx, const struct why *why)
{
	const bool busy = why->reason == REASON_MAILDROP_BUSY || why->reason == REASON_MAILDROP_DELIVERY;
	const bool its_own = busy || why->reason == REASON_MESSAGE_GONE || why->reason == REASON_MESSAGE_CHANGED;
	char words[64];
	*a = (struct rpc_answer){ .reply = (uint32_t)(its_own ? reply_for_reason(why->reason, true) : REPLY_MESSAGE_IO), .n = { idx + 1 } };
	memcpy(a->told, why->told, sizeof a->told);
	(void)snprintf(words, sizeof words, "message %zu not sent", idx + 1);
	report(s, "message-not-sent", words, why, a);
	session_answer(s, a, RPC_FETCH, -1);
}

void session_fetch(struct session *s, union rpc_message *message)
{
	const size_t idx = message->fetch.idx, more = message->fetch.more;
	struct rpc_answer a = { .reply = REPLY_MESSAGE, .n = { idx + 1 } };
	struct message_body body = { .fd = -1 };
	struct why why;
	if (answer_evicted(s, RPC_FETCH))
		return;
	if (more > RPC_MORE_MOST || idx >= s->count || more >= s->count - idx)
		violation("message %zu+%zu of %zu", idx, more, s->count);
	if (answer_text(s, idx, more + 1))
		return;
	int r = maildrop_fetch(s->in.drop, idx, &body, &why);
	if (r == 0 && !answer_message(s, &a, &body, PASS_MS))
		r = why_errno(&why, errno, "pass a descriptor");
	if (r == 0)
		answer_ahead(s, idx + 1, more);
	else
		answer_not_sent(s, &a, idx, &why);
}

void session_mark(struct session *s, union rpc_message *message)
{
	const struct rpc_mark *m = &message->mark;
	if (m->count > RPC_MARKS || m->first > s->count || m->count > s->count - m->first)
		violation("marks %lu+%lu of %zu", (unsigned long)m->first, (unsigned long)m->count, s->count);
	for (size_t i = 0; i < m->count; i++)
		if ((m->bits[i / 8] >> (i % 8)) & 1) {
			s->marked += !s->marks[m->first + i];
			s->marks[m->first + i] = true;
		}
}

/* Messages that are named in the log when they could not be removed; the others are counted. Whoever owns a mailbox can make it all of them. */
enum { KEPT_LINES = 10 };

/* The messages that stayed although they were marked, by number and unique-id. How many. */
static size_t log_kept(const struct session *s, const int *errors)
{
	struct message_record record;
	size_t kept = 0;
	char user[4 * USER_NAME_MAX + 4];
	for (size_t i = 0; i < s->count; i++) {
		if (!s->marks[i] || errors[i] == 0 || kept++ >= KEPT_LINES)
			continue;
		maildrop_record(s->in.drop, i, &record);
		log_line(LOG_ERR, "user=%s message %zu (uidl %s) not removed: %s", log_text(s->user, user, sizeof user), i + 1,
		         record.uidl, strerror(errors[i]));
	}
	if (kept > KEPT_LINES)
		log_line(LOG_ERR, "user=%s %zu more messages not removed", log_text(s->user, user, sizeof user), kept - KEPT_LINES);
	return kept;
}

static void update(struct session *s, struct rpc_answer *a)
{
	struct why why = { .reason = REASON_NONE };
	int *errors = calloc(s->count + 1, sizeof *errors);
	size_t kept = s->marked;
	if (errors == NULL)
		(void)why_errno(&why, ENOMEM, "room for %zu results", s->count);
	else if (s->marked == 0 || maildrop_update(s->in.drop, s->marks, errors, &why) == 0)
		kept = 0;
	else
		kept = log_kept(s, errors);
	free(errors);
	s->deleted = s->marked - kept;
	s->left = s->count - s->deleted;
	a->n[0] = kept > 0 ? kept : s->deleted;
	a->n[1] = kept > 0 ? s->marked : s->left;
	if (kept == 0)
		return;
	a->reply = (uint32_t)reply_not_removed(why.reason);
	report(s, "update-incomplete", "update incomplete", &why, a);
}

static void take_bye(struct session *s, const struct rpc_bye *bye)
{
	s->bye = *bye;
	if (s->bye.end >= END_COUNT || s->bye.door >= DOOR_COUNT)
		violation("an end of session that is none: %lu at door %lu", (unsigned long)s->bye.end, (unsigned long)s->bye.door);
	s->bye.detail[sizeof s->bye.detail - 1] = '\0';
	s->said_bye = true;
	s->over = true;
}

void session_commit(struct session *s, union rpc_message *message)
{
	struct rpc_answer a = { .reply = REPLY_BYE_UPDATED };
	s->phase = RPC_OVER;
	if (answer_evicted(s, RPC_COMMIT))
		return;
	if (message->commit.marked != s->marked)
		violation("commit of %lu marks, but %zu came", (unsigned long)message->commit.marked, s->marked);
	take_bye(s, &message->commit.bye);
	update(s, &a);
	s->committed = true;
	/* The client may log in again the moment it reads the answer. */
	leave_maildrop(&s->in);
	session_answer(s, &a, RPC_COMMIT, -1);
}

void session_refer(struct session *s, union rpc_message *message)
{
	const struct rpc_refer *m = &message->refer;
	struct rpc_answer a = { .reply = m->reply, .n = { m->n[0], m->n[1], m->n[2] } };
	const struct why why = { .reason = REASON_NONE };
	session_check_text(m->user, USER_NAME_MAX + 1, "user name");
	if (m->reply >= REPLY_COUNT || !reply_row((enum reply)m->reply)->referenced)
		violation("a reference for reply %lu", (unsigned long)m->reply);
	session_report(s, &(struct report){ .event = "told", .words = "told", .guess = !s->logged_in, .quiet = session_log_enough(s, (enum reply)m->reply), .user = s->logged_in ? s->user : m->user,
	                                    .tls = m->tls, .owner = s->owner, .why = &why }, &a);
	session_answer(s, &a, RPC_REFER, -1);
}

void session_active(struct session *s, union rpc_message *message)
{
	(void)message;
	s->heard = now_ms();
}

/* Let go of the maildrop, so that nothing can be read or removed any more, and tell the client why. */
static void yield(struct session *s, enum reply reply)
{
	struct rpc_answer a = { .reply = reply };
	struct rpc_stop stop = { .verb = RPC_STOP, .reply = reply };
	const struct why why = { .reason = REASON_NONE };
	(void)snprintf(a.told, sizeof a.told, "%s", s->successor);
	memcpy(stop.told, a.told, sizeof stop.told);
	if (reply == REPLY_ENDED)
		report(s, "ended-by-administrator", "ended by the administrator", &why, &a);
	else
		report(s, "taken-over", "taken over", &why, &a);
	/* Our gate may be at the list. */
	s->in.index.frozen = true;
	stop.ref = a.ref;
	s->evicted = reply;
	s->stopping = true;
	leave_maildrop(&s->in);
	(void)session_send(s, &stop, sizeof stop, -1);
}

void session_bell(struct session *s)
{
	const time_t limit = (time_t)(60 * s->settings->idle_minutes) + ACTIVE_MS / 1000, silent = (time_t)((now_ms() - s->heard) / 1000);
	struct bell_state state = { .since = s->since, .heard = time(NULL) - silent };
	char peer[sizeof s->successor];
	enum bell_wish wish;
	int answer;
	if (!bell_heard(&s->in.bell, &wish, peer, &answer))
		return;
	/* The whole minute in which it is over at the latest. */
	state.free_by = (state.heard + limit + 59) / 60 * 60;
	state.yields = wish == BELL_END || (wish == BELL_TAKE_OVER && silent >= TAKE_OVER_SECONDS);
	(void)snprintf(state.peer, sizeof state.peer, "%s", s->peer_text);
	bell_answer(answer, &state);
	if (state.yields != 0) {
		memcpy(s->successor, peer, sizeof s->successor);
		yield(s, wish == BELL_END ? REPLY_ENDED : REPLY_TAKEN_OVER);
	}
}

void session_bye(struct session *s, union rpc_message *message)
{
	take_bye(s, &message->bye);
}

void session_end(struct session *s)
{
	leave_maildrop(&s->in);
	session_log_end(s);
}

void session_ready(struct session *s, union rpc_message *message)
{
	(void)message;
	s->ready = true;
}

void session_forget(struct session *s)
{
	free(s->marks);
	explicit_bzero(s, sizeof *s);
	/* What was freed is wiped already (heap.h). */
	(void)malloc_trim(0);
	wipe_stack();
}
