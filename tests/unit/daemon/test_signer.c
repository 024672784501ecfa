/*
 * test_signer.c - daemon/signer.c, the real program posternd-sign, and session_sign.c, the keepers who ask it.
 * Runs in: the tests. POSTERN_BUILD is where the programs lie ("build").
 */
#include "daemon/nursery_link.h"
#include "daemon/sign_key.h"
#include "tests/unit/daemon/keeper_peer.h"

static struct settings *settings;
static struct nursery nursery;
static EVP_PKEY *own;     /* the same key, to check by */
static int kept_stderr = -1;

static void begin(EVP_PKEY *pair)
{
	static char gate[PATH_MAX], sign[PATH_MAX], pam[PATH_MAX];
	const struct nursery_program programs = { .gate = gate, .signer = sign, .pam_helper = pam };
	uint8_t certificate[SIGN_CERTIFICATE];
	char problem[NURSERY_TEXT_MAX] = "";
	(void)snprintf(gate, sizeof gate, "%s", built("posternd-gate"));
	(void)snprintf(sign, sizeof sign, "%s", built("posternd-sign"));
	(void)snprintf(pam, sizeof pam, "%s", built("posternd-pam"));
	host_make();
	make_users();
	make_certificate_for(pair, "cert.pem", "key.pem");
	settings = settings_of(tls_text("cert.pem", "key.pem"));
	CU_ASSERT_FATAL(sign_key_load(settings, 0, &own, certificate, problem, sizeof problem) == 0);
	kept_stderr = log_capture();
	CU_ASSERT_FATAL(nursery_start(&nursery, &programs, settings, problem) == 0);
	int r;
	while ((r = nursery_coming(&nursery, problem)) == 0)
		CU_ASSERT_FATAL(ready(nursery.ready ? nursery.signer : nursery.channel, POLLIN));
	CU_ASSERT_FATAL(r == 1);
	keeper_signer = nursery.signer;
}

/* Dismissed, both end. */
static void end(void)
{
	const pid_t gate = nursery.pid, signer = nursery.signer_pid;
	nursery_dismiss(&nursery);
	keeper_signer = -1;
	expect_end("nursery", gate, EXIT_GOOD, NULL);
	expect_end("signer", signer, EXIT_GOOD, NULL);
	log_release(kept_stderr);
	EVP_PKEY_free(own);
	host_remove();
}

static bool verifies(const struct sign_request *r, const struct sign_answer *a)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
	bool good = c != NULL && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, a->octets, a->size, r->digest, r->size) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

static struct sign_request request_of(uint32_t scheme, uint32_t size)
{
	struct sign_request r = { .scheme = scheme, .size = size };
	memset(r.digest, 'd', size < sizeof r.digest ? size : sizeof r.digest);
	return r;
}

/* Send size octets; our end of where the answer comes. */
static int sent(const void *octets, size_t size)
{
	int back[2];
	socket_pair(SOCK_SEQPACKET, back);
	while (rpc_send(nursery.signer, octets, size, back[1]) != 0)
		CU_ASSERT_FATAL(errno == EAGAIN && ready(nursery.signer, POLLOUT));
	(void)close(back[1]);
	return back[0];
}

/* The answer's size; 0: refused. */
static uint32_t answer_on(int back, const struct sign_request *r)
{
	struct sign_answer a = { .size = 0 };
	int fd;
	CU_ASSERT(rpc_await(back, &a, sizeof a, &fd) == (ssize_t)sizeof a && fd == -1);
	CU_ASSERT(a.size == 0 || verifies(r, &a));
	(void)close(back);
	return a.size;
}

/* Whatever comes that is no request for this key: refused, and the next one is served. */
static void test_requests(void)
{
	static const struct { const char *label; uint32_t scheme, size; size_t octets; bool works; } rows[] = {
		{ "a good one", SIGN_ECDSA, 32, 0, true },
		{ "SHA-512", SIGN_ECDSA, 64, 0, true },
		{ "another kind of key's", SIGN_RSA_PKCS1, 32, 0, false },
		{ "PSS", SIGN_RSA_PSS, 32, 0, false },
		{ "no scheme", 0, 32, 0, false },
		{ "a scheme behind the last", 4, 32, 0, false },
		{ "SHA-1", SIGN_ECDSA, 20, 0, false },
		{ "more than a digest", SIGN_ECDSA, 65, 0, false },
		{ "far more", SIGN_ECDSA, 0xffffffff, 0, false },
		{ "one octet", SIGN_ECDSA, 32, 1, false },
		{ "one too few", SIGN_ECDSA, 32, sizeof(struct sign_request) - 1, false },
		{ "a good one afterwards", SIGN_ECDSA, 48, 0, true },
	};
	begin(EVP_EC_gen("P-256"));
	/* Keys of certificates that there are not. */
	for (uint32_t key = 1; key != 0; key *= 2) {
		struct sign_request r = request_of(SIGN_ECDSA, 32);
		r.key = key;
		CU_ASSERT(answer_on(sent(&r, sizeof r), &r) == 0);
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sign_request r = request_of(rows[i].scheme, rows[i].size);
		int back = sent(&r, rows[i].octets != 0 ? rows[i].octets : sizeof r);
		ROW_ASSERT(rows[i].label, (answer_on(back, &r) > 0) == rows[i].works);
	}
	/* Those to which no answer comes: too long, nothing at all, nowhere to answer, nobody who waits. */
	struct { struct sign_request r; char more[8]; } longer = { .r = request_of(SIGN_ECDSA, 32) };
	struct sign_answer a;
	int fd, back = sent(&longer, sizeof longer);
	CU_ASSERT(rpc_await(back, &a, sizeof a, &fd) == 0);
	(void)close(back);
	CU_ASSERT(rpc_send(nursery.signer, "", 0, -1) == 0);
	CU_ASSERT(rpc_send(nursery.signer, &longer.r, sizeof longer.r, -1) == 0);
	(void)close(sent(&longer.r, sizeof longer.r));
	CU_ASSERT(answer_on(sent(&longer.r, sizeof longer.r), &longer.r) > 0);
	end();
	CU_ASSERT(strstr(host_log, "a request that is not signed: 1 octets") != NULL);
}

/* Many at once, from many processes, more than the socket holds: each gets its own. */
static void test_flood(void)
{
	enum { ASKERS = 8, AT_ONCE = 200 };
	pid_t pids[ASKERS];
	begin(EVP_RSA_gen(2048));
	for (int i = 0; i < ASKERS; i++)
		if ((pids[i] = fork_child()) == 0) {
			struct sign_request r[AT_ONCE];
			int back[AT_ONCE];
			bool good = true;
			for (int j = 0; j < AT_ONCE; j++) {
				r[j] = request_of(j % 2 ? SIGN_RSA_PSS : SIGN_RSA_PKCS1, 32);
				r[j].digest[0] = (uint8_t)j;
				back[j] = sent(&r[j], sizeof r[j]);
			}
			for (int j = 0; j < AT_ONCE; j++) {
				struct sign_answer a;
				int fd;
				good = good && rpc_await(back[j], &a, sizeof a, &fd) == (ssize_t)sizeof a && a.size == 256;
			}
			_exit(good ? 0 : 1);
		}
	for (int i = 0; i < ASKERS; i++)
		CU_ASSERT(child_status(pids[i]) == 0);
	end();
}

static struct rpc_signature ask_to_sign(const struct worker_ends *w, const struct sign_request *r)
{
	const struct rpc_sign ask = { .verb = RPC_SIGN, .request = *r };
	union rpc_message message = { .verb = 0 };
	int fd;
	CU_ASSERT(rpc_send(w->gate, &ask, sizeof ask, -1) == 0);
	if (rpc_await(w->gate, &message, sizeof message, &fd) != (ssize_t)sizeof message.signature)
		message.signature = (struct rpc_signature){ .verb = 0 };
	CU_ASSERT(fd == -1);
	return message.signature;
}

/* Once in a session, before the login. */
static void test_keeper(void)
{
	begin(EVP_EC_gen("P-256"));
	const struct sign_request r = request_of(SIGN_ECDSA, 32), foreign = request_of(SIGN_RSA_PSS, 32);
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	struct rpc_signature a = ask_to_sign(&w, &r);
	CU_ASSERT(a.verb == RPC_SIGN && a.answer.size > 0 && verifies(&r, &a.answer));
	CU_ASSERT(ask_to_sign(&w, &r).verb == 0);
	keeper_end("twice", &w, EXIT_VIOLATION, "verb 11 came 2 times");
	w = keeper_serving(settings, "192.0.2.1");
	a = ask_to_sign(&w, &foreign);
	CU_ASSERT(a.verb == RPC_SIGN && a.answer.size == 0);
	keeper_end("another key's", &w, EXIT_GOOD, "no signature for a TLS handshake: peer=192.0.2.1: the signer refuses: not a request for its key");
	end();
}

/* The end of a test whose signer is gone already. */
static void end_without_signer(void)
{
	const pid_t gate = nursery.pid;
	nursery_dismiss(&nursery);
	keeper_signer = -1;
	expect_end("nursery", gate, EXIT_GOOD, NULL);
	log_release(kept_stderr);
	EVP_PKEY_free(own);
	host_remove();
}

/* A login closes the way to the signer, also where no signature was asked for: with all sessions logged in it is alone. */
static void test_closed_by_login(void)
{
	begin(EVP_EC_gen("P-256"));
	struct worker_ends w = keeper_logged_in(settings);
	const pid_t signer = nursery.signer_pid;
	(void)close(nursery.signer);
	nursery.signer = -1;
	expect_end("signer", signer, EXIT_GOOD, NULL);
	keeper_end("session", &w, EXIT_GOOD, NULL);
	end_without_signer();
}

/* A signer that is not there, is gone, or does not answer. */
static void test_no_signer(void)
{
	begin(EVP_EC_gen("P-256"));
	const struct sign_request r = request_of(SIGN_ECDSA, 32);
	keeper_signer = -1;
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	CU_ASSERT(ask_to_sign(&w, &r).answer.size == 0);
	keeper_end("none", &w, EXIT_GOOD, "peer=192.0.2.1: there is no signer");
	keeper_signer = nursery.signer;
	w = keeper_serving(settings, "192.0.2.2");
	CU_ASSERT(kill(nursery.signer_pid, SIGSTOP) == 0);
	CU_ASSERT(ask_to_sign(&w, &r).answer.size == 0);
	keeper_end("hangs", &w, EXIT_GOOD, "peer=192.0.2.2: the signer does not answer");
	/* It dies with a request in its socket. */
	w = keeper_serving(settings, "192.0.2.3");
	const struct rpc_sign ask = { .verb = RPC_SIGN, .request = r };
	struct rpc_signature a = { .answer = { .size = 7 } };
	int fd;
	CU_ASSERT(rpc_send(w.gate, &ask, sizeof ask, -1) == 0);
	CU_ASSERT(kill(nursery.signer_pid, SIGKILL) == 0 && child_status(nursery.signer_pid) == 1000 + SIGKILL);
	CU_ASSERT(rpc_await(w.gate, &a, sizeof a, &fd) == (ssize_t)sizeof a && a.answer.size == 0);
	keeper_end("killed", &w, EXIT_GOOD, "peer=192.0.2.3: the signer is gone");
	w = keeper_serving(settings, "192.0.2.4");
	CU_ASSERT(ask_to_sign(&w, &r).answer.size == 0);
	keeper_end("gone", &w, EXIT_GOOD, "peer=192.0.2.4: the signer is gone");
	end_without_signer();
}

#define TESTS(X) X(test_requests) X(test_flood) X(test_keeper) X(test_closed_by_login) X(test_no_signer)
SUITE("signer")
