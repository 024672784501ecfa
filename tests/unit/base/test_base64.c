/*
 * test_base64.c - base/base64.c: what RFC 4648 has, and nothing else.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/base64.h"

#include "tests/unit/suite.h"

static void test_decode(void)
{
	static const struct { const char *label, *text, *want; } rows[] = {
		{ "nothing", "", "" },
		{ "RFC 4648: f", "Zg==", "f" },
		{ "RFC 4648: fo", "Zm8=", "fo" },
		{ "RFC 4648: foo", "Zm9v", "foo" },
		{ "RFC 4648: foob", "Zm9vYg==", "foob" },
		{ "RFC 4648: fooba", "Zm9vYmE=", "fooba" },
		{ "RFC 4648: foobar", "Zm9vYmFy", "foobar" },
		{ "the last digits", "++//", "\xfb\xef\xff" },
		{ "no padding", "Zg", NULL },
		{ "half of the padding", "Zg=", NULL },
		{ "padding only", "====", NULL },
		{ "three of padding", "Z===", NULL },
		{ "a group of padding behind", "Zm9v====", NULL },
		{ "padding within", "Zg==Zm9v", NULL },
		{ "one digit", "Z", NULL },
		{ "bits left over", "Zh==", NULL },
		{ "bits left over of two", "Zm9=", NULL },
		{ "a line end", "Zm9v\r\n", NULL },
		{ "a blank", "Zm 9v", NULL },
		{ "digits of the alphabet for URLs", "--__", NULL },
		{ "8 bits", "Zm9\xf6", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[16] = { 0 };
		size_t size = 0;
		int r = base64_decode(rows[i].text, strlen(rows[i].text), out, sizeof out - 1, &size);
		ROW_ASSERT(rows[i].label, r == (rows[i].want != NULL ? 0 : -1));
		if (rows[i].want != NULL) {
			ROW_ASSERT(rows[i].label, size == strlen(rows[i].want));
			ROW_TEXT(rows[i].label, out, rows[i].want);
		}
	}
}

/* All octets, NUL among them, and all room or one octet too little. */
static void test_octets(void)
{
	static const char text[] = "AAD/gH8=";
	static const char want[] = { 0, 0, '\xff', '\x80', '\x7f' };
	char out[sizeof want];
	size_t size = 0;
	CU_ASSERT(base64_decode(text, strlen(text), out, sizeof out, &size) == 0);
	CU_ASSERT(size == sizeof want && memcmp(out, want, sizeof want) == 0);
	CU_ASSERT(base64_decode(text, strlen(text), out, sizeof out - 1, &size) == -1);
	CU_ASSERT(base64_decode("A\0==", 4, out, sizeof out, &size) == -1);
}

#define TESTS(X) X(test_decode) X(test_octets)
SUITE("base64")
