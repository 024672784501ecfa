/*
 * pam_parts.h - the parts of the PAM back end, as they see each other.
 * Runs in: keeper, as root. Trusts: nothing that the helper answers.
 */
#ifndef POSTERN_PAM_PARTS_H
#define POSTERN_PAM_PARTS_H

#include "auth/auth.h"
#include "auth/pam_wire.h"

/* What a PAM return code means. */
struct pam_meaning {
	int code;
	const char *name;
	enum auth_verdict at_authenticate;
	enum reason reason_at_authenticate;
	enum auth_verdict at_account;
	enum reason reason_at_account;
	const char *text;
};

/* Its row; codes that Linux-PAM does not have share the row of PAM_ABORT. */
const struct pam_meaning *pam_meaning_of(int code);

/*
 * Start settings->pam_helper, give it the request, take its result, see it and its children ended.
 * The request is complete but for magic, nonce, keeper and seconds. 0, or -1 with
 * REASON_AUTH_TEMPORARY or REASON_AUTH_SETUP.
 */
int pam_helper_ask(const struct auth_settings *settings, struct pam_wire_request *request, struct pam_wire_result *result_r,
                   struct why *why_r);

/* Is the name one that may stand for a file in /etc/pam.d, and that fits a request? */
bool pam_service_ok(const char *service);

/*
 * What is wrong with the service file, for posternd -t. directories: where PAM looks, in its
 * order, NULL behind the last.
 */
void pam_check_service(const char *const *directories, const char *service, void (*finding)(void *context, const char *text),
                       void *context);

/* As auth_backend.check. */
void pam_check(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context);

#endif
