/*
 * test_session.c - daemon/session.c and session_log.c: who exists, an mbox in a spool, hosts that are set up wrongly, the log's words.
 * Runs in: the tests; the spool needs root.
 */
#include <grp.h>

#include "base/clock.h"
#include "daemon/session_log.h"
#include "daemon/tls_version.h"
#include "tests/unit/daemon/keeper_peer.h"

enum { SPOOL_GID = 23456 };

static void test_known(void)
{
	static const struct { const char *user; enum reply want; } rows[] = {
		{ "ann", REPLY_SEND_PASS }, { "nobody", REPLY_MAILBOX_UNKNOWN }, { "", REPLY_MAILBOX_UNKNOWN }, { "a/../b", REPLY_MAILBOX_UNKNOWN },
		{ "root", REPLY_SEND_PASS },
	};
	int fd;
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	settings->explain_failures = POLICY_LOOPBACK;
	struct worker_ends w = keeper_serving(settings, "127.0.0.1");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rpc_user known = { .verb = RPC_KNOWN };
		(void)snprintf(known.user, sizeof known.user, "%s", rows[i].user);
		struct rpc_answer answer = ask(&w, &known, sizeof known, &fd);
		ROW_ASSERT(rows[i].user, answer.verb == RPC_KNOWN && answer.reply == (uint32_t)rows[i].want && fd == -1);
	}
	/* A back end in trouble tells nobody who exists. */
	CU_ASSERT(chmod(in_host("passwd"), 0644) == 0);
	struct rpc_user known = { .verb = RPC_KNOWN, .user = "nobody" };
	CU_ASSERT(ask(&w, &known, sizeof known, &fd).reply == REPLY_SEND_PASS);
	keeper_end("known", &w, EXIT_GOOD, "login failed: user=\"nobody\" peer=127.0.0.1");
	host_remove();
}

/* The server's own trouble is told as that, and nobody is blamed. */
static void test_set_up_wrongly(void)
{
	static const struct { const char *label, *file; mode_t mode; const char *user, *want, *logged; } rows[] = {
		{ "a passwd file for all", "passwd", 0644, "ann", "AUTH_SETUP", "back end set up wrongly" },
		{ "no lock directory", "lock", 0, "ann", "DROP_IO", "open the lock directory" },
		{ "a file for a Maildir", NULL, 0, "bob", "DROP_BROKEN", "maildrop not in form" },
	};
	host_make();
	make_users();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rpc_answer answer;
		int fd;
		struct settings *settings = settings_of("");
		CU_ASSERT(rows[i].mode == 0 || chmod(in_host(rows[i].file), rows[i].mode) == 0);
		if (rows[i].file != NULL && rows[i].mode == 0)
			(void)snprintf(settings->lock_directory, sizeof settings->lock_directory, "%s", in_host("none"));
		struct worker_ends w = keeper_serving(settings, "192.0.2.1");
		ROW_TEXT(rows[i].label, login(&w, rows[i].user, "secret", &answer, &fd), rows[i].want);
		ROW_ASSERT(rows[i].label, fd == -1 && answer.told[0] == '\0');
		keeper_end(rows[i].label, &w, EXIT_GOOD, rows[i].logged);
		CU_ASSERT(rows[i].mode == 0 || chmod(in_host(rows[i].file), 0600) == 0);
	}
	host_remove();
}

/* One uid for everything: its mail is served, and nobody else's. */
static void test_without_root(void)
{
	struct rpc_answer answer;
	char text[512];
	int fd;
	host_make();
	make_users();
	const char *hash = crypt("secret", "$6$rounds=1000$postern");
	(void)snprintf(text, sizeof text, "ann:%s:%u:%u::\ncat:%s:%u:%u::\n", hash, (unsigned)mail_uid(), (unsigned)mail_uid(), hash,
	               (unsigned)mail_uid() + 1, (unsigned)mail_uid() + 1);
	host_put("passwd", text, 0600);
	give_to_owner("passwd");
	give_to_owner("lock");
	give_to_owner("journal");
	give_to_owner("index");
	keeper_unprivileged = true;
	struct worker_ends w = keeper_serving(settings_of(""), "192.0.2.1");
	ROW_TEXT("another's", login(&w, "cat", "secret", &answer, &fd), "AUTH_SETUP");
	CU_ASSERT(answer.final == 0);
	ROW_TEXT("its own", login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT(answer.count == 3 && fd >= 0);
	(void)close(fd);
	keeper_end("without root", &w, EXIT_GOOD, "posternd was not started as root and serves uid ");
	keeper_unprivileged = false;
	host_remove();
}

/* The pid of a process's only child, 0 for none. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	int child = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *f = fopen(path, "re");
	CU_ASSERT_FATAL(f != NULL);
	if (fscanf(f, "%d", &child) != 1)
		child = 0;
	(void)fclose(f);
	return child;
}

/* A spool that only its group may write: a helper with that group and no other right makes the dotlock. */
static void test_spool(void)
{
	static const char mbox[] = "From a@b Thu Jan  1 00:00:00 1970\nA: 1\n\none\n\nFrom a@b Thu Jan  1 00:00:00 1970\nA: 2\n\ntwo\n\n";
	char spool[] = "/run/postern-spool-XXXXXX", name[64], lock[64], path[64], line[256], want[64];
	struct rpc_answer answer;
	int fd, right = 0;
	if (geteuid() != 0)
		return; /* a spool is root's */
	host_make();
	make_users();
	CU_ASSERT_FATAL(mkdtemp(spool) != NULL && chown(spool, 0, SPOOL_GID) == 0 && chmod(spool, 0775) == 0);
	(void)snprintf(name, sizeof name, "%s/ann", spool);
	(void)snprintf(lock, sizeof lock, "%s/ann.lock", spool);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, mbox, sizeof mbox - 1) == (ssize_t)sizeof mbox - 1 && fchown(fd, MAIL_UID, MAIL_UID) == 0);
	(void)close(fd);
	struct settings *settings = settings_of("");
	(void)snprintf(settings->location, sizeof settings->location, "mbox:%s/%%u", spool);
	struct worker_ends w = keeper_serving(settings, "192.0.2.1");
	ROW_TEXT("spool", login(&w, "ann", "secret", &answer, &fd), "LOGGED_IN");
	CU_ASSERT(answer.count == 2 && fd >= 0);
	(void)close(fd);
	pid_t helper = child_of(w.pid);
	CU_ASSERT_FATAL(helper > 0);
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)helper);
	FILE *f = fopen(path, "re");
	CU_ASSERT_FATAL(f != NULL);
	(void)snprintf(want, sizeof want, "Gid:\t%d\t%d\t%d\t%d\n", SPOOL_GID, SPOOL_GID, SPOOL_GID, SPOOL_GID);
	while (fgets(line, sizeof line, f) != NULL)
		right += strcmp(line, want) == 0 || strcmp(line, "Groups:\t \n") == 0 || strcmp(line, "NoNewPrivs:\t1\n") == 0;
	(void)fclose(f);
	CU_ASSERT(right == 3);
	mark(&w, 0, 2, 1);
	struct rpc_commit commit = { .verb = RPC_COMMIT, .marked = 1 };
	answer = ask(&w, &commit, sizeof commit, &fd);
	CU_ASSERT(answer.reply == REPLY_BYE_UPDATED && answer.n[0] == 1 && answer.n[1] == 1);
	/* The helper ends with its work, and leaves no lock behind. */
	CU_ASSERT(await_end(helper) && access(lock, F_OK) == -1);
	keeper_end("spool", &w, EXIT_GOOD, "deleted=1 left=1");
	struct stat st;
	CU_ASSERT(stat(name, &st) == 0 && st.st_size == (off_t)sizeof mbox / 2);
	CU_ASSERT(nftw(spool, host_remove_, 4, FTW_DEPTH | FTW_PHYS) == 0);
	host_remove();
}

static void test_words(void)
{
	static const struct { unsigned version; const char *want; } versions[] = {
		{ 0, "none" }, { 0x0303, "TLSv1.2" }, { 0x0304, "TLSv1.3" }, { 0x0302, "unknown" }, { 0xffffffff, "unknown" } };
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
		ROW_TEXT(versions[i].want, tls_version_text(versions[i].version), versions[i].want);
}

/* Every reason and every end has words of its own in the log. */
static void test_log(void)
{
	struct session s = { .begun = now_ms(), .user = "an\"n", .peer_text = "192.0.2.1" };
	host_make();
	int kept = log_capture();
	char seen[END_COUNT][64];
	for (int i = 0; i <= END_COUNT; i++) {
		host_log[0] = '\0';
		s.said_bye = i < END_COUNT;
		s.bye = (struct rpc_bye){ .end = i < END_COUNT ? (uint32_t)i : 0, .tls = 0x0303, .marked = 4, .in_clear = (uint32_t)i / END_COUNT };
		session_log_end(&s);
		char *end = strstr(read_log(), "end=\"");
		CU_ASSERT_FATAL(end != NULL && strstr(host_log, "user=\"an\\x22n\" login=no peer=192.0.2.1 tls=TLSv1.2") != NULL);
		CU_ASSERT(strstr(host_log, "dropped-marks=4") != NULL && strstr(host_log, "cause=") == NULL && strstr(host_log, "(null)") == NULL);
		CU_ASSERT((strstr(host_log, "sent a password in clear") != NULL) == (i == END_COUNT));
		for (int k = 0; k < i && k < END_COUNT; k++)
			ROW_ASSERT(seen[k], strncmp(seen[k], end, strcspn(end + 5, "\"") + 6) != 0);
		if (i < END_COUNT)
			(void)snprintf(seen[i], sizeof seen[i], "%.*s", (int)strcspn(end + 5, "\"") + 6, end);
	}
	for (int i = 0; i < REASON_COUNT; i++) {
		struct why why = { .reason = (enum reason)i, .text = "the cause" };
		host_log[0] = '\0';
		struct rpc_answer answer = { .reply = (uint32_t)reply_for_reason(why.reason, true) };
		session_report(&s, &(struct report){ .event = "login-failed", .words = "login failed", .user = "ann", .owner = HISTORY_NOBODY, .why = &why }, &answer);
		CU_ASSERT(strstr(read_log(), "login failed: user=\"ann\" peer=192.0.2.1 tls=none reason=\"") != NULL);
		CU_ASSERT(strstr(host_log, "(null)") == NULL && strstr(host_log, " (the cause)") != NULL);
	}
	log_release(kept);
	host_remove();
}

/* A newer login asks, of a session that was silent for so long by the clock that nobody sets; or the administrator wants its end. */
static void test_silence(void)
{
	const struct { const char *label; enum bell_wish wish; int silent_s; enum reply evicted; } rows[] = {
		{ "heard of a moment ago", BELL_TAKE_OVER, 0, REPLY_NONE }, { "nearly too long", BELL_TAKE_OVER, TAKE_OVER_SECONDS - 2, REPLY_NONE },
		{ "too long", BELL_TAKE_OVER, TAKE_OVER_SECONDS, REPLY_TAKEN_OVER }, { "only asked", BELL_ASK, 2 * TAKE_OVER_SECONDS, REPLY_NONE },
		{ "ended by root", BELL_END, 0, geteuid() == 0 ? REPLY_ENDED : REPLY_NONE },
	};
	host_make();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = 0, gate[2], lock = open(in_host("bell"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		struct session s = { .settings = settings_of(""), .in = NO_ENTRY };
		socket_pair(SOCK_SEQPACKET, gate);
		s.gate = gate[0];
		s.since = time(NULL) + 365 * 86400; /* the clock was set back meanwhile */
		s.heard = now_ms() - 1000LL * rows[i].silent_s;
		s.in.bell = bell_hang(lock);
		pid_t ringer = fork_child();
		if (ringer == 0) {
			struct bell_state state;
			const bool answered = bell_ring(lock, geteuid(), rows[i].wish, "192.0.2.1", &state) == 0;
			_exit(answered && (state.yields != 0) == (rows[i].evicted != REPLY_NONE) && labs(time(NULL) - state.heard - rows[i].silent_s) <= 1 ? 0 : 1);
		}
		ROW_ASSERT(rows[i].label, s.in.bell >= 0 && ready(s.in.bell, POLLIN));
		session_bell(&s);
		ROW_ASSERT(rows[i].label, s.evicted == rows[i].evicted);
		CU_ASSERT(waitpid(ringer, &status, 0) == ringer && WIFEXITED(status) && WEXITSTATUS(status) == 0);
		leave_maildrop(&s.in);
		(void)close(lock);
		(void)close(gate[0]);
		(void)close(gate[1]);
	}
	host_remove();
}

#define TESTS(X) X(test_silence) X(test_known) X(test_set_up_wrongly) X(test_without_root) X(test_spool) X(test_words) X(test_log)
SUITE("session")
