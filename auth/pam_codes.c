/*
 * pam_codes.c - what each return code of Linux-PAM means here.
 * Runs in: keeper, as root. Trusts: its caller.
 *
 * Only codes that speak of the user or of the password refuse; whatever speaks of a
 * database, a module or the set-up is a failure of the host, and must never look like a
 * wrong password: people then change settings that were right.
 */
#include <security/pam_appl.h>

#include "auth/pam_parts.h"

#define ACCEPTED AUTH_ACCEPTED, REASON_NONE
#define REFUSED(reason) AUTH_REFUSED, REASON_##reason
#define BARRED(reason) AUTH_BARRED, REASON_##reason
#define UNKNOWN AUTH_NOT_HERE, REASON_USER_UNKNOWN
#define DOWN AUTH_FAILED, REASON_AUTH_TEMPORARY
#define SETUP AUTH_FAILED, REASON_AUTH_SETUP
#define CODE(name) PAM_##name, #name

static const struct pam_meaning meanings[] = {
	/* code                    at the password           at the account            in words */
	{ CODE(SUCCESS),           ACCEPTED,                 ACCEPTED,                 "passed" },
	{ CODE(OPEN_ERR),          SETUP,                    SETUP,                    "a module cannot be loaded" },
	{ CODE(SYMBOL_ERR),        SETUP,                    SETUP,                    "a module lacks a function that PAM needs" },
	{ CODE(SERVICE_ERR),       DOWN,                     DOWN,                     "a module failed" },
	{ CODE(SYSTEM_ERR),        DOWN,                     DOWN,                     "a system call failed in a module" },
	{ CODE(BUF_ERR),           DOWN,                     DOWN,                     "a module ran out of memory" },
	{ CODE(PERM_DENIED),       REFUSED(ACCESS_DENIED),   BARRED(ACCESS_DENIED),    "access is denied by a rule" },
	{ CODE(AUTH_ERR),          REFUSED(PASSWORD_WRONG),  BARRED(ACCESS_DENIED),    "wrong password, or refused by a module" },
	{ CODE(CRED_INSUFFICIENT), SETUP,                    SETUP,                    "a module may not read what it needs" },
	{ CODE(AUTHINFO_UNAVAIL),  DOWN,                     DOWN,                     "the account database cannot be reached" },
	{ CODE(USER_UNKNOWN),      UNKNOWN,                  BARRED(ACCESS_DENIED),    "no such user" },
	{ CODE(MAXTRIES),          REFUSED(TRIES_EXCEEDED),  BARRED(TRIES_EXCEEDED),   "too many wrong passwords" },
	{ CODE(NEW_AUTHTOK_REQD),  BARRED(PASSWORD_EXPIRED), BARRED(PASSWORD_EXPIRED), "the password has to be changed first" },
	{ CODE(ACCT_EXPIRED),      REFUSED(ACCOUNT_EXPIRED), BARRED(ACCOUNT_EXPIRED),  "the account has expired" },
	{ CODE(SESSION_ERR),       DOWN,                     DOWN,                     "a session could not be set up" },
	{ CODE(CRED_UNAVAIL),      DOWN,                     DOWN,                     "the user's credentials cannot be read" },
	{ CODE(CRED_EXPIRED),      REFUSED(PASSWORD_EXPIRED), BARRED(PASSWORD_EXPIRED), "the user's credentials have expired" },
	{ CODE(CRED_ERR),          DOWN,                     DOWN,                     "the user's credentials cannot be set" },
	{ CODE(NO_MODULE_DATA),    DOWN,                     DOWN,                     "a module lost its data" },
	{ CODE(CONV_ERR),          SETUP,                    SETUP,                    "a module asks what a mail program cannot answer" },
	{ CODE(AUTHTOK_ERR),       DOWN,                     DOWN,                     "a module could not handle the password" },
	{ CODE(AUTHTOK_RECOVERY_ERR), DOWN,                  DOWN,                     "a module could not get at the password" },
	{ CODE(AUTHTOK_LOCK_BUSY), DOWN,                     DOWN,                     "the password database is locked" },
	{ CODE(AUTHTOK_DISABLE_AGING), DOWN,                 DOWN,                     "password aging is disabled" },
	{ CODE(TRY_AGAIN),         DOWN,                     DOWN,                     "a module asks to try again" },
	{ CODE(IGNORE),            SETUP,                    SETUP,                    "no module gave a verdict" },
	{ CODE(ABORT),             DOWN,                     DOWN,                     "a module gave up" },
	{ CODE(AUTHTOK_EXPIRED),   REFUSED(PASSWORD_EXPIRED), BARRED(PASSWORD_EXPIRED), "the password has expired" },
	{ CODE(MODULE_UNKNOWN),    SETUP,                    SETUP,                    "a module is not installed" },
	{ CODE(BAD_ITEM),          SETUP,                    SETUP,                    "a module used PAM wrongly" },
	{ CODE(CONV_AGAIN),        DOWN,                     DOWN,                     "a module waits for an event" },
	{ CODE(INCOMPLETE),        DOWN,                     DOWN,                     "a module waits for an event" },
};

_Static_assert(sizeof meanings / sizeof meanings[0] == _PAM_RETURN_VALUES, "a row for each code of Linux-PAM");

const struct pam_meaning *pam_meaning_of(int code)
{
	const struct pam_meaning *other = NULL;
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
		if (meanings[i].code == code)
			return &meanings[i];
		if (meanings[i].code == PAM_ABORT)
			other = &meanings[i];
	}
	return other;
}
