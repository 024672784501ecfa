/*
 * check_login.c - the one login.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 *
 * The password leaves only over TLS with a good certificate, to a loopback address, or with --plaintext; and only when the
 * server has taken the user name.
 */
#include "cli/check_login.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

bool login_may_send(const struct check *c, const struct attempt *a)
{
	bool is_protected = a->reach == REACH_READY && a->tls != TLS_NONE;
	return is_protected || ((c->is_loopback || c->o.plaintext) && a->reach >= REACH_POP3);
}

/* ---- a program in between ---- */

/* Does the answer to USER give the name with something behind it that nobody sent, such as ann/mail.example.org? */
static bool is_rewritten(const struct check *c, const char *text, size_t len)
{
	size_t user = strlen(c->user), host = strlen(c->o.host);
	for (size_t at = 0; at + user + 1 < len; at++) {
		const char *behind = text + at + user;
		size_t left = len - at - user;
		if (memcmp(text + at, c->user, user) != 0 || strchr("@/#%", *behind) == NULL || *behind == '\0')
			continue;
		/* A server adds its own domain; that is no rewriting. */
		size_t word = 1;
		while (word < left && behind[word] != ' ' && behind[word] != '\0')
			word++;
		size_t domain = word - 1;
		if (domain > 0 && (domain > host || strncasecmp(c->o.host + host - domain, behind + 1, domain) != 0))
			return true;
	}
	return false;
}

static bool is_between(const struct session *s)
{
	const struct line *line = &s->answer.line;
	const char *space = memchr(line->text, ' ', line->kept);
	size_t skip = space != NULL ? (size_t)(space - line->text) : line->kept;
	char tool[SERVER_NAME_MAX];
	return server_recognize("between", line->text + skip, line->kept - skip, tool) || is_rewritten(s->check, line->text, line->kept);
}

static bool greeted_by_proxy(const struct check *c)
{
	for (size_t i = 0; i < c->step_count; i++)
		if (c->steps[i].meaning.count > 0 && c->steps[i].meaning.situations[0] == SITUATION_BETWEEN)
			return true;
	return false;
}

/* A refused name or password, with somebody in between who changes names: that is the likelier reason. */
static void blame_proxy(struct step *step, bool is_there)
{
	bool is_refusal = false;
	for (size_t i = 0; i < step->meaning.count; i++)
		is_refusal |= step->meaning.situations[i] == SITUATION_UNKNOWN_USER || step->meaning.situations[i] == SITUATION_BAD_PASSWORD;
	if (is_there && is_refusal)
		step_end(step, OUTCOME_FAULT, SITUATION_BETWEEN);
}

/* ---- the commands ---- */

static int user_and_pass(struct session *s)
{
	struct check *c = s->check;
	char line[LINK_LINE_MAX / 2];
	(void)snprintf(line, sizeof line, "USER %s", c->user);
	session_command(s, line, line);
	bool between = is_between(s);
	struct step *step = step_begin(c, "user name", s->link.where);
	step_sent(c, step, line, strlen(line));
	if (!session_judge(s, step, MOMENT_LOGIN, OUTCOME_FAULT)) {
		blame_proxy(step, between || greeted_by_proxy(c));
		return -1;
	}
	if (between)
		step_end(step, OUTCOME_WARNING, SITUATION_BETWEEN);
	(void)snprintf(line, sizeof line, "PASS %s", c->password.text);
	c->mask_from = MASK_ALL;
	session_command(s, line, "PASS ********");
	explicit_bzero(line, sizeof line);
	step = step_begin(c, "password", s->link.where);
	step_sent(c, step, "PASS ********", strlen("PASS ********"));
	if (session_judge(s, step, MOMENT_LOGIN, OUTCOME_FAULT))
		return 0;
	blame_proxy(step, between || greeted_by_proxy(c));
	return -1;
}

static int auth_plain(struct session *s)
{
	struct check *c = s->check;
	char plain[USER_NAME_MAX + HOST_NAME_MAX_OCTETS + PASSWORD_MAX + 4];
	int len = snprintf(plain, sizeof plain, "%c%s%c%s", '\0', c->user, '\0', c->password.text);
	(void)sodium_bin2base64(c->response, sizeof c->response, (const unsigned char *)plain, (size_t)len, sodium_base64_VARIANT_ORIGINAL);
	explicit_bzero(plain, sizeof plain);
	session_command(s, "AUTH PLAIN", "AUTH PLAIN");
	if (s->answer.status == STATUS_GO_ON) {
		c->mask_from = MASK_ALL;
		session_command(s, c->response, "********");
	}
	struct step *step = step_begin(c, "password", s->link.where);
	step_sent(c, step, "AUTH PLAIN ********", strlen("AUTH PLAIN ********"));
	return session_judge(s, step, MOMENT_LOGIN, OUTCOME_FAULT) ? 0 : -1;
}

/* Before STLS some servers list no login at all, and mailutils lists XTLSREQUIRED. */
static bool waits_for_tls(const struct session *s)
{
	bool has_login = session_can(s, "USER", NULL) || session_can(s, "SASL", "PLAIN");
	bool is_empty = session_can(s, "SASL", NULL) && !session_can(s, "SASL", "XOAUTH2") && !session_can(s, "SASL", "OAUTHBEARER");
	return s->link.ssl == NULL && (session_can(s, "XTLSREQUIRED", NULL) || (session_can(s, "STLS", NULL) && !has_login && is_empty));
}

/* A server that lists what it can, and neither USER nor PLAIN among it. */
static int no_way_in(struct session *s)
{
	struct step *step = step_begin(s->check, "password", s->link.where);
	step_detail(step, "CAPA lists no login with a password; it was not sent");
	step_end(step, OUTCOME_FAULT, waits_for_tls(s) ? SITUATION_TLS_REQUIRED : SITUATION_NO_PASSWORD_LOGIN);
	return -1;
}

/* Something that comes after the login and that nobody asked for. */
static int wait_quietly(struct session *s)
{
	struct line line;
	if (!link_waiting(&s->link, check_deadline(s->check, QUIET_MS)))
		return 0;
	enum got got = link_line(&s->link, check_deadline(s->check, LAST_MS), &line);
	struct meaning meaning;
	struct step *step = step_begin(s->check, "after the login", s->link.where);
	step_seen(s->check, step, line.text, line.kept);
	if (got == GOT_END && line.kept == 0) {
		step_end(step, OUTCOME_FAULT, SITUATION_CLOSED);
		return -1;
	}
	size_t skip = line.kept >= strlen("-ERR") ? strlen("-ERR") : 0;
	text_explain(s->check->server, MOMENT_MAIL, line.text + skip, line.kept - skip, &meaning);
	step_detail(step, "the words mean: %s", situation_row(meaning.situations[0])->says);
	step_end(step, OUTCOME_FAULT, line.kept > 0 && line.text[0] == '-' ? SITUATION_ERROR_UNASKED : SITUATION_TWO_ANSWERS);
	return -1;
}

int check_login(struct session *s)
{
	bool lists_nothing = !s->has_capabilities || s->capabilities[0] == '\0';
	/* Servers before RFC 2449 list nothing; some list no USER and have it. */
	if (waits_for_tls(s))
		return no_way_in(s);
	if (lists_nothing || session_can(s, "USER", NULL) || !session_can(s, "SASL", NULL)) {
		if (user_and_pass(s) < 0)
			return -1;
	} else if (session_can(s, "SASL", "PLAIN")) {
		if (auth_plain(s) < 0)
			return -1;
	} else {
		return no_way_in(s);
	}
	s->check->logged_in = true;
	int result = wait_quietly(s);
	s->check->mask_from = MASK_LONG;
	return result;
}

/* ---- the name's other form ---- */

/* What stands in front of the domain in the names of mail servers. */
static const char *domain_of(const char *host)
{
	static const char *const labels[] = { "pop.", "pop3.", "mail.", "imap.", "mx.", "pops." };
	for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
		if (strncasecmp(host, labels[i], strlen(labels[i])) == 0)
			return host + strlen(labels[i]);
	return host;
}

bool login_other_name(const struct check *c, char *name_r, size_t size)
{
	const char *at = strrchr(c->o.user, '@');
	if (at != NULL)
		(void)snprintf(name_r, size, "%.*s", (int)(at - c->o.user), c->o.user);
	else
		(void)snprintf(name_r, size, "%s@%s", c->o.user, domain_of(c->o.host));
	return at != NULL || strcmp(c->o.host, c->addresses[0].text) != 0;
}

bool login_was_refused(const struct check *c)
{
	const struct step *last = c->step_count > 0 ? &c->steps[c->step_count - 1] : NULL;
	for (size_t i = 0; last != NULL && i < last->meaning.count; i++)
		if (last->meaning.situations[i] == SITUATION_UNKNOWN_USER)
			return true;
	return false;
}
