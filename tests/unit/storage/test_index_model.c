/*
 * test_index_model.c - a login with an index and one without see the same, whatever other programs did in between: histories
 * at random, in which the index also gets lost, damaged, cannot be written, or is an old one.
 * Runs in: the tests. Trusts: nothing. POSTERN_MODEL_SEED=N runs one history again, POSTERN_MODEL_HISTORIES=N so many.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/model_maildir.h"
#include "tests/unit/storage/model_mbox.h"

enum {
	HISTORIES = 600,       /* of each format */
	STEPS = 12,
};

static int64_t clock_ahead;  /* seconds */

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
		if (strncmp(action->name, "index", 5) == 0 || index_files.frozen)
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
