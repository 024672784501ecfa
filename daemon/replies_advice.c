/*
 * replies_advice.c - what each failure means, and what to do about it: finds the row.
 * Runs in: the postern command. Trusts: nothing; this is our own text.
 *
 * The texts are in replies_advice_*.c, by situation. No process of the server is linked with them.
 */
#include "daemon/replies_advice.h"

static const char *const sides[SIDE_COUNT] = {
	[SIDE_SETTINGS] = "your mail program or its settings",
	[SIDE_NETWORK] = "your network",
	[SIDE_ACCOUNT] = "the account",
	[SIDE_SERVER] = "this server",
	[SIDE_OTHER_PROGRAM] = "another program",
};

const struct reply_advice *reply_advice(enum reply id)
{
	const struct { const struct advice_row *rows; size_t count; } parts[] = {
		{ advice_typed, advice_typed_count }, { advice_login, advice_login_count },
		{ advice_mailbox, advice_mailbox_count }, { advice_connection, advice_connection_count },
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		for (size_t j = 0; j < parts[i].count; j++)
			if (parts[i].rows[j].reply == id)
				return &parts[i].rows[j].advice;
	return NULL;
}

const char *side_text(enum side side)
{
	return sides[side];
}
