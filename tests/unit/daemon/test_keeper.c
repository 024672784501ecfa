/*
 * test_keeper.c - daemon/keeper.c, session.c and session_log.c: logins, rights, messages, update, locks, ends.
 * Runs in: the tests; as root it also sees the rights go.
 */
#include <sys/file.h>
#include <sys/mman.h>

#include "daemon/privilege.h"
#include "daemon/sandbox.h"
#include "storage/maildrop.h"
#include "tests/unit/daemon/keeper_peer.h"

static bool in_log(const char *words)
{
	return strstr(read_log(), words) != NULL;
}

/* A line of /proc/PID/status, behind its name. */
static const char *status_line(pid_t pid, const char *name)
{
	static char line[256];
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	CU_ASSERT_FATAL(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			break;
	(void)fclose(f);
	return line + strlen(name);
}

static void test_logins(void)
{
	static const struct { const char *label, *user, *password, *guarded, *told, *logged; } rows[] = {
		{ "unknown user", "nobody", "secret", "NOT_ACCEPTED", "MAILBOX_UNKNOWN", "reason=\"unknown user\"" },
		{ "wrong password", "ann", "Secret", "NOT_ACCEPTED", "INVALID_PASSWORD", "reason=\"wrong password\"" },
		{ "empty password", "ann", "", "NOT_ACCEPTED", "EMPTY_PASSWORD", "reason=\"empty password\"" },
		{ "root", "root", "secret", "NOT_ACCEPTED", "UID_REFUSED", "reason=\"uid not allowed\"" },
		{ "hostile name", "a\nb\"%s", "x", "NOT_ACCEPTED", "MAILBOX_UNKNOWN", "user=\"a\\x0ab\\x22%s\"" },
	};
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	for (int told = 0; told < 2; told++) {
		settings->explain_failures = told ? POLICY_ALWAYS : POLICY_NEVER;
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			struct worker_ends w = keeper_serving(settings, "192.0.2.1");
			struct rpc_answer answer;
			int fd;
			host_log[0] = '\0';
			ROW_TEXT(rows[i].label, login(&w, rows[i].user, rows[i].password, &answer, &fd), told ? rows[i].told : rows[i].guarded);
			ROW_ASSERT(rows[i].label, answer.final == 0 && answer.told[0] == '\0' && fd == -1);
			ROW_ASSERT(rows[i].label, in_log(rows[i].logged) && in_log("peer=192.0.2.1") && !in_log("Secret"));
			/* The next try is as good as the first. */
			ROW_TEXT(rows[i].label, login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
			if (fd >= 0)
				(void)close(fd);
			bye(&w, END_QUIT);
			keeper_end(rows[i].label, &w, EXIT_GOOD, "end=\"quit\"");
		}
	}
	host_remove();
}

/* A failure is not answered before its slot; the slot hides what the failure was. */
static void test_failure_slot(void)
{
	struct timespec before, after;
	struct rpc_answer answer;
	int fd;
	host_make();
	make_users();
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	ROW_TEXT("slot", login(&w, "nobody", "x", &answer, &fd), "NOT_ACCEPTED");
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	CU_ASSERT(ms >= FAILURE_SLOT_MS - 2);
	/* With nobody to answer, it does not wait. */
	struct rpc_auth auth = auth_of("nobody", "x");
	CU_ASSERT(rpc_send(w.gate, &auth, sizeof auth, -1) == 0);
	keeper_end("gone", &w, EXIT_GOOD, "end=\"gate died\"");
	host_remove();
}

static void test_rights(void)
{
	char want[64];
	host_make();
	make_users();
	struct worker_ends w = keeper_logged_in(settings_of(""));
	unsigned uid = (unsigned)mail_uid();
	(void)snprintf(want, sizeof want, "\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	ROW_TEXT("uids", status_line(w.pid, "Uid:"), want);
	ROW_TEXT("no new privileges", status_line(w.pid, "NoNewPrivs:"), "\t1\n");
	if (geteuid() == 0) {
		ROW_TEXT("gids", status_line(w.pid, "Gid:"), want);
		ROW_TEXT("groups", status_line(w.pid, "Groups:"), "\t \n");
		ROW_TEXT("capabilities", status_line(w.pid, "CapEff:"), "\t0000000000000000\n");
		ROW_TEXT("permitted", status_line(w.pid, "CapPrm:"), "\t0000000000000000\n");
	}
	bye(&w, END_IDLE);
	keeper_end("rights", &w, EXIT_GOOD, "end=\"idle\"");
	host_remove();
}

/* The list cannot be changed by a gate, and says what the Maildir holds. */
static void test_snapshot(void)
{
	static const uint64_t octets[] = { 19, 13, 15 };
	struct rpc_answer answer;
	int fd;
	host_make();
	make_users();
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	ROW_TEXT("login", login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT_FATAL(fd >= 0 && answer.count == 3);
	CU_ASSERT((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY || fcntl(fd, F_GET_SEALS) == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	CU_ASSERT(write(fd, "x", 1) == -1 && ftruncate(fd, 0) == -1);
	void *image = malloc(answer.length);
	struct list list;
	CU_ASSERT_FATAL(image != NULL && pread(fd, image, answer.length, (off_t)answer.offset) == (ssize_t)answer.length);
	CU_ASSERT_FATAL(list_open(&list, image, answer.length) == 0 && list.count == 3 && list.octets == 19 + 13 + 15);
	for (size_t i = 0; i < 3; i++) {
		char uidl[UIDL_MAX];
		CU_ASSERT(list_octets(&list, i) == octets[i] && list_uidl(&list, i, uidl) > 1);
	}
	free(image);
	(void)close(fd);
	bye(&w, END_QUIT);
	keeper_end("snapshot", &w, EXIT_GOOD, "fetched=7 octets=4711 deleted=0 left=3 dropped-marks=2");
	host_remove();
}

static void test_fetch(void)
{
	/* Too long to come with the answer. */
	static char want[RPC_TEXT_MOST + 2], text[sizeof want];
	int fd;
	host_make();
	make_users();
	memset(want, 'x', sizeof want - 1);
	host_put("mail/ann/cur/1.a.host:2,S", want, 0600);
	struct worker_ends w = keeper_logged_in(settings_of(""));
	struct rpc_answer answer = fetch(&w, 0, &fd);
	CU_ASSERT_FATAL(answer.verb == RPC_FETCH && answer.reply == REPLY_MESSAGE && fd >= 0);
	CU_ASSERT(answer.n[0] == 1 && answer.offset == 0 && answer.length == sizeof want - 1);
	CU_ASSERT((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CU_ASSERT(pread(fd, text, sizeof text, 0) == (ssize_t)sizeof want - 1 && memcmp(text, want, sizeof want - 1) == 0);
	/* What a gate may do with it does not free the mailbox. */
	(void)flock(fd, LOCK_UN);
	struct worker_ends second = keeper_serving(settings_of(""), "192.0.2.2");
	struct rpc_answer refused;
	int none;
	ROW_TEXT("still locked", login(&second, "ann", "secret", &refused, &none), "LOCKED_ACTIVE");
	keeper_end("second", &second, EXIT_GOOD, NULL);
	(void)close(fd);
	/* Another program removes one. */
	CU_ASSERT(unlink(in_host("mail/ann/cur/2.b.host:2,S")) == 0);
	answer = fetch(&w, 1, &fd);
	CU_ASSERT(answer.reply == REPLY_MESSAGE_GONE && answer.n[0] == 2 && fd == -1 && answer.length == 0);
	answer = fetch(&w, 2, &fd);
	CU_ASSERT(answer.reply == REPLY_MESSAGE && fd >= 0);
	(void)close(fd);
	bye(&w, END_PEER_ERROR);
	keeper_end("fetch", &w, EXIT_GOOD, "end=\"connection broke\" cause=\"a \\x22reset\\x22\"");
	CU_ASSERT(in_log("message 2 not sent: user=\"ann\" peer=192.0.2.1 ") && in_log("reply=MESSAGE_GONE"));
	host_remove();
}

/* What is small comes with the answer, and what is behind it as far as it is there and unchanged. */
static void test_text(void)
{
	static const char all[] = "A: 1\n\none\n.dot\nA: 2\n\ntwoA: 3\n\nthree\n";
	static struct rpc_text text;
	host_make();
	make_users();
	struct worker_ends w = keeper_logged_in(settings_of(""));
	CU_ASSERT(fetch_text(&w, 0, 2, &text) == offsetof(struct rpc_text, octets) + sizeof all - 1 && memcmp(text.octets, all, sizeof all - 1) == 0);
	CU_ASSERT(text.count == 3 && text.lengths[0] == 15 && text.lengths[1] == 9 && text.lengths[2] == 12);
	CU_ASSERT(fetch_text(&w, 1, 0, &text) > 0 && text.count == 1 && text.lengths[0] == 9 && memcmp(text.octets, "A: 2", 4) == 0);
	/* Written over, with as many octets: it is not the message that was listed. */
	host_put("mail/ann/cur/2.b.host:2,S", "A: 2\n\nTWO", 0600);
	CU_ASSERT(fetch_text(&w, 0, 2, &text) > 0 && text.count == 1);
	int fd;
	CU_ASSERT(fetch(&w, 1, &fd).reply == REPLY_MESSAGE_CHANGED && fd == -1);
	/* Another name is no change, but takes a look at the directory; what comes behind it comes by descriptor. */
	CU_ASSERT(rename(in_host("mail/ann/new/3.c.host"), in_host("mail/ann/cur/3.c.host:2,S")) == 0);
	CU_ASSERT(fetch(&w, 2, &fd).reply == REPLY_MESSAGE && fd >= 0);
	(void)close(fd);
	keeper_end("text", &w, EXIT_GOOD, NULL);
	host_remove();
}

/* Where the host has little room for a message of its sockets (net.core.wmem_default), what does not fit comes by descriptor. */
static void test_little_room(void)
{
	enum { LARGE = 40000 };
	static char text[LARGE + 1];
	int fd = -1;
	host_make();
	make_users();
	memset(text, 'x', LARGE);
	host_put("mail/ann/cur/2.b.host:2,S", text, 0600);
	keeper_room = 8192;
	struct worker_ends w = keeper_logged_in(settings_of(""));
	keeper_room = 0;
	const struct rpc_answer answer = fetch(&w, 1, &fd);
	CU_ASSERT(answer.reply == REPLY_MESSAGE && answer.length == LARGE && fd >= 0);
	if (fd >= 0)
		(void)close(fd);
	keeper_end("little room", &w, EXIT_GOOD, NULL);
	host_remove();
}

/* A process of the mail's owner that has sent more descriptors than may be on their way, until its end of *done_r is closed. */
static pid_t descriptors_on_their_way(int *done_r)
{
	enum { MANY = SANDBOX_DESCRIPTORS + 1 };
	union { struct cmsghdr header; char octets[CMSG_SPACE(MANY * sizeof(int))]; } control = { .octets = { 0 } };
	char octet = 'x';
	int way[2], said[2];
	socket_pair(SOCK_STREAM, said);
	pid_t pid = fork_child();
	if (pid == 0) {
		struct iovec part = { .iov_base = &octet, .iov_len = 1 };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
		control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(MANY * sizeof(int)) };
		memset(CMSG_DATA(&control.header), 0, MANY * sizeof(int));  /* standard input, so often */
		(void)close(said[0]);
		become_owner(mail_uid(), geteuid() == 0 ? MAIL_UID : getegid());
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, way) != 0 || sendmsg(way[0], &message, 0) != 1 || send(said[1], &octet, 1, 0) != 1)
			_exit(EXIT_BUG);
		_exit(recv(said[1], &octet, 1, 0) == 0 ? EXIT_GOOD : EXIT_BUG);
	}
	(void)close(said[1]);
	CU_ASSERT(recv(said[0], &octet, 1, 0) == 1);
	*done_r = said[0];
	return pid;
}

/* Where one uid owns all mail, other sessions' descriptors may be too many: an answer comes all the same, and later the message. */
static void test_too_many_descriptors(void)
{
	static char text[RPC_TEXT_MOST + 1];
	int fd, done;
	if (INSTRUMENTED) {
		puts("test_too_many_descriptors: skipped, a build with instruments sets no limits");
		return;
	}
	host_make();
	make_users();
	memset(text, 'x', sizeof text - 1);
	host_put("mail/ann/cur/1.a.host:2,S", text, 0600);
	struct worker_ends w = keeper_logged_in(settings_of(""));
	pid_t pid = descriptors_on_their_way(&done);
	const struct rpc_answer answer = fetch(&w, 0, &fd);
	CU_ASSERT(answer.reply == REPLY_MESSAGE_IO && answer.n[0] == 1 && fd == -1);
	(void)close(done);
	CU_ASSERT(child_status(pid) == EXIT_GOOD);
	CU_ASSERT(fetch(&w, 0, &fd).reply == REPLY_MESSAGE && fd >= 0);
	if (fd >= 0)
		(void)close(fd);
	bye(&w, END_QUIT);
	keeper_end("too many descriptors", &w, EXIT_GOOD, NULL);
	CU_ASSERT(in_log("message 1 not sent") && in_log("Too many references"));
	host_remove();
}

static void test_one_session(void)
{
	struct rpc_answer answer;
	int fd;
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	struct worker_ends first = keeper_logged_in(settings), second = keeper_serving(settings, "192.0.2.2");
	ROW_TEXT("in use", login(&second, "ann", "secret", &answer, &fd), "LOCKED_ACTIVE");
	ROW_TEXT("by whom", answer.told, "192.0.2.1");
	const uint64_t now = (uint64_t)time(NULL), limit = 60 * settings->idle_minutes;
	CU_ASSERT(answer.n[0] <= now && answer.n[0] + 60 > now && answer.n[1] < 60);
	/* Free by: never too early, and at most the rest of a minute too late. */
	CU_ASSERT(answer.n[2] >= answer.n[0] + limit && answer.n[2] <= now + limit + 60 + ACTIVE_MS / 1000 && answer.n[2] % 60 == 0);
	CU_ASSERT(answer.final == 0 && fd == -1);
	/* The gate of the first dies: its lock goes with the keeper, and the second may try again. */
	keeper_end("first", &first, EXIT_GOOD, "end=\"gate died\"");
	ROW_TEXT("free", login(&second, "ann", "secret", &answer, &fd), "LOGGED_IN");
	(void)close(fd);
	bye(&second, END_QUIT);
	keeper_end("second", &second, EXIT_GOOD, NULL);
	host_remove();
}

static void test_commit(void)
{
	struct rpc_answer answer;
	int fd;
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	struct worker_ends w = keeper_logged_in(settings);
	/* Marked twice is marked once; bits behind the count are not looked at. */
	mark(&w, 0, 3, 4);
	mark(&w, 0, 1, 0xff);
	mark(&w, 0, 1, 1);
	mark(&w, 3, 0, 0xff);
	/* It has the figures of the session, so it is the last that a keeper hears. */
	struct rpc_commit commit = { .verb = RPC_COMMIT, .marked = 2, .bye = { .end = END_QUIT, .fetched = 7, .octets = 4711, .marked = 2 } };
	answer = ask(&w, &commit, sizeof commit, &fd);
	CU_ASSERT(answer.verb == RPC_COMMIT && answer.reply == REPLY_BYE_UPDATED && answer.n[0] == 2 && answer.n[1] == 1);
	CU_ASSERT(access(in_host("mail/ann/cur/1.a.host:2,S"), F_OK) == -1);
	CU_ASSERT(access(in_host("mail/ann/new/3.c.host"), F_OK) == -1);
	CU_ASSERT(access(in_host("mail/ann/cur/2.b.host:2,S"), F_OK) == 0);
	/* Let go of before the answer: the next login works while this keeper is still there. */
	struct worker_ends next = keeper_serving(settings, "192.0.2.2");
	ROW_TEXT("next", login(&next, "ann", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT(answer.count == 1);
	(void)close(fd);
	keeper_end("next", &next, EXIT_GOOD, NULL);
	keeper_end("commit", &w, EXIT_GOOD, "fetched=7 octets=4711 deleted=2 left=1 dropped-marks=0");
	host_remove();
}

/* Marks without a COMMIT delete nothing, whatever ends the session. */
static void test_no_commit(void)
{
	host_make();
	make_users();
	for (int gate_dies = 0; gate_dies < 2; gate_dies++) {
		struct worker_ends w = keeper_logged_in(settings_of(""));
		mark(&w, 0, 3, 7);
		if (!gate_dies)
			bye(&w, END_PEER_CLOSED);
		keeper_end("no commit", &w, EXIT_GOOD, gate_dies ? "end=\"gate died\"" : "end=\"closed by the client without QUIT\"");
		CU_ASSERT(access(in_host("mail/ann/cur/1.a.host:2,S"), F_OK) == 0);
		CU_ASSERT(access(in_host("mail/ann/new/3.c.host"), F_OK) == 0);
	}
	host_remove();
}

/* A directory that the owner may not write: what stayed is said, with its cause. */
static void test_commit_fails(void)
{
	int fd;
	if (geteuid() != 0)
		return; /* the Maildir has to be the owner's, and its directory not */
	host_make();
	make_users();
	struct worker_ends w = keeper_logged_in(settings_of(""));
	CU_ASSERT(chown(in_host("mail/ann/cur"), 0, MAIL_UID) == 0 && chmod(in_host("mail/ann/cur"), 0750) == 0);
	mark(&w, 0, 3, 7);
	struct rpc_commit commit = { .verb = RPC_COMMIT, .marked = 3 };
	struct rpc_answer answer = ask(&w, &commit, sizeof commit, &fd);
	CU_ASSERT(answer.reply == REPLY_KEPT_DENIED && answer.n[0] == 2 && answer.n[1] == 3);
	CU_ASSERT(access(in_host("mail/ann/new/3.c.host"), F_OK) == -1);
	keeper_end("commit fails", &w, EXIT_GOOD, "deleted=1 left=2");
	CU_ASSERT(in_log("message 1 (uidl ") && in_log("not removed: Permission denied"));
	host_remove();
}

static void test_stop(void)
{
	struct rpc_stop stop = { .verb = 0 };
	struct job job = { .verb = JOB_STOP };
	int fd;
	host_make();
	make_users();
	for (int eof = 0; eof < 2; eof++) {
		const char *label = eof ? "the master is gone" : "the master says stop";
		struct worker_ends w = keeper_logged_in(settings_of(""));
		if (eof)
			(void)close(w.master);
		else
			CU_ASSERT(rpc_send(w.master, &job, sizeof job, STDIN_FILENO) == 0);
		ROW_ASSERT(label, rpc_await(w.gate, &stop, sizeof stop, &fd) == (ssize_t)sizeof stop && stop.verb == RPC_STOP && fd == -1);
		/* It goes on until the gate ends; a failed login is answered at once then. */
		static struct rpc_text text;
		ROW_ASSERT(label, fetch_text(&w, 0, 0, &text) > 0 && text.count == 1);
		bye(&w, END_STOPPED);
		if (eof)
			w.master = -1;
		keeper_end(label, &w, EXIT_GOOD, "end=\"server stopped\"");
	}
	host_remove();
}

/* Without work. */
static void test_idle(void)
{
	struct job job = { .verb = JOB_SERVE, .peer = { .ss_family = AF_INET } };
	host_make();
	make_users();
	const struct settings *settings = settings_of("");
	struct worker_ends w = keeper_start(settings);
	(void)close(w.master);
	w.master = -1;
	expect_end("not needed", w.pid, EXIT_GOOD, NULL);
	(void)close(w.gate);
	w = keeper_start(settings);
	keeper_end("the gate died first", &w, EXIT_GATE_GONE, NULL);
	static const struct { const char *label; uint32_t verb; size_t size; bool descriptor; } jobs[] = {
		{ "stop", JOB_STOP, sizeof job, false }, { "short", JOB_SERVE, 8, false }, { "a connection", JOB_SERVE, sizeof job, true },
	};
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		w = keeper_start(settings);
		job.verb = jobs[i].verb;
		CU_ASSERT(rpc_send(w.master, &job, jobs[i].size, jobs[i].descriptor ? STDIN_FILENO : -1) == 0);
		CU_ASSERT(shutdown(w.master, SHUT_WR) == 0);
		expect_end(jobs[i].label, w.pid, EXIT_GOOD, NULL);
		(void)close(w.gate);
		(void)close(w.master);
	}
	host_remove();
}

/* An empty mailbox has no snapshot; one that is not there is empty. */
static void test_empty(void)
{
	struct rpc_answer answer;
	int fd;
	host_make();
	make_users();
	CU_ASSERT(unlink(in_host("mail/bob")) == 0);
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	ROW_TEXT("empty", login(&w, "bob", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT(answer.count == 0 && fd == -1);
	struct rpc_commit commit = { .verb = RPC_COMMIT };
	answer = ask(&w, &commit, sizeof commit, &fd);
	CU_ASSERT(answer.reply == REPLY_BYE_UPDATED && answer.n[0] == 0 && answer.n[1] == 0);
	keeper_end("empty", &w, EXIT_GOOD, "left=0");
	host_remove();
}

#define TESTS(X) X(test_logins) X(test_failure_slot) X(test_rights) X(test_snapshot) X(test_fetch) X(test_text) X(test_little_room) X(test_too_many_descriptors) X(test_one_session) \
	X(test_commit) X(test_no_commit) X(test_commit_fails) X(test_stop) X(test_idle) X(test_empty)
SUITE("keeper")
