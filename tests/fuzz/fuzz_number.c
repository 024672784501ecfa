/*
 * fuzz_number.c - the number parser beside strtoull(3), and references there and back.
 * Runs in: the tests. Trusts: nothing.
 */
#include <ctype.h>
#include <errno.h>

#include "base/number.h"
#include "base/ref.h"
#include "tests/fuzz/fuzz.h"

static bool number_slowly(struct piece text, uint64_t min, uint64_t max, uint64_t *value_r)
{
	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!isdigit((unsigned char)text.p[i]))
			return false;
	char *digits = strndup(text.p, text.len);
	errno = 0;
	*value_r = strtoull(digits, NULL, 10);
	free(digits);
	return errno == 0 && *value_r >= min && *value_r <= max;
}

static void check_number(struct piece text, uint64_t min, uint64_t max)
{
	enum { UNTOUCHED = 4711 };
	uint64_t want = 0, got = UNTOUCHED;
	char *exact = piece_copy(text);
	const bool good = number_slowly(text, min, max, &want);
	CHECK((parse_number(exact, text.len, min, max, &got) == 0) == good, "\"%.*s\" is %sa number", (int)text.len, text.p, good ? "" : "not ");
	CHECK(got == (good ? want : UNTOUCHED), "%ju, want %ju", (uintmax_t)got, (uintmax_t)want);
	free(exact);
}

static void check_ref(uint32_t ref)
{
	char text[REF_TEXT_MAX];
	(void)ref_text(ref, text);
	CHECK(ref_parse(text) == ref, "%u becomes %s becomes %u", ref, text, ref_parse(text));
	for (char *p = text; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	CHECK(ref_parse(text) == ref, "%s in lower case", text);
}

static void check_refs(uint64_t n, uint32_t key)
{
	const uint32_t failure = ref_of_failure(n, key), next = ref_of_failure(n + 1, key), worker = ref_of_worker(n, key);
	CHECK(failure != REF_NONE && failure < REF_FAILURES && failure != next, "failure %ju: %u, then %u", (uintmax_t)n, failure, next);
	CHECK(worker >= REF_FAILURES && worker < (uint32_t)1 << 31, "worker %ju: %u", (uintmax_t)n, worker);
	check_ref(failure);
	check_ref(worker);
}

static void check_typed(struct piece typed)
{
	char text[64], again[REF_TEXT_MAX];
	uint32_t ref = ref_parse(piece_text(typed, text, sizeof text));
	if (ref == REF_NONE)
		return;
	CHECK(ref_parse(ref_text(ref, again)) == ref, "\"%s\" is %u, which is %s", text, ref, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const uint64_t n = take_number(&in, 8), min = take_flag(&in) ? take_number(&in, 8) : 0;
	const uint64_t max = take_flag(&in) ? take_number(&in, 8) : UINT64_MAX;
	struct piece text = take_rest(&in);
	check_refs(n, (uint32_t)min);
	check_typed(text);
	check_number(text, min, max);
	return 0;
}
