/*
 * check_attempt.c - one port with one kind of TLS: connection, greeting, capabilities, STLS, TLS, certificate.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/check_session.h"

/* ---- the connection ---- */

static enum situation connect_situation(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ECONNRESET: return SITUATION_REFUSED;
	case ETIMEDOUT: return SITUATION_BLACK_HOLE;
	default: return SITUATION_UNREACHABLE;
	}
}

/* Which of two failures tells more about the host: an answer, then silence, then that there is no way. */
static enum situation worse(enum situation a, enum situation b)
{
	if (a == SITUATION_NONE || b == SITUATION_REFUSED)
		return b;
	return a != SITUATION_REFUSED && b == SITUATION_BLACK_HOLE ? b : a;
}

/* This computer has no such addresses itself: no fault of anybody. */
static bool has_no_family(int err)
{
	return err == ENETUNREACH || err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

/* The other family's first address: does it answer, too? */
static void try_other_family(struct check *c, const struct address *used, unsigned port)
{
	static struct link other;
	const struct address *a = NULL;
	for (size_t i = 0; i < c->address_count && a == NULL; i++)
		if (c->addresses[i].sa.ss_family != used->sa.ss_family)
			a = &c->addresses[i];
	if (a == NULL)
		return;
	int err = link_open(&other, c, a, port, check_deadline(c, c->o.connect_ms));
	link_close(&other);
	struct step *step = step_begin(c, "connection", other.where);
	if (err == 0 || has_no_family(err)) {
		step_detail(step, err == 0 ? "the other kind of address works, too" : "not tried: this computer has no such address");
		step_end(step, OUTCOME_OK, SITUATION_NONE);
	} else {
		step_detail(step, "%s; the other kind of address works", strerror(err));
		step_end(step, OUTCOME_WARNING, connect_situation(err) == SITUATION_REFUSED ? SITUATION_FAMILY_REFUSED : SITUATION_FAMILY_FAILS);
	}
}

static int attempt_connect(struct session *s)
{
	struct check *c = s->check;
	char text[DETAIL_MAX / 2];
	struct buf detail = BUF_OVER(text);
	enum situation failure = SITUATION_NONE;
	for (size_t i = 0; i < c->address_count; i++) {
		long long begun = now_ms();
		int err = link_open(&s->link, c, &c->addresses[i], s->attempt->port, check_deadline(c, c->o.connect_ms));
		if (err == 0) {
			struct step *step = step_begin(c, "connection", s->link.where);
			step_detail(step, "connected in %lld ms", now_ms() - begun);
			step_end(step, OUTCOME_OK, SITUATION_NONE);
			s->attempt->reach = REACH_TCP;
			try_other_family(c, &c->addresses[i], s->attempt->port);
			return 0;
		}
		link_close(&s->link);
		failure = worse(failure, connect_situation(err));
		(void)buf_printf(&detail, "%s%s: %s", i > 0 ? "; " : "", c->addresses[i].text, strerror(err));
	}
	struct step *step = step_begin(c, "connection", "");
	(void)snprintf(step->where, sizeof step->where, "port %u", s->attempt->port);
	step_detail(step, "%s", buf_text(&detail));
	step_end(step, OUTCOME_FAULT, failure);
	return -1;
}

/* ---- the greeting ---- */

/* What a line is that another protocol begins with. */
static enum situation protocol_of(const struct line *line)
{
	static const struct { const char *begin; enum situation situation; } rows[] = {
		{ "+ERR", SITUATION_PLUS_ERR }, { "220", SITUATION_SMTP }, { "421", SITUATION_SMTP }, { "554", SITUATION_SMTP },
		{ "* OK", SITUATION_IMAP }, { "* PREAUTH", SITUATION_IMAP }, { "* BYE", SITUATION_IMAP }, { "HTTP/", SITUATION_HTTP },
		{ "<", SITUATION_HTTP }, { "\x15\x03", SITUATION_TLS_ON_CLEAR }, { "\x16\x03", SITUATION_TLS_ON_CLEAR },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (line->kept >= strlen(rows[i].begin) && memcmp(line->text, rows[i].begin, strlen(rows[i].begin)) == 0)
			return rows[i].situation;
	return SITUATION_OTHER_PROTOCOL;
}

/* Silence on a port in clear: does TLS get an answer there, or HTTP? */
static enum situation sniff(const struct session *s)
{
	static struct link probe;
	enum situation found = SITUATION_NONE;
	if (link_open(&probe, s->check, s->link.address, s->attempt->port, check_deadline(s->check, s->check->o.connect_ms)) == 0) {
		enum handshake h = tls_begin(&probe, check_deadline(s->check, s->check->o.connect_ms));
		if (h == HANDSHAKE_DONE || h == HANDSHAKE_OLD || h == HANDSHAKE_FAILED)
			found = SITUATION_TLS_ON_CLEAR;
		else if (probe.first_len >= strlen("HTTP") && memcmp(probe.first, "HTTP", strlen("HTTP")) == 0)
			found = SITUATION_HTTP;
	}
	link_close(&probe);
	return found;
}

/* No greeting came. A web server waits for a request, so ask something that cannot do harm. */
static enum situation after_silence(struct session *s)
{
	struct line line;
	long long deadline = check_deadline(s->check, LAST_MS);
	if (link_send(&s->link, "CAPA\r\n", strlen("CAPA\r\n"), "CAPA", deadline) == 0 && link_line(&s->link, deadline, &line) == GOT_LINE &&
	    protocol_of(&line) == SITUATION_HTTP)
		return SITUATION_HTTP;
	return SITUATION_NO_GREETING;
}

static void recognize(struct check *c, const char *kind, const char *by, const char *text, size_t len)
{
	if (c->server[0] == '\0' && server_recognize(kind, text, len, c->server))
		(void)snprintf(c->recognized_by, sizeof c->recognized_by, "%s", by);
}

static void welcome(struct session *s, struct step *step, long long waited)
{
	const char *text = s->answer.line.text + strlen("+OK");
	size_t len = s->answer.line.kept - strlen("+OK");
	char tool[SERVER_NAME_MAX];
	recognize(s->check, "greeting", "its greeting", text, len);
	s->attempt->reach = REACH_POP3;
	step_detail(step, "after %lld ms", waited);
	if (waited > s->check->o.late_ms)
		step_end(step, OUTCOME_DEFECT, SITUATION_GREETING_LATE);
	else if (server_recognize("between", text, len, tool))
		step_end(step, OUTCOME_NOTE, SITUATION_BETWEEN);
	else
		step_end(step, OUTCOME_OK, SITUATION_NONE);
}

static int greeting(struct session *s)
{
	struct check *c = s->check;
	struct answer *a = &s->answer;
	long long begun = now_ms();
	enum situation found = SITUATION_NONE;
	struct step *step = step_begin(c, "greeting", s->link.where);
	if (s->link.ssl == NULL && !link_waiting(&s->link, check_deadline(c, SNIFF_MS)))
		found = sniff(s);
	a->line.kept = 0;
	a->got = found != SITUATION_NONE ? GOT_TIMEOUT : link_line(&s->link, check_deadline(c, c->o.reply_ms - (now_ms() - begun)), &a->line);
	step_seen(c, step, a->line.text, a->line.kept);
	if (a->line.kept > 0)
		s->attempt->reach = REACH_GREETING;
	if (a->line.kept >= strlen("+OK") && memcmp(a->line.text, "+OK", strlen("+OK")) == 0 && a->got != GOT_LONG) {
		welcome(s, step, now_ms() - begun);
		return 0;
	}
	if (a->line.kept >= strlen("-ERR") && memcmp(a->line.text, "-ERR", strlen("-ERR")) == 0) {
		a->status = STATUS_ERR;
		return session_judge(s, step, MOMENT_CONNECT, OUTCOME_FAULT) ? 0 : -1;
	}
	if (found == SITUATION_NONE)
		found = a->line.kept > 0 ? protocol_of(&a->line) : a->got == GOT_TIMEOUT ? after_silence(s) : SITUATION_CLOSED_UNGREETED;
	if (a->line.kept == 0)
		step_detail(step, "nothing came in %lld ms%s", now_ms() - begun, a->got == GOT_END ? ", then the connection was closed" : "");
	step_end(step, OUTCOME_FAULT, found);
	return -1;
}

/* ---- capabilities ---- */

/* A firewall that overwrites what it does not like puts X in its place. */
static bool is_overwritten(const struct line *line)
{
	enum { AS_LONG_AS_STLS = 4 };
	return line->kept >= AS_LONG_AS_STLS && strspn(line->text, "X") >= line->kept;
}

static bool take_capabilities(struct session *s)
{
	struct buf out = BUF_OVER(s->capabilities);
	struct line line;
	bool overwritten = false;
	long long deadline = check_deadline(s->check, s->check->o.reply_ms);
	out.cap--;
	while (session_line(s, deadline, &line)) {
		size_t len = strnlen(line.text, line.kept);
		line.text[line.kept < LINK_LINE_MAX ? line.kept : LINK_LINE_MAX - 1] = '\0';
		overwritten |= is_overwritten(&line);
		recognize(s->check, "capability", "its CAPA", line.text, len);
		if (out.cap - out.len > len && buf_add(&out, line.text, len) == 0)
			(void)buf_add(&out, "\n", 1);
	}
	out.p[out.len] = '\0';
	return overwritten;
}

static void capabilities(struct session *s)
{
	char words[CAPABILITIES_MAX];
	s->capabilities[0] = '\0';
	struct step *step = session_ask(s, "capabilities", "CAPA");
	s->has_capabilities = s->answer.status == STATUS_OK;
	if (s->answer.status == STATUS_ERR) {
		step_seen(s->check, step, s->answer.line.text, s->answer.line.kept);
		step_detail(step, "an old server: it does not say what it can");
		step_end(step, OUTCOME_OK, SITUATION_NONE);
		return;
	}
	if (!session_judge(s, step, MOMENT_CONNECT, OUTCOME_FAULT))
		return;
	bool overwritten = take_capabilities(s);
	size_t len = strlen(s->capabilities);
	memcpy(words, s->capabilities, len + 1);
	for (size_t i = 0; i < len; i++)
		words[i] = words[i] == '\n' ? ' ' : words[i];
	recognize(s->check, "capabilities", "its CAPA", words, len > 0 ? len - 1 : 0);
	step_seen(s->check, step, words, len > 0 ? len - 1 : 0);
	if (s->answer.got != GOT_LINE)
		step_end(step, OUTCOME_FAULT, s->answer.got == GOT_TIMEOUT ? SITUATION_SILENT : SITUATION_CLOSED);
	else if (overwritten)
		step_end(step, OUTCOME_DEFECT, SITUATION_STLS_HIDDEN);
}

/* ---- TLS ---- */

static int shake_hands(struct session *s)
{
	static const enum situation situations[] = {
		[HANDSHAKE_NO_TLS] = SITUATION_CLEAR_ON_TLS, [HANDSHAKE_OLD] = SITUATION_TLS_OLD, [HANDSHAKE_TIMEOUT] = SITUATION_NO_GREETING,
		[HANDSHAKE_CLOSED] = SITUATION_CLOSED_UNGREETED, [HANDSHAKE_FAILED] = SITUATION_HANDSHAKE,
	};
	bool is_implicit = s->attempt->tls == TLS_IMPLICIT;
	struct step *step = step_begin(s->check, "TLS", s->link.where);
	enum handshake h = tls_begin(&s->link, check_deadline(s->check, s->check->o.reply_ms));
	if (h == HANDSHAKE_DONE) {
		(void)snprintf(step->where, sizeof step->where, "%s", s->link.where);
		step_detail(step, "%s, %s", SSL_get_version(s->link.ssl), SSL_get_cipher_name(s->link.ssl));
		step_end(step, OUTCOME_OK, SITUATION_NONE);
		s->attempt->reach = REACH_TLS;
		return tls_certificate(&s->link) ? 1 : 0;
	}
	if (s->link.first_len > 0 && h == HANDSHAKE_NO_TLS)
		step_seen(s->check, step, s->link.first, s->link.first_len);
	step_detail(step, "%s", h == HANDSHAKE_TIMEOUT ? "no answer in time" : tls_problem());
	step_end(step, OUTCOME_FAULT, is_implicit || h == HANDSHAKE_OLD ? situations[h] : SITUATION_HANDSHAKE);
	return -1;
}

/* The server does not do STLS. Whether that is a fault depends on who asks. */
static int no_stls(struct session *s, struct step *step)
{
	const struct check *c = s->check;
	bool may = s->attempt->tls == TLS_AUTO && (c->is_loopback || c->o.plaintext);
	step_seen(s->check, step, s->answer.line.text, s->answer.line.kept);
	step_detail(step, "CAPA does not list STLS, and the server does not take it");
	step_end(step, may ? OUTCOME_NOTE : OUTCOME_FAULT, SITUATION_NO_TLS);
	return may ? 1 : -1;
}

/* 1: ready; 0: TLS, but with a certificate that is bad; -1: no TLS. */
static int start_tls(struct session *s)
{
	bool is_listed = session_can(s, "STLS", NULL);
	struct step *step = session_ask(s, "STLS", "STLS");
	if (s->answer.status == STATUS_ERR && !is_listed)
		return no_stls(s, step);
	if (!session_judge(s, step, MOMENT_TLS, OUTCOME_FAULT))
		return -1;
	if (!is_listed && s->has_capabilities) {
		step_detail(step, "CAPA does not list STLS, and yet the server takes it");
		step_end(step, OUTCOME_DEFECT, SITUATION_STLS_HIDDEN);
	}
	if (s->link.start < s->link.end) {
		step = step_begin(s->check, "STLS", s->link.where);
		step_seen(s->check, step, s->link.in + s->link.start, s->link.end - s->link.start);
		step_end(step, OUTCOME_FAULT, SITUATION_INJECTED);
		return -1;
	}
	return shake_hands(s);
}

/* ---- all of it ---- */

static int attempt_run(struct session *s)
{
	int ready = 1;
	if (attempt_connect(s) < 0)
		return -1;
	if (s->attempt->tls == TLS_IMPLICIT && (ready = shake_hands(s)) < 0)
		return -1;
	if (greeting(s) < 0)
		return -1;
	if (s->attempt->tls == TLS_IMPLICIT)
		s->attempt->reach = REACH_TLS;
	capabilities(s);
	if (s->answer.status == STATUS_NONE || s->answer.got != GOT_LINE)
		return -1;
	if (s->attempt->tls == TLS_STLS || s->attempt->tls == TLS_AUTO) {
		ready = start_tls(s);
		if (ready < 0)
			return -1;
		s->attempt->tls = s->link.ssl != NULL ? TLS_STLS : TLS_NONE;
		if (s->link.ssl != NULL)
			capabilities(s);
	}
	if (ready > 0)
		s->attempt->reach = REACH_READY;
	return 0;
}

void session_begin(struct session *s, struct check *c, size_t attempt, bool is_again)
{
	size_t mark = c->step_count;
	s->check = c;
	s->attempt = &c->attempts[attempt];
	s->link.fd = -1;
	s->link.ssl = NULL;
	s->link.context = NULL;
	s->capabilities[0] = '\0';
	enum reach before = s->attempt->reach;
	s->attempt->reach = REACH_NOTHING;
	c->attempt = (int)attempt;
	(void)attempt_run(s);
	if (is_again && s->attempt->reach >= before)
		c->step_count = mark;
}
