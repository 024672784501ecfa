/*
 * test_pop3_login.c - daemon/pop3.c and commands.c up to the login: AUTH PLAIN, tries, explanations, STLS, what is no POP3.
 * Runs in: the tests.
 */
#include <sodium.h>

#include "tests/unit/daemon/fake_host.h"

static const char *base64(const char *octets, size_t len)
{
	static char text[4096];
	return sodium_bin2base64(text, sizeof text, (const unsigned char *)octets, len, sodium_base64_VARIANT_ORIGINAL);
}

#define BAD_BASE64 "-ERR the response is not base64\r\n"
#define BAD_PLAIN "-ERR the response is not what PLAIN needs"
#define OTHER "-ERR [AUTH] logging in for somebody else"

static const struct {
	const char *label, *octets;
	size_t len;
	const char *want, *user, *password;
} plains[] = {
#define PLAIN(label, octets, want, user, password) { label, octets, sizeof(octets) - 1, want, user, password }
	PLAIN("no identity", "\0ann\0secret", "+OK logged in", "ann", "secret"),
	PLAIN("the same identity", "ann\0ann\0secret", "+OK logged in", "ann", "secret"),
	PLAIN("another identity", "bob\0ann\0secret", OTHER, "", ""),
	PLAIN("a longer identity", "anna\0ann\0secret", OTHER, "", ""),
	PLAIN("empty password", "\0ann\0", "+OK logged in", "ann", ""),
	PLAIN("spaces", "\0an n\0 se cret ", "+OK logged in", "an n", " se cret "),
	PLAIN("octets", "\0\xc3\xa4\0\xff\x01", "+OK logged in", "\xc3\xa4", "\xff\x01"),
	PLAIN("empty user", "\0\0secret", BAD_PLAIN, "", ""),
	PLAIN("one NUL", "\0ann", BAD_PLAIN, "", ""),
	PLAIN("no NUL", "ann", BAD_PLAIN, "", ""),
	PLAIN("NUL in the password", "\0ann\0sec\0ret", BAD_PLAIN, "", ""),
	PLAIN("NUL behind the password", "\0ann\0secret\0", BAD_PLAIN, "", ""),
	PLAIN("only NULs", "\0\0\0", BAD_PLAIN, "", ""),
};

/* In one line and in two: the same answer. */
static void test_plain(void)
{
	for (size_t i = 0; i < sizeof plains / sizeof *plains; i++)
		for (int two = 0; two < 2; two++) {
			struct pop3 p;
			char line[256];
			fake_begin(&p);
			if (two)
				expect(plains[i].label, &p, "AUTH PLAIN", "+ \r\n", POP3_NEXT_LINE);
			ROW_ASSERT(plains[i].label, pop3_line_max(&p) == (two ? RESPONSE_LINE_MAX : COMMAND_LINE_MAX));
			(void)snprintf(line, sizeof line, "%s%s", two ? "" : "AUTH PLAIN ", base64(plains[i].octets, plains[i].len));
			expect(plains[i].label, &p, line, plains[i].want, POP3_NEXT_LINE);
			bool good = plains[i].want[0] == '+';
			ROW_ASSERT(plains[i].label, p.state == (good ? POP3_TRANSACTION : POP3_AUTHORIZATION));
			ROW_ASSERT(plains[i].label, p.failed_logins == !good && fake.logins == good);
			ROW_TEXT(plains[i].label, fake.user, plains[i].user);
			ROW_TEXT(plains[i].label, fake.password, plains[i].password);
		}
	fake_end();
}

static void test_plain_forms(void)
{
	static const struct { const char *label, *first, *second, *want; } rows[] = {
		{ "cancelled", "AUTH PLAIN", "*", "-ERR authentication cancelled\r\n" },
		{ "two stars", "AUTH PLAIN", "**", BAD_BASE64 },
		{ "nothing", "AUTH PLAIN", "", BAD_PLAIN },
		{ "a lone =", NULL, "AUTH PLAIN =", BAD_PLAIN },
		{ "no padding", NULL, "AUTH PLAIN AGFubgBzZWNyZXQ", BAD_BASE64 },
		{ "padding alone", NULL, "AUTH PLAIN ====", BAD_BASE64 },
		{ "a space behind it", NULL, "AUTH PLAIN AGFubgBzZWNyZXQ= ", BAD_BASE64 },
		{ "two words", NULL, "AUTH PLAIN AGFubgBzZWNyZXQ= x", BAD_BASE64 },
		{ "octets above ASCII", NULL, "AUTH PLAIN \x90\x90\x90\x90\x90\x90\x90\x90", BAD_BASE64 },
		{ "url alphabet", NULL, "AUTH PLAIN AGFubgBzZ-NyZX_=", BAD_BASE64 },
		{ "a command", "AUTH PLAIN", "QUIT now", BAD_BASE64 },
		{ "two spaces", NULL, "AUTH PLAIN  AGFubgBzZWNyZXQ=", BAD_BASE64 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		fake_begin(&p);
		if (rows[i].first != NULL)
			expect(rows[i].label, &p, rows[i].first, "+ \r\n", POP3_NEXT_LINE);
		expect(rows[i].label, &p, rows[i].second, rows[i].want, POP3_NEXT_LINE);
		ROW_ASSERT(rows[i].label, p.state == POP3_AUTHORIZATION && fake.logins == 0);
		expect(rows[i].label, &p, "QUIT", "+OK", POP3_NEXT_CLOSE);
	}
	fake_end();
}

/* The longest name and password pass; one octet more of either does not. */
static void test_plain_lengths(void)
{
	for (int more = 0; more < 4; more++) {
		size_t user = USER_NAME_MAX + (size_t)(more & 1), password = PASSWORD_MAX + (size_t)(more >> 1);
		char octets[2 * USER_NAME_MAX + PASSWORD_MAX + 8], label[32];
		struct pop3 p;
		fake_begin(&p);
		memset(octets, 'u', 2 * user + 1);
		octets[user] = '\0';
		octets[2 * user + 1] = '\0';
		memset(octets + 2 * user + 2, 'p', password);
		(void)snprintf(label, sizeof label, "%zu and %zu", user, password);
		const char *text = base64(octets, 2 * user + 2 + password);
		CU_ASSERT(strlen(text) + 2 <= RESPONSE_LINE_MAX);
		expect(label, &p, "AUTH PLAIN", "+ ", POP3_NEXT_LINE);
		expect(label, &p, text, more == 0 ? "+OK" : (more & 1) ? "-ERR [AUTH] user name too long: at most 128"
		       : "-ERR [AUTH] password too long: at most 512", POP3_NEXT_LINE);
	}
	/* PASS takes what a command line of 255 octets has room for, and more when it is called so. */
	struct pop3 p;
	char line[5 + PASSWORD_MAX + 2] = "PASS ";
	fake_begin(&p);
	memset(line + 5, 'p', PASSWORD_MAX + 1);
	expect("long PASS", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("long PASS", &p, line, "-ERR [AUTH] password too long", POP3_NEXT_LINE);
	expect("long PASS", &p, "PASS secret", "-ERR send USER", POP3_NEXT_LINE);
	CU_ASSERT(p.failed_logins == 1 && fake.logins == 0);
	fake_end();
}

static void test_long_line(void)
{
	struct pop3 p;
	char storage[POP3_OUT_MIN];
	for (int response = 0; response < 2; response++) {
		struct buf out = BUF_OVER(storage);
		fake_begin(&p);
		if (response)
			expect("AUTH", &p, "AUTH PLAIN", "+ ", POP3_NEXT_LINE);
		CU_ASSERT(pop3_long_line(&p, &out) == POP3_NEXT_LINE);
		ROW_TEXT("long line", buf_text(&out), response ? "-ERR response line too long: at most 2048 octets\r\n"
		         : "-ERR command line too long: at most 255 octets\r\n");
		CU_ASSERT(p.state == POP3_AUTHORIZATION && p.bad == 1);
		CU_ASSERT(pop3_long_line(&p, &out) == POP3_NEXT_LINE);
		out.len = 0;
		CU_ASSERT(pop3_long_line(&p, &out) == POP3_NEXT_CLOSE && p.end == END_TOO_MANY_BAD);
		CU_ASSERT(strncmp(buf_text(&out), "-ERR too many", 13) == 0);
	}
	fake_end();
}

/* login_tries failures, of whatever kind; then any attempt ends it, and nothing but an attempt. */
static void test_tries(void)
{
	static const char *const last[] = { "USER ann", "PASS secret", "AUTH PLAIN", "AUTH PLAIN AGFubgBzZWNyZXQ=" };
	for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
		struct pop3 p;
		fake_begin(&p);
		fake.login = REPLY_NOT_ACCEPTED;
		expect(last[i], &p, "USER ann", "+OK", POP3_NEXT_LINE);
		expect(last[i], &p, "PASS x", "-ERR [AUTH] user name or password not accepted\r\n", POP3_NEXT_LINE);
		expect(last[i], &p, "PASS y", "-ERR send USER", POP3_NEXT_LINE);
		expect(last[i], &p, "AUTH PLAIN AGFubgBzZWNyZXQ=", "-ERR [AUTH] user name", POP3_NEXT_LINE);
		expect(last[i], &p, "AUTH PLAIN ===", BAD_BASE64, POP3_NEXT_LINE);
		ROW_ASSERT(last[i], fake.logins == 2 && p.failed_logins == 3);
		expect(last[i], &p, "CAPA", "+OK", POP3_NEXT_LINE);
		expect(last[i], &p, "STAT", "-ERR log in first", POP3_NEXT_LINE);
		expect(last[i], &p, "AUTH", "+OK", POP3_NEXT_LINE);
		expect(last[i], &p, last[i], "-ERR [AUTH] too many failed logins", POP3_NEXT_CLOSE);
		ROW_ASSERT(last[i], p.end == END_TOO_MANY_LOGINS && fake.logins == 2);
	}
	fake_end();
}

/* [AUTH] is for name and password: who met a lock, or a server in trouble, is not asked for another password. */
static void test_tries_spared(void)
{
	static const struct { const char *label; enum reply first, last; const char *want; } rows[] = {
		{ "locked", REPLY_NOT_ACCEPTED, REPLY_LOCKED_UNNAMED, "-ERR [SYS/TEMP] connect again" },
		{ "in trouble", REPLY_AUTH_TEMPORARY, REPLY_AUTH_TEMPORARY, "-ERR [SYS/TEMP] connect again" },
		{ "a wrong password last", REPLY_LOCKED_UNNAMED, REPLY_NOT_ACCEPTED, "-ERR [AUTH] too many failed logins" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pop3 p;
		fake_begin(&p);
		for (unsigned n = 1; n <= p.login_tries; n++) {
			fake.login = n < p.login_tries ? rows[i].first : rows[i].last;
			expect(rows[i].label, &p, "AUTH PLAIN AGFubgBzZWNyZXQ=", "-ERR [", POP3_NEXT_LINE);
		}
		expect(rows[i].label, &p, "USER ann", rows[i].want, POP3_NEXT_CLOSE);
		ROW_ASSERT(rows[i].label, p.end == END_TOO_MANY_LOGINS && fake.logins == p.login_tries);
	}
	fake_end();
}

/* A refusal that is final: the mail's owner has been taken on, nobody else can log in. */
static void test_final(void)
{
	struct pop3 p;
	fake_begin(&p);
	fake.login = REPLY_BUSY_NAMED;
	fake.told = "mutt";
	expect("locked", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("locked", &p, "PASS x", "-ERR [IN-USE] unable to lock mailbox: another program is using it: mutt; try again in a moment\r\n",
	       POP3_NEXT_LINE);
	expect("again", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	fake.login = REPLY_DROP_DENIED;
	fake.final = true;
	expect("denied", &p, "PASS x", "-ERR [SYS/PERM] the mailbox cannot be opened", POP3_NEXT_LINE);
	expect("the list", &p, "AUTH", "+OK", POP3_NEXT_LINE);
	expect("final", &p, "USER ann", "-ERR [SYS/TEMP] connect again", POP3_NEXT_CLOSE);
	CU_ASSERT(p.end == END_TOO_MANY_LOGINS && fake.logins == 2);
	fake_end();
}

static void test_explain(void)
{
	struct pop3 p;
	fake_begin(&p);
	expect("not admitted", &p, "USER bob", "+OK now send PASS", POP3_NEXT_LINE);
	CU_ASSERT(fake.knowns == 0);
	fake_begin(&p);
	p.explain = true;
	expect("known", &p, "USER ann", "+OK now send PASS", POP3_NEXT_LINE);
	expect("unknown", &p, "USER bob", "-ERR [AUTH] mailbox unknown: no user of that name\r\n", POP3_NEXT_LINE);
	CU_ASSERT(fake.knowns == 2 && p.failed_logins == 1);
	expect("forgotten", &p, "PASS x", "-ERR send USER", POP3_NEXT_LINE);
	expect("unknown", &p, "USER bob", "-ERR [AUTH]", POP3_NEXT_LINE);
	expect("unknown", &p, "USER bob", "-ERR [AUTH]", POP3_NEXT_LINE);
	expect("a try, too", &p, "USER ann", "-ERR [AUTH] too many failed logins", POP3_NEXT_CLOSE);
	fake_end();
}

static void test_stls(void)
{
	struct pop3 p;
	fake_begin(&p);
	p.plaintext_admitted = false;
	fake.pending = true;
	expect("commands behind it", &p, "STLS", "-ERR commands were sent behind STLS without waiting; closing\r\n", POP3_NEXT_CLOSE);
	CU_ASSERT(p.end == END_TLS_PIPELINED && p.state == POP3_OVER);
	/* What was said in clear is forgotten; failures are not. */
	fake_begin(&p);
	fake.login = REPLY_NOT_ACCEPTED;
	expect("before", &p, "GARBAGE", "-ERR unknown", POP3_NEXT_LINE);
	expect("before", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("before", &p, "PASS x", "-ERR [AUTH]", POP3_NEXT_LINE);
	expect("before", &p, "USER ann", "+OK", POP3_NEXT_LINE);
	expect("STLS", &p, "STLS", "+OK begin TLS now\r\n", POP3_NEXT_TLS);
	pop3_tls_started(&p);
	CU_ASSERT(p.tls && p.bad == 0 && p.failed_logins == 1 && p.user[0] == '\0');
	expect("inside", &p, "PASS x", "-ERR send USER", POP3_NEXT_LINE);
	expect("inside", &p, "STLS", "-ERR TLS is active already\r\n", POP3_NEXT_LINE);
	fake_end();
}

/* What is no POP3 is counted: 3 before the login, 20 after it. What is refused POP3 is not. */
static void test_bad_lines(void)
{
	static const struct { const char *label, *octets; size_t len; const char *want; } rows[] = {
		{ "unknown", "XYZZY", 5, "-ERR unknown command" }, { "empty", "", 0, "-ERR empty line" },
		{ "NUL", "NOOP\0", 5, "-ERR the line holds a NUL octet" }, { "space first", " NOOP", 5, "-ERR unknown command" },
		{ "tab", "NOOP\t1", 6, "-ERR unknown command" }, { "octets", "\xff\xfe", 2, "-ERR unknown command" },
		{ "longer", "NOOPS", 5, "-ERR unknown command" }, { "shorter", "NOO", 3, "-ERR unknown command" },
		{ "SSH", "SSH-2.0-OpenSSH_9.2", 19, "-ERR unknown command" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int after = 0; after < 2; after++) {
			struct pop3 p;
			const char *out;
			fake_begin(&p);
			if (after)
				log_in(&p);
			int most = after ? BAD_AFTER_LOGIN : BAD_BEFORE_LOGIN;
			for (int n = 1; n < most; n++) {
				ROW_ASSERT(rows[i].label, say_octets(&p, rows[i].octets, rows[i].len, &out) == POP3_NEXT_LINE);
				ROW_ASSERT(rows[i].label, strncmp(out, rows[i].want, strlen(rows[i].want)) == 0);
				expect(rows[i].label, &p, after ? "USER x" : "STAT", "-ERR", POP3_NEXT_LINE);
			}
			ROW_ASSERT(rows[i].label, say_octets(&p, rows[i].octets, rows[i].len, &out) == POP3_NEXT_CLOSE);
			ROW_TEXT(rows[i].label, out, "-ERR too many commands that POP3 does not know; closing\r\n");
			ROW_ASSERT(rows[i].label, p.end == END_TOO_MANY_BAD);
		}
	struct pop3 p;
	fake_begin(&p);
	expect("before", &p, "X", "-ERR", POP3_NEXT_LINE);
	expect("before", &p, "X", "-ERR", POP3_NEXT_LINE);
	log_in(&p);
	CU_ASSERT(p.bad == 0);
	fake_end();
}

static void test_http(void)
{
	static const char *const words[] = { "GET / HTTP/1.1", "POST /x HTTP/1.1", "HEAD / HTTP/1.0", "PUT /", "DELETE /", "OPTIONS *",
	                                     "CONNECT a:1", "TRACE /", "PATCH /", "PRI * HTTP/2.0", "get /" };
	struct pop3 p;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		fake_begin(&p);
		expect(words[i], &p, words[i], "-ERR this is a POP3 server, not a web server; closing\r\n", POP3_NEXT_CLOSE);
		ROW_ASSERT(words[i], p.end == END_WRONG_DOOR && p.door == DOOR_HTTP && fake.commits == 0);
	}
	fake_begin(&p);
	expect("a word like one", &p, "GETS /", "-ERR unknown", POP3_NEXT_LINE);
	/* Who is logged in has not come to the wrong door, but means DELE, and keeps his marks. */
	fake_begin(&p);
	log_in(&p);
	expect("a slip", &p, "DELE 1", "+OK", POP3_NEXT_LINE);
	expect("a slip", &p, "DELETE 2", "-ERR unknown command", POP3_NEXT_LINE);
	CU_ASSERT(p.state == POP3_TRANSACTION && p.marked == 1);
	fake_end();
}

/* Who asked how to log in, may not without TLS, and left it at that: its user reads words that are not ours. */
static void test_no_tls(void)
{
	static const struct { const char *label; bool admitted; const char *lines[3]; enum door door; } rows[] = {
		{ "asked and left", false, { "CAPA", "QUIT" }, DOOR_NO_TLS }, { "asked again", false, { "CAPA", "NOOP", "CAPA" }, DOOR_NO_TLS },
		{ "did not ask", false, { "QUIT" }, DOOR_NONE }, { "went on to TLS", false, { "CAPA", "STLS" }, DOOR_NONE },
		{ "tried all the same", false, { "CAPA", "USER ann" }, DOOR_NONE }, { "may log in", true, { "CAPA", "QUIT" }, DOOR_NONE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pop3 p;
		fake_begin(&p);
		p.plaintext_admitted = rows[i].admitted;
		for (size_t n = 0; n < 3 && rows[i].lines[n] != NULL; n++) {
			char line[16], storage[POP3_OUT_MIN];
			struct buf out = BUF_OVER(storage);
			(void)snprintf(line, sizeof line, "%s", rows[i].lines[n]);
			(void)pop3_line(&p, line, strlen(line), &out);
		}
		ROW_ASSERT(rows[i].label, p.door == rows[i].door);
	}
	struct pop3 p;
	fake_begin(&p);
	log_in(&p);
	expect("logged in", &p, "CAPA", "+OK", POP3_NEXT_LINE);
	CU_ASSERT(p.door == DOOR_NONE);
	fake_end();
}

/* A password does not stay in the line that brought it. */
static void test_secrets(void)
{
	static const char *const lines[] = { "PASS s3cr3t", "AUTH PLAIN AGFubgBzM2NyM3Q=" };
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		for (int good = 0; good < 2; good++) {
			struct pop3 p;
			char line[64], storage[POP3_OUT_MIN];
			struct buf out = BUF_OVER(storage);
			fake_begin(&p);
			fake.login = good ? REPLY_LOGGED_IN : REPLY_NOT_ACCEPTED;
			expect(lines[i], &p, "USER ann", "+OK", POP3_NEXT_LINE);
			size_t len = strlen(lines[i]), argument = i == 0 ? 5 : 11;
			memcpy(line, lines[i], len);
			CU_ASSERT(pop3_line(&p, line, len, &out) == POP3_NEXT_LINE);
			ROW_TEXT(lines[i], fake.password, "s3cr3t");
			for (size_t at = argument; at < len; at++)
				ROW_ASSERT(lines[i], line[at] == '\0');
		}
	fake_end();
}

static void test_greeting(void)
{
	struct pop3 p;
	char storage[POP3_OUT_MIN];
	struct buf out = BUF_OVER(storage);
	fake_begin(&p);
	p.state = POP3_OVER;
	pop3_greet(&p, &out);
	/* No timestamp in angle brackets: there is no APOP. */
	ROW_TEXT("greeting", buf_text(&out), "+OK postern POP3 server ready\r\n");
	CU_ASSERT(p.state == POP3_AUTHORIZATION);
	fake_end();
}

#define TESTS(X) X(test_plain) X(test_plain_forms) X(test_plain_lengths) X(test_long_line) X(test_tries) X(test_tries_spared) X(test_final) \
	X(test_explain) X(test_stls) X(test_bad_lines) X(test_http) X(test_no_tls) X(test_secrets) X(test_greeting)
SUITE("pop3_login")
