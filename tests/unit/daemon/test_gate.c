/*
 * test_gate.c - daemon/gate.c and conn.c: a session in clear, and every end that a client, the clock or a stop brings about.
 * Runs in: the tests.
 */
#include "tests/unit/daemon/gate_peer.h"

static void test_session(void)
{
	gates_begin(false);
	begin(NULL, "127.0.0.1", false);
	greet("session");
	log_in("session", 3);
	expect_line("session", &client, "STAT", "+OK 3 57");
	for (int top = 0; top < 2; top++) {
		int body = file_of("xxA: 1\n\n.one\ntwo\nyy", 19);
		peer_say(&client, top ? "TOP 2 1" : "RETR 2");
		CU_ASSERT(expect_request("fetch", RPC_FETCH).fetch.idx == 1);
		reply_message((struct rpc_answer){ .n = { 2 }, .offset = 2, .length = 15, .wire = 19 }, body);
		(void)close(body);
		expect_line("status", &client, NULL, top ? "+OK top of message 2" : "+OK 19 octets");
		static const char *const lines[] = { "A: 1", "", "..one", "two", "." };
		for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
			if (!top || i != 3)
				ROW_TEXT("message", peer_line(&client), lines[i]);
	}
	expect_line("mark", &client, "DELE 3", "+OK message 3 marked");
	peer_say(&client, "QUIT");
	union rpc_message mark = expect_request("mark", RPC_MARK);
	CU_ASSERT(mark.mark.first == 0 && mark.mark.count == 3 && mark.mark.bits[0] == 4);
	const struct rpc_bye bye = expect_commit("session", 1);
	reply(RPC_COMMIT, (struct rpc_answer){ .reply = REPLY_BYE_UPDATED, .n = { 1, 2 } }, -1);
	/* The keeper has heard all, and goes. */
	keeper_close();
	expect_line("QUIT", &client, NULL, "+OK 1 message deleted, 2 left; bye");
	/* RETR's octets as LIST counts them, and TOP's. */
	CU_ASSERT(bye.tls == 0 && bye.marked == 1 && bye.fetched == 1);
	CU_ASSERT(bye.octets == 19 + 14 && bye.detail[0] == '\0');
	expect_closed("session", &client);
	end("session");
	gates_end();
}

/* Somebody wrote to the file since the keeper looked: it is asked once more, and only if the message is where it was the dot follows. */
static void test_written_to(void)
{
	static const struct {
		const char *label;
		uint32_t reply;
		uint64_t offset, length;
		const char *end;
	} rows[] = {
		{ "new mail", REPLY_MESSAGE, 2, 15, "." }, { "moved", REPLY_MESSAGE, 1, 15, "(end)" }, { "another", REPLY_MESSAGE, 2, 14, "(end)" },
		{ "changed", REPLY_MESSAGE_CHANGED, 0, 0, "(end)" },
	};
	gates_begin(false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *label = rows[i].label, *line;
		const int body = file_of("xxA: 1\n\n.one\ntwo\nyy", 19);
		begin(NULL, "127.0.0.1", false);
		greet(label);
		log_in(label, 3);
		peer_say(&client, "RETR 2");
		ROW_ASSERT(label, expect_request(label, RPC_FETCH).fetch.idx == 1);
		reply(RPC_FETCH, (struct rpc_answer){ .reply = REPLY_MESSAGE, .n = { 2 }, .offset = 2, .length = 15, .wire = 19, .file_size = 18 }, body);
		const struct rpc_fetch again = expect_request(label, RPC_FETCH).fetch;
		ROW_ASSERT(label, again.idx == 1 && again.more == 0);
		if (rows[i].reply == REPLY_MESSAGE)
			reply_message((struct rpc_answer){ .n = { 2 }, .offset = rows[i].offset, .length = rows[i].length, .wire = 19 }, body);
		else
			reply(RPC_FETCH, (struct rpc_answer){ .reply = rows[i].reply, .n = { 2 } }, -1);
		(void)close(body);
		do
			line = peer_line(&client);
		while (strcmp(line, ".") != 0 && strcmp(line, "(end)") != 0);
		ROW_TEXT(label, line, rows[i].end);
		peer_close(&client);
		ROW_ASSERT(label, expect_bye(label, rows[i].end[0] == '.' ? END_PEER_CLOSED : END_READ_ERROR).fetched == (rows[i].end[0] == '.'));
		keeper_close();
	}
	gates_end();
}

/* Where a file's name lied to the list, the keeper knows better when the message is fetched: it comes whole, and is announced as it is. */
static void test_other_size(void)
{
	static struct rpc_text text = { .answer = { .verb = RPC_FETCH, .reply = REPLY_MESSAGE }, .count = 1, .lengths = { 0 }, .wire = { 14 } };
	static const char stored[] = "A: 1\n\nmore\n";
	gates_begin(false);
	for (int with_text = 0; with_text < 2; with_text++) {
		begin(NULL, "127.0.0.1", false);
		greet("other size");
		log_in("other size", 3);
		expect_line("other size", &client, "LIST 2", "+OK 2 19");
		peer_say(&client, "RETR 2");
		(void)expect_request("fetch", RPC_FETCH);
		memcpy(text.octets, stored, sizeof stored - 1);
		text.lengths[0] = sizeof stored - 1;
		if (with_text != 0) {
			CU_ASSERT(rpc_send(keeper, &text, offsetof(struct rpc_text, octets) + text.lengths[0], -1) == 0);
		} else {
			int body = file_of(stored, sizeof stored - 1);
			reply_message((struct rpc_answer){ .n = { 2 }, .length = sizeof stored - 1, .wire = 14 }, body);
			(void)close(body);
		}
		expect_line("other size", &client, NULL, "+OK 14 octets");
		ROW_TEXT("other size", peer_line(&client), "A: 1");
		ROW_TEXT("other size", peer_line(&client), "");
		ROW_TEXT("other size", peer_line(&client), "more");
		ROW_TEXT("other size", peer_line(&client), ".");
		expect_line("other size", &client, "NOOP", "+OK");
		peer_close(&client);
		struct rpc_bye bye = expect_bye("other size", END_PEER_CLOSED);
		CU_ASSERT(bye.fetched == 1 && bye.octets == 14);
		keeper_close();
	}
	gates_end();
}

/* Who takes one message after the other is ahead of the keeper: what came along is not asked for again. */
static void test_ahead(void)
{
	static struct rpc_text text = { .answer = { .verb = RPC_FETCH, .reply = REPLY_MESSAGE }, .count = 1, .lengths = { 15, 15 }, .wire = { 19, 19 } };
	char said[32], first[8];
	gates_begin(false);
	begin(NULL, "127.0.0.1", false);
	greet("ahead");
	log_in("ahead", 3);
	for (uint32_t n = 1; n <= 3; n++) {
		(void)snprintf(said, sizeof said, n == 3 ? "TOP 3 1" : "RETR %u", n);
		(void)snprintf(first, sizeof first, "A: %u", n);
		peer_say(&client, said);
		if (n < 3) {
			const struct rpc_fetch asked = expect_request(said, RPC_FETCH).fetch;
			ROW_ASSERT(said, asked.idx == n - 1 && asked.more == n - 1);
			(void)snprintf(text.octets, sizeof text.octets, "A: %u\n\n.one\ntwo\nA: %u\n\n.one\ntwo\n", n, n + 1);
			text.count = n;
			CU_ASSERT(rpc_send(keeper, &text, offsetof(struct rpc_text, octets) + n * (size_t)text.lengths[0], -1) == 0);
		}
		expect_line(said, &client, NULL, "+OK");
		ROW_TEXT(said, peer_line(&client), first);
		ROW_TEXT(said, peer_line(&client), "");
		ROW_TEXT(said, peer_line(&client), "..one");
		if (n < 3)
			ROW_TEXT(said, peer_line(&client), "two");
		ROW_TEXT(said, peer_line(&client), ".");
	}
	peer_close(&client);
	CU_ASSERT(expect_bye("ahead", END_PEER_CLOSED).fetched == 2);
	keeper_close();
	gates_end();
}

/* Marks cross in runs of RPC_MARKS, and runs without a mark do not cross. */
static void test_marks(void)
{
	static const char *const marked[] = { "DELE 1", "DELE 2048", "DELE 4097", "DELE 4100" };
	gates_begin(false);
	begin(NULL, "127.0.0.1", false);
	greet("marks");
	log_in("marks", 4100);
	for (size_t i = 0; i < sizeof marked / sizeof *marked; i++)
		expect_line(marked[i], &client, marked[i], "+OK message");
	expect_line("listing", &client, "LIST", "+OK 4096 messages");
	size_t lines = 0;
	while (strcmp(peer_line(&client), ".") != 0 && lines < 5000)
		lines++;
	CU_ASSERT(lines == 4096);
	peer_say(&client, "QUIT");
	union rpc_message one = expect_request("first run", RPC_MARK);
	CU_ASSERT(one.mark.first == 0 && one.mark.count == RPC_MARKS && one.mark.bits[0] == 1 && one.mark.bits[255] == 128);
	union rpc_message two = expect_request("last run", RPC_MARK);
	CU_ASSERT(two.mark.first == 4096 && two.mark.count == 4 && two.mark.bits[0] == 9);
	(void)expect_commit("marks", 4);
	reply(RPC_COMMIT, (struct rpc_answer){ .reply = REPLY_KEPT_FULL, .n = { 1, 4 }, .ref = TEST_REF }, -1);
	expect_line("QUIT", &client, NULL, "-ERR [SYS/TEMP] some deleted messages not removed: 1 of 4 (disk full)" TEST_REF_TEXT);
	end("marks");
	gates_end();
}

/* Ends that the client brings about: what it says (in order, each answered), what it is told last, what the keeper hears. */
static void test_client_ends(void)
{
	static const struct {
		const char *label, *octets, *last;
		enum session_end want;
	} rows[] = {
		{ "closes", "", NULL, END_PEER_CLOSED },
		{ "QUIT", "QUIT\r\n", "+OK bye", END_QUIT },
		{ "half a line", "QUI", NULL, END_PEER_CLOSED },
		{ "no POP3", "A\r\nB\r\nC\r\nD\r\n", "-ERR too many commands that POP3 does not know", END_TOO_MANY_BAD },
		{ "HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR this is a POP3 server", END_WRONG_DOOR },
		{ "STLS without a certificate", "STLS\r\nQUIT\r\n", "+OK bye", END_QUIT },
		{ "tries", "AUTH PLAIN =\r\nPASS\r\nAUTH PLAIN !\r\nAUTH PLAIN x\r\nAUTH PLAIN y\r\nUSER ann\r\n",
		  "-ERR [AUTH] too many failed logins", END_TOO_MANY_LOGINS },
	};
	gates_begin(false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char last[512] = "";
		begin(NULL, "127.0.0.1", false);
		greet(rows[i].label);
		peer_send(&client, rows[i].octets, strlen(rows[i].octets));
		CU_ASSERT(shutdown(client.fd, SHUT_WR) == 0);
		for (const char *line; strcmp(line = peer_line(&client), "(end)") != 0;)
			(void)snprintf(last, sizeof last, "%s", line);
		ROW_ASSERT(rows[i].label, rows[i].last == NULL ? last[0] == '\0' : strncmp(last, rows[i].last, strlen(rows[i].last)) == 0);
		(void)expect_bye(rows[i].label, rows[i].want);
		end(rows[i].label);
	}
	gates_end();
}

/* A line without an end is not read for ever. */
static void test_endless_line(void)
{
	static char waste[4096];
	size_t sent = 0;
	gates_begin(false);
	begin(NULL, "127.0.0.1", false);
	greet("endless");
	memset(waste, 'x', sizeof waste);
	while (sent < 2 * LINE_SKIP_MAX && ready(client.fd, POLLOUT)) {
		struct pollfd p = { .fd = client.fd, .events = POLLIN };
		if (poll(&p, 1, 0) > 0)
			break;
		peer_send(&client, waste, sizeof waste);
		sent += sizeof waste;
	}
	expect_line("endless", &client, NULL, "-ERR command line too long: at most 255 octets");
	(void)expect_bye("endless", END_TOO_MANY_BAD);
	end("endless");
	gates_end();
}

/* The middle of a first line that is too long is not the beginning of the connection, and neither is what comes behind it. */
static void test_long_first_line(void)
{
	static const char hello[] = "\x16\x03\x01 and more\r\n";
	char line[300];
	gates_begin(false);
	for (size_t i = 0; i < 2; i++) {
		begin(NULL, "127.0.0.1", false);
		greet("long");
		memset(line, 'A', sizeof line);
		line[sizeof line - 1] = i == 0 ? 'A' : '\n';
		peer_send(&client, line, sizeof line);
		if (i == 1)
			expect_line("long", &client, NULL, "-ERR command line too long");
		else
			(void)usleep(50000); /* so that it is read by itself; if it is not, this tests less */
		peer_send(&client, hello, sizeof hello - 1);
		expect_line("behind it", &client, NULL, i == 0 ? "-ERR command line too long" : "-ERR unknown command");
		peer_say(&client, "QUIT");
		expect_line("behind it", &client, NULL, "+OK");
		(void)expect_bye("behind it", END_QUIT);
		end("behind it");
	}
	gates_end();
}

/* login_seconds is a real bound, from the connection on, whatever the client says meanwhile. */
static void test_login_deadline(void)
{
	gates_begin(false);
	uint64_t before = settings->login_seconds;
	settings->login_seconds = 1;
	begin(NULL, "127.0.0.1", false);
	greet("deadline");
	expect_line("deadline", &client, "USER ann", "+OK");
	expect_line("deadline", &client, NULL, "-ERR no login within 1 second; closing");
	(void)expect_bye("deadline", END_LOGIN_TIMEOUT);
	expect_closed("deadline", &client);
	end("deadline");
	settings->login_seconds = before;
	gates_end();
}

/* Nor does it move for who asks much and takes the answers in sips. */
static void test_sips(void)
{
	enum { QUESTIONS = 20000, SIP = 1024, PAUSE_MS = 20 };
	static const char question[] = "CAPA\r\n";
	static char questions[QUESTIONS * (sizeof question - 1)];
	char octets[SIP];
	for (size_t i = 0; i < sizeof questions; i++)
		questions[i] = question[i % (sizeof question - 1)];
	gates_begin(false);
	uint64_t before = settings->login_seconds;
	settings->login_seconds = 1;
	begin(NULL, "127.0.0.1", false);
	greet("sips");
	peer_send(&client, questions, sizeof questions);
	struct pollfd p = { .fd = keeper, .events = POLLIN };
	int ms = 0;
	for (; ms < PATIENCE_MS && poll(&p, 1, PAUSE_MS) == 0; ms += PAUSE_MS)
		CU_ASSERT(read(client.fd, octets, sizeof octets) > 0);
	CU_ASSERT(ms < PATIENCE_MS);
	(void)expect_bye("sips", END_STALLED);
	end("sips");
	settings->login_seconds = before;
	gates_end();
}

static void test_idle(void)
{
	gates_begin(false);
	uint64_t before = settings->idle_minutes;
	settings->idle_minutes = 0;
	begin(NULL, "127.0.0.1", false);
	greet("idle");
	log_in("idle", 1);
	expect_line("idle", &client, NULL, "-ERR idle for 0 minutes, closing; nothing was deleted");
	(void)expect_bye("idle", END_IDLE);
	end("idle");
	settings->idle_minutes = before;
	gates_end();
}

static void test_stop(void)
{
	static const struct rpc_stop stop = { .verb = RPC_STOP };
	gates_begin(false);
	for (int logged_in = 0; logged_in < 2; logged_in++) {
		const char *label = logged_in ? "after the login" : "before the login";
		begin(NULL, "127.0.0.1", false);
		greet(label);
		if (logged_in) {
			log_in(label, 2);
			expect_line(label, &client, "DELE 1", "+OK");
		}
		CU_ASSERT(rpc_send(keeper, &stop, sizeof stop, -1) == 0);
		expect_line(label, &client, NULL, "-ERR [SYS/TEMP] the server is stopping");
		struct rpc_bye bye = expect_bye(label, END_STOPPED);
		ROW_ASSERT(label, bye.marked == (uint32_t)logged_in);
		end(label);
	}
	/* While an answer is awaited, the stop waits: what is being deleted is reported. */
	begin(NULL, "127.0.0.1", false);
	greet("commit");
	log_in("commit", 2);
	peer_say(&client, "QUIT");
	(void)expect_commit("commit", 0);
	CU_ASSERT(rpc_send(keeper, &stop, sizeof stop, -1) == 0);
	reply(RPC_COMMIT, (struct rpc_answer){ .reply = REPLY_BYE_UPDATED, .n = { 0, 2 } }, -1);
	expect_line("commit", &client, NULL, "+OK 0 messages deleted, 2 left; bye");
	end("commit");
	gates_end();
}

/* Who says one thing after the other, and never lets the gate wait, is told of a stop and of the end of his time all the same. */
static void test_busy(void)
{
	static const struct rpc_stop stop = { .verb = RPC_STOP };
	static const struct { const char *label; bool tls, stops; const char *last; enum session_end end; } rows[] = {
		{ "a stop, in clear", false, true, "-ERR [SYS/TEMP] the server is stopping", END_STOPPED },
		{ "a stop, over TLS", true, true, "-ERR [SYS/TEMP] the server is stopping", END_STOPPED },
		{ "a deadline, in clear", false, false, "-ERR no login within 1 second", END_LOGIN_TIMEOUT },
		{ "a deadline, over TLS", true, false, "-ERR no login within 1 second", END_LOGIN_TIMEOUT },
	};
	gates_begin(true);
	settings->login_seconds = 1;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(server_tls, "127.0.0.1", rows[i].tls);
		CU_ASSERT_FATAL(!rows[i].tls || peer_start_tls(&client, client_tls));
		greet(rows[i].label);
		/* While it waits for the keeper, more comes in, each line in a record of its own. */
		peer_say(&client, "AUTH PLAIN AGFubgBzZWNyZXQ=");
		(void)expect_request(rows[i].label, RPC_AUTH);
		for (int n = 0; n < 3; n++)
			peer_say(&client, "NOOP");
		if (rows[i].stops)
			CU_ASSERT(rpc_send(keeper, &stop, sizeof stop, -1) == 0)
		else
			(void)usleep(1100000);
		reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_NOT_ACCEPTED }, -1);
		expect_line(rows[i].label, &client, NULL, "-ERR [AUTH] user name or password not accepted");
		expect_line(rows[i].label, &client, NULL, rows[i].last);
		(void)expect_bye(rows[i].label, rows[i].end);
		end(rows[i].label);
	}
	gates_end();
}

/* What lies in one record of TLS is read to its end, though nothing more comes in to be waited for. */
static void test_large_record(void)
{
	enum { LINES = 2000 };
	static const char line[] = "NOOP\r\n";
	char octets[LINES * (sizeof line - 1)];
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = line[i % (sizeof line - 1)];
	gates_begin(true);
	begin(server_tls, "127.0.0.1", true);
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	greet("a large record");
	peer_send(&client, octets, sizeof octets);
	for (int i = 0; i < LINES; i++)
		expect_line("a large record", &client, NULL, "-ERR log in first");
	peer_close(&client);
	(void)expect_bye("a large record", END_PEER_CLOSED);
	end("a large record");
	gates_end();
}

#define TESTS(X) X(test_session) X(test_written_to) X(test_other_size) X(test_ahead) X(test_marks) X(test_client_ends) X(test_endless_line) X(test_long_first_line) \
	X(test_login_deadline) X(test_sips) X(test_idle) \
	X(test_stop) X(test_busy) X(test_large_record)
SUITE("gate")
