/*
 * replies_table.h - the reply table and the table of reasons; for daemon/replies*.c and their tests only.
 * Runs in: gate, keeper, master, and the postern command. Trusts: nothing.
 */
#ifndef POSTERN_REPLIES_TABLE_H
#define POSTERN_REPLIES_TABLE_H

#include "daemon/replies.h"

extern const struct reply_row replies_table[REPLY_COUNT];

/* What a reason means for the client: before the password is proven; when the truth may be told; as the answer to QUIT. */
struct reason_row {
	enum reply guarded, told, kept;
};

extern const struct reason_row reasons_table[REASON_COUNT];

#endif
