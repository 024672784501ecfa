/*
 * history.c - the rings of records in their files.
 * Runs in: recorder, with the rights of the gates' user; the postern command, as root.
 * Trusts: nothing in the files: a record is used only when it is whole.
 */
#include "daemon/history.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

enum {
	REFS_AHEAD = 4096,     /* the counter is written this much ahead, so that a crash repeats none */
	READ_AT_ONCE = 16,     /* records */
};

/* The head takes the place of one record. */
struct head {
	uint32_t format;
	uint32_t key;          /* of the references; in every ring the first one's counts */
	uint64_t room, next;
	uint64_t next_ref;
};

static const char *const names[HISTORY_KINDS] = {
	[HISTORY_GUESS] = "guesses", [HISTORY_FAILURE] = "failures", [HISTORY_SESSION] = "sessions",
};

static uint64_t offset_of(uint64_t slot)
{
	return (1 + slot) * HISTORY_RECORD;
}

static int write_head(const struct history *h, const struct history_ring *ring)
{
	const struct head head = { .format = HISTORY_FORMAT, .key = h->key, .room = ring->room, .next = ring->next,
	                           .next_ref = h->next_ref + REFS_AHEAD };
	return io_write_at(ring->fd, (const char *)&head, sizeof head, 0);
}

/* False when there is no head, or none of ours. */
static bool read_head(const struct history_ring *ring, struct head *head_r)
{
	return io_read_at(ring->fd, (char *)head_r, sizeof *head_r, 0) == (ssize_t)sizeof *head_r &&
		head_r->format == HISTORY_FORMAT && head_r->room > 0 && head_r->room <= UINT32_MAX;
}

/* Go on where the ring's head says that somebody was. False when there is no head. */
static bool resume(struct history *h, struct history_ring *ring)
{
	struct head head;
	if (!read_head(ring, &head))
		return false;
	ring->room = head.room;
	ring->next = head.next;
	h->key = head.key;
	h->next_ref = head.next_ref > h->next_ref ? head.next_ref : h->next_ref;
	return true;
}

static int open_ring(struct history *h, struct history_ring *ring, const char *path, uint64_t room, bool write)
{
	ring->fd = open(path, (write ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (ring->fd < 0)
		return -1;
	const bool there = resume(h, ring);
	if (there && (!write || ring->room == room))
		return 0;
	if (!write) {
		errno = EINVAL;
		return -1;
	}
	ring->room = room;
	ring->next = 0;
	return ftruncate(ring->fd, 0);
}

void history_resume(struct history *h)
{
	for (int i = 0; i < HISTORY_KINDS; i++)
		if (h->rings[i].fd >= 0)
			(void)resume(h, &h->rings[i]);
}

int history_open(struct history *h, const char *directory, uint64_t room, bool write, const char **path_r)
{
	static char path[PATH_MAX];
	*h = NO_HISTORY;
	*path_r = path;
	if (write && getrandom(&h->key, sizeof h->key, 0) != (ssize_t)sizeof h->key)
		return -1;
	for (int i = 0; i < HISTORY_KINDS; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		if (open_ring(h, &h->rings[i], path, room, write) != 0)
			return -1;
	}
	for (int i = 0; write && i < HISTORY_KINDS; i++)
		if (write_head(h, &h->rings[i]) != 0)
			return -1;
	return 0;
}

void history_close(struct history *h)
{
	for (int i = 0; i < HISTORY_KINDS; i++)
		if (h->rings[i].fd >= 0)
			(void)close(h->rings[i].fd);
	*h = NO_HISTORY;
}

void history_add(struct history *h, const struct history_record *record)
{
	char slot[HISTORY_RECORD] = { 0 };
	struct history_ring *ring = &h->rings[record->kind];
	if (ring->fd < 0)
		return;
	memcpy(slot, record, sizeof *record);
	/* A disk without room costs the record and nothing else. */
	if (io_write_at(ring->fd, slot, sizeof slot, offset_of(ring->next % ring->room)) == 0) {
		ring->next++;
		(void)write_head(h, ring);
	}
}

uint32_t history_take_ref(struct history *h)
{
	uint64_t n = h->next_ref++;
	if (n % REFS_AHEAD == 0)
		for (int i = 0; i < HISTORY_KINDS; i++)
			if (h->rings[i].fd >= 0)
				(void)write_head(h, &h->rings[i]);
	return ref_of_failure(n, h->key);
}

/* ---- looking things up ---- */

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool history_is_whole(const struct history_record *r, uint32_t kind)
{
	return r->format == HISTORY_FORMAT && r->kind == kind && ends(r->role, sizeof r->role) && ends(r->user, sizeof r->user) &&
		ends(r->peer, sizeof r->peer) && ends(r->reply, sizeof r->reply) && ends(r->reason, sizeof r->reason) &&
		ends(r->place, sizeof r->place) && ends(r->text, sizeof r->text) && ends(r->told, sizeof r->told);
}

static bool matches(const struct history_record *r, const struct history_query *q)
{
	return (q->ref == REF_NONE || r->ref == q->ref) && r->when_ms >= q->since_ms &&
		(q->uid == HISTORY_NOBODY || r->uid == q->uid) && (q->user[0] == '\0' || strcmp(r->user, q->user) == 0);
}

static int find_in(const struct history_ring *ring, int kind, const struct history_query *query,
                   int (*found)(void *context, const struct history_record *record), void *context)
{
	char slots[READ_AT_ONCE][HISTORY_RECORD];
	struct history_record record;
	struct head head;
	struct stat st;
	if (ring->fd < 0 || !read_head(ring, &head) || fstat(ring->fd, &st) != 0)
		return 0;
	/* The head may name more room than a lifetime is enough to look through; the file has what it has. */
	const uint64_t there = (uint64_t)st.st_size / HISTORY_RECORD;
	const uint64_t kept = head.next < head.room ? head.next : head.room;
	for (uint64_t i = head.next - kept, n; i < head.next; i += n) {
		const uint64_t slot = i % head.room;
		/* A file that was cut off lacks some, but perhaps not those that come next: in the first slot. */
		const uint64_t most = slot + 1 < there ? READ_AT_ONCE : head.room;
		n = head.next - i < most ? head.next - i : most;
		n = head.room - slot < n ? head.room - slot : n;
		if (slot + 1 >= there)
			continue;
		const ssize_t got = io_read_at(ring->fd, slots[0], n * HISTORY_RECORD, offset_of(slot));
		for (ssize_t j = 0; j < got / HISTORY_RECORD; j++) {
			memcpy(&record, slots[j], sizeof record);
			if (history_is_whole(&record, (uint32_t)kind) && matches(&record, query) && found(context, &record) != 0)
				return -1;
		}
	}
	return 0;
}

void history_find(const struct history *h, const struct history_query *query,
                  int (*found)(void *context, const struct history_record *record), void *context)
{
	for (int kind = 0; kind < HISTORY_KINDS; kind++)
		if (query->kinds >> kind & 1 && find_in(&h->rings[kind], kind, query, found, context) != 0)
			return;
}
