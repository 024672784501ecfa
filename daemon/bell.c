/*
 * bell.c - how a login reaches the session that has its maildrop open.
 * Runs in: keeper, as root (rings) or as the mail's owner (answers). Trusts: the kernel's word on who sent a message.
 */
#include "daemon/bell.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { BELL_FORMAT = 0x42454c01 };

struct ring {
	uint32_t format;
	uint32_t take_over;
	char peer[INET6_ADDRSTRLEN + 2];
};

/* Of the last ring: where the answer goes, and who may ring at all. */
static struct sockaddr_un ringer;
static socklen_t ringer_len;
static uid_t admitted;

static socklen_t name_bell(int lock_fd, struct sockaddr_un *address)
{
	struct stat st;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fstat(lock_fd, &st) != 0)
		return 0;
	int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "postern/%ju/%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* With the sender's ids on each message. */
static int open_socket(void)
{
	const int on = 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int bell_hang(int lock_fd)
{
	struct sockaddr_un address;
	socklen_t len = name_bell(lock_fd, &address);
	int fd = len > 0 ? open_socket() : -1;
	admitted = geteuid();
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* One message of that size, its sender's address and uid. False when there is none, or it is of another size. */
static bool receive(int fd, void *octets, size_t size, struct sockaddr_un *from, socklen_t *from_len, uid_t *uid_r)
{
	union { struct cmsghdr header; char octets[CMSG_SPACE(sizeof(struct ucred))]; } control;
	struct iovec part = { .iov_base = octets, .iov_len = size };
	struct msghdr header = { .msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &part, .msg_iovlen = 1,
	                         .msg_control = &control, .msg_controllen = sizeof control };
	struct ucred who = { .uid = (uid_t)-1 };
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&header) : NULL; c != NULL; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof who);
	*from_len = header.msg_namelen;
	*uid_r = who.uid;
	return n == (ssize_t)size && (header.msg_flags & MSG_TRUNC) == 0;
}

bool bell_heard(int bell, bool *take_over_r, char peer_r[INET6_ADDRSTRLEN + 2])
{
	struct ring ring;
	uid_t uid;
	if (!receive(bell, &ring, sizeof ring, &ringer, &ringer_len, &uid) || uid != admitted || ring.format != BELL_FORMAT)
		return false;
	ring.peer[sizeof ring.peer - 1] = '\0';
	memcpy(peer_r, ring.peer, sizeof ring.peer);
	*take_over_r = ring.take_over != 0;
	return true;
}

void bell_forget(void)
{
	ringer = (struct sockaddr_un){ 0 };
	ringer_len = 0;
}

void bell_answer(int bell, const struct bell_state *state)
{
	(void)!sendto(bell, state, sizeof *state, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&ringer, ringer_len);
}

int bell_ring(int lock_fd, uid_t owner, bool take_over, const char *peer, struct bell_state *state_r)
{
	struct sockaddr_un address, from;
	socklen_t from_len, len = name_bell(lock_fd, &address);
	struct ring ring = { .format = BELL_FORMAT, .take_over = take_over };
	long long due = now_ms() + BELL_WAIT_MS, left;
	bool answered = false;
	uid_t uid;
	int fd = len > 0 ? open_socket() : -1;
	if (fd < 0)
		return -1;
	(void)snprintf(ring.peer, sizeof ring.peer, "%s", peer);
	/* Only root passes for anybody: a program of the user's own may say of its own session what it likes. */
	if (sendto(fd, &ring, sizeof ring, MSG_NOSIGNAL, (const struct sockaddr *)&address, len) == (ssize_t)sizeof ring) {
		while (!answered && (left = due - now_ms()) > 0) {
			struct pollfd p = { .fd = fd, .events = POLLIN };
			if (poll(&p, 1, (int)left) > 0)
				answered = receive(fd, state_r, sizeof *state_r, &from, &from_len, &uid) && (uid == owner || uid == 0);
		}
	}
	(void)close(fd);
	state_r->peer[sizeof state_r->peer - 1] = '\0';
	return answered ? 0 : -1;
}
