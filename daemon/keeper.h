/*
 * keeper.h - the half of a worker that holds rights: passwords, then one user's mail.
 * Runs in: keeper. Trusts: nothing from the gate.
 */
#ifndef POSTERN_KEEPER_H
#define POSTERN_KEEPER_H

#include "daemon/settings.h"

/*
 * A keeper's whole life, after fork: waits for a job on master, serves it with the gate on the other end of
 * gate, ends the process. Signatures are asked for on signer (-1: there is none). The sockets are taken.
 */
_Noreturn void keeper_serve(const struct settings *settings, const char *pam_helper, int master, int gate, int signer);

#endif
