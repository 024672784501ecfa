/*
 * passwd_show.c - postern passwd verify and list.
 * Runs in: postern, as whoever called it. Trusts: its caller; the file once its mode and owner are checked.
 */
#include <stdio.h>
#include <string.h>

#include "auth/hash.h"
#include "auth/passwd_records.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/passwd.h"

enum { OWNER_TEXT_MAX = 32 };

static int read_file(const struct passwd_options *o, struct passwd_image *image_r)
{
	struct why why;
	if (passwd_image_read(o->file, true, image_r, &why) < 0) {
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
		return CLI_CONFIG;
	}
	if (image_r->data == NULL) {
		cli_complain("there is no passwd file %s; postern passwd add creates it", o->file);
		return CLI_CONFIG;
	}
	return CLI_OK;
}

/* The first record of the user; the line's number, or 0. */
static unsigned find(const struct passwd_image *image, const char *user, struct passwd_record *record_r, const char **problem_r)
{
	struct passwd_lines lines = { .rest = { image->data, image->len } };
	struct text line;
	while (passwd_line_next(&lines, &line)) {
		if (!passwd_line_is_for(line, user))
			continue;
		(void)passwd_record_parse(line, record_r, problem_r);
		return lines.line;
	}
	return 0;
}

static int verify_in(const struct passwd_options *o, const struct passwd_image *image)
{
	struct secret password = { .len = 0 };
	struct passwd_record record;
	const char *problem = NULL;
	struct why why;
	unsigned line = find(image, o->user, &record, &problem);
	if (line == 0 || problem != NULL) {
		if (line == 0)
			cli_complain("there is no user %s in %s", o->user, o->file);
		else
			cli_complain("%s line %u: %s", o->file, line, problem);
		return CLI_CANNOT_TELL;
	}
	if (cli_read_password(o->user, 0, &password) != CLI_OK)
		return CLI_CANNOT_TELL;
	enum hash_result result = hash_verify(record.hash.p, record.hash.len, &password, NULL, &why);
	secret_wipe(&password);
	if (result == HASH_RIGHT)
		(void)printf("%s: the password is right\n", o->user);
	else
		cli_complain("%s line %u: %s", o->file, line, why.text);
	return result == HASH_RIGHT ? CLI_OK : result == HASH_WRONG || result == HASH_LOCKED ? CLI_NO : CLI_CANNOT_TELL;
}

int passwd_verify(const struct passwd_options *o)
{
	struct passwd_image image;
	if (read_file(o, &image) != CLI_OK)
		return CLI_CANNOT_TELL;
	int result = verify_in(o, &image);
	passwd_image_free(&image);
	return result;
}

static void print_record(const struct passwd_record *record)
{
	struct hash_info info;
	struct why why;
	char name_storage[4 * USER_NAME_MAX + 4], owner[OWNER_TEXT_MAX] = "-";
	struct buf name = BUF_OVER(name_storage);
	hash_inspect(record->hash.p, record->hash.len, &info, &why);
	buf_add_escaped(&name, record->name.p, record->name.len);
	if (record->has_gid)
		(void)snprintf(owner, sizeof owner, "%u:%u", (unsigned)record->uid, (unsigned)record->gid);
	else if (record->has_uid)
		(void)snprintf(owner, sizeof owner, "%u", (unsigned)record->uid);
	(void)printf("%-20s %-14s %-22s %s%s\n", buf_text(&name), info.scheme, info.cost.words[0] == '\0' ? "-" : info.cost.words, owner,
	             info.state == HASH_UNUSABLE ? "  (cannot be used)" : info.weak ? "  (weak)" : "");
}

int passwd_list(const struct passwd_options *o)
{
	struct passwd_image image;
	struct text line;
	int result = read_file(o, &image);
	if (result != CLI_OK)
		return result;
	struct passwd_lines lines = { .rest = { image.data, image.len } };
	(void)printf("%-20s %-14s %-22s %s\n", "USER", "SCHEME", "COST", "OWNER");
	while (passwd_line_next(&lines, &line)) {
		struct passwd_record record;
		const char *problem;
		enum record_kind kind = passwd_record_parse(line, &record, &problem);
		if (kind == RECORD_GOOD)
			print_record(&record);
		if (kind != RECORD_BAD)
			continue;
		cli_complain("%s line %u: %s", o->file, lines.line, problem);
		result = CLI_DATA;
	}
	passwd_image_free(&image);
	return result;
}
