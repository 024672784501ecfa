/*
 * fuzz_replies.c - answers with any numbers and texts in any language, wrong doors, and the languages that clients name.
 * Runs in: the tests. Trusts: nothing.
 */
#include "daemon/commands.h"
#include "daemon/doors.h"
#include "daemon/languages.h"
#include "tests/fuzz/fuzz.h"

/* A unique-id goes out as it is, because storage/ makes no other. */
static void make_uidl(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			*p = '!';
	text[strlen(text) < 70 ? strlen(text) : 70] = '\0';
}

static void check_line(const char *line, size_t len, const struct reply_row *row, const struct reply_args *args)
{
	const char *begin = row->ok ? "+OK " : "-ERR ";
	CHECK(len >= 2 && len <= REPLY_LINE_MAX, "%s has %zu octets", row->name, len);
	CHECK(memcmp(line + len - 2, "\r\n", 2) == 0, "%s has no line end", row->name);
	CHECK(strncmp(line, begin, strlen(begin)) == 0, "%s begins with %.4s", row->name, line);
	CHECK(is_clean_utf8(line, len - 2), "%s is no UTF-8: %s", row->name, line);
	CHECK(args->language != NULL || is_printable(line, len - 2), "%s is no ASCII: %s", row->name, line);
	char ref[REF_TEXT_MAX], end[32];
	int n = snprintf(end, sizeof end, " (ref %s)\r\n", ref_text(args->ref, ref));
	const bool has_ref = len > (size_t)n && memcmp(line + len - (size_t)n, end, (size_t)n) == 0;
	CHECK(!row->referenced || args->ref == REF_NONE || has_ref, "%s lost its reference: %s", row->name, line);
}

static void check_reply(struct input *in)
{
	const enum reply id = (enum reply)(1 + take_below(in, REPLY_COUNT - 1));
	const unsigned language = take_below(in, (unsigned)languages_count + 1), room = (unsigned)take_number(in, 2) % (REPLY_LINE_MAX + 1);
	struct reply_args args = { .language = language > 0 ? &languages[language - 1] : NULL };
	char text[1024], line[REPLY_LINE_MAX + 1] = "", small[REPLY_LINE_MAX];
	for (size_t i = 0; i < REPLY_NUMBERS; i++)
		args.n[i] = take_number(in, 8);
	args.ref = take_flag(in) ? ref_of_failure(args.n[0], 1) : take_flag(in) ? ref_of_worker(args.n[0], 1) : REF_NONE;
	args.text = piece_text(take_line(in), text, sizeof text);
	if (strstr(reply_row(id)->text, "{u}") != NULL)
		make_uidl(text);
	struct buf out = { .p = line, .cap = REPLY_LINE_MAX };
	CHECK(reply_add(&out, id, &args) == 0, "%s does not fit", reply_row(id)->name);
	check_line(line, out.len, reply_row(id), &args);
	/* Whole or not at all. */
	struct buf less = { .p = small, .cap = room };
	if (reply_add(&less, id, &args) == 0)
		CHECK(less.len == out.len && memcmp(small, line, out.len) == 0, "%s became another line", reply_row(id)->name);
	else
		CHECK(less.len == 0 && room < out.len, "%s fits %u octets", reply_row(id)->name, room);
}

static void check_language(struct piece range)
{
	char *exact = piece_copy(range);
	const struct language *found = language_find(exact, range.len);
	if (found != NULL) {
		CHECK(found >= languages && found < languages + languages_count, "a language of its own");
		CHECK(language_find(found->tag, strlen(found->tag)) == found, "%s is not found by its tag", found->tag);
	}
	free(exact);
}

static void check_door(struct piece line)
{
	char *exact = piece_copy(line);
	const enum door first = door_of_octets(exact, line.len), door = door_of_line(exact, line.len);
	CHECK(first == DOOR_NONE || first == DOOR_TLS_ON_PLAIN || first == DOOR_PROXY, "door %d by octets", (int)first);
	CHECK((first == DOOR_TLS_ON_PLAIN) == (line.len >= 2 && memcmp(exact, "\x16\x03", 2) == 0), "TLS is door %d", (int)first);
	CHECK(door == DOOR_NONE || reply_row(door_row(door)->reply)->ok == false, "door %d has no refusal", (int)door);
	/* Nobody who speaks POP3 came to the wrong door. */
	const size_t word = strcspn(piece_text(line, (char[COMMAND_LINE_MAX + 1]){ "" }, COMMAND_LINE_MAX + 1), " ");
	for (size_t i = 0; i < commands_count; i++)
		if (strlen(commands[i].name) == word && word <= line.len && strncasecmp(commands[i].name, exact, word) == 0)
			CHECK(door == DOOR_NONE || door == DOOR_IMAP, "%s is door %d", commands[i].name, (int)door);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	check_reply(&in);
	check_language(take_line(&in));
	check_door(take_rest(&in));
	return 0;
}
