/*
 * recorder_answer.h - a user's question to the history, answered over history_socket.
 * Runs in: a child of the recorder. Trusts: of who asks, the kernel's word on who it is.
 */
#ifndef POSTERN_RECORDER_ANSWER_H
#define POSTERN_RECORDER_ANSWER_H

#include "daemon/history.h"

/* connection (borrowed): one struct history_query comes, records go back, then HISTORY_FORMAT as the end. Root sees all, others their own. */
void answer_question(int connection, const struct history *history);

/*
 * Ask, from the other side: calls found() for each record of the asking user's, until it does not return 0. 0; or -1 and errno
 * (EAGAIN: the answer was cut off; try again).
 */
int ask_history(const char *socket_path, const struct history_query *query,
                int (*found)(void *context, const struct history_record *record), void *context);

#endif
