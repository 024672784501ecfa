/*
 * test_replies.c - daemon/replies.c: that every row is whole and fits the wire, and what each reason becomes.
 * Runs in: the tests.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

#include "daemon/replies.h"
#include "tests/unit/suite.h"

enum { HOSTILE = 4096 };

/* The line of a row, NUL-terminated. */
static const char *line_of(enum reply id, uint64_t n1, uint64_t n2, uint64_t n3, const char *text)
{
	static char storage[2 * REPLY_LINE_MAX];
	struct buf out = BUF_OVER(storage);
	int r = reply_add(&out, id, &(struct reply_args){ .n = { n1, n2, n3 }, .text = text });
	CU_ASSERT(r == 0);
	return buf_text(&out);
}

static bool code_allowed(const char *code)
{
	/* RFC 2449 section 8, RFC 3206, RFC 6856: nothing else is registered. */
	static const char *const codes[] = { "IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM", "AUTH", "UTF8" };
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return false;
}

static bool printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

static void test_rows_are_whole(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		char number[32];
		(void)snprintf(number, sizeof number, "reply %d", id);
		const char *label = row->name != NULL ? row->name : number;
		ROW_ASSERT(label, row->name != NULL && row->text != NULL && row->text[0] != '\0');
		if (row->name == NULL || row->text == NULL)
			continue;
		ROW_ASSERT(label, printable(row->text) && row->text[0] != '[');
		ROW_ASSERT(label, strlen(row->name) < REPLY_NAME_ROOM && reply_by_name(row->name) == (enum reply)id);
		ROW_ASSERT(label, !row->ok || !row->referenced);
		ROW_ASSERT(label, row->severity >= LOG_CRIT && row->severity <= LOG_INFO);
		ROW_ASSERT(label, row->code == NULL || (!row->ok && code_allowed(row->code)));
		for (int other = id + 1; other < REPLY_COUNT; other++) {
			const char *name = reply_row((enum reply)other)->name;
			ROW_ASSERT(label, name == NULL || strcmp(row->name, name) != 0);
		}
	}
}

/* The places in a text are those that reply_add() knows. */
static void test_places(void)
{
	static const char *const known[] = { "{1}", "{2}", "{3}", "{1|", "{2|", "{3|", "{c1}", "{c3}", "{t}", "{q}", "{u}" };
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		for (const char *at = strchr(row->text, '{'); at != NULL; at = strchr(at + 1, '{')) {
			bool found = false;
			for (size_t i = 0; i < sizeof known / sizeof *known; i++)
				found = found || strncmp(at, known[i], strlen(known[i])) == 0;
			ROW_ASSERT(row->name, found);
		}
	}
}

/* RFC 1939 section 3: 512 octets with the CRLF, whatever fills the places. */
static void test_lines_fit(void)
{
	static char hostile[HOSTILE];
	memset(hostile, '\xff', sizeof hostile - 1);
	static const char uidl[] = "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!";
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		const char *text = strstr(row->text, "{u}") != NULL ? uidl : hostile;
		const char *line = line_of((enum reply)id, UINT64_MAX, UINT64_MAX, UINT64_MAX, text);
		size_t len = strlen(line);
		ROW_ASSERT(row->name, len <= REPLY_LINE_MAX && len > 2);
		ROW_ASSERT(row->name, strcmp(line + len - 2, "\r\n") == 0);
		ROW_ASSERT(row->name, strcspn(line, "\r\n") == len - 2);
		ROW_ASSERT(row->name, strncmp(line, row->ok ? "+OK " : "-ERR ", row->ok ? 4 : 5) == 0);
		ROW_ASSERT(row->name, strchr(line, '{') == NULL);
	}
}

static void test_lines(void)
{
	static const struct {
		const char *label;
		enum reply id;
		uint64_t n1, n2;
		const char *text, *want;
	} rows[] = {
		{ "none", REPLY_LOGGED_IN, 0, 0, NULL, "+OK logged in: 0 messages, 0 octets\r\n" },
		{ "one", REPLY_LOGGED_IN, 1, 7, NULL, "+OK logged in: 1 message, 7 octets\r\n" },
		{ "two", REPLY_LOGGED_IN, 2, 1, NULL, "+OK logged in: 2 messages, 1 octets\r\n" },
		{ "plural of the second", REPLY_TOP, 2, 1, NULL, "+OK top of message 2, 1 line of its body\r\n" },
		{ "plurals of the second", REPLY_TOP, 1, 2, NULL, "+OK top of message 1, 2 lines of its body\r\n" },
		{ "minute", REPLY_IDLE, 1, 0, NULL, "-ERR idle for 1 minute, closing; nothing was deleted\r\n" },
		{ "stat", REPLY_STAT, 3, 4000000000, NULL, "+OK 3 4000000000\r\n" },
		{ "code", REPLY_NOT_ACCEPTED, 0, 0, NULL, "-ERR [AUTH] user name or password not accepted\r\n" },
		{ "text", REPLY_BUSY_DELIVERY, 0, 0, "procmail", "-ERR [IN-USE] unable to lock mailbox: new mail is being delivered by procmail; try again in a moment\r\n" },
		{ "no text in brackets", REPLY_ACCOUNT_EXPIRED, 0, 0, "", "-ERR [AUTH] password correct, but the account has expired; ask your administrator\r\n" },
		{ "text in brackets", REPLY_ACCOUNT_EXPIRED, 0, 0, "Ask Eve.", "-ERR [AUTH] password correct, but the account has expired; ask your administrator (Ask Eve.)\r\n" },
		{ "line end in the text", REPLY_NOT_ACCEPTED, 0, 0, "\r\n+OK \"x\"\\", "-ERR [AUTH] user name or password not accepted (\\x0d\\x0a+OK \\x22x\\x22\\x5c)\r\n" },
		{ "place in the text", REPLY_NOT_ACCEPTED, 9, 0, "{1}%s", "-ERR [AUTH] user name or password not accepted ({1}%s)\r\n" },
		{ "times of day", REPLY_LOCKED, 36120, 8, "192.0.2.1",
		  "-ERR [IN-USE] unable to lock mailbox: open since 10:02 from 192.0.2.1, idle 8 minutes; free by 10:12 at the latest\r\n" },
		{ "unique-id as it is", REPLY_UIDL_ONE, 1, 0, "a\\\"{1}", "+OK 1 a\\\"{1}\r\n" },
		{ "not removed", REPLY_KEPT_FULL, 1, 3, NULL, "-ERR [SYS/TEMP] some deleted messages not removed: 1 of 3 (disk full)\r\n" },
	};
	CU_ASSERT(setenv("TZ", "UTC", 1) == 0);
	tzset();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ROW_TEXT(rows[i].label, line_of(rows[i].id, rows[i].n1, rows[i].n2, 36720, rows[i].text), rows[i].want);
}

static void test_room(void)
{
	static const char want[] = "+OK 1 2\r\n";
	char storage[sizeof want - 1];
	for (size_t cap = 0; cap <= sizeof storage; cap++) {
		struct buf out = { .p = storage, .cap = cap };
		int r = reply_add(&out, REPLY_STAT, &(struct reply_args){ .n = { 1, 2 } });
		char label[32];
		(void)snprintf(label, sizeof label, "%zu octets of room", cap);
		ROW_ASSERT(label, r == (cap < sizeof storage ? -1 : 0));
		ROW_ASSERT(label, out.len == (r == 0 ? sizeof storage : 0));
	}
	CU_ASSERT(memcmp(storage, want, sizeof storage) == 0);
	char wide[REPLY_LINE_MAX];
	struct buf out = BUF_OVER(wide);
	CU_ASSERT(reply_add(&out, REPLY_BYE, NULL) == 0);
	ROW_TEXT("no arguments", buf_text(&out), "+OK bye\r\n");
}

static void test_reasons(void)
{
	for (int told = 0; told < 2; told++)
		for (int reason = 0; reason < REASON_COUNT; reason++) {
			char label[64];
			enum reply id = reply_for_reason((enum reason)reason, told != 0);
			(void)snprintf(label, sizeof label, "reason %d told %d", reason, told);
			ROW_ASSERT(label, id > REPLY_NONE && id < REPLY_COUNT);
			ROW_ASSERT(label, id > REPLY_NONE && id < REPLY_COUNT && !reply_row(id)->ok);
		}
}

/* What a stranger must not be able to tell apart, and what he must. */
static void test_guarded(void)
{
	static const struct {
		const char *label;
		enum reason reason;
		enum reply guarded, told;
	} rows[] = {
		{ "unknown user", REASON_USER_UNKNOWN, REPLY_NOT_ACCEPTED, REPLY_MAILBOX_UNKNOWN },
		{ "wrong password", REASON_PASSWORD_WRONG, REPLY_NOT_ACCEPTED, REPLY_INVALID_PASSWORD },
		{ "empty password", REASON_PASSWORD_EMPTY, REPLY_NOT_ACCEPTED, REPLY_EMPTY_PASSWORD },
		{ "root", REASON_UID_REFUSED, REPLY_NOT_ACCEPTED, REPLY_UID_REFUSED },
		{ "locked account", REASON_ACCOUNT_LOCKED, REPLY_NOT_ACCEPTED, REPLY_ACCOUNT_LOCKED },
		{ "expired account", REASON_ACCOUNT_EXPIRED, REPLY_NOT_ACCEPTED, REPLY_ACCOUNT_EXPIRED },
		{ "expired password", REASON_PASSWORD_EXPIRED, REPLY_NOT_ACCEPTED, REPLY_PASSWORD_EXPIRED },
		{ "no access", REASON_ACCESS_DENIED, REPLY_NOT_ACCEPTED, REPLY_ACCESS_DENIED },
		{ "tries", REASON_TRIES_EXCEEDED, REPLY_NOT_ACCEPTED, REPLY_TRIES_EXCEEDED },
		/* Nobody looked at it, so it tells nothing of the account, and blames nobody. */
		{ "slowed", REASON_SLOWED, REPLY_SLOWED, REPLY_SLOWED },
		/* An outage never looks like a bad password. */
		{ "back end down", REASON_AUTH_TEMPORARY, REPLY_AUTH_TEMPORARY, REPLY_AUTH_TEMPORARY },
		{ "back end wrong", REASON_AUTH_SETUP, REPLY_AUTH_SETUP, REPLY_AUTH_SETUP },
		{ "locked", REASON_MAILDROP_LOCKED, REPLY_LOCKED_UNNAMED, REPLY_LOCKED_UNNAMED },
		{ "busy", REASON_MAILDROP_BUSY, REPLY_BUSY, REPLY_BUSY },
		{ "unique-ids", REASON_IDS_CHANGED, REPLY_IDS_CHANGED, REPLY_IDS_CHANGED },
		{ "disk full", REASON_DISK_FULL, REPLY_DISK_FULL, REPLY_DISK_FULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ROW_ASSERT(rows[i].label, reply_for_reason(rows[i].reason, false) == rows[i].guarded);
		ROW_ASSERT(rows[i].label, reply_for_reason(rows[i].reason, true) == rows[i].told);
		const char *code = reply_row(rows[i].told)->code;
		bool credentials = rows[i].guarded == REPLY_NOT_ACCEPTED;
		ROW_ASSERT(rows[i].label, code != NULL && (strcmp(code, "AUTH") == 0) == credentials);
	}
}

/* What stays at QUIT says why, and only what does not pass by itself is SYS/PERM. */
static void test_not_removed(void)
{
	static const char begins[] = "some deleted messages not removed: {1} of {2} (";
	for (int reason = 0; reason < REASON_COUNT; reason++) {
		char label[32];
		(void)snprintf(label, sizeof label, "reason %d", reason);
		const struct reply_row *row = reply_row(reply_not_removed((enum reason)reason));
		const bool lasting = reason == REASON_MAILDROP_DENIED || reason == REASON_READ_ONLY;
		ROW_ASSERT(label, strncmp(row->text, begins, sizeof begins - 1) == 0);
		ROW_ASSERT(label, strcmp(row->code, lasting ? "SYS/PERM" : "SYS/TEMP") == 0);
	}
}

/* The reference is last, and a text that is too long makes way for it. */
static void test_reference(void)
{
	char storage[2 * REPLY_LINE_MAX], text[REPLY_LINE_MAX + 1];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		static const char ref[] = " (ref ZZZZZZ)\r\n";
		const struct reply_row *row = reply_row((enum reply)id);
		struct buf out = BUF_OVER(storage);
		const bool takes_unique_id = strstr(row->text, "{u}") != NULL;
		CU_ASSERT(reply_add(&out, (enum reply)id, &(struct reply_args){ .text = takes_unique_id ? "u" : text, .ref = 0x7fffffff }) == 0);
		const char *line = buf_text(&out);
		ROW_ASSERT(row->name, strlen(line) <= REPLY_LINE_MAX);
		ROW_ASSERT(row->name, (strstr(line, " (ref ") != NULL) == row->referenced);
		ROW_ASSERT(row->name, !row->referenced || strcmp(line + strlen(line) - strlen(ref), ref) == 0);
	}
}

/* The server's own trouble, and whatever is about login or maildrop, is worth a reference; what was typed is not. */
static void test_referenced(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply_row *row = reply_row((enum reply)id);
		const bool servers = row->code != NULL && (strncmp(row->code, "SYS", 3) == 0 || strcmp(row->code, "IN-USE") == 0);
		ROW_ASSERT(row->name, !servers || row->referenced);
		ROW_ASSERT(row->name, row->referenced || row->severity == LOG_INFO);
	}
}

#define TESTS(X) X(test_rows_are_whole) X(test_places) X(test_lines_fit) X(test_lines) X(test_room) X(test_reasons) \
	X(test_guarded) X(test_not_removed) X(test_reference) X(test_referenced)
SUITE("replies")
