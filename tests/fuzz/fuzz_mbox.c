/*
 * fuzz_mbox.c - an mbox with anything in it, beside a parser that has it all in memory and looks at one line at a time.
 * Runs in: the tests. Trusts: nothing.
 *
 * In the input \1 n stands for n * 256 octets without a line end and \2 n for n * 256 octets of lines, so that small inputs
 * reach the edges of the parser's window.
 */
#include <ctype.h>

#include "base/wire.h"
#include "storage/mbox.h"
#include "tests/fuzz/fuzz.h"

enum { FILE_MAX = 512 * 1024, MESSAGES_MOST = 4096, FIELD_SEEN = 256, FILL = 256 };

struct file {
	const char *p;
	size_t len;
};

struct message {
	size_t start, body, end, next;
};

struct slow {
	struct message messages[MESSAGES_MOST];
	size_t count;
	bool broken, internal;
};

static char octets[FILE_MAX];

static struct file expand(struct piece in)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len && n + 256 * FILL < FILE_MAX; i++) {
		if ((in.p[i] == '\1' || in.p[i] == '\2') && i + 1 < in.len) {
			const bool lines = in.p[i] == '\2';
			for (size_t fill = (size_t)(unsigned char)in.p[++i] * FILL; fill > 0; fill--)
				octets[n++] = lines && fill % 64 == 1 ? '\n' : 'y';
		} else {
			octets[n++] = in.p[i];
		}
	}
	return (struct file){ .p = octets, .len = n };
}

/* ---- the slow parser ---- */

static size_t line_length(struct file f, size_t at)
{
	const char *lf = memchr(f.p + at, '\n', f.len - at);
	return lf != NULL ? (size_t)(lf - f.p) + 1 - at : f.len - at;
}

static bool is_blank(struct file f, size_t at)
{
	return f.p[at] == '\n' || (at + 1 < f.len && f.p[at] == '\r' && f.p[at + 1] == '\n');
}

static bool is_word_of(const char *word, const char *words)
{
	const char *at = strlen(word) == 3 ? strcasestr(words, word) : NULL;
	return at != NULL && (at - words) % 3 == 0;
}

static bool is_clock(const char *word)
{
	unsigned parts = 1, digits = 0;
	for (; *word != '\0'; word++) {
		if (*word == ':' && digits >= 1 && parts < 3) {
			parts++;
			digits = 0;
		} else if (!isdigit((unsigned char)*word) || ++digits > 2) {
			return false;
		}
	}
	return parts >= 2 && digits == 2;
}

static bool is_day(const char *word)
{
	return strlen(word) >= 1 && strlen(word) <= 2 && strspn(word, "0123456789") == strlen(word);
}

static bool is_date(char *const *words, size_t n)
{
	bool clock = false, year = false;
	if (n < 5 || !is_word_of(words[0], "MonTueWedThuFriSatSun"))
		return false;
	if (!(is_word_of(words[1], "JanFebMarAprMayJunJulAugSepOctNovDec") && is_day(words[2])) &&
	    !(is_day(words[1]) && is_word_of(words[2], "JanFebMarAprMayJunJulAugSepOctNovDec")))
		return false;
	for (size_t i = 3; i < n && i < 8; i++) {
		clock = clock || is_clock(words[i]);
		year = year || (strlen(words[i]) == 4 && strspn(words[i], "0123456789") == 4 && words[i][0] != '0');
	}
	return clock && year;
}

static bool is_from_line(struct file f, size_t at)
{
	size_t len = at < f.len ? line_length(f, at) : 0, n = 0;
	char line[MBOX_FROM_LINE_MAX + 1], *words[32], *state = NULL;
	if (len < 5 || len > MBOX_FROM_LINE_MAX || memcmp(f.p + at, "From ", 5) != 0)
		return false;
	memcpy(line, f.p + at, len);
	len -= line[len - 1] == '\n';
	len -= len > 0 && line[len - 1] == '\r';
	line[len] = '\0';
	/* A NUL is a character like others here. */
	for (size_t i = 0; i < len; i++)
		if (line[i] == '\0')
			line[i] = '\1';
	if (len <= 5)
		return false;
	for (char *w = strtok_r(line + 5, " \t,", &state); w != NULL && n < 32; w = strtok_r(NULL, " \t,", &state))
		words[n++] = w;
	for (size_t i = 0; i < n; i++)
		if (is_date(words + i, n - i))
			return true;
	return false;
}

/* A field's value in the octets of it that are looked at; NULL when the line is not of that name. */
static const char *field_value(struct file f, size_t at, const char *name, char value[FIELD_SEEN + 1])
{
	size_t len = line_length(f, at), name_len = strlen(name), colon = name_len;
	len = len < FIELD_SEEN ? len : FIELD_SEEN;
	if (len < name_len || strncasecmp(f.p + at, name, name_len) != 0)
		return NULL;
	while (colon < len && strchr(" \t\r", f.p[at + colon]) != NULL && f.p[at + colon] != '\0')
		colon++;
	if (colon == len || f.p[at + colon] != ':')
		return NULL;
	size_t begin = at + colon + 1, end = at + len;
	end -= end > begin && f.p[end - 1] == '\n';
	while (begin < end && strchr(" \t\r", f.p[begin]) != NULL && f.p[begin] != '\0')
		begin++;
	while (end > begin && strchr(" \t\r", f.p[end - 1]) != NULL && f.p[end - 1] != '\0')
		end--;
	memcpy(value, f.p + begin, end - begin);
	value[end - begin] = '\0';
	return memchr(value, '\0', end - begin) != NULL ? "\1" : value;
}

struct header {
	bool from_internal, internal, has_length, bad_length;
	unsigned long long length;
};

static void read_header_line(struct file f, size_t at, struct header *h)
{
	char storage[FIELD_SEEN + 1];
	const char *value;
	if ((value = field_value(f, at, "Subject", storage)) != NULL && h->from_internal)
		h->internal = h->internal || strcmp(value, "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA") == 0;
	if ((value = field_value(f, at, "Content-Length", storage)) == NULL)
		return;
	const size_t digits = strspn(value, "0123456789"), zeros = strspn(value, "0");
	const bool good = digits > 0 && value[digits] == '\0' && (digits - zeros < 19 || (digits - zeros == 19 && strcmp(value + zeros, "9223372036854775807") <= 0));
	const unsigned long long length = good ? strtoull(value, NULL, 10) : 0;
	h->bad_length = h->bad_length || !good || (h->has_length && h->length != length);
	h->has_length = true;
	h->length = length;
}

/* Does a message end there, as its Content-Length says? */
static bool ends_at(struct file f, size_t end)
{
	if (end >= f.len)
		return end == f.len;
	if (f.p[end - 1] != '\n')
		return false;
	size_t blank = is_blank(f, end) ? (f.p[end] == '\n' ? 1 : 2) : 0;
	bool behind_blank = f.p[end - 2] == '\n' || (f.p[end - 2] == '\r' && f.p[end - 3] == '\n');
	return (blank > 0 && end + blank == f.len) || ((blank > 0 || behind_blank) && is_from_line(f, end + blank));
}

/* The message that begins at `at`: where its text ends, and where the next one begins. */
static struct message read_message(struct file f, size_t at, bool first, bool *internal_r)
{
	struct message m = { .start = at, .body = at + line_length(f, at) };
	struct header h = { .from_internal = first && m.body - at > 18 && memcmp(f.p + at, "From MAILER-DAEMON", 18) == 0 };
	bool in_header = true, blank = false;
	size_t protected_to = 0, blank_at = 0;
	for (at = m.body; at < f.len; at += line_length(f, at)) {
		if (blank && at >= protected_to && is_from_line(f, at))
			break;
		blank = is_blank(f, at);
		blank_at = blank ? at : blank_at;
		if (in_header && blank) {
			in_header = false;
			const size_t text = at + line_length(f, at);
			if (h.has_length && !h.bad_length && h.length <= f.len - text && ends_at(f, text + (size_t)h.length))
				protected_to = text + (size_t)h.length;
		} else if (in_header && strchr(" \t\r", f.p[at]) == NULL) {
			read_header_line(f, at, &h);
		} else if (in_header && f.p[at] == '\0') {
			read_header_line(f, at, &h);
		}
	}
	m.end = blank ? blank_at : at;
	m.next = at;
	*internal_r = h.internal;
	return m;
}

static void parse_slowly(struct file f, struct slow *s)
{
	size_t at = 0;
	s->count = 0;
	s->broken = s->internal = false;
	while (at < f.len) {
		bool internal;
		if (!is_from_line(f, at)) {
			s->broken = s->broken || !is_blank(f, at);
			if (s->broken)
				return;
			at += line_length(f, at);
			continue;
		}
		struct message m = read_message(f, at, s->count == 0 && !s->internal, &internal);
		CHECK(s->count < MESSAGES_MOST, "too many messages");
		if (internal)
			s->internal = true;
		else
			s->messages[s->count++] = m;
		at = m.next;
	}
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
	for (size_t i = 0; i < idx && i < 64; i++) {
		struct message_record other = { .octets = 0 };
		maildrop_record(&m->drop, i, &other);
		CHECK(strcmp(other.uidl, record.uidl) != 0, "messages %zu and %zu are %s", i, idx, record.uidl);
	}
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
