/*
 * test_hash.c - auth/hash.c: every scheme with a hash that another program made, limits, damage.
 * Runs in: the tests.
 */
#include "auth/hash.h"

#include <crypt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"
#include "tests/unit/suite.h"

/* From the Argon2 reference implementation's tests (password "password") and from crypt(3) ("secret"). */
#define ARGON2ID_64M "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
#define ARGON2ID_P2 "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
#define ARGON2ID_SODIUM "$argon2id$v=19$m=65536,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ARGON2I_64M "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
#define SHA512 "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz."
#define SHA512_1000 "$6$rounds=1000$saltstring$" \
	"2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0"
#define SHA256 "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."
#define BCRYPT "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define BCRYPT_UU "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
#define YESCRYPT "$y$j75$LdJMENpBABJJ3hIHjB1Bi.$pLOAA.GWfQElzJMkN.JqzcItGXS.DsOZsBOX0fO4NDC"
#define GOST "$gy$j75$LdJMENpBABJJ3hIHjB1Bi.$tCNbbElFfqQSVOkhAi5K.SSrXalQ7xyG.QHyS7sPGd6"
#define SCRYPT "$7$6/..../....SodiumChloride$bciGDDIOZNONWHBBHFwzWAFXsMqIK9RG40myI7U7.Z1"
#define SHA1 "$sha1$1000$abcdefgh$ji8ESnkwjcTjo4hThodnLYyi.3yG"
#define SUNMD5 "$md5,rounds=10$abcdefgh$$8ilunLmR980Ls26AwIcTK/"
#define MD5 "$1$saltstri$WHZcnT3IOdSrMvizOq7Ht1"
#define NT "$3$$878d8014606cda29677a44efa1353fc7"
#define BSDI "_J9..rasmz0.F/jqjWck"
#define DES "abNANd1rDfiNc"

static enum hash_result verify(const char *hash, const char *password, struct why *why_r)
{
	struct secret s = secret_of(password);
	*why_r = (struct why){ .reason = REASON_NONE };
	return hash_verify(hash, strlen(hash), &s, NULL, why_r);
}

static void test_schemes(void)
{
	static const struct {
		const char *hash, *password, *scheme, *cost;
		int weak;
	} rows[] = {
		{ "{ARGON2ID}" ARGON2ID_64M, "password", "ARGON2ID", "64 MiB, 2 passes", 0 },
		{ "{argon2id}" ARGON2ID_P2, "password", "ARGON2ID", "0.25 MiB, 2 passes", 0 },
		{ ARGON2ID_P2, "password", "ARGON2ID", "0.25 MiB, 2 passes", 0 },
		{ "{CRYPT}" ARGON2ID_P2, "password", "ARGON2ID", "0.25 MiB, 2 passes", 0 },
		{ "{ARGON2I}" ARGON2I_64M, "password", "ARGON2I", "64 MiB, 2 passes", 0 },
		{ "{SHA512-CRYPT}" SHA512, "secret", "SHA512-CRYPT", "5000 rounds", 0 },
		{ "{CRYPT}" SHA512, "secret", "SHA512-CRYPT", "5000 rounds", 0 },
		{ SHA512_1000, "secret", "SHA512-CRYPT", "1000 rounds", 0 },
		{ "{SHA256-CRYPT}" SHA256, "secret", "SHA256-CRYPT", "5000 rounds", 0 },
		{ "{BLF-CRYPT}" BCRYPT, "secret", "BLF-CRYPT", "cost 4", 0 },
		{ BCRYPT_UU, "U*U", "BLF-CRYPT", "cost 5", 0 },
		{ "{CRYPT}" YESCRYPT, "secret", "YESCRYPT", "1 MiB", 0 },
		{ GOST, "secret", "GOST-YESCRYPT", "1 MiB", 0 },
		{ SCRYPT, "secret", "SCRYPT", "0.03125 MiB", 0 },
		{ SHA1, "secret", "SHA1-CRYPT", "1000 rounds", 1 },
		{ SUNMD5, "secret", "SUN-MD5", "10 rounds", 1 },
		{ "{MD5-CRYPT}" MD5, "secret", "MD5-CRYPT", "", 1 },
		{ NT, "secret", "NT", "", 1 },
		{ BSDI, "secret", "BSDI-CRYPT", "725 rounds", 1 },
		{ "{DES-CRYPT}" DES, "secret", "DES-CRYPT", "", 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		struct hash_info info;
		char longer[64];
		(void)snprintf(longer, sizeof longer, "%sx", rows[i].password);
		hash_inspect(rows[i].hash, strlen(rows[i].hash), &info, &why);
		ROW_ASSERT(rows[i].hash, info.state == HASH_RIGHT);
		ROW_TEXT(rows[i].hash, info.scheme, rows[i].scheme);
		ROW_TEXT(rows[i].hash, info.cost.words, rows[i].cost);
		ROW_ASSERT(rows[i].hash, info.weak == (rows[i].weak != 0));
		ROW_ASSERT(rows[i].hash, verify(rows[i].hash, rows[i].password, &why) == HASH_RIGHT);
		if (strcmp(rows[i].scheme, "DES-CRYPT") != 0) /* takes 8 characters, yet "secretx" differs */
			ROW_ASSERT(rows[i].hash, verify(rows[i].hash, longer, &why) == HASH_WRONG);
		ROW_ASSERT(rows[i].hash, verify(rows[i].hash, "wrong", &why) == HASH_WRONG);
		ROW_ASSERT(rows[i].hash, why.reason == REASON_PASSWORD_WRONG);
		ROW_ASSERT(rows[i].hash, verify(rows[i].hash, "", &why) == HASH_WRONG);
		/* An editor's slip, which no password fits: that is no wrong password. What libsodium checks is of no fixed length. */
		char slip[HASH_TEXT_MAX + 2];
		(void)snprintf(slip, sizeof slip, "%sa", rows[i].hash);
		const bool fixed = strstr(rows[i].hash, "$argon2") == NULL;
		ROW_ASSERT(rows[i].hash, !fixed || verify(slip, rows[i].password, &why) == HASH_UNUSABLE);
		slip[strlen(slip) - 2] = '\0';
		ROW_ASSERT(rows[i].hash, !fixed || verify(slip, rows[i].password, &why) == HASH_UNUSABLE);
	}
}

static void test_unusable(void)
{
	static const struct {
		const char *hash;
		enum hash_result want;
		const char *says;
	} rows[] = {
		{ "", HASH_LOCKED, "no password opens" },
		{ "*", HASH_LOCKED, "" }, { "!", HASH_LOCKED, "" }, { "!!", HASH_LOCKED, "" }, { "x", HASH_LOCKED, "" },
		{ "!" SHA512, HASH_LOCKED, "" }, { "*LK*", HASH_LOCKED, "" }, { "{CRYPT}", HASH_LOCKED, "" },
		{ "{CRYPT}!" SHA512, HASH_LOCKED, "" },
		{ "{PLAIN}secret", HASH_UNUSABLE, "(PLAIN) is of a scheme" },
		{ "{SSHA}abcdef", HASH_UNUSABLE, "(SSHA)" },
		{ "{SHA512-CRYPT.B64}abcdef", HASH_UNUSABLE, "(SHA512-CRYPT.B64)" },
		{ "{secret", HASH_UNUSABLE, "(unknown)" },
		{ "{}", HASH_UNUSABLE, "scheme" },
		{ "{ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ}x", HASH_UNUSABLE, "(ABCDEFGHIJKLMNOPQRSTUVW)" },
		{ "secret", HASH_UNUSABLE, "plain password?" },
		{ "$9$abc", HASH_UNUSABLE, "no known kind" },
		{ "{SHA512-CRYPT}" SHA256, HASH_UNUSABLE, "not what its scheme says" },
		{ "{BLF-CRYPT}" SHA512, HASH_UNUSABLE, "not what its scheme says" },
		{ "{ARGON2ID}" ARGON2I_64M, HASH_UNUSABLE, "not what its scheme says" },
		{ "{ARGON2ID}$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "costs more" },
		{ "$argon2id$v=19$m=8388608,t=2,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "costs more" },
		{ "$argon2id$v=19$m=99999999999,t=2,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "malformed" },
		{ "$argon2id$v=19$m=64,t=11,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "costs more" },
		{ "$argon2id$v=19$m=64,t=1,p=17$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "costs more" },
		{ "$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "malformed" },
		{ "$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "malformed" },
		{ "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$====", HASH_UNUSABLE, "malformed" },
		{ "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFh", HASH_UNUSABLE, "malformed" },
		{ "$argon2id$", HASH_UNUSABLE, "malformed" },
		{ "$6$rounds=1000001$saltstring$abc", HASH_UNUSABLE, "costs more" },
		{ "$6$rounds=x$saltstring$abc", HASH_UNUSABLE, "malformed" },
		{ "$6$rounds=5", HASH_UNUSABLE, "malformed" },
		{ "$5$rounds=999999999$saltstring$abc", HASH_UNUSABLE, "costs more" },
		{ "$2b$16$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", HASH_UNUSABLE, "costs more" },
		{ "$2b$xx$abcdefghijklmnopqrstuu", HASH_UNUSABLE, "malformed" },
		{ "$2b$04$short", HASH_UNUSABLE, "is damaged" }, { "$1$saltsalt$0l7240CxrFtPbsGHU:jnp.", HASH_UNUSABLE, "is damaged" },
		{ "$6$saltstring", HASH_UNUSABLE, "is damaged" },
		{ "$y$jFT$LdJMENpBABJJ3hIHjB1Bi.$x", HASH_UNUSABLE, "costs more" },
		{ "$y$jzT$LdJMENpBABJJ3hIHjB1Bi.$x", HASH_UNUSABLE, "unusual" },
		{ "$y$j9T/.$LdJMENpBABJJ3hIHjB1Bi.$x", HASH_UNUSABLE, "unusual" },
		{ "$y$jhT$LdJMENpBABJJ3hIHjB1Bi.$x", HASH_UNUSABLE, "costs more" },
		{ "$y$j", HASH_UNUSABLE, "malformed" },
		{ "$7$GU..../....SodiumChloride$x", HASH_UNUSABLE, "costs more" },
		{ "$7$6/....3....SodiumChloride$x", HASH_UNUSABLE, "costs more" },
		{ "$7$S....6/....SodiumChloride$x", HASH_UNUSABLE, "costs more" },
		{ "$7$6/..", HASH_UNUSABLE, "malformed" },
		{ "$sha1$1000001$abcdefgh$x", HASH_UNUSABLE, "costs more" },
		{ "$sha1$$abcdefgh$x", HASH_UNUSABLE, "malformed" },
		{ "$md5,rounds=4000000000$abcdefgh$$x", HASH_UNUSABLE, "costs more" },
		{ "$md5$rounds=4000000000$abcdefgh$$x", HASH_UNUSABLE, "costs more" },
		{ "$md5$rounds=x$abcdefgh$$x", HASH_UNUSABLE, "malformed" },
		{ "$md5,x$abcdefgh$$x", HASH_UNUSABLE, "malformed" },
		{ "_zzzzrasmz0.F/jqjWck", HASH_UNUSABLE, "costs more" },
		{ "_z", HASH_UNUSABLE, "malformed" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		ROW_ASSERT(rows[i].hash, verify(rows[i].hash, "secret", &why) == rows[i].want);
		ROW_ASSERT(rows[i].hash, why.reason == (rows[i].want == HASH_LOCKED ? REASON_ACCOUNT_LOCKED : REASON_AUTH_SETUP));
		ROW_ASSERT(rows[i].hash, strstr(why.text, rows[i].says) != NULL);
		ROW_ASSERT(rows[i].hash, strstr(why.text, "secret") == NULL);
	}
}

static void test_length_and_nul(void)
{
	char text[HASH_TEXT_MAX + 2];
	struct secret s = secret_of("secret");
	struct why why;
	memset(text, 'a', sizeof text);
	CU_ASSERT(hash_verify(text, HASH_TEXT_MAX + 1, &s, NULL, &why) == HASH_UNUSABLE);
	CU_ASSERT(strstr(why.text, "too long") != NULL);
	/* the octets behind len are not part of it */
	CU_ASSERT(hash_verify(DES "xyz", strlen(DES), &s, NULL, &why) == HASH_RIGHT);
	CU_ASSERT(hash_verify(DES "\0x", strlen(DES) + 2, &s, NULL, &why) == HASH_UNUSABLE);
}

/* crypt(3) takes 511 octets; 512 are a wrong password and no broken record, also where crypt(3) would cut. */
static void test_longest_password(void)
{
	static const struct { const char *label, *hash; } rows[] = {
		{ "sha512", SHA512_1000 }, { "bcrypt", BCRYPT }, { "yescrypt", YESCRYPT }, { "argon2id", ARGON2ID_P2 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t len = PASSWORD_MAX - 1; len <= PASSWORD_MAX; len++) {
			struct secret s = { .len = len };
			struct why why;
			memset(s.text, 'p', len);
			ROW_ASSERT(rows[i].label, hash_verify(rows[i].hash, strlen(rows[i].hash), &s, NULL, &why) == HASH_WRONG);
		}
}

/* 512 octets are wrong where the hash is that of the first 511. */
static void test_cut_password(void)
{
	static struct crypt_data data;
	struct secret s = { .len = PASSWORD_MAX - 1 };
	struct why why;
	memset(s.text, 'p', PASSWORD_MAX - 1);
	const char *hash = crypt_r(s.text, "$6$rounds=1000$saltstring$", &data);
	CU_ASSERT_FATAL(hash != NULL);
	CU_ASSERT(hash_verify(hash, strlen(hash), &s, NULL, &why) == HASH_RIGHT);
	s.text[s.len++] = 'p';
	CU_ASSERT(hash_verify(hash, strlen(hash), &s, NULL, &why) == HASH_WRONG);
}

static void test_new(void)
{
	static const struct {
		unsigned ops, mib;
		int want;
		const char *begins;
	} rows[] = {
		{ HASH_DEFAULT_OPS, HASH_DEFAULT_MEMORY_MIB, 0, "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$" },
		{ 1, 1, 0, "{ARGON2ID}$argon2id$v=19$m=1024,t=1,p=1$" },
		{ 3, 8, 0, "{ARGON2ID}$argon2id$v=19$m=8192,t=3,p=1$" },
		{ 0, 1, -1, "" }, { HASH_OPS_MAX + 1, 1, -1, "" }, { 1, 0, -1, "" }, { 1, HASH_MEMORY_MIB_MAX + 1, -1, "" },
	};
	struct secret s = secret_of("correct horse");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[HASH_TEXT_MAX + 1] = "", again[HASH_TEXT_MAX + 1] = "", label[32];
		struct why why;
		(void)snprintf(label, sizeof label, "%u, %u", rows[i].ops, rows[i].mib);
		ROW_ASSERT(label, hash_new(&s, rows[i].ops, rows[i].mib, text, &why) == rows[i].want);
		ROW_ASSERT(label, strncmp(text, rows[i].begins, strlen(rows[i].begins)) == 0);
		if (rows[i].want < 0)
			continue;
		ROW_ASSERT(label, verify(text, "correct horse", &why) == HASH_RIGHT);
		ROW_ASSERT(label, verify(text, "correct horsf", &why) == HASH_WRONG);
		ROW_ASSERT(label, hash_new(&s, rows[i].ops, rows[i].mib, again, &why) == 0 && strcmp(text, again) != 0);
	}
}

/* With no memory for it, a right and a wrong password both are "not now". */
static int verify_without_memory(void)
{
	struct rlimit limit = { 32 << 20, 32 << 20 };
	struct why why;
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		return 2;
	for (int i = 0; i < 4; i++) {
		if (verify(i < 2 ? ARGON2ID_64M : ARGON2ID_SODIUM, i % 2 ? "password" : "wrong", &why) != HASH_NO_MEMORY)
			return 3 + i;
		if (why.reason != REASON_AUTH_TEMPORARY)
			return 7;
	}
	struct secret s = secret_of("x");
	char text[HASH_TEXT_MAX + 1];
	return hash_new(&s, 2, 64, text, &why) < 0 && why.reason == REASON_AUTH_TEMPORARY ? 0 : 8;
}

/* Valgrind and the address sanitizer cannot live with so little themselves. */
static bool may_limit_memory(void)
{
#ifdef __SANITIZE_ADDRESS__
	return false;
#else
	return !is_under_valgrind();
#endif
}

static void test_no_memory(void)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(may_limit_memory() ? verify_without_memory() : 0);
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The CPU that a call takes, in microseconds. */
static long long cpu_of_spend(const char *hash)
{
	struct timespec before, after;
	struct secret s = secret_of("secret");
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	struct why why;
	CU_ASSERT(hash_spend(hash, hash == NULL ? 0 : strlen(hash), &s, NULL, &why) == 0);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return (after.tv_sec - before.tv_sec) * 1000000LL + (after.tv_nsec - before.tv_nsec) / 1000;
}

/*
 * That something is spent, not how much: Argon2id over 19 MiB cannot be done in the time that
 * telling a locked record takes, by a factor of hundreds on any host.
 */
static void test_spend(void)
{
	static const char *const rows[] = { NULL, "!", "{PLAIN}x", "{ARGON2ID}" ARGON2ID_64M };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ROW_ASSERT(rows[i] == NULL ? "NULL" : rows[i], cpu_of_spend(rows[i]) > 1000);
}

#define TESTS(X) X(test_schemes) X(test_unusable) X(test_length_and_nul) X(test_longest_password) X(test_cut_password) X(test_new) \
	X(test_no_memory) X(test_spend)
SUITE("hash")
