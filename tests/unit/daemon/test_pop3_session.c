/*
 * test_pop3_session.c - daemon/pop3.c and commands.c after the login: marks, listings of any length, messages, QUIT.
 * Runs in: the tests.
 */
#include "tests/unit/daemon/fake_host.h"

enum { MANY = 5000 };

static void test_marks(void)
{
	struct pop3 p;
	fake_begin(&p);
	log_in(&p);
	expect("one", &p, "DELE 1", "+OK message 1 marked", POP3_NEXT_LINE);
	expect("three", &p, "DELE 3", "+OK message 3 marked", POP3_NEXT_LINE);
	expect("again", &p, "DELE 1", "-ERR message 1 is already marked", POP3_NEXT_LINE);
	expect("left", &p, "STAT", "+OK 1 101\r\n", POP3_NEXT_LINE);
	expect("numbers stay", &p, "LIST", "+OK 1 message, 101 octets\r\n2 101\r\n.\r\n", POP3_NEXT_LINE);
	expect("unique-ids stay", &p, "UIDL", "+OK 1 unique-id\r\n2 uid2\r\n.\r\n", POP3_NEXT_LINE);
	CU_ASSERT(p.marked == 2 && fake.marks[0] && !fake.marks[1] && fake.marks[2]);
	expect("RSET", &p, "RSET", "+OK 3 messages, 303 octets; nothing is marked for deletion\r\n", POP3_NEXT_LINE);
	CU_ASSERT(p.marked == 0 && !fake.marks[0] && !fake.marks[1] && !fake.marks[2]);
	expect("back", &p, "STAT", "+OK 3 303\r\n", POP3_NEXT_LINE);
	expect("back", &p, "RETR 1", "+OK 100 octets", POP3_NEXT_SEND);
	for (int i = 1; i <= FAKE_MESSAGES; i++) {
		char line[32];
		(void)snprintf(line, sizeof line, "DELE %d", i);
		expect(line, &p, line, "+OK", POP3_NEXT_LINE);
	}
	expect("all", &p, "STAT", "+OK 0 0\r\n", POP3_NEXT_LINE);
	expect("all", &p, "LIST", "+OK 0 messages, 0 octets\r\n.\r\n", POP3_NEXT_LINE);
	expect("all", &p, "QUIT", "+OK 3 messages deleted, 0 left; bye\r\n", POP3_NEXT_CLOSE);
	CU_ASSERT(fake.marked == 3 && fake.commits == 1);
	fake_end();
}

/* Sizes that 32 bits do not hold. */
static void test_large(void)
{
	struct pop3 p;
	fake_begin(&p);
	fake.records[0].octets = 5000000000;
	fake.records[1].octets = 6000000000;
	log_in(&p);
	expect("sum", &p, "STAT", "+OK 3 11000000102\r\n", POP3_NEXT_LINE);
	expect("one", &p, "LIST 2", "+OK 2 6000000000\r\n", POP3_NEXT_LINE);
	expect("RETR", &p, "RETR 1", "+OK 5000000000 octets\r\n", POP3_NEXT_SEND);
	CU_ASSERT(p.send.body.wire == 5000000000);
	fake_end();
}

/* The whole of a listing through an out buffer of that room, and in how many parts it came. */
static size_t listing(struct pop3 *p, const char *line, size_t room, char *text, size_t size)
{
	char storage[FAKE_OUT], copy[16];
	size_t parts = 1, at = 0;
	struct buf out = { .p = storage, .cap = POP3_OUT_MIN };
	CU_ASSERT_FATAL(room <= sizeof storage);
	(void)snprintf(copy, sizeof copy, "%s", line);
	enum pop3_next next = pop3_line(p, copy, strlen(copy), &out);
	CU_ASSERT(next == POP3_NEXT_MORE);
	for (; next == POP3_NEXT_MORE; parts++) {
		CU_ASSERT_FATAL(at + out.len < size);
		memcpy(text + at, out.p, out.len);
		at += out.len;
		out = (struct buf){ .p = storage, .cap = room };
		next = pop3_more(p, &out);
		CU_ASSERT(next == POP3_NEXT_LINE || out.len > 0);
	}
	CU_ASSERT_FATAL(at + out.len < size && next == POP3_NEXT_LINE);
	memcpy(text + at, out.p, out.len);
	text[at + out.len] = '\0';
	return parts;
}

static void test_listings(void)
{
	static const size_t rooms[] = { LISTING_ROOM, LISTING_ROOM + 1, LISTING_ROOM + 2, LISTING_ROOM + 4, 1024, 1025, 1031, 4096, FAKE_OUT };
	static char got[MANY * 100], want[MANY * 100];
	struct pop3 p;
	fake_begin(&p);
	fake_drop(MANY);
	log_in(&p);
	for (size_t i = 0; i < MANY; i += 3, p.marked++)
		fake.marks[i] = true;
	for (int uidl = 0; uidl < 2; uidl++) {
		struct buf all = BUF_OVER(want);
		const char *out;
		char first[128];
		for (size_t i = 0; i < MANY; i++)
			if (!fake.marks[i])
				(void)(uidl ? buf_printf(&all, "%zu uid%zu\r\n", i + 1, i + 1) : buf_printf(&all, "%zu %zu\r\n", i + 1, 100 + i));
		(void)buf_add_text(&all, ".\r\n");
		(void)buf_text(&all);
		for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
			(void)snprintf(first, sizeof first, "room %zu uidl %d", rooms[r], uidl);
			size_t parts = listing(&p, uidl ? "UIDL" : "LIST", rooms[r], got, sizeof got);
			const char *behind = strstr(got, "\r\n");
			CU_ASSERT_FATAL(behind != NULL);
			ROW_ASSERT(first, strcmp(behind + 2, want) == 0);
			ROW_ASSERT(first, parts > 2);
		}
		CU_ASSERT(say_line(&p, "NOOP", &out) == POP3_NEXT_LINE);
	}
	fake_end();
}

/* The longest unique-id fits the room that is promised. */
static void test_longest_uidl(void)
{
	struct pop3 p;
	char want[UIDL_MAX + 16];
	fake_begin(&p);
	memset(fake.records[0].uidl, '~', UIDL_MAX);
	fake.records[0].uidl[UIDL_MAX] = '\0';
	log_in(&p);
	(void)snprintf(want, sizeof want, "+OK 1 %s\r\n", fake.records[0].uidl);
	expect("UIDL 1", &p, "UIDL 1", want, POP3_NEXT_LINE);
	fake_end();
}

static void test_messages(void)
{
	static const struct {
		const char *line;
		bool top;
		size_t idx;
		uint64_t lines;
	} rows[] = {
		{ "RETR 1", false, 0, 0 }, { "RETR 3", false, 2, 0 }, { "TOP 2 0", true, 1, 0 }, { "TOP 3 10", true, 2, 10 },
		{ "TOP 1 18446744073709551615", true, 0, UINT64_MAX },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		fake_begin(&p);
		log_in(&p);
		expect(rows[i].line, &p, rows[i].line, "+OK", POP3_NEXT_SEND);
		ROW_ASSERT(rows[i].line, fake.idx == rows[i].idx && p.send.top == rows[i].top && p.send.lines == rows[i].lines);
		ROW_ASSERT(rows[i].line, p.send.body.wire == 100 + rows[i].idx && p.send.body.fd == FAKE_FD);
		ROW_ASSERT(rows[i].line, p.send.body.offset == 10 * rows[i].idx && p.send.body.length == 5);
		/* TOP's lines do not leak into the next RETR. */
		expect(rows[i].line, &p, "RETR 1", "+OK", POP3_NEXT_SEND);
		ROW_ASSERT(rows[i].line, !p.send.top);
	}
	fake_end();
}

static void test_message_refused(void)
{
	static const struct { enum reply reply; const char *want; } rows[] = {
		{ REPLY_MESSAGE_GONE, "-ERR [SYS/TEMP] message 2 was removed by another program" },
		{ REPLY_MESSAGE_CHANGED, "-ERR [SYS/TEMP] message 2 was changed" },
		{ REPLY_MESSAGE_IO, "-ERR [SYS/TEMP] message 2 cannot be read" },
		{ REPLY_KEEPER_LOST, "-ERR [SYS/TEMP] this session broke" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		fake_begin(&p);
		fake.fetch = rows[i].reply;
		log_in(&p);
		expect(rows[i].want, &p, "RETR 2", rows[i].want, POP3_NEXT_LINE);
		ROW_ASSERT(rows[i].want, p.send.body.fd == -1);
		expect(rows[i].want, &p, "TOP 2 1", rows[i].want, POP3_NEXT_LINE);
		expect(rows[i].want, &p, "STAT", "+OK 3 303", POP3_NEXT_LINE);
	}
	fake_end();
}

static void test_quit(void)
{
	static const struct {
		enum reply reply;
		const char *told, *want;
	} rows[] = {
		{ REPLY_BYE_UPDATED, NULL, "+OK 1 message deleted, 2 left; bye\r\n" },
		{ REPLY_KEPT_FULL, NULL, "-ERR [SYS/TEMP] some deleted messages not removed: 1 of 2 (disk full)\r\n" },
		{ REPLY_KEPT_DENIED, NULL, "-ERR [SYS/PERM] some deleted messages not removed: 1 of 2 (permissions)\r\n" },
		{ REPLY_DROP_CHANGED, NULL, "-ERR [SYS/TEMP] another program changed the mailbox; nothing was deleted" },
		{ REPLY_KEEPER_LOST, NULL, "-ERR [SYS/TEMP] this session broke on the server" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		fake_begin(&p);
		fake.commit = rows[i].reply;
		fake.told = NULL;
		log_in(&p);
		fake.told = rows[i].told;
		expect(rows[i].want, &p, "DELE 2", "+OK", POP3_NEXT_LINE);
		expect(rows[i].want, &p, "QUIT", rows[i].want, POP3_NEXT_CLOSE);
		ROW_ASSERT(rows[i].want, fake.commits == 1 && fake.marked == 1);
		ROW_ASSERT(rows[i].want, p.end == END_QUIT && p.state == POP3_OVER);
	}
	/* Nothing is marked: the maildrop is let go of all the same. Before a login there is none. */
	struct pop3 p;
	fake_begin(&p);
	log_in(&p);
	expect("no marks", &p, "QUIT", "+OK 0 messages deleted, 3 left; bye\r\n", POP3_NEXT_CLOSE);
	CU_ASSERT(fake.commits == 1);
	fake_begin(&p);
	expect("no login", &p, "QUIT", "+OK bye\r\n", POP3_NEXT_CLOSE);
	CU_ASSERT(fake.commits == 0);
	fake_end();
}

#define TESTS(X) X(test_marks) X(test_large) X(test_listings) X(test_longest_uidl) X(test_messages) X(test_message_refused) \
	X(test_quit)
SUITE("pop3_session")
