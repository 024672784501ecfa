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

/* Makes the key, before the first fork. 0, or -1 and errno. */
int attempt_prepare(void);

/*
 * May the password be verified? The master's answer, when it has come: JOB_VERIFY (attempt_tell() or attempt_tell_right() has to follow),
 * JOB_REPEATED or JOB_REFUSED. Any other: the server stops, the connection makes room, or the gate is gone.
 */
struct job attempt_ask(struct session *s, const struct rpc_auth *request);

/* It was right, for that record (struct identity). */
void attempt_tell_right(const struct session *s, uint64_t record);

/* KEEPER_FAILED (with what to remember of it) or KEEPER_MOOT. */
void attempt_tell(const struct session *s, enum keeper_verb verb, enum reason reason, uid_t owner);

/* auth_settings.room: context is the session. 0; or -1: there is no memory for it now. */
int attempt_room(void *context, size_t mebibytes);

/* Wipe the key: no further attempt. For whoever is forked from us and asks nobody, too. */
void attempt_forget(void);

#endif
