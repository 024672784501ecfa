/*
 * test_pam.c - the PAM back end: every verdict, and modules that hang, crash, exit, fork and lie.
 * Runs in: the tests. The helper, Linux-PAM and the modules are real.
 */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <sys/wait.h>

#include "auth/auth.h"
#include "auth/pam_parts.h"
#include "pam_fixture.h"
#include "tests/unit/suite.h"

enum {
	HANG_SECONDS = 1,       /* for modules that hang on purpose */
	PATIENT_SECONDS = 300,  /* for those that do not: never waited for, whatever the host's load */
	END_MS = 60000,         /* for a process to be gone; it is at once, or after the last resort's two seconds */
};

static struct auth_settings settings;
static char helper[PATH_MAX];

static void begin(const char *arguments)
{
	fixture_make();
	(void)snprintf(helper, sizeof helper, "%s", pam_fixture_helper());
	settings = (struct auth_settings){ .backends = { "pam" }, .pam_service = "test", .pam_helper = helper,
	                                   .helper_seconds = PATIENT_SECONDS };
	pam_fixture_service(arguments);
}

static enum auth_verdict verify(const char *user, const char *password, struct identity *identity_r, struct why *why_r)
{
	struct secret s = secret_of(password);
	struct auth_request request = { .user = user, .password = &s, .remote_host = "2001:db8::7" };
	*why_r = (struct why){ .reason = REASON_NONE };
	memset(identity_r, 0, sizeof *identity_r);
	return auth_pam.verify(&settings, &request, identity_r, why_r);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory != NULL && readdir(directory) != NULL)
		n++;
	(void)closedir(directory);
	return n;
}

/* A row for each code, and what an administrator must be able to rely on in all of them. */
static void test_meanings(void)
{
	for (int code = 0; code < _PAM_RETURN_VALUES; code++) {
		const struct pam_meaning *m = pam_meaning_of(code);
		char label[32];
		(void)snprintf(label, sizeof label, "code %d", code);
		ROW_ASSERT(label, m->code == code && m->text[0] != '\0');
		ROW_ASSERT(label, (m->at_authenticate == AUTH_ACCEPTED) == (code == PAM_SUCCESS));
		ROW_ASSERT(label, (m->at_account == AUTH_ACCEPTED) == (code == PAM_SUCCESS));
		ROW_ASSERT(label, m->at_account != AUTH_REFUSED && m->at_account != AUTH_NOT_HERE);
		ROW_ASSERT(label, (m->at_account == AUTH_FAILED) == (m->reason_at_account == REASON_AUTH_TEMPORARY
		                                                     || m->reason_at_account == REASON_AUTH_SETUP));
		ROW_ASSERT(label, (m->at_authenticate == AUTH_FAILED) == (m->reason_at_authenticate == REASON_AUTH_TEMPORARY
		                                                          || m->reason_at_authenticate == REASON_AUTH_SETUP));
	}
	CU_ASSERT(pam_meaning_of(_PAM_RETURN_VALUES)->code == PAM_ABORT);
	CU_ASSERT(pam_meaning_of(-1)->code == PAM_ABORT);
}

#define PASSES "auth=password:secret"

static void test_verdicts(void)
{
	static const struct {
		const char *arguments, *user, *password;
		enum auth_verdict want;
		enum reason reason;
		int code;
		const char *says, *told;
	} rows[] = {
		{ PASSES, "nobody", "secret", AUTH_ACCEPTED, REASON_NONE, 0, "", "" },
		{ "auth=login:nobody", "nobody", "secret", AUTH_ACCEPTED, REASON_NONE, 0, "", "" },
		{ "auth=leak " PASSES, "nobody", "secret", AUTH_ACCEPTED, REASON_NONE, 0, "", "" },
		{ PASSES, "nobody", "Secret", AUTH_REFUSED, REASON_PASSWORD_WRONG, 7, "pam_authenticate: AUTH_ERR", "" },
		{ PASSES, "no-such-user", "wrong", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 7, "AUTH_ERR", "" },
		{ "auth=10", "nobody", "x", AUTH_NOT_HERE, REASON_USER_UNKNOWN, 10, "USER_UNKNOWN", "" },
		{ "auth=0", "no-such-user", "x", AUTH_FAILED, REASON_AUTH_SETUP, 0, "no account (NSS)", "" },
		{ "auth=9", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 9, "AUTHINFO_UNAVAIL", "" },
		{ "auth=4", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 4, "SYSTEM_ERR", "" },
		{ "auth=5", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 5, "BUF_ERR", "" },
		{ "auth=3", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 3, "SERVICE_ERR", "" },
		{ "auth=26", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 26, "ABORT", "" },
		{ "auth=9", "no-such-user", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 9, "", "" },
		{ "auth=8", "nobody", "x", AUTH_FAILED, REASON_AUTH_SETUP, 8, "CRED_INSUFFICIENT", "" },
		{ "auth=28", "nobody", "x", AUTH_FAILED, REASON_AUTH_SETUP, 28, "MODULE_UNKNOWN", "" },
		{ "auth=11", "nobody", "x", AUTH_REFUSED, REASON_TRIES_EXCEEDED, 11, "MAXTRIES", "" },
		{ "auth=6", "nobody", "x", AUTH_REFUSED, REASON_ACCESS_DENIED, 6, "PERM_DENIED", "" },
		{ "auth=13", "nobody", "x", AUTH_REFUSED, REASON_ACCOUNT_EXPIRED, 13, "ACCT_EXPIRED", "" },
		{ "auth=say:expired auth=13", "nobody", "x", AUTH_REFUSED, REASON_ACCOUNT_EXPIRED, 13, "PAM says: expired", "" },
		{ "acct=13", "nobody", "x", AUTH_BARRED, REASON_ACCOUNT_EXPIRED, 13, "pam_acct_mgmt: ACCT_EXPIRED", "" },
		{ "acct=12", "nobody", "x", AUTH_BARRED, REASON_PASSWORD_EXPIRED, 12, "NEW_AUTHTOK_REQD", "" },
		{ "acct=27", "nobody", "x", AUTH_BARRED, REASON_PASSWORD_EXPIRED, 27, "AUTHTOK_EXPIRED", "" },
		{ "acct=6", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 6, "PERM_DENIED", "" },
		{ "acct=7", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 7, "AUTH_ERR", "" },
		{ "acct=10", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 10, "USER_UNKNOWN", "" },
		{ "acct=9", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 9, "AUTHINFO_UNAVAIL", "" },
		{ "acct=say:Come_back. acct=say:Later. acct=6", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 6,
		  "PAM says: Come_back.; Later.", "Come_back.; Later." },
		/* A line end, as /etc/nologin has them, and here another one that an argument may hold; what is told is escaped where it is sent. */
		{ "acct=say:Closed\rtill_noon.\r\r acct=say:\r acct=say:Later.\f acct=6", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 6,
		  "PAM says: Closed till_noon.; Later.", "Closed till_noon.; Later." },
		{ "auth=say:\x1b[2J\"x\" acct=6", "nobody", "x", AUTH_BARRED, REASON_ACCESS_DENIED, 6, "\\x1b[2J\\x22x\\x22",
		  "\x1b[2J\"x\"" },
		{ PASSES, "Nobody", "secret", AUTH_ACCEPTED, REASON_NONE, 0, "", "" }, { "auth=user:nobody", "NOBODY", "x", AUTH_ACCEPTED, REASON_NONE, 0, "", "" },
		{ "auth=user:root", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "changed the user name", "" },
		{ "acct=user:daemon", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "changed the user name", "" },
		{ "auth=user:daemon auth=7", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "changed the user name", "" },
		{ "auth=flood:x", "nobody", "x", AUTH_FAILED, REASON_AUTH_SETUP, 19, "CONV_ERR", "" },
		{ "auth=misfit:x", "nobody", "x", AUTH_FAILED, REASON_AUTH_SETUP, 19, "CONV_ERR", "" },
		{ "auth=abort", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "crashed: the helper ended of signal 6", "" },
		{ "acct=abort", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "crashed", "" },
		{ "auth=exit:0", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "exit status 0 and no answer", "" },
		{ "acct=exit:0", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "exit status 0 and no answer", "" },
		{ "auth=exit:3", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "exit status 3 and no answer", "" },
		{ "auth=close", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, " answer", "" },
		{ "auth=close auth=sleep", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "without an answer", "" },
		{ "auth=forge:yes", "nobody", "x", AUTH_FAILED, REASON_AUTH_TEMPORARY, 0, "not in its format", "" },
		{ "auth=fail_delay:900000000 auth=7", "nobody", "x", AUTH_REFUSED, REASON_PASSWORD_WRONG, 7, "AUTH_ERR", "" },
	};
	const struct passwd *nobody = getpwnam("nobody");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity;
		struct why why;
		const char *label = rows[i].arguments;
		begin(label);
		unsigned before = open_descriptors();
		ROW_ASSERT(label, verify(rows[i].user, rows[i].password, &identity, &why) == rows[i].want);
		ROW_ASSERT(label, why.reason == rows[i].reason);
		ROW_ASSERT(label, why.err == 0 && why.pam == rows[i].code);
		if (strstr(why.text, rows[i].says) == NULL)
			ROW_TEXT(label, why.text, rows[i].says);
		ROW_TEXT(label, why.told, rows[i].told);
		ROW_ASSERT(label, strstr(why.text, "ecret") == NULL);
		ROW_ASSERT(label, open_descriptors() == before);
		ROW_ASSERT(label, waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
		if (rows[i].want == AUTH_ACCEPTED) {
			ROW_TEXT(label, identity.user, "nobody");
			ROW_TEXT(label, identity.home, nobody->pw_dir);
			ROW_ASSERT(label, identity.uid == nobody->pw_uid && identity.gid == nobody->pw_gid);
		}
		fixture_remove();
	}
}

/* Longer than anybody's buffer: what modules say is cut, and nothing else is harmed. */
static void test_long_messages(void)
{
	static char arguments[1000];
	struct identity identity;
	struct why why;
	(void)snprintf(arguments, sizeof arguments, "acct=say:%0300d acct=say:%0300d acct=13", 1, 2);
	begin(arguments);
	CU_ASSERT(verify("nobody", "x", &identity, &why) == AUTH_BARRED);
	CU_ASSERT(why.reason == REASON_ACCOUNT_EXPIRED);
	CU_ASSERT(strstr(why.text, "PAM says: 000") != NULL);
	CU_ASSERT(strlen(why.told) == WHY_TOLD_MAX - 1);
	fixture_remove();
}

/* The fixture's FIFO is held open by the module and its children: its end is theirs. */
static int open_fifo(void)
{
	CU_ASSERT_FATAL(mkfifo(fixture_path("told"), 0600) == 0);
	int fd = open(fixture_path("told"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

/* A line that the module wrote, or "" at the end. */
static const char *read_fifo(int fd)
{
	static char line[1024];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	CU_ASSERT(poll(&pfd, 1, END_MS) == 1);
	ssize_t n = read(fd, line, sizeof line - 1);
	line[n > 0 ? n : 0] = '\0';
	return n < 0 ? "not at its end" : line;
}

static void begin_telling(const char *arguments, int *fd_r)
{
	static char all[PATH_MAX];
	begin("");
	(void)snprintf(all, sizeof all, "tell=%s %s", fixture_path("told"), arguments);
	pam_fixture_service(all);
	*fd_r = open_fifo();
}

static void finish_telling(int fd)
{
	(void)close(fd);
	fixture_remove();
}

/* What a module gets to see: the items, and a clean process around it. */
static void test_what_a_module_sees(void)
{
	static const char *const parts[] = {
		"service=test", "user=nobody", "rhost=2001:db8::7", "tty=pop3", "umask=077", "leader=1", "null=1",
		"path=/usr/sbin:/usr/bin:/sbin:/bin",
	};
	struct identity identity;
	struct why why;
	int fd;
	begin_telling("", &fd);
	CU_ASSERT(verify("nobody", "x", &identity, &why) == AUTH_ACCEPTED);
	const char *line = read_fifo(fd);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		ROW_ASSERT(parts[i], strstr(line, parts[i]) != NULL);
	finish_telling(fd);
}

/* The helper inherits neither descriptors nor blocked signals nor ignored ones. */
static void test_clean_start(void)
{
	struct identity identity;
	struct why why;
	sigset_t blocked, before;
	int fd, null = open("/dev/null", O_RDONLY), extra = fcntl(null, F_DUPFD, PAM_WIRE_FD + 1); /* without O_CLOEXEC */
	begin_telling("", &fd);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &blocked, &before);
	CU_ASSERT(verify("nobody", "x", &identity, &why) == AUTH_ACCEPTED);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	CU_ASSERT(strstr(read_fifo(fd), "fd4=1 blocked=0") != NULL); /* the module's own file is the fifth */
	(void)close(null);
	(void)close(extra);
	finish_telling(fd);
}

/* Ended at its time, with all that it started. */
static void test_hangs(void)
{
	static const struct {
		const char *arguments;
		enum auth_verdict want;
		const char *says;
	} rows[] = {
		{ "auth=sleep", AUTH_FAILED, "no answer in 1 s" },
		{ "acct=sleep", AUTH_FAILED, "no answer in 1 s" },
		{ "auth=fork auth=sleep", AUTH_FAILED, "no answer in 1 s" },
		{ "auth=fork", AUTH_ACCEPTED, "" },
		{ "auth=fork auth=abort", AUTH_FAILED, "crashed" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity;
		struct why why;
		int fd;
		const char *label = rows[i].arguments;
		begin_telling(label, &fd);
		settings.helper_seconds = strstr(label, "sleep") != NULL ? HANG_SECONDS : PATIENT_SECONDS;
		ROW_ASSERT(label, verify("nobody", "x", &identity, &why) == rows[i].want);
		ROW_ASSERT(label, why.reason == (rows[i].want == AUTH_FAILED ? REASON_AUTH_TEMPORARY : REASON_NONE));
		ROW_ASSERT(label, strstr(why.text, rows[i].says) != NULL);
		ROW_ASSERT(label, strncmp(read_fifo(fd), "service=", 8) == 0);
		ROW_TEXT(label, read_fifo(fd), "");
		ROW_ASSERT(label, waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
		finish_telling(fd);
	}
}

/* A keeper that is killed takes its helper with it, also when a module has changed ids. */
static void test_keeper_dies(void)
{
	static const char *const rows[] = { "auth=sleep", "auth=setuid:65534 auth=sleep" };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd;
		begin_telling(rows[i], &fd);
		settings.helper_seconds = i == 0 ? PATIENT_SECONDS : HANG_SECONDS;
		pid_t keeper = fork();
		if (keeper == 0) {
			struct identity identity;
			struct why why;
			(void)verify("nobody", "x", &identity, &why);
			_exit(0);
		}
		ROW_ASSERT(rows[i], strncmp(read_fifo(fd), "service=", 8) == 0);
		CU_ASSERT(kill(keeper, SIGKILL) == 0);
		CU_ASSERT(waitpid(keeper, NULL, 0) == keeper);
		ROW_TEXT(rows[i], read_fifo(fd), "");
		finish_telling(fd);
	}
}

static void test_no_helper(void)
{
	static const struct {
		const char *content;
		mode_t mode;
		enum reason reason;
		const char *says;
	} rows[] = {
		{ NULL, 0, REASON_AUTH_SETUP, "No such file" },
		{ "#!/bin/sh\n", 0600, REASON_AUTH_SETUP, "Permission denied" },
		{ "#!/no/such/shell\n", 0700, REASON_AUTH_SETUP, "No such file" },
		{ "#!/bin/sh\nexit 0\n", 0700, REASON_AUTH_TEMPORARY, "exit status 0 and no answer" },
		{ "#!/bin/sh\nkill -9 $$\n", 0700, REASON_AUTH_TEMPORARY, "without an answer" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct identity identity;
		struct why why;
		char label[32];
		if (is_under_valgrind() && rows[i].reason == REASON_AUTH_SETUP)
			continue; /* posix_spawn(3) cannot report there what exec said */
		begin("");
		(void)snprintf(label, sizeof label, "%zu", i);
		CU_ASSERT(unlink(helper) == 0);
		if (rows[i].content != NULL)
			fixture_write("helper", rows[i].content, rows[i].mode);
		ROW_ASSERT(label, verify("nobody", "x", &identity, &why) == AUTH_FAILED);
		ROW_ASSERT(label, why.reason == rows[i].reason);
		ROW_ASSERT(label, strstr(why.text, rows[i].says) != NULL);
		fixture_remove();
	}
}

static void test_service_names(void)
{
	static const char *const rows[] = { "", "../test", "/etc/passwd", ".", "a/b" };
	struct identity identity;
	struct why why;
	begin("");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		settings.pam_service = rows[i];
		ROW_ASSERT(rows[i], verify("nobody", "x", &identity, &why) == AUTH_FAILED);
		ROW_ASSERT(rows[i], why.reason == REASON_AUTH_SETUP);
	}
	settings.pam_service = "missing"; /* and no "other" in this directory */
	CU_ASSERT(verify("nobody", "x", &identity, &why) == AUTH_FAILED);
	CU_ASSERT(strstr(why.text, "pam_start") != NULL);
	fixture_remove();
}

static void test_missing_module(void)
{
	struct identity identity;
	struct why why;
	begin("");
	fixture_write("test", "auth required /no/such/module.so\naccount required /no/such/module.so\n", 0600);
	CU_ASSERT(verify("nobody", "x", &identity, &why) == AUTH_FAILED);
	CU_ASSERT(why.reason == REASON_AUTH_SETUP);
	fixture_remove();
}

static void test_lookup(void)
{
	struct identity identity;
	struct why why;
	begin("");
	CU_ASSERT(auth_pam.lookup(&settings, "nobody", &identity, &why) == AUTH_ACCEPTED);
	CU_ASSERT_STRING_EQUAL(identity.user, "nobody");
	CU_ASSERT(auth_pam.lookup(&settings, "no-such-user", &identity, &why) == AUTH_NOT_HERE);
	fixture_remove();
}

static void test_check_service(void)
{
	static const struct {
		const char *service, *text;
		size_t want;
		const char *says;
	} rows[] = {
		{ "test", "auth required pam_unix.so\naccount required pam_unix.so\n", 0, "" },
		{ "test", "auth required pam_unix.so # nullok\naccount required pam_unix.so\n", 0, "" },
		{ "test", "auth required pam_unix.so try_first_pass nullok\naccount required pam_unix.so\n", 1, "line 1: nullok" },
		{ "test", "#\n-auth [success=1 default=ignore] pam_unix.so nullok_secure\naccount required pam_unix.so\n", 1, "line 2: nullok" },
		{ "test", "@include common\naccount required pam_unix.so\n", 1, "common line 1: nullok" },
		{ "test", "auth include common\naccount required pam_unix.so\n", 1, "common line 1: nullok" },
		{ "test", "auth substack common\naccount required pam_unix.so\n", 1, "common line 1: nullok" },
		{ "test", "@include gone\nauth required pam_unix.so\naccount required pam_unix.so\n", 1, "includes gone" },
		{ "test", "@include ../etc/x\nauth required pam_unix.so\naccount required pam_unix.so\n", 1, "includes ../etc/x" },
		{ "test", "@include test\nauth required pam_unix.so\naccount required pam_unix.so\n", 1, "includes test" },
		{ "test", "auth required pam_unix.so\n", 1, "no account line" },
		{ "test", "account required pam_unix.so\n", 1, "no auth line" },
		{ "test", "account required pam_unix.so nullok\nauth required pam_unix.so\n", 0, "" },
		{ "test", "auth required pam_of_nobody.so\naccount required pam_unix.so\n", 1, "line 1: the module pam_of_nobody.so is not installed" },
		{ "test", "auth [success=1 default=ignore] pam_of_nobody.so x=y\naccount required pam_unix.so\n", 1, "the module pam_of_nobody.so" },
		{ "test", "auth [default=ignore] pam_unix.so pam_of_nobody.so\naccount [a=1 b=2] /nonexistent/pam_x.so\n", 1, "line 2: the module /nonexistent/pam_x.so" },
		{ "test", "-auth required pam_of_nobody.so\nauth required pam_unix.so\naccount required pam_unix.so\nsession required pam_of_nobody.so\n", 0, "" },
		{ "test", "auth required pam_unix.so\naccount include common\n", 0, "" },
		{ "second", "", 0, "" },
		{ "gone", "", 1, "is not there, so PAM uses the service \"other\"" },
		{ "a/b", "", 1, "cannot be the name" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct findings findings = { .count = 0 };
		begin("");
		char first[PATH_MAX], second[PATH_MAX];
		(void)snprintf(first, sizeof first, "%s/none", fixture);
		(void)snprintf(second, sizeof second, "%s", fixture);
		const char *const directories[] = { first, second, NULL };
		fixture_write("test", rows[i].text, 0600);
		fixture_write("common", "auth sufficient pam_unix.so nullok\n", 0600);
		fixture_write("second", "auth required pam_unix.so\naccount required pam_unix.so\n", 0600);
		pam_check_service(directories, rows[i].service, findings_add, &findings);
		ROW_ASSERT(rows[i].text, findings.count == rows[i].want);
		ROW_ASSERT(rows[i].text, rows[i].want == 0 || findings_with(&findings, rows[i].says) == 1);
		fixture_remove();
	}
}

static void test_check_helper(void)
{
	static const struct { mode_t mode; const char *says; } rows[] = {
		{ 0755, NULL }, { 0600, "cannot be executed" }, { 0775, "can be written" }, { 0757, "can be written" },
	};
	for (size_t i = 0; i <= sizeof rows / sizeof rows[0]; i++) {
		static struct findings findings;
		bool is_gone = i == sizeof rows / sizeof rows[0];
		const char *says = is_gone ? "is not there" : rows[i].says;
		findings.count = 0;
		begin("");
		CU_ASSERT(is_gone ? unlink(helper) == 0 : chmod(helper, rows[i].mode) == 0);
		auth_pam.check(&settings, findings_add, &findings);
		ROW_ASSERT(says == NULL ? "good" : says, findings_with(&findings, "PAM helper") == (says == NULL ? 0 : 1));
		ROW_ASSERT(says == NULL ? "good" : says, says == NULL || findings_with(&findings, says) >= 1);
		fixture_remove();
	}
	struct findings findings = { .count = 0 };
	begin("");
	settings.pam_helper = fixture;
	auth_pam.check(&settings, findings_add, &findings);
	CU_ASSERT(findings_with(&findings, "is not a regular file") == 1);
	fixture_remove();
}

#define TESTS(X) X(test_meanings) X(test_verdicts) X(test_long_messages) X(test_what_a_module_sees) X(test_clean_start) \
	X(test_hangs) X(test_keeper_dies) X(test_no_helper) X(test_service_names) X(test_missing_module) X(test_lookup) \
	X(test_check_service) X(test_check_helper)
SUITE("pam")
