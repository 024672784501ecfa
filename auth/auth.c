/*
 * auth.c - who may log in: asks the configured back ends in order.
 * Runs in: keeper, as root. Trusts: nothing in the user name and the password,
 * and no back end's word on root.
 */
#include "auth/auth.h"

#include <string.h>
#include <strings.h>

#include "auth/passwd_records.h"

static const struct auth_backend *const backends[] = {
	&auth_passwd_file,
	&auth_pam,
};

/* Checked in place of an empty password, so that refusing one takes the time that a wrong one takes. */
static const char STAND_IN[] = "\x01";

const struct auth_backend *auth_backend_find(const char *name)
{
	for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	return NULL;
}

/* The i-th configured back end. NULL behind the last; also, with *is_wrong_r and *why_r, for a name that there is not. */
static const struct auth_backend *configured(const struct auth_settings *settings, size_t i, bool *is_wrong_r, struct why *why_r)
{
	const char *name = i < AUTH_BACKENDS_MAX ? settings->backends[i] : NULL;
	const struct auth_backend *backend = name == NULL ? NULL : auth_backend_find(name);
	*is_wrong_r = backend == NULL && (name != NULL || i == 0);
	if (*is_wrong_r && name == NULL)
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "backends is empty: nobody can log in");
	else if (*is_wrong_r)
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "there is no back end called %.32s", name);
	return backend;
}

/* 0; or -1 and *why_r: a back end has no means for it now. */
static int spend_all(const struct auth_settings *settings, const struct secret *password, struct why *why_r)
{
	const struct auth_backend *backend;
	bool is_wrong;
	for (size_t i = 0; (backend = configured(settings, i, &is_wrong, why_r)) != NULL; i++)
		if (backend->spend != NULL && backend->spend(settings, password, why_r) != 0)
			return -1;
	return 0;
}

static enum auth_verdict ask(const struct auth_settings *settings, const struct auth_request *request,
                             struct identity *identity_r, struct why *why_r)
{
	const struct auth_backend *backend;
	bool askable = user_name_ok(request->user, strlen(request->user)), is_wrong;

	for (size_t i = 0; (backend = configured(settings, i, &is_wrong, why_r)) != NULL; i++) {
		enum auth_verdict verdict = askable ? backend->verify(settings, request, identity_r, why_r) : AUTH_NOT_HERE;
		if (verdict != AUTH_NOT_HERE)
			return verdict;
	}
	if (is_wrong || spend_all(settings, request->password, why_r) != 0)
		return AUTH_FAILED;
	(void)why_set(why_r, REASON_USER_UNKNOWN, 0, "no back end knows the user");
	return AUTH_NOT_HERE;
}

/* What no back end may decide: 0; or -1 and *why_r for a uid that never logs in. */
static int admit_uid(const struct auth_settings *settings, uid_t uid, struct why *why_r)
{
	if (uid == 0 || uid == NO_ID)
		return why_set(why_r, REASON_UID_REFUSED, 0, "uid %d is never let in", (int)uid);
	if (uid < settings->minimum_uid)
		return why_set(why_r, REASON_UID_REFUSED, 0, "uid %u is under minimum_uid %u", (unsigned)uid, (unsigned)settings->minimum_uid);
	return 0;
}

/* A back end's verdict on a user whose uid is known: 0 where he may log in; or -1 and *why_r. */
static int judge(const struct auth_settings *settings, const struct auth_request *request, enum auth_verdict verdict,
                 const struct identity *identity, bool *proven_r, struct why *why_r)
{
	/* First, and so the same for a right and a wrong password: nobody learns here that he has found root's. */
	if ((verdict == AUTH_ACCEPTED || identity->uid != NO_ID) && admit_uid(settings, identity->uid, why_r) != 0)
		return -1;
	if (verdict == AUTH_ACCEPTED && strcasecmp(identity->user, request->user) != 0)
		return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "the back end answered for another user");
	*proven_r = verdict == AUTH_BARRED;
	return verdict == AUTH_ACCEPTED ? 0 : -1;
}

int auth_verify(const struct auth_settings *settings, const struct auth_request *request,
                struct identity *identity_r, bool *proven_r, struct why *why_r)
{
	struct secret stand_in = { .len = 0 };
	struct auth_request asked = *request;
	bool is_empty = request->password->len == 0;
	int result = -1;

	*proven_r = false;
	*identity_r = (struct identity){ .uid = NO_ID, .gid = NO_ID };
	if (is_empty) {
		(void)secret_set(&stand_in, STAND_IN, strlen(STAND_IN));
		asked.password = &stand_in;
	}
	enum auth_verdict verdict = ask(settings, &asked, identity_r, why_r);
	const bool decided = verdict != AUTH_FAILED && verdict != AUTH_NOT_HERE;
	if (is_empty && verdict != AUTH_FAILED)
		(void)why_set(why_r, REASON_PASSWORD_EMPTY, 0, "empty password");
	else if (decided)
		result = judge(settings, request, verdict, identity_r, proven_r, why_r);
	if (result < 0)
		*identity_r = (struct identity){ .uid = decided ? identity_r->uid : NO_ID, .gid = NO_ID };
	return result;
}

int auth_known(const struct auth_settings *settings, const char *user, struct why *why_r)
{
	const struct auth_backend *backend;
	struct identity identity;
	struct why trouble = { .reason = REASON_NONE };
	bool askable = user_name_ok(user, strlen(user)), is_wrong;

	for (size_t i = 0; (backend = configured(settings, i, &is_wrong, why_r)) != NULL; i++) {
		enum auth_verdict verdict = askable ? backend->lookup(settings, user, &identity, why_r) : AUTH_NOT_HERE;
		if (verdict == AUTH_ACCEPTED)
			return 1;
		if (verdict == AUTH_FAILED)
			trouble = *why_r;
	}
	if (is_wrong)
		return -1;
	if (trouble.reason == REASON_NONE)
		return 0;
	*why_r = trouble;
	return -1;
}
