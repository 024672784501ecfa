/*
 * test_mbox_open.c - what is not opened as an mbox, and what others do to it after it was.
 * Runs in: the tests. Trusts: nothing.
 */
#include <linux/magic.h>

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/scratch.h"

#define F "From ann@example.org Thu Jan  1 00:00:00 1970\n"

static void make_link(void) { CU_ASSERT(symlink("real", in_scratch("mbox")) == 0); }
static void make_fifo(void) { CU_ASSERT(mkfifo(in_scratch("mbox"), 0644) == 0); }
static void make_directory(void) { make_dir("mbox"); }
static void make_hard_link(void) { CU_ASSERT(link(in_scratch("real"), in_scratch("mbox")) == 0); }
static void make_dangling_link(void) { CU_ASSERT(symlink("none", in_scratch("mbox")) == 0); }
static void make_socket(void)
{
	CU_ASSERT(mknod(in_scratch("mbox"), S_IFSOCK | 0644, 0) == 0);
}

static void test_refused(void)
{
	static const struct {
		const char *label;
		void (*make)(void);
		enum reason reason;
	} kinds[] = {
		{ "symbolic link", make_link, REASON_MAILDROP_DENIED },
		{ "dangling link", make_dangling_link, REASON_MAILDROP_DENIED },
		{ "FIFO", make_fifo, REASON_MAILDROP_BROKEN },
		{ "directory", make_directory, REASON_MAILDROP_BROKEN },
		{ "hard link", make_hard_link, REASON_MAILDROP_DENIED },
		{ "socket", make_socket, REASON_MAILDROP_IO },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct why why;
		scratch_open();
		put("real", F "S: a\n");
		kinds[i].make();
		struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
		ROW_ASSERT(kinds[i].label, drop == NULL && why.reason == kinds[i].reason);
		ROW_ASSERT(kinds[i].label, strstr(why.text, "mbox") != NULL);
		maildrop_close(&drop);
		scratch_close();
	}
}

/* Not on a network file system, unless the administrator wants it. */
static void test_network(void)
{
	static const struct {
		const char *label;
		long file_system;
		bool wanted, opens;
		const char *words;
	} rows[] = {
		{ "local", EXT4_SUPER_MAGIC, false, true, "" },
		{ "NFS", NFS_SUPER_MAGIC, false, false, "is on NFS, where an mbox is not safe; use Maildir there, or set network_mbox = yes" },
		{ "NFS, wanted", NFS_SUPER_MAGIC, true, true, "" },
		{ "SMB", SMB2_SUPER_MAGIC, false, false, "is on SMB" },
		{ "9P", V9FS_MAGIC, false, false, "is on 9P" },
		{ "unknown", -1, false, false, "statfs" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why = { .reason = REASON_NONE };
		struct maildrop_options options = default_options();
		struct maildrop *drop = NULL;
		scratch_open();
		put("mbox", F "S: a\n");
		struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
		options.network_mbox = rows[i].wanted;
		faults_file_system = rows[i].file_system;
		ROW_ASSERT(rows[i].label, (maildrop_open(&place, &options, &drop, &why) == 0) == rows[i].opens);
		ROW_ASSERT(rows[i].label, rows[i].opens || strstr(why.text, rows[i].words) != NULL);
		faults_file_system = 0;
		maildrop_close(&drop);
		scratch_close();
	}
}

static void test_owner(void)
{
	struct why why = { .reason = REASON_NONE };
	struct maildrop_place place;
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	scratch_open();
	put("mbox", F "S: a\n");
	place = place_in_scratch(MAILDROP_MBOX, "mbox");
	options.owner = geteuid() + 1;
	CU_ASSERT(maildrop_open(&place, &options, &drop, &why) == -1);
	CU_ASSERT(why.reason == REASON_MAILDROP_DENIED && strstr(why.text, "belongs to uid") != NULL);
	scratch_close();
}

static void test_absent(void)
{
	static const char *const names[] = { "mbox", "no/such/mbox" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		bool none[1] = { false };
		int errors[1];
		struct why why;
		scratch_open();
		struct maildrop *drop = open_drop(names[i], MAILDROP_MBOX, names[i]);
		ROW_ASSERT(names[i], count_of(drop) == 0);
		ROW_ASSERT(names[i], maildrop_update(drop, none, errors, &why) == 0);
		ROW_ASSERT(names[i], fetch_reason(drop, 0) == REASON_MESSAGE_GONE);
		maildrop_close(&drop);
		ROW_ASSERT(names[i], !exists(names[i]));
		scratch_close();
	}
}

static bool opens_denied(void)
{
	struct why why;
	struct maildrop *drop = try_open(MAILDROP_MBOX, "box/mbox", &why);
	bool ok = drop == NULL && why.reason == REASON_MAILDROP_DENIED && why.err == EACCES;
	maildrop_close(&drop);
	return ok;
}

/* Reading works, removing says why not, and the file stays as it is. */
static bool reads_but_cannot_remove(void)
{
	int errors[2] = { -1, -1 };
	struct why why;
	struct maildrop *drop = try_open(MAILDROP_MBOX, "box/mbox", &why);
	bool ok = drop != NULL && count_of(drop) == 2 && fetch_reason(drop, 1) == REASON_NONE &&
		update(drop, "x.", errors, &why) == -1 && why.reason == REASON_MAILDROP_DENIED &&
		errors[0] == EACCES && errors[1] == 0;
	maildrop_close(&drop);
	return ok;
}

static void test_permissions(void)
{
	static const struct {
		const char *label;
		mode_t dir, file;
		bool (*behaves)(void);
	} modes[] = {
		{ "directory closed", 0, 0600, opens_denied },
		{ "file closed", 0755, 0, opens_denied },
		{ "file read-only", 0755, 0400, reads_but_cannot_remove },
	};
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		scratch_open();
		make_dir("box");
		put("box/mbox", F "S: a\n\n" F "S: b\n\n");
		give_to_nobody("box/mbox");
		CU_ASSERT(chmod(in_scratch("box/mbox"), modes[i].file) == 0);
		give_to_nobody("box");
		CU_ASSERT(chmod(in_scratch("box"), modes[i].dir) == 0);
		ROW_ASSERT(modes[i].label, as_nobody(modes[i].behaves));
		CU_ASSERT(chmod(in_scratch("box"), 0755) == 0 && chmod(in_scratch("box/mbox"), 0600) == 0);
		expect_content(modes[i].label, "box/mbox", F "S: a\n\n" F "S: b\n\n");
		scratch_close();
	}
}

/* ---- other programs ---- */

static const char two[] = F "S: a\n\none\n\n" F "S: b\n\ntwo\n\n";

static void put_over(const char *text) { put("mbox", text); }
static void delivers(void) { append("mbox", F "S: c\n\nthree\n\n"); }
static void delivers_without_separator(void) { append("mbox", F "S: c\n\nthree\n"); }
static void touches(void) { CU_ASSERT(utimensat(AT_FDCWD, in_scratch("mbox"), NULL, 0) == 0); }
static void changes_second(void) { put_over(F "S: a\n\none\n\n" F "S: b\n\ntwX\n\n"); }
static void changes_first(void) { put_over(F "S: a\n\nonX\n\n" F "S: b\n\ntwo\n\n"); }
static void removes_first(void) { put_over(F "S: b\n\ntwo\n\n"); }
static void swaps(void) { put_over(F "S: b\n\ntwo\n\n" F "S: a\n\none\n\n"); }
static void empties(void) { put_over(""); }
static void removes(void) { CU_ASSERT(unlink(in_scratch("mbox")) == 0); }
static void replaces(void)
{
	put("new", two);
	CU_ASSERT(rename(in_scratch("new"), in_scratch("mbox")) == 0);
}
static void becomes_link(void)
{
	CU_ASSERT(rename(in_scratch("mbox"), in_scratch("old")) == 0);
	CU_ASSERT(symlink("old", in_scratch("mbox")) == 0);
}

static void test_fetch_after(void)
{
	static const struct {
		const char *label;
		void (*happens)(void);
		enum reason first, second;
	} events[] = {
		{ "delivery", delivers, REASON_NONE, REASON_NONE },
		{ "touch", touches, REASON_NONE, REASON_NONE },
		{ "second changed", changes_second, REASON_NONE, REASON_MESSAGE_CHANGED },
		{ "first changed", changes_first, REASON_MESSAGE_CHANGED, REASON_NONE },
		{ "first removed", removes_first, REASON_MESSAGE_CHANGED, REASON_MESSAGE_CHANGED },
		{ "swapped", swaps, REASON_MESSAGE_CHANGED, REASON_MESSAGE_CHANGED },
		{ "emptied", empties, REASON_MESSAGE_CHANGED, REASON_MESSAGE_CHANGED },
		{ "removed", removes, REASON_MESSAGE_GONE, REASON_MESSAGE_GONE },
		{ "replaced", replaces, REASON_MESSAGE_CHANGED, REASON_MESSAGE_CHANGED },
		{ "a link", becomes_link, REASON_MAILDROP_DENIED, REASON_MAILDROP_DENIED },
	};
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		scratch_open();
		put("mbox", two);
		struct maildrop *drop = open_drop(events[i].label, MAILDROP_MBOX, "mbox");
		events[i].happens();
		ROW_ASSERT(events[i].label, fetch_reason(drop, 0) == events[i].first);
		ROW_ASSERT(events[i].label, fetch_reason(drop, 1) == events[i].second);
		maildrop_close(&drop);
		scratch_close();
	}
	scratch_open();
	put("mbox", F "S: a\n\none");
	struct maildrop *drop = open_drop("glued", MAILDROP_MBOX, "mbox");
	delivers_without_separator();
	expect_message("glued to the last", drop, 0, "S: a\r\n\r\none\r\n");
	maildrop_close(&drop);
	scratch_close();
}

#define TESTS(X) X(test_refused) X(test_network) X(test_owner) X(test_absent) X(test_permissions) X(test_fetch_after)
SUITE("mbox_open")
