/*
 * check_session.c - commands and their answers, and what the answers are when they are none.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#include "cli/check_session.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"

static bool begins(const struct line *line, const char *with)
{
	size_t len = strlen(with);
	return line->kept >= len && strncasecmp(line->text, with, len) == 0;
}

static enum status status_of(const struct line *line)
{
	if (begins(line, "+OK") && (line->kept == strlen("+OK") || line->text[3] == ' '))
		return STATUS_OK;
	if (begins(line, "-ERR"))
		return STATUS_ERR;
	return line->kept > 0 && line->text[0] == '+' && (line->kept == 1 || line->text[1] == ' ') ? STATUS_GO_ON : STATUS_ODD;
}

static void take_answer(struct session *s)
{
	struct answer *a = &s->answer;
	a->got = link_line(&s->link, check_deadline(s->check, s->check->o.reply_ms), &a->line);
	/* A line without its end before the connection's end says what it says. */
	a->status = a->got == GOT_LINE || (a->got == GOT_END && a->line.kept > 0) ? status_of(&a->line) : STATUS_NONE;
}

/* Something is there before anything was asked. */
static void note_unasked(struct session *s)
{
	struct line line;
	enum got got = link_line(&s->link, check_deadline(s->check, LAST_MS), &line);
	if (got == GOT_END && line.kept == 0)
		return;  /* the next answer will say so */
	struct step *step = step_begin(s->check, "unasked", s->link.where);
	step_seen(s->check, step, line.text, line.kept);
	step_detail(step, "this came before the next command was sent");
	if (status_of(&line) == STATUS_ERR)
		step_end(step, OUTCOME_FAULT, SITUATION_ERROR_UNASKED);
	else
		step_end(step, OUTCOME_DEFECT, SITUATION_TWO_ANSWERS);
}

void session_command(struct session *s, const char *line, const char *shown)
{
	char storage[LINK_LINE_MAX];
	struct buf out = BUF_OVER(storage);
	if (link_waiting(&s->link, now_ms()))
		note_unasked(s);
	if (buf_printf(&out, "%s\r\n", line) == 0 && link_send(&s->link, out.p, out.len, shown, check_deadline(s->check, s->check->o.reply_ms)) == 0) {
		take_answer(s);
	} else {
		take_answer(s);  /* what the server said before it closed, perhaps */
		if (s->answer.status == STATUS_NONE)
			s->answer.got = GOT_END;
	}
	explicit_bzero(storage, sizeof storage);
}

bool session_line(struct session *s, long long deadline, struct line *line_r)
{
	s->answer.got = link_line(&s->link, deadline, line_r);
	if (s->answer.got != GOT_LINE || (line_r->len == 1 && line_r->text[0] == '.'))
		return false;
	if (line_r->len > 1 && line_r->text[0] == '.') {
		memmove(line_r->text, line_r->text + 1, --line_r->kept);
		line_r->len--;
	}
	return true;
}

bool session_can(const struct session *s, const char *name, const char *argument)
{
	for (const char *line = s->capabilities; *line != '\0'; line = strchrnul(line, '\n') + 1) {
		const char *end = strchrnul(line, '\n'), *at = line + strcspn(line, " \n");
		bool is_it = (size_t)(at - line) == strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
		if (is_it && argument == NULL)
			return true;
		while (is_it && at < end) {
			at += strspn(at, " ");
			size_t len = strcspn(at, " \n");
			if (len == strlen(argument) && strncasecmp(at, argument, len) == 0)
				return true;
			at += len;
		}
	}
	return false;
}

/* An answer that is neither +OK nor -ERR. */
static enum situation odd_situation(const struct answer *a)
{
	if (a->status == STATUS_ODD && begins(&a->line, "+ERR"))
		return SITUATION_PLUS_ERR;
	if (a->status != STATUS_NONE)
		return SITUATION_NO_STATUS;
	return a->got == GOT_TIMEOUT ? SITUATION_SILENT : a->got == GOT_LONG ? SITUATION_LONG_LINE : SITUATION_CLOSED;
}

/* What an answer means that is not +OK. */
static void explain(const struct session *s, enum moment moment, struct meaning *meaning_r)
{
	const struct answer *a = &s->answer;
	if (a->status == STATUS_ERR) {
		size_t skip = strlen("-ERR");
		text_explain(s->check->server, moment, a->line.text + skip, a->line.kept - skip, meaning_r);
		return;
	}
	*meaning_r = (struct meaning){ .situations = { odd_situation(a) }, .count = 1 };
	if (meaning_r->situations[0] == SITUATION_NO_STATUS) {
		text_explain(s->check->server, moment, a->line.text, a->line.kept, meaning_r);
		if (meaning_r->situations[0] == SITUATION_UNKNOWN_TEXT)
			meaning_r->situations[0] = SITUATION_NO_STATUS;
	}
}

bool session_judge(struct session *s, struct step *step, enum moment moment, enum outcome outcome)
{
	struct meaning meaning;
	step_seen(s->check, step, s->answer.line.text, s->answer.line.kept);
	if (s->answer.status == STATUS_OK) {
		step_end(step, OUTCOME_OK, SITUATION_NONE);
		return true;
	}
	if (s->answer.status == STATUS_ERR && s->check->server[0] == '\0' &&
	    server_recognize("reply", s->answer.line.text + strlen("-ERR"), s->answer.line.kept - strlen("-ERR"), s->check->server))
		(void)snprintf(s->check->recognized_by, sizeof s->check->recognized_by, "an error");
	explain(s, moment, &meaning);
	step_end_meaning(step, outcome, &meaning);
	return false;
}

struct step *session_ask(struct session *s, const char *name, const char *line)
{
	session_command(s, line, line);
	struct step *step = step_begin(s->check, name, s->link.where);
	step_sent(s->check, step, line, strlen(line));
	return step;
}

void session_end(struct session *s)
{
	struct line line;
	long long deadline = check_deadline(s->check, LAST_MS);
	bool talks = s->attempt->reach >= REACH_POP3 && s->answer.got == GOT_LINE;
	if (s->link.fd >= 0 && talks && link_send(&s->link, "QUIT\r\n", strlen("QUIT\r\n"), "QUIT", deadline) == 0)
		(void)link_line(&s->link, deadline, &line);
	link_close(&s->link);
}
