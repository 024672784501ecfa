/*
 * fuzz_signer.c - a signer that is asked anything: it signs what the table has, with a signature that verifies, and nothing else.
 * Runs in: the tests. Trusts: nothing.
 */
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "daemon/contract.h"
#include "daemon/rpc.h"

static int requests;                   /* the signer's end */
#define NURSERY_CHANNEL_FD requests
#define main signer_main
int signer_main(int argc, char **argv);
#include "daemon/signer.c"
#undef main
#include "tests/fuzz/fuzz_worker.h"

enum { KEYS = 2, ASKED_MOST = 24, RSA_BITS = 1280 /* room for PSS with SHA-512: 2 * 64 + 2 octets */ };

/* What was asked, and what has to come of it. */
static struct asked {
	struct sign_request request;
	int back;                          /* our end of where the answer comes; -1: none was named */
	bool good, too_long;               /* what is too long is not answered */
} asked[ASKED_MOST];
static struct { unsigned long long messages, signatures; } judged;

static int worker_waits(struct pollfd *fds, nfds_t count, int r)
{
	(void)fds, (void)count, (void)r;
	fuzz_fail(__FILE__, __LINE__, "worker_waits", "the signer waits for one who asks");
}

static void tell_judged(void)
{
	(void)fprintf(stderr, "judged: messages=%llu signatures=%llu\n", judged.messages, judged.signatures);
}

static EVP_PKEY *key_of(bool rsa)
{
	static EVP_PKEY *made[2];
	if (made[0] == NULL && made[1] == NULL)
		(void)atexit(tell_judged);
	if (made[rsa] == NULL) {
		made[rsa] = rsa ? EVP_RSA_gen((size_t)RSA_BITS) : EVP_EC_gen("P-256");
		CHECK(made[rsa] != NULL, "a key");
	}
	return made[rsa];
}

/* A request that is mostly as it should be; its octets. */
static size_t take_request(struct input *in, struct sign_request *r)
{
	static const uint32_t sizes[] = { 32, 48, 64, 0, 20, 65 };
	const unsigned odd = take_octet(in);
	*r = (struct sign_request){ .scheme = 1 + odd % 3, .size = sizes[(odd >> 2) % 3] };
	if ((odd & 0xc0) == 0x40)
		r->size = odd & 0x20 ? (uint32_t)take_number(in, 4) : sizes[3 + odd % 3];
	if ((odd & 0xc0) == 0x80)
		r->scheme = (uint32_t)take_number(in, odd & 0x20 ? 4 : 1);
	if ((odd & 0xe0) == 0xc0)
		r->key = (uint32_t)take_number(in, odd & 0x10 ? 4 : 1) % (odd & 0x10 ? UINT32_MAX : KEYS + 2);
	memset(r->digest, (int)take_octet(in), sizeof r->digest);
	/* Not empty: that is what the end looks like. */
	return (odd & 0xe0) == 0xe0 ? 1 + take_number(in, 1) % (sizeof *r + 8) : sizeof *r;
}

/* The other key is of the other kind. */
static bool is_rsa(const struct sign_request *r, bool first_is_rsa)
{
	return r->key == 0 ? first_is_rsa : !first_is_rsa;
}

static bool is_signed(const struct sign_request *r, bool rsa)
{
	const bool sized = r->size == 32 || r->size == 48 || r->size == 64;
	return sized && r->key < KEYS && (is_rsa(r, rsa) ? r->scheme == SIGN_RSA_PKCS1 || r->scheme == SIGN_RSA_PSS : r->scheme == SIGN_ECDSA);
}

static size_t ask_all(struct input *in, int to, bool rsa)
{
	char octets[sizeof(struct sign_request) + 8] = { 0 };
	size_t n = 0;
	for (; n < ASKED_MOST && in->left > 0; n++) {
		struct asked *a = &asked[n];
		int pair[2] = { -1, -1 };
		const size_t size = take_request(in, &a->request);
		const unsigned way = take_octet(in);
		memcpy(octets, &a->request, sizeof a->request);
		if (way != 0xff)
			worker_pair(SOCK_SEQPACKET, pair);
		CHECK(rpc_send(to, octets, size, pair[1]) == 0, "request %zu", n);
		if (pair[1] >= 0)
			(void)close(pair[1]);
		/* Who gave up is not signed for. */
		if (way == 0xfe)
			(void)close(pair[0]);
		a->back = way == 0xfe ? -1 : pair[0];
		a->good = size == sizeof a->request && is_signed(&a->request, rsa);
		a->too_long = size > sizeof a->request;
		judged.messages++;
	}
	return n;
}

static bool verifies(EVP_PKEY *key, const struct sign_request *r, const struct sign_answer *a)
{
	const struct sign_digest *digest = sign_row(r);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good = c != NULL && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, EVP_get_digestbyname(digest->name)) == 1 &&
	            (r->scheme == SIGN_ECDSA || EVP_PKEY_CTX_set_rsa_padding(c, r->scheme == SIGN_RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1) &&
	            EVP_PKEY_verify(c, a->octets, a->size, r->digest, r->size) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

static void check_answer(const struct asked *a, size_t n)
{
	struct sign_answer answer;
	int fd;
	if (a->back < 0)
		return;
	const ssize_t got = rpc_receive(a->back, &answer, sizeof answer, &fd);
	CHECK(got == (a->too_long ? 0 : (ssize_t)sizeof answer) && fd < 0, "answer %zu of %zd octets", n, got);
	if (got == 0) {
		(void)close(a->back);
		return;
	}
	CHECK(a->good ? answer.size > 0 && answer.size <= sizeof answer.octets : answer.size == 0, "answer %zu has %u octets", n, answer.size);
	CHECK(!a->good || verifies(keys.list[a->request.key], &a->request, &answer), "signature %zu", n);
	CHECK(rpc_receive(a->back, &answer, sizeof answer, &fd) == 0, "another answer to request %zu", n);
	(void)close(a->back);
	judged.signatures += a->good;
}

/* Until all who could ask have closed their ends. */
static void run_signer(void)
{
	if (setjmp(ending.back) == 0) {
		serve();
		ending.status = EXIT_GOOD;
	}
	CHECK(ending.status == EXIT_GOOD, "ended with %d: %s", ending.status, ending.words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const bool rsa = take_octet(&in) % 8 == 0;
	keys = (struct keys){ .count = KEYS, .list = { key_of(rsa), key_of(!rsa) } };
	int pair[2];
	worker_pair(SOCK_SEQPACKET, pair);
	requests = pair[1];
	size_t n = ask_all(&in, pair[0], rsa);
	(void)close(pair[0]);
	run_signer();
	for (size_t i = 0; i < n; i++)
		check_answer(&asked[i], i);
	(void)close(requests);
	return 0;
}
