/*
 * bell.c - how a login reaches the session that has its maildrop open.
 * Runs in: keeper, as root (rings) or as the mail's owner (answers); postern sessions. Trusts: the kernel's word on who sent a message.
 *
 * The names are for everybody, and what somebody sends lies in our socket with its descriptors. The last close(2) of a socket
 * that lingers (SO_LINGER) takes as long as its sender likes, and happens in whoever takes the message, or closes the socket
 * that it lies in; but for a process that ends. So what may be a stranger's is looked at and left where it is, to the end.
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
	uint32_t wish;     /* enum bell_wish */
	char peer[INET6_ADDRSTRLEN + 2];
};

/* Not zero, so that it is among the data that a keeper writes to anyway. */
static struct {
	uid_t admitted;    /* who may ring, besides root: nobody */
	bool left_open;    /* a socket stays open, for what lies in it */
} own = { .admitted = (uid_t)-1 };

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
	own.admitted = geteuid();
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Closed, unless somebody's message lies in it. */
static void put_away(int fd)
{
	struct ucred who;
	char octet;
	/* From here on none comes in. */
	(void)shutdown(fd, SHUT_RD);
	const ssize_t n = rpc_receive_from(fd, &octet, sizeof octet, &who, MSG_PEEK);
	if (n < 0 || (n == 0 && who.uid == (uid_t)-1))
		(void)close(fd);
	else
		own.left_open = true;
}

void bell_take_down(int *bell)
{
	if (*bell >= 0)
		put_away(*bell);
	*bell = -1;
}

bool bell_left_open(void)
{
	return own.left_open;
}

/* To end a session as he likes is root's alone: shared workers have one uid, and none is to end another's. */
static bool may_wish(uint32_t wish, uid_t uid)
{
	return wish < BELL_WISHES && (wish != BELL_END || uid == 0);
}

bool bell_heard(int *bell, enum bell_wish *wish_r, char peer_r[INET6_ADDRSTRLEN + 2], int *answer_r)
{
	struct ring ring;
	struct ucred who;
	/* Whose it is comes first. */
	const ssize_t n = rpc_receive_from(*bell, &ring, sizeof ring, &who, MSG_PEEK);
	*answer_r = -1;
	if (n >= 0 && who.uid != own.admitted && who.uid != 0) {
		bell_take_down(bell);
		return false;
	}
	if (n < 0 || rpc_receive(*bell, &ring, sizeof ring, answer_r) != (ssize_t)sizeof ring || ring.format != BELL_FORMAT || !may_wish(ring.wish, who.uid) ||
	    *answer_r < 0) {
		if (*answer_r >= 0)
			(void)close(*answer_r);
		*answer_r = -1;
		return false;
	}
	ring.peer[sizeof ring.peer - 1] = '\0';
	memcpy(peer_r, ring.peer, sizeof ring.peer);
	*wish_r = (enum bell_wish)ring.wish;
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

int bell_ring(int lock_fd, uid_t owner, enum bell_wish wish, const char *peer, struct bell_state *state_r)
{
	struct sockaddr_un address;
	socklen_t len = name_bell(lock_fd, &address);
	struct ring ring = { .format = BELL_FORMAT, .wish = wish };
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
	if (r == 0 && (poll(&p, 1, BELL_WAIT_MS) != 1 || rpc_receive_from(pair[0], state_r, sizeof *state_r, &who, MSG_PEEK) != (ssize_t)sizeof *state_r))
		r = -1;
	/* Whoever has taken the name before the session could may have sent anything. */
	if (pair[0] >= 0)
		put_away(pair[0]);
	state_r->peer[sizeof state_r->peer - 1] = '\0';
	/* Only root passes for anybody: a program of the user's own may say of its own session what it likes. */
	return r == 0 && (who.uid == owner || who.uid == 0) ? 0 : -1;
}
