/*
 * io.c - reads and writes that come back whole.
 * Runs in: every process. Trusts: its caller.
 */
#include "base/io.h"

#include <errno.h>
#include <unistd.h>

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

int io_write_at(int fd, const char *octets, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, octets, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		octets += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}
