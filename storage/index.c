/*
 * index.c - reads, proves and writes the index of a maildrop.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the file but what its digests prove whole.
 */
#include "storage/index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

static struct digest digest_of_head(const struct index_head *head)
{
	struct digest_state d;
	digest_begin(&d, 0);
	digest_add(&d, head, offsetof(struct index_head, head));
	return digest_so_far(&d);
}

void index_begin(struct index *x, const struct maildrop_options *options, const char *path)
{
	struct index_head *h = &x->head;
	*x = (struct index){ .fd = -1, .read_fd = -1, .path = path };
	if (options->index == NULL)
		return;
	x->fd = options->index->write_fd;
	x->read_fd = options->index->read_fd;
	x->frozen = options->index->frozen;
	if (x->fd < 0 || io_read_at(x->fd, (char *)h, sizeof *h, 0) != (ssize_t)sizeof *h ||
	    memcmp(h->magic, INDEX_MAGIC, sizeof h->magic) != 0 || !digest_same(digest_of_head(h), h->head))
		return;
	x->gone = h->gone;
	x->there = h->offset >= INDEX_IMAGES && h->offset % INDEX_AREA == 0 && h->offset < INT64_MAX / 2 && h->size < INT64_MAX / 2 &&
		h->size >= sizeof(struct list_header);
}

const void *index_state(const struct index *x)
{
	return x->there ? x->head.state : NULL;
}

bool index_is_ahead(const struct index *x)
{
	return x->there && x->head.written > time(NULL);
}

struct maildrop_trace index_trace(const struct index *x)
{
	struct list_header header;
	if (index_state(x) == NULL || io_read_at(x->fd, (char *)&header, sizeof header, x->head.offset) != (ssize_t)sizeof header)
		return (struct maildrop_trace){ .count = 0 };
	return (struct maildrop_trace){ .count = (size_t)header.count, .dev = x->head.directory_dev, .ino = x->head.directory_ino };
}

/* ---- the image ---- */

/* The image's digest: first what is behind the header, then the header. */
static struct digest digest_of_image(const struct list_header *header, const char *octets, size_t size, const void *added, size_t added_size)
{
	struct digest_state d;
	digest_begin(&d, 0);
	digest_add(&d, octets, size);
	digest_add(&d, added, added_size);
	digest_add(&d, header, sizeof *header);
	return digest_so_far(&d);
}

/* Is it what the head says? */
static bool proves(const struct index *x, const struct image *image)
{
	const struct list_header *h = image->octets;
	return digest_same(digest_of_image(h, (const char *)(h + 1), image->size - sizeof *h, NULL, 0), x->head.image);
}

static int read_image(const struct index *x, struct image *image_r)
{
	const size_t size = (size_t)x->head.size;
	struct list_header *h = malloc(size);
	if (h == NULL)
		return -1;
	*image_r = (struct image){ .octets = h, .size = size };
	if (io_read_at(x->fd, (char *)h, size, x->head.offset) != (ssize_t)size)
		return -1;
	return proves(x, image_r) ? 0 : -1;
}

int index_again(const struct index *x, struct image *image_r)
{
	*image_r = (struct image){ .octets = NULL };
	if (!x->there || x->head.size < INDEX_MAP_MIN)
		return -1;
	/* Ours alone where we write to it; nobody else writes to this part of the file, or cuts it off. */
	void *p = mmap(NULL, (size_t)x->head.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, x->read_fd, (off_t)x->head.offset);
	if (p == MAP_FAILED)
		return -1;
	*image_r = (struct image){ .octets = p, .size = (size_t)x->head.size, .mapped = true };
	if (list_open(&image_r->list, p, image_r->size) == 0)
		return 0;
	image_free(image_r);
	return -1;
}

/*
 * What is mapped is what is proven: nothing is copied, and the pages are those that the session uses. A page that the disk does
 * not give, or that the file does not have, is an error here and a signal later; so all are asked for first.
 */
static int map_image(const struct index *x, struct image *image_r)
{
	if (index_again(x, image_r) != 0)
		return -1;
	if (madvise(image_r->octets, image_r->size, MADV_POPULATE_READ) == 0 && proves(x, image_r))
		return 0;
	image_free(image_r);
	return -1;
}

/*
 * What was once behind a larger image is cut off; not the room for the next one. At a login no gate has it mapped, but for that
 * of a session which this one took over.
 */
static void cut_off(const struct index *x, uint64_t size)
{
	const uint64_t end = x->head.offset + x->head.size;
	/* When it fails it stays as long as it is. */
	if (!x->frozen && size > end && size - end > INDEX_SPARE_IMAGES * x->head.size + INDEX_MAP_MIN)
		(void)!ftruncate(x->fd, (off_t)end);
}

/* What cannot be mapped, or not be asked for ahead, by a kernel before 5.14, is read. */
static int take_image(const struct index *x, struct image *image_r)
{
	struct stat st;
	if (fstat(x->fd, &st) != 0 || (uint64_t)st.st_size < x->head.offset + x->head.size)
		return -1;
	if (map_image(x, image_r) != 0 && read_image(x, image_r) != 0)
		return -1;
	cut_off(x, (uint64_t)st.st_size);
	return 0;
}

int index_image(struct index *x, enum list_kind kind, size_t record_size, struct image *image_r)
{
	*image_r = (struct image){ .octets = NULL };
	if (!x->there)
		return -1;
	int r = take_image(x, image_r);
	if (r == 0)
		r = list_open(&image_r->list, image_r->octets, image_r->size);
	if (r == 0 && image_r->list.header->kind == kind && image_r->list.record_size == record_size)
		return 0;
	image_free(image_r);
	x->there = false;
	return -1;
}

void image_free(struct image *image)
{
	if (image->mapped)
		(void)munmap(image->octets, image->size);
	else
		free(image->octets);
	*image = (struct image){ .octets = NULL };
}

/* ---- writing ---- */

static uint64_t areas(uint64_t size)
{
	return (size + INDEX_AREA - 1) / INDEX_AREA * INDEX_AREA;
}

static int put_head(struct index *x, struct index_head *head)
{
	memcpy(head->magic, INDEX_MAGIC, sizeof head->magic);
	head->gone = x->gone;
	head->head = digest_of_head(head);
	x->there = io_write_at(x->fd, (const char *)head, sizeof *head, 0) == 0 && head->size > 0;
	x->head = *head;
	return x->there ? 0 : -1;
}

static int write_head(struct index *x, struct index_head *head, const void *state, size_t state_size)
{
	struct stat st;
	memcpy(head->state, state, state_size);
	head->written = time(NULL);
	const bool known = maildrop_stat_directory(x->path, &st) == 0;
	head->directory_dev = known ? st.st_dev : 0;
	head->directory_ino = known ? st.st_ino : 0;
	return put_head(x, head);
}

int index_write(struct index *x, const struct image *image, const void *state, size_t state_size)
{
	struct index_head head = { .offset = INDEX_IMAGES, .size = image->size };
	const struct list_header *h = image->octets;
	if (x->fd < 0 || x->frozen)
		return -1;
	if (x->there && x->head.offset < head.offset + areas(image->size))
		head.offset = x->head.offset + areas(x->head.size);
	head.image = digest_of_image(h, (const char *)(h + 1), image->size - sizeof *h, NULL, 0);
	if (io_write_at(x->fd, image->octets, image->size, head.offset) != 0)
		return -1;
	return write_head(x, &head, state, state_size);
}

int index_append(struct index *x, const struct image *image, const struct list_header *header, size_t from, const void *added,
                 size_t added_size, const void *state, size_t state_size)
{
	struct index_head head = x->head;
	const char *octets = image->octets;
	if (x->fd < 0 || x->frozen || !x->there)
		return -1;
	head.size = from + added_size;
	head.image = digest_of_image(header, octets + sizeof *header, from - sizeof *header, added, added_size);
	if (io_write_at(x->fd, added, added_size, head.offset + from) != 0 ||
	    io_write_at(x->fd, (const char *)header, sizeof *header, head.offset) != 0) {
		index_drop(x);
		return -1;
	}
	return write_head(x, &head, state, state_size);
}

int index_amend(struct index *x, const struct image *image, size_t from, size_t size)
{
	struct index_head head = x->head;
	const struct list_header *h = image->octets;
	if (x->fd < 0 || x->frozen || !x->there)
		return -1;
	head.image = digest_of_image(h, (const char *)(h + 1), image->size - sizeof *h, NULL, 0);
	if (io_write_at(x->fd, (const char *)image->octets + from, size, head.offset + from) != 0 ||
	    io_write_at(x->fd, (const char *)h, sizeof *h, head.offset) != 0) {
		index_drop(x);
		return -1;
	}
	return put_head(x, &head);
}

void index_restate(struct index *x, const void *state, size_t state_size)
{
	struct index_head head = x->head;
	if (x->fd < 0 || !x->there || write_head(x, &head, state, state_size) != 0)
		index_drop(x);
}

void index_keep(struct index *x)
{
	struct index_head head = x->head;
	if (!x->there)
		index_drop(x);
	else
		(void)put_head(x, &head);
}

void index_drop(struct index *x)
{
	struct index_head none = { .size = 0 };
	if (x->fd >= 0)
		(void)put_head(x, &none);
	x->there = false;
}
