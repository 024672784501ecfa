/*
 * session.c - what a gate may ask its keeper for: login, messages, update, and the line in the log.
 * Runs in: keeper, as root until enter() becomes the mail's owner, then as that.
 * Trusts: nothing in the messages beyond their size.
 */
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/number.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/replies.h"
#include "daemon/session_log.h"

void session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate)
{
	*s = (struct session){ .settings = settings, .master = master, .gate = gate, .phase = RPC_LOGIN, .in = NO_ENTRY };
	settings_for_auth(settings, pam_helper, &s->auth);
	s->auth.watch = &s->master;
}

void session_begin(struct session *s, const struct sockaddr_storage *peer)
{
	s->peer = *peer;
	(void)address_text(peer, s->peer_text, sizeof s->peer_text);
	s->begun = now_ms();
}

/* An answer goes out whole or the gate is gone; then the next receive says so. */
static void answer(const struct session *s, struct rpc_answer *a, uint32_t verb, int fd)
{
	a->verb = verb;
	(void)rpc_send(s->gate, a, sizeof *a, fd);
}

/* A string from the gate ends within its storage, or the gate is hostile. */
static void check_text(const char *text, size_t size, const char *what)
{
	if (memchr(text, '\0', size) == NULL)
		violation("%s without its end", what);
}

/* ---- login ---- */

void session_known(struct session *s, union rpc_message *message)
{
	struct rpc_answer a = { .reply = REPLY_SEND_PASS };
	struct why why = { .reason = REASON_NONE };
	const char *user = message->known.user;
	check_text(user, sizeof message->known.user, "user name");
	if (!policy_admits(s->settings->explain_failures, &s->peer))
		violation("asked who exists, which explain_failures does not admit");
	if (auth_known(&s->auth, user, &why) == 0) {
		a.reply = REPLY_MAILBOX_UNKNOWN;
		(void)why_set(&why, REASON_USER_UNKNOWN, 0, "no back end knows the name given with USER");
		session_log_failure(s, user, &why, 0);
	}
	answer(s, &a, RPC_KNOWN, -1);
}

/* Hold the answer to a failed login back until its slot; ends early when there is nobody to answer. */
static void await_slot(const struct session *s, long long asked)
{
	long long slots = (now_ms() - asked) / FAILURE_SLOT_MS + 1;
	long long due = asked + slots * FAILURE_SLOT_MS, left;
	struct pollfd fds[] = { { .fd = s->gate, .events = 0 }, { .fd = s->stopping ? -1 : s->master, .events = POLLIN } };
	while ((left = due - now_ms()) > 0)
		if (poll(fds, 2, (int)left) != 0)
			return;
}

static void login_failed(struct session *s, const struct rpc_auth *request, long long asked, bool proven, const struct why *why)
{
	struct rpc_answer a = { .reply = REPLY_NONE };
	bool told = proven || policy_admits(s->settings->explain_failures, &s->peer);
	a.reply = (uint32_t)reply_for_reason(why->reason, told);
	s->failed_logins++;
	session_log_failure(s, request->user, why, request->tls);
	await_slot(s, asked);
	answer(s, &a, RPC_AUTH, -1);
}

/* What an earlier session wrote, as a sentence goes on: " since 10:02 from 203.0.113.7". Empty when it is not of that form. */
static void read_holder(const char *text, char *told, size_t size)
{
	char clock[16];
	uint64_t seconds;
	size_t digits = strcspn(text, " ");
	told[0] = '\0';
	if (parse_number(text, digits, 0, INT32_MAX, &seconds) != 0 || text[digits] == '\0')
		return;
	time_t since = (time_t)seconds;
	struct tm tm;
	if (localtime_r(&since, &tm) != NULL && strftime(clock, sizeof clock, "%H:%M", &tm) > 0)
		(void)snprintf(told, size, " since %s from %.*s", clock, INET6_ADDRSTRLEN, text + digits + 1);
}

/* The password was right, the maildrop cannot be had: the truth, at once. */
static void maildrop_failed(struct session *s, const struct rpc_auth *request, const struct why *why)
{
	struct rpc_answer a = { .reply = (uint32_t)reply_for_reason(why->reason, true), .final = s->in.rights_gone };
	if (why->reason == REASON_MAILDROP_LOCKED)
		read_holder(why->told, a.told, sizeof a.told);
	s->failed_logins++;
	session_log_failure(s, request->user, why, request->tls);
	answer(s, &a, RPC_AUTH, -1);
}

/* For people who meet the lock: since when (seconds since 1970), and from where. */
static void write_holder(const struct session *s, char *text, size_t size)
{
	(void)snprintf(text, size, "%lld %s", (long long)time(NULL), s->peer_text);
}

static void notice(void *context, enum notice weight, const char *text)
{
	const struct session *s = context;
	char user[4 * USER_NAME_MAX + 4];
	log_line(notice_priority(weight), "maildrop of %s: %s", log_text(s->user, user, sizeof user), text);
}

/* 0, or -1 and *why_r; s->in.rights_gone tells how far it came. */
static int enter(struct session *s, const struct identity *who, struct why *why_r)
{
	struct maildrop_place place;
	char holder[WHY_TOLD_MAX];
	if (maildrop_place_expand(s->settings->location, who->user, who->home, &place, why_r) != 0)
		return -1;
	write_holder(s, holder, sizeof holder);
	return enter_maildrop(&s->in, s->settings, &place, who->uid, who->gid, holder, notice, s, why_r);
}

/* The list for the gate, in memory that nobody can change any more. A descriptor, or -1 and *why_r. */
static int make_snapshot(const struct maildrop *drop, struct why *why_r)
{
	enum { AT_ONCE = 64 };
	struct message_record records[AT_ONCE];
	const size_t count = maildrop_count(drop);
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return why_errno(why_r, errno, "memfd_create");
	for (size_t first = 0, n; first < count; first += n) {
		n = count - first < AT_ONCE ? count - first : AT_ONCE;
		for (size_t i = 0; i < n; i++)
			maildrop_record(drop, first + i, &records[i]);
		if (io_write_at(fd, (const char *)records, n * sizeof *records, first * sizeof *records) != 0) {
			(void)why_errno(why_r, errno, "writing the list of messages");
			(void)close(fd);
			return -1;
		}
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		fatal("sealing the list of messages");
	return fd;
}

static int open_session(struct session *s, const struct identity *who, int *snapshot_r, struct why *why_r)
{
	*snapshot_r = -1;
	if (enter(s, who, why_r) != 0)
		return -1;
	s->count = maildrop_count(s->in.drop);
	if (s->count > UINT32_MAX)
		return why_set(why_r, REASON_NO_MEMORY, 0, "%zu messages are more than POP3 can be served with", s->count);
	s->marks = calloc(s->count + 1, sizeof *s->marks);
	if (s->marks == NULL)
		return why_errno(why_r, ENOMEM, "marks for %zu messages", s->count);
	s->left = s->count;
	if (s->count > 0 && (*snapshot_r = make_snapshot(s->in.drop, why_r)) < 0)
		return -1;
	return 0;
}

void session_auth(struct session *s, union rpc_message *message)
{
	struct rpc_auth *request = &message->auth;
	struct identity who;
	struct why why = { .reason = REASON_NONE };
	long long asked = now_ms();
	bool proven = false;
	int snapshot;
	check_text(request->user, sizeof request->user, "user name");
	if (request->password.len > PASSWORD_MAX || request->password.text[request->password.len] != '\0')
		violation("password without its end");
	if (s->in.rights_gone || s->failed_logins >= s->settings->login_tries)
		violation("another login after the last one that was allowed");
	memcpy(s->user, request->user, sizeof s->user);
	const struct auth_request ask = { .user = request->user, .password = &request->password, .remote_host = s->peer_text };
	int verified = auth_verify(&s->auth, &ask, &who, &proven, &why);
	/* Before anything is forked from here, or becomes the user's. */
	secret_wipe(&request->password);
	if (verified != 0) {
		login_failed(s, request, asked, proven, &why);
		return;
	}
	memcpy(s->user, who.user, sizeof s->user);
	s->bye.tls = request->tls;
	if (open_session(s, &who, &snapshot, &why) != 0) {
		leave_maildrop(&s->in);
		maildrop_failed(s, request, &why);
		return;
	}
	s->phase = RPC_SESSION;
	s->logged_in = true;
	struct rpc_answer a = { .reply = REPLY_LOGGED_IN, .count = (uint32_t)s->count };
	answer(s, &a, RPC_AUTH, snapshot);
	if (snapshot >= 0)
		(void)close(snapshot);
	forget_stack();
}

/* ---- the open maildrop ---- */

void session_fetch(struct session *s, union rpc_message *message)
{
	struct rpc_answer a = { .reply = REPLY_MESSAGE, .n = { (uint64_t)message->fetch.idx + 1 } };
	struct message_body body = { .fd = -1 };
	struct why why;
	if (message->fetch.idx >= s->count)
		violation("message %lu of %zu", (unsigned long)message->fetch.idx, s->count);
	if (maildrop_fetch(s->in.drop, message->fetch.idx, &body, &why) != 0) {
		char user[4 * USER_NAME_MAX + 4];
		bool its_own = why.reason == REASON_MESSAGE_GONE || why.reason == REASON_MESSAGE_CHANGED || why.reason == REASON_MAILDROP_BUSY;
		a.reply = (uint32_t)(its_own ? reply_for_reason(why.reason, true) : REPLY_MESSAGE_IO);
		log_line(LOG_WARNING, "user=%s message %lu: %s", log_text(s->user, user, sizeof user), (unsigned long)message->fetch.idx + 1, why.text);
	}
	a.offset = body.offset;
	a.length = body.length;
	answer(s, &a, RPC_FETCH, body.fd);
	if (body.fd >= 0)
		(void)close(body.fd);
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

/* Each message that stayed although it was marked, by number and unique-id. */
static size_t log_kept(const struct session *s, const int *errors)
{
	struct message_record record;
	size_t kept = 0;
	char user[4 * USER_NAME_MAX + 4];
	for (size_t i = 0; i < s->count; i++) {
		if (!s->marks[i] || errors[i] == 0)
			continue;
		kept++;
		maildrop_record(s->in.drop, i, &record);
		log_line(LOG_ERR, "user=%s message %zu (uidl %s) not removed: %s", log_text(s->user, user, sizeof user), i + 1,
		         record.uidl, strerror(errors[i]));
	}
	return kept;
}

static void update(struct session *s, struct rpc_answer *a)
{
	struct why why = { .reason = REASON_NONE };
	int *errors = calloc(s->count + 1, sizeof *errors);
	size_t kept = s->marked;
	if (errors == NULL) {
		(void)why_errno(&why, ENOMEM, "room for %zu results", s->count);
	} else if (s->marked == 0 || maildrop_update(s->in.drop, s->marks, errors, &why) == 0) {
		kept = 0;
	} else {
		kept = log_kept(s, errors);
		log_line(LOG_ERR, "update: %s", why.text);
	}
	free(errors);
	s->deleted = s->marked - kept;
	s->left = s->count - s->deleted;
	a->n[0] = kept > 0 ? kept : s->deleted;
	a->n[1] = kept > 0 ? s->marked : s->left;
	if (kept == 0)
		return;
	a->reply = (uint32_t)reply_not_removed(why.reason);
	(void)snprintf(a->told, sizeof a->told, " (%s)", session_cause_text(&why));
}

void session_commit(struct session *s, union rpc_message *message)
{
	struct rpc_answer a = { .reply = REPLY_BYE_UPDATED };
	if (message->commit.marked != s->marked)
		violation("commit of %lu marks, but %zu came", (unsigned long)message->commit.marked, s->marked);
	update(s, &a);
	s->committed = true;
	s->phase = RPC_OVER;
	/* The client may log in again the moment it reads the answer. */
	leave_maildrop(&s->in);
	answer(s, &a, RPC_COMMIT, -1);
}

void session_bye(struct session *s, union rpc_message *message)
{
	s->bye = message->bye;
	if (s->bye.end >= END_COUNT)
		violation("an end of session that is none: %lu", (unsigned long)s->bye.end);
	s->bye.detail[sizeof s->bye.detail - 1] = '\0';
	s->said_bye = true;
	s->over = true;
}

void session_end(struct session *s)
{
	leave_maildrop(&s->in);
	session_log_end(s);
}
