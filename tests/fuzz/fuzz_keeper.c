/*
 * fuzz_keeper.c - a keeper whose gate says anything in any order, beside a table of what it may say and what that comes to.
 * Runs in: the tests, as the mail's owner. Trusts: nothing.
 */
#include "daemon/contract.h"
#include "daemon/doors.h"
#include "daemon/keeper.h"
#include "daemon/sandbox.h"
#include "daemon/session.h"
#include "daemon/sign.h"
#include "tests/fuzz/fuzz_keeper_model.h"
#include "tests/fuzz/fuzz_worker.h"

/* All messages that were judged, told at the end of a run: the bar is a number of messages, not of inputs. */
static struct { unsigned long long messages, violations, logins; } judged;

static struct settings plain[2], explaining[2];
static struct input *script;   /* what the gate says */
static int master_end, gate_end;  /* the test's */
static struct session *session;
static bool granted;           /* auth_verify() said yes */
static bool became;            /* ... and rights were taken on */

/* ---- in place of the host ---- */

static bool next_session(void);

/* Between two connections, for the next job. The gate of what is over has been heard. */
static bool awaits_job(const struct pollfd *fds, nfds_t count)
{
	return model.shared && count == 2 && fds[0].events == POLLIN && fds[1].events == POLLRDHUP;
}

static int worker_waits(struct pollfd *fds, nfds_t count, int r)
{
	if (r == 0 && awaits_job(fds, count)) {
		if (next_session()) {
			fds[0].revents = POLLIN;
		} else {
			/* The master lets it go. */
			CHECK(shutdown(master_end, SHUT_WR) == 0, "the master's end");
			fds[1].revents = POLLRDHUP;
		}
		return 1;
	}
	/* A failed login waits for its slot, and the end for the gate's: as if that were gone. */
	CHECK(r != 0 || (count == 2 && fds[0].events == 0), "a wait for what will not come");
	if (r == 0)
		fds[0].revents = POLLHUP;
	return r != 0 ? r : 1;
}

void __wrap_become_owner(uid_t uid, gid_t gid);
void __wrap_become_owner(uid_t uid, gid_t gid)
{
	/* A shared keeper is the owner before anything else; its session is nobody's before a login all the same. */
	CHECK((model.shared || (granted && !became)) && uid == geteuid() && gid == getegid(), "the rights of uid %ld without a login", (long)uid);
	became = true;
}

int __wrap_sandbox_renumber(int gate);
int __wrap_sandbox_renumber(int gate)
{
	return gate;
}

void __wrap_keep_only(const int *fds, size_t count);
void __wrap_keep_only(const int *fds, size_t count)
{
	(void)fds, (void)count;
}

void __wrap_shrink_root(void);
void __wrap_shrink_root(void)
{
}

/* The process goes on, and has to be able to: what it would be confined to is for test_sandbox.c. */
void __wrap_sandbox_enter(enum sandbox_kind kind, const struct sandbox_path *paths, size_t count);
void __wrap_sandbox_enter(enum sandbox_kind kind, const struct sandbox_path *paths, size_t count)
{
	(void)paths, (void)count;
	CHECK(kind == (model.shared ? SANDBOX_SHARED : SANDBOX_KEEPER) && became, "confined before it is the owner");
}

void __wrap_touch_pages(size_t stack, size_t heap);
void __wrap_touch_pages(size_t stack, size_t heap)
{
	(void)stack, (void)heap;
}

void __wrap_forget_stack(void);
void __wrap_forget_stack(void)
{
}

void __wrap_wipe_stack(void);
void __wrap_wipe_stack(void)
{
}

int __wrap_auth_verify(const struct auth_settings *settings, const struct auth_request *request, struct identity *identity_r, bool *proven_r, struct why *why_r);
int __wrap_auth_verify(const struct auth_settings *settings, const struct auth_request *request, struct identity *identity_r, bool *proven_r, struct why *why_r)
{
	(void)settings;
	CHECK(strlen(request->user) <= USER_NAME_MAX && request->password->len <= PASSWORD_MAX, "lengths");
	*identity_r = (struct identity){ .uid = geteuid(), .gid = getegid() };
	*proven_r = is_ann(request->user, request->password->text);
	if (!*proven_r)
		return why_set(why_r, REASON_PASSWORD_WRONG, 0, "wrong password");
	(void)snprintf(identity_r->user, sizeof identity_r->user, "ann");
	(void)snprintf(identity_r->home, sizeof identity_r->home, "%s", fuzz_directory());
	granted = true;
	return 0;
}

int __wrap_auth_known(const struct auth_settings *settings, const char *user, struct why *why_r);
int __wrap_auth_known(const struct auth_settings *settings, const char *user, struct why *why_r)
{
	(void)settings, (void)why_r;
	return strcmp(user, "ann") == 0;
}

void __real_session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate, int signer);
void __wrap_session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate, int signer);
void __wrap_session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate, int signer)
{
	session = s;
	__real_session_init(s, settings, pam_helper, master, gate, signer);
}

/* ---- the mail ---- */

static const char *file_of(size_t idx)
{
	char name[32];
	(void)snprintf(name, sizeof name, "M/new/%zu.m", idx + 1);
	return fuzz_path(name);
}

#define MESSAGE_OF_MBOX "From ann@example.org Thu Jan  1 00:00:0%u 1970\nX: %u\n\nbody\n\n"

static void make_mail(void)
{
	char text[1024];
	size_t len = 0;
	for (unsigned i = 0; i < MESSAGES; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, MESSAGE_OF_MBOX, i, i);
		int fd = model.mbox ? -1 : open(file_of(i), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		CHECK(model.mbox || (fd >= 0 && write(fd, "S: x\n\nbody\n", 11) == 11), "a message");
		if (fd >= 0)
			(void)close(fd);
	}
	int fd = open(fuzz_path("mbox"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len, "an mbox");
	(void)close(fd);
}

static void check_mail(void)
{
	char want[1024], *got;
	size_t want_len = 0, len;
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (!model.removed[i])
			want_len += (size_t)snprintf(want + want_len, sizeof want - want_len, MESSAGE_OF_MBOX, i, i);
		CHECK(model.mbox || (access(file_of(i), F_OK) == 0) != model.removed[i], "message %u is %s", i + 1, model.removed[i] ? "there" : "gone");
	}
	if (!model.mbox)
		return;
	int fd = open(fuzz_path("mbox"), O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0, "the mbox is gone");
	got = fuzz_file_octets(fd, &len);
	(void)close(fd);
	CHECK(len == want_len && memcmp(got, want, len) == 0, "the mbox has %zu octets, want %zu", len, want_len);
	free(got);
}

/* ---- what the gate says ---- */

/* A message that is mostly as it should be. */
static size_t take_message(struct input *in, union rpc_message *m, bool *descriptor_r)
{
	const unsigned verb = take_octet(in), odd = take_octet(in);
	memset(m, 0, sizeof *m);
	m->verb = verb >= 0xf0 ? (uint32_t)take_number(in, 4) : verb % RPC_VERBS;
	const struct rpc_row *row = rpc_row(m->verb);
	switch (m->verb) {
	case RPC_KNOWN:
		(void)snprintf(m->known.user, sizeof m->known.user, odd & 1 ? "ann" : "eve");
		if (odd & 2)
			memset(m->known.user, 'x', sizeof m->known.user);
		break;
	case RPC_AUTH:
		(void)snprintf(m->auth.user, sizeof m->auth.user, odd & 1 ? "ann" : "eve");
		m->auth.password.len = (size_t)snprintf(m->auth.password.text, PASSWORD_MAX, odd & 2 ? "secret" : "guess");
		if (odd & 4)
			m->auth.password.len = (size_t)take_number(in, 8);
		if (odd & 8)
			memset(odd & 16 ? m->auth.user : m->auth.password.text, 'x', odd & 16 ? sizeof m->auth.user : sizeof m->auth.password.text);
		break;
	case RPC_FETCH:
		m->fetch.idx = (uint32_t)take_number(in, odd & 1 ? 4 : 1) % (odd & 1 ? UINT32_MAX : MESSAGES + 1);
		m->fetch.more = odd >> 1 & 3;
		break;
	case RPC_MARK:
		m->mark.first = (uint32_t)take_number(in, odd & 1 ? 4 : 1) % (odd & 1 ? UINT32_MAX : MESSAGES + 1);
		m->mark.count = (uint32_t)take_number(in, odd & 2 ? 4 : 1) % (odd & 2 ? UINT32_MAX : MESSAGES + 1);
		m->mark.bits[0] = (uint8_t)take_octet(in);
		break;
	case RPC_COMMIT:
		for (size_t i = 0; i < MESSAGES; i++)
			m->commit.marked += model.marks[i];
		m->commit.marked += odd & 1 ? (uint32_t)take_number(in, 4) : 0;
		m->commit.bye.end = odd & 2 ? take_octet(in) : 0;
		break;
	case RPC_SIGN:
		m->sign.request.scheme = (uint32_t)take_number(in, odd & 1 ? 4 : 1);
		m->sign.request.size = (uint32_t)take_number(in, odd & 2 ? 4 : 1);
		m->sign.request.key = odd & 4 ? (uint32_t)take_number(in, 1) : 0;
		break;
	case RPC_REFER:
		m->refer.reply = (uint32_t)take_number(in, odd & 1 ? 4 : 1);
		memset(m->refer.user, 'a', odd & 2 ? sizeof m->refer.user : 2);
		break;
	case RPC_BYE:
		m->bye.end = take_octet(in);
		m->bye.door = odd & 1 ? take_octet(in) : 0;
		memset(m->bye.detail, odd & 2 ? 'x' : 0, sizeof m->bye.detail);
		break;
	default:
		break;
	}
	*descriptor_r = odd >= 0xfa;
	size_t size = row != NULL && row->size > 0 ? row->size : sizeof *m;
	return (odd & 0xe0) == 0xc0 ? take_number(in, 2) % (sizeof *m + 1) : size;
}

/* Everything at once, into the gate's end. */
static void say_all(struct input *in, int gate)
{
	union rpc_message m;
	for (int i = 0; i < SAID_MOST && in->left > 0 && !model.violated && !model.over; i++) {
		bool descriptor;
		size_t size = take_message(in, &m, &descriptor);
		if (size == 0)
			continue;
		CHECK(rpc_send(gate, &m, size, descriptor ? gate : -1) == 0, "message %d", i);
		model.violated = !judge(&m, size, descriptor);
		judged.messages++;
		judged.violations += model.violated;
	}
}

/* Behind its goodbye a gate may say that it is ready, and nothing else. */
static void say_ready(struct input *in, int gate)
{
	const bool good = take_octet(in) < 0xe0;
	const struct rpc_ready ready = { .verb = good ? RPC_READY : RPC_ACTIVE };
	CHECK(rpc_send(gate, &ready, sizeof ready, -1) == 0, "READY");
	/* One that was told to stop is not listened to any more. */
	model.violated = !good && !model.stop;
}

static void begin_session(void)
{
	const struct model fresh = { .explain = model.explain, .mbox = model.mbox, .shared = model.shared, .stop = model.stop, .phase = LOGIN };
	model = fresh;
	granted = false;
	make_mail();
	say_all(script, gate_end);
	if (model.shared && model.over && !model.violated)
		say_ready(script, gate_end);
	else
		CHECK(shutdown(gate_end, SHUT_WR) == 0, "the gate's end");
}

/* ---- what came of it ---- */

/* The answer to a FETCH that has messages with it. They are all alike in a Maildir, where all of them fit. */
static void check_text(const struct rpc_text *text, size_t size, uint32_t more, bool descriptor)
{
	size_t used = offsetof(struct rpc_text, octets);
	CHECK(text->answer.reply == REPLY_MESSAGE && text->count >= 1 && text->count <= more + 1 && !descriptor && granted, "%u messages, asked for %u", text->count, more + 1);
	for (uint32_t i = 0; i < text->count; i++)
		used += text->lengths[i];
	CHECK(used == size, "messages of %zu octets in %zu", used, size);
	CHECK(model.mbox || text->count == more + 1, "%u messages, want %u", text->count, more + 1);
	for (const char *at = text->octets; !model.mbox && at < text->octets + size - offsetof(struct rpc_text, octets); at += 11)
		CHECK(memcmp(at, "S: x\n\nbody\n", 11) == 0, "another message");
}

/* The next FETCH that was answered; behind an answer without text come those to what it asked for besides. */
static void check_fetch(const struct rpc_text *text, size_t size, bool descriptor, unsigned *fetch, uint32_t *behind)
{
	if (*behind > 0) {
		CHECK(size == sizeof text->answer, "a message that was not asked for");
		--*behind;
		return;
	}
	CHECK(*fetch < model.fetches, "an answer to no FETCH");
	const uint32_t more = model.more[(*fetch)++];
	if (size > sizeof text->answer)
		check_text(text, size, more, descriptor);
	else
		*behind = descriptor ? more : 0;
}

/* Is there one? That the keeper ended without reading all that was said comes first, once, as an error. */
static bool answer_waits(int gate)
{
	char octet;
	ssize_t n;
	do
		n = recv(gate, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == ECONNRESET);
	return n > 0;
}

static void check_answers(int gate)
{
	static struct rpc_text text;
	union rpc_message m;
	unsigned answers = 0, logins = 0, fetch = 0;
	uint32_t behind = 0;
	int fd;
	ssize_t n;
	while (answer_waits(gate) && (n = rpc_receive(gate, &text, sizeof text, &fd)) > 0) {
		memcpy(&m, &text, sizeof m);
		const bool with_mail = m.verb == RPC_AUTH || m.verb == RPC_FETCH;
		CHECK(fd < 0 || m.verb == RPC_HELLO || (with_mail && granted), "a descriptor with verb %u", m.verb);
		if (fd >= 0)
			(void)close(fd);
		if (m.verb == RPC_HELLO || m.verb == RPC_STOP)
			continue;
		if (m.verb == RPC_SIGN) {
			CHECK(n == (ssize_t)sizeof m.signature && m.signature.answer.size == 0, "a signature without a signer");
			answers++;
			continue;
		}
		if (m.verb == RPC_FETCH) {
			check_fetch(&text, (size_t)n, fd >= 0, &fetch, &behind);
			continue;
		}
		CHECK(n == (ssize_t)sizeof m.answer && m.answer.reply < REPLY_COUNT, "an answer of %zd octets", n);
		CHECK(memchr(m.answer.told, '\0', sizeof m.answer.told) != NULL, "words without their end");
		CHECK(m.verb != RPC_AUTH || m.answer.reply != REPLY_LOGGED_IN || (granted && became && logins++ == 0), "logged in without a login");
		answers++;
	}
	CHECK(behind == 0 && fetch == model.fetches, "%u FETCHes were answered, want %u", fetch, model.fetches);
	CHECK(model.violated ? answers <= model.answers : answers == model.answers, "%u answers, want %u", answers, model.answers);
}

static void check_session(void)
{
	check_answers(gate_end);
	check_mail();
	judged.logins += granted;
	CHECK(granted || memchr(model.removed, 1, sizeof model.removed) == NULL, "mail removed without a login");
}

static void send_job(void)
{
	const struct job job = { .verb = JOB_SERVE, .peer = { .ss_family = AF_INET } };
	CHECK(rpc_send(master_end, &job, sizeof job, -1) == 0, "a job");
}

/* False: there is none. */
static bool next_session(void)
{
	check_session();
	model.answers = model.fetches = 0; /* they have been taken */
	CHECK(model.over && !model.violated && !model.stop, "another connection after what has to end a worker");
	if (script->left == 0)
		return false;
	begin_session();
	send_job();
	return true;
}

static void run_keeper(int master, int gate)
{
	static struct settings settings;
	const struct job stop = { .verb = JOB_STOP };
	send_job();
	CHECK(!model.stop || rpc_send(master_end, &stop, sizeof stop, -1) == 0, "a stop");
	settings = (model.explain ? explaining : plain)[model.mbox];
	settings.sessions = model.shared ? 10 : 1;
	settings.owner.uid = geteuid();
	settings.owner.gid = getegid();
	session = NULL;
	became = false;
	if (setjmp(ending.back) == 0)
		keeper_serve(&settings, "/nonexistent/pam", master, gate, -1);
	CHECK(session != NULL && ending.status == (model.violated ? EXIT_VIOLATION : EXIT_GOOD), "ended with %d (%s), want %s", ending.status, ending.words,
	      model.violated ? "a violation" : "none");
	leave_maildrop(&session->in);
	free(session->marks);
	session->marks = NULL;
}

static void tell_judged(void)
{
	(void)fprintf(stderr, "judged: messages=%llu violations=%llu logins=%llu\n", judged.messages, judged.violations, judged.logins);
}

static void begin(void)
{
	static bool begun;
	static const char maildir[] = "[auth]\nbackends = passwd-file\n[maildrop]\nlocation = maildir:%s/M\nlock_directory = %s\njournal_directory = %s\nindex_directory = %s\n";
	static const char mbox[] = "[auth]\nbackends = passwd-file\n[maildrop]\nlocation = mbox:%s/mbox\nlock_directory = %s\njournal_directory = %s\nindex_directory = %s\nmbox_locks = fcntl\n";
	if (begun)
		return;
	begun = true;
	(void)atexit(tell_judged);
	worker_settings(&plain[0], maildir);
	worker_settings(&plain[1], mbox);
	for (size_t i = 0; i < 2; i++) {
		explaining[i] = plain[i];
		explaining[i].explain_failures = POLICY_ALWAYS;
	}
	CHECK(mkdir(fuzz_path("M"), 0700) == 0 && mkdir(fuzz_path("M/new"), 0700) == 0 && mkdir(fuzz_path("M/cur"), 0700) == 0, "a Maildir");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const unsigned flags = take_octet(&in);
	int master[2], gate[2];
	model = (struct model){ .explain = flags & 1, .mbox = flags & 2, .stop = flags & 4, .shared = flags & 8 };
	begin();
	worker_pair(SOCK_SEQPACKET, master);
	worker_pair(SOCK_SEQPACKET, gate);
	master_end = master[0];
	gate_end = gate[0];
	script = &in;
	begin_session();
	run_keeper(master[1], gate[1]);
	(void)close(gate[1]);
	check_session();
	(void)close(gate[0]);
	(void)close(master[0]);
	(void)close(master[1]);
	return 0;
}
