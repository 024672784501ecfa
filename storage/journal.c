/*
 * journal.c - the content of a journal: records, written whole or not at all.
 * Runs in: keeper, as the mail's owner; `postern recover`. Trusts: nothing in the journal.
 */
#include "storage/journal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

static const char magic[8] = "postern1", aside[8] = "aside  1";

/* Read on the host that wrote it, so numbers are as the processor has them. */
struct record {
	char magic[sizeof magic];
	struct journal_plan plan;
	uint64_t length;                       /* of the octets behind this */
	char path[PATH_MAX];
	struct digest check;                   /* of all above but the magic */
};

static struct digest check_record(const struct record *r)
{
	struct digest_state s;
	digest_begin(&s, 0);
	digest_add(&s, &r->plan, offsetof(struct record, check) - offsetof(struct record, plan));
	return digest_so_far(&s);
}

static int failed(const struct journal *j, const char *what, struct why *why_r)
{
	return why_errno(why_r, errno, "%s the journal of %s", what, j->path);
}

/* ---- reading ---- */

static bool is_whole(const struct record *r)
{
	bool marked = memcmp(r->magic, magic, sizeof magic) == 0 || memcmp(r->magic, aside, sizeof aside) == 0;
	return marked && digest_same(check_record(r), r->check) && memchr(r->path, '\0', sizeof r->path) != NULL &&
		r->plan.cut <= r->plan.size && r->plan.kept < r->plan.size - r->plan.cut && r->plan.edge <= r->plan.size - r->plan.cut - r->plan.kept;
}

/* Octets into a digest: 1, 0 when they are not all there, or -1. */
static int digest_octets(struct journal *j, struct digest_state *s, uint64_t at, uint64_t length, char *buffer, struct why *why_r)
{
	while (length > 0) {
		ssize_t n = io_read_at(j->fd, buffer, length < JOURNAL_BUFFER ? (size_t)length : JOURNAL_BUFFER, at);
		if (n < 0)
			return failed(j, "read", why_r);
		if (n == 0)
			return 0;
		digest_add(s, buffer, (size_t)n);
		at += (uint64_t)n;
		length -= (uint64_t)n;
	}
	return 1;
}

/* Are the octets behind a record whole? 1 with those to keep added to j->tail, 0, or -1. */
static int read_octets(struct journal *j, const struct record *r, char *buffer, struct why *why_r)
{
	const uint64_t at = j->end + sizeof *r;
	int there = digest_octets(j, &j->tail, at, r->length, buffer, why_r);
	if (there <= 0 || !digest_same(digest_so_far(&j->tail), r->plan.tail))
		return there < 0 ? -1 : 0;
	struct digest_state edges;
	digest_begin(&edges, r->plan.seed);
	there = digest_octets(j, &edges, at + r->length, r->plan.edge, buffer, why_r);
	return there <= 0 ? there : digest_same(digest_so_far(&edges), r->plan.edges);
}

/* The record at j->end: 1 when it is whole, 0, or -1. */
static int read_record(struct journal *j, char *buffer, struct why *why_r)
{
	struct record r;
	ssize_t n = io_read_at(j->fd, (char *)&r, sizeof r, j->end);
	if (n < 0)
		return failed(j, "read", why_r);
	if (n < (ssize_t)sizeof r || !is_whole(&r) || r.length > r.plan.kept)
		return 0;
	const struct digest_state before = j->tail;
	if (j->end == 0)
		digest_begin(&j->tail, r.plan.seed);
	int whole = read_octets(j, &r, buffer, why_r);
	if (whole <= 0) {
		j->tail = before;
		return whole;
	}
	if (j->end == 0)
		j->state = memcmp(r.magic, aside, sizeof aside) == 0 ? JOURNAL_SET_ASIDE : JOURNAL_WHOLE;
	j->plan = r.plan;
	memcpy(j->path, r.path, sizeof j->path);
	j->end += sizeof r + r.length + r.plan.edge;
	digest_begin(&j->edges, r.plan.seed);
	return 1;
}

int journal_read(struct journal *j, int fd, struct why *why_r)
{
	struct stat st = { 0 };
	*j = (struct journal){ .fd = fd, .state = JOURNAL_EMPTY };
	if (fd >= 0 && fstat(fd, &st) != 0)
		return failed(j, "read", why_r);
	if (st.st_size == 0)
		return 0;
	char *buffer = malloc(JOURNAL_BUFFER);
	if (buffer == NULL)
		return why_set(why_r, REASON_NO_MEMORY, ENOMEM, "read a journal");
	int r;
	while ((r = read_record(j, buffer, why_r)) > 0)
		;
	free(buffer);
	if (j->state == JOURNAL_EMPTY)
		j->state = JOURNAL_TORN;
	return r;
}

int journal_kept(const struct journal *j, char *buffer, journal_put *put, void *context, struct why *why_r)
{
	uint64_t done = 0, at = 0;
	while (at < j->end) {
		struct record r;
		if (io_read_at(j->fd, (char *)&r, sizeof r, at) != (ssize_t)sizeof r)
			return failed(j, "read", why_r);
		at += sizeof r;
		for (uint64_t left = r.length; left > 0;) {
			ssize_t n = io_read_at(j->fd, buffer, left < JOURNAL_BUFFER ? (size_t)left : JOURNAL_BUFFER, at);
			if (n <= 0)
				return failed(j, "read", why_r);
			if (put(context, buffer, (size_t)n, done, why_r) != 0)
				return -1;
			at += (uint64_t)n;
			done += (uint64_t)n;
			left -= (uint64_t)n;
		}
		at += r.plan.edge;
	}
	return 0;
}

int journal_edge(const struct journal *j, uint64_t at, size_t len, char *edge_r, struct why *why_r)
{
	return io_read_at(j->fd, edge_r, len, j->end - j->plan.edge + at) != (ssize_t)len ? failed(j, "read", why_r) : 0;
}

/* ---- writing ---- */

void journal_begin(struct journal *j, const char *path, uint64_t seed)
{
	(void)snprintf(j->path, sizeof j->path, "%s", path);
	digest_begin(&j->tail, seed);
	digest_begin(&j->edges, seed);
	j->added = j->edged = 0;
}

int journal_add(struct journal *j, const char *octets, size_t len, struct why *why_r)
{
	const uint64_t at = j->end + sizeof(struct record) + j->added;
	if (io_write_at(j->fd, octets, len, at) != 0)
		return failed(j, "write", why_r);
	io_start_writing(j->fd, len, at);
	digest_add(&j->tail, octets, len);
	j->added += len;
	return 0;
}

int journal_add_edge(struct journal *j, const char *octets, size_t len, struct why *why_r)
{
	const uint64_t at = j->end + sizeof(struct record) + j->added + j->edged;
	if (io_write_at(j->fd, octets, len, at) != 0)
		return failed(j, "write", why_r);
	digest_add(&j->edges, octets, len);
	j->edged += len;
	return 0;
}

static int sync_all(struct journal *j, struct why *why_r)
{
	return fsync(j->fd) != 0 ? failed(j, "write", why_r) : 0;
}

int journal_sync(struct journal *j, char *buffer, struct why *why_r)
{
	for (uint64_t at = 0; at < j->end;) {
		const size_t n = j->end - at < JOURNAL_BUFFER ? (size_t)(j->end - at) : JOURNAL_BUFFER;
		if (io_read_at(j->fd, buffer, n, at) != (ssize_t)n)
			return failed(j, "read", why_r);
		if (io_write_at(j->fd, buffer, n, at) != 0)
			return failed(j, "write", why_r);
		at += n;
	}
	return sync_all(j, why_r);
}

int journal_seal(struct journal *j, struct journal_plan *plan, struct why *why_r)
{
	struct record r;
	memset(&r, 0, sizeof r);
	plan->tail = digest_so_far(&j->tail);
	plan->edge = j->edged;
	plan->edges = digest_so_far(&j->edges);
	memcpy(r.magic, magic, sizeof r.magic);
	r.plan = *plan;
	r.length = j->added;
	memcpy(r.path, j->path, strlen(j->path));
	r.check = check_record(&r);
	if (io_write_at(j->fd, (const char *)&r, sizeof r, j->end) != 0)
		return failed(j, "write", why_r);
	if (sync_all(j, why_r) != 0)
		return -1;
	j->end += sizeof r + r.length + plan->edge;
	j->added = j->edged = 0;
	digest_begin(&j->edges, plan->seed);
	j->plan = *plan;
	j->state = JOURNAL_WHOLE;
	return 0;
}

int journal_path(int fd, char path_r[PATH_MAX])
{
	struct record r;
	if (io_read_at(fd, (char *)&r, sizeof r, 0) != (ssize_t)sizeof r || !is_whole(&r))
		return -1;
	memcpy(path_r, r.path, sizeof r.path);
	return 0;
}

int journal_is_aside(int fd)
{
	char begin[sizeof aside];
	ssize_t n = io_read_at(fd, begin, sizeof begin, 0);
	if (n < 0)
		return -1;
	return n == (ssize_t)sizeof begin && memcmp(begin, aside, sizeof begin) == 0;
}

int journal_clear(struct journal *j, struct why *why_r)
{
	if (ftruncate(j->fd, 0) != 0 || fsync(j->fd) != 0)
		return failed(j, "empty", why_r);
	j->state = JOURNAL_EMPTY;
	j->end = 0;
	return 0;
}

int journal_set_aside(struct journal *j, struct why *why_r)
{
	if (io_write_at(j->fd, aside, sizeof aside, 0) != 0 || fsync(j->fd) != 0)
		return failed(j, "mark", why_r);
	j->state = JOURNAL_SET_ASIDE;
	return 0;
}
