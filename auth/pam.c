/*
 * pam.c - the back end for the host's accounts, through PAM.
 * Runs in: keeper, as root; PAM itself runs in the helper. Trusts: nothing that the helper answers
 * but the verdict, and that only for the user who was asked about.
 */
#include <ctype.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth/account.h"
#include "auth/pam_parts.h"
#include "base/buf.h"

static const char *const stage_names[PAM_STAGE_COUNT] = {
	[PAM_STAGE_START]        = "pam_start",
	[PAM_STAGE_AUTHENTICATE] = "pam_authenticate",
	[PAM_STAGE_ACCOUNT]      = "pam_acct_mgmt",
	[PAM_STAGE_DONE]         = "done",
};

static enum auth_verdict failed(struct why *why_r, enum reason reason, const char *service, const char *text)
{
	(void)why_set(why_r, reason, 0, "PAM service %s: %s", service, text);
	return AUTH_FAILED;
}

/* What the modules said, which may be several lines, as one. */
static void one_line(const char *text, char line_r[PAM_WIRE_TEXT_MAX])
{
	size_t len = 0;
	for (; *text != '\0'; text++) {
		if (!isspace((unsigned char)*text))
			line_r[len++] = *text;
		else if (len > 0 && line_r[len - 1] != ' ')
			line_r[len++] = ' ';
	}
	line_r[len] = '\0';
}

/* A code other than PAM_SUCCESS. */
static enum auth_verdict refuse(const char *service, const struct pam_wire_result *result, struct identity *identity_r, struct why *why_r)
{
	char said_storage[PAM_WIRE_TEXT_MAX], line[PAM_WIRE_TEXT_MAX];
	struct buf said = BUF_OVER(said_storage);
	const struct pam_meaning *meaning = pam_meaning_of(result->code);
	bool is_account = result->stage == PAM_STAGE_ACCOUNT;
	enum auth_verdict verdict = is_account ? meaning->at_account : meaning->at_authenticate;
	enum reason reason = is_account ? meaning->reason_at_account : meaning->reason_at_authenticate;

	/* Stacks in use turn "no such user" into a refusal, so the host's own word decides which it was. */
	if (verdict == AUTH_REFUSED && result->account == PAM_ACCOUNT_MISSING) {
		verdict = AUTH_NOT_HERE;
		reason = REASON_USER_UNKNOWN;
	}
	if (result->stage == PAM_STAGE_START) {
		verdict = AUTH_FAILED;
		reason = meaning->reason_at_authenticate == REASON_AUTH_SETUP ? REASON_AUTH_SETUP : REASON_AUTH_TEMPORARY;
	}
	one_line(result->text, line);
	buf_add_escaped(&said, line, strlen(line));
	(void)why_set(why_r, reason, 0, "PAM service %s: %s: %s (%s)%s%s", service, stage_names[result->stage], meaning->name,
	              meaning->text, said.len > 0 ? "; PAM says: " : "", buf_text(&said));
	why_r->pam = result->code;
	if (result->account == PAM_ACCOUNT_THERE)
		identity_r->uid = result->uid;
	if (verdict == AUTH_BARRED)
		(void)snprintf(why_r->told, sizeof why_r->told, "%.*s", WHY_TOLD_MAX - 1, line); /* escaped where it is sent */
	return verdict;
}

static enum auth_verdict judge(const struct auth_request *request, const char *service, const struct pam_wire_result *result,
                               struct identity *identity_r, struct why *why_r)
{
	if (result->user_changed != 0)
		return failed(why_r, REASON_AUTH_TEMPORARY, service, "a module changed the user name; the login is refused");
	if (result->code != PAM_SUCCESS)
		return refuse(service, result, identity_r, why_r);
	if (result->stage != PAM_STAGE_DONE)
		return failed(why_r, REASON_AUTH_TEMPORARY, service, "the helper did not get to the end");
	if (result->account == PAM_ACCOUNT_MISSING)
		return failed(why_r, REASON_AUTH_SETUP, service, "accepts a user for whom the host has no account (NSS)");
	if (result->account != PAM_ACCOUNT_THERE)
		return failed(why_r, REASON_AUTH_TEMPORARY, service, "the user's account cannot be read (NSS)");
	memset(identity_r, 0, sizeof *identity_r);
	identity_r->uid = result->uid;
	identity_r->gid = result->gid;
	/* A directory may find an account by any spelling of its name: that is one user, with one mailbox. */
	(void)snprintf(identity_r->user, sizeof identity_r->user, "%s", strcasecmp(result->name, request->user) == 0 ? result->name : request->user);
	(void)snprintf(identity_r->home, sizeof identity_r->home, "%s", result->home);
	return AUTH_ACCEPTED;
}

static enum auth_verdict verify(const struct auth_settings *settings, const struct auth_request *request,
                                struct identity *identity_r, struct why *why_r)
{
	struct pam_wire_request wire;
	struct pam_wire_result result;
	const char *service = settings->pam_service;

	if (!pam_service_ok(service))
		return failed(why_r, REASON_AUTH_SETUP, service, "this cannot be the name of a service");
	/* A process of its own, and most of its memory is what the module's hash takes: 16 MiB for yescrypt, at the cost that Debian has, for a part of the time. */
	if (settings->room.take != NULL && settings->room.take(settings->room.context, HASH_TURN_MEBIBYTES) != 0)
		return failed(why_r, REASON_AUTH_TEMPORARY, service, "not asked, no memory is free for it: hash_memory is in use");
	memset(&wire, 0, sizeof wire);
	(void)snprintf(wire.service, sizeof wire.service, "%s", service);
	(void)snprintf(wire.user, sizeof wire.user, "%s", request->user);
	(void)snprintf(wire.remote_host, sizeof wire.remote_host, "%s", request->remote_host);
	wire.password = *request->password;
	int asked = pam_helper_ask(settings, &wire, &result, why_r);
	explicit_bzero(&wire, sizeof wire);
	return asked < 0 ? AUTH_FAILED : judge(request, service, &result, identity_r, why_r);
}

static enum auth_verdict lookup(const struct auth_settings *settings, const char *user, struct identity *identity_r,
                                struct why *why_r)
{
	return account_by_name(settings, user, identity_r, why_r);
}

const struct auth_backend auth_pam = {
	.name = "pam",
	.verify = verify,
	.lookup = lookup,
	.spend = NULL,  /* the modules see to it themselves, or do not */
	.check = pam_check,
};
