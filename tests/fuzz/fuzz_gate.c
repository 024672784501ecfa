/*
 * fuzz_gate.c - a gate between a client and a keeper that both say anything: what it asks is by the contract, what it says are lines.
 * Runs in: the tests. Trusts: nothing.
 */
#include "daemon/gate.c"
#include "daemon/gate_list.c"
#include "base/wire.h"
#include "tests/fuzz/fuzz_worker.h"
#include "tests/unit/list_image.h"

enum { OUT_MAX = 4 << 20 };

static struct gate g;
static struct settings settings[2];
static struct input script;            /* what the keeper answers */
static int keeper_end, client_end;
static char out[OUT_MAX], first[OUT_MAX];
static size_t out_len, first_len;
static struct asked {
	unsigned count[RPC_VERBS];
	uint64_t messages, marks;
	bool session, over, sent;          /* sent: message text went to the client */
} asked;

/* The message that is fetched: one that has to be changed for the wire, one that goes as it is stored, and headers that are not ASCII. */
static const struct mail {
	const char *text;
	bool as_stored;
} mails[] = {
	{ "X: y\n\n.z\nabcdefgh", false },
	{ "X: y\r\n\r\nz\r\nabcdefgh\r\n", true },
	{ "Subject: \xc3\xa4\n\nz\nabcdefgh", false },
	{ "Received: from a by b\n\twith UTF8SMTP id c\nSubject: \xc3\xa4\n\nz\n", false },
};
enum { MAILS = sizeof mails / sizeof mails[0], PART = 9 /* octets, where less than all is said to be the message */ };
static const struct mail *mail;

int __lsan_is_turned_off(void);

/* A gate that ends at once leaves its memory to the kernel. */
int __lsan_is_turned_off(void)
{
	return 1;
}

void __wrap_wipe_stack(void);
void __wrap_wipe_stack(void)
{
}

static void hear_client(void)
{
	ssize_t n;
	while ((n = recv(client_end, out + out_len, OUT_MAX - out_len, MSG_DONTWAIT)) > 0)
		out_len += (size_t)n;
	CHECK(out_len < OUT_MAX, "answers without end");
}

static int worker_waits(struct pollfd *fds, nfds_t count, int r)
{
	hear_client();
	r = __real_poll(fds, count, 0);
	CHECK(r != 0, "a wait for what will not come");
	return r;
}

/* ---- the keeper ---- */

/* What the gate may ask, and when. */
static void check_request(const union rpc_message *m, size_t size)
{
	const struct rpc_row *row = rpc_row(m->verb);
	const unsigned phase = asked.over ? RPC_OVER : asked.session ? RPC_SESSION : RPC_LOGIN;
	CHECK(row != NULL && row->size == size && (row->phases & phase) != 0, "verb %u of %zu octets in phase %u", m->verb, size, phase);
	CHECK(++asked.count[m->verb] <= row->most || row->most == 0, "verb %u came %u times", m->verb, asked.count[m->verb]);
	switch (m->verb) {
	case RPC_KNOWN:
		CHECK(memchr(m->known.user, '\0', USER_NAME_MAX + 1) != NULL, "a name without its end");
		break;
	case RPC_AUTH:
		CHECK(memchr(m->auth.user, '\0', sizeof m->auth.user) != NULL && m->auth.password.len <= PASSWORD_MAX &&
		      m->auth.password.text[m->auth.password.len] == '\0', "a name or a password without its end");
		break;
	case RPC_FETCH:
		CHECK(m->fetch.idx < asked.messages && m->fetch.more <= RPC_MORE_MOST && m->fetch.more < asked.messages - m->fetch.idx,
		      "message %u+%u of %ju", m->fetch.idx, m->fetch.more, (uintmax_t)asked.messages);
		break;
	case RPC_MARK:
		CHECK(m->mark.count <= RPC_MARKS && (uint64_t)m->mark.first + m->mark.count <= asked.messages, "marks %u+%u", m->mark.first, m->mark.count);
		for (uint32_t i = 0; i < m->mark.count; i++)
			asked.marks += (m->mark.bits[i / 8] >> i % 8) & 1;
		break;
	case RPC_COMMIT:
		CHECK(m->commit.marked == asked.marks, "%u committed, %ju marked", m->commit.marked, (uintmax_t)asked.marks);
		asked.over = true;
		break;
	default:
		break;
	}
}

/* odd: some octets of it are not what they were. */
static int make_list(uint32_t count, unsigned odd, uint64_t *size_r)
{
	struct message_record records[80] = { { .octets = 0 } };
	size_t size;
	count = count < 80 ? count : 80;
	for (uint32_t i = 0; i < count; i++) {
		records[i].octets = 11;
		(void)snprintf(records[i].uidl, sizeof records[i].uidl, "u%u", i);
	}
	char *image = list_image(records, count, &size);
	int fd = memfd_create("list", MFD_CLOEXEC);
	for (unsigned i = 0; odd & 1 && i < 8; i++)
		image[take_number(&script, 2) % size] ^= (char)take_octet(&script);
	CHECK(image != NULL && write(fd, image, size) == (ssize_t)size, "a list");
	free(image);
	*size_r = size;
	return fd;
}

int __real_rpc_send(int socket, const void *message, size_t size, int fd);
int __wrap_rpc_send(int socket, const void *message, size_t size, int fd);

static void answer_login(struct rpc_answer *a, unsigned odd, int *fd_r)
{
	const unsigned count = take_octet(&script);
	a->reply = odd & 1 ? REPLY_NOT_ACCEPTED : REPLY_LOGGED_IN;
	a->count = count == 0xff ? (uint32_t)take_number(&script, 4) : count % 80;
	*fd_r = odd & 2 ? -1 : make_list(odd & 4 ? a->count / 2 : a->count, odd >> 3, &a->length);
	if (odd & 16)
		a->offset = take_number(&script, 8);
	asked.session = a->reply == REPLY_LOGGED_IN;
	asked.messages = a->count;
}

static uint64_t mail_length(bool part)
{
	return part ? PART : strlen(mail->text);
}

static uint64_t mail_wire(bool part)
{
	struct wire w = WIRE_START;
	wire_count(&w, mail->text, (size_t)mail_length(part));
	return wire_count_end(&w);
}

static enum reply answer(uint32_t verb)
{
	struct rpc_answer a = { .verb = verb, .reply = REPLY_SEND_PASS };
	const unsigned odd = take_octet(&script);
	int fd = -1;
	if (verb == RPC_AUTH)
		answer_login(&a, odd, &fd);
	if (verb == RPC_FETCH) {
		a.reply = odd & 1 ? REPLY_MESSAGE_GONE : REPLY_MESSAGE;
		fd = odd & 2 ? -1 : fuzz_memory_file(mail->text, strlen(mail->text));
		a.offset = odd & 4 ? take_number(&script, 8) : 0;
		a.length = odd & 8 ? take_number(&script, 8) : mail_length(odd & 16);
		a.wire = mail_wire(odd & 16);
		a.as_stored = mail->as_stored;
		asked.sent = true;
	}
	if (verb == RPC_COMMIT)
		a.reply = REPLY_BYE_UPDATED;
	if (odd & 0x80)
		a.reply = take_octet(&script);
	/* A unique-id is taken for one. */
	if ((odd & 0x40) && (a.reply >= REPLY_COUNT || a.reply == REPLY_NONE || strstr(reply_row((enum reply)a.reply)->text, "{u}") == NULL))
		memset(a.told, (int)take_octet(&script), sizeof a.told);
	a.final = odd & 0x20;
	a.ref = ref_of_failure(odd, 1);
	if (asked.session && verb == RPC_AUTH && a.reply != REPLY_LOGGED_IN)
		asked.session = false;
	CHECK(__real_rpc_send(keeper_end, &a, (odd & 0xf0) == 0xf0 ? take_octet(&script) % sizeof a + 1 : sizeof a, fd) == 0, "an answer");
	if (fd >= 0)
		(void)close(fd);
	return (enum reply)a.reply;
}

/* Messages with the answer: as many as were asked for or fewer, or anything. */
static void answer_text(uint32_t more)
{
	static struct rpc_text text;
	const unsigned odd = take_octet(&script);
	size_t used = 0;
	text = (struct rpc_text){ .answer = { .verb = RPC_FETCH, .reply = odd & 1 ? REPLY_MESSAGE_GONE : REPLY_MESSAGE } };
	text.count = odd & 2 ? (uint32_t)take_number(&script, 4) : take_octet(&script) % (more + 1) + 1;
	for (uint32_t i = 0; i < text.count && i <= RPC_MORE_MOST; i++) {
		text.lengths[i] = odd & 4 ? (uint32_t)take_number(&script, 4) : (uint32_t)mail_length(odd & 8);
		text.wire[i] = (uint32_t)mail_wire(odd & 8);
		if (text.lengths[i] <= strlen(mail->text) + 1 && used + text.lengths[i] <= sizeof text.octets) {
			memcpy(text.octets + used, mail->text, text.lengths[i]);
			used += text.lengths[i];
		}
	}
	used += odd & 16 ? take_octet(&script) : 0;
	asked.sent = true;
	CHECK(__real_rpc_send(keeper_end, &text, offsetof(struct rpc_text, octets) + used, odd & 32 ? keeper_end : -1) == 0, "an answer with text");
}

int __wrap_rpc_send(int socket, const void *message, size_t size, int fd)
{
	union rpc_message m;
	CHECK(socket == g.conn.keeper && fd == -1 && size <= sizeof m, "a message of %zu octets", size);
	memset(&m, 0, sizeof m);
	memcpy(&m, message, size);
	check_request(&m, size);
	if (m.verb == RPC_MARK || m.verb == RPC_ACTIVE || m.verb == RPC_BYE)
		return 0;
	const unsigned before = take_octet(&script);
	if (before >= 0xf8) {
		const struct rpc_stop stop = { .verb = RPC_STOP, .reply = before & 1 ? REPLY_TAKEN_OVER : before & 2 ? REPLY_ENDED : REPLY_STOPPING, .told = "192.0.2.1" };
		CHECK(__real_rpc_send(keeper_end, &stop, sizeof stop, -1) == 0, "a stop");
	}
	if (before == 0xf7)
		CHECK(shutdown(keeper_end, SHUT_WR) == 0, "the keeper's end");
	else if (m.verb == RPC_FETCH && (before & 0xc0) == 0x40)
		answer_text(m.fetch.more);
	else if (answer(m.verb) == REPLY_MESSAGE && m.verb == RPC_FETCH)
		for (uint32_t i = 0; i < m.fetch.more; i++)
			(void)answer(RPC_FETCH);
	return 0;
}

/* ---- the session, as gate_serve() has it ---- */

static void check_lines(void)
{
	for (const char *at = out, *end = out + out_len; at < end && !asked.sent; ) {
		const char *cr = memmem(at, (size_t)(end - at), "\r\n", 2);
		CHECK(cr != NULL && cr - at + 2 <= REPLY_LINE_MAX && is_clean_utf8(at, (size_t)(cr - at)), "said %.*s", (int)(end - at), at);
		at = cr + 2;
	}
}

static void let_go(void)
{
	gate_list_forget(&g.pop3.drop);
	if (g.conn.fd >= 0)
		(void)close(g.conn.fd);
}

static void run_gate(const struct settings *s)
{
	static const struct pop3_host host = { host_login, host_known, host_fetch, host_commit, host_refer, &g };
	bool linger = false;
	g.pop3 = (struct pop3){ .host = &host, .plaintext_admitted = true, .explain = s->explain_failures == POLICY_ALWAYS, .input_pending = &g.input_pending,
	                        .login_tries = (unsigned)s->login_tries };
	if (setjmp(ending.back) == 0) {
		g.bye.end = serve(&g, false, &linger);
		ahead_forget(&g.ahead);
		if (g.conn.keeper >= 0)
			(void)rpc_send(g.conn.keeper, &g.bye, sizeof g.bye, -1);
		ending.status = EXIT_GOOD;
	}
	CHECK(ending.status == EXIT_GOOD || ending.status == EXIT_BUG || ending.status == EXIT_VIOLATION, "ended with %d: %s", ending.status, ending.words);
}

static bool is_zero(const void *octets, size_t size)
{
	const char *at = octets;
	return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

enum { DESCRIPTORS = 32 };

/* Which descriptors are open, a bit each. */
static uint32_t open_descriptors(void)
{
	struct pollfd fds[DESCRIPTORS];
	uint32_t bits = 0;
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		fds[fd] = (struct pollfd){ .fd = fd };
	CHECK(__real_poll(fds, DESCRIPTORS, 0) >= 0, "poll");
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		bits |= (uint32_t)!(fds[fd].revents & POLLNVAL) << fd;
	return bits;
}

/* A gate that ends by itself leaves none open; with one that broke they go with the process. */
static void let_go_of_descriptors(uint32_t before)
{
	const uint32_t left = open_descriptors() & ~before;
	CHECK(left == 0 || ending.status != EXIT_GOOD, "descriptors are left: %#x", left);
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (left >> fd & 1)
			(void)close(fd);
}

/* One client's connection; what was said is in out. g.conn.fd stays for the caller. */
static void run_session(const struct settings *s, struct piece answers, struct piece typed)
{
	int rpc[2], connection[2];
	script = INPUT_OF((const uint8_t *)answers.p, answers.len);
	asked = (struct asked){ .session = false };
	out_len = 0;
	worker_pair(SOCK_SEQPACKET, rpc);
	worker_pair(SOCK_STREAM, connection);
	keeper_end = rpc[0];
	client_end = connection[0];
	memset(&g, 0, sizeof g);
	g.settings = s;
	g.bye.verb = RPC_BYE;
	g.conn = (struct conn){ .fd = connection[1], .keeper = rpc[1] };
	g.conn.out = BUF_OVER(g.conn.out_storage);
	g.login_deadline = g.conn.deadline = now_ms() + 60000;
	CHECK(fcntl(connection[1], F_SETFL, O_NONBLOCK) == 0, "non-blocking");
	(void)send(client_end, typed.p, typed.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(client_end, SHUT_WR);
	run_gate(s);
	hear_client();
	check_lines();
	(void)close(client_end);
	(void)close(rpc[0]);
	(void)close(rpc[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char text[] = "[auth]\nbackends = passwd-file\n[maildrop]\nlocation = maildir:%s/M\nlock_directory = %s\njournal_directory = %s\nindex_directory = %s\n";
	struct input in = INPUT_OF(data, size);
	const unsigned flags = take_octet(&in);
	struct piece answers = take_piece(&in, take_octet(&in));
	struct piece typed = take_rest(&in);
	mail = &mails[(flags >> 1) % MAILS];
	if (settings[0].login_tries == 0) {
		worker_settings(&settings[0], text);
		settings[1] = settings[0];
		settings[1].explain_failures = POLICY_ALWAYS;
		settings[1].utf8_required = UTF8_ANY;
	}
	const uint32_t before = open_descriptors();
	/* Where a worker is shared, the same client and the same keeper once more: nothing of the first time may show. */
	run_session(&settings[flags & 1], answers, typed);
	if (ending.status != EXIT_GOOD) {
		let_go();
		let_go_of_descriptors(before);
		return 0;
	}
	first_len = out_len;
	memcpy(first, out, out_len);
	(void)close(g.conn.fd);
	forget_client(&g);
	CHECK(is_zero(&g, sizeof g) && is_zero(small_image, sizeof small_image) && is_zero(small_marks, sizeof small_marks) &&
	      is_zero(ahead_text(), sizeof *ahead_text()), "something is left");
	run_session(&settings[flags & 1], answers, typed);
	CHECK(out_len == first_len && memcmp(out, first, out_len) == 0, "said %.*s, and before it %.*s", (int)out_len, out, (int)first_len, first);
	let_go();
	let_go_of_descriptors(before);
	return 0;
}
