/*
 * fake_host.h - the other half of the protocol engine, played by the test: logins, messages and commits as it says.
 * Runs in: the tests.
 */
#ifndef POSTERN_TEST_FAKE_HOST_H
#define POSTERN_TEST_FAKE_HOST_H

#include <stdlib.h>

#include "daemon/pop3.h"
#include "tests/unit/list_image.h"
#include "tests/unit/suite.h"

enum { FAKE_MESSAGES = 3, FAKE_FD = 4711, FAKE_OUT = 16384 };

/* What to answer, and what was asked. */
static struct fake {
	enum reply login, known, fetch, commit;
	bool final;
	const char *told;
	struct message_record *records;
	void *image;          /* of these at the last login */
	bool *marks;
	size_t count;
	unsigned logins, knowns, fetches, commits, refers;
	char user[USER_NAME_MAX + 1], password[PASSWORD_MAX + 1];
	size_t idx, marked;
	bool pending;
} fake;

static inline void fake_answer(struct pop3_answer *answer_r, enum reply reply)
{
	*answer_r = (struct pop3_answer){ .reply = reply, .final = fake.final };
	if (fake.told != NULL)
		(void)snprintf(answer_r->told, sizeof answer_r->told, "%s", fake.told);
}

static inline void fake_login(void *context, const char *user, const struct secret *password, struct pop3_maildrop *drop_r,
                              struct pop3_answer *answer_r)
{
	CU_ASSERT(context == &fake);
	fake.logins++;
	(void)snprintf(fake.user, sizeof fake.user, "%s", user);
	(void)snprintf(fake.password, sizeof fake.password, "%s", password->text);
	CU_ASSERT(password->len == strlen(fake.password));
	fake_answer(answer_r, fake.login);
	size_t size;
	free(fake.image);
	fake.image = list_image(fake.records, fake.count, &size);
	*drop_r = (struct pop3_maildrop){ .count = fake.count, .marks = fake.marks };
	CU_ASSERT_FATAL(fake.image != NULL && list_open(&drop_r->list, fake.image, size) == 0);
}

static inline void fake_known(void *context, const char *user, struct pop3_answer *answer_r)
{
	CU_ASSERT(context == &fake);
	fake.knowns++;
	fake_answer(answer_r, strcmp(user, "ann") == 0 ? REPLY_SEND_PASS : fake.known);
}

static inline void fake_fetch(void *context, size_t idx, struct message_body *body_r, struct pop3_answer *answer_r)
{
	CU_ASSERT(context == &fake);
	fake.fetches++;
	fake.idx = idx;
	fake_answer(answer_r, fake.fetch);
	answer_r->args.n[0] = idx + 1;
	if (fake.fetch == REPLY_MESSAGE)
		*body_r = (struct message_body){ .fd = FAKE_FD, .offset = 10 * idx, .length = 5, .wire = fake.records[idx].octets };
}

static inline void fake_commit(void *context, const struct pop3_maildrop *drop, size_t marked, struct pop3_answer *answer_r)
{
	CU_ASSERT(context == &fake && drop->marks == fake.marks);
	fake.commits++;
	fake.marked = marked;
	fake_answer(answer_r, fake.commit);
	answer_r->args.n[0] = marked;
	answer_r->args.n[1] = drop->count - marked;
}

static inline uint32_t fake_refer(void *context, enum reply reply, const struct reply_args *args)
{
	CU_ASSERT(context == &fake && reply_row(reply)->referenced && args != NULL);
	fake.refers++;
	return REF_NONE;
}

static const struct pop3_host fake_host = { fake_login, fake_known, fake_fetch, fake_commit, fake_refer, &fake };

/* count messages of 100, 101, ... octets, "uid1", "uid2", ... */
static inline void fake_drop(size_t count)
{
	free(fake.records);
	free(fake.marks);
	fake.count = count;
	fake.records = calloc(count + 1, sizeof *fake.records);
	fake.marks = calloc(count + 1, sizeof *fake.marks);
	CU_ASSERT_FATAL(fake.records != NULL && fake.marks != NULL);
	for (size_t i = 0; i < count; i++) {
		fake.records[i].octets = 100 + i;
		(void)snprintf(fake.records[i].uidl, sizeof fake.records[i].uidl, "uid%zu", i + 1);
	}
}

static inline void fake_begin(struct pop3 *p)
{
	struct fake old = fake;
	fake = (struct fake){ .login = REPLY_LOGGED_IN, .known = REPLY_MAILBOX_UNKNOWN, .fetch = REPLY_MESSAGE,
	                      .commit = REPLY_BYE_UPDATED, .records = old.records, .image = old.image, .marks = old.marks };
	fake_drop(FAKE_MESSAGES);
	*p = (struct pop3){ .host = &fake_host, .tls_offered = true, .plaintext_admitted = true,
	                    .input_pending = &fake.pending, .login_tries = 3 };
}

static inline void fake_end(void)
{
	free(fake.records);
	free(fake.image);
	free(fake.marks);
	fake = (struct fake){ .count = 0 };
}

/* One line through the engine, its listing and all; *out_r is the text until the next call. */
static inline enum pop3_next say_octets(struct pop3 *p, const char *octets, size_t len, const char **out_r)
{
	static char storage[FAKE_OUT];
	static char line[LINE_BUFFER];
	struct buf out = BUF_OVER(storage);
	out.cap--;
	memcpy(line, octets, len);
	enum pop3_next next = pop3_line(p, line, len, &out);
	while (next == POP3_NEXT_MORE)
		next = pop3_more(p, &out);
	*out_r = buf_text(&out);
	return next;
}

static inline enum pop3_next say_line(struct pop3 *p, const char *line, const char **out_r)
{
	return say_octets(p, line, strlen(line), out_r);
}

/* A line, and how the answer begins. */
static inline void expect(const char *label, struct pop3 *p, const char *line, const char *want, enum pop3_next want_next)
{
	const char *out;
	char got[FAKE_OUT];
	enum pop3_next next = say_line(p, line, &out);
	(void)snprintf(got, sizeof got, "%s", out);
	if (strncmp(got, want, strlen(want)) == 0)
		got[strlen(want)] = '\0';
	ROW_TEXT(label, got, want);
	ROW_ASSERT(label, next == want_next);
}

static inline void log_in(struct pop3 *p)
{
	expect("login", p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("login", p, "PASS secret", "+OK logged in", POP3_NEXT_LINE);
	CU_ASSERT_FATAL(p->state == POP3_TRANSACTION);
}

#endif
