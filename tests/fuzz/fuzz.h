/*
 * fuzz.h - what the fuzz targets share: input taken apart, checks that stop the run, scratch files on a memory file system.
 * Runs in: the tests, under libFuzzer or under replay.c. Trusts: nothing in the input.
 */
#ifndef POSTERN_FUZZ_H
#define POSTERN_FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The target: one input through the code and its checks. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- checks ---- */

__attribute__((format(printf, 4, 5)))
_Noreturn static inline void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)fprintf(stderr, "%s:%d: not so: %s: ", file, line, condition);
	(void)vfprintf(stderr, format, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	abort();
}

#define CHECK(condition, ...)                                                    \
	do {                                                                     \
		if (!(condition))                                                \
			fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);  \
	} while (0)

/* ---- the input, taken apart from its front; behind its end come zeros ---- */

struct input {
	const uint8_t *p;
	size_t left;
};

#define INPUT_OF(data, size) ((struct input){ .p = (data), .left = (size) })

static inline unsigned take_octet(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static inline bool take_flag(struct input *in)
{
	return (take_octet(in) & 1) != 0;
}

/* Below n; n is at most 256. */
static inline unsigned take_below(struct input *in, unsigned n)
{
	return take_octet(in) % n;
}

static inline uint64_t take_number(struct input *in, size_t octets)
{
	uint64_t n = 0;
	for (size_t i = 0; i < octets; i++)
		n |= (uint64_t)take_octet(in) << (8 * i);
	return n;
}

struct piece {
	const char *p;
	size_t len;
};

/* len octets, or what is left. */
static inline struct piece take_piece(struct input *in, size_t len)
{
	struct piece piece = { .p = in->left > 0 ? (const char *)in->p : "", .len = len < in->left ? len : in->left };
	in->p += piece.len;
	in->left -= piece.len;
	return piece;
}

static inline struct piece take_rest(struct input *in)
{
	return take_piece(in, in->left);
}

/* Up to the next LF, which is taken and not returned, so that inputs can be written as text. */
static inline struct piece take_line(struct input *in)
{
	const uint8_t *lf = in->left > 0 ? memchr(in->p, '\n', in->left) : NULL;
	struct piece piece = take_piece(in, lf != NULL ? (size_t)(lf - in->p) : in->left);
	if (lf != NULL)
		(void)take_octet(in);
	return piece;
}

/* As a C string in storage: cut at its first NUL, and where the room ends. Returns storage. */
static inline char *piece_text(struct piece piece, char *storage, size_t size)
{
	size_t len = strnlen(piece.p, piece.len);
	if (len > size - 1)
		len = size - 1;
	memcpy(storage, piece.p, len);
	storage[len] = '\0';
	return storage;
}

/* A copy on the heap that is no octet too long, so that a step beyond it is seen. To be freed. */
static inline char *piece_copy(struct piece piece)
{
	char *copy = malloc(piece.len > 0 ? piece.len : 1);
	CHECK(copy != NULL, "no memory for %zu octets", piece.len);
	memcpy(copy, piece.p, piece.len);
	return copy;
}

/* A unique-id, of a Maildir's message? */
static inline bool fuzz_may_be_uidl(const char *text, size_t len)
{
	if (len == 0 || len > 70)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	return true;
}

/* ---- files ---- */

/* A file without a name that holds these octets. */
static inline int fuzz_memory_file(const void *octets, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, octets, len) == (ssize_t)len, "a memory file of %zu octets", len);
	return fd;
}

/* What the file holds now. */
static inline void fuzz_set_file(int fd, const void *octets, size_t len)
{
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, octets, len, 0) == (ssize_t)len, "%zu octets into a file", len);
}

static inline char *fuzz_file_octets(int fd, size_t *len_r)
{
	struct stat st;
	CHECK(fstat(fd, &st) == 0, "fstat");
	char *octets = malloc((size_t)st.st_size + 1);
	CHECK(octets != NULL && pread(fd, octets, (size_t)st.st_size, 0) == st.st_size, "reading a file back");
	*len_r = (size_t)st.st_size;
	return octets;
}

static char fuzz_directory_[64];

static inline int fuzz_remove_(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type;
	return ftw->level > 0 ? remove(path) : 0;
}

static inline void fuzz_remove_directory_(void)
{
	(void)nftw(fuzz_directory_, fuzz_remove_, 16, FTW_DEPTH | FTW_PHYS);
	(void)rmdir(fuzz_directory_);
}

/* A directory on a memory file system (below FUZZ_SCRATCH), made at the first call and removed at the process's end, if that is a good one. */
static inline const char *fuzz_directory(void)
{
	if (fuzz_directory_[0] != '\0')
		return fuzz_directory_;
	const char *below = getenv("FUZZ_SCRATCH");
	if (below == NULL)
		below = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(fuzz_directory_, sizeof fuzz_directory_, "%s/postern-fuzz-XXXXXX", below);
	CHECK(mkdtemp(fuzz_directory_) != NULL && chmod(fuzz_directory_, 0755) == 0, "a directory %s", fuzz_directory_);
	(void)atexit(fuzz_remove_directory_);
	return fuzz_directory_;
}

static inline const char *fuzz_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	(void)snprintf(path, PATH_MAX, "%s/%s", fuzz_directory(), name);
	return path;
}

/* A Maildir below the scratch directory, made at its first use; it stays, and what is in it goes by fuzz_empty_maildir(). */
struct fuzz_maildir {
	const char *name;
	int fds[3];                        /* of it, new/ and cur/ */
};

static inline void fuzz_make_directory_(struct fuzz_maildir *m, size_t i)
{
	static const char *const within[] = { "", "/new", "/cur" };
	char path[64];
	(void)snprintf(path, sizeof path, "%s%s", m->name, within[i]);
	CHECK(mkdir(fuzz_path(path), 0700) == 0 && (m->fds[i] = open(fuzz_path(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0, "%s", path);
}

static inline void fuzz_make_maildir(struct fuzz_maildir *m, const char *name)
{
	if (m->name != NULL)
		return;
	m->name = name;
	for (size_t i = 0; i < 3; i++)
		fuzz_make_directory_(m, i);
}

/* The cur/ of one that lost it. */
static inline void fuzz_make_cur(struct fuzz_maildir *m)
{
	(void)close(m->fds[2]);
	fuzz_make_directory_(m, 2);
}

static inline void fuzz_empty_maildir(const struct fuzz_maildir *m)
{
	static char entries[1 << 16] __attribute__((aligned(8)));
	for (size_t i = 0; i < 3; i++) {
		ssize_t n;
		CHECK(lseek(m->fds[i], 0, SEEK_SET) == 0, "the first name");
		while ((n = getdents64(m->fds[i], entries, sizeof entries)) > 0) {
			for (ssize_t at = 0; at < n; ) {
				const struct dirent64 *d = (const void *)(entries + at);
				CHECK(d->d_type == DT_DIR || unlinkat(m->fds[i], d->d_name, 0) == 0, "removing %s", d->d_name);
				at += d->d_reclen;
			}
		}
		CHECK(n == 0, "reading a directory");
	}
}

/* ---- text ---- */

static inline bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return true;
}

/* UTF-8 without control characters, by RFC 3629's table. */
static inline bool is_clean_utf8(const char *text, size_t len)
{
	static const struct { unsigned char first, last, low, high; size_t more; } forms[] = {
		{ 0x20, 0x7e, 0x80, 0xbf, 0 }, { 0xc2, 0xdf, 0x80, 0xbf, 1 }, { 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
		{ 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 }, { 0xf0, 0xf0, 0x90, 0xbf, 3 }, { 0xf1, 0xf3, 0x80, 0xbf, 3 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 3 },
	};
	const unsigned char *at = (const unsigned char *)text, *end = at + len;
	while (at < end) {
		size_t f = 0, forms_count = sizeof forms / sizeof forms[0];
		while (f < forms_count && (*at < forms[f].first || *at > forms[f].last))
			f++;
		if (f == forms_count || (size_t)(end - at) <= forms[f].more)
			return false;
		for (size_t i = 1; i <= forms[f].more; i++)
			if (at[i] < (i == 1 ? forms[f].low : 0x80) || at[i] > (i == 1 ? forms[f].high : 0xbf))
				return false;
		at += forms[f].more + 1;
	}
	return true;
}

#endif
