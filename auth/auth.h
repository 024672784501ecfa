/*
 * auth.h - who may log in. One file a back end; auth.c asks them in order.
 * Runs in: keeper, as root. Trusts: the passwd file once its mode and owner are
 * checked; nothing in the user name and the password.
 * A library: returns, never logs, never exits.
 */
#ifndef POSTERN_AUTH_H
#define POSTERN_AUTH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth/hash.h"
#include "base/secret.h"
#include "base/why.h"

enum {
	AUTH_BACKENDS_MAX = 4,
	AUTH_HELPER_SECONDS = 60,  /* a PAM module that takes longer is ended */
};

struct auth_settings {
	const char *backends[AUTH_BACKENDS_MAX]; /* names in the order to ask, NULL behind the last */
	const char *passwd_file;
	const char *pam_service;
	const char *pam_helper;    /* path of the program that talks to PAM */
	const int *watch;          /* a descriptor: when it can be read, the attempt is given up (the server stops); NULL: none */
	bool lowercase;            /* Anna is anna */
	const char *local_domains; /* with spaces between them: anna@one.of.these is anna; NULL or "" is none */
	const char *virtual_user;  /* owner of records without uid and gid; "" is none */
	bool one_owner;            /* [workers] sessions above 1: all mail is virtual_user's, and these are its ids */
	uid_t owner_uid;
	gid_t owner_gid;
	uid_t minimum_uid;
	unsigned helper_seconds;   /* 0 is AUTH_HELPER_SECONDS */
	struct hash_room room;     /* memory for hashes; .take NULL: nobody hands it out */
};

/*
 * The name that a user is known by here, of one as it was typed, in place: without a domain that is one of settings->local_domains (in any case; RFC 5321
 * section 2.3.5), and with a to z for A to Z where settings->lowercase says so. Never longer, and never empty where it was not. All
 * that follows a login goes by it: who is asked, how often was guessed, the log, where the mail is.
 */
void auth_user_name(const struct auth_settings *settings, char *user);

struct auth_request {
	const char *user;               /* at most USER_NAME_MAX octets */
	const struct secret *password;
	const char *remote_host;        /* the peer's address as text, for PAM_RHOST */
	uint64_t proven;                /* the record (see struct identity) that this very password was right for a short while ago: if it still is that one, its hash may be spared. 0: none */
};

#define NO_ID ((uid_t)-1)  /* no uid, no gid */

/* Who it is, and whose rights the session gets. */
struct identity {
	char user[USER_NAME_MAX + 1];
	uid_t uid;
	gid_t gid;
	char home[PATH_MAX];
	uint64_t record;  /* a digest of what the password was held against, name and hash of a passwd file's record; 0: nothing that a later login may lean on */
};

enum auth_verdict {
	AUTH_ACCEPTED,   /* *identity_r is filled */
	AUTH_REFUSED,    /* the user is known here and may not log in: *why_r says why; no further back end is asked */
	AUTH_BARRED,     /* as AUTH_REFUSED, and the password was right: the true reason may be told */
	AUTH_NOT_HERE,   /* this back end does not know the user */
	AUTH_FAILED,     /* the back end itself is in trouble: REASON_AUTH_TEMPORARY or REASON_AUTH_SETUP */
};

struct auth_backend {
	const char *name;  /* as in the configuration */
	/* Check the password and fill *identity_r; when it is refused, .uid where that costs nothing more. why_r is filled for all but AUTH_ACCEPTED. */
	enum auth_verdict (*verify)(const struct auth_settings *settings, const struct auth_request *request,
	                            struct identity *identity_r, struct why *why_r);
	/* Is there such a user? AUTH_ACCEPTED (identity_r filled as far as known), AUTH_NOT_HERE or AUTH_FAILED. */
	enum auth_verdict (*lookup)(const struct auth_settings *settings, const char *user,
	                            struct identity *identity_r, struct why *why_r);
	/*
	 * Work as long as verify() does for a wrong password. Called when no back end knows the user. 0; or -1 and *why_r, where verify() would
	 * not have come to a verdict now, either: who is known and who is not get the same answer then, too.
	 * NULL: verify() takes its time whether or not it knows the user.
	 */
	int (*spend)(const struct auth_settings *settings, const struct secret *password, struct why *why_r);
	/* Check the set-up for posternd -t: calls finding() once for each thing wrong, with the fix in the words. */
	void (*check)(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context);
};

extern const struct auth_backend auth_passwd_file, auth_pam;

/* The back end of that name, or NULL. */
const struct auth_backend *auth_backend_find(const char *name);

/*
 * Ask the configured back ends in order. 0 and *identity_r filled, or -1 and
 * *why_r with the true reason. A user that no back end knows costs what a wrong password
 * costs (a dummy verify). Refuses an empty password, uid 0 and uids under
 * minimum_uid whatever a back end says, and whether or not the password is right. proven_r: the password was right even
 * though the result is -1 (an expired account, say), so that the true reason may be told. After a failure
 * identity_r->uid is whose mailbox was tried, where that was learnt on the way, else NO_ID.
 */
int auth_verify(const struct auth_settings *settings, const struct auth_request *request,
                struct identity *identity_r, bool *proven_r, struct why *why_r);

/* Does any back end know the user? 1, 0, or -1 with *why_r when that cannot be said now. */
int auth_known(const struct auth_settings *settings, const char *user, struct why *why_r);

#endif
