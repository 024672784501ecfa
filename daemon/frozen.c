/*
 * frozen.c - takes memory that is written no more out of what fork(2) copies.
 * Runs in: gate nursery, before it gives up its rights. Trusts: the dynamic loader's word on what it has loaded.
 */
#include "daemon/frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/log.h"
#include "daemon/privilege.h"

/* Pages of what is read-only in an object: each mapping costs a fork something by itself, and small objects are touched by everybody. */
enum { WORTH_IT = 8 };

/* A file of these octets that nobody can change. Its descriptor, or -1 and errno. */
static int put_into_file(const void *octets, size_t len)
{
	int fd = memfd_create("frozen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (io_write_at(fd, octets, len, 0) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
	const int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

int freeze_pages(void *from, void *to, int protection)
{
	const size_t len = (uintptr_t)to - (uintptr_t)from;
	int fd = put_into_file(from, len);
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
