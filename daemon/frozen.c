/*
 * frozen.c - takes memory that is written no more out of what fork(2) copies.
 * Runs in: gate nursery, before it gives up its rights. Trusts: the dynamic loader's word on what it has loaded.
 */
#include "daemon/frozen.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/log.h"
#include "daemon/privilege.h"

/* Pages of what is read-only in an object: each mapping costs a fork something by itself, and small objects are touched by everybody. */
enum { WORTH_IT = 8 };

int freeze_pages(void *from, void *to, int protection)
{
	const size_t len = (uintptr_t)to - (uintptr_t)from;
	int fd = io_sealed("frozen", from, len);
	if (fd < 0)
		return -1;
	if (mmap(from, len, protection, MAP_PRIVATE | MAP_FIXED, fd, 0) != from)
		fatal("mapping %zu octets of the program anew", len);
	(void)close(fd);
	return 0;
}

/* The variables of an object lie behind what the loader has made read-only (glibc, _dl_protect_relro()). */
static int freeze_object(struct dl_phdr_info *object, size_t size, void *unused)
{
	const uintptr_t mask = ~(uintptr_t)(PAGE - 1);
	uintptr_t from = 0, to = 0, end = 0;
	(void)size, (void)unused;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		const uintptr_t begin = object->dlpi_addr + part->p_vaddr, behind = begin + part->p_memsz;
		if (part->p_type == PT_GNU_RELRO) {
			from = begin & mask;
			to = behind & mask;
		} else if (part->p_type == PT_LOAD && (part->p_flags & PF_W) != 0) {
			end = (behind + PAGE - 1) & mask;
		}
	}
	if (to <= from || to - from < (uintptr_t)WORTH_IT * PAGE)
		return 0;
	(void)freeze_pages((void *)from, (void *)to, PROT_READ);
	if (end > to)
		(void)freeze_pages((void *)to, (void *)end, PROT_READ | PROT_WRITE);
	return 0;
}

void freeze_program(void *heap)
{
	char *const end = sbrk(0);
	(void)dl_iterate_phdr(freeze_object, NULL);
	if (((uintptr_t)heap & (PAGE - 1)) == 0 && ((uintptr_t)end & (PAGE - 1)) == 0 && end > (char *)heap)
		(void)freeze_pages(heap, end, PROT_READ | PROT_WRITE);
}
