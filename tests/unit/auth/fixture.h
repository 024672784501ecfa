/*
 * fixture.h - a directory of its own for each test, and the files in it.
 * Runs in: the tests.
 */
#ifndef POSTERN_TEST_AUTH_FIXTURE_H
#define POSTERN_TEST_AUTH_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

enum { FINDING_MAX = 32, FINDING_TEXT = 512 };

static char fixture[64];  /* the directory */

static inline void fixture_make(void)
{
	(void)snprintf(fixture, sizeof fixture, "/tmp/postern-test.XXXXXX");
	if (mkdtemp(fixture) == NULL)
		abort();
}

/* NAME inside the directory; good until the fourth call after it. */
static inline const char *fixture_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static size_t next;
	char *path = paths[next++ % 4];
	(void)snprintf(path, PATH_MAX, "%s/%s", fixture, name);
	return path;
}

static inline void fixture_remove(void)
{
	char path[PATH_MAX];
	DIR *directory = opendir(fixture);
	if (directory == NULL)
		abort();
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		(void)snprintf(path, sizeof path, "%s/%s", fixture, entry->d_name);
		(void)unlink(path);
		(void)rmdir(path);
	}
	(void)closedir(directory);
	if (rmdir(fixture) < 0)
		abort();
}

/* Write a file, and make it an hour old, so that nobody waits for it to settle. */
static inline void fixture_write_sized(const char *name, const char *octets, size_t len, mode_t mode)
{
	const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	int fd = open(fixture_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, octets, len) != (ssize_t)len || fchmod(fd, mode) < 0 || futimens(fd, old) < 0)
		abort();
	(void)close(fd);
}

static inline void fixture_write(const char *name, const char *text, mode_t mode)
{
	fixture_write_sized(name, text, strlen(text), mode);
}

/* Valgrind makes vfork(2) a fork(2), and cannot live with a small RLIMIT_AS. */
static inline bool is_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");
	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static inline struct secret secret_of(const char *text)
{
	struct secret s;
	if (secret_set(&s, text, strlen(text)) < 0)
		abort();
	return s;
}

/* What a check() found. */
struct findings {
	size_t count;
	char text[FINDING_MAX][FINDING_TEXT];
};

static inline void findings_add(void *context, const char *text)
{
	struct findings *findings = context;
	if (findings->count < FINDING_MAX)
		(void)snprintf(findings->text[findings->count], FINDING_TEXT, "%s", text);
	findings->count++;
}

/* How many findings say so. */
static inline unsigned findings_with(const struct findings *findings, const char *part)
{
	unsigned n = 0;
	for (size_t i = 0; i < findings->count && i < FINDING_MAX; i++)
		n += strstr(findings->text[i], part) != NULL;
	return n;
}

#endif
