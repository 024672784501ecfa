/*
 * test_gate_tls.c - daemon/gate.c, conn.c and tls.c: STLS, TLS from the start, handshakes that fail, and bad certificates.
 * Runs in: the tests.
 */
#include <openssl/hmac.h>
#include <sodium.h>

#include "tests/unit/daemon/gate_peer.h"

enum { LARGE = 300000 };

/* A session over TLS that fetches a message of many records. */
static void tls_session(const char *label)
{
	char *text = malloc(LARGE);
	size_t got = 0;
	CU_ASSERT_FATAL(text != NULL);
	for (size_t i = 0; i < LARGE; i++)
		text[i] = i % 100 == 99 ? '\n' : 'x';
	log_in(label, 2);
	peer_say(&client, "TOP 2 1000000");
	ROW_ASSERT(label, expect_request(label, RPC_FETCH).fetch.idx == 1);
	int body = file_of(text, LARGE);
	reply_message((struct rpc_answer){ .n = { 2 }, .length = LARGE }, body);
	(void)close(body);
	expect_line(label, &client, NULL, "+OK top");
	for (const char *line; strcmp(line = peer_line(&client), ".") != 0 && strcmp(line, "(end)") != 0;)
		got += strlen(line) + 1;
	ROW_ASSERT(label, got == LARGE);
	free(text);
	peer_say(&client, "QUIT");
	const struct rpc_bye bye = expect_commit(label, 0);
	reply(RPC_COMMIT, (struct rpc_answer){ .reply = REPLY_BYE_UPDATED, .n = { 0, 2 } }, -1);
	expect_line(label, &client, NULL, "+OK 0 messages deleted, 2 left; bye");
	ROW_ASSERT(label, bye.tls == TLS1_3_VERSION && bye.octets == LARGE + LARGE / 100 && bye.fetched == 0);
	end(label);
}

static void test_stls(void)
{
	gates_begin(true);
	begin(server_tls, "192.0.2.1", false);
	greet("STLS");
	expect_line("in clear", &client, "USER ann", "-ERR encryption required first");
	expect_line("STLS", &client, "STLS", "+OK begin TLS now");
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	tls_session("STLS");
	gates_end();
}

static void test_tls_from_the_start(void)
{
	gates_begin(true);
	begin(server_tls, "192.0.2.1", true);
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	greet("TLS");
	expect_line("TLS", &client, "STLS", "-ERR TLS is active already");
	tls_session("TLS");
	gates_end();
}

/* What came in clear behind STLS ends the connection (CVE-2011-0411). */
static void test_pipelined(void)
{
	gates_begin(true);
	begin(server_tls, "127.0.0.1", false);
	greet("pipelined");
	peer_send(&client, "STLS\r\nUSER ann\r\n", 16);
	expect_line("pipelined", &client, NULL, "-ERR commands were sent behind STLS");
	(void)expect_bye("pipelined", END_TLS_PIPELINED);
	end("pipelined");
	gates_end();
}

/* A user name said in clear is forgotten inside; the end of TLS is the end of the session. */
static void test_stls_forgets(void)
{
	gates_begin(true);
	begin(server_tls, "127.0.0.1", false);
	greet("forgets");
	expect_line("forgets", &client, "USER ann", "+OK");
	expect_line("forgets", &client, "STLS", "+OK");
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	expect_line("forgets", &client, "PASS secret", "-ERR send USER");
	(void)SSL_shutdown(client.ssl);
	CU_ASSERT(expect_bye("forgets", END_PEER_CLOSED).tls == TLS1_3_VERSION);
	end("forgets");
	gates_end();
}

/* The log is to name whose mail program has no TLS: with each refusal goes the name that was said last, and none that was said before TLS. */
static void test_refused_by_name(void)
{
	char longer[USER_NAME_MAX + 16] = "USER ";
	memset(longer + strlen(longer), 'n', USER_NAME_MAX + 1);
	const struct { const char *line, *answer, *name; } rows[] = {
		{ "PASS secret", "-ERR encryption required first", "" }, { "USER ann", "-ERR encryption required first", "ann" },
		{ "PASS secret", "-ERR encryption required first", "ann" }, { "USER", "-ERR encryption required first", "ann" },
		{ longer, "-ERR encryption required first", "ann" }, { "USER b", "-ERR encryption required first", "b" },
		{ "AUTH PLAIN AGFubgBzZWNyZXQ=", "-ERR encryption required first", "b" },
		{ "APOP carl c4c9334bac560ecc979e58001b3e22fb", "-ERR encryption required first", "carl" },
	};
	gates_begin(true);
	begin(server_tls, "192.0.2.1", false);
	greet("by name");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		expect_line(rows[i].line, &client, rows[i].line, rows[i].answer);
		ROW_TEXT(rows[i].line, referred, rows[i].name);
	}
	expect_line("by name", &client, "STLS", "+OK");
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	expect_line("by name", &client, "PASS secret", "-ERR send USER");
	peer_close(&client);
	(void)expect_bye("by name", END_PEER_CLOSED);
	end("by name");
	gates_end();
}

/* What the client says to a gate that waits for a handshake. */
static void test_handshake_fails(void)
{
#define OCTETS(text) (text), sizeof(text) - 1
#define PLAIN_TOLD "-ERR this port begins with TLS", DOOR_PLAIN_ON_TLS
#define PROXY_TOLD "-ERR a PROXY header came, and none is expected here", DOOR_PROXY
	static const struct { const char *label, *octets; size_t len; const char *told; enum door door; } rows[] = {
		{ "POP3 in clear", OCTETS("USER ann\r\nPASS secret\r\n"), PLAIN_TOLD },
		{ "HTTP", OCTETS("GET / HTTP/1.1\r\n\r\n"), PLAIN_TOLD },
		{ "a PROXY header", OCTETS("PROXY TCP4 192.0.2.7 192.0.2.8 40000 995\r\n\x16\x03\x01"), PROXY_TOLD },
		{ "a PROXY header of version 2", OCTETS("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" "1234567812\3\xe3\x16\x03\x01"), PROXY_TOLD },
		{ "nothing", OCTETS(""), NULL, DOOR_NONE },
		{ "half a hello", OCTETS("\x16\x03\x01"), NULL, DOOR_NONE },
	};
	gates_begin(true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int stls = 0; stls < 2; stls++) {
			begin(server_tls, "192.0.2.1", !stls);
			if (stls) {
				greet(rows[i].label);
				expect_line(rows[i].label, &client, "STLS", "+OK");
			}
			peer_send(&client, rows[i].octets, rows[i].len);
			CU_ASSERT(shutdown(client.fd, SHUT_WR) == 0);
			/* On the TLS port it is seen before the handshake begins, and there is somebody who reads plain text. */
			const bool door = !stls && rows[i].told != NULL;
			if (door)
				expect_line(rows[i].label, &client, NULL, rows[i].told);
			struct rpc_bye bye = expect_bye(rows[i].label, door ? END_WRONG_DOOR : END_TLS_FAILED);
			ROW_ASSERT(rows[i].label, bye.tls == 0 && memchr(bye.detail, '\0', sizeof bye.detail) != NULL);
			ROW_ASSERT(rows[i].label, bye.door == (door ? rows[i].door : DOOR_NONE));
			/* The log has a cause of each failure, also where nobody made a mistake. */
			ROW_ASSERT(rows[i].label, bye.detail[0] != '\0' || door);
			end(rows[i].label);
		}
	gates_end();
}

/* What the two sides may agree on. */
static void test_policy(void)
{
	static const struct {
		const char *label;
		enum tls_minimum minimum;
		int version;
		const char *protocol;
		bool works;
	} rows[] = {
		{ "1.3", TLS_1_2, TLS1_3_VERSION, NULL, true },
		{ "1.2", TLS_1_2, TLS1_2_VERSION, NULL, true },
		{ "1.2 where 1.3 is the least", TLS_1_3, TLS1_2_VERSION, NULL, false },
		{ "1.1", TLS_1_2, TLS1_1_VERSION, NULL, false },
		{ "ALPN pop3", TLS_1_2, TLS1_3_VERSION, "\x04pop3", true },
		{ "ALPN another and pop3", TLS_1_2, TLS1_3_VERSION, "\x08http/1.1\x04pop3", true },
		{ "ALPN another", TLS_1_2, TLS1_3_VERSION, "\x08http/1.1", false },
	};
	gates_begin(true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		SSL_CTX *server = NULL;
		char problem[512];
		settings->tls_minimum = rows[i].minimum;
		CU_ASSERT_FATAL(tls_context_new(settings, &server, problem, sizeof problem) == 0);
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		CU_ASSERT_FATAL(context != NULL && SSL_CTX_set_max_proto_version(context, rows[i].version) == 1);
		SSL_CTX_set_security_level(context, 0);
		if (rows[i].protocol != NULL)
			(void)SSL_CTX_set_alpn_protos(context, (const unsigned char *)rows[i].protocol, (unsigned)strlen(rows[i].protocol));
		begin(server, "192.0.2.1", true);
		bool works = peer_start_tls(&client, context);
		works = works && strncmp(peer_line(&client), "+OK", 3) == 0;
		ROW_ASSERT(rows[i].label, works == rows[i].works);
		if (works)
			expect_line(rows[i].label, &client, "QUIT", "+OK bye");
		struct rpc_bye bye = expect_bye(rows[i].label, works ? END_QUIT : END_TLS_FAILED);
		ROW_ASSERT(rows[i].label, bye.tls == (works ? (uint32_t)rows[i].version : 0));
		end(rows[i].label);
		SSL_CTX_free(context);
		SSL_CTX_free(server);
	}
	gates_end();
}

static void test_deadlines(void)
{
	static const struct rpc_stop stop = { .verb = RPC_STOP };
	gates_begin(true);
	settings->login_seconds = 1;
	begin(server_tls, "192.0.2.1", true);
	/* Only who waits for a greeting says nothing. */
	expect_line("a handshake that does not begin", &client, NULL, "-ERR this port begins with TLS");
	(void)expect_bye("a handshake that does not begin", END_WRONG_DOOR);
	end("a handshake that does not begin");
	begin(server_tls, "192.0.2.1", false);
	greet("not even by STLS");
	expect_line("not even by STLS", &client, "STLS", "+OK");
	ROW_TEXT("not even by STLS", expect_bye("not even by STLS", END_TLS_FAILED).detail, "no handshake in time");
	end("not even by STLS");
	settings->login_seconds = 120;
	begin(server_tls, "192.0.2.1", false);
	greet("stop in the handshake");
	expect_line("stop in the handshake", &client, "STLS", "+OK");
	CU_ASSERT(rpc_send(keeper, &stop, sizeof stop, -1) == 0);
	(void)expect_bye("stop in the handshake", END_STOPPED);
	end("stop in the handshake");
	begin(server_tls, "192.0.2.1", true);
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	greet("stop inside");
	CU_ASSERT(rpc_send(keeper, &stop, sizeof stop, -1) == 0);
	expect_line("stop inside", &client, NULL, "-ERR [SYS/TEMP] the server is stopping");
	(void)expect_bye("stop inside", END_STOPPED);
	end("stop inside");
	/* The connection is cut without a word of TLS. */
	begin(server_tls, "192.0.2.1", true);
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	greet("cut");
	CU_ASSERT(shutdown(client.fd, SHUT_WR) == 0);
	(void)expect_bye("cut", END_PEER_CLOSED);
	end("cut");
	gates_end();
}

/* ---- half a key update ---- */

static unsigned char traffic_secret[32]; /* the client's, once its handshake is over */

static void take_secret(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	const char *digits = strrchr(line, ' ');
	size_t len;
	(void)ssl;
	if (strncmp(line, label, sizeof label - 1) == 0)
		CU_ASSERT(sodium_hex2bin(traffic_secret, sizeof traffic_secret, digits + 1, strlen(digits + 1), NULL, &len, NULL) == 0 && len == sizeof traffic_secret);
}

/* RFC 8446 section 7.1: HKDF-Expand-Label for less than one hash. */
static void expand_label(const char *label, unsigned char *out, unsigned char size)
{
	unsigned char info[64], hash[EVP_MAX_MD_SIZE];
	const unsigned char len = (unsigned char)strlen(label);
	unsigned hash_len;
	const unsigned char head[] = { 0, size, len }, end[] = { 0, 1 };
	memcpy(info, head, sizeof head);
	memcpy(info + sizeof head, label, len);
	memcpy(info + sizeof head + len, end, sizeof end);
	CU_ASSERT(HMAC(EVP_sha256(), traffic_secret, sizeof traffic_secret, info, sizeof head + len + sizeof end, hash, &hash_len) != NULL);
	memcpy(out, hash, size);
}

/* The client's first record: a handshake message of type 24 that is to have one octet more. */
static void send_half_key_update(int fd)
{
	enum { TAG = 16, HEAD = 5 };
	static const unsigned char half[] = { 24, 0, 0, 1, 22 }; /* the last: it is a handshake's */
	unsigned char key[16], iv[12], record[HEAD + sizeof half + TAG] = { 23, 3, 3, 0, sizeof half + TAG };
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n;
	expand_label("tls13 key", key, sizeof key);
	expand_label("tls13 iv", iv, sizeof iv);
	CU_ASSERT_FATAL(cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, iv) == 1);
	CU_ASSERT(EVP_EncryptUpdate(cipher, NULL, &n, record, HEAD) == 1 && EVP_EncryptUpdate(cipher, record + HEAD, &n, half, sizeof half) == 1);
	CU_ASSERT(EVP_EncryptFinal_ex(cipher, record + HEAD + n, &n) == 1);
	CU_ASSERT(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG, record + HEAD + sizeof half) == 1);
	EVP_CIPHER_CTX_free(cipher);
	CU_ASSERT(send(fd, record, sizeof record, MSG_NOSIGNAL) == (ssize_t)sizeof record);
}

/* In the gate: each time that OpenSSL cannot go on with a handshake's message. */
static void count_turns(const SSL *ssl, int where, int result)
{
	enum { TURNS_MOST = 100 };
	static unsigned turns;
	(void)ssl;
	if ((where & SSL_CB_EXIT) != 0 && result < 0 && ++turns > TURNS_MOST)
		_exit(EXIT_FAILURE);
}

/* OpenSSL writes nothing before it has read the rest. So the last words wait for it, asleep, and not for long. */
static void test_half_key_update(void)
{
	gates_begin(true);
	settings->login_seconds = 1;
	SSL_CTX_set_keylog_callback(client_tls, take_secret);
	CU_ASSERT(SSL_CTX_set_ciphersuites(client_tls, "TLS_AES_128_GCM_SHA256") == 1);
	SSL_CTX_set_info_callback(server_tls, count_turns);
	begin(server_tls, "192.0.2.1", true);
	CU_ASSERT_FATAL(peer_start_tls(&client, client_tls));
	greet("half");
	send_half_key_update(client.fd);
	(void)expect_bye("half", END_LOGIN_TIMEOUT);
	end("half");
	gates_end();
}

/* What a client takes; NULL: what OpenSSL would. */
static void sign_only_by(SSL_CTX *context, const char *algorithms)
{
	char list[64];
	(void)snprintf(list, sizeof list, "%s", algorithms != NULL ? algorithms : "");
	CU_ASSERT(algorithms == NULL || SSL_CTX_set1_sigalgs_list(context, list) == 1);
}

/* Each kind of key, in each version, and what the gate asked for: a digest, never more. */
static void test_keys(void)
{
	static const struct { const char *label, *curve; int bits, version; const char *algorithms; uint32_t scheme, size; } keys[] = {
		{ "P-256, 1.2", "P-256", 0, TLS1_2_VERSION, NULL, SIGN_ECDSA, 32 },
		{ "P-256, 1.3", "P-256", 0, TLS1_3_VERSION, NULL, SIGN_ECDSA, 32 },
		{ "P-256, 1.2, SHA-512", "P-256", 0, TLS1_2_VERSION, "ECDSA+SHA512", SIGN_ECDSA, 64 },
		{ "P-384, 1.3", "P-384", 0, TLS1_3_VERSION, NULL, SIGN_ECDSA, 48 },
		{ "P-384, 1.2", "P-384", 0, TLS1_2_VERSION, "ECDSA+SHA384", SIGN_ECDSA, 48 },
		{ "P-521, 1.3", "P-521", 0, TLS1_3_VERSION, NULL, SIGN_ECDSA, 64 },
		{ "RSA, 1.2", NULL, 2048, TLS1_2_VERSION, NULL, SIGN_RSA_PSS, 32 },
		{ "RSA, 1.3", NULL, 2048, TLS1_3_VERSION, NULL, SIGN_RSA_PSS, 32 },
		{ "RSA, 1.3, SHA-384", NULL, 2048, TLS1_3_VERSION, "rsa_pss_rsae_sha384", SIGN_RSA_PSS, 48 },
		{ "RSA, 1.3, SHA-512", NULL, 2048, TLS1_3_VERSION, "rsa_pss_rsae_sha512", SIGN_RSA_PSS, 64 },
		{ "RSA, 1.2, PKCS #1", NULL, 2048, TLS1_2_VERSION, "RSA+SHA256", SIGN_RSA_PKCS1, 32 },
		{ "RSA, 1.2, PKCS #1, SHA-512", NULL, 3072, TLS1_2_VERSION, "RSA+SHA512", SIGN_RSA_PKCS1, 64 },
	};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		EVP_PKEY *pair = keys[i].curve != NULL ? EVP_EC_gen(keys[i].curve) : EVP_RSA_gen((unsigned)keys[i].bits);
		gates_begin_with(pair);
		CU_ASSERT(SSL_CTX_set_min_proto_version(client_tls, keys[i].version) == 1 && SSL_CTX_set_max_proto_version(client_tls, keys[i].version) == 1);
		sign_only_by(client_tls, keys[i].algorithms);
		begin(server_tls, "192.0.2.1", true);
		ROW_ASSERT(keys[i].label, peer_start_tls(&client, client_tls));
		greet(keys[i].label);
		ROW_ASSERT(keys[i].label, signed_request.scheme == keys[i].scheme && signed_request.size == keys[i].size);
		expect_line(keys[i].label, &client, "QUIT", "+OK bye");
		ROW_ASSERT(keys[i].label, expect_bye(keys[i].label, END_QUIT).tls == (uint32_t)keys[i].version);
		end(keys[i].label);
		gates_end();
	}
}

/* What only a key that decrypts, or an old digest, could serve is not agreed to. */
static void test_not_agreed(void)
{
	static const struct { const char *label, *suites, *algorithms; } rows[] = {
		{ "RSA key exchange", "AES128-GCM-SHA256:AES256-SHA", NULL },
		{ "SHA-1", NULL, "RSA+SHA1" },
		{ "SHA-224", NULL, "RSA+SHA224" },
	};
	gates_begin_with(EVP_RSA_gen(2048));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		CU_ASSERT_FATAL(context != NULL && SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1);
		SSL_CTX_set_security_level(context, 0);
		CU_ASSERT(rows[i].suites == NULL || SSL_CTX_set_cipher_list(context, rows[i].suites) == 1);
		sign_only_by(context, rows[i].algorithms);
		signed_request.scheme = 0;
		begin(server_tls, "192.0.2.1", true);
		ROW_ASSERT(rows[i].label, !peer_start_tls(&client, context));
		(void)expect_bye(rows[i].label, END_TLS_FAILED);
		ROW_ASSERT(rows[i].label, signed_request.scheme == 0);
		end(rows[i].label);
		SSL_CTX_free(context);
	}
	gates_end();
}

/* A keeper that does not sign, or not as it should: the handshake fails, and the log has a reason. */
static void test_no_signature(void)
{
	static const struct { const char *label; enum signing how; bool works; int end; const char *detail; } rows[] = {
		{ "signs", SIGNS, true, END_QUIT, "" },
		{ "does not", SIGNS_NOT, false, END_TLS_FAILED, "no signature: the keeper's line in the log says why" },
		{ "longer than there is room", SIGNS_TOO_LONG, false, END_TLS_FAILED, "" },
		{ "a message too short", SIGNS_SHORT, false, END_TLS_FAILED, "no signature: " },
		{ "the signature of something else, and a descriptor", SIGNS_GARBAGE, false, END_TLS_FAILED, "" },
		{ "a stop comes first", SIGNS_AFTER_STOP, false, END_STOPPED, "" },
	};
	gates_begin(true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		signing = rows[i].how;
		begin(server_tls, "192.0.2.1", true);
		bool works = peer_start_tls(&client, client_tls);
		ROW_ASSERT(rows[i].label, works == rows[i].works || rows[i].how == SIGNS_AFTER_STOP);
		if (rows[i].works) {
			greet(rows[i].label);
			expect_line(rows[i].label, &client, "QUIT", "+OK bye");
		}
		struct rpc_bye bye = expect_bye(rows[i].label, (enum session_end)rows[i].end);
		ROW_ASSERT(rows[i].label, strncmp(bye.detail, rows[i].detail, strlen(rows[i].detail)) == 0);
		end(rows[i].label);
	}
	/* Its end is the gate's. */
	signing = SIGNS_AND_IS_GONE;
	begin(server_tls, "192.0.2.1", true);
	CU_ASSERT(!peer_start_tls(&client, client_tls));
	end("the keeper is gone");
	signing = SIGNS;
	gates_end();
}

/* What is said about files that will not do. */
static void test_certificates(void)
{
	static const struct { const char *label, *certificate, *key, *words; } rows[] = {
		{ "no file", "none", "key.pem", "none cannot be used" },
		{ "no PEM", "text", "key.pem", "it must hold the chain in PEM" },
		{ "exchanged", "key.pem", "cert.pem", "key.pem cannot be used" },
		{ "of a kind that is not signed with", "edcert.pem", "ed.pem", "neither RSA nor ECDSA" },
	};
	char problem[512];
	SSL_CTX *context;
	gates_begin(true);
	make_certificate_for(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "edcert.pem", "ed.pem");
	host_put("text", "some text\n", 0600);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		problem[0] = '\0';
		put_path(settings->certificate, in_host(rows[i].certificate));
		put_path(settings->key, in_host(rows[i].key));
		ROW_ASSERT(rows[i].label, tls_context_new(settings, &context, problem, sizeof problem) == -1 && context == NULL);
		if (strstr(problem, rows[i].words) == NULL)
			ROW_TEXT(rows[i].label, problem, rows[i].words);
		ROW_ASSERT(rows[i].label, strstr(problem, "no reason given") == NULL);
	}
	settings->certificate[0] = '\0';
	CU_ASSERT(tls_context_new(settings, &context, problem, sizeof problem) == 0 && context == NULL);
	ROW_TEXT("empty queue", tls_error(), "no reason given");
	gates_end();
}

#define TESTS(X) X(test_stls) X(test_tls_from_the_start) X(test_pipelined) X(test_stls_forgets) X(test_refused_by_name) X(test_handshake_fails) \
	X(test_policy) X(test_deadlines) X(test_keys) X(test_not_agreed) \
	X(test_no_signature) X(test_certificates) X(test_half_key_update)
SUITE("gate_tls")
