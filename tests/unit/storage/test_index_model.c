/*
 * test_index_model.c - a login with an index and one without see the same, whatever other programs did in between: histories
 * at random, in which the index also gets lost, damaged, cannot be written, or is an old one.
 * Runs in: the tests. Trusts: nothing. POSTERN_MODEL_SEED=N runs one history again, POSTERN_MODEL_HISTORIES=N so many.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/index_scratch.h"

enum {
	HISTORIES = 600,       /* of each format */
	STEPS = 12,
	NAMES_MAX = 24,
	TEXT_MAX = 24 * 1024,
	MAILBOX_MAX = 1024 * 1024,
};

static unsigned seed;
static int64_t clock_ahead;  /* seconds */

static unsigned pick(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* ---- a Maildir ---- */

static char names[NAMES_MAX][64];  /* "cur/1.a:2,S"; "": none */
static unsigned made;

static const char *at(const char *name)
{
	static char paths[2][80];
	static unsigned turn;
	char *path = paths[turn++ % 2];
	(void)snprintf(path, sizeof paths[0], "M/%.64s", name);
	return path;
}

static char *any_name(void)
{
	for (unsigned i = pick(NAMES_MAX), tries = 0; tries < NAMES_MAX; i = (i + 1) % NAMES_MAX, tries++)
		if (names[i][0] != '\0')
			return names[i];
	return NULL;
}

static const char *any_text(void)
{
	static char text[512];
	(void)snprintf(text, sizeof text, "Subject: %u\n\n%.*s%s", pick(1000), (int)pick(300),
	               "x\nyy\nzzz\r\n.\n..\nlong line of text\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", pick(2) == 0 ? "\n" : "");
	return text;
}

/* As they are; W may be wrong, or S; or none. */
static const char *any_sizes(const char *text)
{
	static char sizes[32];
	struct wire w = WIRE_START;
	const size_t stored = strlen(text);
	wire_count(&w, text, stored);
	sizes[0] = '\0';
	if (pick(2) == 0)
		(void)snprintf(sizes, sizeof sizes, ",S=%zu,W=%ju", stored + (pick(8) == 0), (uintmax_t)wire_count_end(&w) - (pick(4) == 0));
	return sizes;
}

static void md_deliver(void)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		if (names[i][0] != '\0')
			continue;
		const char *text = any_text();
		(void)snprintf(names[i], sizeof names[i], pick(2) == 0 ? "new/%u.M%uP.host%s" : "cur/%u.M%uP.host%s:2,", 1000 + pick(50), ++made, any_sizes(text));
		put(at(names[i]), text);
		return;
	}
}

static void md_rename(void)
{
	char *name = any_name(), to[64];
	if (name == NULL)
		return;
	const char *base = name + 4;
	(void)snprintf(to, sizeof to, "cur/%.*s:2,%s", (int)strcspn(base, ":") % 50, base, pick(2) == 0 ? "S" : "RS");
	CU_ASSERT(rename(in_scratch(at(name)), in_scratch(at(to))) == 0);
	memcpy(name, to, sizeof to);
}

static void md_remove(void)
{
	char *name = any_name();
	if (name == NULL)
		return;
	CU_ASSERT(unlink(in_scratch(at(name))) == 0);
	name[0] = '\0';
}

/* Often the file system gives the new file the old one's inode. */
static void md_replace(void)
{
	char *name = any_name();
	if (name == NULL)
		return;
	CU_ASSERT(unlink(in_scratch(at(name))) == 0);
	put(at(name), any_text());
}

static void md_overwrite(void)
{
	char *name = any_name();
	if (name != NULL)
		put(at(name), any_text());
}

/* Lines come and go, and neither size nor mtime tells. */
static void md_hide(void)
{
	char *name = any_name();
	struct stat st;
	size_t len;
	if (name == NULL)
		return;
	const char *path = in_scratch(at(name));
	char *text = get(at(name), &len);
	CU_ASSERT_FATAL(text != NULL && stat(path, &st) == 0);
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] == '\n' && pick(3) == 0 ? 'n' : text[i] == 'y' ? '\n' : text[i];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT(pwrite(fd, text, len, 0) == (ssize_t)len && futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) == 0);
	(void)close(fd);
	free(text);
}

static void md_oddity(void)
{
	char name[64];
	(void)snprintf(name, sizeof name, "M/cur/odd%u", ++made);
	if (pick(2) == 0)
		make_dir(name);
	else
		CU_ASSERT(symlink("/etc/passwd", in_scratch(name)) == 0);
}

static void md_begin(void)
{
	make_dir("M");
	make_dir("M/new");
	make_dir("M/cur");
	memset(names, 0, sizeof names);
	for (unsigned i = pick(8); i > 0; i--)
		md_deliver();
}

/* ---- an mbox ---- */

static char *box;
static size_t box_len;

static void mb_read(void)
{
	free(box);
	box = get("mbox", &box_len);
	CU_ASSERT_FATAL(box != NULL);
}

/* Where message n begins, and where it ends. */
static size_t mb_find(unsigned n, size_t *end_r)
{
	size_t from = 0, next = 0;
	for (unsigned i = 0; next < box_len; i++) {
		from = next;
		const char *p = memmem(box + from + 1, box_len - from - 1, "\n\nFrom a@b ", 11);
		next = p != NULL ? (size_t)(p - box) + 2 : box_len;
		if (i == n)
			break;
	}
	*end_r = next;
	return from;
}

static void mb_deliver(void)
{
	static char text[TEXT_MAX + 256];
	size_t len = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:%02u 1970\nSubject: %u\nStatus: %s\n%s\n", pick(60), ++made, pick(2) == 0 ? "RO" : "O ",
	                              pick(4) == 0 ? "Content-Length: 999999\n" : "");
	for (unsigned lines = pick(TEXT_MAX / 64); lines > 0; lines--)
		len += (size_t)snprintf(text + len, sizeof text - len, "%060u\n", pick(1000000));
	len += (size_t)snprintf(text + len, sizeof text - len, "\n");
	if (!exists("mbox"))
		put("mbox", "");
	mb_read();
	if (box_len + len < MAILBOX_MAX)
		append("mbox", text);
}

/* What is appended begins a message. */
static bool mb_ends_well(void)
{
	mb_read();
	return box_len > 1 && memcmp(box + box_len - 2, "\n\n", 2) == 0;
}

/* Written over in place, the same size; the mtime may be as it was. */
static void mb_overwrite(const char *what, const char *with)
{
	struct stat st;
	size_t end;
	mb_read();
	if (box_len == 0)
		return;
	const size_t from = mb_find(pick(30), &end);
	const char *p = memmem(box + from, end - from, what, strlen(what));
	int fd = open(in_scratch("mbox"), O_WRONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	if (p != NULL)
		CU_ASSERT(pwrite(fd, with, strlen(with), p - box) == (ssize_t)strlen(with));
	if (pick(2) == 0)
		CU_ASSERT(futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) == 0);
	(void)close(fd);
}

static void mb_flag(void)
{
	mb_overwrite("Status: O ", "Status: RO");
}

static void mb_edit(void)
{
	mb_overwrite("000", pick(2) == 0 ? "\n00" : "abc");
}

static void mb_flag_and_deliver(void)
{
	mb_flag();
	mb_deliver();
}

static void mb_edit_and_deliver(void)
{
	mb_edit();
	mb_deliver();
}

/* As mail programs do: all is written anew, into the file or in place of it. */
static void mb_drop(void)
{
	size_t end;
	mb_read();
	if (box_len == 0)
		return;
	const size_t from = mb_find(pick(30), &end);
	memmove(box + from, box + end, box_len - end);
	box_len -= end - from;
	if (pick(2) == 0)
		CU_ASSERT(unlink(in_scratch("mbox")) == 0);
	put_octets("mbox", box, box_len);
}

static void mb_drop_and_deliver(void)
{
	mb_drop();
	for (unsigned i = 1 + pick(4); i > 0; i--)
		mb_deliver();
}

static void mb_append_odd(void)
{
	static const char *const odd[] = { "\n", "\n\n\n", "more of the last\n", "From a@b Thu Jan  1 00:00:00 1970\n", "no line end" };
	if (exists("mbox"))
		append("mbox", odd[pick(5)]);
}

static void mb_begin(void)
{
	for (unsigned i = pick(40); i > 0; i--)
		mb_deliver();
	if (!exists("mbox"))
		put("mbox", "");
}

/* ---- the index ---- */

static void ix_lost(void)
{
	CU_ASSERT(unlink(in_scratch("index")) == 0);
	index_reopen();
}

static void ix_damaged(void)
{
	struct stat st;
	char octet = (char)pick(256);
	CU_ASSERT_FATAL(stat(in_scratch("index"), &st) == 0);
	if (st.st_size > 0)
		CU_ASSERT(pwrite(index_files.write_fd, &octet, 1, pick((unsigned)st.st_size)) == 1);
}

static void ix_cut(void)
{
	struct stat st;
	CU_ASSERT_FATAL(stat(in_scratch("index"), &st) == 0);
	CU_ASSERT(st.st_size == 0 || ftruncate(index_files.write_fd, pick((unsigned)st.st_size)) == 0);
}

/* That of an earlier login comes back. */
static void ix_old(void)
{
	static char *old;
	static size_t len;
	if (old != NULL && pick(2) == 0) {
		put_octets("index", old, len);
		return;
	}
	free(old);
	old = get("index", &len);
}

static void ix_other(void)
{
	index_files.frozen = !index_files.frozen;
}

static void clock_back(void)
{
	clock_ahead -= 5;
	faults_clock_ms = clock_ahead * 1000;
}

static void nothing(void)
{
}

/* ---- what clients were told ---- */

static struct told {
	char uidl[UIDL_MAX + 1];
	uint64_t content;
} told[4096];
static size_t told_count;

static bool tell(const char *uidl, uint64_t content)
{
	for (size_t i = 0; i < told_count; i++)
		if (strcmp(told[i].uidl, uidl) == 0)
			return told[i].content == content;
	if (told_count < sizeof told / sizeof told[0]) {
		(void)snprintf(told[told_count].uidl, sizeof told[0].uidl, "%s", uidl);
		told[told_count++].content = content;
	}
	return true;
}

/* No unique-id was ever that of another content. Only the index knows, so all is forgotten where it is. */
static bool tells_truly(const char *name)
{
	struct why why;
	struct maildrop *drop = open_indexed(MAILDROP_MAILDIR, name, true, &why);
	bool good = drop != NULL;
	for (size_t i = 0; good && i < maildrop_count(drop); i++) {
		struct message_record record;
		maildrop_record(drop, i, &record);
		char *text = fetch("told", drop, i);
		good = tell(record.uidl, XXH3_64bits(text, strlen(text)));
		if (!good)
			(void)fprintf(stderr, "%s was another message's\n", record.uidl);
		free(text);
	}
	maildrop_close(&drop);
	return good;
}

/* ---- histories ---- */

struct action {
	const char *name;
	void (*act)(void);
	unsigned weight;
};

static const struct action maildir_actions[] = {
	{ "nothing", nothing, 4 }, { "deliver", md_deliver, 6 }, { "rename", md_rename, 5 }, { "remove", md_remove, 3 }, { "replace", md_replace, 3 },
	{ "overwrite", md_overwrite, 3 }, { "hide", md_hide, 3 }, { "oddity", md_oddity, 1 }, { "index lost", ix_lost, 1 },
	{ "index damaged", ix_damaged, 2 }, { "index cut", ix_cut, 1 }, { "index old", ix_old, 2 }, { "index not ours", ix_other, 1 }, { "clock back", clock_back, 1 },
	{ NULL, NULL, 0 },
};

static const struct action mbox_actions[] = {
	{ "nothing", nothing, 4 }, { "deliver", mb_deliver, 8 }, { "flag", mb_flag, 3 }, { "edit", mb_edit, 3 }, { "flag, deliver", mb_flag_and_deliver, 3 },
	{ "edit, deliver", mb_edit_and_deliver, 3 }, { "drop", mb_drop, 3 }, { "drop, deliver", mb_drop_and_deliver, 3 }, { "append odd", mb_append_odd, 2 },
	{ "index lost", ix_lost, 1 }, { "index damaged", ix_damaged, 2 }, { "index cut", ix_cut, 1 }, { "index old", ix_old, 2 },
	{ "index not ours", ix_other, 1 }, { "clock back", clock_back, 1 }, { NULL, NULL, 0 },
};

static const struct action *any_action(const struct action *actions)
{
	unsigned all = 0;
	for (const struct action *a = actions; a->name != NULL; a++)
		all += a->weight;
	unsigned n = pick(all);
	while (n >= actions->weight)
		n -= (actions++)->weight;
	return actions;
}

/* A session with the index: it fetches what one without does, and removes what it was told to. */
static bool session(enum maildrop_format format, const char *name)
{
	struct why why;
	int errors[256];
	bool good = true;
	struct maildrop *with = open_indexed(format, name, true, &why), *without = open_indexed(format, name, false, &why);
	CU_ASSERT_FATAL(with != NULL && without != NULL && maildrop_count(with) <= 256);
	for (size_t i = 0; good && i < maildrop_count(with); i++) {
		char *a = fetch("with", with, i), *b = fetch("without", without, i);
		good = strcmp(a, b) == 0;
		free(a);
		free(b);
	}
	maildrop_close(&without);
	if (pick(3) == 0 && format == MAILDROP_MBOX && mb_ends_well())
		mb_deliver();
	char marks[257] = "";
	for (size_t i = 0; i < maildrop_count(with); i++)
		marks[i] = pick(3) == 0 ? 'x' : '.';
	if (pick(2) == 0) {
		good = good && update(with, marks, errors, &why) == 0;
		for (size_t i = 0; format == MAILDROP_MAILDIR && i < NAMES_MAX; i++)
			if (names[i][0] != '\0' && !exists(at(names[i])))
				names[i][0] = '\0';
	}
	maildrop_close(&with);
	return good;
}

static bool can_be_opened(enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = open_indexed(format, name, false, &why);
	bool can = drop != NULL;
	maildrop_close(&drop);
	return can;
}

static void history(enum maildrop_format format, unsigned number)
{
	const struct action *actions = format == MAILDROP_MBOX ? mbox_actions : maildir_actions;
	const char *name = format == MAILDROP_MBOX ? "mbox" : "M";
	char story[1024];
	size_t len = 0;
	bool good = true;
	seed = number;
	made = 0;
	told_count = 0;
	index_knows_more = true;
	clock_ahead = CLOCK_AHEAD;
	faults_clock_ms = clock_ahead * 1000;
	scratch_open();
	index_reopen();
	(format == MAILDROP_MBOX ? mb_begin : md_begin)();
	for (unsigned step = 0; good && step < STEPS; step++) {
		tick();
		const struct action *action = any_action(actions);
		action->act();
		const int n = snprintf(story + len, sizeof story - len, "%s; ", action->name);
		len += n > 0 && (size_t)n < sizeof story - len ? (size_t)n : 0;
		if (!can_be_opened(format, name))
			break;  /* it is no mbox any more */
		if (strncmp(action->name, "index", 5) == 0 || action->act == clock_back || index_files.frozen)
			told_count = 0;
		good = lists_agree("history", format, name) && (format == MAILDROP_MBOX || tells_truly(name)) && (pick(3) != 0 || session(format, name));
	}
	if (!good)
		(void)fprintf(stderr, "history %u of %s: %s\n", number, name, story);
	CU_ASSERT(good);
	index_close();
	scratch_close();
}

static void histories(enum maildrop_format format)
{
	const char *one = getenv("POSTERN_MODEL_SEED"), *many = getenv("POSTERN_MODEL_HISTORIES");
	const unsigned count = many != NULL ? (unsigned)atoi(many) : HISTORIES;
	if (one != NULL) {
		history(format, (unsigned)atoi(one));
		return;
	}
	for (unsigned i = 1; i <= count && CU_get_number_of_failures() < 3; i++)
		history(format, i);
	faults_clock_ms = 0;
}

static void test_maildirs(void)
{
	histories(MAILDROP_MAILDIR);
}

static void test_mboxes(void)
{
	histories(MAILDROP_MBOX);
	free(box);
	box = NULL;
}

#define TESTS(X) X(test_maildirs) X(test_mboxes)
SUITE("index_model")
