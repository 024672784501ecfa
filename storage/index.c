/*
 * index.c - reads, proves and writes the index of a maildrop.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the file but what its digests prove whole.
 */
#include "storage/index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/io.h"

enum { CHUNK = 256 * 1024 };  /* stays in the processor's cache while it is digested */

static struct digest digest_of_head(const struct index_head *head)
{
	struct digest_state d;
	digest_begin(&d, 0);
	digest_add(&d, head, offsetof(struct index_head, head));
	return digest_so_far(&d);
}

void index_begin(struct index *x, const struct maildrop_options *options)
{
	struct index_head *h = &x->head;
	*x = (struct index){ .fd = -1, .read_fd = -1 };
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
	return x->there && x->head.written <= time(NULL) ? x->head.state : NULL;
}

/* ---- the image ---- */

/* The image's digest: first what is behind the header, then the header. */
static int digest_file(const struct index *x, struct list_header *header_r, struct digest *digest_r)
{
	const uint64_t end = x->head.offset + x->head.size;
	struct digest_state d;
	char *chunk = malloc(CHUNK);
	int r = chunk != NULL && io_read_at(x->fd, (char *)header_r, sizeof *header_r, x->head.offset) == (ssize_t)sizeof *header_r ? 0 : -1;
	digest_begin(&d, 0);
	for (uint64_t at = x->head.offset + sizeof *header_r; r == 0 && at < end;) {
		size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		r = io_read_at(x->fd, chunk, n, at) == (ssize_t)n ? 0 : -1;
		if (r == 0)
			digest_add(&d, chunk, n);
		at += n;
	}
	free(chunk);
	digest_add(&d, header_r, sizeof *header_r);
	*digest_r = digest_so_far(&d);
	return r;
}

static struct digest digest_of_image(const struct list_header *header, const char *octets, size_t size, const void *added, size_t added_size)
{
	struct digest_state d;
	digest_begin(&d, 0);
	digest_add(&d, octets, size);
	digest_add(&d, added, added_size);
	digest_add(&d, header, sizeof *header);
	return digest_so_far(&d);
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
	struct digest d = digest_of_image(h, (const char *)(h + 1), size - sizeof *h, NULL, 0);
	return digest_same(d, x->head.image) ? 0 : -1;
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

static int map_image(const struct index *x, struct image *image_r)
{
	struct list_header header;
	struct digest d;
	return digest_file(x, &header, &d) == 0 && digest_same(d, x->head.image) ? index_again(x, image_r) : -1;
}

int index_image(struct index *x, enum list_kind kind, size_t record_size, struct image *image_r)
{
	*image_r = (struct image){ .octets = NULL };
	if (!x->there)
		return -1;
	int r = x->head.size < INDEX_MAP_MIN ? read_image(x, image_r) : map_image(x, image_r);
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
	memcpy(head->state, state, state_size);
	head->written = time(NULL);
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

void index_keep(struct index *x)
{
	struct index_head head = x->head;
	if (!x->there)
		index_drop(x);
	else if (!x->frozen)
		(void)put_head(x, &head);
}

void index_drop(struct index *x)
{
	struct index_head none = { .size = 0 };
	if (x->fd >= 0)
		(void)put_head(x, &none);
	x->there = false;
}
