/*
 * fuzz_mbox.c - an mbox with anything in it, beside a parser that has it all in memory and looks at one line at a time.
 * Runs in: the tests. Trusts: nothing.
 *
 * In the input \1 n stands for n * 256 octets without a line end and \2 n for n * 256 octets of lines, so that small inputs
 * reach the edges of the parser's window.
 */
#include "base/wire.h"
#include "tests/fuzz/fuzz_mbox_model.h"

enum { FILE_MAX = 512 * 1024, FILL = 256, LINE = 64, KNOWN = 64 };

static char octets[FILE_MAX];

static struct file expand(struct piece in)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len && n + 256 * FILL < FILE_MAX; i++) {
		if ((in.p[i] == '\1' || in.p[i] == '\2') && i + 1 < in.len) {
			const bool lines = in.p[i] == '\2';
			const size_t fill = (size_t)(unsigned char)in.p[++i] * FILL;
			memset(octets + n, 'y', fill);
			for (size_t at = LINE - 1; lines && at < fill; at += LINE)
				octets[n + at] = '\n';
			n += fill;
		} else {
			octets[n++] = in.p[i];
		}
	}
	return (struct file){ .p = octets, .len = n };
}

/* ---- the two beside each other ---- */

static struct mbox *open_mbox(struct file f)
{
	struct mbox *m = aligned_alloc(_Alignof(struct mbox), sizeof *m);
	CHECK(m != NULL, "no memory");
	memset(m, 0, sizeof *m);
	m->drop.format = &mbox_format;
	m->path = strdup("mbox");
	m->dir_fd = -1;
	m->locks.options = &m->drop.options;
	m->fd = fuzz_memory_file(f.p, f.len);
	return m;
}

static uint64_t wire_size(const char *text, size_t len)
{
	struct wire w = WIRE_START;
	char *out = malloc(WIRE_ROOM(len));
	CHECK(out != NULL, "no memory");
	(void)wire_encode(&w, text, len, out);
	(void)wire_encode_end(&w, out);
	free(out);
	return w.octets;
}

static void check_message(const struct mbox *m, size_t idx, struct file f, const struct message *want)
{
	static char known[KNOWN][UIDL_MAX + 1];
	const struct mbox_message *got = &m->messages[idx];
	struct message_record record = { .octets = 0 };
	CHECK(got->start == want->start && got->start + got->body == want->body, "message %zu at %ju+%u, want %zu", idx, (uintmax_t)got->start,
	      (unsigned)got->body, want->start);
	CHECK(mbox_end(m, idx) == want->end && mbox_next(m, idx) == want->next, "message %zu ends at %ju, %ju, want %zu, %zu", idx,
	      (uintmax_t)mbox_end(m, idx), (uintmax_t)mbox_next(m, idx), want->end, want->next);
	maildrop_record(&m->drop, idx, &record);
	CHECK(record.octets == wire_size(f.p + want->body, want->end - want->body), "message %zu has %ju octets", idx, (uintmax_t)record.octets);
	size_t len = strnlen(record.uidl, sizeof record.uidl);
	CHECK(len >= 32 && len <= UIDL_MAX && is_printable(record.uidl, len) && strchr(record.uidl, ' ') == NULL, "unique-id \"%s\"", record.uidl);
	for (size_t i = 0; i < idx && i < KNOWN; i++)
		CHECK(strcmp(known[i], record.uidl) != 0, "messages %zu and %zu are %s", i, idx, record.uidl);
	if (idx < KNOWN)
		memcpy(known[idx], record.uidl, len + 1);
}

/* A status that a mail program adds to the first message is no other message. */
static void check_status(struct file f, const struct mbox *before, const struct message *first)
{
	static const char status[] = "Status: RO\n";
	enum { ADDED = sizeof status - 1 };
	struct why why = { .reason = REASON_NONE };
	if (first->body >= f.len || f.p[first->body - 1] != '\n' || memchr(" \t\r", f.p[first->body], 3) != NULL || f.len + ADDED > FILE_MAX)
		return;
	memmove(octets + first->body + ADDED, octets + first->body, f.len - first->body);
	memcpy(octets + first->body, status, ADDED);
	f.len += ADDED;
	struct mbox *m = open_mbox(f);
	CHECK(mbox_parse(m, f.len, &why) == 0 && m->drop.count == before->drop.count, "%zu messages with a status, %zu without: %s", m->drop.count,
	      before->drop.count, why.text);
	CHECK(memcmp(m->messages[0].uidl, before->messages[0].uidl, MBOX_UIDL) == 0, "a status changes the unique-id");
	mbox_format.close(&m->drop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct slow slow;
	struct input in = INPUT_OF(data, size);
	struct why why = { .reason = REASON_NONE };
	struct file f = expand(take_rest(&in));
	struct mbox *m = open_mbox(f);
	int r = mbox_parse(m, f.len, &why);
	parse_slowly(f, &slow);
	CHECK((r != 0) == slow.broken, "%s", slow.broken ? "it is no mbox" : why.text);
	if (r == 0) {
		CHECK(m->drop.count == slow.count && m->internal == slow.internal, "%zu messages, want %zu", m->drop.count, slow.count);
		for (size_t i = 0; i < slow.count; i++)
			check_message(m, i, f, &slow.messages[i]);
		if (slow.count > 0)
			check_status(f, m, &slow.messages[0]);
	}
	mbox_format.close(&m->drop);
	return 0;
}
