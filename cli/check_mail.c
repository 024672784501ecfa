/*
 * check_mail.c - the mailbox: do STAT, LIST, UIDL and the smallest message agree? Deletes nothing.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "cli/check_login.h"
#include "cli/cli.h"

enum {
	MESSAGES_MAX = 200000,
	UIDL_MAX = 70,                   /* RFC 1939 section 7 */
	FETCH_MAX = 4 * 1024 * 1024,     /* a smallest message that is larger is not fetched */
	NUMBER_DIGITS = 24,
};

struct uid {
	char text[UIDL_MAX + 1];
};

struct listing {
	uint64_t stat_count, stat_octets;
	uint64_t count, octets;
	uint64_t smallest, smallest_octets;  /* a message number, 0 if there is none */
	struct uid *uids;                    /* owned */
	size_t uid_count, uid_room;
	char first_bad[128];                 /* the first line that is not as it should be, or "" */
};

/* Two numbers with one space between them; more words may follow. */
static bool two_numbers(const char *text, size_t len, uint64_t *first_r, uint64_t *second_r)
{
	const char *space = memchr(text, ' ', len);
	if (space == NULL || parse_number(text, (size_t)(space - text), 0, UINT64_MAX, first_r) < 0)
		return false;
	size_t left = len - (size_t)(space + 1 - text);
	const char *end = memchr(space + 1, ' ', left);
	return parse_number(space + 1, end != NULL ? (size_t)(end - space - 1) : left, 0, UINT64_MAX, second_r) == 0;
}

static void note_bad(struct session *s, struct listing *l, const struct line *line, const char *what)
{
	struct buf out = BUF_OVER(l->first_bad);
	if (l->first_bad[0] != '\0')
		return;
	(void)buf_printf(&out, "%s: ", what);
	show(s->check, &out, line->text, line->kept < UIDL_MAX ? line->kept : UIDL_MAX);
	(void)buf_text(&out);
}

/* How a multi-line answer ended: false, and the step is a fault, if not with its dot. */
static bool ended_well(struct session *s, struct step *step, bool is_too_much)
{
	if (is_too_much)
		step_end(step, OUTCOME_FAULT, SITUATION_TOO_MUCH);
	else if (s->answer.got != GOT_LINE)
		step_end(step, OUTCOME_FAULT, s->answer.got == GOT_TIMEOUT ? SITUATION_SILENT : SITUATION_CLOSED);
	return !is_too_much && s->answer.got == GOT_LINE;
}

/* A command that a server may lack. */
static bool is_refused(struct session *s, struct step *step, enum situation situation)
{
	if (s->answer.status != STATUS_ERR)
		return false;
	step_seen(s->check, step, s->answer.line.text, s->answer.line.kept);
	step_end(step, OUTCOME_WARNING, situation);
	return true;
}

/* ---- STAT, LIST ---- */

static bool stat(struct session *s, struct listing *l)
{
	struct step *step = session_ask(s, "STAT", "STAT");
	const struct line *line = &s->answer.line;
	if (!session_judge(s, step, MOMENT_MAIL, OUTCOME_FAULT)) {
		/* Nothing about STAT can be wrong, so this is the login's. */
		if (s->answer.status == STATUS_ERR && step->meaning.situations[0] == SITUATION_NO_SUCH_MESSAGE)
			step_end(step, OUTCOME_FAULT, SITUATION_ERROR_UNASKED);
		return false;
	}
	if (line->kept > strlen("+OK ") && two_numbers(line->text + strlen("+OK "), line->kept - strlen("+OK "), &l->stat_count, &l->stat_octets))
		return true;
	step_detail(step, "STAT's answer has to be two numbers");
	step_end(step, OUTCOME_FAULT, SITUATION_COUNTS);
	return false;
}

static void take_listed(struct session *s, struct listing *l, const struct line *line)
{
	uint64_t number = 0, octets = 0;
	if (!two_numbers(line->text, line->kept, &number, &octets) || number == 0) {
		note_bad(s, l, line, "not a number and a size");
		return;
	}
	if (number <= l->count)
		note_bad(s, l, line, "a number that came before");
	l->count++;
	l->octets += octets;
	if (l->smallest == 0 || octets < l->smallest_octets) {
		l->smallest = number;
		l->smallest_octets = octets;
	}
}

static bool list(struct session *s, struct listing *l)
{
	struct line line;
	uint64_t lines = 0;
	struct step *step = session_ask(s, "LIST", "LIST");
	if (!session_judge(s, step, MOMENT_MAIL, OUTCOME_FAULT))
		return false;
	long long deadline = check_deadline(s->check, s->check->o.reply_ms);
	while (lines < MESSAGES_MAX && session_line(s, deadline, &line)) {
		take_listed(s, l, &line);
		lines++;
	}
	if (!ended_well(s, step, lines == MESSAGES_MAX))
		return false;
	step_detail(step, "%" PRIu64 " messages, %" PRIu64 " octets in all", l->count, l->octets);
	if (l->count != l->stat_count || l->octets != l->stat_octets || l->first_bad[0] != '\0') {
		step_detail(step, "STAT says %" PRIu64 " messages, %" PRIu64 " octets; LIST has %" PRIu64 " and %" PRIu64 "%s%s", l->stat_count,
		            l->stat_octets, l->count, l->octets, l->first_bad[0] != '\0' ? "; " : "", l->first_bad);
		step_end(step, OUTCOME_DEFECT, SITUATION_COUNTS);
	}
	return true;
}

/* ---- UIDL ---- */

static bool keep_uid(struct listing *l, const char *text, size_t len)
{
	struct uid *list = cli_grow(l->uids, l->uid_count, &l->uid_room, sizeof *list);
	if (list == NULL)
		return false;
	l->uids = list;
	memcpy(l->uids[l->uid_count].text, text, len);
	l->uids[l->uid_count++].text[len] = '\0';
	return true;
}

static void take_uid(struct session *s, struct listing *l, const struct line *line)
{
	const char *space = memchr(line->text, ' ', line->kept);
	const char *text = space != NULL ? space + 1 : line->text;
	size_t len = line->kept - (size_t)(text - line->text);
	uint64_t number = 0;
	if (space == NULL || parse_number(line->text, (size_t)(space - line->text), 1, UINT64_MAX, &number) < 0)
		note_bad(s, l, line, "not a number and a unique-id");
	if (len == 0 || len > UIDL_MAX)
		note_bad(s, l, line, "not 1 to 70 octets");
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			note_bad(s, l, line, "an octet outside 0x21 to 0x7E");
	if (!keep_uid(l, text, len < UIDL_MAX ? len : UIDL_MAX))
		note_bad(s, l, line, "no memory here for more");
}

static int compare_uids(const void *a, const void *b)
{
	const struct uid *left = a, *right = b;
	return strcmp(left->text, right->text);
}

static void find_twins(struct listing *l)
{
	if (l->uid_count > 1)
		qsort(l->uids, l->uid_count, sizeof *l->uids, compare_uids);
	for (size_t i = 1; i < l->uid_count && l->first_bad[0] == '\0'; i++)
		if (compare_uids(&l->uids[i - 1], &l->uids[i]) == 0)
			(void)snprintf(l->first_bad, sizeof l->first_bad, "two messages have one unique-id");
}

static bool uidl(struct session *s, struct listing *l)
{
	struct line line;
	l->first_bad[0] = '\0';
	struct step *step = session_ask(s, "UIDL", "UIDL");
	if (is_refused(s, step, SITUATION_NO_UIDL))
		return true;
	if (!session_judge(s, step, MOMENT_MAIL, OUTCOME_FAULT))
		return false;
	long long deadline = check_deadline(s->check, s->check->o.reply_ms);
	while (l->uid_count < MESSAGES_MAX && session_line(s, deadline, &line))
		take_uid(s, l, &line);
	if (!ended_well(s, step, l->uid_count == MESSAGES_MAX))
		return false;
	find_twins(l);
	if (l->uid_count > 0 && s->check->server[0] == '\0' &&
	    server_recognize("uidl", l->uids[0].text, strlen(l->uids[0].text), s->check->server))
		(void)snprintf(s->check->recognized_by, sizeof s->check->recognized_by, "its UIDL");
	step_detail(step, "%zu unique-ids%s%s", l->uid_count, l->first_bad[0] != '\0' ? "; " : "", l->first_bad);
	if (l->first_bad[0] != '\0')
		step_end(step, OUTCOME_DEFECT, SITUATION_UNIQUE_IDS);
	else if (l->uid_count != l->count)
		step_end(step, OUTCOME_DEFECT, SITUATION_COUNTS);
	return true;
}

/* ---- one message ---- */

/* The octets of a message as it comes; false if it does not come to its end. Its text is not kept. */
static bool count_message(struct session *s, struct step *step, uint64_t most, uint64_t *octets_r)
{
	struct line line;
	long long deadline = check_deadline(s->check, s->check->o.reply_ms);
	*octets_r = 0;
	s->link.is_private = true;
	s->link.line_max = MESSAGE_LINE_MAX;
	while (*octets_r <= most && session_line(s, deadline, &line))
		*octets_r += line.len + (line.is_crlf ? 2 : 1);
	s->link.is_private = false;
	s->link.line_max = STATUS_LINE_MAX;
	if (s->check->transcript != NULL)
		(void)fprintf(s->check->transcript, "* %" PRIu64 " octets of mail, which are not shown\n", *octets_r);
	return ended_well(s, step, *octets_r > most);
}

static bool fetch(struct session *s, const struct listing *l)
{
	char command[NUMBER_DIGITS + sizeof "RETR "];
	uint64_t octets = 0;
	if (l->smallest_octets > FETCH_MAX) {
		struct step *step = step_begin(s->check, "RETR", s->link.where);
		step_detail(step, "not done: the smallest message has %" PRIu64 " octets", l->smallest_octets);
		step_end(step, OUTCOME_OK, SITUATION_NONE);
		return true;
	}
	(void)snprintf(command, sizeof command, "RETR %" PRIu64, l->smallest);
	struct step *step = session_ask(s, "RETR", command);
	if (!session_judge(s, step, MOMENT_MAIL, OUTCOME_FAULT))
		return s->answer.status == STATUS_ERR;
	if (!count_message(s, step, l->smallest_octets + FETCH_MAX, &octets))
		return false;
	step_detail(step, "%" PRIu64 " octets, as LIST says", octets);
	if (octets != l->smallest_octets) {
		step_detail(step, "LIST says %" PRIu64 " octets, %" PRIu64 " came", l->smallest_octets, octets);
		step_end(step, OUTCOME_DEFECT, SITUATION_SIZE);
	}
	return true;
}

static bool top(struct session *s, const struct listing *l)
{
	char command[NUMBER_DIGITS + sizeof "TOP  0"];
	uint64_t octets = 0;
	(void)snprintf(command, sizeof command, "TOP %" PRIu64 " 0", l->smallest);
	struct step *step = session_ask(s, "TOP", command);
	if (is_refused(s, step, SITUATION_NO_TOP))
		return true;
	if (!session_judge(s, step, MOMENT_MAIL, OUTCOME_FAULT))
		return false;
	if (!count_message(s, step, l->smallest_octets + FETCH_MAX, &octets))
		return false;
	step_detail(step, "%" PRIu64 " octets", octets);
	return true;
}

/* ---- the end ---- */

static void quit(struct session *s)
{
	struct line line;
	struct step *step = session_ask(s, "QUIT", "QUIT");
	if (s->answer.status == STATUS_OK && s->check->server[0] == '\0' &&
	    server_recognize("bye", s->answer.line.text + strlen("+OK"), s->answer.line.kept - strlen("+OK"), s->check->server))
		(void)snprintf(s->check->recognized_by, sizeof s->check->recognized_by, "its goodbye");
	bool is_fine = session_judge(s, step, MOMENT_QUIT, s->answer.status == STATUS_NONE ? OUTCOME_WARNING : OUTCOME_FAULT);
	enum got got = link_line(&s->link, check_deadline(s->check, LAST_MS), &line);
	if (got == GOT_LINE || line.kept > 0) {
		step = step_begin(s->check, "behind QUIT", s->link.where);
		step_seen(s->check, step, line.text, line.kept);
		step_end(step, OUTCOME_DEFECT, SITUATION_TWO_ANSWERS);
	} else if (got == GOT_TIMEOUT && is_fine) {
		step_detail(step, "the server does not close the connection");
		step_end(step, OUTCOME_NOTE, SITUATION_NONE);
	}
}

/* false when the connection is over. */
static bool simple(struct session *s, const char *command)
{
	(void)session_judge(s, session_ask(s, command, command), MOMENT_MAIL, OUTCOME_DEFECT);
	return s->answer.status != STATUS_NONE;
}

void check_maildrop(struct session *s)
{
	struct listing l = { .count = 0 };
	bool goes_on = stat(s, &l) && list(s, &l) && uidl(s, &l);
	if (goes_on && l.smallest > 0)
		goes_on = fetch(s, &l) && top(s, &l);
	if (goes_on && simple(s, "NOOP") && simple(s, "RSET")) {
		quit(s);
		link_close(&s->link);
	}
	free(l.uids);
}
