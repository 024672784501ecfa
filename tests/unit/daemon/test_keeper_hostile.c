/*
 * test_keeper_hostile.c - daemon/keeper.c and session.c: whatever a gate says that is not in the contract ends the keeper.
 * Runs in: the tests, as root or as any user.
 */
#include "tests/unit/daemon/keeper_peer.h"

enum phase { AT_LOGIN, IN_SESSION, AT_THE_END };

/* Messages of hostile gates. In a session there are three messages, and the first is marked. */
static union rpc_message m_zero(void) { return (union rpc_message){ .verb = 0 }; }
static union rpc_message m_hello(void) { return (union rpc_message){ .hello = { .verb = RPC_HELLO } }; }
static union rpc_message m_stop(void) { return (union rpc_message){ .stop = { .verb = RPC_STOP } }; }
static union rpc_message m_unknown(void) { return (union rpc_message){ .verb = RPC_VERBS }; }
static union rpc_message m_huge(void) { return (union rpc_message){ .verb = 0xffffffff }; }
static union rpc_message m_fetch(void) { return (union rpc_message){ .fetch = { .verb = RPC_FETCH } }; }
static union rpc_message m_mark(void) { return (union rpc_message){ .mark = { .verb = RPC_MARK, .count = 1 } }; }
static union rpc_message m_commit(void) { return (union rpc_message){ .commit = { .verb = RPC_COMMIT, .marked = 1 } }; }
static union rpc_message m_auth(void) { return (union rpc_message){ .auth = auth_of("ann", "secret") }; }
static union rpc_message m_known(void) { return (union rpc_message){ .known = { .verb = RPC_KNOWN, .user = "ann" } }; }
static union rpc_message m_bye(void) { return (union rpc_message){ .bye = { .verb = RPC_BYE } }; }

static union rpc_message m_sign(void)
{
	return (union rpc_message){ .sign = { .verb = RPC_SIGN, .request = { .scheme = SIGN_ECDSA, .size = 32 } } };
}
static union rpc_message m_sign_as(uint32_t scheme, uint32_t size)
{
	union rpc_message m = m_sign();
	m.sign.request.scheme = scheme;
	m.sign.request.size = size;
	return m;
}
static union rpc_message m_sign_0(void) { return m_sign_as(0, 32); }
static union rpc_message m_sign_4(void) { return m_sign_as(SIGN_RSA_PSS + 1, 32); }
static union rpc_message m_sign_huge(void) { return m_sign_as(0xffffffff, 32); }
static union rpc_message m_sign_none(void) { return m_sign_as(SIGN_RSA_PSS, 0); }
static union rpc_message m_sign_sha1(void) { return m_sign_as(SIGN_RSA_PKCS1, 20); }
static union rpc_message m_sign_33(void) { return m_sign_as(SIGN_ECDSA, 33); }
static union rpc_message m_sign_256(void) { return m_sign_as(SIGN_RSA_PKCS1, 256); }
static union rpc_message m_sign_key(void)
{
	union rpc_message m = m_sign();
	m.sign.request.key = CERTIFICATES_MAX;
	return m;
}
static union rpc_message m_sign_all(void) { return m_sign_as(SIGN_RSA_PSS, 0xffffffff); }

static union rpc_message m_long_user(void)
{
	union rpc_message m = m_auth();
	memset(m.auth.user, 'u', sizeof m.auth.user);
	return m;
}

static union rpc_message m_long_known(void)
{
	union rpc_message m = m_known();
	memset(m.known.user, 'u', sizeof m.known.user);
	return m;
}

static union rpc_message m_long_refer(void)
{
	union rpc_message m = { .refer = { .verb = RPC_REFER, .reply = REPLY_TLS_FIRST } };
	memset(m.refer.user, 'u', USER_NAME_MAX + 1);
	return m;
}

static union rpc_message m_password_length(void)
{
	union rpc_message m = m_auth();
	m.auth.password.len = PASSWORD_MAX + 1;
	return m;
}

static union rpc_message m_password_huge(void)
{
	union rpc_message m = m_auth();
	m.auth.password.len = SIZE_MAX;
	return m;
}

static union rpc_message m_password_end(void)
{
	union rpc_message m = m_auth();
	m.auth.password.len = 5;
	return m;
}

static union rpc_message m_fetch_ahead(uint32_t idx, uint32_t more) { return (union rpc_message){ .fetch = { .verb = RPC_FETCH, .idx = idx, .more = more } }; }
static union rpc_message m_fetch_more(void) { return m_fetch_ahead(1, 2); }
static union rpc_message m_fetch_many(void) { return m_fetch_ahead(0, RPC_MORE_MOST + 1); }
static union rpc_message m_fetch_wrap(void) { return m_fetch_ahead(2, UINT32_MAX); }
static union rpc_message m_fetch_at(uint32_t idx) { return (union rpc_message){ .fetch = { .verb = RPC_FETCH, .idx = idx } }; }
static union rpc_message m_fetch_3(void) { return m_fetch_at(3); }
static union rpc_message m_fetch_last(void) { return m_fetch_at(0xffffffff); }

static union rpc_message m_marks(uint32_t first, uint32_t count)
{
	return (union rpc_message){ .mark = { .verb = RPC_MARK, .first = first, .count = count } };
}
static union rpc_message m_marks_4(void) { return m_marks(0, 4); }
static union rpc_message m_marks_behind(void) { return m_marks(3, 1); }
static union rpc_message m_marks_first(void) { return m_marks(4, 0); }
static union rpc_message m_marks_wrap(void) { return m_marks(2, 0xffffffff); }
static union rpc_message m_marks_wrap_first(void) { return m_marks(0xffffffff, 2); }
static union rpc_message m_marks_many(void) { return m_marks(0, RPC_MARKS + 1); }
static union rpc_message m_commit_none(void) { return (union rpc_message){ .commit = { .verb = RPC_COMMIT, .marked = 0 } }; }
static union rpc_message m_commit_more(void) { return (union rpc_message){ .commit = { .verb = RPC_COMMIT, .marked = 2 } }; }
static union rpc_message m_ready(void) { return (union rpc_message){ .ready = { .verb = RPC_READY } }; }
static union rpc_message m_commit_end(void) { return (union rpc_message){ .commit = { .verb = RPC_COMMIT, .marked = 1, .bye = { .end = END_COUNT } } }; }
static union rpc_message m_bye_end(void) { return (union rpc_message){ .bye = { .verb = RPC_BYE, .end = END_COUNT } }; }

static const struct {
	const char *label;
	enum phase phase;
	union rpc_message (*message)(void);
	int size;               /* octets; 0: what the verb's row says */
	bool descriptor;
	const char *words;      /* in the log */
} rows[] = {
	{ "nothing but a verb 0", AT_LOGIN, m_zero, 4, false, "verb 0 of 4 octets" },
	{ "one octet", AT_LOGIN, m_zero, 1, false, "verb 0 of 1 octets" },
	{ "three octets", AT_LOGIN, m_auth, 3, false, "verb 0 of 3 octets" },
	{ "HELLO", AT_LOGIN, m_hello, 0, false, "verb 1 of" },
	{ "STOP", AT_LOGIN, m_stop, 0, false, "verb 2 of" },
	{ "a verb behind the last", AT_LOGIN, m_unknown, 4, false, "verb 0 of 4 octets" },
	{ "the largest verb", IN_SESSION, m_huge, 4, false, "verb 0 of 4 octets" },
	{ "FETCH before the login", AT_LOGIN, m_fetch, 0, false, "verb 5 of" },
	{ "MARK before the login", AT_LOGIN, m_mark, 0, false, "verb 6 of" },
	{ "COMMIT before the login", AT_LOGIN, m_commit, 0, false, "verb 7 of" },
	{ "AUTH after the login", IN_SESSION, m_auth, 0, false, "verb 4 of" },
	{ "KNOWN after the login", IN_SESSION, m_known, 0, false, "verb 3 of" },
	{ "FETCH after COMMIT", AT_THE_END, m_fetch, 0, false, "end=\"quit\"" },
	{ "MARK after COMMIT", AT_THE_END, m_mark, 0, false, "end=\"quit\"" },
	{ "a second COMMIT", AT_THE_END, m_commit, 0, false, "end=\"quit\"" },
	{ "AUTH after COMMIT", AT_THE_END, m_auth, 0, false, "end=\"quit\"" },
	{ "short AUTH", AT_LOGIN, m_auth, (int)sizeof(struct rpc_auth) - 1, false, "verb 4: " },
	{ "long FETCH", IN_SESSION, m_fetch, (int)sizeof(struct rpc_fetch) + 1, false, "verb 5: 17 octets" },
	{ "longest FETCH", IN_SESSION, m_fetch, (int)sizeof(union rpc_message), false, "verb 5: " },
	{ "too long for any", AT_LOGIN, m_auth, (int)sizeof(union rpc_message) + 8, false, "a message that is too long" },
	{ "AUTH with a descriptor", AT_LOGIN, m_auth, 0, true, " and a descriptor" },
	{ "FETCH with a descriptor", IN_SESSION, m_fetch, 0, true, " and a descriptor" },
	{ "user without an end", AT_LOGIN, m_long_user, 0, false, "user name without its end" },
	{ "known without an end", AT_LOGIN, m_long_known, 0, false, "user name without its end" },
	{ "REFER with a name without an end", AT_LOGIN, m_long_refer, 0, false, "user name without its end" },
	{ "password too long", AT_LOGIN, m_password_length, 0, false, "password without its end" },
	{ "password far too long", AT_LOGIN, m_password_huge, 0, false, "password without its end" },
	{ "password longer than said", AT_LOGIN, m_password_end, 0, false, "password without its end" },
	{ "KNOWN where it is not admitted", AT_LOGIN, m_known, 0, false, "explain_failures does not admit" },
	{ "FETCH behind the last", IN_SESSION, m_fetch_3, 0, false, "message 3+0 of 3" },
	{ "FETCH far behind", IN_SESSION, m_fetch_last, 0, false, "message 4294967295+0 of 3" },
	{ "FETCH of more than there are", IN_SESSION, m_fetch_more, 0, false, "message 1+2 of 3" },
	{ "FETCH of more than a gate may", IN_SESSION, m_fetch_many, 0, false, "message 0+16 of 3" },
	{ "FETCH of more, that wraps", IN_SESSION, m_fetch_wrap, 0, false, "message 2+4294967295 of 3" },
	{ "one mark too many", IN_SESSION, m_marks_4, 0, false, "marks 0+4 of 3" },
	{ "a mark behind the last", IN_SESSION, m_marks_behind, 0, false, "marks 3+1 of 3" },
	{ "no marks far behind", IN_SESSION, m_marks_first, 0, false, "marks 4+0 of 3" },
	{ "a count that wraps", IN_SESSION, m_marks_wrap, 0, false, "marks 2+4294967295 of 3" },
	{ "a first that wraps", IN_SESSION, m_marks_wrap_first, 0, false, "marks 4294967295+2 of 3" },
	{ "more marks than fit", IN_SESSION, m_marks_many, 0, false, "marks 0+2049 of 3" },
	{ "COMMIT of fewer", IN_SESSION, m_commit_none, 0, false, "commit of 0 marks, but 1 came" },
	{ "COMMIT of more", IN_SESSION, m_commit_more, 0, false, "commit of 2 marks, but 1 came" },
	{ "SIGN after the login", IN_SESSION, m_sign, 0, false, "verb 11 of" },
	{ "SIGN after COMMIT", AT_THE_END, m_sign, 0, false, "end=\"quit\"" },
	{ "short SIGN", AT_LOGIN, m_sign, (int)sizeof(struct rpc_sign) - 1, false, "verb 11: " },
	{ "long SIGN", AT_LOGIN, m_sign, (int)sizeof(struct rpc_sign) + 1, false, "verb 11: " },
	{ "SIGN with a descriptor", AT_LOGIN, m_sign, 0, true, " and a descriptor" },
	{ "SIGN by no scheme", AT_LOGIN, m_sign_0, 0, false, "a signature by scheme 0 for 32 octets" },
	{ "SIGN by the scheme behind the last", AT_LOGIN, m_sign_4, 0, false, "a signature by scheme 4 for 32 octets" },
	{ "SIGN by the largest scheme", AT_LOGIN, m_sign_huge, 0, false, "a signature by scheme 4294967295" },
	{ "SIGN of nothing", AT_LOGIN, m_sign_none, 0, false, "a signature by scheme 3 for 0 octets" },
	{ "SIGN of a SHA-1", AT_LOGIN, m_sign_sha1, 0, false, "a signature by scheme 2 for 20 octets" },
	{ "SIGN of no digest's size", AT_LOGIN, m_sign_33, 0, false, "a signature by scheme 1 for 33 octets" },
	{ "SIGN of a block", AT_LOGIN, m_sign_256, 0, false, "a signature by scheme 2 for 256 octets" },
	{ "SIGN with a key that nobody can have", AT_LOGIN, m_sign_key, 0, false, "a signature by scheme 1 for 32 octets" },
	{ "SIGN of everything", AT_LOGIN, m_sign_all, 0, false, "a signature by scheme 3 for 4294967295 octets" },
	{ "READY before the login", AT_LOGIN, m_ready, 0, false, "verb 12 of" },
	{ "READY in a session", IN_SESSION, m_ready, 0, false, "verb 12 of" },
	{ "READY after COMMIT", AT_THE_END, m_ready, 0, false, "end=\"quit\"" },
	{ "COMMIT without a reason", IN_SESSION, m_commit_end, 0, false, "an end of session that is none" },
	{ "BYE without a reason", AT_LOGIN, m_bye_end, 0, false, "an end of session that is none" },
	{ "BYE with a descriptor", IN_SESSION, m_bye, 0, true, " and a descriptor" },
};

static void test_violations(void)
{
	host_make();
	make_users();
	const struct settings *settings = settings_of("");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct worker_ends w = rows[i].phase == AT_LOGIN ? keeper_serving(settings, "127.0.0.1") : keeper_logged_in(settings);
		struct { union rpc_message message; char behind[8]; } sent = { .message = rows[i].message() };
		size_t size = rows[i].size != 0 ? (size_t)rows[i].size : rpc_row(sent.message.verb)->size;
		if (rows[i].phase == IN_SESSION)
			mark(&w, 0, 1, 1);
		if (rows[i].phase == AT_THE_END) {
			struct rpc_commit commit = { .verb = RPC_COMMIT };
			int fd;
			ROW_ASSERT(rows[i].label, ask(&w, &commit, sizeof commit, &fd).reply == REPLY_BYE_UPDATED);
		}
		if (rows[i].phase != AT_THE_END)
			host_log[0] = '\0';
		(void)rpc_send(w.gate, &sent, size, rows[i].descriptor ? STDIN_FILENO : -1);
		/* COMMIT is the last that it hears; then it waits for its gate's end. */
		if (rows[i].phase == AT_THE_END)
			(void)shutdown(w.gate, SHUT_RDWR);
		int status = child_status(w.pid);
		const int want = rows[i].phase == AT_THE_END ? EXIT_GOOD : EXIT_VIOLATION;
		if (status != want || strstr(host_log, rows[i].words) == NULL)
			fprintf(stderr, "row \"%s\": ended with %d, log %s", rows[i].label, status, host_log);
		ROW_ASSERT(rows[i].label, status == want);
		ROW_ASSERT(rows[i].label, strstr(host_log, rows[i].words) != NULL);
		/* Nothing was deleted on the way. */
		ROW_ASSERT(rows[i].label, access(in_host("mail/ann/cur/1.a.host:2,S"), F_OK) == 0);
		(void)close(w.gate);
		(void)close(w.master);
	}
	host_remove();
}

/* What may come a few times does not come more often. */
static void test_too_often(void)
{
	int fd;
	host_make();
	make_users();
	struct settings *settings = settings_of("[limits]\nlogin_tries = 2\n");
	struct rpc_answer answer;
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	ROW_TEXT("first", login(&w, "ann", "wrong", &answer, &fd), "NOT_ACCEPTED");
	ROW_TEXT("second", login(&w, "nobody", "wrong", &answer, &fd), "NOT_ACCEPTED");
	ROW_TEXT("third", login(&w, "ann", "secret", &answer, &fd), "(none)");
	keeper_end("logins", &w, EXIT_VIOLATION, "another login after the last one that was allowed");
	settings->explain_failures = POLICY_LOOPBACK;
	w = keeper_serving(settings, "127.0.0.1");
	struct rpc_user known = { .verb = RPC_KNOWN, .user = "ann" };
	for (int i = 0; i < RPC_KNOWN_MOST; i++)
		CU_ASSERT(ask(&w, &known, sizeof known, &fd).reply == REPLY_SEND_PASS);
	CU_ASSERT(ask(&w, &known, sizeof known, &fd).verb == 0);
	keeper_end("KNOWN", &w, EXIT_VIOLATION, "verb 3 came 65 times");
	/* After the rights are gone there is no other login. */
	w = keeper_serving(settings, "192.0.2.1");
	ROW_TEXT("not a Maildir", login(&w, "bob", "secret", &answer, &fd), "DROP_BROKEN");
	CU_ASSERT(answer.final == 1 && fd == -1);
	ROW_TEXT("after it", login(&w, "ann", "secret", &answer, &fd), "(none)");
	keeper_end("a second owner", &w, EXIT_VIOLATION, "another login after the last one");
	host_remove();
}

/* Two descriptors with one message. */
static void test_two_descriptors(void)
{
	int two[2] = { STDIN_FILENO, STDIN_FILENO };
	char control[CMSG_SPACE(sizeof two)];
	host_make();
	make_users();
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	struct rpc_fetch request = { .verb = RPC_FETCH };
	struct iovec part = { .iov_base = &request, .iov_len = sizeof request };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	memset(control, 0, sizeof control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof two);
	memcpy(CMSG_DATA(c), two, sizeof two);
	CU_ASSERT(sendmsg(w.gate, &header, 0) == (ssize_t)sizeof request);
	keeper_end("two descriptors", &w, EXIT_VIOLATION, "or with too many descriptors");
	host_remove();
}

#define TESTS(X) X(test_violations) X(test_too_often) X(test_two_descriptors)
SUITE("keeper_hostile")
