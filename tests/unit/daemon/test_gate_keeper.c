/*
 * test_gate_keeper.c - daemon/gate.c and conn.c: a keeper that vanishes at each point, that breaks its word, that refuses.
 * Runs in: the tests.
 */
#include "tests/unit/daemon/gate_peer.h"

#define BROKE "-ERR [SYS/TEMP] this session broke on the server; nothing was deleted; connect again"
#define BROKE_IN_UPDATE "-ERR [SYS/TEMP] this session broke on the server while it deleted"

enum point { AT_GREETING, AT_AUTH, AT_FETCH, AT_COMMIT, AT_IDLE };

/* The keeper is gone: the client reads it, and the gate ends well. */
static void test_keeper_vanishes(void)
{
	static const struct { const char *label; enum point point; const char *says; uint32_t verb; } rows[] = {
		{ "before the login", AT_GREETING, NULL, 0 },
		{ "while it checks a password", AT_AUTH, "AUTH PLAIN AGFubgBzZWNyZXQ=", RPC_AUTH },
		{ "while it opens a message", AT_FETCH, "RETR 1", RPC_FETCH },
		{ "while it deletes", AT_COMMIT, "QUIT", RPC_COMMIT },
		{ "while the client thinks", AT_IDLE, NULL, 0 },
	};
	gates_begin(false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(NULL, "127.0.0.1", false);
		greet(rows[i].label);
		if (rows[i].point >= AT_FETCH)
			log_in(rows[i].label, 2);
		if (rows[i].says != NULL) {
			peer_say(&client, rows[i].says);
			(void)expect_request(rows[i].label, rows[i].verb);
		}
		keeper_close();
		expect_line(rows[i].label, &client, NULL, BROKE);
		end(rows[i].label);
	}
	/* Gone already when it is asked. */
	begin(NULL, "127.0.0.1", false);
	greet("asked too late");
	log_in("asked too late", 2);
	peer_say(&client, "DELE 1\r\nQUIT");
	keeper_close();
	/* The gate may notice before the QUIT, or by it. */
	for (const char *line = ""; strncmp(line, BROKE, strlen(BROKE)) != 0 && strncmp(line, BROKE_IN_UPDATE, strlen(BROKE_IN_UPDATE)) != 0;
	     line = peer_line(&client)) {
		CU_ASSERT(strncmp(line, "+OK", strcmp(line, "") == 0 ? 0 : 3) == 0);
		CU_ASSERT_FATAL(strcmp(line, "(end)") != 0 && strstr(line, "bye") == NULL);
	}
	end("asked too late");
	gates_end();
}

/* So many of that command, which fit into one read, and QUIT behind them if it is to be. */
static void ask_much(const char *command, bool quit)
{
	char octets[LINE_BUFFER];
	struct buf b = BUF_OVER(octets);
	while (b.cap - b.len > strlen(command) + strlen("QUIT\r\n"))
		(void)buf_add_text(&b, command);
	if (quit)
		(void)buf_add_text(&b, "QUIT\r\n");
	peer_send(&client, octets, b.len);
}

/* A keeper that has heard all waits for its gate, and is the master's word on it: where it is killed, the gate goes, however little its client takes. */
static void test_keeper_killed_at_the_end(void)
{
	/* The master has the keeper's end as well, and shuts it down. */
	static const struct { const char *label; bool shut_down; } rows[] = { { "killed at the end", false }, { "killed at the end, and the master has its end", true } };
	const struct rpc_answer updated = { .verb = RPC_COMMIT, .reply = REPLY_BYE_UPDATED };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		gates_begin(false);
		begin(NULL, "127.0.0.1", false);
		greet(rows[i].label);
		log_in(rows[i].label, 2);
		/* What the first two ask for fits into the socket, and what the last does not. */
		ask_much("CAPA\r\n", false);
		ask_much("CAPA\r\n", false);
		ask_much("LANG\r\n", true);
		(void)expect_request(rows[i].label, RPC_COMMIT);
		CU_ASSERT(rpc_send(keeper, &updated, sizeof updated, -1) == 0);
		if (rows[i].shut_down)
			CU_ASSERT(shutdown(keeper, SHUT_WR) == 0)
		else
			keeper_close();
		expect_end(rows[i].label, gate, EXIT_GOOD, NULL);
		if (rows[i].shut_down)
			keeper_close();
		peer_close(&client);
		gates_end();
	}
}

static void test_not_needed(void)
{
	int rpc[2];
	gates_begin(false);
	socket_pair(SOCK_SEQPACKET, rpc);
	pid_t pid = fork_child();
	if (pid == 0) {
		(void)close(rpc[0]);
		gate_serve(rpc[1], NULL, settings);
	}
	(void)close(rpc[1]);
	(void)close(rpc[0]);
	expect_end("not needed", pid, EXIT_GOOD, NULL);
	gates_end();
}

/* First messages that are no HELLO with a connection: our own bug, and said so. */
static void test_no_hello(void)
{
	static const struct { const char *label; uint32_t verb; size_t size; bool descriptor; } rows[] = {
		{ "no descriptor", RPC_HELLO, sizeof(struct rpc_hello), false },
		{ "short", RPC_HELLO, 8, true },
		{ "another verb", RPC_STOP, sizeof(struct rpc_hello), true },
	};
	gates_begin(false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int rpc[2];
		socket_pair(SOCK_SEQPACKET, rpc);
		pid_t pid = fork_child();
		if (pid == 0) {
			(void)close(rpc[0]);
			gate_serve(rpc[1], NULL, settings);
		}
		(void)close(rpc[1]);
		struct rpc_hello hello = { .verb = rows[i].verb, .peer = address_of("127.0.0.1") };
		CU_ASSERT(rpc_send(rpc[0], &hello, rows[i].size, rows[i].descriptor ? STDIN_FILENO : -1) == 0);
		expect_end(rows[i].label, pid, EXIT_BUG, "the keeper's first message is no HELLO");
		(void)close(rpc[0]);
	}
	gates_end();
}

/* Answers that a keeper never gives; a message or a list that is not there must not be made up. */
static void test_broken_word(void)
{
	gates_begin(false);
	static const struct {
		const char *label;
		uint32_t count;      /* the list has one message of one octet */
		size_t sent, said;   /* octets of it that are there; octets that there are to be. 0: all */
		uint64_t offset;
		size_t spoiled;      /* which octet of it is another, counted from 1 */
	} rows[] = {
		{ "more messages than there are", 2, 0, 0, 0, 0 },
		{ "shorter than it is", 1, 60, 0, 0, 0 },
		{ "not all of it is said", 1, 0, 64, 0, 0 },
		{ "it begins elsewhere", 1, 0, 0, 8, 0 },
		{ "a large one that is not there", 1, 0, 1000000, 0, 0 },
		{ "no list", 1, 0, 0, 0, 1 },
		{ "a kind that there is not", 1, 0, 0, 0, offsetof(struct list_header, kind) + 1 },
		{ "records of another size", 1, 0, 0, 0, offsetof(struct list_header, record_size) + 1 },
		{ "another count", 1, 0, 0, 0, offsetof(struct list_header, count) + 8 },
		{ "names that are not there", 1, 0, 0, 0, offsetof(struct list_header, names) + 1 },
	};
	const struct message_record record = { .octets = 1, .uidl = "u" };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t size;
		unsigned char *image = list_image(&record, 1, &size);
		CU_ASSERT_FATAL(image != NULL);
		if (rows[i].spoiled > 0)
			image[rows[i].spoiled - 1] ^= 0x41;
		begin(NULL, "127.0.0.1", false);
		greet(rows[i].label);
		peer_say(&client, "AUTH PLAIN AGFubgBzZWNyZXQ=");
		(void)expect_request(rows[i].label, RPC_AUTH);
		int fd = file_of(image, rows[i].sent > 0 ? rows[i].sent : size);
		reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_LOGGED_IN, .count = rows[i].count, .offset = rows[i].offset,
		                                     .length = rows[i].said > 0 ? rows[i].said : size }, fd);
		(void)close(fd);
		expect_end(rows[i].label, gate, EXIT_BUG, "messages is none");
		peer_close(&client);
		keeper_close();
		free(image);
	}

	begin(NULL, "127.0.0.1", false);
	greet("no descriptor");
	log_in("no descriptor", 1);
	peer_say(&client, "RETR 1");
	(void)expect_request("no descriptor", RPC_FETCH);
	reply(RPC_FETCH, (struct rpc_answer){ .reply = REPLY_MESSAGE, .n = { 1 } }, -1);
	expect_end("no descriptor", gate, EXIT_BUG, "a message without a descriptor");
	peer_close(&client);
	keeper_close();

	/* Octets that are not what the answer says, and with a descriptor. */
	for (int with = 0; with < 2; with++) {
		static struct rpc_text text = { .answer = { .verb = RPC_FETCH, .reply = REPLY_MESSAGE, .n = { 1 } }, .count = 1, .lengths = { 19 } };
		begin(NULL, "127.0.0.1", false);
		greet("no messages");
		log_in("no messages", 1);
		peer_say(&client, "RETR 1");
		(void)expect_request("no messages", RPC_FETCH);
		CU_ASSERT(rpc_send(keeper, &text, offsetof(struct rpc_text, octets) + 18 + (size_t)with, with ? STDIN_FILENO : -1) == 0);
		expect_end("no messages", gate, EXIT_BUG, "octets that are no messages");
		peer_close(&client);
		keeper_close();
	}

	/* A number that is no reply, and a message of another size. */
	begin(NULL, "127.0.0.1", false);
	greet("no reply");
	peer_say(&client, "AUTH PLAIN AGFubgBzZWNyZXQ=");
	(void)expect_request("no reply", RPC_AUTH);
	reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_COUNT }, -1);
	expect_line("no reply", &client, NULL, BROKE);
	peer_say(&client, "AUTH PLAIN AGFubgBzZWNyZXQ=");
	(void)expect_request("the reply that is none", RPC_AUTH);
	reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_NONE }, -1);
	expect_line("the reply that is none", &client, NULL, BROKE);
	peer_say(&client, "AUTH PLAIN AGFubgBzZWNyZXQ=");
	(void)expect_request("another size", RPC_AUTH);
	struct rpc_fetch other = { .verb = RPC_AUTH };
	CU_ASSERT(rpc_send(keeper, &other, sizeof other, STDIN_FILENO) == 0);
	expect_line("another size", &client, NULL, BROKE);
	(void)expect_bye("another size", END_KEEPER_LOST);
	end("another size");
	/* So is anything but a stop while nothing was asked. */
	begin(NULL, "127.0.0.1", false);
	greet("unasked");
	CU_ASSERT(rpc_send(keeper, &other, sizeof other, STDIN_FILENO) == 0);
	expect_line("unasked", &client, NULL, BROKE);
	(void)expect_bye("unasked", END_KEEPER_LOST);
	end("unasked");
	gates_end();
}

static void test_refusals(void)
{
	gates_begin(false);
	begin(NULL, "127.0.0.1", false);
	greet("refused");
	expect_line("refused", &client, "USER ann", "+OK");
	peer_say(&client, "PASS wrong");
	CU_ASSERT(expect_request("refused", RPC_AUTH).auth.password.len == 5);
	reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_NOT_ACCEPTED }, -1);
	expect_line("refused", &client, NULL, "-ERR [AUTH] user name or password not accepted");
	peer_say(&client, "AUTH PLAIN AGJvYgBzZWNyZXQ=");
	(void)expect_request("locked", RPC_AUTH);
	/* The text's end is not taken for granted. */
	struct rpc_answer answer = { .reply = REPLY_BUSY_NAMED, .final = 1, .ref = TEST_REF };
	memset(answer.told, 'x', sizeof answer.told);
	reply(RPC_AUTH, answer, -1);
	expect_line("locked", &client, NULL, "-ERR [IN-USE] unable to lock mailbox: another program is using it: xxxx");
	expect_line("final", &client, "AUTH PLAIN AGNhcmwAc2VjcmV0", "-ERR [SYS/TEMP] connect again");
	/* The log names who was tried last, whichever way. */
	ROW_TEXT("final", referred, "bob");
	(void)expect_bye("final", END_TOO_MANY_LOGINS);
	end("final");
	/* A message that another program removed, and one that is not what it was. */
	begin(NULL, "127.0.0.1", false);
	greet("gone");
	log_in("gone", 2);
	peer_say(&client, "RETR 2");
	(void)expect_request("gone", RPC_FETCH);
	reply(RPC_FETCH, (struct rpc_answer){ .reply = REPLY_MESSAGE_GONE, .n = { 2 } }, -1);
	expect_line("gone", &client, NULL, "-ERR [SYS/TEMP] message 2 was removed");
	peer_say(&client, "RETR 1");
	(void)expect_request("changed", RPC_FETCH);
	int fd = file_of("A: 1\n\nshorter\n", 14);
	reply(RPC_FETCH, (struct rpc_answer){ .reply = REPLY_MESSAGE, .n = { 1 }, .length = 14, .wire = 19 }, fd);
	(void)close(fd);
	for (const char *line; strcmp(line = peer_line(&client), "(end)") != 0;)
		CU_ASSERT(strcmp(line, ".") != 0);
	struct rpc_bye bye = expect_bye("changed", END_READ_ERROR);
	ROW_TEXT("changed", bye.detail, "the message changed while it was sent");
	CU_ASSERT(bye.fetched == 0);
	end("changed");
	gates_end();
}

/* explain_failures: who exists is asked for those whom it admits, and not for ever. */
static void test_known(void)
{
	gates_begin(false);
	settings->explain_failures = POLICY_LOOPBACK;
	settings->login_tries = 2;
	begin(NULL, "192.0.2.1", false);
	greet("a stranger");
	settings->plaintext_login = POLICY_ALWAYS;
	expect_line("a stranger", &client, "USER ann", "-ERR TLS is not set up");
	expect_line("a stranger", &client, "QUIT", "+OK");
	(void)expect_bye("a stranger", END_QUIT);
	end("a stranger");
	begin(NULL, "192.0.2.1", false);
	greet("admitted in clear");
	expect_line("not asked", &client, "USER ann", "+OK now send PASS");
	expect_line("not asked", &client, "QUIT", "+OK");
	(void)expect_bye("not asked", END_QUIT);
	end("not asked");
	begin(NULL, "127.0.0.1", false);
	greet("asked");
	peer_say(&client, "USER bob");
	ROW_TEXT("asked", expect_request("asked", RPC_KNOWN).known.user, "bob");
	reply(RPC_KNOWN, (struct rpc_answer){ .reply = REPLY_MAILBOX_UNKNOWN }, -1);
	expect_line("asked", &client, NULL, "-ERR [AUTH] mailbox unknown");
	for (int i = 1; i < RPC_KNOWN_MOST; i++) {
		peer_say(&client, "USER ann");
		(void)expect_request("asked", RPC_KNOWN);
		reply(RPC_KNOWN, (struct rpc_answer){ .reply = REPLY_SEND_PASS }, -1);
		expect_line("asked", &client, NULL, "+OK now send PASS");
	}
	expect_line("asked enough", &client, "USER nobody", "+OK now send PASS");
	expect_line("asked enough", &client, "QUIT", "+OK bye");
	(void)expect_bye("asked enough", END_QUIT);
	end("asked enough");
	gates_end();
}

#define TESTS(X) X(test_keeper_vanishes) X(test_keeper_killed_at_the_end) X(test_not_needed) X(test_no_hello) X(test_broken_word) X(test_refusals) X(test_known)
SUITE("gate_keeper")
