/*
 * list.c - reads the list of messages that keeper and gate share, and writes the lines of LIST and UIDL.
 * Runs in: keeper, gate. Trusts: nothing in an image.
 */
#include "base/list.h"

#include <stdbool.h>
#include <string.h>

#include "base/number.h"

enum { RECORD_MAX = 64, WORD = 16, WIDE = 2 * WORD };

/* What every processor moves at once, in the vectors that GCC and clang make. */
typedef signed char word __attribute__((vector_size(WORD)));
typedef unsigned char uword __attribute__((vector_size(WORD)));
_Static_assert(sizeof(uword) == (int)LIST_UIDL_HASH, "a hash is one word");

static size_t smallest_record(uint32_t kind)
{
	static const size_t smallest[] = { [LIST_NAMES] = sizeof(struct list_name), [LIST_HASHES] = sizeof(struct list_hash) };
	return smallest[kind == LIST_NAMES ? LIST_NAMES : LIST_HASHES];
}

size_t list_size(const struct list_header *header)
{
	return sizeof *header + (size_t)header->count * header->record_size + (size_t)header->names;
}

int list_open(struct list *list_r, const void *image, size_t size)
{
	const struct list_header *h = image;
	if (size < sizeof *h || memcmp(h->magic, LIST_MAGIC, sizeof h->magic) != 0 || (h->kind != LIST_NAMES && h->kind != LIST_HASHES) ||
	    h->record_size < smallest_record(h->kind) || h->record_size > RECORD_MAX || h->record_size % 8 != 0)
		return -1;
	if (h->count > (size - sizeof *h) / h->record_size || h->names > UINT32_MAX || list_size(h) != size)
		return -1;
	*list_r = (struct list){ .header = h, .records = (const unsigned char *)image + sizeof *h, .count = (size_t)h->count,
	                         .record_size = h->record_size, .names_len = (size_t)h->names, .octets = h->octets };
	list_r->names = (const char *)list_r->records + list_r->count * list_r->record_size;
	return 0;
}

static const void *record(const struct list *list, size_t idx)
{
	return list->records + idx * list->record_size;
}

uint64_t list_octets(const struct list *list, size_t idx)
{
	return list->header->kind == LIST_NAMES ? ((const struct list_name *)record(list, idx))->octets : ((const struct list_hash *)record(list, idx))->octets;
}

bool list_is_unopened(const struct list *list, size_t idx)
{
	return list->header->kind == LIST_NAMES && (((const struct list_name *)record(list, idx))->flags & LIST_UNOPENED) != 0;
}

/* ---- names ---- */

static bool is_inside(const struct list *list, size_t at, size_t len)
{
	return at <= list->names_len && len <= list->names_len - at;
}

/* Every octet of which any bit is set has no place in a unique-id. */
static inline word odd_ones(word x)
{
	return (word)(x <= ' ') | (word)(x == 0x7f);  /* 8-bit ones are below zero */
}

/*
 * Some octets from there in the names, in wide moves where both sides have room, since a listing has millions of them: what is
 * behind `len` is anything then. *odd_r gets a bit when any of what was copied may be odd.
 */
static inline void copy_some(const struct list *list, size_t at, size_t len, char *to, size_t room, word *odd_r)
{
	const size_t whole = len <= WIDE ? WIDE : (len + WIDE - 1) / WIDE * WIDE;  /* once even for none: no branch to guess wrong */
	word first, second;
	if (whole > room || whole > list->names_len - at) {
		memcpy(to, list->names + at, len);
		*odd_r = ~(word){ 0 };
		return;
	}
	for (size_t done = 0; done < whole; done += WIDE) {
		memcpy(&first, list->names + at + done, sizeof first);
		memcpy(&second, list->names + at + done + WORD, sizeof second);
		*odd_r |= odd_ones(first) | odd_ones(second);
		memcpy(to + done, &first, sizeof first);
		memcpy(to + done + WORD, &second, sizeof second);
	}
}

/* The first `want` octets of a name, and whether any of them may be odd. False: they are not all in the image. */
static inline bool copy_name(const struct list *list, size_t idx, size_t want, char *out, size_t room, bool *odd_r)
{
	const struct list_name *r = record(list, idx), *anchor = record(list, idx - idx % LIST_ANCHOR);
	const size_t prefix = r->prefix, suffix = r->suffix;
	word odd = { 0 };
	if (prefix + suffix > r->len || prefix > anchor->len || suffix > anchor->len || want > r->len)
		return false;
	const size_t own = r->len - prefix - suffix;
	if (!is_inside(list, r->name, own) || !is_inside(list, anchor->name, anchor->len))
		return false;
	const size_t first = want < prefix ? want : prefix, second = want - first < own ? want - first : own;
	copy_some(list, anchor->name, first, out, room, &odd);
	copy_some(list, r->name, second, out + first, room - first, &odd);
	copy_some(list, anchor->name + anchor->len - suffix, want - first - second, out + first + second, room - first - second, &odd);
	uint64_t halves[2];
	memcpy(halves, &odd, sizeof halves);
	*odd_r = (halves[0] | halves[1]) != 0;
	return true;
}

size_t list_name_text(const struct list *list, size_t idx, char out[LIST_NAME_MAX])
{
	const size_t len = ((const struct list_name *)record(list, idx))->len;
	bool ignored;
	return len <= LIST_NAME_MAX && copy_name(list, idx, len, out, LIST_NAME_MAX, &ignored) ? len : 0;
}

const char *list_uidl_behind(const struct list *list, const struct list_name *r)
{
	const size_t shared = (size_t)r->prefix + (size_t)r->suffix, own = r->len - shared;
	return shared <= r->len && is_inside(list, r->name, own + r->uidl) ? list->names + r->name + own : NULL;
}

/* Whatever it is, it stays in its line. */
static void clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			text[i] = '?';
}

static inline size_t name_uidl(const struct list *list, size_t idx, char *out, size_t room)
{
	const struct list_name *r = record(list, idx);
	const size_t len = r->uidl;
	const char *behind = r->flags & LIST_UIDL_BEHIND ? list_uidl_behind(list, r) : NULL;
	bool good = len > 0 && len <= UIDL_MAX, odd = true;
	if (good && behind != NULL)
		memcpy(out, behind, len);
	else
		good = good && (r->flags & LIST_UIDL_BEHIND) == 0 && copy_name(list, idx, len, out, room, &odd);
	if (!good) {
		out[0] = '?';
		return 1;
	}
	if (odd)
		clean(out, len);
	return len;
}

/* 0 to 15 as digits. */
static inline uword hex_digits(uword x)
{
	return x + '0' + ((uword)(x > 9) & ('a' - '9' - 1));
}

/* gcc 12's analyzer takes the precision of a vector of octets for 4 bits. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-shift-count-overflow"
#endif
static inline size_t hash_uidl(const struct list_hash *r, char *out)
{
	size_t len = 2 * (size_t)LIST_UIDL_HASH;
	uword octets;
	memcpy(&octets, r->uidl, sizeof octets);
	const uword high = hex_digits(octets >> 4), low = hex_digits(octets & 15);
	const uword first = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
	const uword second = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
	memcpy(out, &first, sizeof first);
	memcpy(out + sizeof first, &second, sizeof second);
	if (r->copy == 0) {
		memcpy(out, r->uidl, LIST_UIDL_TEXT);
		clean(out, LIST_UIDL_TEXT);
		return LIST_UIDL_TEXT;
	}
	if (r->copy > 1) {
		out[len++] = '-';
		len += format_number(out + len, r->copy);
	}
	return len;
}
#pragma GCC diagnostic pop

size_t list_uidl(const struct list *list, size_t idx, char out[UIDL_MAX])
{
	return list->header->kind == LIST_NAMES ? name_uidl(list, idx, out, UIDL_MAX) : hash_uidl(record(list, idx), out);
}

/* ---- the lines of LIST and UIDL ---- */

enum { UIDL_ROOM = UIDL_MAX + WIDE };
_Static_assert(2 * NUMBER_MAX + 3 + (int)UIDL_ROOM <= (int)LISTING_ROOM, "a line and what is written and lost behind it");

/* What a line says of a message; how many octets. */
typedef size_t put_one(const struct list *list, size_t idx, char *out);

static inline size_t put_octets(const struct list *list, size_t idx, char *out)
{
	return format_number(out, list_octets(list, idx));
}

static inline size_t put_name(const struct list *list, size_t idx, char *out)
{
	return name_uidl(list, idx, out, UIDL_ROOM);
}

static inline size_t put_hash(const struct list *list, size_t idx, char *out)
{
	return hash_uidl(record(list, idx), out);
}

/* Compiled once for each `put`. */
__attribute__((always_inline)) static inline size_t put_lines(struct listing *l, char *out, size_t room, put_one *put)
{
	const struct list list = *l->list;
	const bool *left_out = l->left_out;
	const char *last = out + room - LISTING_ROOM;
	char *o = out;
	size_t i = l->next;
	for (; i < list.count && o <= last; i++) {
		if (left_out != NULL && left_out[i])
			continue;
		o += format_number(o, i + 1);
		*o++ = ' ';
		o += put(&list, i, o);
		memcpy(o, "\r\n", 2);
		o += 2;
	}
	l->next = i;
	return (size_t)(o - out);
}

size_t listing_lines(struct listing *l, char *out, size_t room)
{
	if (room < LISTING_ROOM || l->next >= l->list->count)
		return 0;
	if (!l->uidl)
		return put_lines(l, out, room, put_octets);
	return l->list->header->kind == LIST_NAMES ? put_lines(l, out, room, put_name) : put_lines(l, out, room, put_hash);
}
