/*
 * rpc.c - fixed-size messages between two processes of the daemon, with at most one descriptor each.
 * Runs in: every process of the daemon. Trusts: nothing that comes in.
 */
#include "daemon/rpc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct rpc_row rows[RPC_VERBS] = {
	[RPC_HELLO] =  { sizeof(struct rpc_hello),  0, 0 },
	[RPC_STOP] =   { sizeof(struct rpc_stop),   0, 0 },
	[RPC_KNOWN] =  { sizeof(struct rpc_user),   RPC_LOGIN, RPC_KNOWN_MOST },
	[RPC_AUTH] =   { sizeof(struct rpc_auth),   RPC_LOGIN, 0 },  /* the keeper counts failures against login_tries */
	[RPC_FETCH] =  { sizeof(struct rpc_fetch),  RPC_SESSION, 0 },
	[RPC_MARK] =   { sizeof(struct rpc_mark),   RPC_SESSION, 0 },
	[RPC_COMMIT] = { sizeof(struct rpc_commit), RPC_SESSION, 1 },
	[RPC_REFER] =  { sizeof(struct rpc_refer),  RPC_LOGIN | RPC_SESSION | RPC_OVER, RPC_REFER_MOST },
	[RPC_ACTIVE] = { sizeof(struct rpc_active), RPC_SESSION | RPC_OVER, 0 },
	[RPC_BYE] =    { sizeof(struct rpc_bye),    RPC_LOGIN | RPC_SESSION | RPC_OVER, 1 },
	[RPC_SIGN] =   { sizeof(struct rpc_sign),   RPC_LOGIN, 1 },
	[RPC_READY] =  { sizeof(struct rpc_ready),  RPC_BETWEEN, 1 },
};

const struct rpc_row *rpc_row(uint32_t verb)
{
	return verb > 0 && verb < RPC_VERBS ? &rows[verb] : NULL;
}

union control {
	struct cmsghdr header;
	/* Room for one too many, so that it is seen, and for the sender's ids where a socket has them put on. */
	char octets[CMSG_SPACE(2 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

/* to: NULL where the socket has another end. */
static ssize_t send_with(int socket, const struct sockaddr_un *to, socklen_t to_len, const void *message, size_t size, int fd, int flags)
{
	struct iovec part = { .iov_len = size };
	memcpy(&part.iov_base, &message, sizeof part.iov_base);  /* sendmsg() does not write to it */
	union control control;
	memset(&control, 0, sizeof control);
	struct msghdr header = { .msg_namelen = to_len, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof fd) };
	memcpy(&header.msg_name, &to, sizeof header.msg_name);  /* nor to this */
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(socket, &header, MSG_NOSIGNAL | flags);
}

int rpc_send(int socket, const void *message, size_t size, int fd)
{
	ssize_t sent;
	/* Only who passes descriptors may call sendmsg(2), which can also name an address: sandbox_table.c. */
	do
		sent = fd >= 0 ? send_with(socket, NULL, 0, message, size, fd, 0) : send(socket, message, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0 && (size_t)sent != size) {
		errno = EMSGSIZE;
		return -1;
	}
	return sent < 0 ? -1 : 0;
}

int rpc_send_to(int socket, const struct sockaddr_un *to, socklen_t to_len, const void *message, size_t size, int fd)
{
	return send_with(socket, to, to_len, message, size, fd, 0) == (ssize_t)size ? 0 : -1;
}

int rpc_send_now(int socket, const void *message, size_t size, int fd)
{
	return send_with(socket, NULL, 0, message, size, fd, MSG_DONTWAIT) == (ssize_t)size ? 0 : -1;
}

/* Take the descriptors out of what came in: the first is the caller's, others are closed. How many there were. */
static size_t take_descriptors(struct msghdr *header, int *fd_r)
{
	size_t seen = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (seen++ == 0)
				*fd_r = fd;
			else
				(void)close(fd);
		}
	}
	return seen;
}

ssize_t rpc_receive(int socket, void *message, size_t size, int *fd_r)
{
	struct iovec part = { .iov_base = message, .iov_len = size };
	union control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	*fd_r = -1;
	ssize_t got;
	do
		got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	size_t fds = take_descriptors(&header, fd_r);
	if (fds > 1 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		if (*fd_r >= 0)
			(void)close(*fd_r);
		*fd_r = -1;
		errno = EPROTO;
		return -1;
	}
	return got;
}

ssize_t rpc_receive_from(int socket, void *message, size_t size, struct ucred *who_r, int flags)
{
	/*
	 * No room for descriptors, so the kernel lets go of them, and none is among ours, whose close would lose locks on its file. It is in us
	 * all the same that the last one of a file is closed, and that can take as long as its owner likes: strangers' messages are not for this.
	 */
	union { struct cmsghdr header; char octets[CMSG_SPACE(sizeof(struct ucred))]; } control;
	struct iovec part = { .iov_base = message, .iov_len = size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC | flags);
	*who_r = (struct ucred){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	for (struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&header) : NULL; c != NULL; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(who_r, CMSG_DATA(c), sizeof *who_r);
	return got;
}
