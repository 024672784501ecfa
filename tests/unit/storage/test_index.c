/*
 * test_index.c - the index of a maildrop: what is believed, what is damaged, what cannot be written.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "storage/index.h"
#include "tests/unit/storage/index_scratch.h"

enum {
	MANY = 513,                 /* so many files are not looked at one by one */
	LARGE_MESSAGE = 70 * 1024,  /* not part of a sample */
};

static struct maildrop *with_index(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = open_indexed(format, name, true, &why);
	if (drop == NULL)
		(void)fprintf(stderr, "row \"%s\": %s\n", label, why.text);
	CU_ASSERT_FATAL(drop != NULL);
	return drop;
}

static void begin(void)
{
	faults_clear();
	faults_clock_ms = CLOCK_AHEAD * 1000;
	scratch_open();
	index_reopen();
}

static void end(void)
{
	index_close();
	scratch_close();
	faults_clock_ms = 0;
}

static void make_maildir(unsigned count)
{
	char name[64];
	make_dir("M");
	make_dir("M/new");
	make_dir("M/cur");
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(name, sizeof name, "M/cur/%u.M%uP.host:2,S", 1000 + i, i);
		put(name, "Subject: a\n\ntext\n");
	}
	tick();
}

/* Calls that read the maildrop, in a login with the index. */
static unsigned calls_of(enum fault_call call, enum maildrop_format format, const char *name)
{
	faults_clear();
	struct maildrop *drop = with_index("calls", format, name);
	const unsigned calls = faults[call].calls;
	maildrop_close(&drop);
	return calls;
}

/* ---- what is read ---- */

static void test_maildir_costs(void)
{
	begin();
	make_maildir(3);
	/* Stamps that a change could hide behind: they are of just now. */
	faults_clock_ms = 0;
	ROW_ASSERT("first", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 3);
	ROW_ASSERT("fresh: listed again", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	ROW_ASSERT("fresh: not read again", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 0);
	faults_clock_ms = CLOCK_AHEAD * 1000;
	ROW_ASSERT("old by now: a last listing", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	ROW_ASSERT("unchanged: nothing is listed", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") == 0);
	ROW_ASSERT("unchanged: nothing is opened", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 0);
	put("M/new/2000.new.host", "Subject: new\n\n");
	tick();
	ROW_ASSERT("one new: it alone is read", calls_of(FAULT_READ, MAILDROP_MAILDIR, "M") == 1);
	ROW_ASSERT("unchanged again", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") == 0);
	/* A clock that went back: stamps of later changes may be those of earlier ones. */
	faults_clock_ms = 30000;
	ROW_ASSERT("clock back", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	end();
}

static void put_mbox(unsigned messages, size_t size)
{
	static char text[LARGE_MESSAGE + 256];
	static unsigned made;
	made = exists("mbox") ? made : 0;
	for (unsigned n = 0, i = made; n < messages; n++, i = ++made) {
		size_t len = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\nSubject: %u\nStatus: O \n\n", i);
		while (len < size)
			len += (size_t)snprintf(text + len, sizeof text - len, "%063u\n", i);
		(void)snprintf(text + len, sizeof text - len, "\n");
		write_file("mbox", text, strlen(text), O_APPEND);
	}
	tick();
}

static void test_mbox_costs(void)
{
	begin();
	put_mbox(200, 4096);
	const unsigned all = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	const unsigned none = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("unchanged: only the index is read", none <= 3 && all >= 6);
	put_mbox(1, 4096);
	const unsigned sample = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("one new: a sample, and the end", sample > none + 40 && sample < none + 60);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MBOX, "mbox"));
	struct maildrop *drop = with_index("UPDATE", MAILDROP_MBOX, "mbox");
	update_well("UPDATE", drop, "x.x");
	maildrop_close(&drop);
	ROW_ASSERT("after UPDATE: only the index is read", calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox") <= 3);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MBOX, "mbox"));
	end();
	/* Stamps that a change could hide behind, and little to read. */
	begin();
	faults_clock_ms = 0;
	put_mbox(3, 300);
	(void)calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	const unsigned fresh = calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	faults_clock_ms = CLOCK_AHEAD * 1000;
	(void)calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox");
	ROW_ASSERT("fresh: read again", fresh > calls_of(FAULT_PREAD, MAILDROP_MBOX, "mbox"));
	end();
}

/* ---- what another program did unseen ---- */

static void change_in_place(const char *name, const char *what, const char *with)
{
	struct stat st;
	size_t len;
	char *text = get(name, &len);
	CU_ASSERT_FATAL(text != NULL && strlen(what) == strlen(with));
	char *p = memmem(text, len, what, strlen(what));
	int fd = open(in_scratch(name), O_WRONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(p != NULL && fd >= 0 && fstat(fd, &st) == 0);
	CU_ASSERT(pwrite(fd, with, strlen(with), p - text) == (ssize_t)strlen(with));
	CU_ASSERT(futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) == 0);
	(void)close(fd);
	free(text);
}

/* In a large Maildir neither directory nor list shows it; FETCH and UPDATE do. */
static void test_maildir_in_place(void)
{
	static const struct {
		const char *label, *what, *with;
		enum reason want;
	} rows[] = {
		{ "the same", "text", "text", REASON_NONE },
		{ "other text", "text", "TEXT", REASON_MESSAGE_CHANGED },
		{ "a line more", "text", "te\nt", REASON_MESSAGE_CHANGED },
	};
	static const char name[] = "M/cur/1001.M1P.host:2,S";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int errors[2];
		struct why why;
		begin();
		make_maildir(MANY);
		struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
		maildrop_close(&drop);
		change_in_place(name, rows[i].what, rows[i].with);
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		(void)update(drop, ".x", errors, &why);
		ROW_ASSERT(rows[i].label, errors[1] == (rows[i].want == REASON_NONE ? 0 : ESTALE) && exists(name) == (errors[1] != 0));
		maildrop_close(&drop);
		put(name, "Subject: a\n\ntext\n");
		ROW_ASSERT(rows[i].label, lists_agree("put back", MAILDROP_MAILDIR, "M"));
		tick();
		change_in_place(name, rows[i].what, rows[i].with);
		drop = with_index(rows[i].label, MAILDROP_MAILDIR, "M");
		ROW_ASSERT(rows[i].label, fetch_reason(drop, 0) == REASON_NONE);
		ROW_ASSERT(rows[i].label, fetch_reason(drop, 1) == rows[i].want);
		maildrop_close(&drop);
		/* It was noticed, so the next login looks. */
		ROW_ASSERT(rows[i].label, lists_agree(rows[i].label, MAILDROP_MAILDIR, "M"));
		end();
	}
}

/* A rename by another program changes the ctime only. */
static void test_maildir_flags(void)
{
	begin();
	make_maildir(MANY);
	struct maildrop *drop = with_index("first", MAILDROP_MAILDIR, "M");
	maildrop_close(&drop);
	CU_ASSERT(rename(in_scratch("M/cur/1001.M1P.host:2,S"), in_scratch("M/cur/1001.M1P.host:2,RS")) == 0);
	drop = with_index("renamed between two logins", MAILDROP_MAILDIR, "M");
	CU_ASSERT(rename(in_scratch("M/cur/1002.M2P.host:2,S"), in_scratch("M/cur/1002.M2P.host:2,RS")) == 0);
	expect_message("renamed before", drop, 1, "Subject: a\r\n\r\ntext\r\n");
	expect_message("renamed in the session", drop, 2, "Subject: a\r\n\r\ntext\r\n");
	CU_ASSERT(rename(in_scratch("M/cur/1003.M3P.host:2,S"), in_scratch("M/cur/1003.M3P.host:2,RS")) == 0);
	update_well("renamed", drop, ".xxx");
	CU_ASSERT(!exists("M/cur/1001.M1P.host:2,RS") && !exists("M/cur/1002.M2P.host:2,RS") && !exists("M/cur/1003.M3P.host:2,RS"));
	maildrop_close(&drop);
	ROW_ASSERT("agree", lists_agree("agree", MAILDROP_MAILDIR, "M"));
	end();
}

/* A message that no sample looks at is changed, and another appended. */
static void test_mbox_in_place(void)
{
	static const struct {
		const char *label, *what, *with;
		enum reason want;
	} rows[] = {
		{ "nothing", "Subject: 1", "Subject: 1", REASON_NONE },
		{ "a flag", "Subject: 1\nStatus: O ", "Subject: 1\nStatus: RO", REASON_NONE },
		{ "the text", "00001\n", "00002\n", REASON_MESSAGE_CHANGED },
		{ "a flag, and the size on the wire", "Subject: 1\nStatus: O \n", "Subject: 1\nStatus:\n O\n", REASON_MESSAGE_CHANGED },
		{ "the size on the wire", "00001\n00000", "00001000000", REASON_MESSAGE_CHANGED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int updating = 0; updating < 2; updating++) {
			int errors[5];
			struct why why;
			begin();
			put_mbox(5, LARGE_MESSAGE);
			struct maildrop *drop = with_index("first", MAILDROP_MBOX, "mbox");
			maildrop_close(&drop);
			change_in_place("mbox", rows[i].what, rows[i].with);
			put_mbox(1, 100);
			faults_clear();
			drop = with_index(rows[i].label, MAILDROP_MBOX, "mbox");
			ROW_ASSERT("believed", faults[FAULT_PREAD].calls < 16 && count_of(drop) == 6);
			if (updating) {
				int r = update(drop, "x.x..", errors, &why);
				ROW_ASSERT(rows[i].label, (r == 0) == (rows[i].want == REASON_NONE));
			} else {
				ROW_ASSERT(rows[i].label, fetch_reason(drop, 1) == rows[i].want);
				ROW_ASSERT(rows[i].label, fetch_reason(drop, 4) == REASON_NONE);
			}
			maildrop_close(&drop);
			ROW_ASSERT(rows[i].label, lists_agree(rows[i].label, MAILDROP_MBOX, "mbox"));
			end();
		}
	}
}

/* A number that pointed behind the end comes true: then all behind that header is one message. */
static void test_mbox_length(void)
{
	static char text[400 * 1024];
	begin();
	put_mbox(3, LARGE_MESSAGE);
	put_mbox(1, LARGE_MESSAGE);
	size_t len;
	char *was = get("mbox", &len);
	CU_ASSERT_FATAL(was != NULL);
	const size_t header = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\nContent-Length: %zu\n\n", len + 5000);
	memcpy(text + header, was, len);
	put_octets("mbox", text, header + len);
	free(was);
	tick();
	struct maildrop *drop = with_index("first", MAILDROP_MBOX, "mbox");
	CU_ASSERT(count_of(drop) == 5);
	maildrop_close(&drop);
	const size_t from = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:00 1970\n\n");
	memset(text + from, 'x', 4999 - from);
	text[4999] = '\n';
	write_file("mbox", text, 5000, O_APPEND);
	ROW_ASSERT("it came true", lists_agree("it came true", MAILDROP_MBOX, "mbox"));
	end();
}

/* ---- unique-ids ---- */

static void expect_uidl(const char *label, struct maildrop *drop, size_t idx, const char *end)
{
	const char *uidl = record_of(drop, idx)->uidl;
	ROW_TEXT(label, strlen(uidl) >= 32 ? uidl + 32 : uidl, end);
}

/* Messages that are equal keep the number that they have, whatever is deleted before them. */
static void test_copies(void)
{
	static const char text[] = "From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\ntext\n\n";
	for (int large = 0; large < 2; large++) {
		begin();
		if (large)
			put_mbox(60, 5000);
		const size_t first = large ? 60 : 0;
		for (int i = 0; i < 3; i++)
			append("mbox", text);
		tick();
		struct maildrop *drop = with_index("three", MAILDROP_MBOX, "mbox");
		expect_uidl("the second", drop, first + 1, "-2");
		char marks[80] = "";
		memset(marks, '.', first);
		(void)strcat(marks, "x");
		faults_clock_ms = 0;
		update_well("the first goes", drop, marks);
		maildrop_close(&drop);
		faults_clock_ms = CLOCK_AHEAD * 1000;
		drop = with_index("two", MAILDROP_MBOX, "mbox");
		CU_ASSERT(count_of(drop) == first + 2);
		expect_uidl("the second keeps its own", drop, first, "-2");
		expect_uidl("and the third", drop, first + 1, "-3");
		maildrop_close(&drop);
		append("mbox", text);
		drop = with_index("a fourth", MAILDROP_MBOX, "mbox");
		expect_uidl("a fourth gets another", drop, first + 2, "-4");
		maildrop_close(&drop);
		end();
	}
}

/* ---- damage ---- */

static void for_each_damage(enum maildrop_format format, const char *name)
{
	struct stat st;
	char label[64];
	struct maildrop *drop = with_index("whole", format, name);
	char *want = list_text(drop);
	maildrop_close(&drop);
	CU_ASSERT_FATAL(stat(in_scratch("index"), &st) == 0);
	size_t len;
	char *whole = get("index", &len);
	for (size_t i = 0; i < len; i = i == sizeof(struct index_head) ? INDEX_AREA : i + 1) {
		const char flipped = (char)(whole[i] ^ (1 << (i % 8)));
		(void)snprintf(label, sizeof label, "octet %zu", i);
		put_octets("index", whole, len);
		CU_ASSERT(pwrite(index_files.write_fd, &flipped, 1, (off_t)i) == 1);
		drop = with_index(label, format, name);
		char *got = list_text(drop);
		ROW_TEXT(label, got, want);
		free(got);
		maildrop_close(&drop);
		put_octets("index", whole, i);
		(void)snprintf(label, sizeof label, "cut at %zu", i);
		drop = with_index(label, format, name);
		got = list_text(drop);
		ROW_TEXT(label, got, want);
		free(got);
		maildrop_close(&drop);
	}
	free(want);
	free(whole);
}

static void test_damage(void)
{
	begin();
	make_maildir(3);
	put("M/new/1.same.host", "a\n");
	put("M/cur/1.same.host:2,", "b\n");
	for_each_damage(MAILDROP_MAILDIR, "M");
	end();
	begin();
	put_mbox(3, 300);
	for_each_damage(MAILDROP_MBOX, "mbox");
	end();
}

/* One that is mapped: some octets of each record in the middle. */
static void test_damage_mapped(void)
{
	begin();
	put_mbox(1500, 300);
	ROW_ASSERT("whole", lists_agree("whole", MAILDROP_MBOX, "mbox"));
	size_t len;
	char *whole = get("index", &len);
	CU_ASSERT_FATAL(len > INDEX_AREA + INDEX_MAP_MIN);
	for (size_t at = INDEX_AREA + 40000; at < INDEX_AREA + 40000 + 2 * 56; at++) {
		const char flipped = (char)(whole[at] ^ 1);
		put_octets("index", whole, len);
		CU_ASSERT(pwrite(index_files.write_fd, &flipped, 1, (off_t)at) == 1);
		ROW_ASSERT("damaged", lists_agree("damaged", MAILDROP_MBOX, "mbox"));
	}
	free(whole);
	end();
}

/* The head says that a scan was not quiet: no flipped bit may make it so. */
static void test_damaged_head(void)
{
	size_t len;
	begin();
	make_maildir(3);
	faults_clock_ms = 0;
	struct maildrop *drop = with_index("fresh", MAILDROP_MAILDIR, "M");
	maildrop_close(&drop);
	char *whole = get("index", &len);
	faults_clock_ms = CLOCK_AHEAD * 1000;
	for (size_t at = offsetof(struct index_head, state); at < offsetof(struct index_head, reserved); at++) {
		const char flipped = (char)(whole[at] ^ 1);
		put_octets("index", whole, len);
		CU_ASSERT(pwrite(index_files.write_fd, &flipped, 1, (off_t)at) == 1);
		ROW_ASSERT("listed", calls_of(FAULT_GETDENTS, MAILDROP_MAILDIR, "M") > 0);
	}
	free(whole);
	end();
}

/* ---- failures ---- */

/* A login goes on whatever fails at the index; what fails at the maildrop is its own. */
static void fail_at_each(enum maildrop_format format, const char *name, void (*change)(void))
{
	static const struct {
		const char *label;
		enum fault_call call;
		int error, lasting;
	} rows[] = {
		{ "disk full", FAULT_PWRITE, ENOSPC, 1 }, { "disk full once", FAULT_PWRITE, ENOSPC, 0 }, { "I/O error", FAULT_PWRITE, EIO, 1 },
		{ "short write", FAULT_PWRITE, 0, 0 }, { "interrupted", FAULT_PWRITE, EINTR, 0 }, { "short read", FAULT_PREAD, 0, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (unsigned n = 1; n < 12; n++) {
			struct why why;
			char label[64];
			(void)snprintf(label, sizeof label, "%s at call %u", rows[i].label, n);
			change();
			struct maildrop *without = open_indexed(format, name, false, &why);
			faults_set(rows[i].call, n, rows[i].error, rows[i].lasting);
			struct maildrop *drop = open_indexed(format, name, true, &why);
			faults_clear();
			CU_ASSERT_FATAL(drop != NULL && without != NULL);
			char *got = list_text(drop), *want = list_text(without);
			ROW_TEXT(label, got, want);
			free(got);
			free(want);
			maildrop_close(&drop);
			maildrop_close(&without);
			ROW_ASSERT(label, lists_agree(label, format, name));
		}
	}
}

/* Without memory a login fails, or sees what it should; and a session after it does. */
static void starve_at_each(enum maildrop_format format, const char *name, void (*change)(void))
{
	if (!faults_can(FAULT_MALLOC)) {
		printf("starve_at_each: malloc(3) cannot be made to fail here\n");
		return;
	}
	for (unsigned n = 1; n < 24; n++) {
		struct why why;
		char label[64];
		(void)snprintf(label, sizeof label, "no memory at call %u", n);
		change();
		struct maildrop *without = open_indexed(format, name, false, &why);
		faults_set(FAULT_MALLOC, n, ENOMEM, 0);
		struct maildrop *drop = open_indexed(format, name, true, &why);
		faults_clear();
		CU_ASSERT_FATAL(without != NULL);
		ROW_ASSERT(label, drop != NULL || why.reason == REASON_NO_MEMORY);
		char *got = drop != NULL ? list_text(drop) : NULL, *want = list_text(without);
		if (got != NULL)
			ROW_TEXT(label, got, want);
		free(got);
		free(want);
		for (unsigned at = 1; drop != NULL && at < 6; at++) {
			faults_set(FAULT_MALLOC, at, ENOMEM, 0);
			const enum reason reason = fetch_reason(drop, 0);
			faults_clear();
			ROW_ASSERT(label, reason == REASON_NONE || reason == REASON_NO_MEMORY);
			ROW_ASSERT(label, fetch_reason(drop, 0) == REASON_NONE);
		}
		maildrop_close(&drop);
		maildrop_close(&without);
		ROW_ASSERT(label, lists_agree(label, format, name));
	}
}

static void another_file(void)
{
	static unsigned n;
	char name[64];
	(void)snprintf(name, sizeof name, "M/cur/%u.N.host:2,", 3000 + n++);
	put(name, "Subject: n\n\n");
	tick();
}

static void another_message(void)
{
	put_mbox(1, 300);
}

static void test_failures(void)
{
	begin();
	make_maildir(3);
	fail_at_each(MAILDROP_MAILDIR, "M", another_file);
	starve_at_each(MAILDROP_MAILDIR, "M", another_file);
	end();
	begin();
	put_mbox(70, 4096);
	fail_at_each(MAILDROP_MBOX, "mbox", another_message);
	end();
	begin();
	put_mbox(1500, 300);
	fail_at_each(MAILDROP_MBOX, "mbox", another_message);
	starve_at_each(MAILDROP_MBOX, "mbox", another_message);
	end();
}

/* A gate may have the image mapped: what is written lies elsewhere. A frozen index is read, not written. */
static void test_image_stays(void)
{
	begin();
	put_mbox(1500, 300);
	struct maildrop *drop = with_index("first", MAILDROP_MBOX, "mbox");
	struct maildrop_list list = maildrop_list(drop);
	CU_ASSERT_FATAL(list.fd >= 0);
	void *mapped = mmap(NULL, list.size, PROT_READ, MAP_PRIVATE, list.fd, (off_t)list.offset), *copy = malloc(list.size);
	const size_t size = list.size;
	CU_ASSERT_FATAL(mapped != MAP_FAILED && copy != NULL);
	memcpy(copy, mapped, size);
	maildrop_close(&drop);
	change_in_place("mbox", "Status: O ", "Status: RO");
	ROW_ASSERT("anew", lists_agree("anew", MAILDROP_MBOX, "mbox") && memcmp(mapped, copy, size) == 0);
	index_files.frozen = true;
	size_t len, again_len;
	char *before = get("index", &len);
	change_in_place("mbox", "Status: O ", "Status: RO");
	ROW_ASSERT("frozen", lists_agree("frozen", MAILDROP_MBOX, "mbox"));
	put_mbox(1, 300);
	ROW_ASSERT("frozen", lists_agree("frozen", MAILDROP_MBOX, "mbox"));
	char *after = get("index", &again_len);
	ROW_ASSERT("frozen", len == again_len && memcmp(before, after, len) == 0);
	index_files.frozen = false;
	free(before);
	free(after);
	free(copy);
	(void)munmap(mapped, size);
	end();
}

#define TESTS(X) X(test_maildir_costs) X(test_mbox_costs) X(test_maildir_in_place) X(test_maildir_flags) X(test_mbox_in_place) \
	X(test_mbox_length) X(test_copies) X(test_damage) X(test_damage_mapped) X(test_damaged_head) \
	X(test_failures) X(test_image_stays)
SUITE("index")
