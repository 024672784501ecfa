/*
 * test_log_verdicts.c - cli/log_*_rules.c: what is said about a mail program, and what is not.
 * Runs in: the tests.
 */
#include "cli/log.h"
#include "daemon/session_words.h"
#include "tests/unit/suite.h"

enum { RECORDS_MAX = 16, MINUTE = 60, HOUR = 3600 };
#define GB ((uint64_t)1000000000)
#define A "192.0.2.1"
#define B "203.0.113.9"

/* A session, or a failure when .reply is set. Times in seconds. */
struct event {
	int at;
	const char *peer;
	uint64_t count, fetched, deleted, dropped, octets;
	int list;                    /* 0: as the number of messages */
	const char *end;             /* NULL: "quit" */
	const char *reply, *reason, *told;
	unsigned tls;                /* 0: TLS 1.3; 1: none */
	unsigned times, every;       /* so many like it, so far apart */
	bool repeated;               /* a failure that was answered from memory */
};

static struct history_record record_of(const struct event *e, int at)
{
	struct history_record r;
	memset(&r, 0, sizeof r);
	r.format = HISTORY_FORMAT;
	r.kind = e->reply != NULL ? HISTORY_FAILURE : HISTORY_SESSION;
	r.when_ms = 1795424346000 + (int64_t)at * 1000;
	r.tls = e->tls == 0 ? 0x304 : 0;
	r.ref = 12345;
	(void)snprintf(r.user, sizeof r.user, "ann");
	(void)snprintf(r.peer, sizeof r.peer, "%s", e->peer);
	(void)snprintf(r.reply, sizeof r.reply, "%s", e->reply != NULL ? e->reply : "");
	(void)snprintf(r.reason, sizeof r.reason, "%s", e->reply == NULL ? (e->end != NULL ? e->end : "quit") : e->reason != NULL ? e->reason : "none");
	(void)snprintf(r.told, sizeof r.told, "%s", e->told != NULL ? e->told : "");
	(void)snprintf(r.text, sizeof r.text, "%s", e->repeated ? WORDS_REPEATED " (repeat_seconds)" : "");
	(void)snprintf(r.place, sizeof r.place, "mbox:/var/mail/ann");
	r.figures = (struct history_figures){ .count = e->count, .fetched = e->fetched, .deleted = e->deleted, .dropped = e->dropped, .octets = e->octets,
	                                      .left = e->count - e->deleted, .duration_ms = 900 };
	r.figures.list[0] = (uint8_t)(e->list != 0 ? e->list : (int)e->count);
	return r;
}

struct said { char names[512], texts[8192]; };

static void say(void *context, const struct verdict_rule *rule, const char *text)
{
	struct said *s = context;
	struct buf names = { .p = s->names, .len = strlen(s->names), .cap = sizeof s->names };
	struct buf texts = { .p = s->texts, .len = strlen(s->texts), .cap = sizeof s->texts };
	(void)buf_printf(&names, "%s%s", names.len > 0 ? " " : "", rule->name);
	(void)buf_printf(&texts, "%s\n", text);
	(void)buf_text(&names);
	(void)buf_text(&texts);
}

static struct said judge(const struct event *events, size_t count)
{
	static struct history_record records[1024];
	static const struct history_record *list[1024];
	struct said s = { .names = "" };
	size_t n = 0;
	for (size_t i = 0; i < count && events[i].peer != NULL; i++)
		for (unsigned k = 0; k < (events[i].times > 0 ? events[i].times : 1) && n < 1024; k++)
			records[n++] = record_of(&events[i], events[i].at + (int)(k * events[i].every));
	/* The order in which they come does not matter. */
	for (size_t i = 0; i < n; i++)
		list[i] = &records[n % 7 != 0 ? i * 7 % n : n - 1 - i];
	verdicts_of_user(list, n, say, &s);
	return s;
}

static const struct row {
	const char *label;
	struct event events[RECORDS_MAX];
	const char *want;          /* the rules that speak */
	const char *words;         /* in what they say; NULL: any */
} rows[] = {
	{ "nothing", { { .peer = NULL } }, "", NULL },
	{ "an ordinary day", { { .at = 0, .peer = A, .count = 10, .fetched = 10, .deleted = 10, .times = 6, .every = HOUR }, { .at = 100, .peer = B, .count = 0, .times = 6, .every = HOUR } }, "", NULL },

	{ "closed without QUIT", { { .at = 0, .peer = A, .count = 20, .fetched = 20, .deleted = 0, .dropped = 14, .end = "closed by the client without QUIT" } }, "closed-without-quit",
	  A " closed without QUIT: 14 deletions dropped in 1 session" },
	{ "closed without QUIT, nothing marked", { { .at = 0, .peer = A, .count = 20, .fetched = 20, .end = "closed by the client without QUIT" } }, "", NULL },
	{ "broke before QUIT", { { .at = 0, .peer = A, .count = 20, .fetched = 20, .deleted = 0, .dropped = 1, .end = "connection broke" } }, "broken-before-quit", "1 deletion dropped in 1 session" },
	{ "silent before QUIT", { { .at = 0, .peer = A, .count = 20, .fetched = 20, .deleted = 0, .dropped = 3, .end = "idle" } }, "silent-before-quit", "fell silent before QUIT" },
	{ "each address has its own", { { .at = 0, .peer = A, .count = 20, .fetched = 0, .deleted = 0, .dropped = 2, .end = "closed by the client without QUIT" }, { .at = 9, .peer = B, .count = 20, .fetched = 0, .deleted = 0, .dropped = 3, .end = "closed by the client without QUIT" } },
	  "closed-without-quit closed-without-quit", NULL },

	{ "every twenty seconds", { { .at = 0, .peer = A, .count = 0, .times = 9, .every = 20 } }, "polls-often", A " polls every 20 seconds: 9 sessions" },
	{ "every five minutes", { { .at = 0, .peer = A, .count = 0, .times = 9, .every = 300 } }, "", NULL },
	{ "five sessions are no pace", { { .at = 0, .peer = A, .count = 0, .times = 5, .every = 20 } }, "", NULL },
	{ "two at a time, every ten minutes", { { .at = 0, .peer = A, .count = 0, .times = 6, .every = 600 }, { .at = 5, .peer = A, .count = 0, .times = 6, .every = 600 } }, "", NULL },
	{ "two devices, each slow enough", { { .at = 0, .peer = A, .count = 0, .times = 6, .every = 61 }, { .at = 5, .peer = B, .count = 0, .times = 6, .every = 61 } }, "", NULL },

	{ "lost its state", { { .at = 0, .peer = A, .count = 812, .fetched = 812, .times = 2, .every = HOUR } }, "lost-state", "fetched all 812 again" },
	{ "lost its state between polls", { { .at = 0, .peer = A, .count = 812, .fetched = 0 }, { .at = HOUR, .peer = A, .count = 812, .fetched = 812 } }, "lost-state", "when 0 of 812 messages were fetched, yet at" },
	{ "new mail came", { { .at = 0, .peer = A, .count = 812, .fetched = 812, .list = 1 }, { .at = HOUR, .peer = A, .count = 813, .fetched = 813, .list = 2 } }, "", NULL },
	{ "as many, but others", { { .at = 0, .peer = A, .count = 10, .fetched = 10, .list = 1 }, { .at = HOUR, .peer = A, .count = 10, .fetched = 10, .list = 2 } }, "", NULL },
	{ "another device", { { .at = 0, .peer = A, .count = 812, .fetched = 812 }, { .at = HOUR, .peer = B, .count = 812, .fetched = 812 } }, "", NULL },
	{ "the first broke off", { { .at = 0, .peer = A, .count = 812, .fetched = 400, .end = "connection broke" }, { .at = HOUR, .peer = A, .count = 812, .fetched = 812 } }, "", NULL },
	{ "only a few", { { .at = 0, .peer = A, .count = 4, .fetched = 4, .times = 2, .every = HOUR } }, "", NULL },

	{ "an old password", { { .at = 0, .peer = A, .reply = "INVALID_PASSWORD", .reason = "wrong password", .times = 5, .every = 300 } }, "old-password",
	  "5 times from" },
	{ "an old password, every five minutes", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 7, .every = 300 } }, "old-password",
	  "about every 5 minutes. Nobody ever logged in from there" },
	{ "changed meanwhile", { { .at = -HOUR, .peer = A, .count = 0 }, { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 5, .every = 300 } }, "old-password",
	  "a device that was not told a new password, or somebody else behind that address" },
	{ "corrected since", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 5, .every = 300 }, { .at = HOUR, .peer = A, .count = 0 } }, "old-password",
	  "Since then it has logged in" },
	{ "the same again, from a device that knew better", { { .at = -HOUR, .peer = A, .count = 0 }, { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 60, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 5, .every = 60, .repeated = true } }, "same-password", "and this device was not told" },
	{ "the same again, in numbers", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 60, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 5, .every = 60, .repeated = true } }, "same-password",
	  "a device at " A " sends the same wrong password again and again: 6 times from" },
	{ "the same again, asked once", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 60, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 5, .every = 60, .repeated = true } }, "same-password", "It was last asked about at 2026-" },
	{ "once the same is chance", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 60, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .repeated = true } }, "", NULL },
	{ "slowed down once", { { .at = 0, .peer = A, .reply = "SLOWED", .reason = "slowed down" } }, "slowed-down", "1 password was not looked at, the last time" },
	{ "slowed down", { { .at = 0, .peer = B, .reply = "SLOWED", .reason = "slowed down" }, { .at = 1, .peer = A, .reply = "SLOWED", .reason = "slowed down", .times = 3, .every = 2 } },
	  "slowed-down", "4 passwords were not looked at, the last time" },
	{ "mistyped", { { .at = 0, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password", .times = 4, .every = 5 } }, "", NULL },
	{ "guessing", { { .at = 0, .peer = "192.0.2.10", .reply = "NOT_ACCEPTED", .reason = "wrong password" }, { .at = 1, .peer = "192.0.2.11", .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 2, .peer = "192.0.2.12", .reply = "NOT_ACCEPTED", .reason = "wrong password" }, { .at = 3, .peer = "192.0.2.13", .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 4, .peer = "192.0.2.14", .reply = "NOT_ACCEPTED", .reason = "wrong password" } }, "password-guessing", "5 were refused, from 5 addresses" },
	{ "guessing root's", { { .at = 0, .peer = "192.0.2.10", .reply = "NOT_ACCEPTED", .reason = "uid not allowed" }, { .at = 1, .peer = "192.0.2.11", .reply = "NOT_ACCEPTED", .reason = "uid not allowed" },
	  { .at = 2, .peer = "192.0.2.12", .reply = "NOT_ACCEPTED", .reason = "uid not allowed" }, { .at = 3, .peer = "192.0.2.13", .reply = "NOT_ACCEPTED", .reason = "uid not allowed" },
	  { .at = 4, .peer = "192.0.2.14", .reply = "NOT_ACCEPTED", .reason = "uid not allowed" } }, "password-guessing", "5 were refused, from 5 addresses" },
	{ "not all of them strangers", { { .at = 0, .peer = "192.0.2.10", .reply = "NOT_ACCEPTED", .reason = "wrong password" }, { .at = 1, .peer = "192.0.2.11", .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 2, .peer = "192.0.2.12", .reply = "NOT_ACCEPTED", .reason = "wrong password" }, { .at = 3, .peer = "192.0.2.13", .reply = "NOT_ACCEPTED", .reason = "wrong password" },
	  { .at = 4, .peer = A, .reply = "NOT_ACCEPTED", .reason = "wrong password" }, { .at = 5, .peer = A, .count = 0 } }, "", NULL },

	{ "a bad line", { { .at = 0, .peer = A, .count = 5, .end = "connection broke", .times = 3, .every = HOUR }, { .at = 60, .peer = A, .count = 5, .times = 5, .every = HOUR } }, "connection-breaks", "in 3 of 8 sessions" },
	{ "now and then", { { .at = 0, .peer = A, .count = 5, .end = "connection broke", .times = 3, .every = HOUR }, { .at = 60, .peer = A, .count = 5, .times = 15, .every = HOUR } }, "", NULL },
	{ "holds the mailbox", { { .at = 0, .peer = A, .count = 5, .end = "idle", .times = 3, .every = HOUR } }, "holds-the-mailbox", "3 times" },
	{ "in clear", { { .at = 0, .peer = A, .count = 5, .tls = 1 } }, "no-encryption", A " logs in without encryption: 1 session," },
	{ "in clear, on the host itself", { { .at = 0, .peer = "127.0.0.1", .count = 5, .tls = 1 }, { .at = 9, .peer = "::1", .count = 5, .tls = 1 } }, "", NULL },

	{ "two devices", { { .at = 0, .peer = A, .reply = "LOCKED_ACTIVE", .reason = "maildrop locked by another session", .told = B, .times = 2, .every = HOUR } }, "two-devices",
	  A " had to wait for " B },
	{ "once is chance", { { .at = 0, .peer = A, .reply = "LOCKED_ACTIVE", .reason = "maildrop locked by another session", .told = B } }, "", NULL },
	{ "itself", { { .at = 0, .peer = A, .reply = "LOCKED", .reason = "maildrop locked by another session", .told = A, .times = 2, .every = HOUR } }, "second-program", A " meets itself: 2 logins" },
	{ "taken over", { { .at = 0, .peer = A, .count = 5, .end = "taken over by a newer login", .times = 2, .every = HOUR } }, "taken-over", "ended 2 silent sessions" },

	{ "leaves mail", { { .at = 0, .peer = A, .count = 5000, .fetched = 0, .octets = 8 * GB, .list = 1 }, { .at = HOUR, .peer = A, .count = 5100, .fetched = 100, .octets = 9 * GB, .list = 2, .times = 2, .every = HOUR } }, "leaves-mail",
	  "9.0 GB by now, in 5100 messages, 1.0 GB more than on" },
	{ "leaves little", { { .at = 0, .peer = A, .count = 50, .fetched = 0, .octets = GB / 2, .times = 3, .every = HOUR } }, "", NULL },
	{ "large, but it deletes", { { .at = 0, .peer = A, .count = 5000, .fetched = 0, .octets = 8 * GB, .times = 3, .every = HOUR }, { .at = 4 * HOUR, .peer = B, .count = 5000, .fetched = 0, .deleted = 10, .octets = 8 * GB } }, "", NULL },

	{ "IMAP beside it", { { .at = 0, .peer = A, .reply = "MESSAGE_GONE", .reason = "message gone", .times = 2, .every = 1 } }, "other-program", "2 times" },
	{ "removed elsewhere", { { .at = 0, .peer = A, .count = 10, .fetched = 10 }, { .at = HOUR, .peer = A, .count = 7 } }, "removed-elsewhere", "3 messages went away between sessions" },
	{ "removed here", { { .at = 0, .peer = A, .count = 10, .fetched = 10, .deleted = 3 }, { .at = HOUR, .peer = A, .count = 7 } }, "", NULL },
	{ "an update that the next login finished", { { .at = 0, .peer = A, .count = 10, .fetched = 10 }, { .at = 0, .peer = A, .reply = "KEPT_UNFINISHED", .reason = "update interrupted" },
		{ .at = HOUR, .peer = A, .count = 7 } }, "server-at-fault", "KEPT_UNFINISHED" },
	{ "the server", { { .at = 0, .peer = A, .reply = "KEPT_FULL", .reason = "disk full" } }, "server-at-fault", "KEPT_FULL, ref " },
	{ "a restart is no fault", { { .at = 0, .peer = A, .reply = "STOPPING" } }, "", NULL },
	{ "a name that nobody knows", { { .at = 0, .peer = A, .reply = "FROM_THE_FUTURE", .reason = "unheard of" } }, "", NULL },
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct said s = judge(rows[i].events, RECORDS_MAX);
		ROW_TEXT(rows[i].label, s.names, rows[i].want);
		if (rows[i].words != NULL && strstr(s.texts, rows[i].words) == NULL)
			ROW_TEXT(rows[i].label, s.texts, rows[i].words);
	}
}

/* Every rule is in a row that makes it speak. */
static void test_every_rule(void)
{
	for (size_t k = 0; k < verdict_rules_count; k++) {
		bool spoke = false;
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			spoke = spoke || strstr(rows[i].want, verdict_rules[k].name) != NULL;
		ROW_ASSERT(verdict_rules[k].name, spoke);
	}
}

#define TESTS(X) X(test_rows) X(test_every_rule)
SUITE("verdicts")
