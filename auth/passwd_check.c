/*
 * passwd_check.c - what posternd -t says about the passwd file.
 * Runs in: posternd -t and at start, as root. Trusts: the file, once its mode and owner are checked.
 */
#include "auth/passwd_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/account.h"
#include "auth/hash.h"
#include "auth/passwd_records.h"
#include "base/buf.h"

enum {
	FINDINGS_MAX = 20,       /* lines that are reported one by one */
	FINDING_TEXT_MAX = 512,
};

struct check {
	const struct auth_settings *settings;
	void (*finding)(void *context, const char *text);
	void *context;
	unsigned findings;
};

struct named {
	struct text name;
	unsigned line;
};

static void report(struct check *check, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void report(struct check *check, unsigned line, const char *format, ...)
{
	char storage[FINDING_TEXT_MAX];
	struct buf text = BUF_OVER(storage);
	va_list ap;

	if (++check->findings > FINDINGS_MAX)
		return;
	(void)buf_printf(&text, "passwd file %.200s line %u: ", check->settings->passwd_file, line);
	va_start(ap, format);
	(void)buf_vprintf(&text, format, ap);
	va_end(ap);
	check->finding(check->context, buf_text(&text));
}

static void check_hash(struct check *check, unsigned line, const struct passwd_record *record)
{
	struct hash_info info;
	struct why why = { .text = "" };
	hash_inspect(record->hash.p, record->hash.len, &info, &why);
	if (info.state == HASH_UNUSABLE)
		report(check, line, "%s %.*s", why.text, (int)record->name.len, record->name.p);
	if (info.state == HASH_RIGHT && info.weak)
		report(check, line, "%s is cheap to guess; give a new password with postern passwd set %.*s", info.scheme,
		       (int)record->name.len, record->name.p);
}

static void check_name(struct check *check, unsigned line, const char *name)
{
	char known[USER_NAME_MAX + 1];
	(void)snprintf(known, sizeof known, "%s", name);
	auth_user_name(check->settings, known);
	if (strcmp(name, known) != 0)
		report(check, line, "nobody can log in as %s, since user_names and local_domains make %s of it; give the line that name", name, known);
}

static void check_owner(struct check *check, unsigned line, const struct passwd_record *record, const char *name)
{
	struct identity identity;
	struct why why;
	const char *owner = check->settings->virtual_user;
	bool is_virtual = owner != NULL && owner[0] != '\0';

	if (record->has_uid && (record->uid == 0 || record->uid < check->settings->minimum_uid))
		report(check, line, "uid %u is refused; minimum_uid is %u", (unsigned)record->uid,
		       (unsigned)check->settings->minimum_uid);
	if (record->has_uid && !record->has_gid && account_by_uid(check->settings, record->uid, &identity, &why) == AUTH_NOT_HERE)
		report(check, line, "there is a uid without a gid, and no account has that uid; give a gid");
	if (!record->has_uid && !is_virtual && account_by_name(check->settings, name, &identity, &why) == AUTH_NOT_HERE)
		report(check, line, "no uid, and no account has that name; give a uid and gid, or set virtual_user");
}

int passwd_record_owner(const struct auth_settings *settings, const struct passwd_record *record, unsigned line, struct why *why_r)
{
	if (!settings->one_owner || !record->has_uid || (record->uid == settings->owner_uid && (!record->has_gid || record->gid == settings->owner_gid)))
		return 0;
	return why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s line %u: its uid and gid are not virtual_user's (%u, %u), and [workers] sessions above 1"
	               " serves only that user's mail; take them out of the line, or write sessions = 1", settings->passwd_file, line,
	               (unsigned)settings->owner_uid, (unsigned)settings->owner_gid);
}

int passwd_check_owners(const struct auth_settings *settings, struct why *why_r)
{
	struct passwd_image image;
	int result = 0;
	if (passwd_image_read(settings->passwd_file, true, &image, why_r) < 0)
		return 0;
	struct passwd_lines lines = { .rest = { image.data, image.len } };
	struct text line;
	while (result == 0 && passwd_line_next(&lines, &line)) {
		struct passwd_record record;
		const char *problem;
		if (passwd_record_parse(line, &record, &problem) == RECORD_GOOD)
			result = passwd_record_owner(settings, &record, lines.line, why_r);
	}
	passwd_image_free(&image);
	return result;
}

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = memcmp(x->name.p, y->name.p, len);
	if (order != 0)
		return order;
	if (x->name.len != y->name.len)
		return x->name.len < y->name.len ? -1 : 1;
	return x->line < y->line ? -1 : 1;
}

static void check_duplicates(struct check *check, struct named *names, size_t count)
{
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 1; i < count; i++) {
		if (names[i].name.len != names[i - 1].name.len || memcmp(names[i].name.p, names[i - 1].name.p, names[i].name.len) != 0)
			continue;
		report(check, names[i].line, "%.*s stands already in line %u, which wins; remove one of them", (int)names[i].name.len,
		       names[i].name.p, names[i - 1].line);
	}
}

static void check_lines(struct check *check, const struct passwd_image *image)
{
	struct passwd_lines lines = { .rest = { image->data, image->len } };
	struct text line;
	struct named *names = NULL;
	size_t count = 0, room = 0;

	while (passwd_line_next(&lines, &line)) {
		struct passwd_record record;
		const char *problem;
		enum record_kind kind = passwd_record_parse(line, &record, &problem);
		if (kind == RECORD_BAD)
			report(check, lines.line, "%s", problem);
		if (kind != RECORD_GOOD)
			continue;
		char name[USER_NAME_MAX + 1];
		(void)snprintf(name, sizeof name, "%.*s", (int)record.name.len, record.name.p);
		check_name(check, lines.line, name);
		check_hash(check, lines.line, &record);
		check_owner(check, lines.line, &record, name);
		if (count == room) {
			room = room == 0 ? 64 : room * 2;
			struct named *more = reallocarray(names, room, sizeof *names);
			if (more == NULL) {
				report(check, lines.line, "no memory to look for names that stand twice");
				break;
			}
			names = more;
		}
		names[count++] = (struct named){ record.name, lines.line };
	}
	if (count > 0)
		check_duplicates(check, names, count);
	free(names);
}

void passwd_check(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context)
{
	struct check check = { .settings = settings, .finding = finding, .context = context };
	struct passwd_image image;
	struct identity identity;
	struct why why;
	char text[FINDING_TEXT_MAX];

	if (settings->virtual_user != NULL && settings->virtual_user[0] != '\0'
	    && account_by_name(settings, settings->virtual_user, &identity, &why) != AUTH_ACCEPTED) {
		(void)snprintf(text, sizeof text, "virtual_user %.64s: %.200s", settings->virtual_user, why.text);
		finding(context, text);
	}
	if (passwd_image_read(settings->passwd_file, true, &image, &why) < 0) {
		finding(context, why.text);
		return;
	}
	if (image.data == NULL) {
		(void)snprintf(text, sizeof text, "passwd file %.200s is not there; create it with postern passwd add, or take"
		               " passwd-file out of backends", settings->passwd_file);
		finding(context, text);
	}
	check_lines(&check, &image);
	if (check.findings > FINDINGS_MAX) {
		(void)snprintf(text, sizeof text, "passwd file %.200s: %u more findings", settings->passwd_file,
		               check.findings - FINDINGS_MAX);
		finding(context, text);
	}
	passwd_image_free(&image);
}
