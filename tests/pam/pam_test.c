/*
 * pam_test.c - a PAM module that does what its arguments say: passes, refuses, misbehaves.
 * Runs in: the PAM helper, in tests only. Trusts: its arguments.
 *
 *   auth=DEED acct=DEED   what to do at each stage, in order; a number is a return code
 *   tell=FILE             write what the module was given to FILE, and keep it open
 */
#include <fcntl.h>
#include <security/pam_appl.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_DECIDED = -1, MESSAGES_TOO_MANY = 33, LEAK = 1 << 20 };

static void sleep_forever(void)
{
	for (;;)
		(void)pause();
}

static int ask(pam_handle_t *handle, int style, const char *text, char **answer_r)
{
	return pam_prompt(handle, style, answer_r, "%s", text);
}

/* password=X: the password is X, asked for without echo. */
static int deed_password(pam_handle_t *handle, const char *want)
{
	char *got = NULL;
	int code = ask(handle, PAM_PROMPT_ECHO_OFF, "Password: ", &got);
	bool is_right = code == PAM_SUCCESS && got != NULL && strcmp(got, want) == 0;
	free(got);
	return code != PAM_SUCCESS ? code : is_right ? NOT_DECIDED : PAM_AUTH_ERR;
}

/* login=X: the name that is given with echo is X. */
static int deed_login(pam_handle_t *handle, const char *want)
{
	char *got = NULL;
	int code = ask(handle, PAM_PROMPT_ECHO_ON, "login: ", &got);
	bool is_right = code == PAM_SUCCESS && got != NULL && strcmp(got, want) == 0;
	free(got);
	return code != PAM_SUCCESS ? code : is_right ? NOT_DECIDED : PAM_AUTH_ERR;
}

static int deed_user(pam_handle_t *handle, const char *name)
{
	return pam_set_item(handle, PAM_USER, name) == PAM_SUCCESS ? NOT_DECIDED : PAM_SYSTEM_ERR;
}

static int deed_say(pam_handle_t *handle, const char *text)
{
	return ask(handle, PAM_ERROR_MSG, text, NULL) == PAM_SUCCESS ? NOT_DECIDED : PAM_CONV_ERR;
}

static int deed_flood(pam_handle_t *handle, const char *text)
{
	for (int i = 0; i < MESSAGES_TOO_MANY; i++) {
		int code = ask(handle, PAM_TEXT_INFO, text, NULL);
		if (code != PAM_SUCCESS)
			return code;
	}
	return NOT_DECIDED;
}

static int deed_misfit(pam_handle_t *handle, const char *text)
{
	return ask(handle, PAM_RADIO_TYPE, text, NULL);
}

static int deed_sleep(pam_handle_t *handle, const char *text)
{
	(void)handle;
	(void)text;
	sleep_forever();
	return PAM_SUCCESS;
}

static int deed_abort(pam_handle_t *handle, const char *text)
{
	(void)handle;
	(void)text;
	abort();
}

static int deed_exit(pam_handle_t *handle, const char *status)
{
	(void)handle;
	exit(status[0] - '0');
}

/* A child that outlives its parent, unless somebody ends it. */
static int deed_fork(pam_handle_t *handle, const char *text)
{
	(void)handle;
	(void)text;
	if (fork() == 0)
		sleep_forever();
	return NOT_DECIDED;
}

static int deed_close(pam_handle_t *handle, const char *text)
{
	(void)handle;
	(void)text;
	for (int fd = 0; fd < 64; fd++)
		(void)close(fd);
	return NOT_DECIDED;
}

/* An answer of the module's own on the helper's channel. */
static int deed_forge(pam_handle_t *handle, const char *text)
{
	(void)handle;
	return write(3, text, strlen(text)) < 0 ? PAM_SYSTEM_ERR : NOT_DECIDED;
}

static int deed_setuid(pam_handle_t *handle, const char *uid)
{
	(void)handle;
	return setuid((uid_t)strtoul(uid, NULL, 10)) == 0 ? NOT_DECIDED : PAM_SYSTEM_ERR;
}

static int deed_leak(pam_handle_t *handle, const char *text)
{
	(void)handle;
	(void)text;
	static char *leak;
	leak = malloc(LEAK);
	if (leak != NULL)
		memset(leak, 1, LEAK);
	return leak == NULL ? PAM_BUF_ERR : NOT_DECIDED;
}

static int deed_fail_delay(pam_handle_t *handle, const char *microseconds)
{
	return pam_fail_delay(handle, (unsigned)strtoul(microseconds, NULL, 10)) == PAM_SUCCESS ? NOT_DECIDED : PAM_SYSTEM_ERR;
}

static const struct deed {
	const char *name;  /* "name" or "name:ARGUMENT" */
	int (*run)(pam_handle_t *handle, const char *argument);
} deeds[] = {
	{ "password", deed_password }, { "login", deed_login }, { "user", deed_user }, { "say", deed_say },
	{ "flood", deed_flood }, { "misfit", deed_misfit }, { "sleep", deed_sleep }, { "abort", deed_abort },
	{ "exit", deed_exit }, { "fork", deed_fork }, { "close", deed_close }, { "forge", deed_forge },
	{ "setuid", deed_setuid }, { "leak", deed_leak }, { "fail_delay", deed_fail_delay },
};

static int run(pam_handle_t *handle, const char *text)
{
	if (text[0] >= '0' && text[0] <= '9')
		return (int)strtol(text, NULL, 10);
	size_t len = strcspn(text, ":");
	for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
		if (strlen(deeds[i].name) == len && strncmp(deeds[i].name, text, len) == 0)
			return deeds[i].run(handle, text[len] == ':' ? text + len + 1 : "");
	return PAM_SERVICE_ERR;
}

static const char *item(pam_handle_t *handle, int type)
{
	const void *value = NULL;
	(void)pam_get_item(handle, type, &value);
	return value == NULL ? "-" : value;
}

static void tell(pam_handle_t *handle, const char *path)
{
	char text[1024];
	int variables = 0;
	struct stat null_st = { .st_rdev = 0 };
	while (environ[variables] != NULL)
		variables++;
	(void)fstat(0, &null_st);
	mode_t mask = umask(077);
	sigset_t blocked;
	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof text, "service=%s user=%s rhost=%s tty=%s umask=%03o leader=%d null=%d fd4=%d blocked=%d path=%s\n",
	                 item(handle, PAM_SERVICE), item(handle, PAM_USER), item(handle, PAM_RHOST), item(handle, PAM_TTY),
	                 (unsigned)mask, getsid(0) == getpid(), S_ISCHR(null_st.st_mode), fd == 4,
	                 sigismember(&blocked, SIGTERM), getenv("PATH"));
	if (fd >= 0 && n > 0)
		(void)!write(fd, text, (size_t)n);
}

static int act(pam_handle_t *handle, const char *stage, int argc, const char **argv)
{
	size_t len = strlen(stage);
	for (int i = 0; i < argc; i++) {
		int code = NOT_DECIDED;
		if (strncmp(argv[i], "tell=", 5) == 0 && strcmp(stage, "auth=") == 0)
			tell(handle, argv[i] + 5);
		else if (strncmp(argv[i], stage, len) == 0)
			code = run(handle, argv[i] + len);
		if (code != NOT_DECIDED)
			return code;
	}
	return PAM_SUCCESS;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv)
{
	(void)flags;
	return act(handle, "auth=", argc, argv);
}

int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int argc, const char **argv)
{
	(void)flags;
	return act(handle, "acct=", argc, argv);
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int argc, const char **argv)
{
	(void)handle;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
