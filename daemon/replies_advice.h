/*
 * replies_advice.h - the parts of the advice, as they see each other.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 */
#ifndef POSTERN_REPLIES_ADVICE_H
#define POSTERN_REPLIES_ADVICE_H

#include <stddef.h>

#include "daemon/replies.h"

struct advice_row {
	enum reply reply;
	struct reply_advice advice;
};

/* In each of them the rows are in the reply table's order. */
extern const struct advice_row advice_typed[], advice_login[], advice_mailbox[], advice_connection[];
extern const size_t advice_typed_count, advice_login_count, advice_mailbox_count, advice_connection_count;

/* A row; the texts are whole sentences in plain English, and what is to be typed stands `between` such marks. */
#define ADVICE(id, side_, meaning_, user_, admin_) \
	{ REPLY_##id, { .side = SIDE_##side_, .meaning = (meaning_), .user = (user_), .admin = (admin_) } }

#endif
