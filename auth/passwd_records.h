/*
 * passwd_records.h - the passwd file: reading it, its lines, its records.
 * Runs in: keeper, as root; postern passwd, as whoever called it.
 * Trusts: the file, once its mode and owner are checked.
 *
 *   name:hash:uid:gid:comment:home:shell
 *
 * Fields behind the home are ignored, as are Dovecot's. Trailing fields may be absent,
 * uid, gid and home may be empty. Lines that are empty or begin with '#' are comments.
 */
#ifndef POSTERN_PASSWD_RECORDS_H
#define POSTERN_PASSWD_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/why.h"

enum {
	PASSWD_FILE_MAX = 16 << 20,  /* octets: about 100,000 records */
	PASSWD_LINE_MAX = 8192,      /* octets of a line: a home of PATH_MAX and a long comment */
	PASSWD_READS_MAX = 5,        /* attempts to read a file that is being written */
	PASSWD_SETTLE_MS = 100,      /* a file younger than this may be half-written */
};

/* Octets somewhere in the image; not NUL-terminated. */
struct text {
	const char *p;
	size_t len;
};

struct passwd_image {
	char *data;      /* owned; NULL when there is no such file */
	size_t len;
	struct stat st;
};

/* One line of the file. */
struct passwd_line {
	char *data;      /* owned; NULL: none was found */
	size_t len;      /* without its line end */
	unsigned number; /* from 1 */
	bool no_file;    /* there is none to look in */
};

struct passwd_record {
	struct text name, hash, comment, home;
	bool has_uid, has_gid;
	uid_t uid;
	gid_t gid;
};

/* Where a walk over the lines stands; begin with { .rest = { image.data, image.len } }. */
struct passwd_lines {
	struct text rest;
	unsigned line;  /* number of the line that was last returned, from 1 */
};

enum record_kind { RECORD_COMMENT, RECORD_GOOD, RECORD_BAD };

/*
 * Read the file whole, one state of it: 0, also when there is none (data is NULL), or -1.
 * Refuses a link, and a file that others can read or that others or its group can write.
 * settle: wait until a file that was just written is PASSWD_SETTLE_MS old, so that one
 * that is being rewritten in place is not taken for complete.
 */
int passwd_image_read(const char *path, bool settle, struct passwd_image *image_r, struct why *why_r);

/* Wipe and free. */
void passwd_image_free(struct passwd_image *image);

/* Is that the line? */
typedef bool passwd_wanted(struct text line, const void *context);

/*
 * The first line that is wanted, of one state of the file: 1 and *line_r, for passwd_line_free(); 0 when there is none, or no
 * file, which line_r->no_file tells; or -1 and *why_r, for the same reasons as above. What stands behind the line is not read.
 */
int passwd_line_find(const char *path, bool settle, passwd_wanted *wanted, const void *context, struct passwd_line *line_r, struct why *why_r);

/* Wipe and free. */
void passwd_line_free(struct passwd_line *line);

/* The next line, without its line end. False behind the last. */
bool passwd_line_next(struct passwd_lines *lines, struct text *line_r);

/* The only parser. problem_r: what is wrong with a RECORD_BAD line. */
enum record_kind passwd_record_parse(struct text line, struct passwd_record *record_r, const char **problem_r);

/* Is the line the record of that user, whether or not the rest of it is good? user: const char *. As passwd_wanted. */
bool passwd_line_is_for(struct text line, const void *user);

/* May a user be called so? 1..USER_NAME_MAX octets that are safe in a path, in the passwd file and in a log. */
bool user_name_ok(const char *name, size_t len);

#endif
