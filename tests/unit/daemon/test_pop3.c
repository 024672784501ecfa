/*
 * test_pop3.c - daemon/pop3.c and commands.c: every command in every state, and every form of its arguments.
 * Runs in: the tests.
 */
#include "tests/unit/daemon/fake_host.h"

enum where { BEFORE, CLEAR, BARE, INSIDE, NAMED, AFTER, EMPTY };

#define LOG_IN_FIRST "-ERR log in first"
#define LOGGED_IN_ALREADY "-ERR already logged in"
#define NO_ARGUMENT "-ERR this command takes no argument\r\n"
#define NEEDS_ARGUMENT "-ERR this command needs an argument\r\n"
#define NEEDS_NUMBER "-ERR this command needs one message number\r\n"
#define NEEDS_TWO "-ERR this command needs a message number and a number of lines\r\n"
#define BAD_NUMBER "-ERR not a message number"
#define BAD_LINES "-ERR not a number of lines"
#define MARKED "-ERR message 2 is already marked"
#define NOT_OFFERED "-ERR that way to log in is not offered: use AUTH PLAIN, or USER and PASS\r\n"
#define TLS_FIRST "-ERR encryption required first: use STLS (STARTTLS)"
#define TLS_FIRST_PASS "-ERR encryption required first: use STLS, or port 995; that password"
#define NO_TLS "-ERR TLS is not set up on this server\r\n"

/*
 * BEFORE: before the login. CLEAR: logins need TLS. BARE: they do, and there is none. INSIDE: within TLS. NAMED: USER
 * was said. AFTER: logged in, three messages of 100, 101 and 102 octets, the second marked. EMPTY: no messages.
 */
static const struct {
	enum where where;
	const char *line, *want;
	enum pop3_next next;
} lines[] = {
	/* Before the login. */
	{ BEFORE, "STAT", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "LIST", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "LIST x y", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "UIDL", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "RETR 1", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "TOP 1 1", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "DELE 1", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "RSET", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "NOOP", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "LAST", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ NAMED, "STAT", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ BEFORE, "USER ann", "+OK now send PASS", POP3_NEXT_LINE },
	{ BEFORE, "uSeR ann", "+OK now send PASS", POP3_NEXT_LINE },
	{ BEFORE, "USER ann of the hill", "+OK now send PASS", POP3_NEXT_LINE },
	{ BEFORE, "USER", NEEDS_ARGUMENT, POP3_NEXT_LINE },
	{ BEFORE, "USER ", NEEDS_ARGUMENT, POP3_NEXT_LINE },
	{ BEFORE, "PASS secret", "-ERR send USER", POP3_NEXT_LINE },
	{ BEFORE, "PASS", NEEDS_ARGUMENT, POP3_NEXT_LINE },
	{ NAMED, "PASS", NEEDS_ARGUMENT, POP3_NEXT_LINE },
	{ NAMED, "PASS secret", "+OK logged in: 3 messages, 303 octets\r\n", POP3_NEXT_LINE },
	{ NAMED, "pass secret", "+OK logged in", POP3_NEXT_LINE },
	{ NAMED, "PASS ", "+OK logged in", POP3_NEXT_LINE },
	{ NAMED, "QUIT", "+OK bye\r\n", POP3_NEXT_CLOSE },
	{ BEFORE, "QUIT", "+OK bye\r\n", POP3_NEXT_CLOSE },
	{ BEFORE, "QUIT now", NO_ARGUMENT, POP3_NEXT_LINE },
	{ BEFORE, "QUIT ", "+OK bye\r\n", POP3_NEXT_CLOSE },
	{ BEFORE, "STLS", "+OK begin TLS now\r\n", POP3_NEXT_TLS },
	{ BEFORE, "STLS x", NO_ARGUMENT, POP3_NEXT_LINE },
	{ CLEAR, "STLS", "+OK begin TLS now\r\n", POP3_NEXT_TLS },
	{ BARE, "STLS", NO_TLS, POP3_NEXT_LINE },
	{ INSIDE, "STLS", "-ERR TLS is active already\r\n", POP3_NEXT_LINE },
	{ BEFORE, "CAPA x", NO_ARGUMENT, POP3_NEXT_LINE },
	{ BEFORE, "AUTH", "+OK mechanisms follow\r\nPLAIN\r\n.\r\n", POP3_NEXT_LINE },
	{ BEFORE, "AUTH ", "+OK mechanisms follow\r\nPLAIN\r\n.\r\n", POP3_NEXT_LINE },
	{ INSIDE, "AUTH", "+OK mechanisms follow\r\nPLAIN\r\n.\r\n", POP3_NEXT_LINE },
	{ BEFORE, "AUTH CRAM-MD5", NOT_OFFERED, POP3_NEXT_LINE },
	{ BEFORE, "AUTH PLAINER AGFubgBzZWNyZXQ=", NOT_OFFERED, POP3_NEXT_LINE },
	{ BEFORE, "APOP ann c4c9334bac560ecc979e58001b3e22fb", NOT_OFFERED, POP3_NEXT_LINE },
	{ NAMED, "apop", NOT_OFFERED, POP3_NEXT_LINE },
	{ CLEAR, "APOP ann c4c9334bac560ecc979e58001b3e22fb", TLS_FIRST, POP3_NEXT_LINE },
	{ AFTER, "APOP ann c4c9334bac560ecc979e58001b3e22fb", "-ERR already logged in", POP3_NEXT_LINE },
	{ BEFORE, "AUTH PLAIN", "+ \r\n", POP3_NEXT_LINE },
	{ BEFORE, "AUTH plain", "+ \r\n", POP3_NEXT_LINE },
	/* Where logins need TLS. */
	{ CLEAR, "USER ann", TLS_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "PASS secret", TLS_FIRST_PASS, POP3_NEXT_LINE },
	{ CLEAR, "PASS", TLS_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "AUTH PLAIN AGFubgBzZWNyZXQ=", TLS_FIRST_PASS, POP3_NEXT_LINE },
	{ CLEAR, "AUTH XOAUTH2 dG9rZW4=", TLS_FIRST_PASS, POP3_NEXT_LINE },
	/* The password would have come next. */
	{ CLEAR, "AUTH PLAIN", TLS_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "AUTH PLAIN ", TLS_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "AUTH CRAM-MD5", TLS_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "STAT", LOG_IN_FIRST, POP3_NEXT_LINE },
	{ CLEAR, "QUIT", "+OK bye\r\n", POP3_NEXT_CLOSE },
	{ BARE, "USER ann", NO_TLS, POP3_NEXT_LINE },
	{ BARE, "PASS secret", NO_TLS, POP3_NEXT_LINE },
	{ INSIDE, "USER ann", "+OK now send PASS", POP3_NEXT_LINE },
	/* Logged in. */
	{ AFTER, "USER ann", LOGGED_IN_ALREADY, POP3_NEXT_LINE },
	{ AFTER, "PASS secret", LOGGED_IN_ALREADY, POP3_NEXT_LINE },
	{ AFTER, "AUTH", LOGGED_IN_ALREADY, POP3_NEXT_LINE },
	{ AFTER, "AUTH PLAIN", LOGGED_IN_ALREADY, POP3_NEXT_LINE },
	{ AFTER, "STLS", LOGGED_IN_ALREADY, POP3_NEXT_LINE },
	{ AFTER, "STAT", "+OK 2 202\r\n", POP3_NEXT_LINE },
	{ AFTER, "stat", "+OK 2 202\r\n", POP3_NEXT_LINE },
	{ AFTER, "STAT ", "+OK 2 202\r\n", POP3_NEXT_LINE },
	{ AFTER, "STAT 1", NO_ARGUMENT, POP3_NEXT_LINE },
	{ AFTER, "NOOP", "+OK nothing done, as asked\r\n", POP3_NEXT_LINE },
	{ AFTER, "NOOP 1", NO_ARGUMENT, POP3_NEXT_LINE },
	{ AFTER, "LAST", "-ERR LAST is not in POP3 any more", POP3_NEXT_LINE },
	{ AFTER, "LIST", "+OK 2 messages, 202 octets\r\n1 100\r\n3 102\r\n.\r\n", POP3_NEXT_LINE },
	{ AFTER, "LIST ", "+OK 2 messages, 202 octets\r\n1 100\r\n3 102\r\n.\r\n", POP3_NEXT_LINE },
	{ AFTER, "LIST 1", "+OK 1 100\r\n", POP3_NEXT_LINE },
	{ AFTER, "LIST 3", "+OK 3 102\r\n", POP3_NEXT_LINE },
	{ AFTER, "LIST 2", MARKED, POP3_NEXT_LINE },
	{ AFTER, "LIST 1 2", BAD_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "UIDL", "+OK 2 unique-ids\r\n1 uid1\r\n3 uid3\r\n.\r\n", POP3_NEXT_LINE },
	{ AFTER, "UIDL 3", "+OK 3 uid3\r\n", POP3_NEXT_LINE },
	{ AFTER, "UIDL 2", MARKED, POP3_NEXT_LINE },
	{ AFTER, "RETR", NEEDS_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "RETR ", NEEDS_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "RETR 1", "+OK 100 octets\r\n", POP3_NEXT_SEND },
	{ AFTER, "RETR 2", MARKED, POP3_NEXT_LINE },
	{ AFTER, "RETR 4", "-ERR no such message: you asked for 4, the mailbox has 3\r\n", POP3_NEXT_LINE },
	{ AFTER, "TOP", NEEDS_TWO, POP3_NEXT_LINE },
	{ AFTER, "TOP ", NEEDS_TWO, POP3_NEXT_LINE },
	{ AFTER, "TOP 1", NEEDS_TWO, POP3_NEXT_LINE },
	{ AFTER, "TOP 1 ", BAD_LINES, POP3_NEXT_LINE },
	{ AFTER, "TOP 1 x", BAD_LINES, POP3_NEXT_LINE },
	{ AFTER, "TOP 1 -1", BAD_LINES, POP3_NEXT_LINE },
	{ AFTER, "TOP 1 1 1", BAD_LINES, POP3_NEXT_LINE },
	{ AFTER, "TOP  1", BAD_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "TOP x 1", BAD_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "TOP 2 1", MARKED, POP3_NEXT_LINE },
	{ AFTER, "TOP 1 0", "+OK top of message 1, 0 lines of its body\r\n", POP3_NEXT_SEND },
	{ AFTER, "TOP 3 18446744073709551615", "+OK top of message 3", POP3_NEXT_SEND },
	{ AFTER, "TOP 3 18446744073709551616", BAD_LINES, POP3_NEXT_LINE },
	{ AFTER, "DELE", NEEDS_NUMBER, POP3_NEXT_LINE },
	{ AFTER, "DELE 1", "+OK message 1 marked for deletion\r\n", POP3_NEXT_LINE },
	{ AFTER, "DELE 2", MARKED, POP3_NEXT_LINE },
	{ AFTER, "RSET", "+OK 3 messages, 303 octets; nothing is marked for deletion\r\n", POP3_NEXT_LINE },
	{ AFTER, "RSET 1", NO_ARGUMENT, POP3_NEXT_LINE },
	{ AFTER, "QUIT", "+OK 1 message deleted, 2 left; bye\r\n", POP3_NEXT_CLOSE },
	{ EMPTY, "STAT", "+OK 0 0\r\n", POP3_NEXT_LINE },
	{ EMPTY, "LIST", "+OK 0 messages, 0 octets\r\n.\r\n", POP3_NEXT_LINE },
	{ EMPTY, "UIDL", "+OK 0 unique-ids\r\n.\r\n", POP3_NEXT_LINE },
	{ EMPTY, "RETR 1", "-ERR no such message: you asked for 1, the mailbox is empty\r\n", POP3_NEXT_LINE },
	{ EMPTY, "RETR 0", BAD_NUMBER, POP3_NEXT_LINE },
	{ EMPTY, "RSET", "+OK 0 messages, 0 octets", POP3_NEXT_LINE },
	{ EMPTY, "QUIT", "+OK 0 messages deleted, 0 left; bye\r\n", POP3_NEXT_CLOSE },
};

static void begin(struct pop3 *p, enum where where)
{
	fake_begin(p);
	p->plaintext_admitted = where != CLEAR && where != BARE && where != INSIDE;
	p->tls_offered = where != BARE;
	p->tls = where == INSIDE;
	if (where == EMPTY)
		fake_drop(0);
	if (where == NAMED)
		expect("USER", p, "USER ann", "+OK", POP3_NEXT_LINE);
	if (where >= AFTER)
		log_in(p);
	if (where == AFTER)
		expect("DELE", p, "DELE 2", "+OK", POP3_NEXT_LINE);
}

static void test_lines(void)
{
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct pop3 p;
		char label[300];
		begin(&p, lines[i].where);
		(void)snprintf(label, sizeof label, "%d: %s", (int)lines[i].where, lines[i].line);
		expect(label, &p, lines[i].line, lines[i].want, lines[i].next);
		ROW_ASSERT(label, (p.state == POP3_OVER) == (lines[i].next == POP3_NEXT_CLOSE));
		ROW_ASSERT(label, p.bad == 0);
		ROW_ASSERT(label, fake.fetches == (lines[i].next == POP3_NEXT_SEND));
		ROW_ASSERT(label, p.state != POP3_TRANSACTION || fake.logins == 1);
	}
	fake_end();
}

/* What is a message number, for each command that takes one. */
static void test_numbers(void)
{
	static const char *const commands[] = { "LIST", "UIDL", "RETR", "DELE", "TOP" };
	static const struct { const char *text, *want; } numbers[] = {
		{ "0", BAD_NUMBER }, { "-1", BAD_NUMBER }, { "+1", BAD_NUMBER }, { "1x", BAD_NUMBER }, { "x1", BAD_NUMBER },
		{ "1e3", BAD_NUMBER }, { "0x1", BAD_NUMBER }, { "1.0", BAD_NUMBER }, { "1\t", BAD_NUMBER }, { "00", BAD_NUMBER },
		{ "4", "-ERR no such message: you asked for 4, the mailbox has 3\r\n" },
		{ "2147483648", "-ERR no such message: you asked for 2147483648" },
		{ "4294967297", "-ERR no such message: you asked for 4294967297" },
		{ "18446744073709551615", "-ERR no such message: you asked for 18446744073709551615" },
		{ "18446744073709551616", BAD_NUMBER }, { "18446744073709551617", BAD_NUMBER },
		{ "99999999999999999999999999999999999999999999", BAD_NUMBER },
		{ "1", "+OK" }, { "01", "+OK" }, { "0000000000000000000000001", "+OK" }, { "3", "+OK" },
	};
	for (size_t c = 0; c < sizeof commands / sizeof *commands; c++)
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
			struct pop3 p;
			char line[128];
			begin(&p, AFTER);
			bool top = strcmp(commands[c], "TOP") == 0;
			bool sends = numbers[i].want[0] == '+' && (top || strcmp(commands[c], "RETR") == 0);
			(void)snprintf(line, sizeof line, "%s %s%s", commands[c], numbers[i].text, top ? " 1" : "");
			expect(line, &p, line, numbers[i].want, sends ? POP3_NEXT_SEND : POP3_NEXT_LINE);
		}
	fake_end();
}

static void test_user_length(void)
{
	for (size_t len = USER_NAME_MAX - 1; len <= USER_NAME_MAX + 1; len++) {
		struct pop3 p;
		char line[5 + USER_NAME_MAX + 2] = "USER ", label[32];
		begin(&p, BEFORE);
		memset(line + 5, 'u', len);
		(void)snprintf(label, sizeof label, "%zu octets", len);
		bool fits = len <= USER_NAME_MAX;
		expect(label, &p, line, fits ? "+OK" : "-ERR [AUTH] user name too long: at most 128 octets\r\n", POP3_NEXT_LINE);
		expect(label, &p, "PASS x", fits ? "+OK logged in" : "-ERR send USER", POP3_NEXT_LINE);
		ROW_ASSERT(label, strlen(fake.user) == (fits ? len : 0));
	}
	/* Nor does PASS go to a name that was taken before one that was not. */
	struct pop3 p;
	char line[5 + USER_NAME_MAX + 2] = "USER ";
	memset(line + 5, 'n', USER_NAME_MAX + 1);
	begin(&p, BEFORE);
	expect("the name before", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("the name before", &p, line, "-ERR [AUTH] user name too long", POP3_NEXT_LINE);
	expect("the name before", &p, "PASS x", "-ERR send USER", POP3_NEXT_LINE);
	fake_end();
}

/* RFC 2449: what holds for this connection, line by line. */
static void test_capa(void)
{
#define ALWAYS "LANG\r\nUTF8\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nIMPLEMENTATION postern\r\n.\r\n"
	static const struct {
		const char *label;
		enum where where;
		const char *want;
	} rows[] = {
		{ "admitted in clear", BEFORE, "+OK capabilities follow\r\nUSER\r\nSASL PLAIN\r\nSTLS\r\nUIDL\r\nTOP\r\n" ALWAYS },
		{ "TLS first", CLEAR, "+OK capabilities follow\r\nSTLS\r\nUIDL\r\nTOP\r\n" ALWAYS },
		{ "no TLS at all", BARE, "+OK capabilities follow\r\nUIDL\r\nTOP\r\n" ALWAYS },
		{ "within TLS", INSIDE, "+OK capabilities follow\r\nUSER\r\nSASL PLAIN\r\nUIDL\r\nTOP\r\n" ALWAYS },
		{ "logged in", AFTER, "+OK capabilities follow\r\nUSER\r\nSASL PLAIN\r\nUIDL\r\nTOP\r\n" ALWAYS },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		const char *out;
		begin(&p, rows[i].where);
		CU_ASSERT(say_line(&p, "CAPA", &out) == POP3_NEXT_LINE);
		ROW_TEXT(rows[i].label, out, rows[i].want);
	}
	struct pop3 p;
	const char *out;
	begin(&p, CLEAR);
	CU_ASSERT(say_line(&p, "AUTH", &out) == POP3_NEXT_LINE);
	CU_ASSERT(strstr(out, "PLAIN") == NULL);
	fake_end();
}

#define TESTS(X) X(test_lines) X(test_numbers) X(test_user_length) X(test_capa)
SUITE("pop3")
