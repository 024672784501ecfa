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

#include "daemon/rpc.h"

enum { BELL_FORMAT = 0x42454c02 };

struct ring {
	uint32_t format;
	uint32_t take_over;
	char peer[INET6_ADDRSTRLEN + 2];
};

static uid_t admitted = (uid_t)-1; /* who may ring: nobody. Not zero, so that it is among the data that a keeper writes to anyway */

static socklen_t name_bell(int lock_fd, struct sockaddr_un *address)
{
	struct stat st;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fstat(lock_fd, &st) != 0)
		return 0;
	int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "postern/%ju/%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* With the sender's ids on each message that comes in. */
static int with_ids(int fd)
{
	const int on = 1;
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
	int fd = len > 0 ? with_ids(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) : -1;
	admitted = geteuid();
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool bell_heard(int bell, bool *take_over_r, char peer_r[INET6_ADDRSTRLEN + 2], int *answer_r)
{
	struct ring ring;
	struct ucred who;
	/* Whose it is comes first: of a stranger no descriptor is taken. */
	ssize_t n = rpc_receive_from(bell, &ring, sizeof ring, &who, MSG_PEEK);
	*answer_r = -1;
	if (n != (ssize_t)sizeof ring || who.uid != admitted || ring.format != BELL_FORMAT) {
		(void)rpc_receive_from(bell, &ring, sizeof ring, &who, 0);
		return false;
	}
	if (rpc_receive(bell, &ring, sizeof ring, answer_r) != (ssize_t)sizeof ring || *answer_r < 0)
		return false;
	ring.peer[sizeof ring.peer - 1] = '\0';
	memcpy(peer_r, ring.peer, sizeof ring.peer);
	*take_over_r = ring.take_over != 0;
	return true;
}

void bell_answer(int answer, const struct bell_state *state)
{
	(void)!send(answer, state, sizeof *state, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(answer);
}

/* Send the ring, with the end for the answer. */
static int ring_with(const struct sockaddr_un *address, socklen_t len, const struct ring *ring, int answer)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd >= 0 ? rpc_send_to(fd, address, len, ring, sizeof *ring, answer) : -1;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int bell_ring(int lock_fd, uid_t owner, bool take_over, const char *peer, struct bell_state *state_r)
{
	struct sockaddr_un address;
	socklen_t len = name_bell(lock_fd, &address);
	struct ring ring = { .format = BELL_FORMAT, .take_over = take_over };
	struct ucred who = { .uid = (uid_t)-1 };
	int pair[2], r = -1;
	(void)snprintf(ring.peer, sizeof ring.peer, "%s", peer);
	if (len == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	pair[0] = with_ids(pair[0]);
	if (pair[0] >= 0)
		r = ring_with(&address, len, &ring, pair[1]);
	/* With our copy gone, theirs is our end of file. */
	(void)close(pair[1]);
	struct pollfd p = { .fd = pair[0], .events = POLLIN };
	if (r == 0 && (poll(&p, 1, BELL_WAIT_MS) != 1 || rpc_receive_from(pair[0], state_r, sizeof *state_r, &who, 0) != (ssize_t)sizeof *state_r))
		r = -1;
	if (pair[0] >= 0)
		(void)close(pair[0]);
	state_r->peer[sizeof state_r->peer - 1] = '\0';
	/* Only root passes for anybody: a program of the user's own may say of its own session what it likes. */
	return r == 0 && (who.uid == owner || who.uid == 0) ? 0 : -1;
}
