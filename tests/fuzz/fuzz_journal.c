/*
 * fuzz_journal.c - an mbox and a journal, as a crash, other programs or an attacker may leave them, through recovery.
 * Runs in: the tests. Trusts: nothing.
 *
 * The input makes an mbox, a rewrite of it, and how far that came. What the file has to be afterwards is worked out here on octets in
 * memory: a rewrite that is proven is finished, with all that arrived since; what is not proven is left as it is.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/storage/journal_format.h"

enum { ROOM = 65536 };

struct octets {
	char *p;
	size_t len;
};

static struct digest digest_of(const char *p, size_t len, uint64_t seed)
{
	struct digest_state s;
	digest_begin(&s, seed);
	digest_add(&s, p, len);
	return digest_so_far(&s);
}

static void append(struct octets *o, const char *p, size_t len)
{
	CHECK(o->len + len <= ROOM, "too much for the target");
	memcpy(o->p + o->len, p, len);
	o->len += len;
}

/* ---- the rewrite ---- */

struct rewrite {
	struct octets before, kept, now, journal;
	size_t cut, new_end, edge;
	uint64_t seed;
};

/* One record in two pieces when `two`, as when mail arrived between a crash and a recovery that crashed, too. */
static void make_journal(struct rewrite *r, const struct stat *st, bool two)
{
	struct record record;
	const size_t first = two ? r->kept.len / 2 : r->kept.len;
	for (size_t from = 0, part = 0; part < (two ? 2u : 1u); part++, from = first) {
		const size_t kept = part == 0 ? first : r->kept.len, edge = r->edge;
		/* What the first record of two says of doomed octets was true of a shorter file; only its own wholeness counts. */
		const size_t new_end = r->cut + kept;
		memset(&record, 0, sizeof record);
		memcpy(record.magic, "postern1", 8);
		record.plan = (struct journal_plan){ .dev = st->st_dev, .ino = st->st_ino, .size = r->before.len, .cut = r->cut, .kept = kept, .seed = r->seed,
			.head = digest_of(r->before.p, r->cut, r->seed), .edge = edge };
		record.plan.edges = digest_of(r->before.p + new_end, edge, r->seed);
		record.plan.doomed = digest_of(r->before.p + new_end + edge, r->before.len - new_end - edge, r->seed);
		record.plan.tail = digest_of(r->kept.p, kept, r->seed);
		record.length = kept - from;
		(void)snprintf(record.path, sizeof record.path, "%s", fuzz_path("mbox"));
		record.check = digest_of((const char *)&record.plan, offsetof(struct record, check) - offsetof(struct record, plan), 0);
		append(&r->journal, (const char *)&record, sizeof record);
		append(&r->journal, r->kept.p + from, kept - from);
		append(&r->journal, r->before.p + new_end, edge);
	}
}

/* How far the rewrite came, and what others did since. */
static void make_now(struct rewrite *r, struct input *in)
{
	const unsigned step = take_below(in, 6);
	const size_t written = step == 0 ? 0 : step == 1 ? (size_t)take_number(in, 2) % (r->kept.len + 1) : r->kept.len;
	r->now.len = 0;
	append(&r->now, r->before.p, r->before.len);
	memcpy(r->now.p + r->cut, r->kept.p, written);
	if (step >= 3) {
		size_t zeros = (size_t)take_number(in, 2) % (r->edge + 1);
		memset(r->now.p + r->new_end, 0, zeros);
	}
	if (step >= 4)
		r->now.len = r->new_end;
	if (step == 5)
		r->now.len -= (size_t)take_octet(in) % (r->now.len + 1);
	const unsigned others = take_octet(in);
	if (others & 1) {
		struct piece mail = take_line(in);
		append(&r->now, "From b Fri Jan  2 00:00:00 1970\n\n", 33);
		append(&r->now, mail.p, mail.len);
		append(&r->now, "\n\n", 2);
	}
	if (others & 2 && r->now.len > 0)
		r->now.p[take_number(in, 2) % r->now.len] ^= 0x20;
}

/* What the file has to be. */
static struct octets work_out(const struct rewrite *r, bool whole, bool *proven_r)
{
	static char room[ROOM];
	struct octets want = { .p = room };
	const struct octets *now = &r->now;
	bool head = now->len >= r->new_end && memcmp(now->p, r->before.p, r->cut) == 0;
	bool doomed = head && now->len >= r->before.len;
	for (size_t i = r->new_end; doomed && i < r->before.len; i++)
		doomed = now->p[i] == r->before.p[i] || (i < r->new_end + r->edge && now->p[i] == '\0');
	*proven_r = whole && head && (doomed || memcmp(now->p + r->cut, r->kept.p, r->kept.len) == 0);
	if (whole && doomed) {
		append(&want, r->before.p, r->cut);
		append(&want, r->kept.p, r->kept.len);
		append(&want, now->p + r->before.len, now->len - r->before.len);
	} else {
		append(&want, now->p, now->len);
	}
	return want;
}

/* ---- the journal alone ---- */

static int collect(void *context, const char *p, size_t len, uint64_t at, struct why *why_r)
{
	struct octets *o = context;
	(void)why_r;
	CHECK(at == o->len, "octets at %ju, want %zu", (uintmax_t)at, o->len);
	append(o, p, len);
	return 0;
}

static void check_journal(const struct rewrite *r, int fd, bool whole)
{
	static char buffer[JOURNAL_BUFFER], kept[ROOM], edge[JOURNAL_EDGE_MAX];
	static struct journal opened, *j = &opened;
	struct octets got = { .p = kept };
	char path[PATH_MAX];
	struct why why;
	CHECK(journal_read(j, fd, &why) == 0, "a journal that cannot be read: %s", why.text);
	if (whole) {
		CHECK(j->state == JOURNAL_WHOLE && j->end == r->journal.len, "state %d, %ju of %zu octets", (int)j->state, (uintmax_t)j->end, r->journal.len);
		CHECK(journal_kept(j, buffer, collect, &got, &why) == 0 && got.len == r->kept.len && memcmp(kept, r->kept.p, got.len) == 0, "other octets to keep");
		CHECK(journal_edge(j, 0, r->edge, edge, &why) == 0 && memcmp(edge, r->before.p + r->new_end, r->edge) == 0, "another edge");
		CHECK(journal_path(fd, path) == 0 && strcmp(path, fuzz_path("mbox")) == 0, "another path");
	}
}

/* Any octets as a journal: what is counted is what lies in the file. */
static void check_arbitrary(struct piece octets)
{
	int fd = fuzz_memory_file(octets.p, octets.len);
	static struct journal opened, *j = &opened;
	struct why why;
	CHECK(journal_read(j, fd, &why) == 0, "%s", why.text);
	CHECK(j->end <= octets.len && (j->state == JOURNAL_EMPTY) == (octets.len == 0), "%ju of %zu octets", (uintmax_t)j->end, octets.len);
	(void)close(fd);
}

/* ---- all together ---- */

static void recover(int journal)
{
	struct maildrop_place place = { .format = MAILDROP_MBOX };
	const struct maildrop_options options = { .owner = geteuid(), .journal = journal, .dotlock_helper = -1 };
	struct maildrop *drop = NULL;
	struct why why;
	(void)snprintf(place.path, sizeof place.path, "%s", fuzz_path("mbox"));
	if (maildrop_open(&place, &options, &drop, &why) == 0)
		maildrop_close(&drop);
	else
		CHECK(why.reason == REASON_MAILDROP_BROKEN, "%s", why.text);
}

static void check_files(int fd, int journal, const struct octets *want, size_t kept, bool whole, bool proven)
{
	size_t len;
	char *got = fuzz_file_octets(fd, &len);
	struct stat st;
	CHECK(len == want->len && memcmp(got, want->p, len) == 0, "the mbox has %zu octets, want %zu", len, want->len);
	CHECK(fstat(journal, &st) == 0, "fstat");
	/* Without mail in it there is nothing to set aside. */
	if (proven || !whole || kept == 0)
		CHECK(st.st_size == 0, "the journal has %jd octets yet", (intmax_t)st.st_size);
	else
		CHECK(st.st_size > 0 && journal_is_aside(journal) == 1, "the journal is not set aside");
	free(got);
}

static void check_rewrite(struct rewrite *r, struct input *in)
{
	const unsigned flags = take_octet(in);
	int fd = open(fuzz_path("mbox"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;
	bool whole = true, proven;
	CHECK(fd >= 0 && fstat(fd, &st) == 0, "an mbox");
	if (flags & 1)
		st.st_ino++;
	make_journal(r, &st, flags & 2);
	if (flags & 4) {
		/* Torn: an octet is another one, or the end is missing. */
		const size_t at = (size_t)take_number(in, 2) % r->journal.len;
		if (flags & 8)
			r->journal.len = at;
		else
			r->journal.p[at] ^= 1;
		whole = false;
	}
	make_now(r, in);
	fuzz_set_file(fd, r->now.p, r->now.len);
	int journal = fuzz_memory_file(r->journal.p, r->journal.len);
	check_journal(r, journal, whole);
	struct octets want = work_out(r, whole && !(flags & 1), &proven);
	/* Without octets there is no file to look at, and a first record of two may be whole where the second is torn. */
	const bool first_left = !whole && (flags & 2);
	if (r->now.len > 0 && !first_left) {
		recover(journal);
		check_files(fd, journal, &want, r->kept.len, whole, proven);
	} else {
		recover(journal);
	}
	(void)close(journal);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char room[4][ROOM];
	struct input in = INPUT_OF(data, size);
	struct rewrite r = { .before.p = room[0], .kept.p = room[1], .now.p = room[2], .journal.p = room[3] };
	check_arbitrary((struct piece){ .p = (const char *)data, .len = size });
	const unsigned messages = 1 + take_below(&in, 6);
	for (unsigned i = 0; i < messages; i++) {
		struct piece body = take_line(&in);
		append(&r.before, "From a Thu Jan  1 00:00:00 1970\n\n", 33);
		append(&r.before, body.p, body.len);
		append(&r.before, "\n\n", 2);
	}
	r.seed = take_number(&in, 2);
	r.cut = (size_t)take_number(&in, 2) % r.before.len;
	/* Fewer octets take the place of more. */
	const size_t kept = (size_t)take_number(&in, 2) % (r.before.len - r.cut), from = r.before.len - kept;
	append(&r.kept, r.before.p + from, kept);
	r.new_end = r.cut + kept;
	r.edge = (size_t)take_number(&in, 2) % (r.before.len - r.new_end + 1);
	check_rewrite(&r, &in);
	return 0;
}
