/*
 * fuzz_bell.c - a session's bell that anybody on the host rings with anything: only root's whole rings are heard, what a stranger
 * sent is left where it is, and no descriptor is left behind.
 * Runs in: the tests; as root it sends in others' names. Trusts: nothing.
 */
#include <sys/stat.h>

#include "daemon/bell.c"
#include "tests/fuzz/fuzz.h"

enum { RINGS_MOST = 16, STRANGER = 12345, PASSED_MOST = 3, OCTETS_MOST = 2 * sizeof(struct ring) };

static int bell = -1, sender = -1, passed = -1;
static ino_t passed_inode;

static void hang(void)
{
	struct sockaddr_un address;
	bell = bell_hang(passed);
	const socklen_t len = name_bell(passed, &address);
	sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(bell >= 0 && sender >= 0 && connect(sender, (const struct sockaddr *)&address, len) == 0, "a bell and who rings");
}

static void begin(void)
{
	struct stat st;
	if (bell >= 0)
		return;
	passed = fuzz_memory_file("x", 1);
	CHECK(fstat(passed, &st) == 0, "what is passed");
	passed_inode = st.st_ino;
	hang();
}

/* A stranger's message lies in it. */
static void hang_another(int deaf)
{
	struct pollfd p = { .fd = deaf, .events = POLLIN };
	char octet;
	CHECK(bell == -1 && bell_left_open() && poll(&p, 1, 0) == 1 && recv(deaf, &octet, sizeof octet, MSG_DONTWAIT) >= 0, "it is not where it was");
	(void)close(deaf);
	(void)close(sender);
	own.left_open = false;
	hang();
}

static void put_control(struct msghdr *header, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (void *)((char *)header->msg_control + header->msg_controllen);
	*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = type, .cmsg_len = CMSG_LEN(len) };
	memcpy(CMSG_DATA(c), data, len);
	header->msg_controllen += CMSG_SPACE(len);
}

static void send_ring(const char *octets, size_t len, unsigned fds, bool stranger)
{
	const int list[PASSED_MOST] = { passed, passed, passed };
	const struct ucred who = { .pid = getpid(), .uid = STRANGER, .gid = STRANGER };
	union { struct cmsghdr align; char octets[256]; } control = { .octets = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)octets, .iov_len = len };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.octets };
	if (fds > 0)
		put_control(&header, SCM_RIGHTS, list, fds * sizeof list[0]);
	if (stranger)
		put_control(&header, SCM_CREDENTIALS, &who, sizeof who);
	CHECK(sendmsg(sender, &header, MSG_NOSIGNAL) == (ssize_t)len, "a ring of %zu octets", len);
}

/* The lowest number that is free: another one when a descriptor was left open. */
static int lowest_free(void)
{
	const int fd = dup(passed);
	(void)close(fd);
	return fd;
}

static void ring_once(struct input *in)
{
	struct ring ring = { .format = BELL_FORMAT, .wish = take_below(in, BELL_WISHES + 1) };
	const unsigned odd = take_octet(in), fds = odd & 1 ? take_below(in, PASSED_MOST + 1) : 1;
	const bool stranger = (odd & 2) != 0 && geteuid() == 0;
	char octets[OCTETS_MOST] = { 0 }, peer[INET6_ADDRSTRLEN + 2];
	if (odd & 4)
		ring.format = (uint32_t)take_number(in, 4);
	const struct piece text = take_piece(in, take_below(in, sizeof ring.peer + 1));
	memcpy(ring.peer, text.p, text.len);
	memcpy(octets, &ring, sizeof ring);
	const size_t len = odd & 8 ? take_below(in, sizeof octets + 1) : sizeof ring;
	const bool good = len == sizeof ring && ring.format == BELL_FORMAT && ring.wish < BELL_WISHES && (ring.wish != BELL_END || geteuid() == 0) && fds == 1 && !stranger;
	enum bell_wish wish = BELL_ASK;
	int answer = -1;
	struct stat st;
	const int hung = bell, before = lowest_free();
	send_ring(octets, len, fds, stranger);
	CHECK(bell_heard(&bell, &wish, peer, &answer) == good, "%zu octets, format %x, %u descriptors, %s", len, ring.format, fds, stranger ? "a stranger" : "root");
	if (good) {
		CHECK(wish == ring.wish && strncmp(peer, ring.peer, sizeof peer - 1) == 0 && memchr(peer, '\0', sizeof peer) != NULL, "another ring");
		CHECK(fstat(answer, &st) == 0 && st.st_ino == passed_inode, "where the answer goes");
		bell_answer(answer, &(struct bell_state){ .since = 1 });
	}
	CHECK(lowest_free() == before, "a descriptor stays");
	CHECK(bell_left_open() == stranger, "what is left");
	if (stranger)
		hang_another(hung);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	begin();
	for (int i = 0; i < RINGS_MOST && in.left > 0; i++)
		ring_once(&in);
	return 0;
}
