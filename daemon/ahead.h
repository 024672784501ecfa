/*
 * ahead.h - messages that the keeper opened before their turn came.
 * Runs in: gate. Trusts: the keeper.
 *
 * Where a client fetches one message after the other, those behind the one that is wanted are asked for together with it, so
 * that gate and keeper need not wait for each other at every message: as many as it has fetched so far, twice as many each time,
 * or as many as it sent commands for at once.
 */
#ifndef POSTERN_AHEAD_H
#define POSTERN_AHEAD_H

#include <sys/stat.h>

#include "daemon/rpc.h"
#include "storage/maildrop.h"

struct ahead {
	size_t next;                /* idx that goes on with the order */
	size_t run;                 /* messages that were wanted one after the other, up to the last */
	size_t count;               /* bodies[i] is message next + i */
	struct message_body bodies[RPC_MORE_MOST];
};

/*
 * Message idx is wanted. True: it was there, unchanged, and is in *body_r with its descriptor. False: the keeper has to be
 * asked, and for *more_r messages behind it as well: at most `behind`, which are in the mailbox. `commands` are waiting.
 */
bool ahead_take(struct ahead *a, size_t idx, size_t behind, size_t commands, struct message_body *body_r, uint32_t *more_r);

/* The message in an answer to RPC_FETCH that came with fd. */
struct message_body ahead_body(const struct rpc_answer *rpc, int fd);

/*
 * The one place for an answer to RPC_FETCH that may bring messages along; those that are kept lie in it. And rpc_receive()
 * to it.
 */
struct rpc_text *ahead_text(void);
ssize_t ahead_receive(int keeper, int *fd_r);

/*
 * The message that is there, in what came as size octets in answer to a request for one and `more`, and those behind it, which
 * are kept. False: it is no such answer.
 */
bool ahead_take_text(struct ahead *a, size_t size, uint32_t more, struct message_body *body_r);

/* The answers to what was asked for besides, one by one (the descriptor is taken). One without a descriptor keeps its place. */
void ahead_keep(struct ahead *a, const struct message_body *body);

/* Nothing of anybody's messages stays there. */
void ahead_wipe(void);

/* Close what was not wanted. */
void ahead_forget(struct ahead *a);

/* Has nobody written to the file since the message was found in it? *links_r: the names that it has. */
bool ahead_is_unchanged(const struct message_body *body, nlink_t *links_r);

#endif
