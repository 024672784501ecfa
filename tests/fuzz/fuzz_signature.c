/*
 * fuzz_signature.c - a keeper whose signer answers anything, or nothing, or is gone: the gate gets a signature or none, one answer,
 * and nothing stays open.
 * Runs in: the tests. Trusts: nothing.
 */
#include "daemon/session_sign.c"
#include "tests/fuzz/fuzz_worker.h"

static struct input script;            /* what the signer does */
static int signer_end;
static bool answered, whole;           /* it answered at all; with what may be passed on */
static struct sign_answer given;

/* The signer's turn: whenever the keeper waits. */
static int worker_waits(struct pollfd *fds, nfds_t count, int r)
{
	struct sign_request request;
	static char octets[sizeof(struct sign_answer) + 64];
	int back = -1;
	if (answered || signer_end < 0 || rpc_receive(signer_end, &request, sizeof request, &back) <= 0)
		return r;
	const unsigned odd = take_octet(&script);
	answered = true;
	CHECK(back >= 0, "a request without a way back");
	given = (struct sign_answer){ .size = odd & 1 ? (uint32_t)take_number(&script, 4) : 64 + odd / 8 };
	memset(given.octets, (int)odd, sizeof given.octets);
	memcpy(octets, &given, sizeof given);
	const size_t size = odd & 2 ? take_number(&script, 2) % sizeof octets + 1 : sizeof given;
	whole = size == sizeof given && given.size > 0 && given.size <= sizeof given.octets;
	if ((odd & 0xf0) == 0xf0)
		whole = false; /* it hangs up */
	else
		CHECK(rpc_send(back, octets, size, (odd & 0xf4) == 0xe4 ? signer_end : -1) == 0, "an answer");
	(void)close(back);
	return __real_poll(fds, count, 0);
}

static void check_gate(int gate, bool violated)
{
	struct rpc_signature a;
	int fd;
	ssize_t n = rpc_receive(gate, &a, sizeof a, &fd);
	CHECK(fd < 0, "a descriptor for the gate");
	if (violated) {
		CHECK(n == 0, "an answer to what may not be asked");
		return;
	}
	CHECK(n == (ssize_t)sizeof a && a.verb == RPC_SIGN, "an answer of %zd octets", n);
	CHECK(whole ? a.answer.size == given.size && memcmp(a.answer.octets, given.octets, sizeof given.octets) == 0 : a.answer.size == 0,
	      "a signature of %u octets, the signer's %u", a.answer.size, given.size);
	CHECK(rpc_receive(gate, &a, sizeof a, &fd) == 0, "a second answer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct settings unshared = { .sessions = 1 };
	struct session s = { .phase = RPC_LOGIN, .settings = &unshared, .master = -1 };
	union rpc_message m = { .sign = { .verb = RPC_SIGN } };
	int gate[2], signer[2];
	script = INPUT_OF(data, size);
	const unsigned way = take_octet(&script);
	m.sign.request.scheme = way & 1 ? (uint32_t)take_number(&script, 2) : 1 + way / 16 % 3;
	m.sign.request.size = way & 2 ? (uint32_t)take_number(&script, 2) : 32;
	worker_pair(SOCK_SEQPACKET, gate);
	worker_pair(SOCK_SEQPACKET, signer);
	const int free_one = dup(gate[0]);
	(void)close(free_one);
	answered = whole = false;
	signer_end = signer[0];
	s.gate = gate[1];
	s.signer = way & 4 ? -1 : signer[1];
	if (way & 4)
		(void)close(signer[1]);
	if (way & 8) {
		(void)close(signer[0]);
		signer_end = -1;
	}
	bool violated = true;
	if (setjmp(ending.back) == 0) {
		session_sign(&s, &m);
		violated = false;
		CHECK(s.signer == -1, "the way to the signer stays open");
	} else {
		CHECK(ending.status == EXIT_VIOLATION && sign_row(&m.sign.request) == NULL, "ended with %d: %s", ending.status, ending.words);
		if (s.signer >= 0)
			(void)close(s.signer);
	}
	(void)close(gate[1]);
	check_gate(gate[0], violated);
	(void)close(gate[0]);
	if (signer_end >= 0)
		(void)close(signer_end);
	CHECK(fcntl(free_one, F_GETFD) < 0, "a descriptor stays");
	return 0;
}
