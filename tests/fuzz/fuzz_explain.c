/*
 * fuzz_explain.c - what people paste into `postern explain`: any text, and lines that a server has sent.
 * Runs in: the tests. Trusts: nothing.
 */
#include "cli/explain.h"
#include "daemon/languages.h"
#include "tests/fuzz/fuzz.h"

enum { WORDS_MAX = 2048 };

static void check_found(const char *words)
{
	enum reply found[REPLY_COUNT];
	size_t count = explain_find(words, found);
	CHECK(count < REPLY_COUNT, "%zu rows", count);
	for (size_t i = 0; i < count; i++) {
		CHECK(found[i] > REPLY_NONE && found[i] < REPLY_COUNT, "row %d", (int)found[i]);
		CHECK(i == 0 || found[i] > found[i - 1], "rows %d, %d", (int)found[i - 1], (int)found[i]);
		CHECK(count == 1 || !reply_row(found[i])->ok, "%s is no failure", reply_row(found[i])->name);
	}
}

static void check_ref(const char *words)
{
	char text[REF_TEXT_MAX];
	uint32_t ref = explain_ref(words);
	CHECK(ref == REF_NONE || ref_parse(ref_text(ref, text)) == ref, "reference %u in %s", ref, words);
}

/* A line that a server sent is found, whatever stands in its places; its reference, too. */
static void check_sent(struct input *in)
{
	const enum reply id = (enum reply)(1 + take_below(in, REPLY_COUNT - 1));
	struct reply_args args = { .language = &languages[take_below(in, (unsigned)languages_count)] };
	char line[REPLY_LINE_MAX + 1] = "", text[16];
	enum reply found[REPLY_COUNT];
	struct buf out = BUF_OVER(line);
	bool there = false;
	if (reply_row(id)->ok)
		return;
	for (size_t i = 0; i < REPLY_NUMBERS; i++)
		args.n[i] = take_number(in, 4);
	(void)snprintf(text, sizeof text, "%u", take_octet(in));
	args.text = text;
	args.ref = take_flag(in) ? ref_of_failure(args.n[0], 7) : ref_of_worker(args.n[0], 7);
	CHECK(reply_add(&out, id, &args) == 0, "%s does not fit", reply_row(id)->name);
	size_t count = explain_find(buf_text(&out), found);
	for (size_t i = 0; i < count; i++)
		there = there || found[i] == id || strcmp(reply_text(found[i], args.language), reply_text(id, args.language)) == 0;
	CHECK(there, "%s is not found by %s", reply_row(id)->name, line);
	CHECK(!reply_row(id)->referenced || explain_ref(line) == args.ref, "no reference in %s", line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	char words[WORDS_MAX];
	check_sent(&in);
	(void)piece_text(take_rest(&in), words, sizeof words);
	check_found(words);
	check_ref(words);
	return 0;
}
