/*
 * bell.c - how a login reaches the session that has its maildrop open.
 * Runs in: keeper, as root (rings) or as the mail's owner (answers). Trusts: the kernel's word on who sent a message; the lock
 * file, which no stranger can read.
 *
 * A name is for everybody, and what is sent to a socket lies there with its descriptors. The last close(2) of a socket that
 * lingers (SO_LINGER) takes as long as who sent it likes, and happens in whoever takes the message, room for descriptors or not.
 * So strangers' messages are dropped before they are queued: by a socket filter, which the kernel runs in who sends, and which
 * lets nothing through but what begins with a word that is in the lock file.
 */
#include "daemon/bell.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/why.h"
#include "daemon/rpc.h"

enum { BELL_FORMAT = 0x42454c03 };

/* In the lock file, behind the words for people: what a ring begins with, and what an answer does. */
struct passwords { uint32_t ring[2], answer[2]; };
enum { PASSWORDS_AT = WHY_TOLD_MAX };

struct ring {
	uint32_t password[2];
	uint32_t format;
	uint32_t take_over;
	char peer[INET6_ADDRSTRLEN + 2];
};

struct ring_answer {
	uint32_t password[2];
	struct bell_state state;
};

static struct {
	uid_t admitted;         /* who may ring: nobody. Not zero, so that it is among the data that a keeper writes to anyway */
	uint32_t answer[2];     /* this session's */
} bell_own = { .admitted = (uid_t)-1 };

static socklen_t name_bell(int lock_fd, struct sockaddr_un *address)
{
	struct stat st;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fstat(lock_fd, &st) != 0)
		return 0;
	int n = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "postern/%ju/%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* For messages of that size and password only, with the sender's ids on each. */
static int guarded(int fd, const uint32_t password[2], size_t size)
{
	const int on = 1;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)size, 0, 5),
		/* It loads in network order. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(password[0]), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof password[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(password[1]), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = { .len = sizeof code / sizeof code[0], .filter = code };
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int bell_hang(int lock_fd)
{
	struct sockaddr_un address;
	struct passwords words;
	socklen_t len = name_bell(lock_fd, &address);
	if (len == 0 || getrandom(&words, sizeof words, 0) != (ssize_t)sizeof words)
		return -1;
	int fd = guarded(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), words.ring, sizeof(struct ring));
	bell_own.admitted = geteuid();
	memcpy(bell_own.answer, words.answer, sizeof bell_own.answer);
	if (fd < 0 || (bind(fd, (const struct sockaddr *)&address, len) == 0 && io_write_at(lock_fd, (const char *)&words, sizeof words, PASSWORDS_AT) == 0))
		return fd;
	(void)close(fd);
	return -1;
}

bool bell_heard(int bell, bool *take_over_r, char peer_r[INET6_ADDRSTRLEN + 2], int *answer_r)
{
	struct ring ring;
	struct ucred who;
	/* Whose it is comes first: of a stranger no descriptor is taken. */
	ssize_t n = rpc_receive_from(bell, &ring, sizeof ring, &who, MSG_PEEK);
	*answer_r = -1;
	if (n != (ssize_t)sizeof ring || who.uid != bell_own.admitted || ring.format != BELL_FORMAT) {
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
	struct ring_answer said = { .state = *state };
	memcpy(said.password, bell_own.answer, sizeof said.password);
	(void)!send(answer, &said, sizeof said, MSG_DONTWAIT | MSG_NOSIGNAL);
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
	struct passwords words;
	socklen_t len = name_bell(lock_fd, &address);
	struct ring ring = { .format = BELL_FORMAT, .take_over = take_over };
	struct ring_answer answer;
	struct ucred who = { .uid = (uid_t)-1 };
	int pair[2], r = -1;
	(void)snprintf(ring.peer, sizeof ring.peer, "%s", peer);
	if (len == 0 || io_read_at(lock_fd, (char *)&words, sizeof words, PASSWORDS_AT) != (ssize_t)sizeof words ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	memcpy(ring.password, words.ring, sizeof ring.password);
	/* Who has taken the name before the session could has the ring now, and this end of the pair: not the password for the answer. */
	pair[0] = guarded(pair[0], words.answer, sizeof answer);
	if (pair[0] >= 0)
		r = ring_with(&address, len, &ring, pair[1]);
	/* With our copy gone, theirs is our end of file. */
	(void)close(pair[1]);
	struct pollfd p = { .fd = pair[0], .events = POLLIN };
	if (r == 0 && (poll(&p, 1, BELL_WAIT_MS) != 1 || rpc_receive_from(pair[0], &answer, sizeof answer, &who, 0) != (ssize_t)sizeof answer))
		r = -1;
	if (pair[0] >= 0)
		(void)close(pair[0]);
	/* Only root passes for anybody: a program of the user's own may say of its own session what it likes. */
	if (r != 0 || (who.uid != owner && who.uid != 0))
		return -1;
	*state_r = answer.state;
	state_r->peer[sizeof state_r->peer - 1] = '\0';
	return 0;
}
