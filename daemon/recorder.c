/*
 * recorder.c - keeps the history, makes references, counts wrong doors.
 * Runs in: recorder, with the rights of the gates' user; the first half in the master, as root.
 * Trusts: the master; of everybody else only what the kernel says of them.
 */
#include "daemon/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/attempt.h"
#include "daemon/door_count.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/recorder_answer.h"
#include "daemon/rpc.h"
#include "daemon/sandbox.h"

enum {
	RECORDS_AT_ONCE = 256,
	REFS_AT_ONCE = 256,
	REFS_PIPE = 16384,           /* octets: what lies ready for whoever needs a reference */
	ANSWERS_LOOK_MS = 100,       /* how often to look whether an answer is over; and a pause after accept(2) failed */
};

/* ---- in the master ---- */

static int open_listener(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (strlen(path) >= sizeof address.sun_path) {
		log_line(LOG_ERR, "history_socket = %s: the path is too long; users cannot ask postern explain", path);
	} else if (fd >= 0) {
		struct stat st;
		memcpy(address.sun_path, path, strlen(path) + 1);
		/* The one of a server before. */
		if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
			(void)unlink(path);
		/* Everybody may ask; what is answered depends on who it is. */
		if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && chmod(path, 0666) == 0 && listen(fd, QUESTIONS_MAX) == 0)
			return fd;
		log_line(LOG_ERR, "history_socket = %s: %s; users cannot ask postern explain", path, strerror(errno));
	}
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void open_link(struct recorder *r)
{
	int pair[2], pipes[2];
	const int on = 1;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	if (setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
		fatal("SO_PASSCRED");
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0)
		fatal("pipe2");
	(void)fcntl(pipes[1], F_SETPIPE_SZ, REFS_PIPE);
	r->records = pair[0];
	r->refs = pipes[1];
	r->link = (struct recorder_link){ .records = pair[1], .refs = pipes[0] };
	recorder_connect(&r->link);
}

static void open_history(struct recorder *r, const struct settings *settings)
{
	const char *path;
	if (history_open(&r->history, settings->history_directory, settings->history, true, &path) != 0)
		log_line(LOG_ERR, "%s: %s; postern explain and postern log will lack what is written there", path, strerror(errno));
	r->listener = open_listener(settings->history_socket);
}

void recorder_open(struct recorder *r, const struct settings *settings, uid_t uid, gid_t gid)
{
	*r = NO_RECORDER_YET;
	r->uid = uid;
	r->gid = gid;
	open_link(r);
	open_history(r, settings);
}

/* It must not write to files that another one is made of: the one before has ended. */
static void open_wanted(struct recorder *r)
{
	history_close(&r->history);
	if (r->listener >= 0)
		(void)close(r->listener);
	open_history(r, r->wanted);
	r->wanted = NULL;
	r->due = now_ms();
}

bool recorder_settings_differ(const struct settings *a, const struct settings *b)
{
	return a->log_target != b->log_target || a->log_level != b->log_level || a->history != b->history ||
		strcmp(a->history_directory, b->history_directory) != 0 || strcmp(a->history_socket, b->history_socket) != 0;
}

void recorder_renew(struct recorder *r, const struct settings *settings)
{
	if (r->records < 0)
		return;
	recorder_dismiss(r);
	r->wanted = settings;
	if (r->pid == 0)
		open_wanted(r);
}

static void lose(struct recorder *r, int status)
{
	log_line(LOG_CRIT, "the recorder ended (wait status %#x); starting another", (unsigned)status);
	(void)close(r->alive);
	r->alive = -1;
	r->due = now_ms() + RECORDER_PAUSE_MS;
}

bool recorder_reaped(struct recorder *r, pid_t pid, int status)
{
	if (r->pid == 0 || pid != r->pid)
		return false;
	r->pid = 0;
	if (r->wanted != NULL)
		open_wanted(r);
	else if (r->alive >= 0)
		lose(r, status);
	return true;
}

void recorder_dismiss(struct recorder *r)
{
	if (r->alive >= 0)
		(void)close(r->alive);
	r->alive = -1;
	r->due = 0;
	r->wanted = NULL;
}

/* ---- in the recorder ---- */

/* As many references as fit, so that nobody waits for one. */
static void fill_refs(struct recorder *r)
{
	uint32_t refs[REFS_AT_ONCE];
	for (size_t i = 0; i < REFS_AT_ONCE; i++)
		refs[i] = history_take_ref(&r->history);
	/* Up to PIPE_BUF octets go whole or not at all; those that do not are spent. */
	(void)!write(r->refs, refs, sizeof refs);
}

/*
 * A record, and whose it is. Root's word is taken (the master, and keepers before a login); a keeper after it can
 * speak of its own uid only, and a gate, which has no link, of nobody.
 */
static bool take_record(struct recorder *r, struct history_record *record)
{
	struct ucred who;
	ssize_t n = rpc_receive_from(r->records, record, sizeof *record, &who, 0);
	if (n < 0)
		return false;
	if (n != (ssize_t)sizeof *record || record->kind > HISTORY_DOOR)
		record->format = 0;
	if (who.uid != 0)
		record->uid = who.uid;
	record->pid = who.pid;
	return true;
}

static void take_records(struct recorder *r)
{
	struct history_record record;
	for (int i = 0; i < RECORDS_AT_ONCE && take_record(r, &record); i++) {
		if (record.format != HISTORY_FORMAT)
			continue;
		if (record.kind == HISTORY_DOOR)
			doors_count(&record, now_ms());
		else
			history_add(&r->history, &record);
	}
}

/* The children that answer, each with whom it answers. A child has the list as it was when it was forked. */
struct answers {
	int told[2];          /* a pipe: what a child says of itself, once it has a connection or knows that it gets none */
	pid_t accepting;      /* the one that has not said so yet, 0: none */
	unsigned count;
	struct answer { pid_t pid; uid_t uid; } list[QUESTIONS_MAX];
};

static struct answer *find_answer(struct answers *a, pid_t pid)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->list[i].pid == pid)
			return &a->list[i];
	return NULL;
}

static void reap_answers(struct answers *a)
{
	pid_t pid;
	while (a->count > 0 && (pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		struct answer *ended = find_answer(a, pid);
		if (ended != NULL)
			*ended = a->list[--a->count];
		if (pid == a->accepting)
			a->accepting = 0;
	}
}

/* False: a child could not accept, and poll(2) would say again at once that somebody waits. */
static bool hear_answers(struct answers *a)
{
	struct answer said;
	bool all = true;
	while (read(a->told[0], &said, sizeof said) == (ssize_t)sizeof said) {
		struct answer *known = find_answer(a, said.pid);
		if (known != NULL)
			known->uid = said.uid;
		if (said.pid == a->accepting)
			a->accepting = 0;
		all = all && said.uid != HISTORY_NOBODY;
	}
	return all;
}

static bool has_enough(const struct answers *a, uid_t uid)
{
	unsigned places = 0;
	for (unsigned i = 0; i < a->count; i++)
		places += a->list[i].uid == uid;
	return uid != 0 && places >= QUESTIONS_OF_USER;
}

/*
 * In a child, which alone has the connection ever: what somebody has sent over it is let go of by whoever closes it last, and that can
 * take as long as he likes (SO_LINGER), but not at the end of a process.
 */
_Noreturn static void answer_one(const struct recorder *r, const struct answers *a)
{
	struct answer self = { getpid(), HISTORY_NOBODY };
	struct ucred who;
	socklen_t len = sizeof who;
	const int connection = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	if (connection >= 0 && getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		self.uid = who.uid;
	(void)!write(a->told[1], &self, sizeof self);
	sandbox_enter(SANDBOX_ANSWER, NULL, 0);
	/* Who has enough sees the end of file, and is told by the postern command what that means. */
	if (connection >= 0 && !has_enough(a, self.uid))
		answer_question(connection, &r->history);
	leave(EXIT_GOOD);
}

/* False: no child is to be had now. */
static bool hear_question(const struct recorder *r, struct answers *a)
{
	const pid_t pid = fork();
	if (pid == 0)
		answer_one(r, a);
	if (pid < 0)
		return false;
	a->list[a->count++] = (struct answer){ pid, HISTORY_NOBODY };
	a->accepting = pid;
	return true;
}

_Noreturn static void serve(struct recorder *r, int alive)
{
	struct answers answers = { .count = 0 };
	bool open = true, pausing = false;
	if (pipe2(answers.told, O_CLOEXEC | O_NONBLOCK) != 0)
		fatal("pipe2");
	sandbox_enter(SANDBOX_RECORDER, NULL, 0);
	while (open) {
		/*
		 * A slow reader costs a process of its own for QUESTION_SECONDS, and no more than QUESTIONS_MAX of them. Who comes then waits for
		 * his turn where the kernel keeps him, and so does everybody while a child is on its way to who is next.
		 */
		pausing = pausing || answers.count >= QUESTIONS_MAX;
		struct pollfd fds[] = {
			{ .fd = r->records, .events = POLLIN }, { .fd = pausing || answers.accepting != 0 ? -1 : r->listener, .events = POLLIN },
			{ .fd = r->refs, .events = POLLOUT }, { .fd = alive, .events = 0 }, { .fd = answers.told[0], .events = POLLIN },
		};
		long long due = doors_due();
		int wait = answers.count > 0 || pausing ? ANSWERS_LOOK_MS : due > 0 ? (int)(due - now_ms() > 0 ? due - now_ms() : 0) : -1;
		if (poll(fds, sizeof fds / sizeof fds[0], wait) < 0 && errno != EINTR)
			fatal("poll");
		open = fds[3].revents == 0;
		if (fds[0].revents != 0 || !open)
			take_records(r);
		pausing = fds[4].revents != 0 && !hear_answers(&answers);
		pausing = (fds[1].revents != 0 && !hear_question(r, &answers)) || pausing;
		if (fds[2].revents != 0)
			fill_refs(r);
		reap_answers(&answers);
		doors_log(now_ms(), !open);
	}
	leave(EXIT_GOOD);
}

void recorder_start(struct recorder *r)
{
	int pipes[2] = { -1, -1 };
	if (r->records < 0 || r->pid != 0 || (r->due > 0 && now_ms() < r->due))
		return;
	r->due = 0;
	pid_t pid = pipe2(pipes, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid == 0) {
		const int kept[] = { r->records, r->refs, r->listener, pipes[0], log_descriptor(),
		                     r->history.rings[HISTORY_GUESS].fd, r->history.rings[HISTORY_FAILURE].fd, r->history.rings[HISTORY_SESSION].fd };
		attempt_forget();
		log_role("recorder");
		(void)prctl(PR_SET_NAME, "posternd-record", 0, 0, 0); /* for ps(1) */
		keep_only(kept, sizeof kept / sizeof kept[0]);
		(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
		become_owner(r->uid, r->gid);
		history_resume(&r->history);
		serve(r, pipes[0]);
	}
	if (pid < 0)
		log_line(LOG_ERR, "cannot start the recorder: %s", strerror(errno));
	if (pipes[0] >= 0)
		(void)close(pipes[0]);
	r->alive = pipes[1];
	r->pid = pid > 0 ? pid : 0;
	if (pid < 0) {
		recorder_dismiss(r);
		r->due = now_ms() + RECORDER_PAUSE_MS;
	}
}
