/*
 * passwd_change.c - postern passwd add, set and delete.
 * Runs in: postern, as whoever called it. Trusts: its caller; the file once its mode and owner are checked.
 *
 * What a change does not concern stays as it is, octet by octet: order, comments, malformed lines.
 */
#include <stdio.h>
#include <string.h>

#include "auth/hash.h"
#include "auth/passwd_records.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/edit.h"
#include "cli/passwd.h"

static bool is_there(const struct passwd_image *image, const char *user)
{
	struct passwd_lines lines = { .rest = { image->data, image->len } };
	struct text line;
	while (passwd_line_next(&lines, &line))
		if (passwd_line_is_for(line, user))
			return true;
	return false;
}

/* Before a password is asked for: is the user there, as the action needs it? The lock is not held yet. */
static int look_early(const struct passwd_options *o, bool want)
{
	struct passwd_line line;
	struct why why;
	const int found = passwd_line_find(o->file, false, passwd_line_is_for, o->user, &line, &why);
	const bool is_missing = line.no_file;
	if (found < 0) {
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
		return CLI_CONFIG;
	}
	passwd_line_free(&line);
	if ((found > 0) == want)
		return CLI_OK;
	if (found > 0)
		cli_complain("%s is in %s already; postern passwd set %s changes the password", o->user, o->file, o->user);
	else if (is_missing)
		cli_complain("there is no passwd file %s; postern passwd add creates it", o->file);
	else
		cli_complain("there is no user %s in %s", o->user, o->file);
	return is_missing ? CLI_CONFIG : found > 0 ? CLI_DATA : CLI_NO_USER;
}

/* Ask for the password and hash it. */
static int make_hash(const struct passwd_options *o, char *hash_r)
{
	struct secret password = { .len = 0 };
	struct why why;
	int result = cli_read_password(o->user, 1, &password);
	if (result != CLI_OK)
		return result;
	const long long before = now_ms();
	if (hash_new(&password, (unsigned)o->ops, (unsigned)o->memory_mib, hash_r, &why) < 0) {
		cli_complain("%s", why.text);
		result = CLI_TEMPORARY;
	} else {
		(void)fprintf(stderr, "postern: to check this password takes %lld ms and %u MiB on this host\n", now_ms() - before,
		              (unsigned)o->memory_mib);
	}
	secret_wipe(&password);
	return result;
}

/* A record's line with another hash. */
static int append_with_hash(struct edit_text *content, struct text line, const char *hash)
{
	const char *colon = memchr(line.p, ':', line.len);
	size_t head = (size_t)(colon - line.p) + 1;  /* passwd_line_is_for() saw the colon */
	const char *tail = memchr(line.p + head, ':', line.len - head);
	int result = edit_append(content, line.p, head);
	if (result == CLI_OK)
		result = edit_append(content, hash, strlen(hash));
	if (result == CLI_OK && tail != NULL)
		result = edit_append(content, tail, line.len - (size_t)(tail - line.p));
	return result;
}

/*
 * Copy the file: the first record of the user gets the hash. Without a hash all his records
 * go, for the second would come alive with the first gone. Without a user nothing changes.
 */
static int copy_changed(const struct passwd_image *image, const char *user, const char *hash, struct edit_text *content)
{
	struct passwd_lines lines = { .rest = { image->data, image->len } };
	struct text line;
	bool is_done = false;
	int result = CLI_OK;
	while (result == CLI_OK && passwd_line_next(&lines, &line)) {
		bool is_his = user != NULL && passwd_line_is_for(line, user);
		if (is_his && hash == NULL)
			continue;
		result = is_his && hash != NULL && !is_done ? append_with_hash(content, line, hash) : edit_append(content, line.p, line.len);
		is_done = is_done || is_his;
		if (result == CLI_OK)
			result = edit_append(content, "\n", 1);
	}
	return result;
}

/* The new record with that hash, and its line end. NULL, or what is wrong with it. */
static const char *make_line(const struct passwd_options *o, const char *hash, char *line_r, size_t size)
{
	struct passwd_record parsed;
	const char *problem = NULL;
	int n = snprintf(line_r, size, "%s:%s:%s:%s:%s:%s:\n", o->user, hash, o->uid, o->gid, o->comment, o->home);
	if (n < 0 || (size_t)n >= size - HASH_TEXT_MAX
	    || strchr(o->comment, ':') != NULL || strchr(o->home, ':') != NULL)
		return "comment and home have to be shorter, and without colons";
	if (passwd_record_parse((struct text){ line_r, (size_t)n - 1 }, &parsed, &problem) != RECORD_GOOD)
		return problem;
	return parsed.has_uid && parsed.uid == 0 ? "nobody can log in with uid 0" : NULL;
}

/* The record at the end of the file. */
static int append_record(const struct passwd_options *o, const char *line)
{
	struct edit_text content = { .p = NULL };
	struct edit edit;
	int result = edit_begin(o->file, true, &edit);
	if (result != CLI_OK)
		return result;
	if (is_there(&edit.image, o->user)) {
		cli_complain("%s was added to %s meanwhile; nothing was changed", o->user, o->file);
		result = CLI_DATA;
	}
	if (result == CLI_OK)
		result = copy_changed(&edit.image, NULL, NULL, &content);
	if (result == CLI_OK)
		result = edit_append(&content, line, strlen(line));
	if (result == CLI_OK)
		result = edit_commit(&edit, &content);
	edit_text_free(&content);
	edit_end(&edit);
	return result;
}

int passwd_add(const struct passwd_options *o)
{
	char line[PASSWD_LINE_MAX + HASH_TEXT_MAX], hash[HASH_TEXT_MAX + 1] = "";
	int result = look_early(o, false);
	if (result != CLI_OK)
		return result;
	const char *problem = make_line(o, "*", line, PASSWD_LINE_MAX);
	if (problem == NULL && (result = make_hash(o, hash)) == CLI_OK)
		problem = make_line(o, hash, line, sizeof line);
	if (problem != NULL) {
		cli_complain("not added: %s", problem);
		result = CLI_DATA;
	}
	return result == CLI_OK ? append_record(o, line) : result;
}

static int change(const struct passwd_options *o, const char *hash)
{
	struct edit_text content = { .p = NULL };
	struct edit edit;
	int result = edit_begin(o->file, false, &edit);
	if (result != CLI_OK)
		return result;
	if (!is_there(&edit.image, o->user)) {
		cli_complain("%s was removed from %s meanwhile; nothing was changed", o->user, o->file);
		result = CLI_NO_USER;
	}
	if (result == CLI_OK)
		result = copy_changed(&edit.image, o->user, hash, &content);
	if (result == CLI_OK)
		result = edit_commit(&edit, &content);
	edit_text_free(&content);
	edit_end(&edit);
	return result;
}

int passwd_set(const struct passwd_options *o)
{
	char hash[HASH_TEXT_MAX + 1] = "";
	int result = look_early(o, true);
	if (result == CLI_OK)
		result = make_hash(o, hash);
	return result == CLI_OK ? change(o, hash) : result;
}

int passwd_delete(const struct passwd_options *o)
{
	int result = look_early(o, true);
	return result == CLI_OK ? change(o, NULL) : result;
}
