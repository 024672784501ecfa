/*
 * test_master.c - daemon/master.c: the real master with its real helpers: sessions through loopback, limits, reloads, stops.
 * Runs in: the tests. POSTERN_BUILD is where posternd-gate, posternd-sign and posternd-pam lie ("build").
 */
#include <sys/un.h>

#include "base/clock.h"
#include "daemon/master.h"
#include "daemon/privilege.h"
#include "tests/unit/daemon/worker.h"

static unsigned port;
static struct peer client = { .fd = -1 };

static const char *helper(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	const char *build = getenv("POSTERN_BUILD");
	char *path = paths[turn++ % 4];
	(void)snprintf(path, PATH_MAX, "%s/%s", build != NULL ? build : "build", name);
	return path;
}

/* A port of 127.0.0.1 that nobody has. */
static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

/* From 127.0.0.HOST. -1 when nobody listens. */
static int connect_from(unsigned host, unsigned to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)to), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl((INADDR_LOOPBACK & ~0xffu) | host) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int connect_to(unsigned to)
{
	return connect_from(1, to);
}

static void open_client(void)
{
	int fd = connect_to(port);
	CU_ASSERT_FATAL(fd >= 0);
	peer_open(&client, fd);
}

static void write_config(const char *extra)
{
	host_put("config", config_text(port, extra), 0600);
}

/* A master for the configuration that write_config() left. */
static pid_t start(const char *gate, int ready_pipe)
{
	static struct settings settings;
	CU_ASSERT_FATAL(settings_read(in_host("config"), &settings, say_finding, NULL) == 0);
	const char *config = in_host("config");
	pid_t pid = fork_child();
	if (pid == 0) {
		struct master_options options = { .config = config, .programs = { .gate = gate, .signer = helper("posternd-sign"), .pam_helper = helper("posternd-pam") },
		                                  .ready = ready_pipe };
		log_role("master");
		leave(master_run(&options, &settings));
	}
	return pid;
}

static pid_t begin(const char *extra)
{
	host_make();
	make_users();
	make_certificate("cert.pem", "key.pem");
	port = free_port();
	write_config(extra);
	pid_t pid = start(helper("posternd-gate"), -1);
	CU_ASSERT_FATAL(await_log(" serves; 1 listening sockets"));
	return pid;
}

/* Forget what was logged; what comes next is looked at. */
static void forget_log(void)
{
	(void)read_log();
	host_log[0] = '\0';
}

/* A worker that was being forked when the server stopped has the listening socket, too, until it runs and closes it. */
static bool await_refusal(void)
{
	int fd = 0;
	for (long long until = now_ms() + PATIENCE_MS; (fd = connect_to(port)) >= 0 && now_ms() < until; (void)poll(NULL, 0, 10))
		(void)close(fd);
	return fd < 0;
}

static void end(pid_t pid)
{
	peer_close(&client);
	CU_ASSERT(kill(pid, SIGTERM) == 0);
	expect_end("stopped", pid, EXIT_GOOD, "master: stopped");
	CU_ASSERT(await_refusal());
	host_remove();
}

static void test_session(void)
{
	pid_t pid = begin("");
	open_client();
	expect_line("session", &client, NULL, "+OK postern POP3 server ready");
	expect_line("session", &client, "USER ann", "+OK");
	expect_line("session", &client, "PASS secret", "+OK logged in: 3 messages, 47 octets");
	expect_line("session", &client, "RETR 1", "+OK 19 octets");
	static const char *const lines[] = { "A: 1", "", "one", "..dot", "." };
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		ROW_TEXT("message", peer_line(&client), lines[i]);
	expect_line("session", &client, "DELE 1", "+OK");
	expect_line("session", &client, "QUIT", "+OK 1 message deleted, 2 left; bye");
	CU_ASSERT(await_log("deleted=1 left=2"));
	CU_ASSERT(access(in_host("mail/ann/cur/1.a.host:2,S"), F_OK) == -1);
	CU_ASSERT(access(in_host("mail/ann/cur/2.b.host:2,S"), F_OK) == 0);
	end(pid);
}

/* A stop is told to those who are connected; marks are dropped. */
static void test_stop(void)
{
	pid_t pid = begin("");
	open_client();
	expect_line("stop", &client, NULL, "+OK");
	expect_line("stop", &client, "USER ann", "+OK");
	expect_line("stop", &client, "PASS secret", "+OK");
	expect_line("stop", &client, "DELE 1", "+OK");
	CU_ASSERT(kill(pid, SIGTERM) == 0);
	expect_line("stop", &client, NULL, "-ERR [SYS/TEMP] the server is stopping or restarting; nothing was deleted");
	peer_close(&client);
	expect_end("stop", pid, EXIT_GOOD, "end=\"server stopped\"");
	CU_ASSERT(access(in_host("mail/ann/cur/1.a.host:2,S"), F_OK) == 0);
	host_remove();
}

static void test_limits(void)
{
	static struct peer other;
	pid_t pid = begin("[limits]\nper_source = 1\n");
	open_client();
	expect_line("first", &client, NULL, "+OK postern");
	peer_open(&other, connect_to(port));
	expect_line("second", &other, NULL, "-ERR [SYS/TEMP] your address has 1 of 1 connections open");
	expect_closed("second", &other);
	peer_close(&other);
	expect_line("first", &client, "QUIT", "+OK bye");
	peer_close(&client);
	CU_ASSERT(await_log("refused: peer=127.0.0.1 reason=SOURCE_FULL"));
	end(pid);
	/* All workers in use. */
	pid = begin("[limits]\nper_source = 20\n");
	forget_log();
	write_config("[limits]\nper_source = 20\n");
	struct peer *many = calloc(8, sizeof *many);
	CU_ASSERT_FATAL(many != NULL);
	for (int i = 0; i < 8; i++) {
		/* From an address of its own: strangers who crowd are another case. */
		peer_open(&many[i], connect_from((unsigned)i + 2, port));
		expect_line("one of eight", &many[i], NULL, "+OK postern");
	}
	open_client();
	expect_line("the ninth", &client, NULL, "-ERR [SYS/TEMP] the server has all 8 sessions in use");
	for (int i = 0; i < 8; i++)
		peer_close(&many[i]);
	free(many);
	end(pid);
}

/* A reload: the session that is open goes on, new ones meet the new settings; a bad file changes nothing. */
static void test_reload(void)
{
	static struct peer other;
	pid_t pid = begin("");
	open_client();
	expect_line("old", &client, NULL, "+OK postern");
	unsigned old_port = port;
	port = free_port();
	write_config(tls_text("cert.pem", "key.pem"));
	CU_ASSERT(kill(pid, SIGHUP) == 0);
	CU_ASSERT(await_log("configuration and certificate read again"));
	CU_ASSERT(connect_to(old_port) == -1);
	peer_open(&other, connect_to(port));
	expect_line("new", &other, NULL, "+OK postern");
	expect_line("new", &other, "STLS", "+OK begin TLS now");
	expect_line("old goes on", &client, "STLS", "-ERR TLS is not set up");
	peer_close(&other);
	/* A certificate that the gate program cannot read to its end, where only the signer says so: another reload is not kept waiting. */
	CU_ASSERT_FATAL(mkfifo(in_host("fifo"), 0600) == 0);
	char fifo[512];
	(void)snprintf(fifo, sizeof fifo, "[tls]\ncertificate = %s\nkey = %s\n", in_host("fifo"), in_host("key.pem"));
	const struct { const char *label, *extra, *words; } bad[] = {
		{ "a FIFO for a certificate", fifo, "the old configuration and certificate stay" },
		{ "bad setting", "[limits]\nlogin_tries = none\n", "reload: the old configuration stays" },
		{ "bad certificate", "[tls]\ncertificate = /nonexistent\nkey = /nonexistent\n", "the old configuration and certificate stay" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		forget_log();
		write_config(bad[i].extra);
		CU_ASSERT(kill(pid, SIGHUP) == 0);
		ROW_ASSERT(bad[i].label, await_log(bad[i].words));
		peer_open(&other, connect_to(port));
		expect_line(bad[i].label, &other, NULL, "+OK postern");
		expect_line(bad[i].label, &other, "STLS", "+OK begin TLS now");
		peer_close(&other);
	}
	/* A port that another has. */
	forget_log();
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(bind(taken, (const struct sockaddr *)&a, sizeof a) == 0 && listen(taken, 1) == 0);
	CU_ASSERT_FATAL(getsockname(taken, (struct sockaddr *)&a, &len) == 0);
	unsigned good = port;
	port = ntohs(a.sin_port);
	write_config("");
	CU_ASSERT(kill(pid, SIGHUP) == 0);
	CU_ASSERT(await_log("then restart it; the old configuration and certificate stay"));
	(void)close(taken);
	port = good;
	peer_open(&other, connect_to(port));
	expect_line("after it", &other, NULL, "+OK postern");
	peer_close(&other);
	end(pid);
}

/* The first child of a process whose program is that, 0 for none; the oldest child of it in *child_r. */
static int find_nursery(pid_t master, int *child_r)
{
	char path[64], name[PATH_MAX], parents[64];
	int child, found = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)master, (int)master);
	FILE *f = fopen(path, "re");
	CU_ASSERT_FATAL(f != NULL);
	while (found == 0 && fscanf(f, "%d", &child) == 1) {
		(void)snprintf(path, sizeof path, "/proc/%d/exe", child);
		ssize_t len = readlink(path, name, sizeof name - 1);
		name[len > 0 ? len : 0] = '\0';
		if (strstr(name, "/posternd-gate") != NULL)
			found = child;
	}
	(void)fclose(f);
	if (found == 0 || child_r == NULL)
		return found;
	(void)snprintf(parents, sizeof parents, "/proc/%d/task/%d/children", found, found);
	f = fopen(parents, "re");
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT(fscanf(f, "%d", child_r) == 1);
	(void)fclose(f);
	return found;
}

/* A gate that is killed: its client loses its session, the nursery is replaced, the next session works. */
static void test_gate_dies(void)
{
	int gate = 0;
	pid_t pid = begin("");
	open_client();
	expect_line("victim", &client, NULL, "+OK postern");
	const int victims = find_nursery(pid, &gate);
	CU_ASSERT_FATAL(victims > 0 && gate > 0);
	CU_ASSERT(kill(gate, SIGKILL) == 0);
	CU_ASSERT(await_log("was killed by signal 9"));
	peer_close(&client);
	open_client();
	expect_line("next", &client, NULL, "+OK postern");
	expect_line("next", &client, "QUIT", "+OK bye");
	peer_close(&client);
	/* And the nursery itself: the one that comes after the victim's, which goes when that is taken into use. */
	int next = victims;
	for (long long until = now_ms() + PATIENCE_MS; (next == victims || next == 0) && now_ms() < until; next = find_nursery(pid, NULL))
		(void)poll(NULL, 0, 10);
	CU_ASSERT_FATAL(next > 0 && next != victims);
	forget_log();
	CU_ASSERT(kill(next, SIGKILL) == 0);
	CU_ASSERT(await_log("the gate nursery is gone; starting another"));
	peer_close(&client);
	/* Until there is another, clients are told to come again. */
	const char *greeting = "";
	for (long long until = now_ms() + PATIENCE_MS; strncmp(greeting, "+OK", 3) != 0 && now_ms() < until; greeting = peer_line(&client)) {
		if (client.fd >= 0)
			peer_close(&client);
		open_client();
	}
	ROW_TEXT("again", greeting, "+OK postern POP3 server ready");
	end(pid);
}

/* What keeps a master from starting: it says so, and ends with a status of its own. */
static void test_no_start(void)
{
	host_make();
	make_users();
	port = free_port();
	write_config("");
	host_put("sleeper", "#!/bin/sh\nexec sleep 1000\n", 0755);
	char sleeper[512];
	(void)snprintf(sleeper, sizeof sleeper, "%s", in_host("sleeper"));
	expect_end("a gate program that does not come up", start(sleeper, -1), EXIT_ENVIRONMENT, "was not ready within 20 s");
	expect_end("no gate program", start("/nonexistent/gate", -1), EXIT_ENVIRONMENT, "the gate program ended before it was ready");
	write_config("[tls]\ncertificate = /nonexistent\nkey = /nonexistent\n");
	expect_end("no certificate", start(helper("posternd-gate"), -1), EXIT_ENVIRONMENT, "certificate /nonexistent cannot be used");
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(bind(taken, (const struct sockaddr *)&a, sizeof a) == 0 && listen(taken, 1) == 0);
	write_config("");
	expect_end("port in use", start(helper("posternd-gate"), -1), EXIT_ENVIRONMENT, "another program has that port, see: ss -ltnp");
	(void)close(taken);
	host_remove();
}

/* Whoever waits is told when it serves; so is the service manager, of every step. */
static void test_ready(void)
{
	struct sockaddr_un manager = { .sun_family = AF_UNIX };
	char state[64], octet = 'x';
	int ends[2];
	host_make();
	make_users();
	port = free_port();
	write_config("");
	(void)snprintf(manager.sun_path, sizeof manager.sun_path, "%s", in_host("notify"));
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(bind(notify, (const struct sockaddr *)&manager, sizeof manager) == 0);
	CU_ASSERT_FATAL(pipe2(ends, O_CLOEXEC) == 0);
	CU_ASSERT(setenv("NOTIFY_SOCKET", manager.sun_path, 1) == 0);
	CU_ASSERT(setenv("WATCHDOG_USEC", "20000", 1) == 0);
	pid_t pid = start(helper("posternd-gate"), ends[1]);
	CU_ASSERT(unsetenv("NOTIFY_SOCKET") == 0 && unsetenv("WATCHDOG_USEC") == 0);
	(void)close(ends[1]);
	CU_ASSERT(ready(ends[0], POLLIN) && read(ends[0], &octet, 1) == 1 && octet == '\0');
	static const char *const wanted[] = { "READY=1", "WATCHDOG=1", "RELOADING=1\nMONOTONIC_USEC=", "READY=1", "STOPPING=1" };
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		do {
			ssize_t n = ready(notify, POLLIN) ? recv(notify, state, sizeof state - 1, 0) : 0;
			CU_ASSERT_FATAL(n > 0);
			state[n] = '\0';
		} while (strncmp(state, wanted[i], strlen(wanted[i])) != 0 && strncmp(state, "WATCHDOG=1", 10) == 0);
		ROW_ASSERT(wanted[i], strncmp(state, wanted[i], strlen(wanted[i])) == 0);
		if (i == 1 || i == 3)
			CU_ASSERT(kill(pid, i == 1 ? SIGHUP : SIGTERM) == 0);
	}
	expect_end("ready", pid, EXIT_GOOD, NULL);
	(void)close(ends[0]);
	(void)close(notify);
	host_remove();
}

#define TESTS(X) X(test_session) X(test_stop) X(test_limits) X(test_reload) X(test_gate_dies) X(test_no_start) X(test_ready)
SUITE("master")
