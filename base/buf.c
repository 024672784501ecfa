/*
 * buf.c - bounded text over the caller's storage.
 * Runs in: every process, with whatever rights it has. Trusts: its caller.
 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"

int buf_add(struct buf *b, const void *octets, size_t len)
{
	if (len > b->cap - b->len)
		return -1;
	if (len > 0)
		memcpy(b->p + b->len, octets, len);
	b->len += len;
	return 0;
}

int buf_add_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_add_number(struct buf *b, uint64_t n)
{
	char digits[NUMBER_MAX];
	return buf_add(b, digits, format_number(digits, n));
}

int buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	size_t room = b->cap - b->len;
	int n = vsnprintf(b->p + b->len, room, format, ap);
	if (n < 0 || (size_t)n >= room)
		return -1;
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int r = buf_vprintf(b, format, ap);
	va_end(ap);
	return r;
}

void buf_add_escaped(struct buf *b, const char *octets, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	static const size_t tail = 3; /* "..." */
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)octets[i];
		char coded[4] = { (char)c };
		size_t n = 1;
		if (c < 0x20 || c > 0x7e || c == '\\' || c == '"') {
			coded[0] = '\\';
			coded[1] = 'x';
			coded[2] = hex[c >> 4];
			coded[3] = hex[c & 15];
			n = 4;
		}
		size_t left = b->cap - b->len;
		if (left < n + tail) {
			(void)buf_add(b, "...", left < tail ? left : tail);
			return;
		}
		(void)buf_add(b, coded, n);
	}
}

const char *buf_text(struct buf *b)
{
	if (b->len == b->cap)
		b->len--;
	b->p[b->len] = '\0';
	return b->p;
}

char lower_letter(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool same_word(const char *a, const char *b, size_t len)
{
	size_t at = 0;
	while (at < len && lower_letter(a[at]) == lower_letter(b[at]))
		at++;
	return at == len;
}

bool is_keyword(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && same_word(text, word, len);
}
