/*
 * pop3.c - the protocol engine: finds the row of a command, checks state and
 * arguments as the row says, and is the only place where the state changes.
 * Runs in: gate. Trusts: nothing in a line.
 */
#include "daemon/pop3.h"

#include <string.h>

#include "base/number.h"
#include "daemon/commands.h"

static const struct command *find_command(const char *text, size_t len)
{
	for (size_t i = 0; i < commands_count; i++)
		if (is_keyword(text, len, commands[i].name))
			return &commands[i];
	return NULL;
}

void pop3_say(struct pop3 *p, enum reply reply, const struct reply_args *args, struct buf *out)
{
	struct reply_args whole = args != NULL ? *args : (struct reply_args){ .ref = REF_NONE };
	whole.language = p->language;
	if (reply_row(reply)->referenced && whole.ref == REF_NONE)
		whole.ref = p->host->refer(p->host->context, reply, &whole);
	(void)reply_add(out, reply, &whole);
}

static enum pop3_next close_because(struct pop3 *p, enum session_end end)
{
	p->state = POP3_OVER;
	p->end = end;
	return POP3_NEXT_CLOSE;
}

/* A line that is no POP3: its own answer, or the last one when there were too many. */
static enum pop3_next bad_line(struct pop3 *p, enum reply reply, const struct reply_args *args, struct buf *out)
{
	unsigned most = p->state == POP3_TRANSACTION ? BAD_AFTER_LOGIN : BAD_BEFORE_LOGIN;
	bool last = ++p->bad >= most;
	pop3_say(p, last ? REPLY_TOO_MANY_BAD : reply, last ? NULL : args, out);
	return last ? close_because(p, END_TOO_MANY_BAD) : POP3_NEXT_LINE;
}

static enum pop3_next act(struct pop3 *p, enum outcome outcome)
{
	switch (outcome) {
	case DONE:
		if (p->state == POP3_RESPONSE)
			p->state = POP3_AUTHORIZATION;
		return POP3_NEXT_LINE;
	case LIST_FOLLOWS:
		return POP3_NEXT_MORE;
	case MESSAGE_FOLLOWS:
		return POP3_NEXT_SEND;
	case TLS_FOLLOWS:
		return POP3_NEXT_TLS;
	case RESPONSE_FOLLOWS:
		p->state = POP3_RESPONSE;
		return POP3_NEXT_LINE;
	case LOGGED_IN:
		p->state = POP3_TRANSACTION;
		p->bad = 0;
		return POP3_NEXT_LINE;
	case QUIT:
		return close_because(p, END_QUIT);
	case TOO_MANY_LOGINS:
		return close_because(p, END_TOO_MANY_LOGINS);
	case TLS_PIPELINED:
		return close_because(p, END_TLS_PIPELINED);
	}
	return POP3_NEXT_LINE;
}

/* The message that a number names. REPLY_NONE and *idx_r, or the refusal and its numbers. */
static enum reply find_message(const struct pop3 *p, const char *text, size_t len, size_t *idx_r, struct reply_args *args)
{
	uint64_t msgno;
	if (parse_number(text, len, 1, UINT64_MAX, &msgno) != 0)
		return REPLY_BAD_NUMBER;
	*args = (struct reply_args){ .n = { msgno, p->drop.count } };
	if (msgno > p->drop.count)
		return p->drop.count == 0 ? REPLY_NO_MESSAGES : REPLY_NO_SUCH_MESSAGE;
	*idx_r = (size_t)msgno - 1;
	return p->drop.marks[*idx_r] ? REPLY_MARKED_ALREADY : REPLY_NONE;
}

/* Check the rest of the line by the row's rule. REPLY_NONE and *a filled, or the refusal. */
static enum reply check_arguments(const struct pop3 *p, const struct command *row, char *rest, size_t len,
                                  struct arguments *a, struct reply_args *args)
{
	bool given = rest != NULL;
	*a = (struct arguments){ .given = given, .text = rest, .len = len };
	const char *space = given ? memchr(rest, ' ', len) : NULL;
	switch (row->rule) {
	case ARG_NONE:
		return given && len > 0 ? REPLY_NO_ARGUMENT : REPLY_NONE;
	case ARG_OPTIONAL_TEXT:
		return REPLY_NONE;
	case ARG_TEXT:
		return !given || (len == 0 && !(row->flags & MAY_BE_EMPTY)) ? REPLY_NEEDS_ARGUMENT : REPLY_NONE;
	case ARG_OPTIONAL_MSGNO:
		a->given = given && len > 0;
		return a->given ? find_message(p, rest, len, &a->idx, args) : REPLY_NONE;
	case ARG_MSGNO:
		return given && len > 0 ? find_message(p, rest, len, &a->idx, args) : REPLY_NEEDS_NUMBER;
	case ARG_MSGNO_LINES:
		if (space == NULL)
			return REPLY_NEEDS_TWO_NUMBERS;
		if (parse_number(space + 1, len - (size_t)(space + 1 - rest), 0, UINT64_MAX, &a->lines) != 0)
			return REPLY_BAD_LINES;
		return find_message(p, rest, (size_t)(space - rest), &a->idx, args);
	}
	return REPLY_NONE;
}

bool pop3_login_admitted(const struct pop3 *p)
{
	return p->tls || p->plaintext_admitted;
}

/* Is there a secret in what stands behind the command? With AUTH it stands behind the mechanism's name, or comes later (RFC 5034 section 4). */
static bool is_exposed(const struct command *row, const char *rest, size_t len)
{
	if ((row->flags & SECRET) == 0 || len == 0)
		return false;
	return row->rule != ARG_OPTIONAL_TEXT || memchr(rest, ' ', len - 1) != NULL;
}

/* For the log, which names who is refused. What APOP has behind the name is as good as a password to whoever guesses. */
static void keep_name(struct pop3 *p, const struct command *row, const char *rest, size_t len)
{
	if (rest == NULL || (row->flags & SECRET) != 0)
		return;
	const char *end = row->rule == ARG_TEXT ? NULL : memchr(rest, ' ', len);
	(void)command_keep_name(p, rest, end != NULL ? (size_t)(end - rest) : len);
}

/* A login command where there is no login without TLS. */
static enum outcome refuse_in_clear(struct pop3 *p, const struct command *row, const char *rest, size_t len, struct buf *out)
{
	const bool exposed = is_exposed(row, rest, len);
	keep_name(p, row, rest, len);
	p->in_clear += exposed;
	p->door = DOOR_NONE; /* this answer is on record */
	pop3_say(p, !p->tls_offered ? REPLY_TLS_NOT_OFFERED : exposed ? REPLY_TLS_FIRST_PASS : REPLY_TLS_FIRST, NULL, out);
	return DONE;
}

static enum outcome run_command(struct pop3 *p, const struct command *row, char *rest, size_t len, struct buf *out)
{
	unsigned here = p->state == POP3_TRANSACTION ? IN_TRANSACTION : IN_AUTHORIZATION;
	if ((row->states & here) == 0) {
		pop3_say(p, here == IN_TRANSACTION ? REPLY_LOGGED_IN_ALREADY : REPLY_LOG_IN_FIRST, NULL, out);
		return DONE;
	}
	/* Bare AUTH only asks for the list. */
	const bool login = (row->flags & LOGIN) != 0 && !(row->rule == ARG_OPTIONAL_TEXT && len == 0);
	if (login && !pop3_login_admitted(p))
		return refuse_in_clear(p, row, rest, len, out);
	if (login && (p->login_over || p->failed_logins >= p->login_tries)) {
		pop3_say(p, p->login_over || p->blameless ? REPLY_RECONNECT : REPLY_TOO_MANY_LOGINS, NULL, out);
		return TOO_MANY_LOGINS;
	}
	struct arguments a;
	struct reply_args args = { .text = NULL };
	enum reply refusal = check_arguments(p, row, rest, len, &a, &args);
	if (refusal != REPLY_NONE) {
		pop3_say(p, refusal, &args, out);
		return DONE;
	}
	return row->handler(p, &a, out);
}

void pop3_greet(struct pop3 *p, struct buf *out)
{
	p->state = POP3_AUTHORIZATION;
	pop3_say(p, REPLY_GREETING, NULL, out);
}

enum pop3_next pop3_wrong_door(struct pop3 *p, enum door door, struct buf *out)
{
	p->door = door;
	pop3_say(p, door_row(door)->reply, NULL, out);
	return close_because(p, END_WRONG_DOOR);
}

size_t pop3_line_max(const struct pop3 *p)
{
	return p->state == POP3_RESPONSE ? RESPONSE_LINE_MAX : COMMAND_LINE_MAX;
}

enum pop3_next pop3_long_line(struct pop3 *p, struct buf *out)
{
	bool response = p->state == POP3_RESPONSE;
	struct reply_args args = { .n = { RESPONSE_LINE_MAX } };
	enum pop3_next next = bad_line(p, response ? REPLY_RESPONSE_TOO_LONG : REPLY_LINE_TOO_LONG, &args, out);
	if (response && p->state == POP3_RESPONSE)
		p->state = POP3_AUTHORIZATION;
	return next;
}

enum pop3_next pop3_line(struct pop3 *p, char *line, size_t len, struct buf *out)
{
	if (p->state == POP3_RESPONSE)
		return act(p, command_sasl_response(p, line, len, out));
	if (memchr(line, '\0', len) != NULL)
		return bad_line(p, REPLY_NUL, NULL, out);
	if (len == 0)
		return bad_line(p, REPLY_EMPTY_LINE, NULL, out);
	char *space = memchr(line, ' ', len);
	size_t word = space != NULL ? (size_t)(space - line) : len;
	const struct command *row = find_command(line, word);
	/* Who is logged in came to the right door, and "DELETE 1" is a slip. */
	enum door door = row == NULL && p->state != POP3_TRANSACTION ? door_of_line(line, len) : DOOR_NONE;
	if (door != DOOR_NONE)
		return pop3_wrong_door(p, door, out);
	if (row == NULL)
		return bad_line(p, REPLY_UNKNOWN_COMMAND, NULL, out);
	char *rest = space != NULL ? space + 1 : NULL;
	return act(p, run_command(p, row, rest, space != NULL ? len - word - 1 : 0, out));
}

enum pop3_next pop3_more(struct pop3 *p, struct buf *out)
{
	const size_t full = POP3_LISTING + LISTING_ROOM, end = out->cap < full ? out->cap : full;
	if (out->len < end)
		out->len += listing_lines(&p->listing, out->p + out->len, end - out->len);
	bool done = p->listing.next == p->drop.count && buf_add_text(out, ".\r\n") == 0;
	return done ? POP3_NEXT_LINE : POP3_NEXT_MORE;
}

void pop3_tls_started(struct pop3 *p)
{
	p->tls = true;
	p->language = NULL;
	p->utf8 = p->user_given = false;
	p->bad = 0;
	wipe(p->user, sizeof p->user);
}
