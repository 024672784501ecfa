/*
 * test_history.c - daemon/history.h: rings that wrap, survive restarts and foreign content, and references that do not repeat.
 * Runs in: the tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/recorder_link.h"
#include "tests/unit/suite.h"

enum { ANY = 1u << HISTORY_GUESS | 1u << HISTORY_FAILURE | 1u << HISTORY_SESSION, FOUND_MAX = 256, REFS = 100000 };

static char directory[64];
static const char *path;

static void begin(void)
{
	(void)snprintf(directory, sizeof directory, "/tmp/postern-history-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
}

static void end(void)
{
	static const char *const names[] = { "guesses", "failures", "sessions" };
	char name[128];
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(directory);
}

static struct history_record record_of(enum history_kind kind, int64_t when, const char *user)
{
	struct history_record r;
	memset(&r, 0, sizeof r);
	r.format = HISTORY_FORMAT;
	r.kind = kind;
	r.when_ms = when;
	r.uid = HISTORY_NOBODY;
	(void)snprintf(r.user, sizeof r.user, "%s", user);
	return r;
}

static void add(struct history *h, enum history_kind kind, int64_t when)
{
	const struct history_record r = record_of(kind, when, "ann");
	history_add(h, &r);
}

/* What was found: the times, in order. */
struct found { int64_t list[FOUND_MAX]; size_t count, most; };

static int note(void *context, const struct history_record *record)
{
	struct found *f = context;
	if (f->count < FOUND_MAX)
		f->list[f->count++] = record->when_ms;
	return f->count == f->most;
}

static struct found find(const struct history *h, const struct history_query *query)
{
	struct found f = { .count = 0 };
	history_find(h, query, note, &f);
	return f;
}

static struct found find_all(const struct history *h, uint32_t kinds)
{
	return find(h, &(struct history_query){ .format = HISTORY_FORMAT, .kinds = kinds, .uid = HISTORY_NOBODY });
}

/* Are these the times first, first + 1 ... last? */
static bool is_run(const struct found *f, int64_t first, int64_t last)
{
	bool same = (int64_t)f->count == last - first + 1;
	for (size_t i = 0; i < f->count; i++)
		same = same && f->list[i] == first + (int64_t)i;
	return same;
}

/* ---- rings ---- */

static void test_wraps(void)
{
	static const uint64_t rooms[] = { 1, 2, 15, 16, 17, 33 };
	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
		for (int64_t count = 0; count < 70; count++) {
			struct history h;
			char label[48];
			(void)snprintf(label, sizeof label, "room %ju, %jd written", (uintmax_t)rooms[i], (intmax_t)count);
			begin();
			CU_ASSERT(history_open(&h, directory, rooms[i], true, &path) == 0);
			for (int64_t n = 0; n < count; n++)
				add(&h, HISTORY_FAILURE, n);
			const struct found f = find_all(&h, ANY);
			ROW_ASSERT(label, is_run(&f, count > (int64_t)rooms[i] ? count - (int64_t)rooms[i] : 0, count - 1));
			history_close(&h);
			end();
		}
}

static void test_restart_goes_on(void)
{
	struct history h;
	begin();
	for (int64_t n = 0; n < 40; n++) {
		CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
		add(&h, HISTORY_SESSION, n);
		history_close(&h);
	}
	/* Whoever only reads takes the size from the file. */
	CU_ASSERT(history_open(&h, directory, 0, false, &path) == 0);
	const struct found f = find_all(&h, ANY);
	CU_ASSERT(is_run(&f, 24, 39));
	history_close(&h);
	end();
}

/* A recorder that was killed: the next one goes on with the descriptors that its parent opened. */
static void test_resume(void)
{
	struct history parent, recorder;
	begin();
	CU_ASSERT(history_open(&parent, directory, 16, true, &path) == 0);
	recorder = parent;
	for (int64_t n = 0; n < 20; n++)
		add(&recorder, HISTORY_FAILURE, n);
	const uint32_t before = history_take_ref(&recorder);
	recorder = parent;
	history_resume(&recorder);
	add(&recorder, HISTORY_FAILURE, 20);
	CU_ASSERT(history_take_ref(&recorder) != before);
	const struct found f = find_all(&parent, ANY);
	CU_ASSERT(is_run(&f, 5, 20));
	history_close(&parent);
	end();
}

static void test_kinds_are_apart(void)
{
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	add(&h, HISTORY_FAILURE, 1);
	add(&h, HISTORY_SESSION, 2);
	for (int64_t n = 0; n < 100; n++)
		add(&h, HISTORY_GUESS, 1000 + n);
	struct found f = find_all(&h, 1u << HISTORY_FAILURE);
	CU_ASSERT(is_run(&f, 1, 1));
	f = find_all(&h, 1u << HISTORY_SESSION);
	CU_ASSERT(is_run(&f, 2, 2));
	f = find_all(&h, 1u << HISTORY_GUESS);
	CU_ASSERT(is_run(&f, 1084, 1099));
	CU_ASSERT_EQUAL(find_all(&h, ANY).count, 18);
	history_close(&h);
	end();
}

static void test_another_size_begins_anew(void)
{
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	add(&h, HISTORY_FAILURE, 1);
	const uint32_t before = history_take_ref(&h);
	history_close(&h);
	CU_ASSERT(history_open(&h, directory, 32, true, &path) == 0);
	CU_ASSERT_EQUAL(find_all(&h, ANY).count, 0);
	for (int i = 0; i < 10000; i++)
		CU_ASSERT(history_take_ref(&h) != before);
	history_close(&h);
	end();
}

/* ---- content that is not ours ---- */

static int open_file(const char *name)
{
	char file[128];
	(void)snprintf(file, sizeof file, "%s/%s", directory, name);
	return open(file, O_RDWR | O_CLOEXEC);
}

/* Change the record in slot 2 of five, and see which are found. */
static void test_what_is_not_whole_is_passed_over(void)
{
	static const struct { const char *label; size_t offset, len; unsigned char fill; } rows[] = {
		{ "another format", offsetof(struct history_record, format), 4, 0x77 },
		{ "zeros", 0, HISTORY_RECORD, 0 }, { "ones", 0, HISTORY_RECORD, 0xff },
		{ "another kind", offsetof(struct history_record, kind), 1, HISTORY_SESSION },
		{ "a user without end", offsetof(struct history_record, user), sizeof ((struct history_record *)0)->user, 'a' },
		{ "a text without end", offsetof(struct history_record, text), sizeof ((struct history_record *)0)->text, 'a' },
		{ "a told without end", offsetof(struct history_record, told), sizeof ((struct history_record *)0)->told, 'a' },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned char octets[HISTORY_RECORD];
		struct history h;
		begin();
		CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
		for (int64_t n = 0; n < 5; n++)
			add(&h, HISTORY_FAILURE, n);
		memset(octets, rows[i].fill, sizeof octets);
		int fd = open_file("failures");
		CU_ASSERT(pwrite(fd, octets, rows[i].len, (off_t)(3 * HISTORY_RECORD + rows[i].offset)) == (ssize_t)rows[i].len);
		(void)close(fd);
		const struct found f = find_all(&h, ANY);
		ROW_ASSERT(rows[i].label, f.count == 4 && f.list[1] == 1 && f.list[2] == 3);
		history_close(&h);
		end();
	}
}

/* The end of the file is gone, and with it the older records of a ring that has wrapped; the newer ones are there. */
static void test_cut_off(void)
{
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 40, true, &path) == 0);
	for (int64_t n = 0; n < 50; n++)
		add(&h, HISTORY_FAILURE, n);
	int fd = open_file("failures");
	CU_ASSERT(ftruncate(fd, 31 * HISTORY_RECORD + 100) == 0);
	(void)close(fd);
	/* Slots 0 to 9 hold 40 to 49, slots 10 to 29 hold 10 to 29. */
	const struct found f = find_all(&h, ANY);
	CU_ASSERT_EQUAL(f.count, 30);
	CU_ASSERT(f.count == 30 && f.list[0] == 10 && f.list[29] == 49);
	history_close(&h);
	end();
}

/* A head that claims four billion records and as many times round: what is there is found, and soon. */
static void test_huge_head(void)
{
	const uint64_t claims[2] = { UINT32_MAX, UINT32_MAX * 7ull + 3 };
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	for (int64_t n = 0; n < 3; n++)
		add(&h, HISTORY_FAILURE, n);
	int fd = open_file("failures");
	CU_ASSERT(pwrite(fd, claims, sizeof claims, 2 * sizeof(uint32_t)) == (ssize_t)sizeof claims);
	(void)close(fd);
	(void)alarm(20);
	const struct found f = find_all(&h, ANY);
	(void)alarm(0);
	CU_ASSERT(is_run(&f, 0, 2));
	history_close(&h);
	end();
}

static void test_foreign_file(void)
{
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	history_close(&h);
	int fd = open_file("sessions");
	CU_ASSERT(pwrite(fd, "#!/bin/sh\n", 10, 0) == 10);
	(void)close(fd);
	CU_ASSERT(history_open(&h, directory, 0, false, &path) != 0 && errno == EINVAL);
	CU_ASSERT(strstr(path, "/sessions") != NULL);
	history_close(&h);
	/* The server makes it anew. */
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	add(&h, HISTORY_SESSION, 7);
	const struct found f = find_all(&h, ANY);
	CU_ASSERT(is_run(&f, 7, 7));
	history_close(&h);
	end();
}

static void test_links_are_not_followed(void)
{
	struct history h;
	char name[128];
	begin();
	(void)snprintf(name, sizeof name, "%s/guesses", directory);
	CU_ASSERT(symlink("/dev/null", name) == 0);
	CU_ASSERT(history_open(&h, directory, 16, true, &path) != 0 && errno == ELOOP);
	history_close(&h);
	end();
}

static void test_nothing_there(void)
{
	struct history h;
	CU_ASSERT(history_open(&h, "/nonexistent", 0, false, &path) != 0 && errno == ENOENT);
	add(&h, HISTORY_FAILURE, 1);
	CU_ASSERT_EQUAL(find_all(&h, ANY).count, 0);
	history_close(&h);
}

/* Nobody but root reads what went wrong for others. */
static void test_modes(void)
{
	struct history h;
	struct stat st;
	char name[128];
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	(void)snprintf(name, sizeof name, "%s/failures", directory);
	CU_ASSERT(stat(name, &st) == 0 && (st.st_mode & 0777) == 0600);
	history_close(&h);
	end();
}

/* ---- references ---- */

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Over restarts, some of them without a close, and with all but one of the files lost. */
static void test_references_are_unique(void)
{
	static uint32_t refs[REFS];
	static const char *const lost[] = { NULL, "guesses", "failures", "sessions" };
	struct history h = NO_HISTORY, crashed[8];
	size_t crashes = 0;
	char name[128];
	begin();
	for (size_t i = 0; i < REFS; i++) {
		if (i % (REFS / 8) == 0) {
			const size_t round = i / (REFS / 8);
			crashed[crashes++] = h;
			if (lost[round % 4] != NULL) {
				(void)snprintf(name, sizeof name, "%s/%s", directory, lost[round % 4]);
				(void)unlink(name);
			}
			CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
		}
		refs[i] = history_take_ref(&h);
	}
	qsort(refs, REFS, sizeof *refs, by_value);
	unsigned repeated = refs[0] == REF_NONE;
	for (size_t i = 1; i < REFS; i++)
		repeated += refs[i] == refs[i - 1];
	CU_ASSERT_EQUAL(repeated, 0);
	history_close(&h);
	for (size_t i = 0; i < crashes; i++)
		history_close(&crashed[i]);
	end();
}

/* Who takes less than a whole one spoils none that others get: each can be typed, and then is the one that was kept. */
static void test_part_of_a_reference(void)
{
	enum { READY = 1000 };
	char part[3], text[REF_TEXT_MAX];
	uint32_t refs[READY];
	int pipes[2];
	for (size_t taken = 0; taken <= sizeof part; taken++) {
		CU_ASSERT_FATAL(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
		for (size_t i = 0; i < READY; i++)
			refs[i] = ref_of_failure(i, 7);
		CU_ASSERT(write(pipes[1], refs, sizeof refs) == (ssize_t)sizeof refs);
		CU_ASSERT(taken == 0 || read(pipes[0], part, taken) == (ssize_t)taken);
		const struct recorder_link link = { .records = -1, .refs = pipes[0] };
		recorder_connect(&link);
		unsigned spoilt = 0;
		for (size_t i = 0; i < READY / 4; i++) {
			const uint32_t ref = recorder_take_ref();
			spoilt += ref == REF_NONE || ref >= REF_FAILURES || ref_parse(ref_text(ref, text)) != ref;
			CU_ASSERT(taken > 0 || ref == refs[i]);
		}
		CU_ASSERT_EQUAL(spoilt, 0);
		recorder_connect(&NO_RECORDER);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
	}
}

/* ---- queries ---- */

static void test_queries(void)
{
	static const struct {
		const char *label;
		struct history_query query;
		size_t want;
	} rows[] = {
		{ "all", { .kinds = ANY, .uid = HISTORY_NOBODY }, 6 },
		{ "no kind", { .kinds = 0, .uid = HISTORY_NOBODY }, 0 },
		{ "a reference", { .kinds = ANY, .uid = HISTORY_NOBODY, .ref = 1002 }, 1 },
		{ "no such reference", { .kinds = ANY, .uid = HISTORY_NOBODY, .ref = 5 }, 0 },
		{ "since", { .kinds = ANY, .uid = HISTORY_NOBODY, .since_ms = 104 }, 2 },
		{ "a uid", { .kinds = ANY, .uid = 20001 }, 3 },
		{ "a user", { .kinds = ANY, .uid = HISTORY_NOBODY, .user = "bob" }, 3 },
		{ "a user of another uid", { .kinds = ANY, .uid = 20001, .user = "bob" }, 0 },
		{ "the beginning of a name", { .kinds = ANY, .uid = HISTORY_NOBODY, .user = "bo" }, 0 },
		{ "one kind", { .kinds = 1u << HISTORY_FAILURE, .uid = HISTORY_NOBODY }, 6 },
	};
	struct history h;
	begin();
	CU_ASSERT(history_open(&h, directory, 16, true, &path) == 0);
	for (int i = 0; i < 6; i++) {
		struct history_record r = record_of(HISTORY_FAILURE, 100 + i, i % 2 ? "bob" : "ann");
		r.uid = i % 2 ? 20002 : 20001;
		r.ref = 1000 + (uint32_t)i;
		history_add(&h, &r);
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ROW_ASSERT(rows[i].label, find(&h, &rows[i].query).count == rows[i].want);
	struct found f = { .most = 2 };
	history_find(&h, &rows[0].query, note, &f);
	CU_ASSERT_EQUAL(f.count, 2);
	history_close(&h);
	end();
}

#define TESTS(X) X(test_wraps) X(test_restart_goes_on) X(test_resume) X(test_kinds_are_apart) X(test_another_size_begins_anew) \
	X(test_what_is_not_whole_is_passed_over) X(test_cut_off) X(test_huge_head) X(test_foreign_file) X(test_links_are_not_followed) X(test_nothing_there) \
	X(test_modes) X(test_references_are_unique) X(test_part_of_a_reference) X(test_queries)
SUITE("history")
