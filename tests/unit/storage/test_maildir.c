/*
 * test_maildir.c - what a Maildir holds, while other programs rename, move and remove.
 * Runs in: the tests. Trusts: nothing.
 */
#include <signal.h>

#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/maildir_scratch.h"

#define X70 "1234567890123456789012345678901234567890123456789012345678901234567890"

/* ---- names ---- */

static const struct {
	const char *label, *file;
	const char *uidl;  /* NULL: a hash; "": not shown */
} names[] = {
	{ "new", "new/1000.a.host", "1000.a.host" },
	{ "cur with flags", "cur/1000.a.host:2,S", "1000.a.host" },
	{ "cur, no flags", "cur/1000.a.host:2,", "1000.a.host" },
	{ "cur, no info", "cur/1000.a.host", "1000.a.host" },
	{ "sizes belong to the base name", "cur/1000.a.host,S=5,W=6:2,S", "1000.a.host,S=5,W=6" },
	{ "experimental info", "cur/1000.a.host:1,x", "1000.a.host:1,x" },
	{ "colon first", "cur/:2,S", ":2,S" },
	{ "colon first, and flags", "cur/:x:2,S", ":x" },
	{ "70 octets", "cur/" X70 ":2,", X70 },
	{ "71 octets", "cur/" X70 "1:2,", NULL },
	{ "8 bits", "cur/1000.\303\244.host:2,", NULL },
	{ "space", "cur/1000 a:2,", NULL },
	{ "CR LF", "cur/1000\r\na:2,", NULL },
	{ "DEL", "cur/1000\177", NULL },
	{ "no number", "cur/hello", "hello" },
	{ "dot first", "cur/.hidden", "" },
	{ "tmp", "tmp/1000.a.host", "" },
	{ "beside", "1000.a.host", "" },
};

static void test_names(void)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		make_maildir();
		char path[512];
		(void)snprintf(path, sizeof path, "M/%s", names[i].file);
		put(path, "S: a\n\nbody");
		struct maildrop *drop = open_maildir(names[i].label);
		bool shown = names[i].uidl == NULL || names[i].uidl[0] != '\0';
		ROW_ASSERT(names[i].label, count_of(drop) == (shown ? 1 : 0));
		ROW_TEXT(names[i].label, notices, "");
		if (shown && count_of(drop) == 1) {
			const char *uidl = record_of(drop, 0)->uidl;
			if (names[i].uidl != NULL)
				ROW_TEXT(names[i].label, uidl, names[i].uidl);
			else
				ROW_ASSERT(names[i].label, strlen(uidl) == 32 && strspn(uidl, "0123456789abcdef") == 32);
			expect_message(names[i].label, drop, 0, "S: a\r\n\r\nbody\r\n");
		}
		maildrop_close(&drop);
		scratch_close();
	}
}

/* The number in front decides, as a number; then the name, whatever the flags and the directory. */
static void test_order(void)
{
	static const char *const files[] = { "M/cur/9.z:2,S", "M/new/10.b", "M/cur/10.a:2,", "M/cur/10.ab:2,F", "M/new/100.a", "M/cur/x" };
	static const char *const want[] = { "x", "9.z", "10.a", "10.ab", "10.b", "100.a" };
	make_maildir();
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		put(files[i], files[i]);
	struct maildrop *drop = open_maildir("order");
	CU_ASSERT_FATAL(count_of(drop) == sizeof want / sizeof want[0]);
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		ROW_TEXT("order", record_of(drop, i)->uidl, want[i]);
	maildrop_close(&drop);
	scratch_close();
}

/* Sizes come from the file, never from its name or its length. */
static void test_sizes(void)
{
	static const struct {
		const char *label, *name, *content;
		uint64_t octets;
	} rows[] = {
		{ "S= and W= lie", "1.a,S=9999,W=1:2,", "ab\ncd\n", 8 },
		{ "CRLF", "1.a", "ab\r\n", 4 },
		{ "no line end", "1.a", "ab", 4 },
		{ "empty", "1.a", "", 0 },
		{ "dots", "1.a", ".\n", 3 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char path[128];
		make_maildir();
		(void)snprintf(path, sizeof path, "M/cur/%s", rows[i].name);
		put(path, rows[i].content);
		struct maildrop *drop = open_maildir(rows[i].label);
		ROW_ASSERT(rows[i].label, record_of(drop, 0)->octets == rows[i].octets);
		/* And what is read has the room that it needs and no more. */
		size_t len = 99;
		uint64_t wire = 99;
		ROW_ASSERT(rows[i].label, maildrop_read(drop, 0, read_text, rows[i].octets, &len, &wire) == 0 && len == strlen(rows[i].content) && wire == rows[i].octets);
		ROW_ASSERT(rows[i].label, memcmp(read_text, rows[i].content, len) == 0);
		ROW_ASSERT(rows[i].label, rows[i].octets == 0 || maildrop_read(drop, 0, read_text, rows[i].octets - 1, &len, &wire) != 0);
		maildrop_close(&drop);
		scratch_close();
	}
}

/* At and around the size of the buffer; and read by halves. */
static void test_large(void)
{
	static const size_t sizes[] = { 4095, 4096, 65535, 65536, 65537, 131072, 1000000 };
	for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = sizes[i / 2];
		char *content = malloc(size);
		memset(content, '\n', size);
		make_maildir();
		put_octets("M/new/1.a", content, size);
		if (i % 2 != 0)
			faults_set(FAULT_READ, 1, 0, 1);
		struct maildrop *drop = open_maildir("large");
		faults_clear();
		CU_ASSERT(record_of(drop, 0)->octets == 2 * size);
		free(fetch("large", drop, 0));
		maildrop_close(&drop);
		scratch_close();
		free(content);
	}
}

/* ---- what is no message ---- */

static void make_entry(const char *kind)
{
	static const struct {
		const char *kind;
		mode_t type;
	} nodes[] = { { "FIFO", S_IFIFO }, { "socket", S_IFSOCK } };
	const char *path = in_scratch("M/cur/5.odd");
	for (size_t i = 0; i < 2; i++)
		if (strcmp(kind, nodes[i].kind) == 0)
			CU_ASSERT(mknod(path, nodes[i].type | 0644, 0) == 0);
	if (strcmp(kind, "directory") == 0)
		make_dir("M/cur/5.odd");
	if (strcmp(kind, "symbolic link") == 0)
		CU_ASSERT(symlink("1.good", path) == 0);
	if (strcmp(kind, "link to nothing") == 0)
		CU_ASSERT(symlink("none", path) == 0);
	if (strcmp(kind, "another user") == 0) {
		put("M/cur/5.odd", "x\n");
		give_to_nobody("M/cur/5.odd");
	}
}

static void test_odd_entries(void)
{
	static const struct {
		const char *kind, *says;
		bool root_only;
	} rows[] = {
		{ "FIFO", "FIFO", false }, { "socket", "socket", false }, { "directory", "directory", false },
		{ "symbolic link", "symbolic link", false }, { "link to nothing", "symbolic link", false },
		{ "another user", "another user", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].root_only && geteuid() != 0)
			continue;
		make_maildir();
		put("M/cur/1.good", "x\n");
		make_entry(rows[i].kind);
		struct maildrop *drop = open_maildir(rows[i].kind);
		ROW_ASSERT(rows[i].kind, count_of(drop) == 1);
		expect_message(rows[i].kind, drop, 0, "x\r\n");
		ROW_ASSERT(rows[i].kind, strstr(notices, rows[i].says) != NULL && strstr(notices, "cur/5.odd") != NULL);
		/* Once is enough, however often the directory is read. */
		ROW_ASSERT(rows[i].kind, strchr(notices, '\n') == strrchr(notices, '\n'));
		update_well(rows[i].kind, drop, "x");
		ROW_ASSERT(rows[i].kind, exists("M/cur/5.odd"));
		maildrop_close(&drop);
		scratch_close();
	}
}

/* A name goes to the log escaped. */
static void test_notice_is_escaped(void)
{
	make_maildir();
	make_dir("M/cur/1\n2: root logged in");
	struct maildrop *drop = open_maildir("escaped");
	ROW_TEXT("escaped", notices, "cur/1\\x0a2: root logged in: skipped, it is a directory\n");
	maildrop_close(&drop);
	scratch_close();
}

static bool sees_one_of_two(void)
{
	struct why why;
	struct maildrop *drop = try_open(MAILDROP_MAILDIR, "M", &why);
	bool ok = drop != NULL && count_of(drop) == 1 && strstr(notices, "cannot be read") != NULL;
	maildrop_close(&drop);
	return ok;
}

static void test_unreadable_message(void)
{
	make_maildir();
	put("M/cur/1.a", "x\n");
	put("M/cur/2.b", "y\n");
	give_to_nobody("M");
	give_to_nobody("M/new");
	give_to_nobody("M/cur");
	give_to_nobody("M/cur/1.a");
	give_to_nobody("M/cur/2.b");
	CU_ASSERT(chmod(in_scratch("M/cur/1.a"), 0) == 0);
	CU_ASSERT(as_nobody(sees_one_of_two));
	scratch_close();
}

static void lacks_all(void) { CU_ASSERT(rename(in_scratch("M"), in_scratch("elsewhere")) == 0); }
static void lacks_new(void) { CU_ASSERT(rmdir(in_scratch("M/new")) == 0); }
static void lacks_cur(void) { CU_ASSERT(rename(in_scratch("M/cur"), in_scratch("M/new/0.dir")) == 0); }
static void top_is_file(void) { lacks_all(); put("M", "x"); }
static void top_is_link(void) { lacks_all(); CU_ASSERT(symlink("elsewhere", in_scratch("M")) == 0); }
static void cur_is_link(void)
{
	move("M/cur", "M/real");
	CU_ASSERT(symlink("real", in_scratch("M/cur")) == 0);
}
static void cur_is_file(void) { move("M/cur", "M/real"); put("M/cur", "x"); }
static void cur_is_fifo(void) { move("M/cur", "M/real"); CU_ASSERT(mkfifo(in_scratch("M/cur"), 0644) == 0); }
static void not_ours(void) { give_to_nobody("M"); }
static void cur_not_ours(void) { give_to_nobody("M/cur"); }

static void test_directories(void)
{
	static const struct {
		const char *label;
		void (*make)(void);
		int count; /* -1: refused */
		enum reason reason;
		bool root_only;
	} rows[] = {
		{ "no maildir", lacks_all, 0, REASON_NONE, false },
		{ "no new", lacks_new, 1, REASON_NONE, false },
		{ "no cur", lacks_cur, 0, REASON_NONE, false },
		{ "a file", top_is_file, -1, REASON_MAILDROP_BROKEN, false },
		{ "a link", top_is_link, -1, REASON_MAILDROP_DENIED, false },
		{ "cur is a link", cur_is_link, -1, REASON_MAILDROP_DENIED, false },
		{ "cur is a file", cur_is_file, -1, REASON_MAILDROP_BROKEN, false },
		{ "cur is a FIFO", cur_is_fifo, -1, REASON_MAILDROP_BROKEN, false },
		{ "another's maildir", not_ours, -1, REASON_MAILDROP_DENIED, true },
		{ "another's cur", cur_not_ours, -1, REASON_MAILDROP_DENIED, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why why;
		if (rows[i].root_only && geteuid() != 0)
			continue;
		make_maildir();
		put("M/cur/1.a", "x\n");
		rows[i].make();
		struct maildrop *drop = try_open(MAILDROP_MAILDIR, "M", &why);
		ROW_ASSERT(rows[i].label, (drop == NULL) == (rows[i].count < 0));
		ROW_ASSERT(rows[i].label, why.reason == rows[i].reason);
		ROW_ASSERT(rows[i].label, drop == NULL || count_of(drop) == (size_t)rows[i].count);
		maildrop_close(&drop);
		if (rows[i].make == lacks_all)
			ROW_ASSERT(rows[i].label, !exists("M"));
		scratch_close();
	}
}

static bool is_denied(void)
{
	struct why why;
	struct maildrop *drop = try_open(MAILDROP_MAILDIR, "M", &why);
	bool ok = drop == NULL && why.reason == REASON_MAILDROP_DENIED && why.err == EACCES;
	maildrop_close(&drop);
	return ok;
}

static bool reads_but_cannot_remove(void)
{
	int errors[1] = { -1 };
	struct why why;
	struct maildrop *drop = try_open(MAILDROP_MAILDIR, "M", &why);
	bool ok = drop != NULL && count_of(drop) == 1 && fetch_reason(drop, 0) == REASON_NONE &&
		update(drop, "x", errors, &why) == -1 && why.reason == REASON_MAILDROP_DENIED && errors[0] == EACCES;
	maildrop_close(&drop);
	return ok;
}

static void test_permissions(void)
{
	static const struct {
		const char *label, *directory;
		mode_t mode;
		bool (*behaves)(void);
	} rows[] = {
		{ "maildir closed", "M", 0, is_denied },
		{ "cur closed", "M/cur", 0, is_denied },
		{ "cur cannot be listed", "M/cur", 0300, is_denied },
		{ "cur read-only", "M/cur", 0500, reads_but_cannot_remove },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_maildir();
		put("M/cur/1.a", "x\n");
		give_to_nobody("M/cur/1.a");
		give_to_nobody("M/new");
		give_to_nobody("M/cur");
		give_to_nobody("M");
		CU_ASSERT(chmod(in_scratch(rows[i].directory), rows[i].mode) == 0);
		ROW_ASSERT(rows[i].label, as_nobody(rows[i].behaves));
		CU_ASSERT(chmod(in_scratch(rows[i].directory), 0755) == 0);
		expect_content(rows[i].label, "M/cur/1.a", "x\n");
		scratch_close();
	}
}

/* ---- the same base name twice ---- */

static void test_twins(void)
{
	char first[UIDL_MAX + 2], second[UIDL_MAX + 2];
	make_maildir();
	put("M/cur/1.a:2,S", "old\n");
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	CU_ASSERT(utimensat(AT_FDCWD, in_scratch("M/cur/1.a:2,S"), old, 0) == 0);
	put("M/new/1.a", "new one\n");
	struct maildrop *drop = open_maildir("twins");
	CU_ASSERT_FATAL(count_of(drop) == 2);
	memcpy(first, record_of(drop, 0)->uidl, sizeof first);
	memcpy(second, record_of(drop, 1)->uidl, sizeof second);
	ROW_TEXT("twins", first, "1.a");
	CU_ASSERT(strcmp(first, second) != 0 && strlen(second) == 32);
	expect_message("twins", drop, 0, "old\r\n");
	expect_message("twins", drop, 1, "new one\r\n");
	maildrop_close(&drop);
	/* They keep their unique-ids when flags change and one moves. */
	move("M/cur/1.a:2,S", "M/cur/1.a:2,FS");
	move("M/new/1.a", "M/cur/1.a:2,");
	drop = open_maildir("twins, moved");
	CU_ASSERT_FATAL(count_of(drop) == 2);
	ROW_TEXT("twins, moved", record_of(drop, 0)->uidl, first);
	ROW_TEXT("twins, moved", record_of(drop, 1)->uidl, second);
	update_well("twins", drop, ".x");
	maildrop_close(&drop);
	expect_content("twins", "M/cur/1.a:2,FS", "old\n");
	CU_ASSERT(!exists("M/cur/1.a:2,"));
	scratch_close();
}

/* One file under two names: link and unlink of a move that was cut short. */
static void test_two_links(void)
{
	make_maildir();
	put("M/new/1.a", "x\n");
	CU_ASSERT(link(in_scratch("M/new/1.a"), in_scratch("M/cur/1.a:2,")) == 0);
	put("M/new/2.b", "y\n");
	CU_ASSERT(link(in_scratch("M/new/2.b"), in_scratch("M/cur/3.copy:2,")) == 0);
	struct maildrop *drop = open_maildir("links");
	CU_ASSERT(count_of(drop) == 3);
	update_well("links", drop, "xx.");
	maildrop_close(&drop);
	CU_ASSERT(!exists("M/new/1.a") && !exists("M/cur/1.a:2,"));
	/* A copy by hard link is another message. */
	CU_ASSERT(!exists("M/new/2.b") && exists("M/cur/3.copy:2,"));
	scratch_close();
}

/* ---- a program that renames all the time ---- */

enum { CROWD = 2000, LOGINS = 30 };

static void rename_for_ever(void)
{
	static const char *const flags[] = { "", "S", "FS", "F" };
	unsigned seed = 3;
	unsigned char now[CROWD] = { 0 };
	int dir = open(in_scratch("M/cur"), O_RDONLY | O_DIRECTORY);
	/* Ends with its parent, should that die. */
	for (pid_t parent = getppid(); getppid() == parent;) {
		char from[64], to[64];
		size_t i = (size_t)rand_r(&seed) % CROWD;
		(void)snprintf(from, sizeof from, "%zu.M1P2.host:2,%s", 1000 + i, flags[now[i]]);
		now[i] = (unsigned char)((now[i] + 1) % 4);
		(void)snprintf(to, sizeof to, "%zu.M1P2.host:2,%s", 1000 + i, flags[now[i]]);
		if (renameat(dir, from, dir, to) != 0)
			_exit(1);
	}
	_exit(0);
}

static void test_renamer(void)
{
	make_maildir();
	for (size_t i = 0; i < CROWD; i++) {
		char path[64];
		(void)snprintf(path, sizeof path, "M/cur/%zu.M1P2.host:2,", 1000 + i);
		put(path, "x\n");
	}
	pid_t pid = fork();
	if (pid == 0)
		rename_for_ever();
	for (size_t login = 0; login < LOGINS; login++) {
		struct maildrop *drop = open_maildir("renamer");
		ROW_ASSERT("renamer: count", count_of(drop) == CROWD);
		for (size_t i = 0; i < count_of(drop); i++) {
			char want[64];
			(void)snprintf(want, sizeof want, "%zu.M1P2.host", 1000 + i);
			ROW_TEXT("renamer: uidl", record_of(drop, i)->uidl, want);
		}
		expect_message("renamer", drop, login, "x\r\n");
		if (login == LOGINS - 1)
			update_well("renamer", drop, "x.x.x.x.");
		maildrop_close(&drop);
	}
	CU_ASSERT(kill(pid, SIGKILL) == 0 || errno == ESRCH);
	CU_ASSERT(waitpid(pid, NULL, 0) == pid);
	struct maildrop *drop = open_maildir("after");
	CU_ASSERT(count_of(drop) == CROWD - 4);
	maildrop_close(&drop);
	scratch_close();
}

/* A directory at rest is read once: login must not cost three readings. */
static void test_quiet(void)
{
	struct maildrop *drop = open_two("quiet");
	maildrop_close(&drop);
	faults_clear();
	drop = open_maildir("just changed");
	CU_ASSERT(faults[FAULT_GETDENTS].calls >= 2 * 6);
	maildrop_close(&drop);
	/* Ten seconds later; a reading takes two calls. */
	faults_clock_ms = 10000;
	faults_clear();
	drop = open_maildir("at rest");
	faults_clock_ms = 0;
	CU_ASSERT(count_of(drop) == 2);
	CU_ASSERT(faults[FAULT_GETDENTS].calls == 2 * 2);
	maildrop_close(&drop);
	scratch_close();
}

#define TESTS(X) X(test_names) X(test_order) X(test_sizes) X(test_large) X(test_odd_entries) \
	X(test_notice_is_escaped) X(test_unreadable_message) X(test_directories) X(test_permissions) X(test_twins) \
	X(test_two_links) X(test_renamer) X(test_quiet)
SUITE("maildir")
