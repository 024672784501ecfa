/*
 * why.h - what a library function says when it fails: the reason as the
 * daemon's reply table knows it, errno, and one sentence for the log.
 * Runs in: every process. Trusts: its caller.
 */
#ifndef POSTERN_WHY_H
#define POSTERN_WHY_H

#include <stdarg.h>

enum {
	WHY_TEXT_MAX = 256,  /* the log's sentence */
	WHY_TOLD_MAX = 128,  /* what the client may be told besides the reply's own words */
};

/*
 * Why a login, a fetch or an update did not work. One row each in
 * daemon/replies.c maps it to what the client is told.
 */
enum reason {
	REASON_NONE = 0,
	/* who may log in */
	REASON_USER_UNKNOWN,      /* no back end knows the name */
	REASON_PASSWORD_WRONG,
	REASON_PASSWORD_EMPTY,
	REASON_UID_REFUSED,       /* uid 0, or under minimum_uid */
	REASON_ACCOUNT_LOCKED,    /* no usable password in the record */
	REASON_ACCOUNT_EXPIRED,   /* password proven; PAM_ACCT_EXPIRED */
	REASON_PASSWORD_EXPIRED,  /* password proven; PAM_NEW_AUTHTOK_REQD, PAM_AUTHTOK_EXPIRED */
	REASON_ACCESS_DENIED,     /* password proven; PAM_PERM_DENIED from the account stage */
	REASON_TRIES_EXCEEDED,    /* PAM_MAXTRIES */
	REASON_SLOWED,            /* not verified: too many wrong passwords before */
	REASON_AUTH_TEMPORARY,    /* a back end is down, hangs, crashed, has no memory: not the user's fault */
	REASON_AUTH_SETUP,        /* a back end is set up wrongly (file refused, bad PAM service) */
	/* what is in a maildrop */
	REASON_MAILDROP_LOCKED,   /* another session holds it */
	REASON_MAILDROP_BUSY,     /* another program (a mail reader, say) holds the host's locks; told: which, where that is known */
	REASON_MAILDROP_DELIVERY, /* the same, and it is one that delivers mail; told: which */
	REASON_MAILDROP_DENIED,   /* permissions, wrong owner, a link where none is followed */
	REASON_MAILDROP_BROKEN,   /* it is not what location says it is */
	REASON_IDS_CHANGED,       /* most messages have other unique-ids than at the last login: clients would fetch them again */
	REASON_MAILDROP_IO,       /* an input/output error; see err */
	REASON_MAILDROP_CHANGED,  /* another program changed it under the session */
	REASON_MESSAGE_GONE,      /* another program removed this message */
	REASON_MESSAGE_CHANGED,   /* another program changed this message */
	REASON_UPDATE_UNFINISHED, /* the rewrite of an mbox was interrupted; the journal has the rest */
	REASON_DISK_FULL,         /* ENOSPC, EDQUOT */
	REASON_READ_ONLY,         /* EROFS */
	REASON_NO_MEMORY,
	REASON_COUNT
};

struct why {
	enum reason reason;
	int err;                  /* errno where a system call failed, else 0 */
	int pam;                  /* PAM's code where PAM refused, else 0 (PAM_SUCCESS) */
	char text[WHY_TEXT_MAX];  /* for the log: what was tried, on what, with what result; no secret */
	char told[WHY_TOLD_MAX];  /* may be shown to this user once the password is proven, as it came; usually empty */
};

/*
 * Fill *why and return -1, so that a failing function ends in
 * `return why_set(why_r, REASON_X, errno, "open %s", path);`. With err != 0 the
 * text ends in ": " and strerror(err). Too long a text is cut.
 */
int why_set(struct why *why, enum reason reason, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for a failed system call on a maildrop: picks DENIED, DISK_FULL, NO_MEMORY, CHANGED, BROKEN or IO from err. */
int why_errno(struct why *why, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
