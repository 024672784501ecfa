/*
 * fuzz_host.h - the other half of the protocol engine for fuzz targets: one user, one mailbox, and a count of what was asked.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_FUZZ_HOST_H
#define POSTERN_FUZZ_HOST_H

#include "daemon/pop3.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/list_image.h"

enum { HOST_MESSAGES = 40, HOST_REF = 0x155555 };

static struct fuzz_host {
	enum reply login, fetch, commit;   /* what is answered */
	bool final;
	unsigned logins, fetches, commits;
	char user[USER_NAME_MAX + 1];
	struct secret password;
	size_t marked;                     /* as the commit said */
	struct message_record records[HOST_MESSAGES];
	void *image;                       /* of these at the last login */
	bool marks[HOST_MESSAGES];
	size_t count;
	bool pending;
} host;

/* As UIDL and LIST have them; the same in each run. */
static struct { char uidl[24], octets[24]; } host_lines[HOST_MESSAGES];

static inline void host_answer(struct pop3_answer *answer_r, enum reply reply)
{
	*answer_r = (struct pop3_answer){ .reply = reply, .final = host.final };
	(void)snprintf(answer_r->told, sizeof answer_r->told, "told");
}

static inline void host_login(void *context, const char *user, const struct secret *password, struct pop3_maildrop *drop_r, struct pop3_answer *answer_r)
{
	(void)context;
	host.logins++;
	CHECK(strlen(user) <= USER_NAME_MAX && password->len <= PASSWORD_MAX, "a name of %zu, a password of %zu", strlen(user), password->len);
	CHECK(password->text[password->len] == '\0' && strlen(password->text) == password->len, "a password with a NUL");
	(void)snprintf(host.user, sizeof host.user, "%s", user);
	host.password = *password;
	host_answer(answer_r, host.login);
	size_t size;
	free(host.image);
	host.image = list_image(host.records, host.count, &size);
	*drop_r = (struct pop3_maildrop){ .count = host.count, .marks = host.marks };
	CHECK(host.image != NULL && list_open(&drop_r->list, host.image, size) == 0, "an image");
}

static inline void host_known(void *context, const char *user, struct pop3_answer *answer_r)
{
	(void)context;
	host_answer(answer_r, strcmp(user, "ann") == 0 ? REPLY_SEND_PASS : REPLY_MAILBOX_UNKNOWN);
}

static inline void host_fetch(void *context, size_t idx, struct message_body *body_r, struct pop3_answer *answer_r)
{
	(void)context;
	host.fetches++;
	CHECK(idx < host.count && !host.marks[idx], "message %zu of %zu", idx, host.count);
	host_answer(answer_r, host.fetch);
	if (host.fetch == REPLY_MESSAGE)
		*body_r = (struct message_body){ .fd = -1, .length = 5, .wire = host.records[idx].octets };
}

static inline void host_commit(void *context, const struct pop3_maildrop *drop, size_t marked, struct pop3_answer *answer_r)
{
	size_t set = 0;
	(void)context;
	host.commits++;
	host.marked = marked;
	for (size_t i = 0; i < host.count; i++)
		set += host.marks[i];
	CHECK(drop->marks == host.marks && set == marked, "a commit of %zu, and %zu marks", marked, set);
	host_answer(answer_r, host.commit);
}

static inline uint32_t host_refer(void *context, enum reply reply, const struct reply_args *args)
{
	(void)context;
	CHECK(reply_row(reply)->referenced && args != NULL, "a reference for %s", reply_row(reply)->name);
	return HOST_REF;
}

static const struct pop3_host host_table = { host_login, host_known, host_fetch, host_commit, host_refer, &host };

/* A mailbox of count messages; *p is ready for its greeting. */
static inline void host_begin(struct pop3 *p, size_t count)
{
	free(host.image);
	host = (struct fuzz_host){ .login = REPLY_LOGGED_IN, .fetch = REPLY_MESSAGE, .commit = REPLY_BYE_UPDATED, .count = count };
	for (size_t i = 0; i < HOST_MESSAGES && host_lines[i].uidl[0] == '\0'; i++) {
		(void)snprintf(host_lines[i].uidl, sizeof host_lines[i].uidl, "%zu uid-%zu", i + 1, i + 1);
		(void)snprintf(host_lines[i].octets, sizeof host_lines[i].octets, "%zu %zu", i + 1, 1000 + i);
	}
	for (size_t i = 0; i < count; i++) {
		host.records[i].octets = 1000 + i;
		(void)strcpy(host.records[i].uidl, strchr(host_lines[i].uidl, ' ') + 1);
	}
	*p = (struct pop3){ .host = &host_table, .tls_offered = true, .plaintext_admitted = true, .input_pending = &host.pending, .login_tries = 3 };
}

/* ---- is a line one of the reply table's? ---- */

/* What a place may have become; returns how many octets of it, by the place's letter; -1 when none fit. */
static inline bool host_place_fits(char letter, const char *text, size_t len)
{
	static const char *const texts[] = { "", "told", " (told)", "en", "de", "es", "fr", "ja", "zh-Hans", "i-default" };
	if (letter == 'u')
		return len > 4 && strncmp(text, "uid-", 4) == 0 && strspn(text + 4, "0123456789") >= len - 4;
	if (letter == 'c')
		return len == 5 && text[2] == ':';
	if (letter >= '1' && letter <= '9')
		return len > 0 && strspn(text, "0123456789") >= len;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strlen(texts[i]) == len && memcmp(texts[i], text, len) == 0)
			return true;
	return false;
}

/* Does text run along the row's text to the end of both? {1|a|b} may be either. */
static inline bool host_runs_along(const char *row, const char *text, const char *end)
{
	for (; *row != '{'; row++, text++) {
		if (*row == '\0')
			return text == end || (end - text == 12 && memcmp(text, " (ref ", 6) == 0);
		if (text == end || *row != *text)
			return false;
	}
	const char *close = strchr(row, '}'), *bar = memchr(row, '|', (size_t)(close - row));
	if (bar != NULL) {
		const char *second = memchr(bar + 1, '|', (size_t)(close - bar - 1));
		size_t one = (size_t)(second - bar - 1), more = (size_t)(close - second - 1), left = (size_t)(end - text);
		return (left >= one && memcmp(text, bar + 1, one) == 0 && host_runs_along(close + 1, text + one, end)) ||
			(left >= more && memcmp(text, second + 1, more) == 0 && host_runs_along(close + 1, text + more, end));
	}
	for (const char *at = text; at <= end; at++)
		if (host_place_fits(row[1], text, (size_t)(at - text)) && host_runs_along(close + 1, at, end))
			return true;
	return false;
}

/* A whole status line without its CRLF: of which row is it, in that language? REPLY_NONE: of none. */
static inline enum reply host_row_of(const char *line, size_t len, const struct language *language)
{
	static struct { char text[64]; size_t len; } begins[REPLY_COUNT];
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		if (begins[id].len == 0)
			begins[id].len = (size_t)snprintf(begins[id].text, sizeof begins[id].text, "%s%s%s%s", row->ok ? "+OK " : "-ERR ",
			                                  row->code != NULL ? "[" : "", row->code != NULL ? row->code : "", row->code != NULL ? "] " : "");
		const size_t n = begins[id].len;
		if (len >= n && memcmp(line, begins[id].text, n) == 0 && host_runs_along(reply_text((enum reply)id, language), line + n, line + len))
			return (enum reply)id;
	}
	return REPLY_NONE;
}

#endif
