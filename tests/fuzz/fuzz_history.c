/*
 * fuzz_history.c - the history's files with anything in them, questions with anything in them, and what is printed of it.
 * Runs in: the tests. Trusts: nothing.
 */
#include <sys/socket.h>

#include "cli/explain.h"
#include "daemon/history.h"
#include "daemon/recorder_answer.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS_MOST = 48, TEXTS = 8, ROOM_MOST = 4096 };

unsigned __wrap_alarm(unsigned seconds);

/* In place of alarm(2), which the process that answers a question sets for itself. */
unsigned __wrap_alarm(unsigned seconds)
{
	(void)seconds;
	return 0;
}

struct head {
	uint32_t format, key;
	uint64_t room, next, next_ref;
};

/* ---- files ---- */

static void fill_text(struct input *in, char *text, size_t size, bool ends)
{
	(void)piece_text(take_line(in), text, size);
	if (!ends)
		memset(text, 'x', size);
}

static struct history_record take_record(struct input *in, uint32_t kind)
{
	struct history_record r;
	memset(&r, 0, sizeof r);
	const unsigned odd = take_octet(in);   /* 1 to TEXTS: a text without its end; above: another kind or format */
	r.format = odd == TEXTS + 1 ? (uint32_t)take_number(in, 4) : HISTORY_FORMAT;
	r.kind = odd == TEXTS + 2 ? take_octet(in) : kind;
	r.when_ms = (int64_t)take_number(in, odd & 0x80 ? 8 : 5);
	r.ref = (uint32_t)take_number(in, 4);
	r.uid = take_octet(in);
	r.err = (int32_t)take_octet(in);
	r.pam = (int32_t)take_number(in, odd & 0x80 ? 4 : 1);
	r.tls = (uint32_t)take_number(in, 2);
	(void)snprintf(r.reply, sizeof r.reply, "%s", reply_row((enum reply)(1 + take_below(in, REPLY_COUNT - 1)))->name);
	fill_text(in, r.role, sizeof r.role, odd != 1);
	fill_text(in, r.user, sizeof r.user, odd != 2);
	fill_text(in, r.peer, sizeof r.peer, odd != 3);
	fill_text(in, r.reason, sizeof r.reason, odd != 4);
	fill_text(in, r.place, sizeof r.place, odd != 5);
	fill_text(in, r.text, sizeof r.text, odd != 6);
	fill_text(in, r.told, sizeof r.told, odd != 7);
	if (odd == TEXTS || (odd & 0x40))
		fill_text(in, r.reply, sizeof r.reply, odd != TEXTS);
	for (size_t i = 0; i < REPLY_NUMBERS; i++)
		r.n[i] = take_number(in, odd & 0x80 ? 8 : 2);
	r.figures.count = take_number(in, 2);
	return r;
}

static int take_ring(struct input *in, uint32_t kind)
{
	static char slot[HISTORY_RECORD];
	struct head head = { .format = HISTORY_FORMAT };
	const unsigned shape = take_octet(in), count = take_below(in, RECORDS_MOST / 8);
	if (shape == 0xff)
		return -1;
	head.room = take_number(in, shape & 1 ? 8 : 1);
	head.next = take_number(in, shape & 2 ? 8 : 1);
	head.format = shape & 4 ? (uint32_t)take_number(in, 4) : HISTORY_FORMAT;
	int fd = memfd_create("ring", MFD_CLOEXEC);
	memset(slot, 0, sizeof slot);
	memcpy(slot, &head, sizeof head);
	CHECK(fd >= 0 && write(fd, slot, sizeof slot) == (ssize_t)sizeof slot, "a ring");
	for (unsigned i = 0; i < count; i++) {
		const struct history_record r = take_record(in, kind);
		memset(slot, 0, sizeof slot);
		memcpy(slot, &r, sizeof r);
		CHECK(write(fd, slot, sizeof slot) == (ssize_t)sizeof slot, "a record");
	}
	if (shape & 8)
		CHECK(ftruncate(fd, (off_t)take_number(in, 2)) == 0, "a ring that is cut off");
	return fd;
}

/* ---- what is found ---- */

/* JSON is ASCII, and its brackets match outside of texts. */
static void check_json(const char *text, size_t len)
{
	char open[16];
	size_t depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];
		CHECK(c == '\n' || (c >= 0x20 && c <= 0x7e), "octet %d in JSON", c);
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			open[depth++ % sizeof open] = c;
		else if (!quoted && (c == '}' || c == ']'))
			CHECK(depth-- > 0 && open[depth % sizeof open] == (c == '}' ? '{' : '['), "a bracket too many");
	}
	CHECK(depth == 0 && !quoted, "JSON without its end: %s", text);
}

static void check_words(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		CHECK(text[i] == '\n' || (text[i] >= 0x20 && text[i] != 0x7f) || (unsigned char)text[i] >= 0x80, "octet %d for a terminal", text[i]);
}

struct look {
	const struct history_query *query;
	size_t found;
};

static int take_found(void *context, const struct history_record *r)
{
	struct look *look = context;
	const struct history_query *q = look->query;
	char *text = NULL, line[REPLY_LINE_MAX];
	size_t len = 0;
	look->found++;
	CHECK(history_is_whole(r, r->kind) && r->kind < HISTORY_KINDS && (q->kinds >> r->kind & 1), "a record that is not whole");
	CHECK((q->ref == REF_NONE || q->ref == r->ref) && (q->uid == HISTORY_NOBODY || q->uid == r->uid) && r->when_ms >= q->since_ms, "another record");
	CHECK(strlen(record_line(r, line)) < sizeof line, "a long line");
	FILE *out = open_memstream(&text, &len);
	CHECK(out != NULL, "no memory");
	explain_record(out, r);
	(void)fflush(out);
	check_words(text, len);
	(void)fseek(out, 0, SEEK_SET);
	struct json j = { .out = out };
	json_open(&j, NULL, '[');
	explain_record_json(&j, r);
	json_close(&j, ']');
	(void)fclose(out);
	check_json(text, len);
	free(text);
	return look->found >= RECORDS_MOST;
}

/* The same question over a socket. Root sees all, so the answers are those. */
static void check_question(const struct history *h, const struct history_query *query, size_t query_size, size_t want)
{
	int ends[2];
	struct history_record record;
	size_t records = 0, others = 0;
	ssize_t n;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
	CHECK(send(ends[0], query, query_size, MSG_NOSIGNAL) == (ssize_t)query_size, "a question");
	answer_question(ends[1], h);
	(void)close(ends[1]);
	while ((n = recv(ends[0], &record, sizeof record, 0)) > 0)
		if (n == (ssize_t)sizeof record && others == 0)
			records++;
		else
			others += n == 4 ? 1 : 2;
	(void)close(ends[0]);
	const bool good = query_size == sizeof *query && query->format == HISTORY_FORMAT;
	CHECK(others == good && (!good || geteuid() != 0 || records == want), "%zu records and %zu ends, want %zu", records, others, want);
}

static int count_found(void *context, const struct history_record *r)
{
	(void)r;
	++*(size_t *)context;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	struct history h = NO_HISTORY;
	struct history_query query;
	memset(&query, 0, sizeof query);
	const unsigned odd = take_octet(&in);
	query.format = odd & 1 ? (uint32_t)take_number(&in, 4) : HISTORY_FORMAT;
	query.kinds = odd & 2 ? (uint32_t)take_number(&in, 4) : 7;
	query.ref = odd & 4 ? (uint32_t)take_number(&in, 4) : REF_NONE;
	query.since_ms = (int64_t)(odd & 8 ? take_number(&in, 8) : 0);
	query.uid = odd & 16 ? take_octet(&in) : HISTORY_NOBODY;
	if (odd & 32)
		(void)piece_text(take_line(&in), query.user, sizeof query.user);
	for (uint32_t kind = 0; kind < HISTORY_KINDS; kind++)
		h.rings[kind].fd = take_ring(&in, kind);
	struct look look = { .query = &query };
	history_find(&h, &query, take_found, &look);
	size_t all = 0;
	history_find(&h, &query, count_found, &all);
	if (all <= RECORDS_MOST)
		check_question(&h, &query, odd & 64 ? take_octet(&in) % sizeof query + 1 : sizeof query, all);
	/* Another process goes on where these files say, and what it adds is found. */
	history_resume(&h);
	struct history_record added = { .format = HISTORY_FORMAT, .kind = HISTORY_SESSION, .when_ms = INT64_MAX, .ref = 1, .uid = 5 };
	if (h.rings[HISTORY_SESSION].fd >= 0 && h.rings[HISTORY_SESSION].room > 0 && h.rings[HISTORY_SESSION].room < ROOM_MOST) {
		const struct history_query last = { .format = HISTORY_FORMAT, .kinds = 1 << HISTORY_SESSION, .ref = 1, .since_ms = INT64_MAX, .uid = 5 };
		size_t found = 0;
		history_add(&h, &added);
		history_find(&h, &last, count_found, &found);
		CHECK(found >= 1 || h.rings[HISTORY_SESSION].next == 0, "what was added is not found");
	}
	history_close(&h);
	return 0;
}
