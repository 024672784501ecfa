/*
 * gate_list.h - the list of messages that the keeper sent: read into place or mapped, and forgotten. There is one at a time.
 * Runs in: gate. Trusts: the keeper, but no number in the list (base/list.h).
 */
#ifndef POSTERN_GATE_LIST_H
#define POSTERN_GATE_LIST_H

#include "daemon/pop3.h"
#include "daemon/rpc.h"

/* The list in fd (borrowed; -1 where there are no messages), as the answer says, and a mark for each message. panic() when it is none. */
void gate_list_take(int fd, const struct rpc_answer *answer, struct pop3_maildrop *drop_r);

/* The marks by RPC_MARK, in runs of RPC_MARKS; runs without a mark are left out. 0, or -1: the keeper is gone. */
int gate_list_send_marks(int keeper, const struct pop3_maildrop *drop);

/* Let go of it; nothing of it stays. What was never taken has nothing to forget. */
void gate_list_forget(struct pop3_maildrop *drop);

#endif
