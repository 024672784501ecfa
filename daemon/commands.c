/*
 * commands.c - the POP3 commands (RFC 1939, 2449, 2595, 5034, 6856): the table and a handler each.
 * Runs in: gate. Trusts: nothing in the arguments beyond what the row's rule checked.
 */
#include "daemon/commands.h"

#include <string.h>

#include "base/base64.h"
#include "daemon/languages.h"

static enum outcome say(struct pop3 *p, struct buf *out, enum reply reply, uint64_t n1, uint64_t n2)
{
	pop3_say(p, reply, &(struct reply_args){ .n = { n1, n2 } }, out);
	return DONE;
}

static enum outcome pass_on(struct pop3 *p, struct buf *out, struct pop3_answer *answer)
{
	answer->args.text = answer->told;
	pop3_say(p, answer->reply, &answer->args, out);
	return DONE;
}

static uint64_t left_octets(const struct pop3 *p)
{
	return p->total - p->marked_octets;
}

static size_t left_count(const struct pop3 *p)
{
	return p->drop.count - p->marked;
}

/* ---- AUTHORIZATION ---- */

/* Of a login that failed, by that answer. */
static void count_failure(struct pop3 *p, enum reply reply)
{
	const char *code = reply_row(reply)->code;
	p->failed_logins++;
	/* Who is slowed down has failed before. */
	p->blameless = code != NULL && strcmp(code, "AUTH") != 0 && reply != REPLY_SLOWED;
}

/* Ask the other half about the name that is kept, and take what it says. */
static enum outcome log_in(struct pop3 *p, struct secret *password, struct buf *out)
{
	struct pop3_answer answer = { .reply = REPLY_NONE };
	struct pop3_maildrop drop = { .count = 0 };
	p->host->login(p->host->context, p->user, password, &drop, &answer);
	secret_wipe(password);
	p->user_given = false;
	if (answer.reply != REPLY_LOGGED_IN) {
		count_failure(p, answer.reply);
		p->login_over = p->login_over || answer.final;
		return pass_on(p, out, &answer);
	}
	p->drop = drop;
	p->marked = 0;
	p->total = drop.count > 0 ? drop.list.octets : 0;
	p->marked_octets = 0;
	(void)say(p, out, REPLY_LOGGED_IN, drop.count, p->total);
	return LOGGED_IN;
}

int command_keep_name(struct pop3 *p, const char *name, size_t len)
{
	if (len > USER_NAME_MAX)
		return -1;
	memcpy(p->user, name, len);
	p->user[len] = '\0';
	return 0;
}

static enum outcome cmd_user(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	p->user_given = command_keep_name(p, a->text, a->len) == 0;
	if (!p->user_given)
		return say(p, out, REPLY_NAME_TOO_LONG, USER_NAME_MAX, 0);
	struct pop3_answer answer = { .reply = REPLY_SEND_PASS };
	if (p->explain)
		p->host->known(p->host->context, p->user, &answer);
	if (answer.reply != REPLY_SEND_PASS) {
		p->user_given = false;
		count_failure(p, answer.reply);
	}
	return pass_on(p, out, &answer);
}

static enum outcome cmd_pass(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	if (!p->user_given)
		return say(p, out, REPLY_USER_FIRST, 0, 0);
	struct secret password;
	int r = secret_set(&password, a->text, a->len);
	wipe(a->text, a->len);
	if (r != 0) {
		p->user_given = false;
		count_failure(p, REPLY_PASSWORD_TOO_LONG);
		return say(p, out, REPLY_PASSWORD_TOO_LONG, PASSWORD_MAX, 0);
	}
	return log_in(p, &password, out);
}

/* RFC 4616: [authorization identity] NUL user NUL password. 0, or -1 when it is not of that form. */
static int plain_split(const char *plain, size_t size, const char **user_r, const char **password_r, size_t *len_r)
{
	const char *end = plain + size;
	const char *first = memchr(plain, '\0', size);
	if (first == NULL)
		return -1;
	const char *user = first + 1;
	const char *second = memchr(user, '\0', (size_t)(end - user));
	if (second == NULL || second == user)
		return -1;
	*user_r = user;
	*password_r = second + 1;
	*len_r = (size_t)(end - *password_r);
	return memchr(*password_r, '\0', *len_r) == NULL ? 0 : -1;
}

static enum outcome sasl_plain(struct pop3 *p, char *text, size_t len, struct buf *out)
{
	char plain[RESPONSE_LINE_MAX];
	size_t size = 0, password_len = 0;
	const char *user = NULL, *password_text = NULL;
	struct secret password = { .len = 0 };
	enum reply refusal = REPLY_NONE;
	int r = base64_decode(text, len, plain, sizeof plain, &size);
	wipe(text, len);
	if (r != 0)
		refusal = REPLY_BAD_BASE64;
	else if (plain_split(plain, size, &user, &password_text, &password_len) != 0)
		refusal = REPLY_BAD_PLAIN;
	else if (strlen(user) > USER_NAME_MAX)
		refusal = REPLY_NAME_TOO_LONG;
	else if (*plain != '\0' && strcmp(plain, user) != 0)
		refusal = REPLY_OTHER_IDENTITY;
	else if (secret_set(&password, password_text, password_len) != 0)
		refusal = REPLY_PASSWORD_TOO_LONG;
	if (refusal == REPLY_NONE) {
		(void)command_keep_name(p, user, strlen(user));
		enum outcome outcome = log_in(p, &password, out);
		wipe(plain, sizeof plain);
		return outcome;
	}
	wipe(plain, sizeof plain);
	count_failure(p, refusal);
	return say(p, out, refusal, refusal == REPLY_NAME_TOO_LONG ? USER_NAME_MAX : PASSWORD_MAX, 0);
}

enum outcome command_sasl_response(struct pop3 *p, char *line, size_t len, struct buf *out)
{
	if (len == 1 && line[0] == '*')
		return say(p, out, REPLY_AUTH_CANCELLED, 0, 0);
	return sasl_plain(p, line, len, out);
}

static enum outcome cmd_auth(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	if (!a->given || a->len == 0) {
		pop3_say(p, REPLY_MECHANISMS, NULL, out);
		(void)buf_add_text(out, pop3_login_admitted(p) ? "PLAIN\r\n.\r\n" : ".\r\n");
		return DONE;
	}
	char *space = memchr(a->text, ' ', a->len);
	size_t word = space != NULL ? (size_t)(space - a->text) : a->len;
	if (!is_keyword(a->text, word, "PLAIN"))
		return say(p, out, REPLY_MECHANISM_UNKNOWN, 0, 0);
	if (space == NULL) {
		(void)buf_add_text(out, "+ \r\n");
		return RESPONSE_FOLLOWS;
	}
	/* RFC 5034 section 4: a lone = is an empty response, which PLAIN does not have. */
	size_t len = a->len - word - 1;
	if (len == 1 && space[1] == '=')
		return say(p, out, REPLY_BAD_PLAIN, 0, 0);
	return sasl_plain(p, space + 1, len, out);
}

/* The greeting has no timestamp, which says so already (RFC 1939 section 7); some programs ask all the same, and so do people. */
static enum outcome cmd_apop(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	return say(p, out, REPLY_MECHANISM_UNKNOWN, 0, 0);
}

static enum outcome cmd_stls(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	if (p->tls)
		return say(p, out, REPLY_TLS_ALREADY, 0, 0);
	if (!p->tls_offered)
		return say(p, out, REPLY_TLS_NOT_OFFERED, 0, 0);
	/* RFC 2595 section 4: nothing that came in clear may count as said inside TLS (CVE-2011-0411). */
	if (*p->input_pending) {
		pop3_say(p, REPLY_TLS_PIPELINED, NULL, out);
		return TLS_PIPELINED;
	}
	p->door = DOOR_NONE;
	pop3_say(p, REPLY_BEGIN_TLS, NULL, out);
	return TLS_FOLLOWS;
}

/* RFC 6856 section 2.1. Names and passwords are the octets they are, before it and after it. */
static enum outcome cmd_utf8(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	p->utf8 = true;
	return say(p, out, REPLY_UTF8_ON, 0, 0);
}

/* ---- both states ---- */

/* RFC 2449 section 6: what holds for this connection now. */
static enum outcome cmd_capa(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	static const char *const always[] = { "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION postern" };
	(void)a;
	pop3_say(p, REPLY_CAPABILITIES, NULL, out);
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *row = &commands[i];
		if (row->capability == NULL || ((row->flags & LOGIN) && !pop3_login_admitted(p)))
			continue;
		/* It alone is announced in one state (RFC 2595 section 4). */
		if (row->handler == cmd_stls && (p->tls || !p->tls_offered || p->state == POP3_TRANSACTION))
			continue;
		(void)buf_printf(out, "%s\r\n", row->capability);
	}
	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
		(void)buf_printf(out, "%s\r\n", always[i]);
	(void)buf_add_text(out, ".\r\n");
	if (!pop3_login_admitted(p))
		p->door = DOOR_NO_TLS;
	return DONE;
}

/* RFC 6856 section 3.2: the list of languages, or a choice, which its own answer follows already. */
static enum outcome cmd_lang(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	if (a->given && a->len > 0) {
		const struct language *language = language_find(a->text, a->len);
		if (language == NULL)
			return say(p, out, REPLY_LANGUAGE_UNKNOWN, 0, 0);
		p->language = language;
		pop3_say(p, REPLY_LANGUAGE_SET, &(struct reply_args){ .text = language->tag }, out);
		return DONE;
	}
	pop3_say(p, REPLY_LANGUAGES, NULL, out);
	for (size_t i = 0; i < languages_count; i++)
		(void)buf_printf(out, "%s %s\r\n", languages[i].tag, languages[i].name);
	(void)buf_add_text(out, ".\r\n");
	return DONE;
}

static enum outcome cmd_quit(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	struct pop3_answer answer = { .reply = REPLY_BYE };
	if (p->state == POP3_TRANSACTION)
		p->host->commit(p->host->context, &p->drop, p->marked, &answer);
	(void)pass_on(p, out, &answer);
	return QUIT;
}

/* ---- TRANSACTION ---- */

static enum outcome cmd_stat(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	return say(p, out, REPLY_STAT, left_count(p), left_octets(p));
}

/* Lines of all messages that have no mark. Where none has one, the marks of a large maildrop are not even touched. */
static enum outcome list_follows(struct pop3 *p, bool uidl)
{
	p->listing = (struct listing){ .list = &p->drop.list, .left_out = p->marked > 0 ? p->drop.marks : NULL, .uidl = uidl };
	return LIST_FOLLOWS;
}

static enum outcome cmd_list(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	if (a->given)
		return say(p, out, REPLY_LIST_ONE, a->idx + 1, list_octets(&p->drop.list, a->idx));
	(void)say(p, out, REPLY_LIST_ALL, left_count(p), left_octets(p));
	return list_follows(p, false);
}

static enum outcome cmd_uidl(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	if (a->given) {
		char uidl[UIDL_MAX + 1];
		uidl[list_uidl(&p->drop.list, a->idx, uidl)] = '\0';
		pop3_say(p, REPLY_UIDL_ONE, &(struct reply_args){ .n = { a->idx + 1 }, .text = uidl }, out);
		return DONE;
	}
	(void)say(p, out, REPLY_UIDL_ALL, left_count(p), 0);
	return list_follows(p, true);
}

/* RETR and TOP: open the message before +OK is said. */
static enum outcome open_message(struct pop3 *p, size_t idx, struct buf *out)
{
	struct pop3_answer answer = { .reply = REPLY_NONE };
	p->send = (struct pop3_send){ .body = { .fd = -1 } };
	p->host->fetch(p->host->context, idx, &p->send.body, &answer);
	return answer.reply == REPLY_MESSAGE ? MESSAGE_FOLLOWS : pass_on(p, out, &answer);
}

static enum outcome cmd_retr(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	enum outcome outcome = open_message(p, a->idx, out);
	if (outcome == MESSAGE_FOLLOWS)
		(void)say(p, out, REPLY_MESSAGE, p->send.body.wire, 0); /* not the list's, which may have it by the name of a file (docs/design.md) */
	return outcome;
}

static enum outcome cmd_top(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	enum outcome outcome = open_message(p, a->idx, out);
	if (outcome == MESSAGE_FOLLOWS) {
		p->send.top = true;
		p->send.lines = a->lines;
		(void)say(p, out, REPLY_TOP, a->idx + 1, a->lines);
	}
	return outcome;
}

static enum outcome cmd_dele(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	p->drop.marks[a->idx] = true;
	p->marked++;
	p->marked_octets += list_octets(&p->drop.list, a->idx);
	return say(p, out, REPLY_MARKED, a->idx + 1, 0);
}

static enum outcome cmd_rset(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	memset(p->drop.marks, 0, p->drop.count * sizeof *p->drop.marks);
	p->marked = 0;
	p->marked_octets = 0;
	return say(p, out, REPLY_RESET, p->drop.count, p->total);
}

static enum outcome cmd_noop(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	return say(p, out, REPLY_NOOP, 0, 0);
}

static enum outcome cmd_last(struct pop3 *p, const struct arguments *a, struct buf *out)
{
	(void)a;
	return say(p, out, REPLY_OBSOLETE, 0, 0);
}

const struct command commands[] = {
	{ "CAPA", ANYWHERE,         ARG_NONE,           0,                             NULL,         cmd_capa },
	{ "USER", IN_AUTHORIZATION, ARG_TEXT,           LOGIN,                         "USER",       cmd_user },
	{ "PASS", IN_AUTHORIZATION, ARG_TEXT,           LOGIN | SECRET | MAY_BE_EMPTY, NULL,         cmd_pass },
	{ "AUTH", IN_AUTHORIZATION, ARG_OPTIONAL_TEXT,  LOGIN | SECRET,                "SASL PLAIN", cmd_auth },
	{ "APOP", IN_AUTHORIZATION, ARG_OPTIONAL_TEXT,  LOGIN,                         NULL,         cmd_apop },
	{ "STLS", IN_AUTHORIZATION, ARG_NONE,           0,                             "STLS",       cmd_stls },
	{ "STAT", IN_TRANSACTION,   ARG_NONE,           0,                             NULL,         cmd_stat },
	{ "LIST", IN_TRANSACTION,   ARG_OPTIONAL_MSGNO, 0,                             NULL,         cmd_list },
	{ "UIDL", IN_TRANSACTION,   ARG_OPTIONAL_MSGNO, 0,                             "UIDL",       cmd_uidl },
	{ "RETR", IN_TRANSACTION,   ARG_MSGNO,          0,                             NULL,         cmd_retr },
	{ "TOP",  IN_TRANSACTION,   ARG_MSGNO_LINES,    0,                             "TOP",        cmd_top },
	{ "DELE", IN_TRANSACTION,   ARG_MSGNO,          0,                             NULL,         cmd_dele },
	{ "RSET", IN_TRANSACTION,   ARG_NONE,           0,                             NULL,         cmd_rset },
	{ "NOOP", IN_TRANSACTION,   ARG_NONE,           0,                             NULL,         cmd_noop },
	{ "LAST", IN_TRANSACTION,   ARG_NONE,           0,                             NULL,         cmd_last },
	{ "LANG", ANYWHERE,         ARG_OPTIONAL_TEXT,  0,                             "LANG",       cmd_lang },
	{ "UTF8", IN_AUTHORIZATION, ARG_NONE,           0,                             "UTF8",       cmd_utf8 },
	{ "QUIT", ANYWHERE,         ARG_NONE,           0,                             NULL,         cmd_quit },
};
const size_t commands_count = sizeof commands / sizeof commands[0];
