/*
 * io.h - reads and writes that come back whole, on descriptors that are what they are called.
 * Runs in: every process. Trusts: its caller.
 */
#ifndef POSTERN_IO_H
#define POSTERN_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* pread(2) until len octets are there, or the end of the file: the octets read; or -1 and errno. */
ssize_t io_read_at(int fd, char *octets, size_t len, uint64_t offset);

/*
 * The beginning of a small file, as those of /proc, as a string in text of that size: its octets, 0 when there is none or it is
 * empty. Below dir_fd (AT_FDCWD); no link is followed, nothing is waited for.
 */
size_t io_read_text(int dir_fd, const char *name, char *text, size_t size);

/* pwrite(2) until all len octets are written: 0; or -1 and errno, and some may be written. */
int io_write_at(int fd, const char *octets, size_t len, uint64_t offset);

/* write(2) until all len octets are written: 0; or -1 and errno, and some may be written. */
int io_write_all(int fd, const char *octets, size_t len);

/* A file in memory that holds these octets, which nobody can change any more. Its descriptor, or -1 and errno. */
int io_sealed(const char *name, const void *octets, size_t len);

/*
 * In a file that is written from front to back: let the disk begin with the piece that was just finished, if one was, so
 * that fsync(2) has less to wait for. Promises nothing and hides no error from fsync(2): see sync_file_range(2).
 */
void io_start_writing(int fd, size_t len, uint64_t offset);

/*
 * Those of the descriptors 0, 1 and 2 that whoever started the program had closed are /dev/null from here on. First thing in
 * main(): otherwise the next file or socket becomes the standard error, and is written to, or closed as such.
 */
void io_fill_standard(void);

/* Those of them below end are /dev/null from here on. */
void io_drop_standard(int end);

#endif
