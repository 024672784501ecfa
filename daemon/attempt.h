/*
 * attempt.h - the keeper's side of a login attempt: asks the master before a password is verified, and tells what became of it.
 * Runs in: keeper, as root until the login. Trusts: the master.
 *
 * The master hears keyed hashes of the name and the password. The key is made before the first fork, and wiped by a
 * keeper before it becomes a user.
 */
#ifndef POSTERN_ATTEMPT_H
#define POSTERN_ATTEMPT_H

#include "daemon/contract.h"
#include "daemon/session.h"

struct attempt {
	enum {
		ATTEMPT_VERIFY,     /* now; attempt_tell() or attempt_tell_right() has to follow */
		ATTEMPT_REPEATED,   /* this password was wrong a while ago: .reason, .owner */
		ATTEMPT_REFUSED,    /* too many wrong ones: not before .seconds are over */
		ATTEMPT_GIVEN_UP,   /* the server stops, or wants this connection to make room, or the gate is gone */
	} answer;
	uint64_t proven;        /* ATTEMPT_VERIFY: the record that the password was right for a short while ago, 0: none */
	uint32_t crowd;         /* the same: enum job_crowd */
	bool quiet;             /* enough failures were logged this second */
	unsigned seconds;
	enum reason reason;
	uid_t owner;
};

/* Makes the key, before the first fork. 0, or -1 and errno. */
int attempt_prepare(void);

/* Ask, and wait for the answer. */
struct attempt attempt_ask(struct session *s, const struct rpc_auth *request);

/* It was right, for that record (struct identity). */
void attempt_tell_right(const struct session *s, uint64_t record);

/* KEEPER_FAILED (with what to remember of it) or KEEPER_MOOT. */
void attempt_tell(const struct session *s, enum keeper_verb verb, enum reason reason, uid_t owner);

/* auth_settings.room: context is the session. 0; or -1: there is no memory for it now. */
int attempt_room(void *context, size_t mebibytes);

/* Wipe the key: no further attempt. For whoever is forked from us and asks nobody, too. */
void attempt_forget(void);

#endif
