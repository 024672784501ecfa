/*
 * mbox_index.c - the list of an mbox's messages: by the index where that can be believed, else by reading the file.
 * Runs in: keeper, as the mail's owner, with the host's locks held. Trusts: nothing in the maildrop; an index as far as the
 * file's stamps or a sample of its messages bear it out. docs/design.md (The index) says why that is enough.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/file_system.h"
#include "storage/mbox.h"

enum {
	FRESH_SECONDS = 2,             /* more than the grain of any file system's clock */
	SAMPLED_MIN = 256 * 1024,      /* a smaller file is read when there is any doubt */
	SAMPLE_ALL = 64,               /* messages up to which each is looked at; else */
	SAMPLE_LAST = 16,              /* so many of the newest, */
	SAMPLE_RANDOM = 32,            /* and of all, and the first */
	SAMPLE_OCTETS = 64 * 1024,     /* larger messages are not */
	NUMBER_BY_LOOKING = 16,        /* new messages up to which each is held against all */
};

/* The file as the index knows it. */
struct mbox_left {
	uint64_t dev, ino, size;
	struct timespec modified, changed;
	uint64_t next, beyond;         /* as in struct mbox */
	uint32_t internal, fresh;
	struct mbox_numbers numbers;
};
_Static_assert(sizeof(struct mbox_left) <= INDEX_STATE, "has room in the index");

/* ---- the image ---- */

/* One message more in the list that has this digest. */
static void digest_message(uint8_t digest[LIST_DIGEST], const struct mbox_message *message)
{
	struct digest_state d;
	digest_begin(&d, 0);
	digest_add(&d, digest, LIST_DIGEST);
	digest_add(&d, message->uidl, sizeof message->uidl);
	digest_add(&d, &message->copy, sizeof message->copy);
	const struct digest all = digest_so_far(&d);
	memcpy(digest, &all, LIST_DIGEST);
}

static void add_messages(struct list_header *h, const struct mbox_message *messages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		h->octets += messages[i].octets;
		digest_message(h->digest, &messages[i]);
	}
	h->count += count;
}

static const struct list_header empty = { .magic = LIST_MAGIC_OCTETS, .kind = LIST_HASHES, .record_size = sizeof(struct mbox_message) };

void mbox_seal_image(struct mbox *m)
{
	struct list_header *h = m->drop.image.octets;
	if (h == NULL)
		return;
	*h = empty;
	add_messages(h, m->messages, m->drop.count);
	m->drop.image.size = list_size(h);
	(void)list_open(&m->drop.image.list, h, m->drop.image.size);
}

static void forget(struct mbox *m)
{
	image_free(&m->drop.image);
	m->messages = NULL;
	m->room = m->drop.count = 0;
	m->next = m->beyond = 0;
	m->internal = m->sampled = false;
}

/* ---- writing ---- */

static struct mbox_left left_by(const struct mbox *m, const struct stat *st)
{
	return (struct mbox_left){ .dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size, .modified = st->st_mtim,
		.changed = st->st_ctim, .next = m->next, .beyond = m->beyond, .internal = m->internal, .fresh = m->fresh || !is_local_file_system(m->fd),
		.numbers = m->numbers };
}

static void remember(struct mbox *m)
{
	const struct mbox_left left = left_by(m, &m->scanned);
	gone_write(m->gone, &m->index);
	if (m->drop.count > 0 && index_write(&m->index, &m->drop.image, &left, sizeof left) == 0)
		m->drop.image_at = m->index.head.offset;
}

/* The file is not as the index has it: the next login reads it. What clients were told of it holds, the numbers of equal messages and another server's. */
static void distrust(struct mbox *m)
{
	struct mbox_left left;
	const void *state = index_state(&m->index);
	if (state == NULL) {
		index_drop(&m->index);
		return;
	}
	memcpy(&left, state, sizeof left);
	left.dev = left.ino = 0;
	index_restate(&m->index, &left, sizeof left);
}

void mbox_list_left(struct mbox *m, const bool *marks)
{
	struct image image = { .size = sizeof empty + m->drop.count * sizeof *m->messages };
	struct list_header *h = malloc(image.size);
	struct stat st;
	uint64_t removed = 0;
	size_t n = 0;
	if (h == NULL || fstat(m->fd, &st) != 0) {
		free(h);
		return;
	}
	struct mbox_message *kept = (struct mbox_message *)(h + 1);
	for (size_t i = 0; i < m->drop.count; i++) {
		if (marks[i]) {
			mbox_remember_gone(m, &m->messages[i]);
			removed += mbox_next(m, i) - m->messages[i].start;
			continue;
		}
		kept[n] = m->messages[i];
		kept[n++].start -= removed;
	}
	*h = empty;
	add_messages(h, kept, n);
	image.octets = h;
	image.size = list_size(h);
	struct mbox_left left = left_by(m, &st);
	/* What arrived behind it is in no list yet: for the next login the file has grown. */
	left.next = left.size = m->next - removed;
	left.beyond = m->beyond == 0 ? 0 : m->beyond > removed ? m->beyond - removed : 1;
	left.fresh = 1;
	gone_write(m->gone, &m->index);
	if (n == 0)
		index_drop(&m->index);
	else if (index_write(&m->index, &image, &left, sizeof left) != 0)
		distrust(m);
	free(h);
}

/* ---- believing ---- */

bool mbox_is_sound(const struct mbox *m)
{
	for (size_t i = 0; i < m->drop.count; i++)
		if (!mbox_is_placed(m, i))
			return false;
	return true;
}

/* The list as the index has it. False: there is none; *left_r is of the head, which holds also where the image was torn. */
static bool recall(struct mbox *m, struct mbox_left *left_r)
{
	const void *state = index_state(&m->index);
	*left_r = (struct mbox_left){ .size = 0 };
	if (state != NULL)
		memcpy(left_r, state, sizeof *left_r);
	if (state == NULL || index_image(&m->index, LIST_HASHES, sizeof(struct mbox_message), &m->drop.image) != 0)
		return false;
	m->messages = mbox_messages(&m->drop.image);
	m->drop.count = m->drop.image.list.count;
	m->next = left_r->next;
	m->beyond = left_r->beyond;
	m->internal = left_r->internal != 0;
	m->numbers = left_r->numbers;
	/* Its records are looked at when they are used: a million would take longer than all else. */
	return m->drop.count > 0 && m->next <= left_r->size;
}

static bool is_same_file(const struct mbox_left *left, const struct stat *st)
{
	return left->dev == st->st_dev && left->ino == st->st_ino;
}

static bool is_untouched(const struct mbox_left *left, const struct stat *st)
{
	return is_same_file(left, st) && left->size == (uint64_t)st->st_size && mbox_same_time(&left->modified, &st->st_mtim) &&
		mbox_same_time(&left->changed, &st->st_ctim);
}

static bool has_grown(const struct mbox *m, const struct mbox_left *left, const struct stat *st)
{
	const uint64_t size = (uint64_t)st->st_size;
	return is_same_file(left, st) && size > left->size && size >= SAMPLED_MIN && (m->beyond == 0 || size < m->beyond) && m->drop.count > 1 && mbox_is_sound(m);
}

/* The n-th message of the sample. */
static size_t sampled(size_t count, size_t n)
{
	if (n == 0 || count <= SAMPLE_ALL)
		return n;
	return n <= SAMPLE_LAST ? count - n : randombytes_uniform((uint32_t)count);
}

static int check_sample(struct mbox *m)
{
	struct why why;
	const size_t count = m->drop.count, most = count <= SAMPLE_ALL ? count : 1 + SAMPLE_LAST + SAMPLE_RANDOM;
	char *buffer = malloc(MBOX_BUFFER);
	int r = buffer != NULL ? 0 : -1;
	for (size_t i = 0; r == 0 && i < most; i++) {
		const size_t idx = sampled(count, i);
		if (mbox_end(m, idx) - m->messages[idx].start <= SAMPLE_OCTETS)
			r = mbox_verify(m, idx, buffer, NULL, NULL, &why);
	}
	free(buffer);
	return r;
}

/* ---- what was appended ---- */

/* The old list and what was parsed from its last message on, in one image of our own. */
static int join(struct mbox *m, const struct list_header *h, const struct mbox_message *old, size_t n)
{
	const struct mbox_message *added = m->messages;
	struct list_header *both = malloc(list_size(h));
	if (both == NULL)
		return -1;
	*both = *h;
	struct mbox_message *messages = (struct mbox_message *)(both + 1);
	memcpy(messages, old, n * sizeof *old);
	memcpy(messages + n, added, ((size_t)h->count - n) * sizeof *added);
	image_free(&m->drop.image);
	m->drop.image = (struct image){ .octets = both, .size = list_size(h) };
	return list_open(&m->drop.image.list, both, list_size(h));
}

/* The header of the old list with `added` messages in place of its last. */
static struct list_header joined_header(const struct image *old, const struct mbox_message *last, const struct mbox_message *added, size_t count)
{
	struct list_header h = *(const struct list_header *)old->octets;
	h.octets += added[0].octets - last->octets;
	add_messages(&h, added + 1, count - 1);
	return h;
}

/* In the index file, if it may grow; else in memory. 0: the whole list is in m->drop.image. */
static int put_together(struct mbox *m, const struct image *old, size_t n)
{
	const struct mbox_message *messages = mbox_messages(old);
	const struct list_header h = joined_header(old, &messages[n], m->messages, m->drop.count);
	const size_t added = m->drop.count * sizeof *m->messages;
	const struct mbox_left left = left_by(m, &m->scanned);
	struct image image;
	if (index_append(&m->index, old, &h, sizeof h + n * sizeof *messages, m->messages, added, &left, sizeof left) == 0 &&
	    index_again(&m->index, &image) == 0) {
		image_free(&m->drop.image);
		m->drop.image = image;
		m->drop.image_at = m->index.head.offset;
		return 0;
	}
	m->drop.image_at = 0;
	return join(m, &h, messages, n);
}

/* New messages that equal an old one: the highest number that it has, and one more. */
static int number_added(struct mbox *m, const struct mbox_message *old, size_t n)
{
	struct mbox_message *added = m->messages;
	added[0].copy = old[n].copy;
	if (m->drop.count > NUMBER_BY_LOOKING)
		return -1;
	for (size_t i = 1; i < m->drop.count; i++) {
		added[i].copy = 1; /* or the first that none has or had */
		for (size_t j = 0; j < n + i; j++) {
			const struct mbox_message *before = j <= n ? &old[j] : &added[j - n];
			if (memcmp(before->uidl, added[i].uidl, sizeof before->uidl) == 0 && before->copy >= added[i].copy)
				added[i].copy = before->copy + 1;
		}
		while (mbox_is_gone(m, &added[i]))
			added[i].copy++;
	}
	return 0;
}

/* From the last message on the file is parsed; what is before it stays. -1: read it all. */
static int list_appended(struct mbox *m, uint64_t size)
{
	struct image old = m->drop.image;
	const struct mbox_message *messages = m->messages;
	const size_t n = m->drop.count - 1;
	const bool internal = m->internal;
	struct why why;
	if (check_sample(m) != 0)
		return -1;
	if (m->index.gone > 0)
		m->gone = gone_read(&m->index);
	m->drop.image = (struct image){ .octets = NULL };
	m->messages = NULL;
	m->room = m->drop.count = 0;
	m->internal = true;  /* what begins there is not the first message */
	int r = mbox_parse_from(m, messages[n].start, size, messages[n].copy == 0, &why);
	m->internal = internal;
	m->fresh = m->sampled = true;
	if (r == 0 && (m->drop.count == 0 || m->messages[0].start != messages[n].start ||
	               memcmp(m->messages[0].uidl, messages[n].uidl, sizeof messages[n].uidl) != 0))
		r = -1;
	if (r == 0)
		r = number_added(m, messages, n);
	if (r == 0)
		r = put_together(m, &old, n);
	if (r != 0) {
		image_free(&m->drop.image);
		m->drop.image = old;
		return -1;
	}
	m->messages = mbox_messages(&m->drop.image);
	m->drop.count = m->drop.image.list.count;
	image_free(&old);
	return 0;
}

/* ---- the list ---- */

static bool list_by_index(struct mbox *m, const struct mbox_left *left)
{
	const struct stat *st = &m->scanned;
	m->fresh = m->sampled = left->fresh != 0;
	if (is_untouched(left, st) && (!m->fresh || st->st_size >= SAMPLED_MIN)) {
		m->drop.image_at = m->index.head.offset;
		return true;
	}
	return has_grown(m, left, st) && list_appended(m, (uint64_t)st->st_size) == 0;
}

/* All of it is read; of what the index knew only the numbers of equal messages stay. */
static int list_by_reading(struct mbox *m, const struct image *old, struct why *why_r)
{
	m->fresh = time(NULL) - m->scanned.st_ctim.tv_sec < FRESH_SECONDS;
	if (mbox_parse(m, (uint64_t)m->scanned.st_size, why_r) != 0)
		return -1;
	const struct mbox_message *messages = old->octets != NULL ? mbox_messages(old) : NULL;
	mbox_keep_copies(m, messages, old->list.count);
	if (mbox_compare(m, messages, old->list.count, why_r) != 0)
		return -1;
	mbox_seal_image(m);
	remember(m);
	return 0;
}

int mbox_list(struct mbox *m, struct why *why_r)
{
	struct mbox_left left;
	struct image old = { .octets = NULL };
	const bool known = recall(m, &left);
	if (known) {
		if (!index_is_ahead(&m->index) && list_by_index(m, &left))
			return 0;
		old = m->drop.image;
		m->drop.image = (struct image){ .octets = NULL };
	}
	forget(m);
	/* What clients were told holds, whatever the file says of it by now. */
	const bool told = known || left.numbers.validity != 0;
	m->take_numbers = !told && m->drop.options.told.by == TOLD_BY_DOVECOT;
	m->numbers = told ? left.numbers : (struct mbox_numbers){ .validity_first = strcmp(m->drop.options.told.format, TOLD_VALIDITY_FIRST) == 0 };
	if (m->gone == NULL && m->index.gone > 0)
		m->gone = gone_read(&m->index);
	int r = list_by_reading(m, &old, why_r);
	m->take_numbers = false;
	image_free(&old);
	return r;
}

/* Are the first messages of the one list those of the other, as clients know them? A unique-id that another server gave says nothing of the content. */
static bool begins_with(const struct mbox *m, const struct mbox_message *old, size_t count)
{
	if (m->drop.count < count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (m->messages[i].octets != old[i].octets || m->messages[i].content != old[i].content || memcmp(m->messages[i].uidl, old[i].uidl, sizeof old[i].uidl) != 0)
			return false;
	return true;
}

int mbox_list_again(struct mbox *m, struct why *why_r)
{
	struct mbox was = *m;
	if (fstat(m->fd, &m->scanned) != 0)
		return why_errno(why_r, errno, "stat %s", m->path);
	m->drop.image = (struct image){ .octets = NULL };
	forget(m);
	m->fresh = time(NULL) - m->scanned.st_ctim.tv_sec < FRESH_SECONDS;
	int r = mbox_parse(m, (uint64_t)m->scanned.st_size, why_r);
	if (r == 0 && !begins_with(m, was.messages, was.drop.count))
		r = why_set(why_r, REASON_MAILDROP_CHANGED, ESTALE, "another program changed %s", m->path);
	distrust(m);
	if (r != 0) {
		const struct index distrusted = m->index;
		image_free(&m->drop.image);
		*m = was;
		m->index = distrusted;
		return -1;
	}
	/* What came since is not in this session's list. */
	if (m->drop.count > was.drop.count)
		m->next = m->messages[was.drop.count].start;
	m->drop.count = was.drop.count;
	for (size_t i = 0; i < m->drop.count; i++)
		m->messages[i].copy = was.messages[i].copy;
	mbox_seal_image(m);
	image_free(&was.drop.image);
	return 0;
}
