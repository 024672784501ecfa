/*
 * passwd_file.c - the back end for users of a passwd file of postern's own.
 * Runs in: keeper, as root. Trusts: the file, once its mode and owner are checked.
 *
 * Whose rights a session gets: the uid and gid of the record. A record without
 * them belongs to `virtual_user`; with no virtual_user set, to the host's account of
 * the same name, whose home it then has too unless it names one. All other records
 * without a home have none: ~ in a maildrop's location cannot be used for them.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "auth/auth.h"
#include "auth/hash.h"
#include "auth/passwd_check.h"
#include "auth/passwd_records.h"

struct found {
	struct passwd_line line;
	struct passwd_record record;
	uint64_t number;             /* of the record: another name or another hash has another one. Never 0 */
};

static uint64_t number_of(const struct passwd_record *record)
{
	crypto_generichash_state state;
	unsigned char digest[crypto_generichash_BYTES];
	uint64_t number;
	(void)crypto_generichash_init(&state, NULL, 0, sizeof digest);
	(void)crypto_generichash_update(&state, (const unsigned char *)record->name.p, record->name.len);
	(void)crypto_generichash_update(&state, (const unsigned char *)":", 1);
	(void)crypto_generichash_update(&state, (const unsigned char *)record->hash.p, record->hash.len);
	(void)crypto_generichash_final(&state, digest, sizeof digest);
	memcpy(&number, digest, sizeof number);
	return number != 0 ? number : 1;
}

static bool is_users(struct text line, const void *user)
{
	return passwd_line_is_for(line, user) && user_name_ok(user, strlen(user));
}

/* Find the user: the first record of that name. AUTH_ACCEPTED here means: there is a good one. The caller frees the line. */
static enum auth_verdict load(const struct auth_settings *settings, const char *user, struct found *found_r, struct why *why_r)
{
	const char *problem;
	const int found = passwd_line_find(settings->passwd_file, true, is_users, user, &found_r->line, why_r);
	if (found < 0)
		return AUTH_FAILED;
	/* Where nobody else is asked, that is no user's fault: the file was removed, or its file system is not mounted. */
	if (found_r->line.no_file && settings->backends[1] == NULL) {
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s is not there, and no other back end is asked", settings->passwd_file);
		return AUTH_FAILED;
	}
	if (found == 0) {
		(void)why_set(why_r, REASON_USER_UNKNOWN, 0, "not in passwd file %.100s", settings->passwd_file);
		return AUTH_NOT_HERE;
	}
	if (passwd_record_parse((struct text){ found_r->line.data, found_r->line.len }, &found_r->record, &problem) != RECORD_GOOD) {
		(void)why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s line %u: %s", settings->passwd_file, found_r->line.number, problem);
		return AUTH_FAILED;
	}
	found_r->number = number_of(&found_r->record);
	return AUTH_ACCEPTED;
}

/* An account that the record relies on; that there is none is a fault of the set-up. */
static int take_account(enum auth_verdict looked_up, const struct auth_settings *settings, const struct found *found,
                        const char *fix, struct why *why_r)
{
	if (looked_up == AUTH_ACCEPTED)
		return 0;
	if (looked_up == AUTH_FAILED)
		return -1;
	struct why inner = *why_r;
	return why_set(why_r, REASON_AUTH_SETUP, 0, "passwd file %.100s line %u: %.80s; %s", settings->passwd_file, found->line.number,
	               inner.text, fix);
}

static int take_owner(const struct auth_settings *settings, const char *user, const struct found *found,
                      struct identity *identity_r, struct why *why_r)
{
	const struct passwd_record *record = &found->record;
	bool is_virtual = settings->virtual_user != NULL && settings->virtual_user[0] != '\0';
	int result = 0;

	identity_r->uid = settings->one_owner ? settings->owner_uid : record->uid;
	identity_r->gid = settings->one_owner ? settings->owner_gid : record->gid;
	if (settings->one_owner)
		result = passwd_record_owner(settings, record, found->line.number, why_r);
	else if (record->has_uid && !record->has_gid)
		result = take_account(account_by_uid(settings, record->uid, identity_r, why_r), settings, found, "give a gid", why_r);
	else if (!record->has_uid && is_virtual)
		result = take_account(account_by_name(settings, settings->virtual_user, identity_r, why_r), settings, found,
		                      "virtual_user has to exist", why_r);
	else if (!record->has_uid)
		result = take_account(account_by_name(settings, user, identity_r, why_r), settings, found,
		                      "give a uid and gid, or set virtual_user", why_r);
	if (result == 0 && (record->has_uid || is_virtual))
		identity_r->home[0] = '\0';
	return result;
}

static enum auth_verdict fill_identity(const struct auth_settings *settings, const char *user, const struct found *found,
                                       struct identity *identity_r, struct why *why_r)
{
	memset(identity_r, 0, sizeof *identity_r);
	if (take_owner(settings, user, found, identity_r, why_r) < 0)
		return AUTH_FAILED;
	(void)snprintf(identity_r->user, sizeof identity_r->user, "%s", user);
	if (found->record.home.len > 0)  /* the parser has bounded it */
		(void)snprintf(identity_r->home, sizeof identity_r->home, "%.*s", (int)found->record.home.len, found->record.home.p);
	identity_r->record = found->number;
	return AUTH_ACCEPTED;
}

static bool can_be_verified(struct text line, const void *unused)
{
	struct passwd_record record;
	struct hash_info info;
	struct why why;
	const char *problem;
	(void)unused;
	if (passwd_record_parse(line, &record, &problem) != RECORD_GOOD)
		return false;
	hash_inspect(record.hash.p, record.hash.len, &info, &why);
	return info.state == HASH_RIGHT;
}

/* What a wrong password costs in this file: what the first record that can be verified costs. */
static int spend(const struct auth_settings *settings, const struct secret *password, struct why *why_r)
{
	struct passwd_line line;
	struct passwd_record record = { .hash = { NULL, 0 } };
	struct why unused;
	const char *problem;
	/* Unreadable by now: a default hash is spent, as for an empty file. */
	if (passwd_line_find(settings->passwd_file, false, can_be_verified, NULL, &line, &unused) > 0)
		(void)passwd_record_parse((struct text){ line.data, line.len }, &record, &problem);
	const int r = hash_spend(record.hash.p, record.hash.len, password, &settings->room, why_r);
	passwd_line_free(&line);
	return r;
}

static const enum auth_verdict verdict_of[] = {
	[HASH_RIGHT]     = AUTH_ACCEPTED,
	[HASH_WRONG]     = AUTH_REFUSED,
	[HASH_LOCKED]    = AUTH_REFUSED,
	[HASH_UNUSABLE]  = AUTH_FAILED,
	[HASH_NO_MEMORY] = AUTH_FAILED,
};

static enum hash_result check_password(const struct auth_settings *settings, const struct auth_request *request,
                                       const struct found *found, struct why *why_r)
{
	const struct text hash = found->record.hash;
	struct hash_info info;
	if (request->proven != 0 && request->proven == found->number) {
		hash_inspect(hash.p, hash.len, &info, why_r);
		if (info.state == HASH_RIGHT)
			return HASH_RIGHT;
	}
	return hash_verify(hash.p, hash.len, request->password, &settings->room, why_r);
}

static enum auth_verdict verify(const struct auth_settings *settings, const struct auth_request *request,
                                struct identity *identity_r, struct why *why_r)
{
	struct found found;
	enum auth_verdict verdict = load(settings, request->user, &found, why_r);
	if (verdict != AUTH_ACCEPTED)
		goto done;

	struct why inner;
	enum hash_result result = check_password(settings, request, &found, &inner);
	verdict = verdict_of[result];
	if (result == HASH_LOCKED && spend(settings, request->password, &inner) != 0)
		verdict = AUTH_FAILED;
	if (verdict == AUTH_ACCEPTED)
		verdict = fill_identity(settings, request->user, &found, identity_r, why_r);
	else if (found.record.has_uid)
		identity_r->uid = found.record.uid;
	if (result != HASH_RIGHT)
		(void)why_set(why_r, inner.reason, 0, "passwd file %.100s line %u: %.140s", settings->passwd_file, found.line.number, inner.text);
done:
	passwd_line_free(&found.line);
	return verdict;
}

static enum auth_verdict lookup(const struct auth_settings *settings, const char *user, struct identity *identity_r,
                                struct why *why_r)
{
	struct found found;
	enum auth_verdict verdict = load(settings, user, &found, why_r);
	memset(identity_r, 0, sizeof *identity_r);
	(void)snprintf(identity_r->user, sizeof identity_r->user, "%s", user);
	passwd_line_free(&found.line);
	return verdict;
}

const struct auth_backend auth_passwd_file = {
	.name = "passwd-file",
	.verify = verify,
	.lookup = lookup,
	.spend = spend,
	.check = passwd_check,
};
