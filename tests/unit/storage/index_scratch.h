/*
 * index_scratch.h - maildrops opened with an index and without, beside each other.
 * Runs in: the tests. Trusts: nothing.
 *
 * The clock is ahead of the files' stamps, so that they look old; tick() lets the file system's clock go on.
 */
#ifndef POSTERN_INDEX_SCRATCH_H
#define POSTERN_INDEX_SCRATCH_H

#include <time.h>

#include "storage/index.h"
#include "tests/unit/storage/scratch.h"

enum { CLOCK_AHEAD = 60, LARGE_MESSAGE = 70 * 1024 /* not part of a sample */ };

static struct index_files index_files = { .write_fd = -1, .read_fd = -1, .directory = "" };

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

/* A name that was another message's before has a hash for its unique-id, an equal message a number, which only the index knows. */
static bool index_knows_more;

static inline bool may_differ(const char *without, const char *with)
{
	const size_t digits = strspn(with, "0123456789abcdef");
	return digits == 32 && (with[32] == '\0' || (with[32] == '-' && strncmp(without, with, 32) == 0));
}

static inline bool same_but_hashes(const struct maildrop *without, const struct maildrop *with)
{
	bool same = maildrop_count(without) == maildrop_count(with);
	for (size_t i = 0; same && i < maildrop_count(with); i++) {
		struct message_record a, b;
		maildrop_record(without, i, &a);
		maildrop_record(with, i, &b);
		/* And a size that only a name says is the index's as soon as it is known; without, each login looks at some. */
		same = (a.octets == b.octets || maildrop_is_unopened(without, i) || maildrop_is_unopened(with, i)) && (strcmp(a.uidl, b.uidl) == 0 || may_differ(a.uidl, b.uidl));
	}
	return same;
}

/* Is the list with the index the one without? Then what the index file holds is what the gate is given. */
static inline bool lists_agree(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *without = open_indexed(format, name, false, &why), *with = open_indexed(format, name, true, &why);
	bool same = without != NULL && with != NULL;
	if (same) {
		char *a = list_text(without), *b = list_text(with);
		same = strcmp(a, b) == 0 || (index_knows_more && same_but_hashes(without, with));
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

/* ---- one test's maildrop ---- */

static inline struct maildrop *with_index(const char *label, enum maildrop_format format, const char *name)
{
	struct why why;
	struct maildrop *drop = open_indexed(format, name, true, &why);
	if (drop == NULL)
		(void)fprintf(stderr, "row \"%s\": %s\n", label, why.text);
	CU_ASSERT_FATAL(drop != NULL);
	return drop;
}

static inline void begin(void)
{
	faults_clear();
	faults_clock_ms = CLOCK_AHEAD * 1000;
	scratch_open();
	index_reopen();
}

static inline void end(void)
{
	index_close();
	scratch_close();
	faults_clock_ms = 0;
}

static inline void make_maildir(unsigned count)
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
static inline unsigned calls_of(enum fault_call call, enum maildrop_format format, const char *name)
{
	faults_clear();
	struct maildrop *drop = with_index("calls", format, name);
	const unsigned calls = faults[call].calls;
	maildrop_close(&drop);
	return calls;
}

static inline void put_mbox(unsigned messages, size_t size)
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

static inline void change_in_place(const char *name, const char *what, const char *with)
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

#endif
