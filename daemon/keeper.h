/*
 * keeper.h - the half of a worker that holds rights: passwords, then one user's mail.
 * Runs in: keeper. Trusts: nothing from the gate.
 */
#ifndef POSTERN_KEEPER_H
#define POSTERN_KEEPER_H

#include "daemon/contract.h"
#include "daemon/session.h"

/*
 * A keeper's whole life, after fork: waits for a job on master, serves the connection that its gate, on the other end of
 * gate, has, ends the process. Signatures are asked for on signer (-1: there is none). The sockets are taken.
 */
_Noreturn void keeper_serve(const struct settings *settings, const char *pam_helper, int master, int gate, int signer);

/*
 * What the master says next. If that is to stop or to make room, or nothing more, the gate is told to say so and to end.
 * Its end of file reads as JOB_STOP.
 */
struct job keeper_hear(struct session *s);

#endif
