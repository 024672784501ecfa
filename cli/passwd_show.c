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

static void complain_missing(const struct passwd_options *o)
{
	cli_complain("there is no passwd file %s; postern passwd add creates it", o->file);
}

static int verify_record(const struct passwd_options *o, unsigned line, const struct passwd_record *record)
{
	struct secret password = { .len = 0 };
	struct why why;
	if (cli_read_password(o->user, 0, &password) != CLI_OK)
		return CLI_CANNOT_TELL;
	enum hash_result result = hash_verify(record->hash.p, record->hash.len, &password, NULL, &why);
	secret_wipe(&password);
	if (result == HASH_RIGHT)
		(void)printf("%s: the password is right\n", o->user);
	else
		cli_complain("%s line %u: %s", o->file, line, why.text);
	return result == HASH_RIGHT ? CLI_OK : result == HASH_WRONG || result == HASH_LOCKED ? CLI_NO : CLI_CANNOT_TELL;
}

int passwd_verify(const struct passwd_options *o)
{
	struct passwd_line line;
	struct passwd_record record;
	struct why why;
	const char *problem;
	int result = CLI_CANNOT_TELL;
	const int found = passwd_line_find(o->file, true, passwd_line_is_for, o->user, &line, &why);
	if (found < 0)
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
	else if (line.no_file)
		complain_missing(o);
	else if (found == 0)
		cli_complain("there is no user %s in %s", o->user, o->file);
	else if (passwd_record_parse((struct text){ line.data, line.len }, &record, &problem) != RECORD_GOOD)
		cli_complain("%s line %u: %s", o->file, line.number, problem);
	else
		result = verify_record(o, line.number, &record);
	passwd_line_free(&line);
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
	struct why why;
	int result = CLI_OK;
	if (passwd_image_read(o->file, true, &image, &why) < 0) {
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
		return CLI_CONFIG;
	}
	if (image.data == NULL) {
		complain_missing(o);
		return CLI_CONFIG;
	}
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
