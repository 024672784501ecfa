/*
 * test_passwd_file.c - the passwd file back end: lines, owners, refusals, and what is said of a file at the start.
 * Runs in: the tests; some rows need root and are left out without.
 */
#include <pwd.h>

#include "auth/passwd_records.h"
#include "passwd_fixture.h"

static void test_records(void)
{
	static const struct {
		const char *user, *password;
		enum auth_verdict want;
		enum reason reason;
		unsigned uid, gid;
		const char *home, *says;
	} rows[] = {
		{ "full", "secret", AUTH_ACCEPTED, REASON_NONE, 1001, 1002, "/home/full", "" },
		{ "full", "wrong", AUTH_REFUSED, REASON_PASSWORD_WRONG, 0, 0, "", "line 3" },
		{ "prefixed", "secret", AUTH_ACCEPTED, REASON_NONE, 1003, 1004, "", "" },
		{ "dovecot", "secret", AUTH_ACCEPTED, REASON_NONE, 1005, 1006, "/srv/d", "" },
		{ "short", "secret", AUTH_ACCEPTED, REASON_NONE, 65534, 65534, "", "" },
		{ "colon", "secret", AUTH_ACCEPTED, REASON_NONE, 65534, 65534, "", "" },
		{ "homeonly", "secret", AUTH_ACCEPTED, REASON_NONE, 65534, 65534, "/srv/mail/homeonly", "" },
		{ "with space", "secret", AUTH_ACCEPTED, REASON_NONE, 1007, 1008, "", "" },
		{ "user@example.org", "secret", AUTH_ACCEPTED, REASON_NONE, 1009, 1010, "", "" },
		{ "twice", "secret", AUTH_ACCEPTED, REASON_NONE, 1011, 1012, "", "" },
		{ "last", "secret", AUTH_ACCEPTED, REASON_NONE, 1013, 1014, "", "" },
		{ "fullx", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "ful", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "Full", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "#comment", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "full:" SECRET, "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "nocolon", "secret", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 0, 0, "", "" },
		{ "locked", "secret", AUTH_REFUSED, REASON_ACCOUNT_LOCKED, 0, 0, "", "line 15" },
		{ "none", "secret", AUTH_REFUSED, REASON_ACCOUNT_LOCKED, 0, 0, "", "" },
		{ "plain", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "PLAIN" },
		{ "dear", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "costs more" },
		{ "baduid", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "line 19: the uid is not a number" },
		{ "badgid", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "the gid is not a number" },
		{ "biguid", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "the uid is not a number" },
		{ "gidonly", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "a gid but no uid" },
		{ "badhome", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "the home" },
		{ "dos", "secret", AUTH_FAILED, REASON_AUTH_SETUP, 0, 0, "", "DOS line end" },
	};
	begin("# users\n\n"
	      "full:" SECRET ":1001:1002:Full Name:/home/full:/bin/sh\n"
	      "prefixed:{SHA512-CRYPT}" SECRET ":1003:1004::\n"
	      "dovecot:{CRYPT}" SECRET ":1005:1006::/srv/d::userdb_mail=maildir:~/Maildir allow_nets=::1\n"
	      "short:" SECRET "\n"
	      "colon:" SECRET ":\n"
	      "homeonly:" SECRET "::::/srv/mail/homeonly:\n"
	      "with space:" SECRET ":1007:1008\n"
	      "user@example.org:" SECRET ":1009:1010\n"
	      "twice:" SECRET ":1011:1012\n"
	      "twice:*:1:1\n"
	      "#comment:" SECRET ":1001:1002\n"
	      "nocolon\n"
	      "locked:!" SECRET ":1001:1002\n"
	      "none::1001:1002\n"
	      "plain:{PLAIN}secret:1001:1002\n"
	      "dear:$argon2id$v=19$m=8388608,t=2,p=1$c29tZXNhbHQ$CTFh:1001:1002\n"
	      "baduid:" SECRET ":1x:1002\n"
	      "badgid:" SECRET ":1001:-1\n"
	      "biguid:" SECRET ":4294967295:1002\n"
	      "gidonly:" SECRET "::1002\n"
	      "badhome:" SECRET ":1001:1002::home\n"
	      "dos:" SECRET ":1001:1002\r\n"
	      ":" SECRET ":1001:1002\n"
	      "last:" SECRET ":1013:1014");
	settings.virtual_user = "nobody";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity = { .uid = 0 };
		struct why why;
		ROW_ASSERT(rows[i].user, verify(rows[i].user, rows[i].password, &identity, &why) == rows[i].want);
		ROW_ASSERT(rows[i].user, why.reason == rows[i].reason);
		ROW_ASSERT(rows[i].user, strstr(why.text, rows[i].says) != NULL);
		ROW_ASSERT(rows[i].user, strstr(why.text, "secret") == NULL);
		if (rows[i].want != AUTH_ACCEPTED)
			continue;
		ROW_TEXT(rows[i].user, identity.user, rows[i].user);
		ROW_ASSERT(rows[i].user, identity.uid == rows[i].uid && identity.gid == rows[i].gid);
		ROW_TEXT(rows[i].user, identity.home, rows[i].home);
	}
	fixture_remove();
}

static void test_lookup(void)
{
	struct identity identity;
	struct why why;
	begin("a:*:1001:1002::/home/a\nbad:*:x\n");
	CU_ASSERT(auth_passwd_file.lookup(&settings, "a", &identity, &why) == AUTH_ACCEPTED);
	CU_ASSERT_STRING_EQUAL(identity.user, "a");
	CU_ASSERT(auth_passwd_file.lookup(&settings, "b", &identity, &why) == AUTH_NOT_HERE);
	CU_ASSERT(auth_passwd_file.lookup(&settings, "bad", &identity, &why) == AUTH_FAILED);
	fixture_remove();
}

/* Whose rights a session gets, for each way to leave it open. */
static void test_owner(void)
{
	static const struct {
		const char *user, *virtual_user;
		enum auth_verdict want;
		const char *account;  /* uid and gid are this account's */
		int takes_home;
		const char *says;
	} rows[] = {
		{ "daemon", "", AUTH_ACCEPTED, "daemon", 1, "" },
		{ "daemon", NULL, AUTH_ACCEPTED, "daemon", 1, "" },
		{ "daemon", "nobody", AUTH_ACCEPTED, "nobody", 0, "" },
		{ "virtual", "nobody", AUTH_ACCEPTED, "nobody", 0, "" },
		{ "virtual", "", AUTH_FAILED, NULL, 0, "set virtual_user" },
		{ "virtual", "no-such-account", AUTH_FAILED, NULL, 0, "virtual_user has to exist" },
		{ "uidonly", "", AUTH_ACCEPTED, "nobody", 0, "" },
		{ "uidnone", "", AUTH_FAILED, NULL, 0, "give a gid" },
	};
	begin("daemon:" SECRET "\nvirtual:" SECRET ":::\nuidonly:" SECRET ":65534\nuidnone:" SECRET ":4000000123\n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity = { .uid = 0 };
		struct why why;
		char label[64];
		(void)snprintf(label, sizeof label, "%s/%s", rows[i].user, rows[i].virtual_user == NULL ? "-" : rows[i].virtual_user);
		settings.virtual_user = rows[i].virtual_user;
		ROW_ASSERT(label, verify(rows[i].user, "secret", &identity, &why) == rows[i].want);
		ROW_ASSERT(label, strstr(why.text, rows[i].says) != NULL);
		if (rows[i].account == NULL)
			continue;
		const struct passwd *account = getpwnam(rows[i].account);
		ROW_ASSERT(label, account != NULL && identity.uid == account->pw_uid && identity.gid == account->pw_gid);
		ROW_TEXT(label, identity.user, rows[i].user);
		ROW_TEXT(label, identity.home, rows[i].takes_home && account != NULL ? account->pw_dir : "");
	}
	fixture_remove();
}

static void test_refused_files(void)
{
	static const struct {
		mode_t mode;
		enum auth_verdict want;
		const char *says;
	} rows[] = {
		{ 0600, AUTH_ACCEPTED, "" }, { 0400, AUTH_ACCEPTED, "" }, { 0640, AUTH_ACCEPTED, "" }, { 0440, AUTH_ACCEPTED, "" },
		{ 0644, AUTH_FAILED, "chmod o=" }, { 0604, AUTH_FAILED, "chmod o=" }, { 0602, AUTH_FAILED, "chmod o=" },
		{ 0660, AUTH_FAILED, "chmod g-w" }, { 0620, AUTH_FAILED, "chmod g-w" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity;
		struct why why;
		char label[16];
		begin(NULL);
		fixture_write("passwd", "a:" SECRET ":1001:1002\n", rows[i].mode);
		(void)snprintf(label, sizeof label, "%04o", (unsigned)rows[i].mode);
		ROW_ASSERT(label, verify("a", "secret", &identity, &why) == rows[i].want);
		ROW_ASSERT(label, why.reason == (rows[i].want == AUTH_FAILED ? REASON_AUTH_SETUP : REASON_NONE));
		ROW_ASSERT(label, strstr(why.text, rows[i].says) != NULL);
		fixture_remove();
	}
}

static enum auth_verdict verify_here(const char **says_r)
{
	static struct why why;
	struct identity identity;
	enum auth_verdict verdict = verify("a", "secret", &identity, &why);
	*says_r = why.text;
	return verdict;
}

static void test_other_files(void)
{
	const char *says;

	begin(NULL);
	/* Missing: nobody is in it. But where nobody else is asked, no user is to blame. */
	settings.backends[0] = "passwd-file";
	settings.backends[1] = "pam";
	CU_ASSERT(verify_here(&says) == AUTH_NOT_HERE);
	settings.backends[1] = NULL;
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "is not there") != NULL);

	fixture_write("real", "a:" SECRET ":1001:1002\n", 0600);
	CU_ASSERT(symlink(fixture_path("real"), fixture_path("passwd")) == 0);
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "symbolic link") != NULL);
	CU_ASSERT(unlink(fixture_path("passwd")) == 0);

	CU_ASSERT(mkfifo(fixture_path("passwd"), 0600) == 0);
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "regular file") != NULL);
	CU_ASSERT(unlink(fixture_path("passwd")) == 0);

	CU_ASSERT(mkdir(fixture_path("passwd"), 0700) == 0);
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "regular file") != NULL);
	CU_ASSERT(rmdir(fixture_path("passwd")) == 0);

	fixture_write("passwd", "", 0600);
	CU_ASSERT(verify_here(&says) == AUTH_NOT_HERE);
	CU_ASSERT(truncate(fixture_path("passwd"), PASSWD_FILE_MAX + 1L) == 0);
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "larger than") != NULL);

	if (geteuid() == 0) {
		fixture_write("passwd", "a:" SECRET ":1001:1002\n", 0600);
		CU_ASSERT(chown(fixture_path("passwd"), 1001, 0) == 0);
		CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "belongs neither") != NULL);
	}

	settings.passwd_file = strcat(file, "/x"); /* beneath a file */
	CU_ASSERT(verify_here(&says) == AUTH_FAILED && strstr(says, "Not a directory") != NULL);
	fixture_remove();
}

/* Lines that no tool writes: the parser's own limits. */
static void test_parser(void)
{
	static char long_line[PASSWD_LINE_MAX + 8], long_name[USER_NAME_MAX + 8], long_home[PATH_MAX + 32];
	const struct {
		const char *label, *line;
		size_t len;
		enum record_kind want;
	} rows[] = {
		{ "empty", "", 0, RECORD_COMMENT }, { "comment", "#x:y", 4, RECORD_COMMENT },
		{ "name only", "name", 4, RECORD_BAD }, { "two fields", "name:", 5, RECORD_GOOD },
		{ "no name", ":x", 2, RECORD_BAD }, { "slash", "a/b:x", 5, RECORD_BAD }, { "dot", ".:x", 3, RECORD_BAD },
		{ "dots", "..:x", 4, RECORD_BAD }, { "three dots", "...:x", 5, RECORD_GOOD }, { "blank first", " a:x", 4, RECORD_BAD },
		{ "blank last", "a :x", 4, RECORD_BAD }, { "NUL", "a\0:x", 4, RECORD_BAD }, { "tab", "a\tb:x", 5, RECORD_BAD },
		{ "DEL", "a:x\x7f", 4, RECORD_BAD }, { "UTF-8", "m\xc3\xbcller:x", 9, RECORD_GOOD },
		{ "long line", long_line, PASSWD_LINE_MAX + 1, RECORD_BAD }, { "longest line", long_line, PASSWD_LINE_MAX, RECORD_GOOD },
		{ "long name", long_name, USER_NAME_MAX + 3, RECORD_BAD }, { "longest name", long_name + 1, USER_NAME_MAX + 2, RECORD_GOOD },
		{ "long home", long_home, PATH_MAX + 6, RECORD_BAD }, { "longest home", long_home, PATH_MAX + 5, RECORD_GOOD },
		{ "largest uid", "a:x:4294967294:4294967294", 25, RECORD_GOOD }, { "uid -1", "a:x:4294967295:1", 16, RECORD_BAD },
		{ "uid overflow", "a:x:18446744073709551616:1", 26, RECORD_BAD },
	};
	memset(long_line, 'x', sizeof long_line);
	memcpy(long_line, "a:x:::", 6);
	memset(long_name, 'n', USER_NAME_MAX + 1);
	memcpy(long_name + USER_NAME_MAX + 1, ":x", 2);
	memset(long_home, 'h', sizeof long_home);
	memcpy(long_home, "a::::/", 6);  /* an empty comment: the home is field 5 */
	memcpy(long_home, "a:::::/", 7);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct passwd_record record;
		const char *problem;
		enum record_kind kind = passwd_record_parse((struct text){ rows[i].line, rows[i].len }, &record, &problem);
		ROW_ASSERT(rows[i].label, kind == rows[i].want);
		ROW_ASSERT(rows[i].label, (problem != NULL) == (kind == RECORD_BAD));
	}
}

static void test_check(void)
{
	static const struct { const char *says; unsigned times; } rows[] = {
		{ "line 2: there is no colon", 1 }, { "line 3: the uid is not a number", 1 }, { "(PLAIN) is of a scheme that is not accepted here; give a new password with postern passwd set plain", 1 },
		{ "DES-CRYPT is cheap", 1 }, { "stands already in line 1", 1 }, { "stands already in line 6", 1 }, { "uid 0 is refused", 1 },
		{ "uid 999 is refused; minimum_uid is 1000", 1 }, { "give a gid", 1 }, { "set virtual_user", 1 },
	};
	struct findings findings = { .count = 0 };
	begin("good:" SECRET ":1001:1002\nbad\nworse:x:y\nplain:{PLAIN}secret:1001:1002\ndes:abNANd1rDfiNc:1001:1002\n"
	      "good:x:1001:1002\ngood:x:1001:1002\nzero:x:0:0\nlow:x:999:999\nnogid:x:4000000123\nnobodyhere:x\n#\n\n");
	auth_passwd_file.check(&settings, findings_add, &findings);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ROW_ASSERT(rows[i].says, findings_with(&findings, rows[i].says) == rows[i].times);
	CU_ASSERT(findings.count == sizeof rows / sizeof rows[0]);
	CU_ASSERT(findings_with(&findings, "secret") == 0 && findings_with(&findings, SECRET) == 0);

	findings.count = 0;
	fixture_write("passwd", "good:" SECRET ":1001:1002\nlocked:*:1001:1002\n", 0600);
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 0);

	fixture_write("passwd", "good:" SECRET ":1001:1002\nGood:*:1001:1002\ngood@other.example:*:1001:1002\ngood@example.org:*:1001:1002\n", 0600);
	settings.lowercase = true;
	settings.local_domains = "example.org";
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 2);
	CU_ASSERT(findings_with(&findings, "line 2: nobody can log in as Good, since user_names and local_domains make good of it") == 1);
	CU_ASSERT(findings_with(&findings, "line 4: nobody can log in as good@example.org") == 1);
	settings.lowercase = false;
	settings.local_domains = NULL;
	findings.count = 0;
	fixture_write("passwd", "good:" SECRET ":1001:1002\nlocked:*:1001:1002\n", 0600);

	settings.virtual_user = "no-such-account";
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 1 && findings_with(&findings, "virtual_user no-such-account") == 1);
	settings.virtual_user = "";

	findings.count = 0;
	CU_ASSERT(chmod(settings.passwd_file, 0644) == 0);
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 1 && findings_with(&findings, "chmod o=") == 1);

	findings.count = 0;
	CU_ASSERT(unlink(settings.passwd_file) == 0);
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 1 && findings_with(&findings, "is not there; create it") == 1);
	fixture_remove();
}

static void test_check_is_bounded(void)
{
	enum { BAD = 100 };
	static char text[BAD * 8];
	struct findings findings = { .count = 0 };
	size_t len = 0;
	for (int i = 0; i < BAD; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "bad%d\n", i);
	begin(text);
	auth_passwd_file.check(&settings, findings_add, &findings);
	CU_ASSERT(findings.count == 21);
	CU_ASSERT(findings_with(&findings, "80 more findings") == 1);
	fixture_remove();
}

/* The record that the password "secret" is right for. */
static uint64_t record_of(const char *user)
{
	struct secret right = secret_of("secret");
	const struct auth_request request = { .user = user, .password = &right, .remote_host = "192.0.2.1" };
	struct identity identity;
	struct why why;
	CU_ASSERT_FATAL(auth_passwd_file.verify(&settings, &request, &identity, &why) == AUTH_ACCEPTED && identity.record != 0);
	return identity.record;
}

/* A password that was right a short while ago, for that very record: its hash is spared, and nothing else. */
static void test_proven(void)
{
	static const struct { const char *user, *of; enum auth_verdict want; } rows[] = {
		{ "good", "good", AUTH_ACCEPTED }, { "good", NULL, AUTH_REFUSED }, { "good", "other", AUTH_REFUSED }, { "locked", "good", AUTH_REFUSED },
		{ "nobody", "good", AUTH_NOT_HERE }, { "plain", "good", AUTH_FAILED },
	};
	struct identity identity;
	struct why why;
	struct secret another = secret_of("another");
	struct auth_request request = { .password = &another, .remote_host = "192.0.2.1" };
	begin("good:" SECRET ":1001:1002\nother:" SECRET ":1001:1002\nlocked:!" SECRET ":1001:1002\nplain:{PLAIN}another:1001:1002\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		request.user = rows[i].user;
		request.proven = rows[i].of != NULL ? record_of(rows[i].of) : 0;
		ROW_ASSERT(rows[i].user, auth_passwd_file.verify(&settings, &request, &identity, &why) == rows[i].want);
		ROW_ASSERT(rows[i].user, rows[i].want != AUTH_ACCEPTED || (identity.uid == 1001 && identity.gid == 1002));
	}
	request.user = "good";
	request.proven = record_of("good");
	fixture_remove();
	/* The same user, with another hash: the proof is worth nothing. */
	begin("good:$6$rounds=1000$saltstrung$MarRO3qqaNmKuGAbHrG47N4TmxGpQsjIkjnl2jBY8iz/qAXBtkAWkouia75lTtaXXsM.9zulHk2pb4q2ATTzP/:1001:1002\n");
	CU_ASSERT(auth_passwd_file.verify(&settings, &request, &identity, &why) == AUTH_REFUSED);
	fixture_remove();
}

static bool is_text(struct text line, const void *context)
{
	const struct text *want = context;
	return line.len == want->len && memcmp(line.p, want->p, line.len) == 0;
}

/* A file of many pieces, whose borders fall anywhere in lines, and lines that are longer than one: each is found as it is, by its number. */
static void test_pieces(void)
{
	enum { USERS = 700, LONG = 40000 };
	static char text[USERS * 220 + 2 * LONG];
	struct passwd_image image;
	struct why why;
	struct text line;
	size_t len = 0;
	for (int i = 0; i < USERS; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "user%d:*:1001:1002:%.*s\n", i, i % 190, SECRET SECRET);
		if (i == 5 || i == USERS - 5)
			len += (size_t)snprintf(text + len, sizeof text - len, "long%d:%0*d\n", i, LONG, 0);
	}
	text[--len] = '\0'; /* the last line has no end */
	begin(text);
	CU_ASSERT_FATAL(passwd_image_read(file, true, &image, &why) == 0 && image.len == len);
	struct passwd_lines lines = { .rest = { image.data, image.len } };
	while (passwd_line_next(&lines, &line)) {
		struct passwd_line found;
		char label[32];
		(void)snprintf(label, sizeof label, "line %u", lines.line);
		ROW_ASSERT(label, passwd_line_find(file, true, is_text, &line, &found, &why) == 1);
		ROW_ASSERT(label, found.number == lines.line && found.len == line.len);
		passwd_line_free(&found);
	}
	CU_ASSERT(lines.line == USERS + 2);
	passwd_image_free(&image);
	struct identity identity;
	CU_ASSERT(auth_passwd_file.lookup(&settings, "long5", &identity, &why) == AUTH_FAILED && strstr(why.text, "line 7: the line is too long") != NULL);
	CU_ASSERT(auth_passwd_file.lookup(&settings, "user699", &identity, &why) == AUTH_ACCEPTED);
	CU_ASSERT(auth_passwd_file.lookup(&settings, "user700", &identity, &why) == AUTH_NOT_HERE);
	fixture_remove();
}

#define TESTS(X) X(test_records) X(test_lookup) X(test_owner) X(test_refused_files) X(test_other_files) X(test_parser) \
	X(test_check) X(test_check_is_bounded) X(test_proven) X(test_pieces)
SUITE("passwd-file")
