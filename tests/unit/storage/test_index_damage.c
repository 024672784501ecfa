/*
 * test_index_damage.c - an index that is damaged, or cannot be read or written: logins go on, and see what they should.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

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
	for (size_t i = 0; i < len; i = i == sizeof(struct index_head) ? INDEX_IMAGES : i + 1) {
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
	CU_ASSERT_FATAL(len > INDEX_IMAGES + INDEX_MAP_MIN);
	for (size_t at = INDEX_IMAGES + 40000; at < INDEX_IMAGES + 40000 + 2 * 56; at++) {
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

#define TESTS(X) X(test_damage) X(test_damage_mapped) X(test_damaged_head) X(test_failures) X(test_image_stays)
SUITE("index_damage")
