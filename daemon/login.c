/*
 * login.c - what a gate may ask before the mailbox is open: does the user exist, may he log in; and the way in.
 * Runs in: keeper, as root until enter_maildrop() becomes the mail's owner, then as that.
 * Trusts: nothing in the messages beyond their size.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "daemon/attempt.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/session.h"
#include "daemon/session_log.h"
#include "daemon/shared.h"
#include "daemon/session_words.h"

/* Octets that a login with its PATH_MAX names and the passwd file's piece touches, and what crypt(3) needs besides. */
enum { LOGIN_STACK = 32 * 1024, HASH_HEAP = 44 * 1024 };

/* The pages of a login, not before there is one: most of what an idle keeper would hold. Those of a hash only where one is computed. */
static void prepare(struct session *s)
{
	if (!s->prepared)
		touch_pages(LOGIN_STACK, 0);
	s->prepared = true;
}

/* ---- failures ---- */

void session_known(struct session *s, union rpc_message *message)
{
	struct rpc_answer a = { .reply = REPLY_SEND_PASS };
	struct why why = { .reason = REASON_NONE };
	char *const user = message->known.user;
	prepare(s);
	session_check_text(user, sizeof message->known.user, "user name");
	auth_user_name(&s->auth, user);
	if (!settings_explain(s->settings, &s->peer))
		violation("asked who exists, which explain_failures does not admit");
	if (auth_known(&s->auth, user, &why) == 0) {
		a.reply = REPLY_MAILBOX_UNKNOWN;
		(void)why_set(&why, REASON_USER_UNKNOWN, 0, "no back end knows the name given with USER");
		session_report(s, &(struct report){ .event = "login-failed", .words = "login failed", .guess = true, .quiet = session_log_enough(s, REPLY_MAILBOX_UNKNOWN),
		                                    .user = user, .tls = message->known.tls, .owner = HISTORY_NOBODY, .why = &why }, &a);
	}
	session_answer(s, &a, RPC_KNOWN, -1);
}

/*
 * Hold the answer to a failed login back until its slot; ends early when there is nobody to answer, or was told to end: before that nobody
 * had looked at the password.
 */
static void await_slot(const struct session *s, long long asked)
{
	long long slots = (now_ms() - asked) / FAILURE_SLOT_MS + 1;
	long long due = asked + slots * FAILURE_SLOT_MS, left;
	struct pollfd fds[] = { { .fd = s->gate, .events = 0 }, { .fd = s->master, .events = POLLIN } };
	while (!s->stopping && (left = due - now_ms()) > 0)
		if (poll(fds, 2, (int)left) != 0)
			return;
}

/* What came out of a password. */
struct verdict {
	bool proven;          /* it is right, and yet there is no login */
	struct identity who;  /* after a failure .uid only: whose mailbox it was about, NO_ID when that is not known */
	struct why why;
	uint32_t crowd;       /* enum job_crowd */
	unsigned seconds;     /* REASON_SLOWED: when to try again */
	bool quiet;           /* not for the log */
};

static void login_failed(struct session *s, const struct rpc_auth *request, long long asked, const struct verdict *v)
{
	const struct why *why = &v->why;
	struct rpc_answer a = { .reply = REPLY_NONE, .n = { v->seconds } };
	bool told = v->proven || settings_explain(s->settings, &s->peer);
	a.reply = (uint32_t)reply_for_reason(why->reason, told);
	/* What PAM's modules said is for who has proven the password; where to find help is for everybody. */
	if (v->proven)
		memcpy(a.told, why->told, sizeof a.told);
	else if (a.reply == REPLY_NOT_ACCEPTED)
		memcpy(a.told, s->settings->login_help, sizeof a.told);
	s->failed_logins++;
	session_report(s, &(struct report){ .event = "login-failed", .words = "login failed", .guess = !v->proven, .quiet = v->quiet, .user = request->user,
	                                    .tls = request->tls, .why = why, .owner = v->who.uid }, &a);
	await_slot(s, asked);
	session_answer(s, &a, RPC_AUTH, -1);
}

/* Who has the mailbox, as exactly as that is known. */
static void tell_holder(const struct entry *e, enum on_locked on_locked, struct rpc_answer *a)
{
	const struct bell_state *holder = &e->holder;
	const time_t now = time(NULL);
	const uint64_t idle = now > holder->heard ? (uint64_t)(now - holder->heard) : 0;
	if (e->holder_known == HOLDER_UNKNOWN)
		return; /* REPLY_LOCKED_UNNAMED */
	(void)snprintf(a->told, sizeof a->told, "%s", holder->peer);
	a->n[0] = (uint64_t)holder->since;
	if (e->holder_known == HOLDER_SILENT) {
		a->reply = REPLY_LOCKED_WORKING;
	} else if (on_locked == ON_LOCKED_TAKE_OVER && idle < TAKE_OVER_SECONDS) {
		a->reply = REPLY_LOCKED_SOON;
		a->n[1] = idle;
		a->n[2] = TAKE_OVER_SECONDS - idle;
	} else {
		a->reply = idle < 60 ? REPLY_LOCKED_ACTIVE : REPLY_LOCKED;
		a->n[1] = idle < 60 ? idle : idle / 60;
		a->n[2] = (uint64_t)holder->free_by;
	}
}

/* The password was right, the maildrop cannot be had: the truth, at once. */
static void maildrop_failed(struct session *s, const struct rpc_auth *request, const struct identity *who, const struct why *why)
{
	struct rpc_answer a = { .reply = (uint32_t)reply_for_reason(why->reason, true), .final = s->in.rights_gone };
	memcpy(a.told, why->told, sizeof a.told);
	if (why->reason == REASON_MAILDROP_BUSY && why->told[0] != '\0')
		a.reply = REPLY_BUSY_NAMED;
	if (why->reason == REASON_MAILDROP_LOCKED)
		tell_holder(&s->in, s->settings->on_locked.what, &a);
	s->failed_logins++;
	session_report(s, &(struct report){ .event = "login-failed", .words = "login failed", .user = request->user, .tls = request->tls, .owner = who->uid, .why = why }, &a);
	session_answer(s, &a, RPC_AUTH, -1);
}

/* ---- the way in ---- */

static void notice(void *context, enum notice weight, const char *text)
{
	struct session *s = context;
	char user[4 * USER_NAME_MAX + 4];
	/* Whoever owns a Maildir can put as many links into it as he likes. */
	if (weight == NOTICE_ODD && ++s->odd > NOTICES_MOST)
		return;
	log_line(notice_priority(weight), "maildrop of %s: %s", log_text(s->user, user, sizeof user), text);
}

/* What root has, and the mail's owner must not have. */
static void shed(void *context)
{
	struct session *s = context;
	attempt_forget();
	if (s->signer >= 0)
		(void)close(s->signer);
	s->signer = -1;
}

/* Nothing is at the place: 0; or -1 and *why_r, when that is for want of a mount. */
static int pass_over(const struct session *s, const struct identity *who, const struct maildrop_place *place, struct why *why_r)
{
	const struct maildrop_trace trace = index_look(s->settings->index_directory, place, who->uid, who->gid);
	if (trace.count == 0)
		return 0;
	reach_as(who->uid, who->gid);
	const int r = maildrop_check_mounted(place->path, &trace, why_r);
	reach_as_root();
	if (r == 0)
		log_line(LOG_INFO, "%s is gone, where %zu messages were at the last login; the next location is used", s->place, trace.count);
	return r;
}

/*
 * The first of the locations where something is, or the last one. Looked for with the rights of the mail's owner: a home may be open to nobody
 * else (on NFS not even to root), and root tells nobody what lies where a user's links lead.
 */
static int choose_place(struct session *s, const struct identity *who, struct maildrop_place *place_r, struct why *why_r)
{
	char location[sizeof s->settings->location];
	for (const char *rest = s->settings->location;;) {
		rest = maildrop_location_cut(rest, location);
		if (maildrop_place_expand(location, who->user, who->home, place_r, why_r) != 0)
			return -1;
		(void)snprintf(s->place, sizeof s->place, "%s:%.*s", place_r->format == MAILDROP_MBOX ? "mbox" : "maildir", (int)sizeof s->place - 16,
		               place_r->path);
		if (rest == NULL)
			return 0;
		reach_as(who->uid, who->gid);
		const bool absent = maildrop_is_absent(place_r);
		reach_as_root();
		if (!absent)
			return 0;
		if (pass_over(s, who, place_r, why_r) != 0)
			return -1;
	}
}

/* 0, or -1 and *why_r; s->in.rights_gone tells how far it came. */
static int enter(struct session *s, const struct identity *who, uint32_t crowd, struct why *why_r)
{
	struct maildrop_place place;
	const enum on_locked on_locked = s->settings->on_locked.what == ON_LOCKED_WAIT && crowd != CROWD_NONE ? ON_LOCKED_REFUSE : s->settings->on_locked.what;
	/* Whom another login of this connection met is not in the way of this one. */
	s->in = NO_ENTRY;
	if (crowd == CROWD_FULL)
		return why_set(why_r, REASON_MAILDROP_LOCKED, 0, "%d sessions of this user are open, or wait for the mailbox", ACCOUNT_SESSIONS);
	if (choose_place(s, who, &place, why_r) != 0)
		return -1;
	const struct entrant entrant = { .settings = s->settings, .place = &place, .uid = who->uid, .gid = who->gid, .user = who->user, .peer = s->peer_text,
	                                 .on_locked = on_locked, .confined = !shared_workers(s->settings), .watch = s->master, .shed = shed,
	                                 .notice = notice, .context = s };
	return enter_maildrop(&s->in, &entrant, why_r);
}

/* What the gate gets besides the answer. */
struct snapshot {
	int fd;                   /* -1: no messages */
	bool borrowed;            /* the index, not to be closed */
	uint64_t offset, size;
};

static int take_snapshot(struct session *s, struct snapshot *snapshot_r, struct why *why_r)
{
	const struct maildrop_list list = maildrop_list(s->in.drop);
	s->octets = list.list->octets;
	memcpy(s->list, list.list->header->digest, sizeof s->list);
	*snapshot_r = (struct snapshot){ .fd = list.fd, .borrowed = list.fd >= 0, .offset = list.offset, .size = list.size };
	if (list.fd >= 0)
		return 0;
	snapshot_r->fd = io_sealed("snapshot", list.image, list.size);
	snapshot_r->offset = 0;
	return snapshot_r->fd < 0 ? why_errno(why_r, errno, "a file in memory for the list of messages") : 0;
}

static int open_session(struct session *s, const struct verdict *v, struct snapshot *snapshot_r, struct why *why_r)
{
	*snapshot_r = (struct snapshot){ .fd = -1 };
	if (enter(s, &v->who, v->crowd, why_r) != 0)
		return -1;
	s->count = maildrop_count(s->in.drop);
	if (s->count > UINT32_MAX)
		return why_set(why_r, REASON_NO_MEMORY, 0, "%zu messages are more than POP3 can be served with", s->count);
	s->marks = calloc(s->count + 1, sizeof *s->marks);
	if (s->marks == NULL)
		return why_errno(why_r, ENOMEM, "marks for %zu messages", s->count);
	s->left = s->count;
	return s->count > 0 ? take_snapshot(s, snapshot_r, why_r) : 0;
}

/*
 * Will the same password be refused again, until somebody sets another or changes the configuration? Others, such as a module's own locks, pass.
 * Whoever repeats one and is slowed down for some names and not for others learns which there are.
 */
static bool is_lasting(enum reason reason)
{
	return reason == REASON_PASSWORD_WRONG || reason == REASON_USER_UNKNOWN || reason == REASON_ACCOUNT_LOCKED || reason == REASON_UID_REFUSED;
}

/* Tell the master what became of it. proven: what it took for right already. */
static void tell_outcome(const struct session *s, int verified, const struct verdict *v, uint64_t proven)
{
	const enum reason reason = v->why.reason;
	if (verified == 0 && proven != 0 && v->who.record == proven)
		return;
	if (verified == 0)
		attempt_tell_right(s, v->who.record);
	else if (v->proven || reason == REASON_AUTH_TEMPORARY || reason == REASON_AUTH_SETUP)
		attempt_tell(s, KEEPER_MOOT, REASON_NONE, NO_ID);
	else
		attempt_tell(s, KEEPER_FAILED, is_lasting(reason) ? reason : REASON_NONE, v->who.uid);
}

/* Is it the right password? 0, or -1. */
static int verify(struct session *s, const struct rpc_auth *request, struct verdict *v_r)
{
	const struct job answer = attempt_ask(s, request);
	const struct auth_request ask = { .user = request->user, .password = &request->password, .remote_host = s->peer_text, .proven = answer.proven };
	int verified = -1;
	*v_r = (struct verdict){ .who = { .uid = NO_ID, .gid = NO_ID }, .crowd = answer.crowd, .seconds = answer.seconds, .quiet = answer.quiet != 0 };
	switch (answer.verb) {
	case JOB_VERIFY:
		if (answer.proven == 0)
			touch_pages(0, HASH_HEAP);
		verified = auth_verify(&s->auth, &ask, &v_r->who, &v_r->proven, &v_r->why);
		tell_outcome(s, verified, v_r, answer.proven);
		break;
	case JOB_REPEATED:
		v_r->who.uid = answer.owner;
		(void)why_set(&v_r->why, answer.reason < REASON_COUNT ? (enum reason)answer.reason : REASON_PASSWORD_WRONG, 0, WORDS_REPEATED " (repeat_seconds)");
		break;
	case JOB_REFUSED:
		(void)why_set(&v_r->why, REASON_SLOWED, 0, "not verified: too many wrong passwords from this network or for this account");
		break;
	default: /* given up */
		attempt_tell(s, KEEPER_MOOT, REASON_NONE, NO_ID);
		/* Thousands may be sent away at once, and nobody has failed. */
		v_r->quiet = true;
		(void)why_set(&v_r->why, REASON_AUTH_TEMPORARY, 0, "given up: the server stops, the connection makes room, or the client is gone");
		break;
	}
	return verified;
}

/* Not within session_auth(): its frame is among the pages that are taken ahead there. */
__attribute__((noinline))
static void authenticate(struct session *s, union rpc_message *message)
{
	struct rpc_auth *request = &message->auth;
	struct verdict v;
	struct why why = { .reason = REASON_NONE };
	long long asked = now_ms();
	struct snapshot snapshot;
	session_check_text(request->user, sizeof request->user, "user name");
	if (request->password.len > PASSWORD_MAX || request->password.text[request->password.len] != '\0')
		violation("password without its end");
	if (s->in.rights_gone || s->failed_logins >= s->settings->login_tries)
		violation("another login after the last one that was allowed");
	auth_user_name(&s->auth, request->user);
	memcpy(s->user, request->user, sizeof s->user);
	int verified = verify(s, request, &v);
	/* Before anything is forked from here, or becomes the user's. */
	secret_wipe(&request->password);
	if (verified != 0) {
		login_failed(s, request, asked, &v);
		return;
	}
	memcpy(s->user, v.who.user, sizeof s->user);
	s->bye.tls = request->tls;
	if (open_session(s, &v, &snapshot, &why) != 0) {
		leave_maildrop(&s->in);
		free(s->marks);
		s->marks = NULL;
		attempt_tell(s, KEEPER_MOOT, REASON_NONE, NO_ID);
		maildrop_failed(s, request, &v.who, &why);
		return;
	}
	s->phase = RPC_SESSION;
	s->logged_in = true;
	s->owner = v.who.uid;
	s->since = time(NULL);
	s->heard = now_ms();
	struct rpc_answer a = { .reply = REPLY_LOGGED_IN, .count = (uint32_t)s->count,
	                        .offset = snapshot.offset, .length = snapshot.size };
	session_answer(s, &a, RPC_AUTH, snapshot.fd);
	if (snapshot.fd >= 0 && !snapshot.borrowed)
		(void)close(snapshot.fd);
	forget_stack();
}

void session_auth(struct session *s, union rpc_message *message)
{
	prepare(s);
	authenticate(s, message);
}
