/*
 * passwd_check.h - what posternd -t says about the passwd file.
 * Runs in: posternd -t and at start, as root. Trusts: the file, once its mode and owner are checked.
 */
#ifndef POSTERN_PASSWD_CHECK_H
#define POSTERN_PASSWD_CHECK_H

#include "auth/auth.h"

/* As auth_backend.check. */
void passwd_check(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context);

#endif
