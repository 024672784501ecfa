/*
 * test_place.c - where a user's maildrop is.
 * Runs in: the tests. Trusts: nothing.
 */
#include <stdlib.h>

#include "storage/maildrop.h"
#include "tests/unit/storage/scratch.h"

static const struct {
	const char *location, *user, *home;
	const char *path;  /* NULL: refused */
	const char *says;
} rows[] = {
	{ "maildir:~/Maildir", "ann", "/home/ann", "/home/ann/Maildir", "" },
	{ "maildir:~", "ann", "/home/ann", "/home/ann", "" },
	{ "mbox:/var/mail/%u", "ann", "/home/ann", "/var/mail/ann", "" },
	{ "mbox:/var/mail/%u", "ann@example.org", "/x", "/var/mail/ann@example.org", "" },
	{ "maildir:/srv/%d/%n/Maildir", "ann@example.org", "/x", "/srv/example.org/ann/Maildir", "" },
	{ "maildir:/srv/%d/%n", "ann@b@c", "/x", "/srv/b@c/ann", "" },
	{ "maildir:/srv/%n", "ann", "/x", "/srv/ann", "" },
	{ "maildir:/srv/100%%/%u", "ann", "/x", "/srv/100%/ann", "" },
	{ "maildir:/srv/~ann", "ann", "/x", "/srv/~ann", "" },
	{ "maildir:/srv/%u///", "ann", "/x", "/srv/ann", "" },
	{ "maildir:/", "ann", "/x", "/", "" },
	{ "maildir:///", "ann", "/x", "/", "" },
	{ "maildir:/srv/%u", "..ann", "/x", "/srv/..ann", "" },
	{ "maildir:/srv/%u", "a%u", "/x", "/srv/a%u", "" },
	{ "maildir:~/Maildir", "ann", "/home/%u", "/home/%u/Maildir", "" },
	{ "mbox:/var/mail/%u/", "ann", "/x", NULL, "ends in /" },
	{ "maildir:/srv/%u", "", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%u", ".", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%u", "..", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%u", "../bob", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%u", "a/b", "/x", NULL, "lead elsewhere" },
	{ "maildir:~/Maildir", "a/b", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%n", "..@example.org", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%n", "@example.org", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%d", "ann@..", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%d", "ann@", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/%d/%n", "ann", "/x", NULL, "has none" },
	{ "maildir:/srv/.%n", ".x", "/x", "/srv/..x", "" },
	{ "maildir:/srv/%n./x", ".@b", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/.%d", "a@.", "/x", NULL, "lead elsewhere" },
	{ "maildir:/srv/../%u", "ann", "/x", NULL, ".." },
	{ "maildir:/srv/%u/..", "ann", "/x", NULL, ".." },
	{ "maildir:/srv/%x", "ann", "/x", NULL, "behind %" },
	{ "maildir:/srv/%", "ann", "/x", NULL, "behind %" },
	{ "maildir:Maildir", "ann", "/x", NULL, "begin with /" },
	{ "maildir:", "ann", "/x", NULL, "begin with /" },
	{ "maildir:~bob/Maildir", "ann", "/x", NULL, "begin with /" },
	{ "maildir:%u", "ann", "/x", NULL, "begin with /" },
	{ "maildir:~/Maildir", "ann", NULL, NULL, "has none" },
	{ "maildir:~/Maildir", "ann", "home", NULL, "has none" },
	{ "maildir:~/Maildir", "ann", "", NULL, "has none" },
	{ "/srv/%u", "ann", "/x", NULL, "maildir: or mbox:" },
	{ "Maildir:/srv/%u", "ann", "/x", NULL, "maildir: or mbox:" },
	{ "", "ann", "/x", NULL, "maildir: or mbox:" },
};

static void test_table(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct maildrop_place place;
		struct why why = { .reason = REASON_NONE };
		char label[160];
		(void)snprintf(label, sizeof label, "%s for %s", rows[i].location, rows[i].user);
		int r = maildrop_place_expand(rows[i].location, rows[i].user, rows[i].home, &place, &why);
		ROW_TEXT(label, r == 0 ? place.path : "(refused)", rows[i].path != NULL ? rows[i].path : "(refused)");
		ROW_ASSERT(label, why.reason == (rows[i].path != NULL ? REASON_NONE : REASON_MAILDROP_BROKEN));
		ROW_ASSERT(label, strstr(why.text, rows[i].says) != NULL);
	}
}

static void test_format(void)
{
	struct maildrop_place place;
	struct why why;
	CU_ASSERT(maildrop_place_expand("mbox:/m", "a", "/", &place, &why) == 0 && place.format == MAILDROP_MBOX);
	CU_ASSERT(maildrop_place_expand("maildir:/m", "a", "/", &place, &why) == 0 && place.format == MAILDROP_MAILDIR);
}

/* Without a user, the configuration check asks whether the pattern could work for anybody. */
static void test_pattern_only(void)
{
	static const struct {
		const char *location;
		int result;
	} patterns[] = {
		{ "maildir:~/Maildir", 0 }, { "mbox:/var/mail/%u", 0 }, { "maildir:/srv/%d/%n", 0 }, { "maildir:/srv/%q", -1 },
		{ "maildir:srv", -1 }, { "mbox:/var/mail/", -1 },
	};
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
		struct maildrop_place place;
		struct why why;
		ROW_ASSERT(patterns[i].location,
		           maildrop_place_expand(patterns[i].location, NULL, NULL, &place, &why) == patterns[i].result);
	}
}

/* The longest path that fits, and one octet more, wherever the text comes from. */
static void test_length(void)
{
	static const struct {
		const char *label, *location, *user, *home;
	} sources[] = {
		{ "user", "maildir:/%u", NULL, "/x" },
		{ "home", "maildir:~", "ann", NULL },
		{ "pattern", NULL, "ann", "/x" },
	};
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		for (size_t len = PATH_MAX - 1; len <= PATH_MAX; len++) {
			char *path = calloc(1, len + 1), *location = calloc(1, len + 20);
			struct maildrop_place place;
			struct why why;
			memset(path, 'x', len);
			path[0] = '/';
			(void)snprintf(location, len + 20, "maildir:%s", path);
			int r = maildrop_place_expand(sources[i].location != NULL ? sources[i].location : location,
			                              sources[i].user != NULL ? sources[i].user : path + 1,
			                              sources[i].home != NULL ? sources[i].home : path, &place, &why);
			ROW_ASSERT(sources[i].label, r == (len < PATH_MAX ? 0 : -1));
			ROW_ASSERT(sources[i].label, r != 0 || strcmp(place.path, path) == 0);
			ROW_ASSERT(sources[i].label, r == 0 || strstr(why.text, "location") != NULL);
			free(path);
			free(location);
		}
	}
}

/* A list of locations, cut one after the other. */
static void test_list(void)
{
	static const struct {
		const char *list, *cut[4];
	} lists[] = {
		{ "maildir:~/Maildir", { "maildir:~/Maildir" } },
		{ "maildir:~/Maildir mbox:/var/mail/%u", { "maildir:~/Maildir", "mbox:/var/mail/%u" } },
		{ "mbox:/a \t maildir:/b  mbox:/c", { "mbox:/a", "maildir:/b", "mbox:/c" } },
		{ "maildir:/my mail/%u mbox:/a b", { "maildir:/my mail/%u", "mbox:/a b" } },
		{ "maildir:/mbox:/x Maildir:/y", { "maildir:/mbox:/x Maildir:/y" } },
		{ "maildir:/a ", { "maildir:/a " } },
		{ " mbox:/a", { "", "mbox:/a" } },
		{ "x mbox:/a", { "x", "mbox:/a" } },
		{ "", { "" } },
	};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const char *rest = lists[i].list;
		size_t n = 0;
		char one[64];
		for (; rest != NULL && n < 4; n++) {
			rest = maildrop_location_cut(rest, one);
			ROW_TEXT(lists[i].list, one, lists[i].cut[n] != NULL ? lists[i].cut[n] : "(one more)");
		}
		ROW_ASSERT(lists[i].list, n == 4 || lists[i].cut[n] == NULL);
	}
}

/* Only what is known not to exist is absent; and where the way leads, the name of it is the same whether it is there or not. */
static void test_absent(void)
{
	static const struct {
		const char *path;
		bool absent;
	} places[] = {
		{ "there", false }, { "file", false }, { "link", false }, { "dangling", false }, { "round/x", false }, { "file/x", false },
		{ "none", true }, { "none/x", true }, { "there/none", true }, { "link/none", true }, { "dangling/x", true },
	};
	struct maildrop_place place = { .format = MAILDROP_MAILDIR }, same = { .format = MAILDROP_MAILDIR };
	char key[MAILDROP_KEY + 1], other[MAILDROP_KEY + 1];
	struct why why;
	scratch_open();
	make_dir("there");
	put("file", "x");
	CU_ASSERT(symlink("there", in_scratch("link")) == 0 && symlink("nowhere", in_scratch("dangling")) == 0 && symlink("round", in_scratch("round")) == 0);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(place.path, sizeof place.path, "%s", in_scratch(places[i].path));
		ROW_ASSERT(places[i].path, maildrop_is_absent(&place) == places[i].absent);
	}
	(void)snprintf(place.path, sizeof place.path, "%s", in_scratch("link/ann/Maildir"));
	(void)snprintf(same.path, sizeof same.path, "%s", in_scratch("there/ann/Maildir"));
	maildrop_key(&place, key);
	maildrop_key(&same, other);
	ROW_TEXT("below a link, not there", key, other);
	const struct maildrop_trace none = { .count = 0 }, two = { .count = 2 };
	CU_ASSERT(maildrop_check_mounted(place.path, &none, &why) == 0);
	CU_ASSERT(maildrop_check_mounted(place.path, &two, &why) == -1 && why.reason == REASON_MAILDROP_IO && strstr(why.text, "/link/ann, where mail was at the last login, 2 messages") != NULL);
	make_dir("there/ann");
	maildrop_key(&place, other);
	ROW_TEXT("and there", other, key);
	CU_ASSERT(maildrop_check_mounted(place.path, &two, &why) == 0);
	scratch_close();
}

/* The directory that it was in is there, or another: only one that is another on another device is a mount point without its file system. */
static void test_mounted(void)
{
	struct why why;
	struct stat st;
	scratch_open();
	const struct maildrop_place place = place_in_scratch(MAILDROP_MBOX, "mbox");
	CU_ASSERT_FATAL(maildrop_stat_directory(place.path, &st) == 0);
	const struct {
		const char *label;
		struct maildrop_trace trace;
		bool mounted;
	} cases[] = {
		{ "the same", { 2, st.st_dev, st.st_ino }, true }, { "made anew", { 2, st.st_dev, st.st_ino + 1 }, true },
		{ "the device has another number", { 2, st.st_dev + 1, st.st_ino }, true }, { "another", { 2, st.st_dev + 1, st.st_ino + 1 }, false },
		{ "another, and there was no mail", { 0, st.st_dev + 1, st.st_ino + 1 }, true }, { "not known", { 2, 0, 0 }, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		why.text[0] = '\0';
		ROW_ASSERT(cases[i].label, (maildrop_check_mounted(place.path, &cases[i].trace, &why) == 0) == cases[i].mounted);
		ROW_ASSERT(cases[i].label, cases[i].mounted || (why.reason == REASON_MAILDROP_IO && strstr(why.text, "/mbox, which had 2 messages at the last login") != NULL));
	}
	CU_ASSERT(maildrop_stat_directory("/mbox", &st) == 0 && maildrop_stat_directory("/no such/mbox", &st) == -1);
	scratch_close();
}

#define TESTS(X) X(test_table) X(test_format) X(test_pattern_only) X(test_length) X(test_list) X(test_absent) X(test_mounted)
SUITE("place")
