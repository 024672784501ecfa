/*
 * test_nursery.c - daemon/nursery_link.c with the real program posternd-gate: it comes up, says what is wrong, forks gates, ends.
 * Runs in: the tests. POSTERN_BUILD is where the program lies ("build").
 */
#include "daemon/nursery_link.h"
#include "daemon/privilege.h"
#include "tests/unit/daemon/worker.h"

static struct settings *settings;

static const struct nursery_program *program(const char *gate)
{
	static char gate_path[PATH_MAX], sign_path[PATH_MAX], pam_path[PATH_MAX];
	static const struct nursery_program programs = { .gate = gate_path, .signer = sign_path, .pam_helper = pam_path };
	(void)snprintf(gate_path, sizeof gate_path, "%s", gate != NULL ? gate : built("posternd-gate"));
	(void)snprintf(sign_path, sizeof sign_path, "%s", built("posternd-sign"));
	(void)snprintf(pam_path, sizeof pam_path, "%s", built("posternd-pam"));
	return &programs;
}

/* The next report. 1, 0 when none comes, -1 at the nursery's end. */
static int hear(const struct nursery *n, struct nursery_report *report_r)
{
	*report_r = (struct nursery_report){ .verb = 0 };
	return ready(n->channel, POLLIN) ? nursery_hear(n, report_r) : 0;
}

static void begin(void)
{
	host_make();
	CU_ASSERT_FATAL(access(program(NULL)->gate, X_OK) == 0);
	make_certificate("cert.pem", "key.pem");
	settings = settings_of(tls_text("cert.pem", "key.pem"));
}

/* Until both say that they are ready. */
static void await_pair(struct nursery *n)
{
	char problem[NURSERY_TEXT_MAX] = "";
	int r;
	while ((r = nursery_coming(n, problem)) == 0)
		CU_ASSERT_FATAL(ready(n->ready ? n->signer : n->channel, POLLIN));
	ROW_TEXT("pair", problem, "");
	CU_ASSERT_FATAL(r == 1 && n->signer_pid > 0 && n->signer >= 0);
}

static void start(struct nursery *n)
{
	struct nursery_report report;
	char problem[NURSERY_TEXT_MAX] = "";
	CU_ASSERT_FATAL(nursery_start(n, program(NULL), settings, problem) == 0);
	await_pair(n);
	CU_ASSERT(nursery_hear(n, &report) == 0);
}

/* A worker's gate: our end of its socket. */
static int order(const struct nursery *n, uint64_t worker)
{
	struct nursery_order o = { .worker = worker };
	int ends[2];
	socket_pair(SOCK_SEQPACKET, ends);
	CU_ASSERT(rpc_send(n->channel, &o, sizeof o, ends[1]) == 0);
	(void)close(ends[1]);
	return ends[0];
}

static void test_gates(void)
{
	static struct peer client;
	struct nursery n;
	struct nursery_report report;
	struct rpc_bye bye;
	int connection[2], fd;
	begin();
	int kept = log_capture();
	start(&n);
	log_release(kept);
	/* One that is not needed, one that serves, one whose keeper breaks its word. */
	(void)close(order(&n, 1));
	int keeper = order(&n, 2), liar = order(&n, 3), late = order(&n, 4), other = order(&n, 5);
	socket_pair(SOCK_STREAM, connection);
	CU_ASSERT(fcntl(connection[0], F_SETFL, O_NONBLOCK) == 0);
	struct rpc_hello hello = { .verb = RPC_HELLO, .peer = address_of("127.0.0.1") };
	CU_ASSERT(rpc_send(keeper, &hello, sizeof hello, connection[0]) == 0);
	(void)close(connection[0]);
	peer_open(&client, connection[1]);
	expect_line("gate", &client, NULL, "+OK postern POP3 server ready");
	expect_line("gate", &client, "CAPA", "+OK");
	CU_ASSERT(rpc_send(liar, &hello, 4, -1) == 0);
	CU_ASSERT(hear(&n, &report) == 1 && report.verb == NURSERY_GATE_DIED);
	CU_ASSERT(report.worker == 3 && report.signal == 0 && report.status == EXIT_BUG);
	/* Dismissed, it ends when its last gate has, also where its last report was not read any more. */
	CU_ASSERT(rpc_send(other, &hello, 4, -1) == 0 && ready(n.channel, POLLIN));
	pid_t pid = n.pid, signer = n.signer_pid;
	nursery_dismiss(&n);
	CU_ASSERT(n.pid == 0 && n.channel == -1 && n.signer_pid == 0 && n.signer == -1);
	expect_end("signer", signer, EXIT_GOOD, NULL);
	nursery_dismiss(&n);
	/* Who dies now is not passed over in silence. */
	CU_ASSERT(rpc_send(late, &hello, 4, -1) == 0);
	peer_say(&client, "QUIT");
	CU_ASSERT(rpc_await(keeper, &bye, sizeof bye, &fd) == (ssize_t)sizeof bye && bye.verb == RPC_BYE);
	peer_close(&client);
	expect_end("nursery", pid, EXIT_GOOD, "gate: bug: the keeper's first message is no HELLO");
	CU_ASSERT(strstr(host_log, "gate nursery: gate of worker 4, of a nursery from before a reload, ended with status 71") != NULL);
	(void)close(keeper);
	(void)close(liar);
	(void)close(late);
	(void)close(other);
	host_remove();
}

/* Given up before it was heard that they are ready: no trouble of theirs. */
static void test_given_up(void)
{
	struct nursery n;
	char problem[NURSERY_TEXT_MAX] = "";
	begin();
	int kept = log_capture();
	CU_ASSERT_FATAL(nursery_start(&n, program(NULL), settings, problem) == 0);
	log_release(kept);
	const pid_t pid = n.pid, signer = n.signer_pid;
	CU_ASSERT(ready(n.channel, POLLIN) && ready(n.signer, POLLIN));
	nursery_dismiss(&n);
	expect_end("nursery", pid, EXIT_GOOD, NULL);
	expect_end("signer", signer, EXIT_GOOD, NULL);
	CU_ASSERT(strstr(host_log, "fatal") == NULL);
	host_remove();
}

/* Nobody's, nowhere, unable to gain anything. */
static void check_rights(pid_t pid, const char *name)
{
	char path[64], line[256], root[PATH_MAX];
	bool bound = false, user = geteuid() != 0;
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	CU_ASSERT_FATAL(f != NULL);
	while (fgets(line, sizeof line, f) != NULL) {
		bound = bound || strcmp(line, "NoNewPrivs:\t1\n") == 0;
		user = user || strncmp(line, "Uid:\t65534\t65534\t65534\t65534\n", 29) == 0;
	}
	(void)fclose(f);
	CU_ASSERT(bound && user);
	if (geteuid() == 0 && !INSTRUMENTED) {
		(void)snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
		ssize_t len = readlink(path, root, sizeof root - 1);
		root[len > 0 ? len : 0] = '\0';
		ROW_ASSERT(name, strncmp(root, name, strlen(name)) == 0 && strstr(root, " (deleted)") != NULL);
	}
}

static void test_rights(void)
{
	struct nursery n;
	begin();
	start(&n);
	check_rights(n.pid, "/tmp/postern-gate-");
	check_rights(n.signer_pid, "/tmp/postern-sign-");
	pid_t pid = n.pid, signer = n.signer_pid;
	nursery_dismiss(&n);
	CU_ASSERT(child_status(pid) == EXIT_GOOD && child_status(signer) == EXIT_GOOD);
	host_remove();
}

/* What posternd -t says of a host. */
static void test_try(void)
{
	static const struct { const char *label, *certificate, *key, *user, *program, *words; } rows[] = {
		{ "good", "cert.pem", "key.pem", "nobody", NULL, NULL },
		{ "no certificate", NULL, NULL, "nobody", NULL, NULL },
		{ "missing", "none.pem", "key.pem", "nobody", NULL, "none.pem cannot be used" },
		{ "another's key", "cert.pem", "other.pem", "nobody", NULL, "other.pem" },
		{ "garbage", "passwd", "key.pem", "nobody", NULL, "it must hold the chain in PEM" },
		{ "a FIFO, which nobody writes to", "fifo", "key.pem", "nobody", NULL, "fifo cannot be used" },
		{ "no key", "cert.pem", "none.pem", "nobody", NULL, "none.pem cannot be used with certificate" },
		{ "garbage for a key", "cert.pem", "passwd", "nobody", NULL, "it must be the PEM key of that certificate" },
		{ "no program", "cert.pem", "key.pem", "nobody", "/nonexistent/gate", "is posternd-gate beside posternd, whole, and of the same build? After an upgrade restart posternd" },
		{ "another program", "cert.pem", "key.pem", "nobody", "/bin/true", "is posternd-gate beside posternd, whole, and of the same build? After an upgrade restart posternd" },
		{ "no such user", "cert.pem", "key.pem", "no-such-user", NULL, "gate_user = no-such-user: no account with the name no-such-user; make one with: useradd" },
		{ "root", "cert.pem", "key.pem", "root", NULL, "it must not be root" },
	};
	begin();
	make_certificate("othercert.pem", "other.pem");
	host_put("passwd", "x\n", 0600);
	CU_ASSERT_FATAL(mkfifo(in_host("fifo"), 0600) == 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char problem[NURSERY_TEXT_MAX] = "";
		if (geteuid() != 0 && strcmp(rows[i].user, "nobody") != 0)
			continue; /* it is not looked up then */
		put_path(settings->certificate, rows[i].certificate != NULL ? in_host(rows[i].certificate) : "");
		put_path(settings->key, rows[i].key != NULL ? in_host(rows[i].key) : "");
		(void)snprintf(settings->gate_user, sizeof settings->gate_user, "%s", rows[i].user);
		struct certificate_seen seen;
		int r = nursery_try(program(rows[i].program), settings, &seen, problem);
		ROW_ASSERT(rows[i].label, r == (rows[i].words == NULL ? 0 : -1));
		if (rows[i].words != NULL && strstr(problem, rows[i].words) == NULL)
			ROW_TEXT(rows[i].label, problem, rows[i].words);
	}
	CU_ASSERT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	host_remove();
}

/* Two weeks before a certificate ends, and from then on. */
static void test_certificate_ends(void)
{
	enum { DAY = 24 * 3600 };
	static const struct {
		int64_t ends;
		const char *words;
	} rows[] = {
		{ 0, NULL }, { 14 * DAY + 1000, NULL }, { 14 * DAY + 999, "certificate cert.pem ends on 1970-01-15, in 13 days; renew it" },
		{ DAY + 1000, "in 1 day; " }, { 1001, "ends on 1970-01-01, in 0 days" }, { 1000, "certificate cert.pem has expired, on 1970-01-01: mail programs refuse it" }, { 1, "has expired" },
	};
	static struct settings one = { .certificate = "other.pem\0cert.pem" };
	static const struct certificate_seen ended = { .ends = 1, .ending = 1 };
	char said[2][NURSERY_TEXT_MAX] = { "", "" };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[NURSERY_TEXT_MAX] = "";
		ROW_ASSERT(rows[i].words != NULL ? rows[i].words : "good", certificate_is_old(&one, &(struct certificate_seen){ .ends = rows[i].ends, .ending = 1 }, 1000, text, sizeof text) == (rows[i].words != NULL));
		ROW_ASSERT(text, strstr(text, rows[i].words != NULL ? rows[i].words : "") != NULL);
	}
	/* A reload is asked for only where nobody looks otherwise. */
	for (int i = 0; i < 2; i++) {
		one.reread_seconds = (uint64_t)i;
		CU_ASSERT(certificate_is_old(&one, &ended, 1000, said[i], sizeof said[i]));
	}
	CU_ASSERT(strstr(said[0], "; renew it, then reload") != NULL && strstr(said[1], "reload") == NULL);
}

/* Reports of another size are the end, like the end itself; a text ends. */
static void test_hear(void)
{
	struct nursery_report report = { .verb = NURSERY_FAILED }, got;
	int ends[2];
	socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK, ends);
	struct nursery n = { .pid = 1, .channel = ends[0], .signer = -1 };
	CU_ASSERT(nursery_hear(&n, &got) == 0);
	memset(report.text, 'x', sizeof report.text);
	CU_ASSERT(rpc_send(ends[1], &report, sizeof report, STDIN_FILENO) == 0);
	CU_ASSERT(nursery_hear(&n, &got) == 1 && strlen(got.text) == sizeof got.text - 1);
	CU_ASSERT(rpc_send(ends[1], &report, 8, -1) == 0);
	CU_ASSERT(nursery_hear(&n, &got) == -1);
	(void)close(ends[1]);
	CU_ASSERT(nursery_hear(&n, &got) == -1);
	nursery_dismiss(&n);
}

#define TESTS(X) X(test_gates) X(test_given_up) X(test_rights) X(test_try) X(test_certificate_ends) X(test_hear)
SUITE("nursery")
