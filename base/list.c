/*
 * list.c - reads the list of messages that keeper and gate share.
 * Runs in: keeper, gate. Trusts: nothing in an image.
 */
#include "base/list.h"

#include <endian.h>
#include <string.h>

#include "base/number.h"

enum { RECORD_MAX = 64, WORDS = 16 };

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

/* Bits for those of 8 octets that have no place in a unique-id. */
static uint64_t odd_bits(uint64_t x)
{
	return (x | (x - 0x2121212121212121) | (x + 0x0101010101010101)) & 0x8080808080808080;
}

/*
 * Some octets from there in the names, in whole words where both sides have room, since a listing has millions of them: what is
 * behind `len` is anything then. Says whether any of what was copied may be odd.
 */
static inline bool copy_some(const struct list *list, size_t at, size_t len, char *to, size_t room)
{
	const size_t whole = (len + WORDS - 1) / WORDS * WORDS;
	uint64_t words[WORDS / sizeof(uint64_t)], odd = 0;
	if (whole > room || whole > list->names_len - at) {
		memcpy(to, list->names + at, len);
		return true;
	}
	for (size_t done = 0; done < whole; done += WORDS) {
		memcpy(words, list->names + at + done, sizeof words);
		odd |= odd_bits(words[0]) | odd_bits(words[1]);
		memcpy(to + done, words, sizeof words);
	}
	return odd != 0;
}

/* The first `want` octets of a name, and whether any of them may be odd. False: they are not all in the image. */
static inline bool copy_name(const struct list *list, size_t idx, size_t want, char *out, size_t room, bool *odd_r)
{
	const struct list_name *r = record(list, idx), *anchor = record(list, idx - idx % LIST_ANCHOR);
	const size_t prefix = r->prefix, suffix = r->suffix;
	if (prefix + suffix > r->len || prefix > anchor->len || suffix > anchor->len || want > r->len)
		return false;
	const size_t own = r->len - prefix - suffix;
	if (!is_inside(list, r->name, own) || !is_inside(list, anchor->name, anchor->len))
		return false;
	const size_t first = want < prefix ? want : prefix, second = want - first < own ? want - first : own;
	*odd_r = copy_some(list, anchor->name, first, out, room);
	*odd_r |= copy_some(list, r->name, second, out + first, room - first);
	*odd_r |= copy_some(list, anchor->name + anchor->len - suffix, want - first - second, out + first + second, room - first - second);
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

/* Has any of 8 octets no place in a unique-id? */
static bool any_odd(const char *octets)
{
	uint64_t x;
	memcpy(&x, octets, sizeof x);
	return odd_bits(x) != 0;
}

/* Whatever it is, it stays in its line. */
static void clean(char *text, size_t len)
{
	size_t done = 0;
	while (done + 8 <= len && !any_odd(text + done))
		done += 8;
	for (; done < len; done++)
		if (text[done] <= ' ' || text[done] >= 0x7f)
			text[done] = '?';
}

static size_t name_uidl(const struct list *list, size_t idx, char *out)
{
	const struct list_name *r = record(list, idx);
	const size_t len = r->uidl;
	const char *behind = r->flags & LIST_UIDL_BEHIND ? list_uidl_behind(list, r) : NULL;
	bool good = len > 0 && len <= UIDL_MAX, odd = true;
	if (good && behind != NULL)
		memcpy(out, behind, len);
	else
		good = good && (r->flags & LIST_UIDL_BEHIND) == 0 && copy_name(list, idx, len, out, UIDL_MAX, &odd);
	if (!good) {
		out[0] = '?';
		return 1;
	}
	if (odd)
		clean(out, len);
	return len;
}

/* Four octets as eight digits, all at once: a listing has millions of them. */
static void put_digits(const unsigned char *octets, char *out)
{
	const uint64_t x = octets[0] | (uint64_t)octets[1] << 16 | (uint64_t)octets[2] << 32 | (uint64_t)octets[3] << 48;
	const uint64_t halves = (x >> 4 & 0x000f000f000f000f) | (x & 0x000f000f000f000f) << 8;
	const uint64_t letters = (halves + 0x0606060606060606) >> 4 & 0x0101010101010101;
	const uint64_t digits = htole64(halves + 0x3030303030303030 + letters * ('a' - '9' - 1));
	memcpy(out, &digits, sizeof digits);
}

static size_t hash_uidl(const struct list_hash *r, char *out)
{
	size_t len = 2 * (size_t)LIST_UIDL_HASH;
	for (size_t i = 0; i < LIST_UIDL_HASH; i += 4)
		put_digits(r->uidl + i, out + 2 * i);
	if (r->copy > 1) {
		out[len++] = '-';
		len += format_number(out + len, r->copy);
	}
	return len;
}

size_t list_uidl(const struct list *list, size_t idx, char out[UIDL_MAX])
{
	return list->header->kind == LIST_NAMES ? name_uidl(list, idx, out) : hash_uidl(record(list, idx), out);
}
