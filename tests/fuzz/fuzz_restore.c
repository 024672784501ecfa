/*
 * fuzz_restore.c - mail that is put back from a journal's text into an mbox, both with anything in them: the mbox grows by what is missing, once.
 * Runs in: the tests. Trusts: nothing.
 *
 * In the input \4 stands for a From_ line, and \3 ends the mbox. What the file has to be is worked out here on octets in memory.
 */
#include "storage/restore.h"
#include "tests/fuzz/fuzz_mbox_model.h"

enum { TEXT_MOST = 8192, ROOM = 65536 };

static const char from_line[] = "From a Thu Jan  1 00:00:00 1970\n";

static struct file expand(struct piece in, char room[ROOM])
{
	size_t n = 0;
	for (size_t i = 0; i < in.len && n + sizeof from_line < TEXT_MOST; i++) {
		const bool line = in.p[i] == '\4';
		memcpy(room + n, line ? from_line : &in.p[i], line ? sizeof from_line - 1 : 1);
		n += line ? sizeof from_line - 1 : 1;
	}
	return (struct file){ .p = room, .len = n };
}

/* ---- what has to come of it ---- */

/* Fields that mail programs rewrite make no other message. */
static bool is_rewritten(struct file f, size_t at)
{
	static const char *const names[] = { "Content-Length", "Lines", "Status", "X-IMAP", "X-IMAPbase", "X-Keywords", "X-Status", "X-UID", "X-UIDL" };
	char value[FIELD_SEEN + 1];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (field_value(f, at, names[i], value) != NULL)
			return true;
	return false;
}

/* The message without these. */
static struct file bare(struct file f, const struct message *m, char room[ROOM])
{
	struct file out = { .p = room };
	bool in_header = true, left_out = false;
	for (size_t at = m->start; at < m->end; at += line_length(f, at)) {
		const size_t len = line_length(f, at);
		in_header = in_header && (at == m->start || !is_blank(f, at));
		const bool continued = f.p[at] == ' ' || f.p[at] == '\t' || f.p[at] == '\r';
		if (in_header && at > m->start && !continued)
			left_out = is_rewritten(f, at);
		if (in_header && left_out)
			continue;
		memcpy(room + out.len, f.p + at, len);
		out.len += len;
	}
	return out;
}

/* A last line that lacks its end is the same with it. */
static void end_line(struct file *f, char room[ROOM])
{
	if (f->len > 0 && room[f->len - 1] != '\n')
		room[f->len++] = '\n';
}

/* How many of the first `count` messages of g are the same as this one of f? */
static size_t alike(struct file f, const struct message *m, struct file g, const struct slow *s, size_t count)
{
	static char one[ROOM], other[ROOM];
	const struct file want = bare(f, m, one);
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		const struct file got = bare(g, &s->messages[i], other);
		n += got.len == want.len && memcmp(got.p, want.p, want.len) == 0;
	}
	return n;
}

/* As many as there are in the text up to it; the last one of the text also with the line end that it may lack. */
static bool is_there(struct file kept, const struct slow *back, size_t idx, struct file mbox, const struct slow *there)
{
	static char room[ROOM];
	static struct slow with;
	struct file ended = { .p = room, .len = kept.len };
	if (alike(kept, &back->messages[idx], mbox, there, there->count) > alike(kept, &back->messages[idx], kept, back, idx))
		return true;
	memcpy(room, kept.p, kept.len);
	end_line(&ended, room);
	parse_slowly(ended, &with);
	return idx + 1 == back->count && with.count == back->count &&
	       alike(ended, &with.messages[idx], mbox, there, there->count) > alike(ended, &with.messages[idx], ended, &with, idx);
}

static void append(struct file *f, char room[ROOM], const char *p, size_t len)
{
	CHECK(f->len + len <= ROOM, "too much for the target");
	memcpy(room + f->len, p, len);
	f->len += len;
}

/* Does the text end in a blank line? It is one by itself where there is nothing before it. */
static bool ends_blank(const struct file *f)
{
	size_t at = f->len;
	if (at == 0)
		return true;
	if (f->p[--at] != '\n')
		return false;
	if (at > 0 && f->p[at - 1] == '\r')
		at--;
	return at == 0 || f->p[at - 1] == '\n';
}

static void end_with_blank_line(struct file *f, char room[ROOM])
{
	while (!ends_blank(f))
		append(f, room, "\n", 1);
}

/* The mbox as it has to be; *appended_r: messages that it has more. */
static struct file work_out(struct file mbox, const struct slow *there, struct file kept, const struct slow *back, char room[ROOM], size_t *appended_r)
{
	struct file want = { .p = room };
	*appended_r = 0;
	append(&want, room, mbox.p, mbox.len);
	for (size_t i = 0; i < back->count; i++) {
		const struct message *m = &back->messages[i];
		if (is_there(kept, back, i, mbox, there))
			continue;
		end_with_blank_line(&want, room);
		append(&want, room, kept.p + m->start, m->next - m->start);
		++*appended_r;
	}
	if (*appended_r > 0)
		end_with_blank_line(&want, room);
	return want;
}

/* ---- what comes of it ---- */

/* 0, -1: the text cannot be put back, 1: the mbox cannot be opened. */
static int put_back(int kept, size_t *appended_r)
{
	struct maildrop_place place = { .format = MAILDROP_MBOX };
	int journal = fuzz_memory_file("", 0);
	const struct maildrop_options options = { .owner = geteuid(), .journal = journal, .dotlock_helper = -1 };
	struct maildrop *drop = NULL;
	struct stat st;
	struct why why = { .reason = REASON_NONE };
	(void)snprintf(place.path, sizeof place.path, "%s", fuzz_path("mbox"));
	int r = 1;
	if (maildrop_open(&place, &options, &drop, &why) == 0) {
		r = mbox_put_back(drop, kept, appended_r, &why);
		maildrop_close(&drop);
	}
	CHECK(r == 0 || (why.reason == REASON_MAILDROP_BROKEN && why.text[0] != '\0'), "reason %d: %s", (int)why.reason, why.text);
	CHECK(r > 0 || (fstat(journal, &st) == 0 && st.st_size == 0), "the journal has octets yet");
	(void)close(journal);
	return r;
}

static void check_file(int fd, struct file want)
{
	size_t len;
	char *got = fuzz_file_octets(fd, &len);
	CHECK(len == want.len && memcmp(got, want.p, len) == 0, "the mbox has %zu octets, want %zu", len, want.len);
	free(got);
}

/* Once; the mbox is as it has to be. False when it could not be. */
static bool check_once(int fd, struct file mbox, struct file kept, const struct slow *back, char room[ROOM], struct file *now_r, size_t *appended_r)
{
	static struct slow there;
	size_t appended = 0;
	int text = fuzz_memory_file(kept.p, kept.len);
	parse_slowly(mbox, &there);
	const int r = put_back(text, &appended);
	(void)close(text);
	CHECK((r == 1) == there.broken && (r == 1 || (r == -1) == back->broken), "%d, and the mbox is %s, the text %s", r, there.broken ? "none" : "good", back->broken ? "none" : "good");
	*now_r = mbox;
	*appended_r = 0;
	if (r == 0)
		*now_r = work_out(mbox, &there, kept, back, room, appended_r);
	CHECK(appended == *appended_r, "%zu messages were put back, want %zu", appended, *appended_r);
	check_file(fd, *now_r);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char rooms[4][ROOM];
	static struct slow back, now_there;
	static int fd = -1;
	struct input in = INPUT_OF(data, size);
	const uint8_t *cut = size > 0 ? memchr(data, '\3', size) : NULL;
	const struct file mbox = expand(take_piece(&in, cut != NULL ? (size_t)(cut - data) : size), rooms[0]);
	(void)take_octet(&in);
	const struct file kept = expand(take_rest(&in), rooms[1]);
	struct file now, again;
	size_t appended;
	if (fd < 0)
		fd = open(fuzz_path("mbox"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0, "an mbox");
	fuzz_set_file(fd, mbox.p, mbox.len);
	parse_slowly(kept, &back);
	if (!check_once(fd, mbox, kept, &back, rooms[2], &now, &appended))
		return 0;
	/* It can be run again: nothing is put back twice, and all is there. */
	(void)check_once(fd, now, kept, &back, rooms[3], &again, &appended);
	CHECK(appended == 0, "%zu messages are put back once more", appended);
	parse_slowly(now, &now_there);
	for (size_t i = 0; i < back.count; i++)
		CHECK(is_there(kept, &back, i, now, &now_there), "message %zu is not there", i + 1);
	return 0;
}
