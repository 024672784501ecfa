/*
 * journal.c - the content of a journal: records, written whole or not at all.
 * Runs in: keeper, as the mail's owner; `postern recover`. Trusts: nothing in the journal.
 */
#include "storage/journal.h"

#include <errno.h>
#include <stddef.h>
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
	unsigned char check[JOURNAL_HASH];     /* of all above but the magic */
};

static void hash_record(const struct record *r, unsigned char hash_r[JOURNAL_HASH])
{
	const unsigned char *from = (const unsigned char *)&r->plan;
	(void)crypto_generichash(hash_r, JOURNAL_HASH, from, offsetof(struct record, check) - offsetof(struct record, plan), NULL, 0);
}

static int failed(const struct journal *j, const char *what, struct why *why_r)
{
	return why_errno(why_r, errno, "%s the journal of %s", what, j->path);
}

/* ---- reading ---- */

static bool is_whole(const struct record *r)
{
	unsigned char check[JOURNAL_HASH];
	hash_record(r, check);
	return memcmp(check, r->check, sizeof check) == 0 && memchr(r->path, '\0', sizeof r->path) != NULL &&
		r->plan.cut <= r->plan.size && r->plan.kept < r->plan.size - r->plan.cut;
}

/* The octets behind the record at j->end: 1 with the hash of all octets so far, 0 when they are not all there, or -1. */
static int hash_octets(const struct journal *j, uint64_t length, char *buffer, crypto_generichash_state *hash, struct why *why_r)
{
	for (uint64_t at = j->end + sizeof(struct record); length > 0;) {
		ssize_t n = io_read_at(j->fd, buffer, length < JOURNAL_BUFFER ? (size_t)length : JOURNAL_BUFFER, at);
		if (n < 0)
			return failed(j, "read", why_r);
		if (n == 0)
			return 0;
		(void)crypto_generichash_update(hash, (const unsigned char *)buffer, (size_t)n);
		at += (uint64_t)n;
		length -= (uint64_t)n;
	}
	return 1;
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
	crypto_generichash_state so_far = j->tail, all;
	unsigned char tail[JOURNAL_HASH];
	int there = hash_octets(j, r.length, buffer, &so_far, why_r);
	if (there <= 0)
		return there;
	all = so_far;
	(void)crypto_generichash_final(&all, tail, sizeof tail);
	if (memcmp(tail, r.plan.tail, sizeof tail) != 0)
		return 0;
	j->tail = so_far;
	j->plan = r.plan;
	memcpy(j->path, r.path, sizeof j->path);
	j->end += sizeof r + r.length;
	if (memcmp(r.magic, magic, sizeof magic) == 0)
		j->state = j->state == JOURNAL_SET_ASIDE ? JOURNAL_SET_ASIDE : JOURNAL_WHOLE;
	else if (memcmp(r.magic, aside, sizeof aside) == 0)
		j->state = JOURNAL_SET_ASIDE;
	return 1;
}

int journal_read(struct journal *j, int fd, struct why *why_r)
{
	struct stat st = { 0 };
	*j = (struct journal){ .fd = fd, .state = JOURNAL_EMPTY };
	(void)crypto_generichash_init(&j->tail, NULL, 0, JOURNAL_HASH);
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
	}
	return 0;
}

/* ---- writing ---- */

int journal_add(struct journal *j, const char *octets, size_t len, struct why *why_r)
{
	if (io_write_at(j->fd, octets, len, j->end + sizeof(struct record) + j->added) != 0)
		return failed(j, "write", why_r);
	(void)crypto_generichash_update(&j->tail, (const unsigned char *)octets, len);
	j->added += len;
	return 0;
}

int journal_seal(struct journal *j, struct journal_plan *plan, const char *path, struct why *why_r)
{
	struct record r;
	crypto_generichash_state all = j->tail;
	memset(&r, 0, sizeof r);
	(void)crypto_generichash_final(&all, plan->tail, sizeof plan->tail);
	memcpy(r.magic, magic, sizeof r.magic);
	r.plan = *plan;
	r.length = j->added;
	memcpy(r.path, path, strnlen(path, sizeof r.path - 1));
	hash_record(&r, r.check);
	memcpy(j->path, r.path, sizeof j->path);
	if (io_write_at(j->fd, (const char *)&r, sizeof r, j->end) != 0 || fsync(j->fd) != 0)
		return failed(j, "write", why_r);
	j->end += sizeof r + r.length;
	j->added = 0;
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
