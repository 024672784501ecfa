/*
 * test_bell.c - daemon/bell.c, and what a login says of the session that it meets: who it is, how long it was silent, until when.
 * Runs in: the tests.
 */
#include <sys/file.h>
#include <sys/un.h>

#include "daemon/attempt.h"
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
	CU_ASSERT(session_lock_open(settings->lock_directory, &place, mail_uid(), &fd, &why) == 0);
	return fd;
}

/* In a process of its own: holds ann's lock, and answers once. */
static void hold(const struct settings *settings, const struct holder *h, int ready)
{
	char peer[INET6_ADDRSTRLEN + 2];
	const time_t now = time(NULL);
	enum bell_wish wish;
	int answer;
	int lock = open_lock(settings), bell = bell_hang(lock);
	if (flock(lock, LOCK_EX) != 0 || bell < 0)
		_exit(1);
	if (h->text == NULL)
		session_lock_write_holder(lock, "203.0.113.7", "ann");
	else if (ftruncate(lock, 0) != 0 || pwrite(lock, h->text, strlen(h->text), 0) != (ssize_t)strlen(h->text))
		_exit(1);
	(void)!write(ready, "x", 1);
	struct pollfd p = { .fd = bell, .events = POLLIN };
	while (h->answers && poll(&p, 1, -1) == 1) {
		if (!bell_heard(&bell, &wish, peer, &answer))
			continue;
		struct bell_state state = { .since = now - 1000, .heard = now - h->silent_s, .free_by = 36720, .yields = h->yields };
		(void)snprintf(state.peer, sizeof state.peer, "203.0.113.7");
		bell_answer(answer, &state);
		if (h->yields)
			_exit(strcmp(peer, "192.0.2.1") == 0 && wish == BELL_TAKE_OVER ? 0 : 1);
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
		{ "no answer, and nonsense for a name", "LOCKED_UNNAMED", "", { 0, false, false, "soon 4711 203.0.113.7\tann" }, ON_LOCKED_TAKE_OVER, 0 },
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

/* Ann's login, as a master lets it go that is asked. The answer's name. */
static const char *login_let_go(const struct worker_ends *w, enum job_crowd crowd, struct rpc_answer *answer_r)
{
	const struct rpc_auth auth = auth_of("ann", "secret");
	const struct job job = { .verb = JOB_VERIFY, .crowd = crowd };
	struct keeper_word word = { .verb = 0 };
	int fd;
	CU_ASSERT(rpc_send(w->gate, &auth, sizeof auth, -1) == 0);
	while (word.verb != KEEPER_ATTEMPT)
		CU_ASSERT_FATAL(rpc_await(w->master, &word, sizeof word, &fd) == (ssize_t)sizeof word);
	CU_ASSERT(rpc_send(w->master, &job, sizeof job, -1) == 0);
	CU_ASSERT_FATAL(rpc_await(w->gate, answer_r, sizeof *answer_r, &fd) == (ssize_t)sizeof *answer_r && fd == -1);
	return reply_row((enum reply)answer_r->reply)->name;
}

/* Who is refused because there are too many is not told of the one that his login before met. */
static void test_crowd(void)
{
	static const struct holder holder = { 12, true, false, NULL };
	struct rpc_answer answer;
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	settings->free_failures = 10;
	CU_ASSERT_FATAL(attempt_prepare() == 0);
	pid_t pid = start_holder(settings, &holder);
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	ROW_TEXT("the lock", login_let_go(&w, CROWD_NONE, &answer), "LOCKED_ACTIVE");
	ROW_TEXT("the lock", answer.told, "203.0.113.7");
	ROW_TEXT("the crowd", login_let_go(&w, CROWD_FULL, &answer), "LOCKED_UNNAMED");
	ROW_TEXT("the crowd", answer.told, "");
	keeper_end("crowd", &w, EXIT_GOOD, NULL);
	CU_ASSERT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	host_remove();
}

/* A bell, and what its ringers use: its address. */
static int hang(int lock, struct sockaddr_un *address_r)
{
	socklen_t len = sizeof *address_r;
	int bell = bell_hang(lock);
	*address_r = (struct sockaddr_un){ .sun_family = AF_UNSPEC };
	CU_ASSERT_FATAL(bell >= 0 && getsockname(bell, (struct sockaddr *)address_r, &len) == 0);
	return bell;
}

static int connect_to(const struct sockaddr_un *bell)
{
	const socklen_t len = (socklen_t)(sizeof bell->sun_family + 1 + strlen(bell->sun_path + 1));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0 && connect(fd, (const struct sockaddr *)bell, len) == 0);
	return fd;
}

/* Whoever says something else is not heard, and the next one is. */
static void test_noise(void)
{
	char peer[INET6_ADDRSTRLEN + 2];
	struct bell_state state;
	struct sockaddr_un address;
	enum bell_wish wish = BELL_ASK;
	int answer = -1;
	host_make();
	make_users();
	int lock = open_lock(settings_of("")), bell = hang(lock, &address);
	/* One bell a maildrop. */
	CU_ASSERT(bell_hang(lock) == -1);
	/* Nobody answers: not for ever. */
	CU_ASSERT(bell_ring(lock, geteuid(), BELL_TAKE_OVER, "192.0.2.1", &state) == -1);
	CU_ASSERT(bell_heard(&bell, &wish, peer, &answer) && wish == BELL_TAKE_OVER && answer >= 0);
	ROW_TEXT("from where", peer, "192.0.2.1");
	CU_ASSERT(close(answer) == 0);
	CU_ASSERT(!bell_heard(&bell, &wish, peer, &answer) && answer == -1);
	static const char noise[4096] = "noise";
	int stranger = connect_to(&address);
	for (size_t size = 0; size <= sizeof noise; size += 7) {
		(void)!send(stranger, noise, size, MSG_DONTWAIT);
		CU_ASSERT(!bell_heard(&bell, &wish, peer, &answer) && answer == -1);
	}
	(void)close(stranger);
	(void)close(bell);
	(void)close(lock);
	host_remove();
}

/* Another user's process rings, with a descriptor of its own in place of a socket. */
static void ring_as_stranger(const struct sockaddr_un *address, const char *ring, size_t size, int fd)
{
	if (setresuid(MAIL_UID, MAIL_UID, MAIL_UID) != 0)
		_exit(1);
	_exit(rpc_send(connect_to(address), ring, size, fd) == 0 ? 0 : 1);
}

/*
 * Whoever may not ring is not heard, and what he sent stays where it is: to close it could take as long as he likes. That none of
 * his descriptors becomes ours, a lock shows, which closing any descriptor of the file would lose.
 */
static void test_strangers(void)
{
	char peer[INET6_ADDRSTRLEN + 2], ring[256];
	struct sockaddr_un address;
	struct ucred who;
	struct flock held = { .l_type = F_WRLCK }, seen;
	enum bell_wish wish = BELL_ASK;
	int answer, status;
	if (geteuid() != 0)
		return; /* it takes two users */
	host_make();
	make_users();
	int lock = open_lock(settings_of("")), bell = hang(lock, &address);
	host_put("flag", "x", 0666);
	int file = open(in_host("flag"), O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(file >= 0 && fcntl(file, F_SETLK, &held) == 0);
	/* A ring as it is to be, to be sent once more. */
	struct bell_state state;
	(void)bell_ring(lock, geteuid(), BELL_TAKE_OVER, "192.0.2.66", &state);
	ssize_t size = rpc_receive_from(bell, ring, sizeof ring, &who, 0);
	CU_ASSERT_FATAL(size > 0 && size < (ssize_t)sizeof ring && who.uid == 0 && who.pid == getpid());
	/* A ring without a socket for the answer is none. */
	CU_ASSERT(!bell_heard(&bell, &wish, peer, &answer));
	int ringer = connect_to(&address);
	CU_ASSERT(rpc_send(ringer, ring, (size_t)size, -1) == 0 && !bell_heard(&bell, &wish, peer, &answer) && answer == -1);
	CU_ASSERT(rpc_send(ringer, ring, (size_t)size, ringer) == 0 && bell_heard(&bell, &wish, peer, &answer) && answer >= 0);
	ROW_TEXT("from where", peer, "192.0.2.66");
	/* Who hung it may ring as well, but end no session that is another's; and nobody wishes what there is not. */
	static const struct { const char *label; enum bell_wish wish; uid_t hung_by, rings; bool heard; } rows[] = {
		{ "root ends it", BELL_END, 0, 0, true }, { "root ends a shared worker's", BELL_END, MAIL_UID, 0, true },
		{ "its own uid asks", BELL_ASK, MAIL_UID, MAIL_UID, true }, { "its own uid takes over", BELL_TAKE_OVER, MAIL_UID, MAIL_UID, true },
		{ "its own uid ends it", BELL_END, MAIL_UID, MAIL_UID, false }, { "no wish", BELL_WISHES, 0, 0, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int another = open(in_host("another"), O_RDWR | O_CREAT | O_CLOEXEC, 0666), made = -1, rang;
		CU_ASSERT_FATAL(another >= 0 && seteuid(rows[i].hung_by) == 0);
		made = bell_hang(another);
		CU_ASSERT_FATAL(made >= 0 && seteuid(0) == 0);
		const pid_t rings = fork_child();
		if (rings == 0) {
			CU_ASSERT(setresuid(rows[i].rings, rows[i].rings, rows[i].rings) == 0);
			(void)bell_ring(another, rows[i].hung_by, rows[i].wish, "192.0.2.1", &state);
			_exit(0);
		}
		CU_ASSERT(ready(made, POLLIN));
		answer = -1;
		ROW_ASSERT(rows[i].label, bell_heard(&made, &wish, peer, &answer) == rows[i].heard && (answer >= 0) == rows[i].heard && made >= 0);
		ROW_ASSERT(rows[i].label, !rows[i].heard || wish == rows[i].wish);
		if (answer >= 0)
			(void)close(answer);
		CU_ASSERT(waitpid(rings, &rang, 0) == rings);
		(void)close(made);
		(void)close(another);
	}
	const int heard = answer, hung = bell;
	CU_ASSERT(!bell_left_open());
	pid_t pid = fork_child();
	if (pid == 0)
		ring_as_stranger(&address, ring, (size_t)size, file);
	CU_ASSERT(ready(bell, POLLIN) && !bell_heard(&bell, &wish, peer, &answer) && answer == -1);
	CU_ASSERT(bell == -1 && bell_left_open() && ready(hung, POLLIN));
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	pid = fork_child();
	if (pid == 0) {
		seen = held;
		_exit(fcntl(file, F_GETLK, &seen) == 0 && seen.l_type == F_WRLCK ? 0 : 1);
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	const int open_now[] = { heard, ringer, file, hung, lock };
	for (size_t i = 0; i < sizeof open_now / sizeof *open_now; i++)
		(void)close(open_now[i]);
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
		enum bell_wish wish;
		int answer;
		struct pollfd p = { .fd = bell, .events = POLLIN };
		if (setresuid(MAIL_UID, MAIL_UID, MAIL_UID) != 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		for (int i = 0; i < 2 && poll(&p, 1, PATIENCE_MS) == 1; i++)
			if (bell_heard(&bell, &wish, peer, &answer))
				bell_answer(answer, &(struct bell_state){ .since = 1, .yields = 1 });
		_exit(0);
	}
	CU_ASSERT(read(ends[0], &octet, 1) == 1);
	CU_ASSERT(bell_ring(lock, MAIL_UID + 1, BELL_TAKE_OVER, "192.0.2.1", &state) == -1);
	CU_ASSERT(bell_ring(lock, MAIL_UID, BELL_TAKE_OVER, "192.0.2.1", &state) == 0 && state.yields == 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(bell);
	(void)close(lock);
	host_remove();
}

#define TESTS(X) X(test_holder) X(test_crowd) X(test_noise) X(test_strangers) X(test_answers)
SUITE("bell")
