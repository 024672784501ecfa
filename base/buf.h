/*
 * buf.h - bounded text: bytes appended to storage that the caller owns.
 * Runs in: every process, with whatever rights it has. Trusts: its caller.
 *
 * An append that does not fit leaves the content as it was and returns -1; it
 * never cuts and never grows. The content is not NUL-terminated unless
 * buf_text() is asked for it.
 */
#ifndef POSTERN_BUF_H
#define POSTERN_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p;    /* borrowed storage */
	size_t len; /* octets in use */
	size_t cap; /* octets of storage */
};

/* A buf over a char array. */
#define BUF_OVER(array) ((struct buf){ .p = (array), .len = 0, .cap = sizeof(array) })

/* Append len octets. 0, or -1 when they do not fit (nothing is appended). */
int buf_add(struct buf *b, const void *octets, size_t len);

/* Append a NUL-terminated string without its NUL. 0 or -1, as buf_add(). */
int buf_add_text(struct buf *b, const char *text);

/* Append n in decimal digits. 0 or -1, as buf_add(). */
int buf_add_number(struct buf *b, uint64_t n);

/* Append as printf(3) formats. 0, or -1 when it does not fit whole. */
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

/*
 * Append text that a stranger chose, made safe to print in one line: octets
 * outside 0x20..0x7e, and backslash and double quote, become \xNN. Stops before the
 * storage is full and then ends in "..." (so it always succeeds, given cap >= 4).
 */
void buf_add_escaped(struct buf *b, const char *octets, size_t len);

/* The content as a C string: needs one octet of room (the last octet gives way if there is none). */
const char *buf_text(struct buf *b);

/*
 * Are the first len octets alike, with letters of ASCII in either case? As the keywords of POP3 are compared (RFC 1939 section 3). Not
 * strncasecmp(3): in a process that was just forked its tables are two page faults.
 */
bool same_word(const char *a, const char *b, size_t len);

/* Are these len octets that word, in the same way? */
bool is_keyword(const char *text, size_t len, const char *word);

/* A to Z become a to z, whatever the locale; every other octet stays. */
char lower_letter(char c);

#endif
