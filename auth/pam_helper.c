/*
 * pam_helper.c - posternd-pam: asks PAM, or NSS, about one user, then ends.
 * Runs in: a program of its own, as root, started by the keeper for each attempt.
 * Trusts: the request; the modules only as far as a process can: they may hang, crash,
 * exit, leak and change ids here, and it costs this one login.
 *
 * Its exit status says nothing: a module can exit(0).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/pam_wire.h"
#include "base/buf.h"

struct conversation {
	const struct pam_wire_request *request;
	struct buf said;      /* over the result's text */
	unsigned messages;
};

static void note(struct conversation *conversation, const char *text)
{
	struct buf *said = &conversation->said;
	size_t len = strlen(text), left = said->cap - 1 - said->len;
	/* Of a file, such as /etc/nologin, the last line's end comes, too. */
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0)
		return;
	if (said->len > 0 && left > 2) {
		(void)buf_add_text(said, "; ");
		left -= 2;
	}
	(void)buf_add(said, text, len < left ? len : left);
}

static void drop_responses(struct pam_response *responses, int count)
{
	for (int i = 0; i < count; i++) {
		if (responses[i].resp != NULL)
			explicit_bzero(responses[i].resp, strlen(responses[i].resp));
		free(responses[i].resp);
	}
	free(responses);
}

/* What to answer to a message of a module: borrowed, or NULL for one that only tells something. */
static int choose_answer(struct conversation *conversation, const struct pam_message *message, const char **answer_r)
{
	*answer_r = NULL;
	switch (message->msg_style) {
	case PAM_PROMPT_ECHO_OFF: *answer_r = conversation->request->password.text; return PAM_SUCCESS;
	case PAM_PROMPT_ECHO_ON: *answer_r = conversation->request->user; return PAM_SUCCESS;
	case PAM_ERROR_MSG:
	case PAM_TEXT_INFO: note(conversation, message->msg); return PAM_SUCCESS;
	default: return PAM_CONV_ERR;
	}
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses_r, void *context)
{
	struct conversation *conversation = context;
	int code = PAM_SUCCESS;
	if (count <= 0 || count > (int)(PAM_WIRE_MESSAGES_MAX - conversation->messages))
		return PAM_CONV_ERR;
	conversation->messages += (unsigned)count;
	struct pam_response *responses = calloc((size_t)count, sizeof *responses);
	if (responses == NULL)
		return PAM_BUF_ERR;
	*responses_r = responses;  /* the module frees them and the answers in them */
	for (int i = 0; i < count && code == PAM_SUCCESS; i++) {
		const char *answer;
		code = choose_answer(conversation, messages[i], &answer);
		/* asprintf(3) and not strdup(3), whose copies gcc 12's analyzer loses sight of in a loop */
		if (code == PAM_SUCCESS && answer != NULL && asprintf(&responses[i].resp, "%s", answer) < 0) {
			responses[i].resp = NULL;
			code = PAM_BUF_ERR;
		}
	}
	if (code != PAM_SUCCESS) {
		drop_responses(responses, count);
		*responses_r = NULL;
	}
	return code;
}

/* In place of PAM's sleep after a failure: the daemon delays its answer itself, without a process that waits. */
static void no_delay(int code, unsigned microseconds, void *context)
{
	(void)code;
	(void)microseconds;
	(void)context;
}

static int set_items(pam_handle_t *handle, const struct pam_wire_request *request)
{
	/* PAM takes the function as a const void *, which ISO C has no conversion for */
	union { void (*function)(int, unsigned, void *); const void *item; } delay = { .function = no_delay };
	int code = pam_set_item(handle, PAM_FAIL_DELAY, delay.item);
	if (code == PAM_SUCCESS)
		code = pam_set_item(handle, PAM_RHOST, request->remote_host);
	if (code == PAM_SUCCESS)
		code = pam_set_item(handle, PAM_TTY, "pop3");
	return code;
}

static bool is_user_changed(pam_handle_t *handle, const char *user)
{
	const void *now = NULL;
	return pam_get_item(handle, PAM_USER, &now) != PAM_SUCCESS || now == NULL || strcasecmp(now, user) != 0;
}

static void ask(pam_handle_t *handle, const struct pam_wire_request *request, struct pam_wire_result *result)
{
	result->code = set_items(handle, request);
	if (result->code != PAM_SUCCESS)
		return;
	result->stage = PAM_STAGE_AUTHENTICATE;
	result->code = pam_authenticate(handle, PAM_DISALLOW_NULL_AUTHTOK);
	result->user_changed = is_user_changed(handle, request->user);
	if (result->code != PAM_SUCCESS || result->user_changed != 0)
		return;
	result->stage = PAM_STAGE_ACCOUNT;
	result->code = pam_acct_mgmt(handle, PAM_DISALLOW_NULL_AUTHTOK);
	result->user_changed = is_user_changed(handle, request->user);
	if (result->code == PAM_SUCCESS && result->user_changed == 0)
		result->stage = PAM_STAGE_DONE;
}

/* Here and not in the keeper, since a directory service behind NSS can hang as well. */
static void look_up(const struct pam_wire_request *request, struct pam_wire_result *result)
{
	errno = 0;
	const struct passwd *account = request->question == PAM_ASK_UID ? getpwuid(request->uid) : getpwnam(request->user);
	if (account == NULL || strlen(account->pw_dir) >= sizeof result->home || strlen(account->pw_name) >= sizeof result->name) {
		bool missing = account == NULL && (errno == 0 || errno == ENOENT || errno == ESRCH || errno == EBADF || errno == EPERM);
		result->account = missing ? PAM_ACCOUNT_MISSING : PAM_ACCOUNT_UNREADABLE;
		return;
	}
	result->account = PAM_ACCOUNT_THERE;
	result->uid = account->pw_uid;
	result->gid = account->pw_gid;
	memcpy(result->home, account->pw_dir, strlen(account->pw_dir) + 1);
	memcpy(result->name, account->pw_name, strlen(account->pw_name) + 1);
}

/* Ends this process even when the keeper is gone and a module hangs or has changed ids, which clears PDEATHSIG. */
static int set_last_resort(const struct pam_wire_request *request)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec when = { .it_value.tv_sec = (time_t)request->seconds + 1 };
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &when, NULL) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	return getppid() == (pid_t)request->keeper ? 0 : -1;
}

static int receive(struct pam_wire_request *request_r)
{
	ssize_t n = recv(PAM_WIRE_FD, request_r, sizeof *request_r, MSG_TRUNC);
	if (n != (ssize_t)sizeof *request_r || request_r->magic != PAM_WIRE_MAGIC)
		return -1;
	return request_r->password.len <= PASSWORD_MAX && request_r->password.text[request_r->password.len] == '\0' ? 0 : -1;
}

int main(void)
{
	static struct pam_wire_request request;
	static struct pam_wire_result result;
	struct conversation conversation = { .request = &request, .said = BUF_OVER(result.text) };
	const struct pam_conv conv = { .conv = converse, .appdata_ptr = &conversation };
	const struct rlimit no_core = { 0, 0 };
	pam_handle_t *handle = NULL;

	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 || fcntl(PAM_WIRE_FD, F_SETFD, FD_CLOEXEC) < 0)
		return EXIT_FAILURE;
	if (receive(&request) < 0 || set_last_resort(&request) < 0)
		return EXIT_FAILURE;
	result.magic = PAM_WIRE_MAGIC;
	result.nonce = request.nonce;
	result.stage = PAM_STAGE_START;
	result.code = PAM_ABORT;
	if (request.question == PAM_ASK_LOGIN)
		result.code = pam_start(request.service, request.user, &conv, &handle);
	if (result.code == PAM_SUCCESS) {
		ask(handle, &request, &result);
		/* before the result: a module that fails while it tidies up has failed */
		(void)pam_end(handle, result.code);
	}
	secret_wipe(&request.password);
	look_up(&request, &result);
	result.text[sizeof result.text - 1] = '\0';
	return send(PAM_WIRE_FD, &result, sizeof result, MSG_NOSIGNAL) == (ssize_t)sizeof result ? EXIT_SUCCESS : EXIT_FAILURE;
}
