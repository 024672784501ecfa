/*
 * pam_wire.h - what the keeper and posternd-pam say to each other: one request, one result.
 * Runs in: keeper and PAM helper, as root. Trusts: the helper does not trust its modules, nor the keeper the helper.
 *
 * Both ends of a SOCK_SEQPACKET pair; the helper has it as descriptor 3. Each message is
 * one struct, zeroed before it is filled; both programs are of one build.
 */
#ifndef POSTERN_PAM_WIRE_H
#define POSTERN_PAM_WIRE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/secret.h"

enum {
	PAM_WIRE_FD = 3,
	PAM_WIRE_MAGIC = 0x504f5031,
	PAM_WIRE_NAME_MAX = 64,   /* octets of the service name and of the peer's address, with the NUL */
	PAM_WIRE_TEXT_MAX = 256,  /* octets of what modules say, with the NUL */
	PAM_WIRE_MESSAGES_MAX = 32, /* messages of all modules; a module that says more is in a loop */
};

/* How far it got. */
enum pam_stage {
	PAM_STAGE_START,         /* pam_start(), pam_set_item() */
	PAM_STAGE_AUTHENTICATE,  /* the password is not proven */
	PAM_STAGE_ACCOUNT,       /* the password is proven */
	PAM_STAGE_DONE,          /* both passed */
	PAM_STAGE_COUNT,
};

enum pam_account { PAM_ACCOUNT_THERE, PAM_ACCOUNT_MISSING, PAM_ACCOUNT_UNREADABLE };

/* What is asked. */
enum pam_question { PAM_ASK_LOGIN, PAM_ASK_NAME, PAM_ASK_UID };

struct pam_wire_request {
	uint32_t magic;
	uint32_t question; /* enum pam_question; the last two are about the host's accounts (NSS) only */
	uid_t uid;         /* PAM_ASK_UID */
	uint32_t seconds;  /* the helper ends itself after these, should the keeper be gone */
	uint64_t nonce;    /* comes back in the result */
	int64_t keeper;    /* its process id */
	char service[PAM_WIRE_NAME_MAX];
	char remote_host[PAM_WIRE_NAME_MAX];
	char user[USER_NAME_MAX + 1];
	struct secret password;
};

struct pam_wire_result {
	uint32_t magic;
	uint32_t stage;
	uint64_t nonce;
	int32_t code;           /* PAM's */
	uint32_t user_changed;  /* PAM_USER is not the user of the request, in whatever spelling */
	uint32_t account;       /* enum pam_account: does the host know the user of the request? */
	char name[USER_NAME_MAX + 1]; /* of that account */
	uid_t uid;
	gid_t gid;
	char home[PATH_MAX];
	char text[PAM_WIRE_TEXT_MAX]; /* what modules told the user */
};

#endif
