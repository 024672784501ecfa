/*
 * session_words.h - the short words by which log and history call a failure's reason and a session's end.
 * Runs in: keeper (writes them), the postern command (reads them back). Trusts: nothing.
 *
 * What the client was told is in the reply table.
 */
#ifndef POSTERN_SESSION_WORDS_H
#define POSTERN_SESSION_WORDS_H

#include "base/why.h"
#include "daemon/rpc.h"

#define END_WORDS_GATE_DIED "gate died"   /* the end of a session that no gate could report */

/* How a failure's cause begins when the back ends were not asked; fail2ban's filter passes over such lines. */
#define WORDS_REPEATED "the same password was refused a while ago; not asked again"

/* "wrong password" */
const char *reason_words(enum reason reason);

/* The reason of those words, REASON_NONE when there is none. */
enum reason reason_by_words(const char *words);

/* "closed by the client without QUIT" */
const char *end_words(enum session_end end);

#endif
