/*
 * io.c - reads and writes that come back whole, on descriptors that are what they are called.
 * Runs in: every process. Trusts: its caller.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WRITING_PIECE = 4 * 1024 * 1024 };  /* smaller orders cost more than they gain */

ssize_t io_read_at(int fd, char *octets, size_t len, uint64_t offset)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, octets + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

size_t io_read_text(int dir_fd, const char *name, char *text, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : 0;
	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* at: NULL for where the file stands. */
static int write_all(int fd, const char *octets, size_t len, const uint64_t *at)
{
	for (size_t done = 0; done < len; ) {
		ssize_t n = at != NULL ? pwrite(fd, octets + done, len - done, (off_t)(*at + done)) : write(fd, octets + done, len - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int io_write_at(int fd, const char *octets, size_t len, uint64_t offset)
{
	return write_all(fd, octets, len, &offset);
}

int io_write_all(int fd, const char *octets, size_t len)
{
	return write_all(fd, octets, len, NULL);
}

int io_sealed(const char *name, const void *octets, size_t len)
{
	const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (io_write_at(fd, octets, len, 0) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
	const int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

void io_start_writing(int fd, size_t len, uint64_t offset)
{
	const uint64_t piece = WRITING_PIECE, end = (offset + len) / piece * piece;
	if (end > offset)
		(void)sync_file_range(fd, (off64_t)(end - piece), (off64_t)piece, SYNC_FILE_RANGE_WRITE);
}

void io_fill_standard(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

void io_drop_standard(int end)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; nothing >= 0 && fd < end; fd++)
		(void)dup2(nothing, fd);
	if (nothing > STDERR_FILENO)
		(void)close(nothing);
}
