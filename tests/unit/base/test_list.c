/*
 * test_list.c - the list of messages that keeper and gate share: what is read of it, and what is none.
 * Runs in: the tests.
 */
#include "base/list.h"

#include <stdint.h>

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
	static const struct {
		uint32_t copy;
		const char *want;
	} rows[] = {
		{ 0, "000102030405060708090a0b0c0d0eff" }, { 1, "000102030405060708090a0b0c0d0eff" }, { 2, "000102030405060708090a0b0c0d0eff-2" },
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
			image.record.uidl[n] = n < LIST_UIDL_HASH - 1 ? n : 0xff;
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

/* Eight octets at a time: one odd one at each place. */
static void test_odd_octets(void)
{
	static const char odd[] = { ' ', '\x7f', '\r', '\n', '\0', '\x80', '\xff' };
	struct message_record one = { .octets = 0 };
	memset(one.uidl, 'x', UIDL_MAX);
	for (size_t at = 0; at < UIDL_MAX; at++) {
		for (size_t i = 0; i < sizeof odd; i++) {
			char want[UIDL_MAX + 1];
			size_t size;
			struct list list;
			char *image = list_image(&one, 1, &size);
			CU_ASSERT_FATAL(image != NULL);
			image[size - UIDL_MAX + at] = odd[i];
			memcpy(want, one.uidl, sizeof want);
			want[at] = '?';
			CU_ASSERT_FATAL(list_open(&list, image, size) == 0);
			ROW_TEXT("octet", uidl_of(&list, 0), want);
			free(image);
		}
	}
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

#define TESTS(X) X(test_names) X(test_hashes) X(test_odd_names) X(test_shared_names) X(test_odd_octets) X(test_none)
SUITE("list")
