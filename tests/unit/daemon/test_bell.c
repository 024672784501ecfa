/*
 * test_bell.c - daemon/bell.c, and what a login says of the session that it meets: who it is, how long it was silent, until when.
 * Runs in: the tests.
 */
#include <sys/file.h>
#include <sys/un.h>

#include "daemon/bell.h"
#include "storage/lock.h"
#include "tests/unit/daemon/keeper_peer.h"

/* How the session answers that the test plays. */
struct holder {
	int silent_s;          /* since its client was last heard of */
	bool answers, yields;
	const char *text;      /* in the lock file; NULL for a whole one */
};

static int open_lock(const struct settings *settings)
{
	struct maildrop_place place = { .format = MAILDROP_MAILDIR };
	struct why why;
	int fd = -1;
	(void)snprintf(place.path, sizeof place.path, "%s", in_host("mail/ann"));
	CU_ASSERT(session_lock_open(settings->lock_directory, &place, &fd, &why) == 0);
	return fd;
}

/* In a process of its own: holds ann's lock, and answers once. */
static void hold(const struct settings *settings, const struct holder *h, int ready)
{
	char text[WHY_TOLD_MAX], peer[INET6_ADDRSTRLEN + 2];
	const time_t now = time(NULL);
	bool take_over;
	int lock = open_lock(settings), bell = bell_hang(lock);
	if (flock(lock, LOCK_EX) != 0 || bell < 0)
		_exit(1);
	(void)snprintf(text, sizeof text, "%lld 203.0.113.7", (long long)now - 1000);
	session_lock_write_holder(lock, h->text != NULL ? h->text : text);
	(void)!write(ready, "x", 1);
	struct pollfd p = { .fd = bell, .events = POLLIN };
	while (h->answers && poll(&p, 1, -1) == 1) {
		if (!bell_heard(bell, &take_over, peer))
			continue;
		struct bell_state state = { .since = now - 1000, .heard = now - h->silent_s, .free_by = 36720, .yields = h->yields };
		(void)snprintf(state.peer, sizeof state.peer, "203.0.113.7");
		bell_answer(bell, &state);
		if (h->yields)
			_exit(strcmp(peer, "192.0.2.1") == 0 && take_over ? 0 : 1);
	}
	for (;;)
		(void)pause();
}

static pid_t start_holder(const struct settings *settings, const struct holder *h)
{
	int ready[2];
	char octet;
	CU_ASSERT_FATAL(pipe(ready) == 0);
	pid_t pid = fork_child();
	if (pid == 0)
		hold(settings, h, ready[1]);
	CU_ASSERT(read(ready[0], &octet, 1) == 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void test_holder(void)
{
	static const struct {
		const char *label, *want, *told;
		struct holder holder;
		enum on_locked on_locked;
		unsigned idle;   /* the second number, or a little more */
	} rows[] = {
		{ "silent for eight minutes", "LOCKED", "203.0.113.7", { 480, true, false, NULL }, ON_LOCKED_REFUSE, 8 },
		{ "silent for a minute", "LOCKED", "203.0.113.7", { 60, true, false, NULL }, ON_LOCKED_REFUSE, 1 },
		{ "silent for some seconds", "LOCKED_ACTIVE", "203.0.113.7", { 12, true, false, NULL }, ON_LOCKED_REFUSE, 12 },
		{ "a clock that was set back", "LOCKED_ACTIVE", "203.0.113.7", { -50, true, false, NULL }, ON_LOCKED_REFUSE, 0 },
		{ "take-over too early", "LOCKED_SOON", "203.0.113.7", { 10, true, false, NULL }, ON_LOCKED_TAKE_OVER, 10 },
		{ "take-over", "LOGGED_IN", "", { 30, true, true, NULL }, ON_LOCKED_TAKE_OVER, 0 },
		{ "no answer", "LOCKED_WORKING", "203.0.113.7", { 0, false, false, NULL }, ON_LOCKED_REFUSE, 0 },
		{ "no answer, and no name", "LOCKED_UNNAMED", "", { 0, false, false, "" }, ON_LOCKED_REFUSE, 0 },
		{ "no answer, and nonsense for a name", "LOCKED_UNNAMED", "", { 0, false, false, "soon 203.0.113.7" }, ON_LOCKED_TAKE_OVER, 0 },
	};
	host_make();
	make_users();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rpc_answer answer;
		int fd, status = 0;
		struct settings *settings = settings_of("");
		settings->on_locked.what = rows[i].on_locked;
		pid_t holder = start_holder(settings, &rows[i].holder);
		struct worker_ends w = keeper_serving(settings, "192.0.2.1");
		ROW_TEXT(rows[i].label, login(&w, "ann", "secret", &answer, &fd), rows[i].want);
		ROW_TEXT(rows[i].label, answer.told, rows[i].told);
		if (strncmp(rows[i].want, "LOCKED_A", 8) == 0 || strcmp(rows[i].want, "LOCKED") == 0 || strcmp(rows[i].want, "LOCKED_SOON") == 0)
			ROW_ASSERT(rows[i].label, answer.n[1] >= rows[i].idle && answer.n[1] <= rows[i].idle + 5);
		ROW_ASSERT(rows[i].label, strcmp(rows[i].want, "LOCKED") != 0 || answer.n[2] == 36720);
		ROW_ASSERT(rows[i].label, strcmp(rows[i].want, "LOCKED_SOON") != 0 || answer.n[1] + answer.n[2] == TAKE_OVER_SECONDS);
		if (fd >= 0)
			(void)close(fd);
		keeper_end(rows[i].label, &w, EXIT_GOOD, NULL);
		if (!rows[i].holder.yields)
			(void)kill(holder, SIGKILL);
		CU_ASSERT(waitpid(holder, &status, 0) == holder);
		ROW_ASSERT(rows[i].label, !rows[i].holder.yields || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	}
	host_remove();
}

/* Whoever may ring without being root, or says something else, is not heard, and the next one is. */
static void test_strangers(void)
{
	char peer[INET6_ADDRSTRLEN + 2];
	struct bell_state state;
	bool take_over = false;
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	int lock = open_lock(settings), bell = bell_hang(lock);
	CU_ASSERT_FATAL(bell >= 0);
	/* One bell a maildrop. */
	CU_ASSERT(bell_hang(lock) == -1);
	/* Nobody answers: not for ever. */
	CU_ASSERT(bell_ring(lock, geteuid(), true, "192.0.2.1", &state) == -1);
	CU_ASSERT(bell_heard(bell, &take_over, peer) && take_over);
	ROW_TEXT("from where", peer, "192.0.2.1");
	CU_ASSERT(!bell_heard(bell, &take_over, peer));
	struct sockaddr_un address;
	socklen_t len = sizeof address;
	CU_ASSERT_FATAL(getsockname(bell, (struct sockaddr *)&address, &len) == 0);
	static const char noise[4096] = "noise";
	int stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (size_t size = 0; size <= sizeof noise; size += 7) {
		(void)!sendto(stranger, noise, size, MSG_DONTWAIT, (const struct sockaddr *)&address, len);
		CU_ASSERT(!bell_heard(bell, &take_over, peer));
	}
	(void)close(stranger);
	if (geteuid() == 0) {
		pid_t pid = fork_child();
		if (pid == 0) {
			if (setresuid(MAIL_UID, MAIL_UID, MAIL_UID) != 0)
				_exit(1);
			(void)bell_ring(lock, MAIL_UID, true, "192.0.2.66", &state);
			_exit(0);
		}
		CU_ASSERT(ready(bell, POLLIN) && !bell_heard(bell, &take_over, peer));
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
	}
	(void)close(bell);
	(void)close(lock);
	host_remove();
}

/* Only the mail's owner, or root, is believed. */
static void test_answers(void)
{
	struct bell_state state;
	int status, ends[2];
	char octet;
	if (geteuid() != 0)
		return; /* it takes two users */
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	int lock = open_lock(settings), bell = bell_hang(lock);
	CU_ASSERT_FATAL(pipe(ends) == 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		char peer[INET6_ADDRSTRLEN + 2];
		bool take_over;
		struct pollfd p = { .fd = bell, .events = POLLIN };
		if (setresuid(MAIL_UID, MAIL_UID, MAIL_UID) != 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		for (int i = 0; i < 2 && poll(&p, 1, PATIENCE_MS) == 1; i++)
			if (bell_heard(bell, &take_over, peer))
				bell_answer(bell, &(struct bell_state){ .since = 1, .yields = 1 });
		_exit(0);
	}
	CU_ASSERT(read(ends[0], &octet, 1) == 1);
	CU_ASSERT(bell_ring(lock, MAIL_UID + 1, true, "192.0.2.1", &state) == -1);
	CU_ASSERT(bell_ring(lock, MAIL_UID, true, "192.0.2.1", &state) == 0 && state.yields == 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(bell);
	(void)close(lock);
	host_remove();
}

#define TESTS(X) X(test_holder) X(test_strangers) X(test_answers)
SUITE("bell")
