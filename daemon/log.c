/*
 * log.c - the log: one line an event, to stderr, syslog or the journal.
 * Runs in: every process of the daemon, with whatever rights it has; the socket is opened by the master and inherited.
 * Trusts: nothing in the text: what is not printable ASCII does not reach a line.
 *
 * Syslog and the journal are spoken here rather than through syslog(3) and libsystemd: a
 * process in a sandbox can neither reopen /dev/log nor find it in its chroot, so the socket is connected
 * ahead and kept; and libsystemd would bring six more libraries into every worker for the
 * forty lines that the journal's datagram takes (systemd.io/JOURNAL_NATIVE_PROTOCOL).
 *
 * In a sandbox a line needs getpid, clock_gettime, sendto or (for stderr) poll and write, and no more.
 */
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"

#define LOG_NAME "postern"

/* The unit test puts sockets of its own in their place. */
#ifndef LOG_SYSLOG_SOCKET
#define LOG_SYSLOG_SOCKET "/dev/log"
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
#endif

enum {
	JOURNAL_ROOM = 4 * LOG_LINE_MAX, /* a record: the line and its fields; a field that does not fit is left out */
	LOG_HEAD_MAX = 128,              /* "<22>Jan  1 00:00:00 postern[4194304]: " or the like */
	QUOTED_MIN = 8,                  /* the least storage log_text() can say anything in */
};

struct sink {
	const char *path; /* NULL: no socket, stderr as it is */
	int (*send)(int fd, int priority, const struct log_field *fields, size_t count, const char *line);
};

static int send_stderr(int fd, int priority, const struct log_field *fields, size_t count, const char *line);
static int send_syslog(int fd, int priority, const struct log_field *fields, size_t count, const char *line);
static int send_journal(int fd, int priority, const struct log_field *fields, size_t count, const char *line);

static const struct sink sinks[] = {
	[LOG_TARGET_AUTO] = { NULL, send_stderr },
	[LOG_TARGET_STDERR] = { NULL, send_stderr },
	[LOG_TARGET_SYSLOG] = { LOG_SYSLOG_SOCKET, send_syslog },
	[LOG_TARGET_JOURNAL] = { LOG_JOURNAL_SOCKET, send_journal },
};

static _Atomic unsigned long own_lost;

/* Until log_open(), lines go to stderr. */
static struct {
	const struct sink *sink;
	int fd;
	int level;
	pid_t opener;       /* the process that may reconnect; those it forks may sit in a sandbox */
	const char *role;
	_Atomic unsigned long *lost; /* lines that could not be sent since one could; shared by all that are forked after log_open() */
} state = { .sink = &sinks[LOG_TARGET_STDERR], .fd = STDERR_FILENO, .level = LOG_INFO, .role = "start", .lost = &own_lost };

/* Is stderr the stream that the service manager connected to the journal? JOURNAL_STREAM is "device:inode" of it. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char ours[64];
	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

static enum log_target target_resolve(enum log_target target, bool foreground)
{
	if (target != LOG_TARGET_AUTO)
		return target;
	if (stderr_is_journal())
		return LOG_TARGET_JOURNAL;
	return foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG;
}

/* A datagram socket connected to path, or -1. */
static int sink_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		int err = errno;
		(void)close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/*
 * Stderr, to be written to without waiting. O_NONBLOCK would hold for everybody who shares a terminal or pipe; a pipe can be opened
 * once more, and then holds for us alone.
 */
static int stderr_open(void)
{
	struct stat st;
	int fd = -1;
	if (fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 ? fd : STDERR_FILENO;
}

/* One count for all processes: a keeper that could not say something does not live until it can. */
static void share_lost(void)
{
	if (state.lost != &own_lost)
		return;
	void *shared = mmap(NULL, sizeof *state.lost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared != MAP_FAILED)
		state.lost = shared;
}

void log_open(enum log_target target, int level, bool foreground)
{
	const struct sink *sink = &sinks[target_resolve(target, foreground)];
	int fd = sink->path == NULL ? stderr_open() : sink_connect(sink->path);
	int err = errno;

	tzset(); /* reads the time zone now: in a chroot there is none to read */
	share_lost();
	if (state.fd > STDERR_FILENO)
		(void)close(state.fd);
	state.sink = fd == -1 ? &sinks[LOG_TARGET_STDERR] : sink;
	state.fd = fd == -1 ? stderr_open() : fd;
	state.level = level;
	state.opener = getpid();
	if (fd == -1)
		log_line(LOG_WARNING, "the log goes to stderr, because %s cannot be reached: %s", sink->path, strerror(err));
}

void log_only(void)
{
	io_drop_standard(state.sink == &sinks[LOG_TARGET_STDERR] ? STDERR_FILENO : STDERR_FILENO + 1);
}

void log_role(const char *role)
{
	state.role = role;
}

int log_descriptor(void)
{
	return state.fd;
}

/* Send without ever waiting for the log: 0 or -1. */
static int send_datagram(int fd, const char *octets, size_t len)
{
	ssize_t n;
	do
		n = send(fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static int send_stderr(int fd, int priority, const struct log_field *fields, size_t count, const char *line)
{
	(void)priority, (void)fields, (void)count;
	char storage[LOG_LINE_MAX + LOG_HEAD_MAX];
	struct buf b = BUF_OVER(storage);
	(void)buf_printf(&b, LOG_NAME "[%ld] %s\n", (long)getpid(), line);
	/* Where stderr_open() could not have one of its own: what polls writable has room for a line, unless many write at once. */
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	ssize_t n;
	do
		n = write(fd, b.p, b.len);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

/* As syslog(3) writes it to /dev/log: RFC 3164 without the host name. */
static int send_syslog(int fd, int priority, const struct log_field *fields, size_t count, const char *line)
{
	(void)fields, (void)count;
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	char storage[LOG_LINE_MAX + LOG_HEAD_MAX];
	struct buf b = BUF_OVER(storage);
	time_t now = time(NULL);
	struct tm tm = { .tm_mday = 1 };
	(void)localtime_r(&now, &tm);
	/* Not strftime(3): its month names follow the locale, the format's do not. */
	(void)buf_printf(&b, "<%d>%s %2d %02d:%02d:%02d " LOG_NAME "[%ld]: %s", LOG_MAIL | priority,
	                 months[tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (long)getpid(), line);
	return send_datagram(fd, b.p, b.len);
}

/* One field of a journal record. Whole or not at all: the record stays well-formed. */
static void journal_add(struct buf *b, const char *name, const char *value)
{
	size_t start = b->len, len = strlen(value);
	int r;
	if (strchr(value, '\n') == NULL) {
		r = buf_printf(b, "%s=", name);
	} else {
		/* A value of several lines: name, line end, length in 64 bits little-endian. */
		unsigned char size[sizeof(uint64_t)];
		for (size_t i = 0; i < sizeof size; i++)
			size[i] = (unsigned char)((uint64_t)len >> (8 * i));
		r = buf_printf(b, "%s\n", name) || buf_add(b, size, sizeof size);
	}
	if (r != 0 || buf_add(b, value, len) != 0 || buf_add(b, "\n", 1) != 0)
		b->len = start;
}

static int send_journal(int fd, int priority, const struct log_field *fields, size_t count, const char *line)
{
	char storage[JOURNAL_ROOM];
	struct buf b = BUF_OVER(storage);
	char digit[2] = { (char)('0' + (priority & LOG_PRIMASK)), '\0' };
	journal_add(&b, "MESSAGE", line);
	journal_add(&b, "PRIORITY", digit);
	journal_add(&b, "SYSLOG_IDENTIFIER", LOG_NAME);
	journal_add(&b, "POSTERN_ROLE", state.role);
	for (size_t i = 0; i < count && i < LOG_FIELDS_MAX; i++)
		journal_add(&b, fields[i].name, fields[i].value);
	return send_datagram(fd, b.p, b.len);
}

/*
 * The log daemon was restarted and its old socket is dead: put a new one in the place of the old
 * descriptor, for this process and those it forks from now on. True when a line may be tried again.
 */
static bool sink_reconnect(int err)
{
	if (state.sink->path == NULL || state.opener != getpid())
		return false;
	if (err != ECONNREFUSED && err != ENOTCONN && err != ECONNRESET)
		return false;
	int fd = sink_connect(state.sink->path);
	if (fd == -1)
		return false;
	int r = dup3(fd, state.fd, O_CLOEXEC);
	(void)close(fd);
	return r != -1;
}

static int line_send(int priority, const struct log_field *fields, size_t count, const char *line)
{
	if (state.sink->send(state.fd, priority, fields, count, line) == 0)
		return 0;
	if (sink_reconnect(errno))
		return state.sink->send(state.fd, priority, fields, count, line);
	return -1;
}

/* Format the line behind "role: ", cut to LOG_LINE_MAX, and one line of printable ASCII whatever the values hold. */
__attribute__((format(printf, 2, 0)))
static void line_format(char line[LOG_LINE_MAX], const char *format, va_list ap)
{
	static const char cut[] = "...";
	int head = snprintf(line, LOG_LINE_MAX, "%.32s: ", state.role);
	size_t room = LOG_LINE_MAX - (size_t)head;
	int n = vsnprintf(line + head, room, format, ap);
	if (n < 0)
		(void)snprintf(line + head, room, "(a line that could not be formatted)");
	else if ((size_t)n >= room)
		memcpy(line + LOG_LINE_MAX - sizeof cut, cut, sizeof cut);
	for (char *p = line; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

static void say_lost(char line[LOG_LINE_MAX])
{
	const unsigned long lost = *state.lost > 0 ? atomic_exchange(state.lost, 0) : 0;
	if (lost == 0)
		return;
	(void)snprintf(line, LOG_LINE_MAX, "%.32s: %lu lines lost: the log did not take them", state.role, lost);
	if (line_send(LOG_WARNING, NULL, 0, line) != 0)
		(void)atomic_fetch_add(state.lost, lost);
}

__attribute__((format(printf, 4, 0)))
static void log_write(int priority, const struct log_field *fields, size_t count, const char *format, va_list ap)
{
	char line[LOG_LINE_MAX];
	int err = errno; /* logging must not disturb what the caller looks at next */
	if (priority > state.level)
		return;
	say_lost(line);
	line_format(line, format, ap);
	if (line_send(priority, fields, count, line) != 0)
		(void)atomic_fetch_add(state.lost, 1);
	errno = err;
}

void log_line(int priority, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_write(priority, NULL, 0, format, ap);
	va_end(ap);
}

void log_event(int priority, const struct log_field *fields, size_t count, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_write(priority, fields, count, format, ap);
	va_end(ap);
}

const char *log_text(const char *text, char *storage, size_t size)
{
	static const char closing[] = "\"";
	if (size < QUOTED_MIN)
		return "\"\"";
	struct buf b = { .p = storage, .len = 0, .cap = size - sizeof closing };
	(void)buf_add_text(&b, "\"");
	buf_add_escaped(&b, text, strlen(text));
	memcpy(storage + b.len, closing, sizeof closing);
	return storage;
}

/* The last line of a process. */
__attribute__((format(printf, 3, 0)))
static void line_last(const char *kind, int err, const char *format, va_list ap)
{
	char text[LOG_LINE_MAX];
	(void)vsnprintf(text, sizeof text, format, ap);
	if (err != 0)
		log_line(LOG_CRIT, "%s: %s: %s", kind, text, strerror(err));
	else
		log_line(LOG_CRIT, "%s: %s", kind, text);
}

/*
 * All three end in _exit(2): a forked process must not run the handlers, or write
 * out the stdio buffers, of the one it was forked from.
 */
void fatal(const char *format, ...)
{
	int err = errno;
	va_list ap;
	va_start(ap, format);
	line_last("fatal", err, format, ap);
	va_end(ap);
	_exit(EXIT_ENVIRONMENT);
}

void panic(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	line_last("bug", 0, format, ap);
	va_end(ap);
	_exit(EXIT_BUG);
}

void violation(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	line_last("violation", 0, format, ap);
	va_end(ap);
	_exit(EXIT_VIOLATION);
}
