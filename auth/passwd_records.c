/*
 * passwd_records.c - the passwd file: its lines and records.
 * Runs in: keeper, as root; postern passwd, as whoever called it.
 * Trusts: the file, once its mode and owner are checked; yet every field is bounded.
 */
#include "auth/passwd_records.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/number.h"
#include "base/secret.h"

enum {
	FIELD_NAME, FIELD_HASH, FIELD_UID, FIELD_GID, FIELD_COMMENT, FIELD_HOME,
	FIELD_COUNT,
};

static const uint64_t ID_MAX = UINT32_MAX - 1;  /* (uid_t)-1 means "no change" to setuid(2) */

bool passwd_line_next(struct passwd_lines *lines, struct text *line_r)
{
	if (lines->rest.len == 0)
		return false;
	const char *end = memchr(lines->rest.p, '\n', lines->rest.len);
	size_t len = end == NULL ? lines->rest.len : (size_t)(end - lines->rest.p);
	size_t taken = end == NULL ? len : len + 1;
	*line_r = (struct text){ lines->rest.p, len };
	lines->rest.p += taken;
	lines->rest.len -= taken;
	lines->line++;
	return true;
}

static bool has_control(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			return true;
	return false;
}

bool user_name_ok(const char *name, size_t len)
{
	if (len == 0 || len > USER_NAME_MAX || has_control(name, len))
		return false;
	if (memchr(name, ':', len) != NULL || memchr(name, '/', len) != NULL || name[0] == '#')
		return false;
	if (name[0] == ' ' || name[len - 1] == ' ')
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

bool passwd_line_is_for(struct text line, const void *user)
{
	size_t len = strlen(user);
	return line.len > len && line.p[len] == ':' && memcmp(line.p, user, len) == 0;
}

/* Cut the line at its colons; fields that are absent are empty. Returns how many there are, at most FIELD_COUNT. */
static size_t split(struct text line, struct text fields[FIELD_COUNT])
{
	size_t count = 0;
	for (;;) {
		const char *end = memchr(line.p, ':', line.len);
		size_t len = end == NULL ? line.len : (size_t)(end - line.p);
		fields[count++] = (struct text){ line.p, len };
		if (end == NULL || count == FIELD_COUNT)
			return count;
		line.p += len + 1;
		line.len -= len + 1;
	}
}

/* An empty field is good and leaves *has_r false. */
static bool parse_id(struct text field, bool *has_r, uint32_t *id_r)
{
	uint64_t id = 0;
	*has_r = false;
	if (field.len == 0)
		return true;
	if (parse_number(field.p, field.len, 0, ID_MAX, &id) < 0)
		return false;
	*has_r = true;
	*id_r = (uint32_t)id;
	return true;
}

static const char *parse_fields(struct text line, struct passwd_record *record_r)
{
	struct text fields[FIELD_COUNT] = { { .len = 0 } };
	if (line.len > PASSWD_LINE_MAX)
		return "the line is too long";
	if (has_control(line.p, line.len))
		return "there is a control character in it (a DOS line end?)";
	if (split(line, fields) < 2)
		return "there is no colon; want name:hash:uid:gid:comment:home";
	record_r->name = fields[FIELD_NAME];
	record_r->hash = fields[FIELD_HASH];
	record_r->comment = fields[FIELD_COMMENT];
	record_r->home = fields[FIELD_HOME];
	if (!user_name_ok(record_r->name.p, record_r->name.len))
		return "the user name is empty, too long, or has characters that no user name may have";
	if (!parse_id(fields[FIELD_UID], &record_r->has_uid, &record_r->uid))
		return "the uid is not a number";
	if (!parse_id(fields[FIELD_GID], &record_r->has_gid, &record_r->gid))
		return "the gid is not a number";
	if (record_r->has_gid && !record_r->has_uid)
		return "there is a gid but no uid";
	if (record_r->home.len >= PATH_MAX || (record_r->home.len > 0 && record_r->home.p[0] != '/'))
		return "the home does not begin with /, or is too long";
	return NULL;
}

enum record_kind passwd_record_parse(struct text line, struct passwd_record *record_r, const char **problem_r)
{
	memset(record_r, 0, sizeof *record_r);
	*problem_r = NULL;
	if (line.len == 0 || line.p[0] == '#')
		return RECORD_COMMENT;
	*problem_r = parse_fields(line, record_r);
	return *problem_r == NULL ? RECORD_GOOD : RECORD_BAD;
}
