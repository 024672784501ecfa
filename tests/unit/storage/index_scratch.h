/*
 * index_scratch.h - maildrops opened with an index and without, beside each other.
 * Runs in: the tests. Trusts: nothing.
 *
 * The clock is ahead of the files' stamps, so that they look old; tick() lets the file system's clock go on.
 */
#ifndef POSTERN_INDEX_SCRATCH_H
#define POSTERN_INDEX_SCRATCH_H

#include <time.h>

#include "tests/unit/storage/scratch.h"

enum { CLOCK_AHEAD = 60 };

static struct index_files index_files = { .write_fd = -1, .read_fd = -1 };

time_t time(time_t *to)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (to != NULL)
		*to = now.tv_sec;
	return now.tv_sec;
}

/* The next change has other stamps than the last. */
static inline void tick(void)
{
	struct stat before, after;
	put("tick", "");
	CU_ASSERT_FATAL(stat(in_scratch("tick"), &before) == 0);
	do {
		put("tick", "x");
		CU_ASSERT_FATAL(stat(in_scratch("tick"), &after) == 0);
	} while (before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

static inline void index_close(void)
{
	if (index_files.write_fd >= 0)
		(void)close(index_files.write_fd);
	if (index_files.read_fd >= 0)
		(void)close(index_files.read_fd);
	index_files = NO_INDEX;
}

/* The index file, as root would open it; made when it is missing. */
static inline void index_reopen(void)
{
	index_close();
	index_files.write_fd = open(in_scratch("index"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	index_files.read_fd = open(in_scratch("index"), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(index_files.write_fd >= 0 && index_files.read_fd >= 0);
}

static inline struct maildrop *open_indexed(enum maildrop_format format, const char *name, bool with, struct why *why_r)
{
	struct maildrop_place place = place_in_scratch(format, name);
	struct maildrop_options options = default_options();
	struct maildrop *drop = NULL;
	if (with) {
		options.index = &index_files;
	}
	*why_r = (struct why){ .reason = REASON_NONE };
	(void)maildrop_open(&place, &options, &drop, why_r);
	return drop;
}

/* What clients see of a list, as text; to be freed. */
static inline char *list_text(const struct maildrop *drop)
{
	size_t size = 1, len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	CU_ASSERT_FATAL(out != NULL);
	for (size_t i = 0; i < maildrop_count(drop); i++) {
		struct message_record record;
		maildrop_record(drop, i, &record);
		(void)fprintf(out, "%zu %ju %s\n", i + 1, (uintmax_t)record.octets, record.uidl);
	}
	(void)len;
	(void)fclose(out);
	return text;
}

/* Is the list with the index the one without? Then what the index file holds is what the gate is given. */
static inline bool lists_agree(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *without = open_indexed(format, name, false, &why), *with = open_indexed(format, name, true, &why);
	bool same = without != NULL && with != NULL;
	if (same) {
		char *a = list_text(without), *b = list_text(with);
		same = strcmp(a, b) == 0;
		if (!same)
			(void)fprintf(stderr, "row \"%s\": without:\n%swith:\n%s", label, a, b);
		free(a);
		free(b);
		const struct maildrop_list list = maildrop_list(with);
		if (same && list.fd >= 0) {
			char *octets = malloc(list.size);
			same = octets != NULL && pread(list.fd, octets, list.size, (off_t)list.offset) == (ssize_t)list.size &&
				memcmp(octets, list.image, list.size) == 0;
			free(octets);
		}
	}
	if (!same)
		(void)fprintf(stderr, "row \"%s\": the lists differ: %s\n", label, why.text);
	maildrop_close(&without);
	maildrop_close(&with);
	return same;
}

#endif
