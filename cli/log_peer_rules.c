/*
 * log_peer_rules.c - the rules about what comes from one address.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 */
#include <string.h>

#include "cli/log.h"
#include "cli/show.h"
#include "daemon/session_words.h"

enum {
	POLL_SESSIONS = 6,          /* so many, before a pace is spoken of */
	POLL_MS = 60000,            /* sessions that follow each other faster are too many */
	LOST_MESSAGES = 5,          /* so many have to be fetched again */
	OLD_PASSWORD_TIMES = 5,
	REPEATS_TIMES = 2,
	BREAKS_TIMES = 3,
	BREAKS_SHARE = 4,           /* at least one in so many sessions */
	IDLE_TIMES = 3,
};

static bool ended(const struct history_record *r, enum session_end end)
{
	return r->kind == HISTORY_SESSION && strcmp(r->reason, end_words(end)) == 0;
}

/* Deletions that were given up in sessions which ended in one of two ways. */
static bool judge_marks(const struct evidence *e, enum session_end one, enum session_end other, const char *how, const char *advice,
                        char text_r[VERDICT_TEXT])
{
	uint64_t dropped = 0;
	size_t sessions = 0;
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if ((!ended(r, one) && !ended(r, other)) || r->figures.dropped == 0)
			continue;
		dropped += r->figures.dropped;
		sessions++;
		last = r;
	}
	if (last == NULL)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s %s: %ju deletion%s dropped in %zu session%s, the last time %s. %s", last->peer, how,
	               (uintmax_t)dropped, dropped == 1 ? "" : "s", sessions, sessions == 1 ? "" : "s", show_time(last->when_ms, when), advice);
	return true;
}

bool judge_closed(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	return judge_marks(e, END_PEER_CLOSED, END_PEER_CLOSED, "closed without QUIT",
		"Only QUIT deletes, so this mail comes back: the mail program there ends its sessions wrongly, or was stopped.", text_r);
}

bool judge_broken_marks(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	return judge_marks(e, END_PEER_ERROR, END_STALLED, "lost its connection before QUIT",
		"Only QUIT deletes, so this mail comes back: the network, or something in it, ended the connection.", text_r);
}

bool judge_silent_marks(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	return judge_marks(e, END_IDLE, END_TAKEN_OVER, "fell silent before QUIT and was ended",
		"Only QUIT deletes, so this mail comes back: the mail program there forgot its session, or the network lost it.", text_r);
}

bool judge_polls(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *first = NULL, *last = NULL;
	int64_t sum = 0;
	size_t fast = 0, sessions = 0;
	char from[SHOW_TIME], to[SHOW_TIME], pace[SHOW_SIZE];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (r->kind != HISTORY_SESSION)
			continue;
		const int64_t apart = last != NULL ? record_begin_ms(r) - record_begin_ms(last) : POLL_MS;
		sum += apart < POLL_MS ? apart : 0;
		fast += apart < POLL_MS;
		first = first != NULL ? first : r;
		last = r;
		sessions++;
	}
	/* Most of the pauses are that short; a burst now and then is not the pace. */
	if (sessions < POLL_SESSIONS || 3 * fast < 2 * (sessions - 1))
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s polls every %s: %zu sessions from %s to %s. Five minutes are enough; set the mail program there to that.",
	               last->peer, show_span((uint64_t)sum / fast, pace), sessions, show_time(record_begin_ms(first), from),
	               show_time(record_begin_ms(last), to));
	return true;
}

static bool same_list(const struct history_record *a, const struct history_record *b)
{
	return a->figures.count == b->figures.count && memcmp(a->figures.list, b->figures.list, sizeof a->figures.list) == 0 &&
		strcmp(a->place, b->place) == 0;
}

/*
 * The list of unique-ids was the same in the session before, which knew these messages or fetched them; and all were
 * fetched again.
 */
bool judge_lost_state(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *before = NULL, *again = NULL, *known = NULL;
	size_t times = 0;
	char when[SHOW_TIME], earlier[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (r->kind != HISTORY_SESSION)
			continue;
		if (before != NULL && same_list(before, r) && r->figures.count >= LOST_MESSAGES && r->figures.fetched >= r->figures.count &&
		    ended(before, END_QUIT) && before->figures.deleted == 0) {
			known = before;
			again = r;
			times++;
		}
		before = r;
	}
	if (times == 0)
		return false;
	const bool sure = times > 1 || known->figures.fetched >= known->figures.count;
	(void)snprintf(text_r, VERDICT_TEXT, "%s: list unchanged since %s, when %ju of %ju messages were fetched, yet at %s it fetched all %ju%s%s. %s",
	               again->peer, show_time(record_begin_ms(known), earlier), (uintmax_t)known->figures.fetched, (uintmax_t)known->figures.count,
	               show_time(record_begin_ms(again), when), (uintmax_t)again->figures.count, sure ? " again" : "",
	               times > 1 ? " (and not for the first time)" : "",
	               sure ? "This client lost its state, or a second one at that address fetches too: the server's list of unique-ids did not change."
	                    : "This client lost its state, or another one at that address is new: the server's list of unique-ids did not change.");
	return true;
}

/* Wrong passwords from one address. */
struct wrong {
	const struct history_record *first, *last, *asked; /* asked: the last one that a back end looked at */
	size_t times, repeats;      /* repeats: the same one as before, answered from memory */
	bool before, since;         /* a login before the first, and after the last */
};

static bool is_repeat(const struct history_record *r)
{
	return strncmp(r->text, WORDS_REPEATED, strlen(WORDS_REPEATED)) == 0;
}

static struct wrong count_wrong(const struct evidence *e)
{
	struct wrong w = { .first = NULL };
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (r->kind == HISTORY_SESSION) {
			w.before = w.before || w.first == NULL;
			w.since = true;
		} else if (strcmp(r->reason, reason_words(REASON_PASSWORD_WRONG)) == 0) {
			w.first = w.first != NULL ? w.first : r;
			w.last = r;
			w.asked = is_repeat(r) ? w.asked : r;
			w.repeats += is_repeat(r);
			w.times++;
			w.since = false;
		}
	}
	return w;
}

static const char *whose_password(const struct wrong *w)
{
	return w->since ? "Since then it has logged in."
		: w->before && w->repeats >= REPEATS_TIMES ? "It could log in before: the password was changed, and this device was not told."
		: w->before ? "Somebody could log in from there before: a device that was not told a new password, or somebody else behind that address."
		: "Nobody ever logged in from there: a device with an old password, or somebody who guesses.";
}

bool judge_old_password(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct wrong w = count_wrong(e);
	char from[SHOW_TIME], to[SHOW_TIME], pace[SHOW_SIZE];
	/* One verdict: the other rule says more. */
	if (w.times < OLD_PASSWORD_TIMES || w.repeats >= REPEATS_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s sent a wrong password %zu times from %s to %s, about every %s. %s", w.last->peer, w.times,
	               show_time(w.first->when_ms, from), show_time(w.last->when_ms, to),
	               show_span((uint64_t)(w.last->when_ms - w.first->when_ms) / (w.times - 1), pace), whose_password(&w));
	return true;
}

bool judge_same_password(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct wrong w = count_wrong(e);
	char from[SHOW_TIME], to[SHOW_TIME], when[SHOW_TIME], asked[VERDICT_TEXT / 4] = "";
	if (w.repeats < REPEATS_TIMES)
		return false;
	if (w.asked != NULL)
		(void)snprintf(asked, sizeof asked, " It was last asked about at %s; the others were answered from memory.", show_time(w.asked->when_ms, when));
	(void)snprintf(text_r, VERDICT_TEXT, "a device at %s sends the same wrong password again and again: %zu times from %s to %s.%s %s", w.last->peer, w.times,
	               show_time(w.first->when_ms, from), show_time(w.last->when_ms, to), asked,
	               w.since || w.before ? whose_password(&w) : "Correct the password in it, or take the account out of it.");
	return true;
}

bool judge_breaks(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	size_t sessions = 0, broken = 0;
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		sessions += r->kind == HISTORY_SESSION;
		if (ended(r, END_PEER_ERROR) || ended(r, END_STALLED)) {
			broken++;
			last = r;
		}
	}
	if (broken < BREAKS_TIMES || BREAKS_SHARE * broken < sessions)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s: the connection broke in %zu of %zu sessions, the last time %s. That is the network, a router that forgets "
	               "connections, or an antivirus program in between.", last->peer, broken, sessions, show_time(last->when_ms, when));
	return true;
}

bool judge_idle(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	size_t times = 0;
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++)
		if (ended(e->list[i], END_IDLE)) {
			times++;
			last = e->list[i];
		}
	if (times < IDLE_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s holds the mailbox open until it is ended for its silence: %zu times, the last time %s. Nobody else can open it "
	               "meanwhile.", last->peer, times, show_time(last->when_ms, when));
	return true;
}

static bool is_loopback(const char *peer)
{
	return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0;
}

bool judge_in_clear(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	size_t times = 0;
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++)
		if (e->list[i]->kind == HISTORY_SESSION && e->list[i]->tls == 0 && !is_loopback(e->list[i]->peer)) {
			times++;
			last = e->list[i];
		}
	if (times == 0)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s logs in without encryption: %zu session%s, the last one %s. Whoever is on the way reads password and mail; "
	               "set SSL/TLS in the mail program, then change the password.", last->peer, times, times == 1 ? "" : "s",
	               show_time(last->when_ms, when));
	return true;
}
