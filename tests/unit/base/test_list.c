/*
 * test_list.c - the list of messages that keeper and gate share: what is read of it, and what is none.
 * Runs in: the tests.
 */
#include "base/list.h"

#include <stdint.h>

#include "tests/unit/base/slow_list.h"
#include "tests/unit/list_image.h"
#include "tests/unit/suite.h"

static const struct message_record records[] = { { 1, "u" }, { LIST_OCTETS_MAX, "1700000000.M1P1.host" }, { 0, "a-longer-one-with-some-octets-more-than-eight" } };
enum { COUNT = sizeof records / sizeof *records };

static const char *uidl_of(const struct list *list, size_t idx)
{
	static char uidl[UIDL_MAX + 1];
	uidl[list_uidl(list, idx, uidl)] = '\0';
	return uidl;
}

static void test_names(void)
{
	size_t size;
	struct list list;
	void *image = list_image(records, COUNT, &size);
	CU_ASSERT_FATAL(image != NULL && list_open(&list, image, size) == 0 && list.count == COUNT);
	CU_ASSERT(list.octets == 1 + LIST_OCTETS_MAX);
	for (size_t i = 0; i < COUNT; i++) {
		CU_ASSERT(list_octets(&list, i) == records[i].octets);
		ROW_TEXT("name", uidl_of(&list, i), records[i].uidl);
	}
	free(image);
}

static void test_hashes(void)
{
	/* Without a number it is no hash but text. */
	static const struct {
		uint32_t copy;
		const char *want;
	} rows[] = {
		{ 0, "????" "!\"#$%&'()*+?" }, { 1, "000102030405060708090a0b0c0d0eff" }, { 2, "000102030405060708090a0b0c0d0eff-2" },
		{ 4294967295, "000102030405060708090a0b0c0d0eff-4294967295" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct {
			struct list_header header;
			struct list_hash record;
		} image = { .header = { .magic = LIST_MAGIC_OCTETS, .kind = LIST_HASHES, .record_size = sizeof(struct list_hash), .count = 1 },
		            .record = { .octets = 7, .copy = rows[i].copy } };
		struct list list;
		for (unsigned char n = 0; n < LIST_UIDL_HASH; n++)
			image.record.uidl[n] = n == LIST_UIDL_HASH - 1 ? 0xff : rows[i].copy == 0 ? (unsigned char)(n + '\x1d') : n;
		CU_ASSERT_FATAL(list_open(&list, &image, sizeof image) == 0);
		CU_ASSERT(list_octets(&list, 0) == 7);
		ROW_TEXT("hash", uidl_of(&list, 0), rows[i].want);
	}
}

/* Names that lead out of the image, or are no unique-ids: never more than a question mark. */
static void test_odd_names(void)
{
	static const struct {
		const char *label;
		uint32_t name;
		uint8_t uidl, flags;
		const char *text, *want;
	} rows[] = {
		{ "behind the end", 100, 1, 0, "abc", "?" },
		{ "begins at the end", 4, 1, 0, "abc", "?" },
		{ "over the end", 1, 70, 0, "abc", "?" },
		{ "empty", 0, 0, 0, "abc", "?" },
		{ "too long", 0, 71, 0, "abc", "?" },
		{ "behind a name that is not there", 2, 3, LIST_UIDL_BEHIND, "abc", "?" },
		{ "a line end", 0, 3, 0, "a\r\n", "a??" },
		{ "8 bits, blank, control", 0, 3, 0, "\xff \x01", "???" },
		{ "the whole", 0, 3, 0, "!~z", "!~z" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct message_record one = { .uidl = "xyz" };
		size_t size;
		struct list list;
		char *image = list_image(&one, 1, &size);
		CU_ASSERT_FATAL(image != NULL);
		struct list_name *r = (void *)(image + sizeof(struct list_header));
		memcpy(image + size - 3, rows[i].text, 3);
		r->name = rows[i].name;
		r->uidl = rows[i].uidl;
		r->flags = rows[i].flags;
		CU_ASSERT_FATAL(list_open(&list, image, size) == 0);
		ROW_TEXT(rows[i].label, uidl_of(&list, 0), rows[i].want);
		free(image);
	}
}

/* Names that share octets with their anchor: what is read, and what would lead out of the image. */
static void test_shared_names(void)
{
	static const struct {
		const char *label;
		uint8_t prefix, suffix, len, uidl;
		uint32_t name;
		const char *want, *uidl_want;
	} rows[] = {
		{ "all its own", 0, 0, 3, 3, 10, "xyz", "xyz" }, { "begins alike", 2, 0, 5, 5, 10, "01xyz", "01xyz" },
		{ "ends alike", 0, 3, 6, 6, 10, "xyz789", "xyz789" }, { "both", 2, 3, 8, 8, 10, "01xyz789", "01xyz789" },
		{ "the same", 6, 4, 10, 10, 0, "0123456789", "0123456789" }, { "the same, longer", 10, 10, 20, 20, 13, "01234567890123456789", "01234567890123456789" },
		{ "an id in the middle", 2, 3, 8, 4, 10, "01xyz789", "01xy" }, { "an id in the beginning", 2, 3, 8, 1, 10, "01xyz789", "0" },
		{ "an id in the end", 2, 3, 8, 7, 10, "01xyz789", "01xyz78" }, { "an id longer than the name", 2, 3, 8, 9, 10, "01xyz789", "?" },
		{ "its own out of the image", 2, 3, 9, 9, 10, "", "?" }, { "its own behind the image", 2, 3, 5, 5, 14, "", "?" },
		{ "more of the anchor than it has", 11, 0, 12, 12, 10, "", "?" }, { "the same at the end", 0, 11, 12, 12, 10, "", "?" },
		{ "more shared than there is", 5, 4, 8, 8, 10, "", "?" }, { "a name too long", 127, 127, 255, 1, 10, "", "?" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static const struct message_record two[] = { { 1, "0123456789" }, { 2, "xyz" } };
		char name[LIST_NAME_MAX + 1];
		size_t size;
		struct list list;
		char *image = list_image(two, 2, &size);
		CU_ASSERT_FATAL(image != NULL);
		struct list_name *r = (struct list_name *)(void *)(image + sizeof(struct list_header)) + 1;
		r->prefix = rows[i].prefix;
		r->suffix = rows[i].suffix;
		r->len = rows[i].len;
		r->uidl = rows[i].uidl;
		r->name = rows[i].name;
		CU_ASSERT_FATAL(list_open(&list, image, size) == 0);
		name[list_name_text(&list, 1, name)] = '\0';
		ROW_TEXT(rows[i].label, name, rows[i].want);
		ROW_TEXT(rows[i].label, uidl_of(&list, 1), rows[i].uidl_want);
		CU_ASSERT(list_octets(&list, 1) == 2);
		free(image);
	}
}

/* A listing from there on, in pieces of so many octets, is what the slow one says. */
static void check_listing(const struct list *list, const bool *left_out, bool uidl, size_t from, size_t room)
{
	struct listing l = { .list = list, .left_out = left_out, .uidl = uidl, .next = from };
	char piece[2 * LISTING_ROOM], line[LISTING_ROOM];
	size_t idx = from;
	while (l.next < list->count) {
		const size_t len = listing_lines(&l, piece, room);
		size_t at = 0;
		CU_ASSERT_FATAL(len <= room && l.next > idx);
		for (; idx < l.next; idx++) {
			if (left_out != NULL && left_out[idx])
				continue;
			slow_line(list, idx, uidl, line);
			CU_ASSERT_FATAL(strlen(line) <= len - at && memcmp(piece + at, line, strlen(line)) == 0);
			at += strlen(line);
		}
		CU_ASSERT_FATAL(at == len);
		CU_ASSERT_FATAL(l.next == list->count || room - len < LISTING_ROOM);
	}
	CU_ASSERT(listing_lines(&l, piece, room) == 0);
}

/* One odd octet at each place, where a wide move reads it and at the end of the image, where none does. */
static void test_odd_octets(void)
{
	static const char odd[] = { ' ', '\x7f', '\r', '\n', '\0', '\x80', '\xff' };
	static struct message_record two[2];
	memset(two[0].uidl, 'x', UIDL_MAX);
	two[1] = two[0];
	for (size_t at = 0; at < 2 * (size_t)UIDL_MAX; at++) {
		for (size_t i = 0; i < sizeof odd; i++) {
			char want[UIDL_MAX + 1];
			size_t size;
			struct list list;
			char *image = list_image(two, 2, &size);
			CU_ASSERT_FATAL(image != NULL);
			image[size - 2 * (size_t)UIDL_MAX + at] = odd[i];
			memcpy(want, two[0].uidl, sizeof want);
			want[at % UIDL_MAX] = '?';
			CU_ASSERT_FATAL(list_open(&list, image, size) == 0);
			ROW_TEXT("octet", uidl_of(&list, at / UIDL_MAX), want);
			check_listing(&list, NULL, true, 0, LISTING_ROOM);
			free(image);
		}
	}
}

/* Lines of names of many lengths, some left out, in pieces of many sizes; sizes and numbers of all lengths. */
static void test_listing(void)
{
	enum { MANY = 1200 };
	static struct message_record many[MANY];
	static bool left_out[MANY];
	uint64_t octets = 1;
	size_t size;
	struct list list;
	for (size_t i = 0; i < MANY; i++) {
		many[i].octets = octets % LIST_OCTETS_MAX - i % 2;
		octets = octets < LIST_OCTETS_MAX / 10 ? octets * 10 : 1 + i;
		memset(many[i].uidl, '!' + (int)(i % 90), 1 + i % UIDL_MAX);
		left_out[i] = i % 7 == 3 || (i > 500 && i < 520);
	}
	void *image = list_image(many, MANY, &size);
	CU_ASSERT_FATAL(image != NULL && list_open(&list, image, size) == 0);
	for (size_t room = LISTING_ROOM; room <= 2 * LISTING_ROOM; room++) {
		check_listing(&list, left_out, false, 0, room);
		check_listing(&list, left_out, true, 0, room);
	}
	free(image);
}

/* Where a number gets a digit more, and hashes of all octets. */
static void test_long_listing(void)
{
	enum { RECORDS = 1000020 };
	struct list_header *image = calloc(1, sizeof *image + RECORDS * sizeof(struct list_hash));
	struct list list;
	CU_ASSERT_FATAL(image != NULL);
	*image = (struct list_header){ .magic = LIST_MAGIC_OCTETS, .kind = LIST_HASHES, .record_size = sizeof(struct list_hash), .count = RECORDS };
	CU_ASSERT_FATAL(list_open(&list, image, list_size(image)) == 0);
	struct list_hash *hashes = (void *)(image + 1);
	for (size_t i = RECORDS - 300; i < RECORDS; i++) {
		for (size_t n = 0; n < LIST_UIDL_HASH; n++)
			hashes[i].uidl[n] = (unsigned char)(i * LIST_UIDL_HASH + n);
		hashes[i].octets = UINT64_MAX >> i % 64;
		hashes[i].copy = (uint32_t)(i % 5);
	}
	check_listing(&list, NULL, false, RECORDS - 300, LISTING_ROOM);
	check_listing(&list, NULL, true, RECORDS - 300, LISTING_ROOM);
	free(image);
}

/* Too little room is none, and an empty list has no lines. */
static void test_no_lines(void)
{
	static const struct list empty;
	char out[LISTING_ROOM];
	struct listing l = { .list = &empty, .uidl = true };
	CU_ASSERT(listing_lines(&l, out, sizeof out) == 0 && l.next == 0);
	size_t size;
	struct list list;
	void *image = list_image(records, COUNT, &size);
	CU_ASSERT_FATAL(image != NULL && list_open(&list, image, size) == 0);
	l.list = &list;
	CU_ASSERT(listing_lines(&l, out, LISTING_ROOM - 1) == 0 && l.next == 0);
	free(image);
}

static void test_none(void)
{
	static const struct {
		const char *label;
		size_t at;
		uint64_t with;
		size_t octets;
	} rows[] = {
		{ "magic", 0, 'X', 1 },
		{ "kind 0", offsetof(struct list_header, kind), 0, 4 },
		{ "kind 3", offsetof(struct list_header, kind), 3, 4 },
		{ "records too small", offsetof(struct list_header, record_size), 24, 4 },
		{ "records too large", offsetof(struct list_header, record_size), 72, 4 },
		{ "records askew", offsetof(struct list_header, record_size), 36, 4 },
		{ "one record more", offsetof(struct list_header, count), COUNT + 1, 8 },
		{ "one less", offsetof(struct list_header, count), COUNT - 1, 8 },
		{ "a count that wraps", offsetof(struct list_header, count), UINT64_MAX / 32 + 2, 8 },
		{ "names too long", offsetof(struct list_header, names), 1000, 8 },
		{ "names that wrap", offsetof(struct list_header, names), UINT64_MAX, 8 },
	};
	size_t size;
	struct list list;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *image = list_image(records, COUNT, &size);
		CU_ASSERT_FATAL(image != NULL);
		memcpy(image + rows[i].at, &rows[i].with, rows[i].octets);
		ROW_ASSERT(rows[i].label, list_open(&list, image, size) != 0);
		free(image);
	}
	char *image = list_image(records, COUNT, &size);
	CU_ASSERT_FATAL(image != NULL);
	for (size_t cut = 0; cut < size; cut++)
		CU_ASSERT(list_open(&list, image, cut) != 0);
	free(image);
}

#define TESTS(X) X(test_names) X(test_hashes) X(test_odd_names) X(test_shared_names) X(test_odd_octets) X(test_listing) X(test_long_listing) X(test_no_lines) X(test_none)
SUITE("list")
