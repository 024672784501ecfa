/*
 * model_maildir.h - what other programs do to a Maildir, at random.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_MODEL_MAILDIR_H
#define POSTERN_MODEL_MAILDIR_H

#include "tests/unit/storage/model.h"

enum { NAMES_MAX = 24 };

static char names[NAMES_MAX][64];  /* "cur/1.a:2,S"; "": none */

static inline const char *at(const char *name)
{
	static char paths[2][80];
	static unsigned turn;
	char *path = paths[turn++ % 2];
	(void)snprintf(path, sizeof paths[0], "M/%.64s", name);
	return path;
}

static inline char *any_name(void)
{
	for (unsigned i = pick(NAMES_MAX), tries = 0; tries < NAMES_MAX; i = (i + 1) % NAMES_MAX, tries++)
		if (names[i][0] != '\0')
			return names[i];
	return NULL;
}

static inline const char *any_text(void)
{
	static char text[512];
	(void)snprintf(text, sizeof text, "Subject: %u\n\n%.*s%s", pick(1000), (int)pick(300),
	               "x\nyy\nzzz\r\n.\n..\nlong line of text\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", pick(2) == 0 ? "\n" : "");
	return text;
}

/* As they are; W may be wrong, or S; or none. */
static inline const char *any_sizes(const char *text)
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

static inline void md_deliver(void)
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

static inline void md_rename(void)
{
	char *name = any_name(), to[64];
	if (name == NULL)
		return;
	const char *base = name + 4;
	(void)snprintf(to, sizeof to, "cur/%.*s:2,%s", (int)strcspn(base, ":") % 50, base, pick(2) == 0 ? "S" : "RS");
	CU_ASSERT(rename(in_scratch(at(name)), in_scratch(at(to))) == 0);
	memcpy(name, to, sizeof to);
}

static inline void md_remove(void)
{
	char *name = any_name();
	if (name == NULL)
		return;
	CU_ASSERT(unlink(in_scratch(at(name))) == 0);
	name[0] = '\0';
}

/* Often the file system gives the new file the old one's inode. */
static inline void md_replace(void)
{
	char *name = any_name();
	if (name == NULL)
		return;
	CU_ASSERT(unlink(in_scratch(at(name))) == 0);
	put(at(name), any_text());
}

static inline void md_overwrite(void)
{
	char *name = any_name();
	if (name != NULL)
		put(at(name), any_text());
}

/* Lines come and go, and neither size nor mtime tells. */
static inline void md_hide(void)
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

static inline void md_oddity(void)
{
	char name[64];
	(void)snprintf(name, sizeof name, "M/cur/odd%u", ++made);
	if (pick(2) == 0)
		make_dir(name);
	else
		CU_ASSERT(symlink("/etc/passwd", in_scratch(name)) == 0);
}

static inline void md_begin(void)
{
	make_dir("M");
	make_dir("M/new");
	make_dir("M/cur");
	memset(names, 0, sizeof names);
	for (unsigned i = pick(8); i > 0; i--)
		md_deliver();
}

#endif
