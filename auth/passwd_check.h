/*
 * passwd_check.h - what posternd -t says about the passwd file.
 * Runs in: posternd -t and at start, as root. Trusts: the file, once its mode and owner are checked.
 */
#ifndef POSTERN_PASSWD_CHECK_H
#define POSTERN_PASSWD_CHECK_H

#include "auth/auth.h"
#include "auth/passwd_records.h"

/* As auth_backend.check. */
void passwd_check(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context);

/* Where all mail is one user's (settings->one_owner): has the record his ids, or none? 0, or -1 and *why_r. */
int passwd_record_owner(const struct auth_settings *settings, const struct passwd_record *record, unsigned line, struct why *why_r);

/*
 * Where all mail is one user's (settings->one_owner): the same of all records that are good. 0, or -1 and *why_r about the first that fails. A file that cannot be read is for passwd_check().
 */
int passwd_check_owners(const struct auth_settings *settings, struct why *why_r);

#endif
