/*
 * log_user_rules.c - the rules about a user's mailbox as a whole: several addresses, other programs, the server.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/log.h"
#include "cli/show.h"
#include "daemon/session_words.h"

enum {
	FIGHTS_TIMES = 2,
	LEAVES_SESSIONS = 3,
	LEAVES_MESSAGES = 10000,
	OTHER_PROGRAM_TIMES = 2,
	GUESSING_PEERS = 5,
};
static const uint64_t LEAVES_OCTETS = 1000000000;

static bool is_failure(const struct history_record *r)
{
	return r->kind != HISTORY_SESSION;
}

static bool met_session(const struct history_record *r)
{
	return is_failure(r) && strncmp(r->reply, "LOCKED", strlen("LOCKED")) == 0;
}

/* A login that met the session of another address, or of its own; text in `told` is the holder's. */
static size_t count_met(const struct evidence *e, bool own, const struct history_record **last_r)
{
	size_t times = 0;
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (met_session(r) && r->told[0] != '\0' && (strcmp(r->told, r->peer) == 0) == own) {
			times++;
			*last_r = r;
		}
	}
	return times;
}

bool judge_lock_fights(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	const size_t times = count_met(e, false, &last);
	if (times < FIGHTS_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "two devices fight for the mailbox: %zu logins came while another address had it open, the last time %s, when "
	               "%s had to wait for %s. Let them fetch at different times, or longer apart.", times, show_time(last->when_ms, when), last->peer,
	               last->told);
	return true;
}

bool judge_second_program(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *last = NULL;
	char when[SHOW_TIME];
	const size_t times = count_met(e, true, &last);
	if (times < FIGHTS_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%s meets itself: %zu logins came while a session from the same address was open, the last time %s. Two programs "
	               "there fetch the same mail, or one left a session behind.", last->peer, times, show_time(last->when_ms, when));
	return true;
}

bool judge_take_overs(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *last = NULL;
	size_t times = 0;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++)
		if (e->list[i]->kind == HISTORY_SESSION && strcmp(e->list[i]->reason, end_words(END_TAKEN_OVER)) == 0) {
			times++;
			last = e->list[i];
		}
	if (times < FIGHTS_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "newer logins ended %zu silent sessions, the last one, of %s, at %s. Devices there keep sessions open that they do not use.",
	               times, last->peer, show_time(last->when_ms, when));
	return true;
}

bool judge_leaves_mail(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *first = NULL, *last = NULL;
	size_t sessions = 0;
	uint64_t deleted = 0;
	char size[SHOW_SIZE], more[SHOW_SIZE], since[SHOW_TIME], growth[VERDICT_TEXT / 4] = "";
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (r->kind != HISTORY_SESSION)
			continue;
		first = first != NULL ? first : r;
		last = r;
		sessions++;
		deleted += r->figures.deleted;
	}
	if (sessions < LEAVES_SESSIONS || deleted > 0 || (last->figures.octets < LEAVES_OCTETS && last->figures.count < LEAVES_MESSAGES))
		return false;
	if (last->figures.octets > first->figures.octets)
		(void)snprintf(growth, sizeof growth, ", %s more than on %s", show_size(last->figures.octets - first->figures.octets, more),
		               show_time(record_begin_ms(first), since));
	(void)snprintf(text_r, VERDICT_TEXT, "leaves mail on the server: %s by now, in %ju messages%s; none of %zu sessions deleted any. Let the mail program delete "
	               "what is older than some weeks.", show_size(last->figures.octets, size), (uintmax_t)last->figures.count, growth, sessions);
	return true;
}

bool judge_other_program(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	static const char *const rows[] = { "MESSAGE_GONE", "MESSAGE_CHANGED", "DROP_CHANGED", "KEPT_CHANGED", "BUSY", "BUSY_NAMED", "KEPT_BUSY" };
	const struct history_record *last = NULL;
	size_t times = 0;
	char when[SHOW_TIME], ref[REF_TEXT_MAX];
	for (size_t i = 0; i < e->count; i++)
		for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
			if (is_failure(e->list[i]) && strcmp(e->list[i]->reply, rows[k]) == 0) {
				times++;
				last = e->list[i];
			}
	if (times < OTHER_PROGRAM_TIMES)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "another program works on the mailbox while it is open here: %zu times, the last time %s (%s, ref %s). It may be IMAP, webmail, a "
	               "mail reader on the server, or a filter.", times, show_time(last->when_ms, when), last->reply, ref_text(last->ref, ref));
	return true;
}

/* A QUIT that failed: what it left is not what it counted, for the next login may have finished it. */
static bool may_be_finished_later(const struct history_record *r)
{
	return is_failure(r) && strncmp(r->reply, "KEPT_", strlen("KEPT_")) == 0;
}

/* Fewer messages at a login than the session before had left. */
bool judge_removed_elsewhere(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *before = NULL, *last = NULL, *left = NULL;
	uint64_t gone = 0;
	size_t times = 0;
	char from[SHOW_TIME], to[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		if (may_be_finished_later(r))
			before = NULL;
		if (r->kind != HISTORY_SESSION)
			continue;
		if (before != NULL && strcmp(before->place, r->place) == 0 && r->figures.count < before->figures.left) {
			gone += before->figures.left - r->figures.count;
			times++;
			left = before;
			last = r;
		}
		before = r;
	}
	if (times == 0)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%ju message%s went away between sessions, and no session on record deleted %s: %zu time%s, the last time between %s and %s. "
	               "Another program (IMAP, webmail, a filter) removed %s.", (uintmax_t)gone, gone == 1 ? "" : "s", gone == 1 ? "it" : "them", times,
	               times == 1 ? "" : "s", show_time(left->when_ms, from), show_time(record_begin_ms(last), to), gone == 1 ? "it" : "them");
	return true;
}

static int by_peer(const void *a, const void *b)
{
	const struct history_record *x = *(const struct history_record *const *)a, *y = *(const struct history_record *const *)b;
	return strcmp(x->peer, y->peer);
}

/* Of root, and of others that never log in, nobody is told whether the password was wrong. */
static bool is_guess(const struct history_record *r)
{
	return is_failure(r) && (strcmp(r->reason, reason_words(REASON_PASSWORD_WRONG)) == 0 || strcmp(r->reason, reason_words(REASON_UID_REFUSED)) == 0);
}

/* Wrong passwords from addresses from which nobody ever logged in. list: sorted by address. */
static void count_strangers(const struct history_record *const *list, size_t count, size_t *peers_r, size_t *times_r,
                            const struct history_record **last_r)
{
	for (size_t first = 0, n; first < count; first += n) {
		size_t wrong = 0, sessions = 0;
		const struct history_record *last = *last_r;
		for (n = 0; first + n < count && strcmp(list[first]->peer, list[first + n]->peer) == 0; n++) {
			const struct history_record *r = list[first + n];
			sessions += !is_failure(r);
			if (!is_guess(r))
				continue;
			wrong++;
			last = last == NULL || r->when_ms > last->when_ms ? r : last;
		}
		if (sessions > 0 || wrong == 0)
			continue;
		++*peers_r;
		*times_r += wrong;
		*last_r = last;
	}
}

bool judge_guessing(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record **list = calloc(e->count + 1, sizeof(void *)), *last = NULL;
	size_t peers = 0, times = 0;
	char when[SHOW_TIME];
	if (list == NULL)
		return false;
	memcpy(list, e->list, e->count * sizeof(void *));
	qsort(list, e->count, sizeof(void *), by_peer);
	count_strangers(list, e->count, &peers, &times, &last);
	free(list);
	if (peers < GUESSING_PEERS)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "somebody guesses the password: %zu were refused, from %zu addresses from which nobody ever logged in, the last time %s. "
	               "A good password withstands that; fail2ban or the like keeps such addresses away.", times, peers, show_time(last->when_ms, when));
	return true;
}

bool judge_slowed(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *last = NULL;
	size_t times = 0;
	char when[SHOW_TIME];
	for (size_t i = 0; i < e->count; i++)
		if (is_failure(e->list[i]) && strcmp(e->list[i]->reason, reason_words(REASON_SLOWED)) == 0) {
			times++;
			last = e->list[i];
		}
	if (times == 0)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "%zu password%s not looked at, the last time %s from %s: too many wrong ones had come from that network, or for this user. "
	               "Nobody is locked out: the right one gets in after the wait that the answer names, and at once where the user logged in before.", times,
	               times == 1 ? " was" : "s were", show_time(last->when_ms, when), last->peer);
	return true;
}

bool judge_server(const struct evidence *e, char text_r[VERDICT_TEXT])
{
	const struct history_record *last = NULL;
	size_t times = 0;
	char when[SHOW_TIME], ref[REF_TEXT_MAX];
	for (size_t i = 0; i < e->count; i++) {
		const struct history_record *r = e->list[i];
		const enum reply id = is_failure(r) ? reply_by_name(r->reply) : REPLY_NONE;
		const struct reply_advice *advice = id != REPLY_NONE && id != REPLY_STOPPING && id != REPLY_RECONNECT ? reply_advice(id) : NULL;
		if (advice == NULL || advice->side != SIDE_SERVER)
			continue;
		times++;
		last = r;
	}
	if (times == 0)
		return false;
	(void)snprintf(text_r, VERDICT_TEXT, "the server was at fault %zu time%s, and no mail program: the last time %s (%s, ref %s); `postern explain %s` says why.",
	               times, times == 1 ? "" : "s", show_time(last->when_ms, when), last->reply, ref_text(last->ref, ref), ref_text(last->ref, ref));
	return true;
}
