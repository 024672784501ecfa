/*
 * fuzz_pop3.c - whole sessions through line reader and protocol engine, in one piece and cut anywhere, each answer checked.
 * Runs in: the tests. Trusts: nothing.
 */
#include "daemon/languages.h"
#include "daemon/line.h"
#include "tests/fuzz/fuzz_host.h"

enum { OUT_MAX = 1 << 20, PIECE_WHOLE = 0 };

/* How the session is set up, and how its octets are cut. */
struct setup {
	unsigned flags, answers, count;
};

struct talk {
	struct pop3 pop3;
	struct line_reader reader;
	char *out;
	size_t len;
	size_t clear_len;      /* of out, before the answer to an STLS that was accepted */
	bool stls, over;
};

static char storage[POP3_OUT_MIN + 4096];

static void add_out(struct talk *t, const struct buf *b)
{
	CHECK(t->len + b->len <= OUT_MAX, "answers without end");
	memcpy(t->out + t->len, b->p, b->len);
	t->len += b->len;
}

/* ---- one answer ---- */

static bool is_text(const char *line, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(line, text, len) == 0;
}

static bool is_listed(const char *line, size_t len, size_t *idx)
{
	while (*idx < host.count && host.marks[*idx])
		++*idx;
	if (*idx == host.count)
		return false;
	const size_t i = (*idx)++;
	return is_text(line, len, host_lines[i].uidl) || is_text(line, len, host_lines[i].octets);
}

static bool is_capability(const char *line, size_t len)
{
	static const char *const words[] = { "USER", "SASL PLAIN", "PLAIN", "STLS", "UIDL", "TOP", "LANG", "UTF8", "RESP-CODES", "AUTH-RESP-CODE",
		"PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION postern" };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (is_text(line, len, words[i]))
			return true;
	for (size_t i = 0; i < languages_count; i++) {
		const size_t tag = strlen(languages[i].tag);
		if (len > tag && memcmp(line, languages[i].tag, tag) == 0 && line[tag] == ' ' && is_text(line + tag + 1, len - tag - 1, languages[i].name))
			return true;
	}
	return false;
}

/* The lines behind a status line: a list in the order of the messages, or capabilities, and a dot. */
static void check_lines(enum reply reply, const char *at, const char *end)
{
	const bool listing = reply == REPLY_LIST_ALL || reply == REPLY_UIDL_ALL;
	const bool several = listing || reply == REPLY_CAPABILITIES || reply == REPLY_LANGUAGES || reply == REPLY_MECHANISMS;
	size_t idx = 0;
	if (!several) {
		CHECK(at == end, "%td octets behind %s", end - at, reply_row(reply)->name);
		return;
	}
	for (;;) {
		const char *cr = memmem(at, (size_t)(end - at), "\r\n", 2);
		CHECK(cr != NULL, "a list without its end");
		size_t len = (size_t)(cr - at);
		if (len == 1 && *at == '.') {
			CHECK(cr + 2 == end, "%td octets behind the dot", end - cr - 2);
			break;
		}
		CHECK(listing ? is_listed(at, len, &idx) : is_capability(at, len), "a line of its own: %.*s", (int)len, at);
		at = cr + 2;
	}
	while (idx < host.count && host.marks[idx])
		idx++;
	CHECK(!listing || idx == host.count, "the list ends at %zu of %zu", idx, host.count);
}

/* What one line was answered: a status line of the table, with nothing of the client's in it. */
static enum reply check_answer(const struct talk *t, size_t from, const struct language *before)
{
	const char *line = t->out + from, *end = t->out + t->len;
	const char *cr = memmem(line, (size_t)(end - line), "\r\n", 2);
	CHECK(cr != NULL && cr - line + 2 <= REPLY_LINE_MAX, "an answer of %td octets", end - line);
	if (cr - line == 2 && memcmp(line, "+ ", 2) == 0) {
		CHECK(cr + 2 == end, "octets behind +");
		return REPLY_NONE;
	}
	CHECK(is_clean_utf8(line, (size_t)(cr - line)), "no UTF-8: %.*s", (int)(cr - line), line);
	enum reply reply = host_row_of(line, (size_t)(cr - line), t->pop3.language);
	if (reply == REPLY_NONE)
		reply = host_row_of(line, (size_t)(cr - line), before);
	CHECK(reply != REPLY_NONE, "no row says: %.*s", (int)(cr - line), line);
	check_lines(reply, cr + 2, end);
	return reply;
}

/* ---- one line ---- */

struct before {
	enum pop3_state state;
	unsigned logins, commits;
	size_t marked, set, len;
	const struct language *language;
};

static size_t marks_set(void)
{
	size_t set = 0;
	for (size_t i = 0; i < host.count; i++)
		set += host.marks[i];
	return set;
}

static bool says(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);
	return len >= n && strncasecmp(line, word, n) == 0 && (len == n || line[n] == ' ');
}

/* The number behind DELE. A line has no NUL, so strtoull(3) alone would read on behind its end. */
static size_t msgno_in(const char *line, size_t len)
{
	char text[COMMAND_LINE_MAX];  /* the number may have zeros in front, as many as fit */
	const size_t n = strtoull(piece_text((struct piece){ .p = line + 4, .len = len - 4 }, text, sizeof text), NULL, 10);
	CHECK(n >= 1 && n <= host.count, "message %zu of %zu is marked", n, host.count);
	return n;
}

/* What the line may have changed. line: as it came in. */
static void check_change(const struct talk *t, const struct before *b, const char *line, size_t len, enum reply reply)
{
	const enum pop3_state now = t->pop3.state;
	/* A line with a NUL is none of POP3's, and may be the last that is taken. */
	const bool quit = says(line, len, "QUIT") && memchr(line, '\0', len) == NULL;
	const size_t set = marks_set();
	if (now == POP3_TRANSACTION && b->state != POP3_TRANSACTION)
		CHECK(host.logins == b->logins + 1 && host.login == REPLY_LOGGED_IN && reply == REPLY_LOGGED_IN, "logged in by %.*s", (int)len, line);
	CHECK(host.logins <= b->logins + 1 && (host.logins == b->logins || b->state != POP3_TRANSACTION), "a login within a session");
	CHECK(b->state != POP3_TRANSACTION || now == POP3_TRANSACTION || now == POP3_OVER, "out of the session");
	CHECK(host.commits == b->commits + (quit && b->state == POP3_TRANSACTION && now == POP3_OVER), "%u commits by %.*s", host.commits - b->commits, (int)len, line);
	CHECK(host.commits == b->commits || host.marked == set, "%zu committed, %zu marked", host.marked, set);
	if (b->state == POP3_TRANSACTION && says(line, len, "RSET") && reply == REPLY_RESET)
		CHECK(set == 0, "%zu marks behind RSET", set);
	else if (b->state == POP3_TRANSACTION && says(line, len, "DELE") && reply == REPLY_MARKED)
		CHECK(set == b->set + 1 && host.marks[msgno_in(line, len) - 1], "DELE marked another");
	else
		CHECK(set == b->set, "%zu marks, %zu before %.*s", set, b->set, (int)len, line);
	CHECK(t->pop3.marked == (b->state == POP3_TRANSACTION || now == POP3_TRANSACTION ? set : 0), "%zu counted, %zu marks", t->pop3.marked, set);
}

static enum pop3_next collect(struct talk *t, enum pop3_next next, struct buf *out)
{
	add_out(t, out);
	while (next == POP3_NEXT_MORE) {
		*out = BUF_OVER(storage);
		/* Sometimes there is little room, as when many answers are gathered. */
		out->cap = t->len % 2 == 0 ? sizeof storage : POP3_OUT_MIN;
		next = pop3_more(&t->pop3, out);
		add_out(t, out);
	}
	return next;
}

/* One line, or one that is too long, through the engine. */
static void say(struct talk *t, char *line, size_t len, bool too_long)
{
	const struct before before = { .state = t->pop3.state, .logins = host.logins, .commits = host.commits, .set = marks_set(), .len = t->len,
		.language = t->pop3.language };
	struct buf out = BUF_OVER(storage);
	char *kept = piece_copy((struct piece){ .p = too_long ? "" : line, .len = too_long ? 0 : len });
	enum pop3_next next = too_long ? pop3_long_line(&t->pop3, &out) : pop3_line(&t->pop3, line, len, &out);
	next = collect(t, next, &out);
	enum reply reply = check_answer(t, before.len, before.language);
	check_change(t, &before, kept, too_long ? 0 : len, reply);
	free(kept);
	t->over = next == POP3_NEXT_CLOSE;
	CHECK(t->over == (t->pop3.state == POP3_OVER), "closed in state %d", (int)t->pop3.state);
	if (reply != REPLY_TLS_PIPELINED && next != POP3_NEXT_TLS)
		return;
	CHECK(!t->pop3.tls && before.state == POP3_AUTHORIZATION, "TLS in TLS, or within a session");
	CHECK((next == POP3_NEXT_TLS) == (line_pending(&t->reader) == 0), "what came in behind STLS counts");
	t->stls = true;
	t->clear_len = before.len;
	if (next == POP3_NEXT_TLS) {
		pop3_tls_started(&t->pop3);
		t->reader = (struct line_reader){ .start = 0 };
	}
}

/* ---- the session, as gate.c has it ---- */

/* All the lines there are. */
static void hear(struct talk *t)
{
	char *line;
	size_t len;
	while (!t->over && !t->stls) {
		const char *octets = t->reader.octets + t->reader.start;
		enum door door = t->reader.begun || t->pop3.tls ? DOOR_NONE : door_of_octets(octets, t->reader.end - t->reader.start);
		enum line_result r = LINE_NONE;
		if (door != DOOR_NONE) {
			struct buf out = BUF_OVER(storage);
			(void)pop3_wrong_door(&t->pop3, door, &out);
			add_out(t, &out);
			t->over = true;
		} else if ((r = line_next(&t->reader, pop3_line_max(&t->pop3), &line, &len)) != LINE_NONE) {
			host.pending = line_pending(&t->reader) != 0;
			CHECK(r == LINE_TOO_LONG || len < pop3_line_max(&t->pop3), "a line of %zu octets", len);
			say(t, line, len, r == LINE_TOO_LONG);
		} else {
			t->over = t->reader.skipped > LINE_SKIP_MAX;
			return;
		}
	}
}

/* cut: 0 for one piece, else where a row of pseudo-random lengths begins. */
static void run(struct talk *t, const struct setup *setup, struct piece input, unsigned cut)
{
	struct buf greeting = BUF_OVER(storage);
	char *out = t->out;
	*t = (struct talk){ .out = out };
	host_begin(&t->pop3, setup->count);
	t->pop3.tls = setup->flags & 1;
	t->pop3.tls_offered = !(setup->flags & 2);
	t->pop3.plaintext_admitted = !(setup->flags & 4);
	t->pop3.explain = setup->flags & 8;
	host.final = setup->flags & 16;
	host.login = setup->answers & 1 ? REPLY_NOT_ACCEPTED : REPLY_LOGGED_IN;
	host.fetch = setup->answers & 2 ? REPLY_MESSAGE_GONE : REPLY_MESSAGE;
	host.commit = setup->answers & 4 ? REPLY_KEPT_FULL : REPLY_BYE_UPDATED;
	pop3_greet(&t->pop3, &greeting);
	add_out(t, &greeting);
	for (size_t at = 0; at < input.len && !t->over && !t->stls; ) {
		size_t room;
		char *to = line_room(&t->reader, &room);
		CHECK(room > 0, "no room for more");
		cut = cut != PIECE_WHOLE ? cut * 1103515245u + 12345u : PIECE_WHOLE;
		size_t n = cut == PIECE_WHOLE ? room : 1 + (cut >> 16) % (cut & 0x1000 ? 3u : 300u);
		n = n < room ? n : room;
		n = n < input.len - at ? n : input.len - at;
		memcpy(to, input.p + at, n);
		line_filled(&t->reader, n);
		at += n;
		hear(t);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct talk whole, cut;
	struct input in = INPUT_OF(data, size);
	const struct setup setup = { .flags = take_octet(&in), .answers = take_octet(&in), .count = take_below(&in, HOST_MESSAGES + 1) };
	const unsigned cuts = (unsigned)take_number(&in, 2) * 2 + 1;
	struct piece input = take_rest(&in);
	if (whole.out == NULL) {
		whole.out = malloc(OUT_MAX);
		cut.out = malloc(OUT_MAX);
		CHECK(whole.out != NULL && cut.out != NULL, "no memory");
	}
	run(&whole, &setup, input, PIECE_WHOLE);
	/* Whoever sends a PROXY header in pieces is answered line by line. */
	if (input.len > 5 && memcmp(input.p, "\r\n\r\n\0", 5) == 0)
		return 0;
	run(&cut, &setup, input, cuts);
	/* Whether something lies behind STLS depends on the pieces; what lies before it does not. */
	CHECK(whole.stls == cut.stls, "STLS in one of them only");
	size_t len = whole.stls ? whole.clear_len : whole.len, cut_len = cut.stls ? cut.clear_len : cut.len;
	CHECK(len == cut_len && memcmp(whole.out, cut.out, len) == 0, "cut otherwise, %zu octets become %zu", len, cut_len);
	return 0;
}
