/*
 * edit.h - one change to the passwd file: locked, whole, or not at all.
 * Runs in: postern, as whoever called it. Trusts: the file, once its mode and owner are checked.
 */
#ifndef POSTERN_CLI_EDIT_H
#define POSTERN_CLI_EDIT_H

#include "auth/passwd_records.h"

/* A growing copy of the file. */
struct edit_text {
	char *p;  /* owned */
	size_t len, room;
};

struct edit {
	const char *path;
	int lock;                   /* owned; flock on FILE.lock */
	struct passwd_image image;  /* as it was under the lock */
};

/* Lock and read. With may_create a missing file is an empty one. 0, or an exit code with the complaint made. */
int edit_begin(const char *path, bool may_create, struct edit *edit_r);

/* Replace the file by content: temporary file, fsync, rename, fsync of the directory. 0 or an exit code. */
int edit_commit(struct edit *edit, const struct edit_text *content);

/* Unlock and free, after a commit or instead of it. */
void edit_end(struct edit *edit);

/* Append. 0, or an exit code with the complaint made. */
int edit_append(struct edit_text *content, const char *octets, size_t len);

/* Wipe and free. */
void edit_text_free(struct edit_text *content);

#endif
