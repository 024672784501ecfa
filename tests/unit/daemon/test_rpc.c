/*
 * test_rpc.c - daemon/rpc.c: one message, at most one descriptor, nothing else; and the table of verbs.
 * Runs in: the tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/rpc.h"
#include "tests/unit/suite.h"

static int ends[2];

static void begin(void)
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
}

static void end(void)
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* The lowest free descriptor: the same before and after, when nothing was left open. */
static int lowest_free(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	(void)close(fd);
	return fd;
}

/* size octets with count descriptors, as a hostile peer would send them. */
static void send_with(const void *octets, size_t size, const int *fds, size_t count)
{
	char control[256] = { 0 };
	struct iovec part = { .iov_len = size };
	memcpy(&part.iov_base, &octets, sizeof part.iov_base);
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
	                         .msg_controllen = CMSG_SPACE(count * sizeof *fds) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof *fds);
	memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
	CU_ASSERT(sendmsg(ends[0], &header, 0) == (ssize_t)size);
}

static void test_descriptor(void)
{
	struct rpc_fetch sent = { .verb = RPC_FETCH, .idx = 7 }, got;
	int pipes[2], fd = -2;
	char octet;
	begin();
	CU_ASSERT_FATAL(pipe2(pipes, O_CLOEXEC) == 0);
	CU_ASSERT(rpc_send(ends[0], &sent, sizeof sent, -1) == 0);
	CU_ASSERT(rpc_receive(ends[1], &got, sizeof got, &fd) == (ssize_t)sizeof got);
	CU_ASSERT(got.verb == RPC_FETCH && got.idx == 7 && fd == -1);
	/* It stays the sender's, and comes as another one, closed on exec. */
	CU_ASSERT(rpc_send(ends[0], &sent, sizeof sent, pipes[1]) == 0);
	CU_ASSERT(rpc_receive(ends[1], &got, sizeof got, &fd) == (ssize_t)sizeof got);
	CU_ASSERT_FATAL(fd > STDERR_FILENO && fd != pipes[1]);
	CU_ASSERT((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	CU_ASSERT(fcntl(pipes[1], F_GETFD) >= 0);
	CU_ASSERT(write(fd, "x", 1) == 1 && read(pipes[0], &octet, 1) == 1 && octet == 'x');
	(void)close(fd);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	end();
}

static void test_too_many_descriptors(void)
{
	struct rpc_fetch sent = { .verb = RPC_FETCH }, got;
	const int many[] = { STDIN_FILENO, STDIN_FILENO, STDIN_FILENO, STDIN_FILENO, STDIN_FILENO };
	static const char *const labels[] = { "none", "one", "two", "three", "four", "five" };
	begin();
	int before = lowest_free();
	for (size_t count = 2; count <= sizeof many / sizeof *many; count++) {
		int fd = -2;
		send_with(&sent, sizeof sent, many, count);
		errno = 0;
		ROW_ASSERT(labels[count], rpc_receive(ends[1], &got, sizeof got, &fd) == -1);
		ROW_ASSERT(labels[count], errno == EPROTO && fd == -1);
		ROW_ASSERT(labels[count], lowest_free() == before);
	}
	end();
}

static void test_size(void)
{
	char octets[64] = "message", got[32];
	int fd = -2;
	begin();
	int before = lowest_free();
	CU_ASSERT(rpc_send(ends[0], octets, sizeof got, -1) == 0);
	CU_ASSERT(rpc_receive(ends[1], got, sizeof got, &fd) == (ssize_t)sizeof got);
	CU_ASSERT(rpc_send(ends[0], octets, sizeof got + 1, -1) == 0);
	errno = 0;
	CU_ASSERT(rpc_receive(ends[1], got, sizeof got, &fd) == -1 && errno == EPROTO);
	/* Too long and with a descriptor: that is closed. */
	CU_ASSERT(rpc_send(ends[0], octets, sizeof octets, STDIN_FILENO) == 0);
	CU_ASSERT(rpc_receive(ends[1], got, sizeof got, &fd) == -1 && errno == EPROTO && fd == -1);
	CU_ASSERT(lowest_free() == before);
	CU_ASSERT(rpc_send(ends[0], octets, 1, -1) == 0);
	CU_ASSERT(rpc_receive(ends[1], got, sizeof got, &fd) == 1);
	end();
}

/* The ids are the kernel's, of the moment of sending; descriptors stay where they are. */
static void test_from(void)
{
	char octets[64] = "message", got[32];
	const int on = 1, many[] = { STDIN_FILENO, STDIN_FILENO };
	struct ucred who;
	int status;
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
	CU_ASSERT(send(ends[0], octets, 1, 0) == 1 && rpc_receive_from(ends[1], got, sizeof got, &who, 0) == 1 && who.uid == (uid_t)-1);
	CU_ASSERT_FATAL(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	int before = lowest_free();
	errno = 0;
	CU_ASSERT(rpc_receive_from(ends[1], got, sizeof got, &who, 0) == -1 && errno == EAGAIN && who.uid == (uid_t)-1);
	send_with(octets, sizeof octets, many, 2);
	for (int flags = MSG_PEEK; flags >= 0; flags -= MSG_PEEK) {
		CU_ASSERT(rpc_receive_from(ends[1], got, sizeof got, &who, flags) == (ssize_t)sizeof octets);
		CU_ASSERT(memcmp(got, octets, sizeof got) == 0 && who.uid == geteuid() && who.gid == getegid() && who.pid == getpid());
	}
	CU_ASSERT(rpc_receive_from(ends[1], got, sizeof got, &who, MSG_PEEK) == -1);
	CU_ASSERT(lowest_free() == before);
	pid_t pid = fork();
	if (pid == 0)
		_exit((geteuid() == 0 && setuid(4711) != 0) || send(ends[0], octets, 1, 0) != 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	CU_ASSERT(rpc_receive_from(ends[1], got, sizeof got, &who, 0) == 1);
	CU_ASSERT(who.pid == pid && who.uid == (geteuid() == 0 ? 4711 : geteuid()));
	end();
}

static void test_ends(void)
{
	char octet = 'x';
	int fd = -2;
	begin();
	errno = 0;
	CU_ASSERT(rpc_receive(ends[1], &octet, 1, &fd) == -1 && errno == EAGAIN && fd == -1);
	(void)close(ends[0]);
	CU_ASSERT(rpc_receive(ends[1], &octet, 1, &fd) == 0 && fd == -1);
	errno = 0;
	CU_ASSERT(rpc_send(ends[1], &octet, 1, -1) == -1 && errno == EPIPE);
	CU_ASSERT(rpc_receive(-1, &octet, 1, &fd) == -1 && errno == EBADF && fd == -1);
	(void)close(ends[1]);
	/* A stream takes a part; a message is sent whole or not at all. */
	static char big[1 << 20];
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	errno = 0;
	CU_ASSERT(rpc_send(ends[0], big, sizeof big, -1) == -1 && errno == EMSGSIZE);
	end();
}

static void test_rows(void)
{
	static const struct {
		const char *label;
		uint32_t verb;
		size_t size;
		unsigned phases, most;
	} rows[] = {
		{ "HELLO", RPC_HELLO, sizeof(struct rpc_hello), 0, 0 },
		{ "STOP", RPC_STOP, sizeof(struct rpc_stop), 0, 0 },
		{ "KNOWN", RPC_KNOWN, sizeof(struct rpc_user), RPC_LOGIN, RPC_KNOWN_MOST },
		{ "AUTH", RPC_AUTH, sizeof(struct rpc_auth), RPC_LOGIN, 0 },
		{ "FETCH", RPC_FETCH, sizeof(struct rpc_fetch), RPC_SESSION, 0 },
		{ "MARK", RPC_MARK, sizeof(struct rpc_mark), RPC_SESSION, 0 },
		{ "COMMIT", RPC_COMMIT, sizeof(struct rpc_commit), RPC_SESSION, 1 },
		{ "REFER", RPC_REFER, sizeof(struct rpc_refer), RPC_LOGIN | RPC_SESSION | RPC_OVER, RPC_REFER_MOST },
		{ "ACTIVE", RPC_ACTIVE, sizeof(struct rpc_active), RPC_SESSION | RPC_OVER, 0 },
		{ "SIGN", RPC_SIGN, sizeof(struct rpc_sign), RPC_LOGIN, 1 },
		{ "BYE", RPC_BYE, sizeof(struct rpc_bye), RPC_LOGIN | RPC_SESSION | RPC_OVER, 1 },
		{ "READY", RPC_READY, sizeof(struct rpc_ready), RPC_BETWEEN, 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct rpc_row *row = rpc_row(rows[i].verb);
		ROW_ASSERT(rows[i].label, row != NULL);
		if (row == NULL)
			continue;
		ROW_ASSERT(rows[i].label, row->size == rows[i].size && row->size <= sizeof(union rpc_message));
		ROW_ASSERT(rows[i].label, row->phases == rows[i].phases && row->most == rows[i].most);
	}
	CU_ASSERT(sizeof rows / sizeof *rows == RPC_VERBS - 1);
	static const uint32_t none[] = { 0, RPC_VERBS, RPC_VERBS + 1, 0x7fffffff, 0x80000000, 0xffffffff };
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		CU_ASSERT(rpc_row(none[i]) == NULL);
}

#define TESTS(X) X(test_descriptor) X(test_too_many_descriptors) X(test_size) X(test_from) X(test_ends) X(test_rows)
SUITE("rpc")
