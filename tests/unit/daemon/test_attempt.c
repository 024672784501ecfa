/*
 * test_attempt.c - daemon/attempt.c: by what the master knows an account and a password.
 * Runs in: the tests; the master is played.
 */
#include "daemon/attempt.h"
#include "tests/unit/daemon/worker.h"

/* What the master hears of that login. */
static struct proven_hash hash_of(const struct settings *settings, const char *user)
{
	static struct session s;
	const struct job job = { .verb = JOB_VERIFY };
	const struct rpc_auth auth = auth_of(user, "secret");
	struct keeper_word word = { .verb = 0 };
	int master[2], gate[2], fd;
	socket_pair(SOCK_SEQPACKET, master);
	socket_pair(SOCK_SEQPACKET, gate);
	s = (struct session){ .settings = settings, .master = master[1], .gate = gate[1] };
	CU_ASSERT(rpc_send(master[0], &job, sizeof job, -1) == 0);
	CU_ASSERT(attempt_ask(&s, &auth).verb == JOB_VERIFY);
	CU_ASSERT(rpc_await(master[0], &word, sizeof word, &fd) == (ssize_t)sizeof word && word.verb == KEEPER_ATTEMPT);
	for (int i = 0; i < 2; i++) {
		(void)close(master[i]);
		(void)close(gate[i]);
	}
	return word.hash;
}

/* A directory that PAM asks may know a user under each spelling of his name: it is one account. Its passwords are not mixed up. */
static void test_spellings(void)
{
	static const struct { const char *label, *backends[2], *other; bool one_account; } rows[] = {
		{ "PAM, capitals", { "passwd-file", "pam" }, "Ann", true }, { "PAM, another", { "passwd-file", "pam" }, "anne", false },
		{ "PAM alone", { "pam", "" }, "ANN", true }, { "the passwd file", { "passwd-file", "" }, "Ann", false }, { "the same", { "passwd-file", "" }, "ann", true },
	};
	struct settings *settings;
	host_make();
	make_users();
	CU_ASSERT_FATAL(attempt_prepare() == 0);
	settings = settings_of("");
	settings->free_failures = 10;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t k = 0; k < 2; k++)
			(void)snprintf(settings->backends[k], sizeof settings->backends[k], "%s", rows[i].backends[k]);
		const struct proven_hash one = hash_of(settings, "ann"), other = hash_of(settings, rows[i].other);
		ROW_ASSERT(rows[i].label, (one.account == other.account) == rows[i].one_account);
		ROW_ASSERT(rows[i].label, (memcmp(one.password, other.password, sizeof one.password) == 0) == (strcmp(rows[i].other, "ann") == 0));
	}
	host_remove();
}

#define TESTS(X) X(test_spellings)
SUITE("attempt")
