/*
 * faults.h - system calls that fail when a test says so: they stand before libc's in the test program.
 * Runs in: the tests. Trusts: nothing. Include it once in a program.
 */
#ifndef POSTERN_FAULTS_H
#define POSTERN_FAULTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum fault_call { FAULT_FSYNC, FAULT_PWRITE, FAULT_PREAD, FAULT_FTRUNCATE, FAULT_UNLINKAT, FAULT_GETDENTS, FAULT_READ, FAULT_FSTAT,
	FAULT_FSTATAT, FAULT_FSTATVFS, FAULT_OPENAT, FAULT_FLOCK, FAULT_RENAME, FAULT_MALLOC, FAULT_CALLS };

enum { FAULT_END = -1 };  /* in place of an errno: a read finds the end of the file */

static struct {
	unsigned calls;    /* made so far */
	unsigned fail_at;  /* this one fails, counted from 1, and all after it when lasting; 0: none */
	int error;         /* its errno; 0: a short result */
	int lasting;
	void (*before)(void);  /* what another program does before each of these calls */
} faults[FAULT_CALLS];

/*
 * The clock: sleeping moves it on at once, and calls the hook if there is one. Waiting
 * for thirty seconds then takes no time and always has the same number of tries.
 */
static long faults_clock_ms;
static void (*faults_on_sleep)(void);
static long faults_up_seconds;     /* since the host started; 0: as it is */
static long faults_file_system;    /* the type that fstatfs(2) tells; 0: as it is, -1: it fails */

static inline void faults_clear(void)
{
	memset(faults, 0, sizeof faults);
}

static inline void faults_set(enum fault_call call, unsigned fail_at, int error, int lasting)
{
	faults_clear();
	faults[call].fail_at = fail_at;
	faults[call].error = error;
	faults[call].lasting = lasting;
}

/* True with errno set: fail. *len is cut for a short result. */
int faults_strike(enum fault_call call, size_t *len);
int faults_strike(enum fault_call call, size_t *len)
{
	unsigned n = ++faults[call].calls, at = faults[call].fail_at;
	static int others_turn;
	if (faults[call].before != NULL && !others_turn) {
		others_turn = 1;
		faults[call].before();
		others_turn = 0;
	}
	if (at == 0 || n < at || (n > at && !faults[call].lasting))
		return 0;
	if (faults[call].error == 0) {
		if (*len > 1)
			*len /= 2;
		return 0;
	}
	errno = faults[call].error;
	return 1;
}

int fsync(int fd)
{
	size_t none = 0;
	return faults_strike(FAULT_FSYNC, &none) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t length)
{
	size_t none = 0;
	return faults_strike(FAULT_FTRUNCATE, &none) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int unlinkat(int fd, const char *name, int flag)
{
	size_t none = 0;
	return faults_strike(FAULT_UNLINKAT, &none) ? -1 : (int)syscall(SYS_unlinkat, fd, name, flag);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
	return faults_strike(FAULT_PWRITE, &len) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, p, len, offset);
}

ssize_t pread(int fd, void *p, size_t len, off_t offset)
{
	if (faults_strike(FAULT_PREAD, &len))
		return errno == FAULT_END ? 0 : -1;
	return (ssize_t)syscall(SYS_pread64, fd, p, len, offset);
}

ssize_t read(int fd, void *p, size_t len)
{
	return faults_strike(FAULT_READ, &len) ? -1 : (ssize_t)syscall(SYS_read, fd, p, len);
}

ssize_t getdents64(int fd, void *p, size_t len)
{
	size_t none = 0;
	return faults_strike(FAULT_GETDENTS, &none) ? -1 : (ssize_t)syscall(SYS_getdents64, fd, p, len);
}

int fstat(int fd, struct stat *st)
{
	size_t none = 0;
	return faults_strike(FAULT_FSTAT, &none) ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

int fstatvfs(int fd, struct statvfs *fs)
{
	size_t none = 0;
	struct statfs known;
	if (faults_strike(FAULT_FSTATVFS, &none) || syscall(SYS_fstatfs, fd, &known) != 0)
		return -1;
	*fs = (struct statvfs){ .f_bsize = (unsigned long)known.f_bsize };
	return 0;
}

int fstatat(int fd, const char *name, struct stat *st, int flags)
{
	size_t none = 0;
	return faults_strike(FAULT_FSTATAT, &none) ? -1 : (int)syscall(SYS_newfstatat, fd, name, st, flags);
}

int openat(int fd, const char *name, int flags, ...)
{
	size_t none = 0;
	va_list more;
	va_start(more, flags);
	const unsigned mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, unsigned) : 0;
	va_end(more);
	return faults_strike(FAULT_OPENAT, &none) ? -1 : (int)syscall(SYS_openat, fd, name, flags, mode);
}

int flock(int fd, int operation)
{
	size_t none = 0;
	return faults_strike(FAULT_FLOCK, &none) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	size_t none = 0;
	return faults_strike(FAULT_RENAME, &none) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

/* AddressSanitizer wants to be the one who has malloc(), and valgrind takes it over: see faults_memory(). */
#ifndef __SANITIZE_ADDRESS__
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size)
{
	size_t none = 0;
	return faults_strike(FAULT_MALLOC, &none) ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
	size_t none = 0;
	return faults_strike(FAULT_MALLOC, &none) ? NULL : __libc_calloc(count, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
	size_t none = 0;
	return faults_strike(FAULT_MALLOC, &none) ? NULL : __libc_memalign(alignment, size);
}
#endif

/* Can the call fail here? */
static inline int faults_can(enum fault_call call)
{
	void *(*volatile allocate)(size_t) = malloc;  /* of a plain call the compiler thinks that it knows what it does */
	if (call != FAULT_MALLOC)
		return 1;
	faults_set(FAULT_MALLOC, 1, ENOMEM, 0);
	void *p = allocate(1);
	faults_clear();
	if (p == NULL)
		return 1;
	free(p);
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, clock, t);
	if (clock == CLOCK_BOOTTIME && faults_up_seconds != 0)
		t->tv_sec = faults_up_seconds;
	t->tv_sec += faults_clock_ms / 1000;
	t->tv_nsec += faults_clock_ms % 1000 * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
	return (int)r;
}

int fstatfs(int fd, struct statfs *fs)
{
	if (faults_file_system < 0) {
		errno = EIO;
		return -1;
	}
	long r = syscall(SYS_fstatfs, fd, fs);
	if (faults_file_system > 0)
		fs->f_type = faults_file_system;
	return (int)r;
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)left;
	faults_clock_ms += (long)t->tv_sec * 1000 + t->tv_nsec / 1000000;
	if (faults_on_sleep != NULL)
		faults_on_sleep();
	return 0;
}

#endif
