/*
 * fuzz_recorder.c - a recorder that is sent anything: what goes into the history is whose the kernel says, in the ring of its kind,
 * and nothing else; wrong doors are counted.
 * Runs in: the tests. Trusts: nothing.
 */
#include "daemon/doors.h"
#include "daemon/rpc.h"
#include "daemon/recorder.c"
#include "tests/fuzz/fuzz_worker.h"

enum { SENT_MOST = 40, ROOM = 16, OTHER_UID = 12345, SOMEBODY = 7777 };

static struct recorder r;
static int sender;
static struct { unsigned long long messages, kept; } judged;

static int worker_waits(struct pollfd *fds, nfds_t count, int result)
{
	(void)fds, (void)count;
	return result;
}

static void tell_judged(void)
{
	(void)fprintf(stderr, "judged: messages=%llu kept=%llu\n", judged.messages, judged.kept);
}

static void begin(void)
{
	const char *path;
	int pair[2];
	const int on = 1;
	if (r.records > 0)
		return;
	(void)atexit(tell_judged);
	worker_pair(SOCK_DGRAM, pair);
	r.records = pair[0];
	sender = pair[1];
	CHECK(setsockopt(r.records, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0, "SO_PASSCRED");
	CHECK(history_open(&r.history, fuzz_directory(), ROOM, true, &path) == 0, "%s", path);
}

static void fill_text(struct input *in, char *text, size_t size)
{
	(void)piece_text(take_line(in), text, size);
	if (take_octet(in) == 0xff)
		memset(text, 'x', size);
}

/* One that is mostly as it should be; its octets. */
static size_t take_datagram(struct input *in, struct history_record *record)
{
	const unsigned kind = take_octet(in), odd = take_octet(in);
	*record = (struct history_record){ .format = odd & 1 ? (uint32_t)take_number(in, 4) : HISTORY_FORMAT, .kind = kind % (HISTORY_DOOR + 2),
	                                   .uid = OTHER_UID, .pid = 1, .ref = kind };
	if (odd & 2)
		record->kind = (uint32_t)take_number(in, 4);
	if (record->kind == HISTORY_DOOR && !(odd & 4))
		(void)snprintf(record->reason, sizeof record->reason, "%s", door_row((enum door)(1 + kind / 8 % (DOOR_COUNT - 1)))->name);
	else
		fill_text(in, record->reason, sizeof record->reason);
	fill_text(in, record->peer, sizeof record->peer);
	fill_text(in, record->user, sizeof record->user);
	fill_text(in, record->text, sizeof record->text);
	return odd & 8 ? take_number(in, 2) % (2 * sizeof *record) : sizeof *record;
}

/* As root we can say who sends: somebody whose word on whose it is counts for nothing. */
static void send_as(uid_t uid, const void *octets, size_t size)
{
	union { struct cmsghdr header; char octets[CMSG_SPACE(sizeof(struct ucred))]; } control;
	struct iovec part = { .iov_len = size };
	const struct ucred who = { .pid = getpid(), .uid = uid, .gid = getegid() };
	memcpy(&part.iov_base, &octets, sizeof octets);
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	memset(&control, 0, sizeof control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof who);
	memcpy(CMSG_DATA(c), &who, sizeof who);
	CHECK(sendmsg(sender, &header, MSG_NOSIGNAL) == (ssize_t)size, "a datagram");
}

/* How many of each kind are to be kept. */
static void send_all(struct input *in, uint64_t kept[HISTORY_KINDS])
{
	static char octets[2 * sizeof(struct history_record)];
	struct history_record record;
	for (int i = 0; i < SENT_MOST && in->left > 0; i++) {
		const size_t size = take_datagram(in, &record);
		memcpy(octets, &record, sizeof record);
		/* With a descriptor now and then: nobody wants it, and it may not stay. */
		if (record.ref % 2 != 0 && geteuid() == 0)
			send_as(SOMEBODY, octets, size);
		else
			CHECK(rpc_send(sender, octets, size, record.ref == 0xfe ? sender : -1) == 0, "datagram %d", i);
		judged.messages++;
		if (size == sizeof record && record.format == HISTORY_FORMAT && record.kind < HISTORY_KINDS)
			kept[record.kind]++;
	}
}

static int check_record(void *context, const struct history_record *record)
{
	(void)context;
	CHECK(record->pid == getpid(), "a record of process %d", record->pid);
	const uid_t whose = geteuid() != 0 ? geteuid() : record->ref % 2 != 0 ? SOMEBODY : OTHER_UID;
	CHECK(record->uid == whose, "a record of user %u, sent by %u", record->uid, whose);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const struct history_query all = { .format = HISTORY_FORMAT, .kinds = (1u << HISTORY_KINDS) - 1, .uid = HISTORY_NOBODY };
	uint64_t kept[HISTORY_KINDS] = { 0 }, before[HISTORY_KINDS];
	begin();
	const int free_one = dup(sender);
	(void)close(free_one);
	for (size_t i = 0; i < HISTORY_KINDS; i++)
		before[i] = r.history.rings[i].next;
	send_all(&in, kept);
	take_records(&r);
	for (size_t i = 0; i < HISTORY_KINDS; i++) {
		CHECK(r.history.rings[i].next - before[i] == kept[i], "%ju records of kind %zu, want %ju", (uintmax_t)(r.history.rings[i].next - before[i]), i,
		      (uintmax_t)kept[i]);
		judged.kept += kept[i];
	}
	history_find(&r.history, &all, check_record, NULL);
	doors_log(now_ms(), true);
	CHECK(doors_due() == 0, "a door is still counted");
	CHECK(fcntl(free_one, F_GETFD) < 0, "a descriptor stays");
	return 0;
}
