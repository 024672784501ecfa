/*
 * test_auth.c - the order of the back ends, and what none of them may decide.
 * Runs in: the tests. Both back ends are real: a passwd file, and PAM with a module of the tests.
 */
#include "auth/auth.h"

#include <time.h>

#include "pam_fixture.h"
#include "tests/unit/suite.h"

/* "secret", at a thousand rounds */
#define SECRET "$6$rounds=1000$saltstring$2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0"

static char helper[PATH_MAX], file[PATH_MAX];

/* In PAM the password of everybody is "other"; "nobody" and "daemon" stand for the host's users. */
static struct auth_settings begin(const char *records, const char *arguments)
{
	fixture_make();
	(void)snprintf(helper, sizeof helper, "%s", pam_fixture_helper());
	(void)snprintf(file, sizeof file, "%s", fixture_path("passwd"));
	pam_fixture_service(arguments);
	fixture_write("passwd", records, 0600);
	return (struct auth_settings){ .passwd_file = file, .pam_service = "test", .pam_helper = helper, .virtual_user = "",
	                               .minimum_uid = 1000, .helper_seconds = 300 };
}

static const char RECORDS[] =
	"filed:" SECRET ":2001:2002::/home/filed\n"
	"nobody:" SECRET ":2003:2004\n"          /* PAM knows one too */
	"lock:*:2005:2006\n"
	"broken:" SECRET ":x\n"
	"zero:" SECRET ":0:0\n"
	"low:" SECRET ":999:999\n";

struct row {
	const char *first, *second, *user, *password;
	unsigned uid;  /* accepted with it, or 0 */
	enum reason reason;
	int proven;
};

static void verify_rows(const struct row *rows, size_t count, const char *arguments)
{
	struct auth_settings settings = begin(RECORDS, arguments);
	for (size_t i = 0; i < count; i++) {
		struct secret s = secret_of(rows[i].password);
		struct auth_request request = { .user = rows[i].user, .password = &s, .remote_host = "192.0.2.1" };
		struct identity identity = { .uid = 7 };
		struct why why = { .reason = REASON_NONE };
		bool proven = !rows[i].proven;
		char label[128];
		(void)snprintf(label, sizeof label, "%s,%s: %.32s/%s", rows[i].first, rows[i].second, rows[i].user, rows[i].password);
		settings.backends[0] = rows[i].first;
		settings.backends[1] = rows[i].second;
		int got = auth_verify(&settings, &request, &identity, &proven, &why);
		ROW_ASSERT(label, got == (rows[i].uid != 0 ? 0 : -1));
		ROW_ASSERT(label, why.reason == rows[i].reason || got == 0);
		ROW_ASSERT(label, proven == (rows[i].proven != 0));
		/* Whose mailbox was tried is said of a refusal where it was learnt; nobody's rights come with it. */
		const bool learnt = got == 0 || (identity.uid != NO_ID && rows[i].reason != REASON_USER_UNKNOWN);
		ROW_ASSERT(label, got == 0 ? identity.uid == rows[i].uid : identity.gid == NO_ID && identity.home[0] == '\0');
		ROW_ASSERT(label, learnt || strcmp(rows[i].user, "filed") != 0 || rows[i].reason != REASON_PASSWORD_WRONG);
		ROW_ASSERT(label, identity.uid == NO_ID || learnt);
		ROW_TEXT(label, identity.user, rows[i].uid != 0 ? rows[i].user : "");
	}
	fixture_remove();
}

static void test_order(void)
{
	static const struct row rows[] = {
		{ "passwd-file", NULL, "filed", "secret", 2001, REASON_NONE, 0 },
		{ "passwd-file", "pam", "filed", "secret", 2001, REASON_NONE, 0 },
		{ "pam", "passwd-file", "filed", "secret", 2001, REASON_NONE, 0 },
		{ "pam", NULL, "filed", "secret", 0, REASON_USER_UNKNOWN, 0 },
		{ "passwd-file", "pam", "filed", "wrong", 0, REASON_PASSWORD_WRONG, 0 },
		/* known to both: the first one's word is the last */
		{ "passwd-file", "pam", "nobody", "secret", 2003, REASON_NONE, 0 },
		{ "passwd-file", "pam", "nobody", "other", 0, REASON_PASSWORD_WRONG, 0 },
		{ "pam", "passwd-file", "nobody", "other", 65534, REASON_NONE, 0 },
		{ "pam", "passwd-file", "nobody", "secret", 0, REASON_PASSWORD_WRONG, 0 },
		{ "passwd-file", "pam", "lock", "secret", 0, REASON_ACCOUNT_LOCKED, 0 },
		{ "passwd-file", "pam", "broken", "secret", 0, REASON_AUTH_SETUP, 0 },
		/* never let in, and told the same whether the password was right or not */
		{ "passwd-file", NULL, "zero", "secret", 0, REASON_UID_REFUSED, 0 },
		{ "passwd-file", NULL, "low", "secret", 0, REASON_UID_REFUSED, 0 },
		{ "passwd-file", NULL, "zero", "wrong", 0, REASON_UID_REFUSED, 0 },
		{ "passwd-file", NULL, "low", "wrong", 0, REASON_UID_REFUSED, 0 },
		{ "pam", NULL, "root", "other", 0, REASON_UID_REFUSED, 0 },
		{ "pam", NULL, "root", "wrong", 0, REASON_UID_REFUSED, 0 },
		{ "pam", NULL, "daemon", "other", 0, REASON_UID_REFUSED, 0 },
		{ "pam", NULL, "daemon", "wrong", 0, REASON_UID_REFUSED, 0 },
		/* unknown everywhere, and names that nobody can have */
		{ "passwd-file", "pam", "no-such-user", "x", 0, REASON_USER_UNKNOWN, 0 },
		{ "passwd-file", "pam", "", "secret", 0, REASON_USER_UNKNOWN, 0 },
		{ "passwd-file", "pam", "filed:" SECRET, "x", 0, REASON_USER_UNKNOWN, 0 },
		{ "passwd-file", "pam", "../filed", "secret", 0, REASON_USER_UNKNOWN, 0 },
		{ "passwd-file", "pam", "filed\n", "secret", 0, REASON_USER_UNKNOWN, 0 },
		/* empty passwords: refused, but trouble is still trouble */
		{ "passwd-file", "pam", "filed", "", 0, REASON_PASSWORD_EMPTY, 0 },
		{ "passwd-file", "pam", "no-such-user", "", 0, REASON_PASSWORD_EMPTY, 0 },
		{ "pam", NULL, "nobody", "", 0, REASON_PASSWORD_EMPTY, 0 },
		{ "passwd-file", "pam", "broken", "", 0, REASON_AUTH_SETUP, 0 },
		/* set up wrongly */
		{ "ldap", NULL, "filed", "secret", 0, REASON_AUTH_SETUP, 0 },
		{ "passwd-file", "ldap", "no-such-user", "x", 0, REASON_AUTH_SETUP, 0 },
		{ NULL, NULL, "filed", "secret", 0, REASON_AUTH_SETUP, 0 },
	};
	verify_rows(rows, sizeof rows / sizeof rows[0], "auth=password:other");
}

/* What PAM says once the password is proven may be told; trouble is nobody's fault and ends the asking. */
static void test_proven(void)
{
	static const struct { const char *arguments; struct row row; } rows[] = {
		{ "auth=password:other acct=13", { "pam", NULL, "nobody", "other", 0, REASON_ACCOUNT_EXPIRED, 1 } },
		{ "auth=password:other acct=13", { "pam", NULL, "nobody", "wrong", 0, REASON_PASSWORD_WRONG, 0 } },
		{ "auth=password:other acct=12", { "pam", "passwd-file", "nobody", "other", 0, REASON_PASSWORD_EXPIRED, 1 } },
		/* But not whose password is worth more than mail. */
		{ "auth=password:other acct=13", { "pam", NULL, "root", "other", 0, REASON_UID_REFUSED, 0 } },
		{ "auth=password:other acct=6", { "pam", NULL, "root", "other", 0, REASON_UID_REFUSED, 0 } },
		{ "auth=password:other acct=6", { "pam", NULL, "root", "wrong", 0, REASON_UID_REFUSED, 0 } },
		{ "auth=9", { "pam", NULL, "root", "wrong", 0, REASON_AUTH_TEMPORARY, 0 } },
		{ "auth=13", { "pam", NULL, "nobody", "x", 0, REASON_ACCOUNT_EXPIRED, 0 } },
		{ "acct=13", { "pam", NULL, "nobody", "", 0, REASON_PASSWORD_EMPTY, 0 } },
		{ "auth=9", { "pam", "passwd-file", "filed", "secret", 0, REASON_AUTH_TEMPORARY, 0 } },
		{ "auth=0", { "pam", NULL, "nobody", "", 0, REASON_PASSWORD_EMPTY, 0 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		verify_rows(&rows[i].row, 1, rows[i].arguments);
}

/* The longest names and passwords that the protocol lets through. */
static void test_longest(void)
{
	static char user[USER_NAME_MAX + 2], records[1024];
	struct secret s = { .len = PASSWORD_MAX };
	struct identity identity;
	struct why why;
	bool proven;
	memset(user, 'u', USER_NAME_MAX);
	memset(s.text, 'p', PASSWORD_MAX);
	(void)snprintf(records, sizeof records, "%s:" SECRET ":2001:2002\n", user);
	struct auth_settings settings = begin(records, "auth=7");
	settings.backends[0] = "passwd-file";
	settings.backends[1] = "pam";
	struct auth_request request = { .user = user, .password = &s, .remote_host = "192.0.2.1" };
	CU_ASSERT(auth_verify(&settings, &request, &identity, &proven, &why) == -1);
	CU_ASSERT(why.reason == REASON_PASSWORD_WRONG);
	user[USER_NAME_MAX] = 'u';
	CU_ASSERT(auth_verify(&settings, &request, &identity, &proven, &why) == -1);
	CU_ASSERT(why.reason == REASON_USER_UNKNOWN);
	user[USER_NAME_MAX] = '\0';
	s = secret_of("secret");
	CU_ASSERT(auth_verify(&settings, &request, &identity, &proven, &why) == 0);
	CU_ASSERT_STRING_EQUAL(identity.user, user);
	fixture_remove();
}

static long long cpu_us(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/*
 * That every way to fail does the work of a hash: the first record costs 64 MiB, which takes
 * more than a millisecond of CPU anywhere, where finding nobody in a file takes microseconds.
 */
static void test_same_work(void)
{
	static const struct { const char *records, *user, *password; } rows[] = {
		{ "dear:$argon2id$v=19$m=65536,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:2001:2002\nlock:*\n", "", "" },
		{ NULL, "dear", "wrong" }, { NULL, "dear", "" }, { NULL, "unknown", "wrong" }, { NULL, "unknown", "" },
		{ NULL, "lock", "wrong" }, { NULL, "../x", "wrong" },
		{ "#\nbad\nplain:{PLAIN}x:1:1\n", "unknown", "wrong" },
	};
	const char *records = "";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct secret s = secret_of(rows[i].password);
		struct auth_request request = { .user = rows[i].user, .password = &s, .remote_host = "192.0.2.1" };
		struct identity identity;
		struct why why;
		bool proven;
		records = rows[i].records != NULL ? rows[i].records : records;
		struct auth_settings settings = begin(records, "");
		settings.backends[0] = "passwd-file";
		long long before = cpu_us();
		CU_ASSERT(auth_verify(&settings, &request, &identity, &proven, &why) == -1);
		ROW_ASSERT(rows[i].user, cpu_us() - before > 1000);
		fixture_remove();
	}
}

static int no_room(void *context, size_t mebibytes)
{
	(void)context, (void)mebibytes;
	return -1;
}

/* When there is no memory for a hash, who is there and who is not fail in the same way. */
static void test_same_without_memory(void)
{
	static const char *const users[] = { "dear", "lock", "unknown", "../x" };
	struct auth_settings settings = begin("dear:$argon2id$v=19$m=65536,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:2001:2002\nlock:*\n", "");
	settings.backends[0] = "passwd-file";
	settings.room.take = no_room;
	for (size_t i = 0; i < 2 * sizeof users / sizeof users[0]; i++) {
		struct secret s = secret_of(i % 2 == 0 ? "wrong" : "");
		struct auth_request request = { .user = users[i / 2], .password = &s, .remote_host = "192.0.2.1" };
		struct identity identity;
		struct why why = { .reason = REASON_NONE };
		bool proven;
		ROW_ASSERT(users[i / 2], auth_verify(&settings, &request, &identity, &proven, &why) == -1 && why.reason == REASON_AUTH_TEMPORARY && !proven);
	}
	fixture_remove();
}

static int note_room(void *context, size_t mebibytes)
{
	size_t *noted = context;
	*noted = mebibytes;
	return -1;
}

/* What takes memory that is not known, or time alone, counts as much as this; where there is none, it is not asked. */
static void test_turns(void)
{
	static const struct { const char *backend, *user; } rows[] = { { "pam", "daemon" }, { "passwd-file", "filed" } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct auth_settings settings = begin(RECORDS, "");
		struct secret s = secret_of("secret");
		const struct auth_request request = { .user = rows[i].user, .password = &s, .remote_host = "192.0.2.1" };
		struct identity identity;
		struct why why = { .reason = REASON_NONE };
		size_t noted = 0;
		bool proven;
		settings.backends[0] = rows[i].backend;
		settings.room.take = note_room;
		settings.room.context = &noted;
		ROW_ASSERT(rows[i].backend, auth_verify(&settings, &request, &identity, &proven, &why) == -1 && why.reason == REASON_AUTH_TEMPORARY && !proven);
		ROW_ASSERT(rows[i].backend, noted == 8 && strstr(why.text, "hash_memory is in use") != NULL);
		fixture_remove();
	}
}

static void test_known(void)
{
	static const struct {
		const char *first, *second, *user;
		mode_t mode;
		int want;
	} rows[] = {
		{ "passwd-file", NULL, "filed", 0600, 1 }, { "passwd-file", NULL, "daemon", 0600, 0 },
		{ "pam", NULL, "daemon", 0600, 1 }, { "pam", NULL, "filed", 0600, 0 },
		{ "passwd-file", "pam", "daemon", 0600, 1 }, { "passwd-file", "pam", "filed", 0600, 1 },
		{ "passwd-file", "pam", "no-such-user", 0600, 0 }, { "passwd-file", "pam", "a:b", 0600, 0 },
		{ "passwd-file", "pam", "daemon", 0644, 1 }, { "passwd-file", "pam", "filed", 0644, -1 },
		{ "passwd-file", NULL, "broken", 0600, -1 }, { "ldap", NULL, "filed", 0600, -1 }, { NULL, NULL, "filed", 0600, -1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct auth_settings settings = begin(RECORDS, "");
		struct why why = { .reason = REASON_NONE };
		char label[64];
		(void)snprintf(label, sizeof label, "%zu %s", i, rows[i].user);
		settings.backends[0] = rows[i].first;
		settings.backends[1] = rows[i].second;
		CU_ASSERT(chmod(file, rows[i].mode) == 0);
		ROW_ASSERT(label, auth_known(&settings, rows[i].user, &why) == rows[i].want);
		ROW_ASSERT(label, rows[i].want >= 0 || why.reason == REASON_AUTH_SETUP);
		fixture_remove();
	}
}

static void test_find(void)
{
	CU_ASSERT(auth_backend_find("pam") == &auth_pam);
	CU_ASSERT(auth_backend_find("passwd-file") == &auth_passwd_file);
	CU_ASSERT(auth_backend_find("PAM") == NULL);
	CU_ASSERT(auth_backend_find("") == NULL);
}

#define TESTS(X) X(test_order) X(test_proven) X(test_longest) X(test_same_work) X(test_same_without_memory) X(test_turns) X(test_known) X(test_find)
SUITE("auth")
