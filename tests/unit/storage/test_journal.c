/*
 * test_journal.c - the content of a journal: torn at every octet, forged, and what fails while it is read or written.
 * Runs in: the tests. Trusts: nothing.
 */
#include "storage/journal.h"

#include <sys/mman.h>

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/journal_record.h"
#include "tests/unit/storage/scratch.h"

enum { KEPT = 300, MORE = 50, EDGE = 40, SIZE = 1000, ROOM = 16384 };

static char kept[KEPT + MORE], edge[EDGE];

static struct journal_plan plan_of(uint64_t length)
{
	return (struct journal_plan){ .dev = 1, .ino = 2, .size = SIZE, .cut = 100, .kept = length, .seed = 77, .edge = EDGE };
}

static void fill(char *octets, size_t len, char first)
{
	for (size_t i = 0; i < len; i++)
		octets[i] = (char)(first + (char)(i % 23));
}

/* Add a record that says `plan`; it must work. */
static void add_record(struct journal *j, struct journal_plan plan, const char *octets, size_t len)
{
	struct why why;
	if (j->end == 0)
		journal_begin(j, "/var/mail/ann", plan.seed);
	CU_ASSERT_FATAL(journal_add(j, octets, len, &why) == 0 && journal_add_edge(j, edge, 1, &why) == 0 && journal_add_edge(j, edge + 1, EDGE - 1, &why) == 0 &&
	                journal_seal(j, &plan, &why) == 0);
}

/* One with two records; the first ends at *first_end_r. */
static int make_journal(uint64_t *first_end_r)
{
	struct journal j;
	struct why why;
	int fd = memfd_create("journal", MFD_CLOEXEC);
	fill(kept, sizeof kept, 'a');
	fill(edge, sizeof edge, 'A');
	CU_ASSERT_FATAL(journal_read(&j, fd, &why) == 0 && j.state == JOURNAL_EMPTY);
	add_record(&j, plan_of(KEPT), kept, KEPT);
	*first_end_r = j.end;
	struct journal_plan more = plan_of(KEPT + MORE);
	more.size += MORE;
	add_record(&j, more, kept + KEPT, MORE);
	return fd;
}

struct taken {
	char octets[KEPT + MORE];
	size_t len;
};

static int take(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	struct taken *t = context;
	(void)why_r;
	CU_ASSERT_FATAL(at == t->len && at + len <= sizeof t->octets);
	memcpy(t->octets + at, octets, len);
	t->len += len;
	return 0;
}

/* Read the journal on fd; how many records are whole, by what is kept. */
static size_t records_in(int fd)
{
	static char buffer[JOURNAL_BUFFER];
	struct journal j;
	struct why why;
	struct taken taken = { .len = 0 };
	if (journal_read(&j, fd, &why) != 0)
		return SIZE_MAX;
	if (j.state != JOURNAL_WHOLE) {
		CU_ASSERT(j.end == 0);
		return 0;
	}
	CU_ASSERT(journal_kept(&j, buffer, take, &taken, &why) == 0);
	CU_ASSERT(taken.len == j.plan.kept && memcmp(taken.octets, kept, taken.len) == 0);
	CU_ASSERT(journal_edge(&j, 0, EDGE, buffer, &why) == 0 && memcmp(buffer, edge, EDGE) == 0);
	CU_ASSERT(journal_edge(&j, EDGE - 2, 2, buffer, &why) == 0 && memcmp(buffer, edge + EDGE - 2, 2) == 0);
	CU_ASSERT(strcmp(j.path, "/var/mail/ann") == 0);
	return taken.len == KEPT ? 1 : 2;
}

/* Cut off behind each octet, and with each octet changed: what counts is what is whole. */
static void test_torn(void)
{
	uint64_t first_end;
	int fd = make_journal(&first_end);
	static char text[ROOM];
	const ssize_t len = pread(fd, text, sizeof text, 0);
	CU_ASSERT_FATAL(len > 0 && (size_t)len < sizeof text && records_in(fd) == 2);
	size_t wrong = 0;
	for (off_t end = 0; end < len; end++) {
		CU_ASSERT_FATAL(ftruncate(fd, end) == 0);
		wrong += records_in(fd) != (end >= (off_t)first_end ? 1 : 0);
		CU_ASSERT_FATAL(pwrite(fd, text, (size_t)len, 0) == len);
	}
	CU_ASSERT(wrong == 0);
	for (off_t at = 0; at < len; at++) {
		const char other = (char)(text[at] ^ 0x20);
		CU_ASSERT_FATAL(pwrite(fd, &other, 1, at) == 1);
		wrong += records_in(fd) != (at >= (off_t)first_end ? 1 : 0);
		CU_ASSERT_FATAL(pwrite(fd, &text[at], 1, at) == 1);
	}
	CU_ASSERT(wrong == 0);
	(void)close(fd);
}

/* What no journal of ours says, with digests that are right. */
static void no_end(struct record *r) { memset(r->path, 'x', sizeof r->path); }
static void cut_behind_the_end(struct record *r) { r->plan.cut = r->plan.size + 1; }
static void keeps_all(struct record *r) { r->plan.kept = r->plan.size - r->plan.cut; }
static void edge_too_long(struct record *r) { r->plan.size = r->plan.cut + r->plan.kept + EDGE - 1; }
static void more_than_kept(struct record *r) { r->plan.kept = r->length - 1; }
static void other_magic(struct record *r) { r->magic[0] = 'P'; }
static void nothing(struct record *r) { (void)r; }

static void test_forged(void)
{
	static const struct {
		const char *label;
		void (*change)(struct record *r);
		size_t want;
	} rows[] = {
		{ "as it was", nothing, 1 }, { "a path without an end", no_end, 0 }, { "a cut behind the end", cut_behind_the_end, 0 },
		{ "nothing to remove", keeps_all, 0 }, { "a long edge", edge_too_long, 0 }, { "more octets than are kept", more_than_kept, 0 },
		{ "another magic", other_magic, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t first_end;
		int fd = make_journal(&first_end);
		CU_ASSERT_FATAL(ftruncate(fd, (off_t)first_end) == 0);
		forge_record(fd, rows[i].change);
		ROW_ASSERT(rows[i].label, records_in(fd) == rows[i].want);
		(void)close(fd);
	}
}

static int stop_here(void *context, const char *octets, size_t len, uint64_t at, struct why *why_r)
{
	(void)context, (void)octets, (void)len, (void)at;
	return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "enough");
}

/* Each thing that is done to a journal, with each of its calls failing: it says so. */
static int read_it(struct journal *j, struct why *why_r) { return journal_read(j, j->fd, why_r); }
static int add_it(struct journal *j, struct why *why_r) { return journal_add(j, kept, MORE, why_r); }
static int seal_it(struct journal *j, struct why *why_r)
{
	struct journal_plan plan = plan_of(KEPT + MORE);
	return journal_add_edge(j, edge, EDGE, why_r) != 0 ? -1 : journal_seal(j, &plan, why_r);
}
static int clear_it(struct journal *j, struct why *why_r) { return journal_clear(j, why_r); }
static int mark_it(struct journal *j, struct why *why_r) { return journal_set_aside(j, why_r); }
static int sync_it(struct journal *j, struct why *why_r)
{
	static char buffer[JOURNAL_BUFFER];
	return journal_sync(j, buffer, why_r);
}
static int hand_out(struct journal *j, struct why *why_r)
{
	static char buffer[JOURNAL_BUFFER];
	struct taken taken = { .len = 0 };
	return journal_kept(j, buffer, take, &taken, why_r);
}
static int get_edge(struct journal *j, struct why *why_r)
{
	char buffer[EDGE];
	return journal_edge(j, 0, sizeof buffer, buffer, why_r);
}

static void test_faults(void)
{
	static const struct {
		const char *label;
		int (*act)(struct journal *j, struct why *why_r);
		enum fault_call call;
		unsigned calls;  /* that it makes */
	} rows[] = {
		{ "read", read_it, FAULT_PREAD, 7 }, { "stat", read_it, FAULT_FSTAT, 1 },
		{ "memory", read_it, FAULT_MALLOC, 1 },
		{ "add", add_it, FAULT_PWRITE, 1 }, { "seal", seal_it, FAULT_PWRITE, 2 }, { "seal, sync", seal_it, FAULT_FSYNC, 1 },
		{ "clear", clear_it, FAULT_FTRUNCATE, 1 }, { "clear, sync", clear_it, FAULT_FSYNC, 1 }, { "mark", mark_it, FAULT_PWRITE, 1 },
		{ "mark, sync", mark_it, FAULT_FSYNC, 1 }, { "sync", sync_it, FAULT_FSYNC, 1 }, { "write anew", sync_it, FAULT_PWRITE, 1 },
		{ "read to write anew", sync_it, FAULT_PREAD, 1 }, { "hand out", hand_out, FAULT_PREAD, 4 },
		{ "edge", get_edge, FAULT_PREAD, 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned at = 0;
		int r = faults_can(rows[i].call) ? -1 : 0;
		if (r == 0)
			continue;
		while (r != 0 && at++ < 20) {
			uint64_t first_end;
			struct journal j;
			struct why why = { .reason = REASON_NONE };
			int fd = make_journal(&first_end);
			CU_ASSERT_FATAL(journal_read(&j, fd, &why) == 0);
			faults_set(rows[i].call, at, EIO, 0);
			r = rows[i].act(&j, &why);
			faults_clear();
			ROW_ASSERT(rows[i].label, r == 0 || (r == -1 && why.reason != REASON_NONE));
			(void)close(fd);
		}
		ROW_ASSERT(rows[i].label, at == rows[i].calls + 1);
	}
}

static void test_small(void)
{
	static char buffer[JOURNAL_BUFFER];
	char path[PATH_MAX];
	uint64_t first_end;
	struct journal j;
	struct why why;
	int fd = make_journal(&first_end);
	CU_ASSERT(journal_read(&j, -1, &why) == 0 && j.state == JOURNAL_EMPTY);
	CU_ASSERT(journal_read(&j, fd, &why) == 0 && journal_kept(&j, buffer, stop_here, NULL, &why) == -1);
	CU_ASSERT(why.reason == REASON_NO_MEMORY);
	CU_ASSERT(journal_path(fd, path) == 0 && strcmp(path, "/var/mail/ann") == 0);
	CU_ASSERT(journal_is_aside(fd) == 0 && journal_set_aside(&j, &why) == 0 && journal_is_aside(fd) == 1);
	CU_ASSERT(journal_path(fd, path) == 0);
	/* One that is marked is whole all the same: its mail can be put back. */
	CU_ASSERT(journal_read(&j, fd, &why) == 0 && j.state == JOURNAL_SET_ASIDE && j.plan.kept == KEPT + MORE);
	faults_set(FAULT_PREAD, 1, EIO, 0);
	CU_ASSERT(journal_is_aside(fd) == -1 && errno == EIO);
	faults_clear();
	/* Cut short behind our back. */
	CU_ASSERT(ftruncate(fd, (off_t)first_end - EDGE - 1) == 0 && journal_kept(&j, buffer, take, &(struct taken){ .len = 0 }, &why) == -1);
	CU_ASSERT(journal_edge(&j, 0, EDGE, buffer, &why) == -1);
	CU_ASSERT(ftruncate(fd, 4) == 0 && journal_path(fd, path) == -1 && journal_is_aside(fd) == 0);
	CU_ASSERT(ftruncate(fd, sizeof(struct record)) == 0 && journal_path(fd, path) == -1);
	(void)close(fd);
}

#define TESTS(X) X(test_torn) X(test_forged) X(test_faults) X(test_small)
SUITE("journal")
