/*
 * gate_peer.h - a real gate in a process of its own, between a client and a keeper that the test plays.
 * Runs in: the tests.
 */
#ifndef POSTERN_TEST_GATE_PEER_H
#define POSTERN_TEST_GATE_PEER_H

#include <sys/mman.h>

#include "daemon/conn.h"
#include "daemon/gate.h"
#include "daemon/pop3.h"
#include "daemon/privilege.h"
#include "daemon/replies.h"
#include "daemon/sandbox.h"
#include "daemon/sign_key.h"
#include "daemon/tls.h"
#include "tests/unit/daemon/worker.h"
#include "tests/unit/list_image.h"

static struct settings *settings;
static SSL_CTX *server_tls, *client_tls;   /* NULL unless gates_begin() was asked for them */
static EVP_PKEY *server_key;                /* what this keeper signs with */
static struct sign_request signed_request;  /* what it was asked to sign last */
static enum signing { SIGNS, SIGNS_NOT, SIGNS_AFTER_STOP, SIGNS_TOO_LONG, SIGNS_SHORT, SIGNS_GARBAGE, SIGNS_AND_IS_GONE } signing;
static struct peer client;
static int keeper = -1;
static pid_t gate = -1;

enum { TEST_REF = 33 };
#define TEST_REF_TEXT " (ref 00011)"

static char referred[USER_NAME_MAX + 8];  /* the name that was said with the last of those */

/* A gate that asks for a reference gets one. False when it is something else that it asks. */
static inline bool answer_refer(int socket)
{
	union rpc_message message = { .verb = 0 };
	int fd;
	if (recv(socket, &message, sizeof message, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)sizeof message.refer || message.verb != RPC_REFER)
		return false;
	CU_ASSERT(rpc_receive(socket, &message, sizeof message, &fd) == (ssize_t)sizeof message.refer && fd == -1);
	memcpy(referred, message.refer.user, sizeof referred);
	CU_ASSERT(message.refer.reply < REPLY_COUNT && reply_row((enum reply)message.refer.reply)->referenced);
	struct rpc_answer answer = { .verb = RPC_REFER, .reply = message.refer.reply, .ref = TEST_REF };
	CU_ASSERT(rpc_send(socket, &answer, sizeof answer, -1) == 0);
	return true;
}

/* The gate needs a signature for its handshake: as `signing` says. */
static inline bool answer_sign(int socket)
{
	static const struct rpc_stop stop = { .verb = RPC_STOP };
	union rpc_message message = { .verb = 0 };
	struct rpc_signature a = { .verb = RPC_SIGN };
	int fd;
	if (recv(socket, &message, sizeof message, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)sizeof message.sign || message.verb != RPC_SIGN)
		return false;
	CU_ASSERT(rpc_receive(socket, &message, sizeof message, &fd) == (ssize_t)sizeof message.sign && fd == -1);
	signed_request = message.sign.request;
	bool good = signing == SIGNS_NOT || sign_with(server_key, &signed_request, &a.answer) == 0;
	if (signing == SIGNS_AFTER_STOP)
		good = good && rpc_send(socket, &stop, sizeof stop, -1) == 0;
	if (signing == SIGNS_TOO_LONG)
		a.answer.size = SIGNATURE_MAX + 1;
	if (signing == SIGNS_GARBAGE)
		a.answer.octets[a.answer.size / 2] ^= 1;
	if (signing == SIGNS_AND_IS_GONE)
		good = good && shutdown(socket, SHUT_RDWR) == 0;
	else
		good = good && rpc_send(socket, &a, signing == SIGNS_SHORT ? 12 : sizeof a, signing == SIGNS_GARBAGE ? STDIN_FILENO : -1) == 0;
	CU_ASSERT(good);
	return true;
}

static inline bool answer_aside(int socket)
{
	return answer_refer(socket) || answer_sign(socket);
}

/* A gate whose connection comes from that address. server: NULL is no certificate. */
static inline void begin(SSL_CTX *server, const char *address, bool tls)
{
	int rpc[2], connection[2];
	socket_pair(SOCK_SEQPACKET, rpc);
	socket_pair(SOCK_STREAM, connection);
	CU_ASSERT_FATAL(fcntl(connection[0], F_SETFL, O_NONBLOCK) == 0);
	gate = fork_child();
	if (gate == 0) {
		(void)close(rpc[0]);
		(void)close(connection[0]);
		(void)close(connection[1]);
		worker_signals();
		log_role("gate");
		become_owner(mail_uid(), geteuid() == 0 ? MAIL_UID : getegid());
		sandbox_enter(SANDBOX_NURSERY, NULL, 0);
		sandbox_enter(SANDBOX_GATE, NULL, 0);
		gate_serve(rpc[1], server, settings);
	}
	(void)close(rpc[1]);
	keeper = rpc[0];
	aside.fd = keeper;
	aside.serve = answer_aside;
	struct rpc_hello hello = { .verb = RPC_HELLO, .tls = tls, .peer = address_of(address) };
	CU_ASSERT(rpc_send(keeper, &hello, sizeof hello, connection[0]) == 0);
	(void)close(connection[0]);
	peer_open(&client, connection[1]);
}

/* What the gate sends, but for references and signatures asked for. */
static inline ssize_t await_gate(union rpc_message *message, int *fd_r)
{
	while (ready(keeper, POLLIN) && answer_aside(keeper))
		;
	return rpc_await(keeper, message, sizeof *message, fd_r);
}

static inline void keeper_close(void)
{
	aside.fd = -1;
	if (keeper >= 0)
		(void)close(keeper);
	keeper = -1;
}

/* The gate's last message, and its end. */
static inline struct rpc_bye expect_bye(const char *label, enum session_end want)
{
	union rpc_message message = { .verb = 0 };
	int fd;
	ssize_t n = await_gate(&message, &fd);
	ROW_ASSERT(label, n == (ssize_t)sizeof message.bye && message.verb == RPC_BYE && fd == -1);
	if (message.bye.end != (uint32_t)want)
		fprintf(stderr, "row \"%s\": end %u, want %d\n", label, (unsigned)message.bye.end, (int)want);
	ROW_ASSERT(label, message.bye.end == (uint32_t)want);
	return message.bye;
}

/* With the client gone too, the gate ends well. */
static inline void end(const char *label)
{
	peer_close(&client);
	expect_end(label, gate, EXIT_GOOD, NULL);
	keeper_close();
}

/* Wait for a request of that verb and return it. */
static inline union rpc_message expect_request(const char *label, uint32_t verb)
{
	union rpc_message message = { .verb = 0 };
	int fd;
	ssize_t n = await_gate(&message, &fd);
	ROW_ASSERT(label, message.verb == verb && fd == -1);
	ROW_ASSERT(label, rpc_row(verb) != NULL && n == (ssize_t)rpc_row(verb)->size);
	return message;
}

/* Wait for the COMMIT of so many marks, at QUIT, and return the figures that came with it: no BYE follows. */
static inline struct rpc_bye expect_commit(const char *label, uint32_t marked)
{
	const struct rpc_commit commit = expect_request(label, RPC_COMMIT).commit;
	ROW_ASSERT(label, commit.marked == marked && commit.bye.marked == marked && commit.bye.end == END_QUIT);
	return commit.bye;
}

static inline void reply(uint32_t verb, struct rpc_answer answer, int fd)
{
	answer.verb = verb;
	CU_ASSERT(rpc_send(keeper, &answer, sizeof answer, fd) == 0);
}

/* A file without a name that holds these octets. */
static inline int file_of(const void *octets, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, octets, len) == (ssize_t)len);
	return fd;
}

/* A message in that file, as the keeper finds it now. */
static inline void reply_message(struct rpc_answer answer, int fd)
{
	struct stat st;
	CU_ASSERT_FATAL(fstat(fd, &st) == 0);
	answer.reply = REPLY_MESSAGE;
	answer.file_size = (uint64_t)st.st_size;
	answer.modified[0] = (uint64_t)st.st_mtim.tv_sec;
	answer.modified[1] = (uint64_t)st.st_mtim.tv_nsec;
	reply(RPC_FETCH, answer, fd);
}

/* Log the client in to a mailbox of count messages of 19 octets. */
static inline void log_in(const char *label, size_t count)
{
	struct message_record *records = calloc(count + 1, sizeof *records);
	CU_ASSERT_FATAL(records != NULL);
	for (size_t i = 0; i < count; i++) {
		records[i].octets = 19;
		(void)snprintf(records[i].uidl, sizeof records[i].uidl, "u%zu", i + 1);
	}
	size_t size;
	void *image = list_image(records, count, &size);
	CU_ASSERT_FATAL(image != NULL);
	int fd = count > 0 ? file_of(image, size) : -1;
	expect_line(label, &client, "USER ann", "+OK now send PASS");
	peer_say(&client, "PASS secret");
	union rpc_message asked = expect_request(label, RPC_AUTH);
	ROW_TEXT(label, asked.auth.user, "ann");
	ROW_TEXT(label, asked.auth.password.text, "secret");
	ROW_ASSERT(label, asked.auth.password.len == 6);
	reply(RPC_AUTH, (struct rpc_answer){ .reply = REPLY_LOGGED_IN, .count = (uint32_t)count, .length = size }, fd);
	expect_line(label, &client, NULL, "+OK logged in: ");
	if (fd >= 0)
		(void)close(fd);
	free(image);
	free(records);
}

static inline void greet(const char *label)
{
	expect_line(label, &client, NULL, "+OK postern POP3 server ready");
}

/* pair: the certificate's key (taken), NULL for gates without TLS. */
static inline void gates_begin_with(EVP_PKEY *pair)
{
	const bool tls = pair != NULL;
	uint8_t certificate[SIGN_CERTIFICATE];
	char problem[512];
	/* OpenSSL writes to connections that the gate has closed. */
	CU_ASSERT(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	host_make();
	if (tls)
		make_certificate_for(pair, "cert.pem", "key.pem");
	settings = settings_of(tls ? tls_text("cert.pem", "key.pem") : "");
	if (!tls)
		return;
	CU_ASSERT_FATAL(tls_context_new(settings, &server_tls, problem, sizeof problem) == 0 && server_tls != NULL);
	CU_ASSERT_FATAL(sign_key_load(settings, 0, &server_key, certificate, problem, sizeof problem) == 0);
	client_tls = SSL_CTX_new(TLS_client_method());
	CU_ASSERT_FATAL(client_tls != NULL);
}

static inline void gates_begin(bool tls)
{
	gates_begin_with(tls ? EVP_EC_gen("P-256") : NULL);
}

static inline void gates_end(void)
{
	SSL_CTX_free(server_tls);
	SSL_CTX_free(client_tls);
	EVP_PKEY_free(server_key);
	server_key = NULL;
	server_tls = client_tls = NULL;
	host_remove();
}

#endif
