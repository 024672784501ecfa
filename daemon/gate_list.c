/*
 * gate_list.c - the list of messages that the keeper sent.
 * Runs in: gate. Trusts: the keeper, but no number in the list (base/list.h).
 */
#include "daemon/gate_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"

/* What is read into place when there is little of it, because a mapping costs more. */
enum { SMALL_IMAGE = 8192, SMALL_MARKS = 64 };
static uint64_t small_image[SMALL_IMAGE / sizeof(uint64_t)];
static bool small_marks[SMALL_MARKS];
static void *mapping;  /* of a list that is not read into place */
static size_t mapped;  /* its octets */

/* The octets of the list that the keeper sent. */
static const void *take_image(int fd, uint64_t offset, size_t size)
{
	struct stat st;
	if (size <= sizeof small_image)
		return pread(fd, small_image, size, (off_t)offset) == (ssize_t)size ? small_image : NULL;
	/* To map more than there is would be a bus error later. */
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < size || (uint64_t)st.st_size - size < offset)
		return NULL;
	mapping = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)offset);
	if (mapping == MAP_FAILED)
		fatal("no memory for a list of %zu octets", size);
	mapped = size;
	return mapping;
}

void gate_list_take(int fd, const struct rpc_answer *answer, struct pop3_maildrop *drop_r)
{
	const size_t count = answer->count;
	*drop_r = (struct pop3_maildrop){ .count = count, .marks = small_marks };
	if (count == 0)
		return;
	const void *image = fd >= 0 ? take_image(fd, answer->offset, (size_t)answer->length) : NULL;
	if (image == NULL || list_open(&drop_r->list, image, (size_t)answer->length) != 0 || drop_r->list.count != count)
		panic("the list of %zu messages is none", count);
	if (count > SMALL_MARKS)
		drop_r->marks = calloc(count, sizeof *drop_r->marks);
	if (drop_r->marks == NULL)
		fatal("no memory for marks of %zu messages", count);
}

int gate_list_send_marks(int keeper, const struct pop3_maildrop *drop)
{
	for (size_t first = 0; first < drop->count; first += RPC_MARKS) {
		struct rpc_mark request = { .verb = RPC_MARK, .first = (uint32_t)first };
		bool any = false;
		for (size_t i = 0; i < RPC_MARKS && first + i < drop->count; i++) {
			request.count++;
			if (drop->marks[first + i]) {
				request.bits[i / 8] |= (uint8_t)(1u << (i % 8));
				any = true;
			}
		}
		if (any && rpc_send(keeper, &request, sizeof request, -1) != 0)
			return -1;
	}
	return 0;
}

void gate_list_forget(struct pop3_maildrop *drop)
{
	if (mapped > 0)
		(void)munmap(mapping, mapped);
	mapped = 0;
	if (drop->marks != small_marks)
		free(drop->marks);
	explicit_bzero(small_image, sizeof small_image);
	explicit_bzero(small_marks, sizeof small_marks);
}
