/*
 * test_log.c - daemon/log.c: what arrives at stderr, syslog and the journal, and that a full log stops nobody.
 * Runs in: the tests.
 *
 * log.c is compiled in with the names of sockets in a directory of the test's own.
 */
#define LOG_SYSLOG_SOCKET "syslog"
#define LOG_JOURNAL_SOCKET "journal"
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* The time between a look at a pipe and the writing, in which others write: some, so that a crowd shows who relies on the look. */
static inline int poll_and_dawdle(struct pollfd *fds, nfds_t count, int timeout)
{
	const int n = poll(fds, count, timeout);
	(void)usleep(500);
	return n;
}
#define poll poll_and_dawdle
#include "daemon/log.c"

#include "tests/unit/suite.h"

static char directory[64] = "/tmp/postern-log-XXXXXX";
static int own_stderr = -1;   /* the real one, while a pipe stands in its place */
static int captured = -1;     /* the pipe's end to read */

/* A datagram socket bound to a name in the directory, as a log daemon has one. */
static int sink_listen(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	(void)unlink(name);
	CU_ASSERT_FATAL(bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

static void begin(void)
{
	int ends[2];
	(void)snprintf(directory, sizeof directory, "/tmp/postern-log-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(directory) != NULL && chdir(directory) == 0);
	CU_ASSERT_FATAL(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	CU_ASSERT_FATAL(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	(void)close(ends[1]);
	captured = ends[0];
	(void)unsetenv("JOURNAL_STREAM");
	*state.lost = 0;
	log_role("tester");
}

static void end(void)
{
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
	(void)dup2(own_stderr, STDERR_FILENO);
	(void)close(own_stderr);
	(void)close(captured);
	(void)unlink("syslog");
	(void)unlink("journal");
	CU_ASSERT(chdir("/") == 0 && rmdir(directory) == 0);
}

/* What has arrived (all of a pipe, one datagram of a socket); "" for nothing. NULs stay, the length is in *len_r. */
static const char *arrived(int fd, size_t *len_r)
{
	static char text[4 * LOG_LINE_MAX];
	ssize_t n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	if (len_r != NULL)
		*len_r = n > 0 ? (size_t)n : 0;
	return text;
}

/* "postern[pid] tester: " and the rest. */
static const char *expected(const char *rest)
{
	static char text[2 * LOG_LINE_MAX];
	(void)snprintf(text, sizeof text, "postern[%ld] %s", (long)getpid(), rest);
	return text;
}

static void test_stderr(void)
{
	begin();
	log_open(LOG_TARGET_STDERR, LOG_INFO, false);
	errno = EBADF;
	log_line(LOG_INFO, "connect from %s", "192.0.2.1");
	CU_ASSERT(errno == EBADF);
	ROW_TEXT("line", arrived(captured, NULL), expected("tester: connect from 192.0.2.1\n"));
	log_role("keeper");
	log_line(LOG_ERR, "x");
	ROW_TEXT("role", arrived(captured, NULL), expected("keeper: x\n"));
	/* A pipe has a description of our own, which does not wait; who shares stderr with us notices nothing. */
	CU_ASSERT((fcntl(log_descriptor(), F_GETFL) & O_NONBLOCK) != 0);
	end();
}

static void test_level(void)
{
	static const struct {
		int level, priority;
		bool passes;
	} rows[] = {
		{ LOG_ERR, LOG_ERR, true }, { LOG_ERR, LOG_WARNING, false }, { LOG_ERR, LOG_CRIT, true },
		{ LOG_INFO, LOG_INFO, true }, { LOG_INFO, LOG_DEBUG, false }, { LOG_DEBUG, LOG_DEBUG, true },
	};
	begin();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		log_open(LOG_TARGET_STDERR, rows[i].level, true);
		log_line(rows[i].priority, "x");
		CU_ASSERT((*arrived(captured, NULL) != '\0') == rows[i].passes);
	}
	end();
}

static void test_one_line(void)
{
	char huge[2 * LOG_LINE_MAX];
	begin();
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
	log_line(LOG_INFO, "a\nb\r\x1b[2J\x7f\xc3\xa4 end");
	ROW_TEXT("controls", arrived(captured, NULL), expected("tester: a?b??[2J??? end\n"));
	memset(huge, 'x', sizeof huge);
	huge[sizeof huge - 1] = '\0';
	log_line(LOG_INFO, "%s", huge);
	const char *text = arrived(captured, NULL);
	size_t len = strlen(text);
	CU_ASSERT(len < LOG_LINE_MAX + LOG_HEAD_MAX && len > LOG_LINE_MAX - 1);
	CU_ASSERT_FATAL(len > 4);
	ROW_TEXT("cut", text + len - 5, "x...\n");
	end();
}

static void test_full_pipe(void)
{
	char filler[4096] = { 0 };
	begin();
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
	while (write(STDERR_FILENO, filler, sizeof filler) > 0)
		;
	log_line(LOG_INFO, "one");
	log_line(LOG_INFO, "two");
	while (read(captured, filler, sizeof filler) > 0)
		;
	log_line(LOG_INFO, "three");
	char want[256];
	int n = snprintf(want, sizeof want, "%s", expected("tester: 2 lines lost: the log did not take them\n"));
	(void)snprintf(want + n, sizeof want - (size_t)n, "%s", expected("tester: three\n"));
	ROW_TEXT("after the gap", arrived(captured, NULL), want);
	log_line(LOG_INFO, "four");
	ROW_TEXT("said once", arrived(captured, NULL), expected("tester: four\n"));
	end();
}

/* Many processes at a pipe that nobody reads: none waits, and each line is either there or counted. */
static void test_crowd(void)
{
	enum { CROWD = 24, LINES = 40 };
	static char text[CROWD * LINES * 2 * LOG_LINE_MAX];
	static char long_word[LOG_LINE_MAX - 200];
	pid_t pids[CROWD];
	size_t len = 0, whole = 0;
	ssize_t n;
	begin();
	/* As it is where the server is started: who shares the pipe may wait. */
	CU_ASSERT(fcntl(STDERR_FILENO, F_SETFL, 0) == 0);
	log_open(LOG_TARGET_STDERR, LOG_INFO, true);
	memset(long_word, 'x', sizeof long_word - 1);
	for (int i = 0; i < CROWD; i++) {
		pids[i] = fork();
		for (int k = 0; pids[i] == 0 && k < LINES; k++)
			log_line(LOG_INFO, "word %s", long_word);
		if (pids[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < CROWD; i++)
		CU_ASSERT(waitpid(pids[i], NULL, 0) == pids[i]);
	while ((n = read(captured, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	for (const char *at = text; (at = strstr(at, "tester: word ")) != NULL; at++)
		whole++;
	CU_ASSERT(whole > 0 && *state.lost > 0);
	for (const char *at = text; (at = strstr(at, " lines lost")) != NULL; at++) {
		const char *number = at;
		while (number[-1] >= '0' && number[-1] <= '9')
			number--;
		whole += strtoul(number, NULL, 10);
	}
	CU_ASSERT_EQUAL(whole + *state.lost, CROWD * LINES);
	end();
}

static void test_syslog(void)
{
	int month = 0, pid = 0, priority = 0, text = 0;
	char name[4];
	begin();
	int fd = sink_listen("syslog");
	log_open(LOG_TARGET_SYSLOG, LOG_INFO, true);
	CU_ASSERT(log_descriptor() > STDERR_FILENO);
	log_line(LOG_WARNING, "disk %d", 7);
	const char *line = arrived(fd, NULL);
	CU_ASSERT(sscanf(line, "<%d>%3s %d %*d:%*d:%*d postern[%d]: %n", &priority, name, &month, &pid, &text) == 4);
	CU_ASSERT(priority == (LOG_MAIL | LOG_WARNING));
	CU_ASSERT(pid == (int)getpid());
	ROW_TEXT("text", line + text, "tester: disk 7");
	ROW_TEXT("nothing on stderr", arrived(captured, NULL), "");
	(void)close(fd);
	end();
}

static void test_syslog_restart(void)
{
	begin();
	int fd = sink_listen("syslog");
	log_open(LOG_TARGET_SYSLOG, LOG_INFO, false);
	int before = log_descriptor();
	(void)close(fd);
	fd = sink_listen("syslog");
	log_line(LOG_INFO, "again");
	CU_ASSERT(strstr(arrived(fd, NULL), "tester: again") != NULL);
	CU_ASSERT(log_descriptor() == before);

	/* A process that was forked may be in a sandbox: it opens nothing, and counts. */
	(void)close(fd);
	fd = sink_listen("syslog");
	pid_t pid = fork();
	if (pid == 0) {
		log_line(LOG_INFO, "from a child");
		_exit(*state.lost == 1 ? 0 : 1);
	}
	int status = -1;
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	ROW_TEXT("child", arrived(fd, NULL), "");
	/* Who can say it says it, also when the child is long gone. */
	log_line(LOG_INFO, "from the parent");
	CU_ASSERT(strstr(arrived(fd, NULL), "1 lines lost") != NULL);
	CU_ASSERT(strstr(arrived(fd, NULL), "from the parent") != NULL);
	(void)close(fd);
	end();
}

static void test_no_socket(void)
{
	begin();
	log_open(LOG_TARGET_SYSLOG, LOG_INFO, false);
	log_line(LOG_INFO, "still heard");
	const char *text = arrived(captured, NULL);
	CU_ASSERT(strstr(text, "the log goes to stderr, because syslog cannot be reached") != NULL);
	CU_ASSERT(strstr(text, "tester: still heard\n") != NULL);
	end();
}

static void test_journal(void)
{
	static const struct log_field fields[] = {
		{ "POSTERN_USER", "ann" }, { "POSTERN_LINES", "a\nb\n" }, { "POSTERN_PEER", "::1" } };
	static const char want[] = "MESSAGE=tester: two  lines?here\nPRIORITY=5\nSYSLOG_IDENTIFIER=postern\n"
	                           "POSTERN_ROLE=tester\nPOSTERN_USER=ann\n"
	                           "POSTERN_LINES\n\x04\0\0\0\0\0\0\0a\nb\n\nPOSTERN_PEER=::1\n";
	size_t len;
	begin();
	int fd = sink_listen("journal");
	log_open(LOG_TARGET_JOURNAL, LOG_NOTICE, false);
	log_event(LOG_NOTICE, fields, 3, "two  lines\n%s", "here");
	const char *got = arrived(fd, &len);
	CU_ASSERT(len == sizeof want - 1);
	CU_ASSERT(memcmp(got, want, sizeof want - 1) == 0);

	/* A field that does not fit is left out whole; those behind it are not. */
	static char huge[JOURNAL_ROOM];
	memset(huge, 'x', sizeof huge - 1);
	const struct log_field big[] = { { "POSTERN_BIG", huge }, { "POSTERN_USER", "ann" } };
	log_event(LOG_NOTICE, big, 2, "big");
	got = arrived(fd, &len);
	CU_ASSERT(strstr(got, "POSTERN_BIG") == NULL);
	CU_ASSERT(strstr(got, "\nPOSTERN_USER=ann\n") != NULL);
	(void)close(fd);
	end();
}

static void test_auto(void)
{
	static const struct {
		const char *label;
		bool stream, foreground;
		const char *want; /* where it arrives */
	} rows[] = {
		{ "journal on stderr", true, false, "journal" },
		{ "journal wins over foreground", true, true, "journal" },
		{ "another's stream", false, true, "stderr" },
		{ "in the background", false, false, "syslog" },
	};
	begin();
	int journal = sink_listen("journal"), syslog_fd = sink_listen("syslog");
	struct stat st;
	CU_ASSERT_FATAL(fstat(STDERR_FILENO, &st) == 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char stream[64];
		(void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev,
		               (uintmax_t)st.st_ino + !rows[i].stream);
		(void)setenv("JOURNAL_STREAM", stream, 1);
		log_open(LOG_TARGET_AUTO, LOG_INFO, rows[i].foreground);
		log_line(LOG_INFO, "x");
		const char *got = *arrived(journal, NULL) != '\0' ? "journal"
		                : *arrived(syslog_fd, NULL) != '\0' ? "syslog"
		                : *arrived(captured, NULL) != '\0' ? "stderr" : "nowhere";
		if (strcmp(got, rows[i].want) != 0)
			dprintf(own_stderr, "row \"%s\": got %s, want %s\n", rows[i].label, got, rows[i].want);
		CU_ASSERT_STRING_EQUAL(got, rows[i].want);
	}
	(void)close(journal);
	(void)close(syslog_fd);
	end();
}

static void end_fatal(void)
{
	errno = ENOENT;
	fatal("open %s", "/x");
}

static void end_fatal_plain(void)
{
	errno = 0;
	fatal("no user %s", "postern");
}

static void end_panic(void)
{
	errno = ENOENT;
	panic("state %d", 9);
}

static void end_violation(void)
{
	errno = ENOENT;
	violation("verb %d twice", 3);
}

static void test_endings(void)
{
	static const struct {
		void (*run)(void);
		int status;
		const char *want;
	} rows[] = {
		{ end_fatal, EXIT_ENVIRONMENT, "tester: fatal: open /x: No such file or directory\n" },
		{ end_fatal_plain, EXIT_ENVIRONMENT, "tester: fatal: no user postern\n" },
		{ end_panic, EXIT_BUG, "tester: bug: state 9\n" },
		{ end_violation, EXIT_VIOLATION, "tester: violation: verb 3 twice\n" },
	};
	begin();
	log_open(LOG_TARGET_STDERR, LOG_ERR, true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		pid_t pid = fork();
		if (pid == 0)
			rows[i].run();
		int status = 0;
		CU_ASSERT(waitpid(pid, &status, 0) == pid);
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == rows[i].status);
		const char *got = arrived(captured, NULL), *text = strchr(got, ' ');
		ROW_TEXT(rows[i].want, text == NULL ? got : text + 1, rows[i].want);
	}
	end();
}

static void test_text(void)
{
	static const struct {
		const char *text;
		size_t size;
		const char *want;
	} rows[] = {
		{ "ann", 64, "\"ann\"" },
		{ "", 64, "\"\"" },
		{ "a\"b\\c\n\x1b\xff", 64, "\"a\\x22b\\x5cc\\x0a\\x1b\\xff\"" },
		{ "%n%s", 64, "\"%n%s\"" },
		{ "0123456789", 10, "\"0123...\"" },
		{ "0123456789", 7, "\"\"" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char storage[64];
		const char *got = log_text(rows[i].text, storage, rows[i].size);
		ROW_TEXT(rows[i].text, got, rows[i].want);
		ROW_ASSERT(rows[i].text, strlen(got) < rows[i].size);
	}
}

#define TESTS(X) X(test_stderr) X(test_level) X(test_one_line) X(test_full_pipe) X(test_crowd) X(test_syslog) \
	X(test_syslog_restart) X(test_no_socket) X(test_journal) X(test_auto) X(test_endings) X(test_text)
SUITE("log")
