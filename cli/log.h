/*
 * log.h - the parts of `postern log`, as they see each other.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 */
#ifndef POSTERN_CLI_LOG_H
#define POSTERN_CLI_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/json.h"
#include "daemon/history.h"

enum { VERDICT_TEXT = 512 };

/* ---- log_verdicts.c: what the records say about the mail programs ---- */

/* When the event began: a session's record is written at its end. */
int64_t record_begin_ms(const struct history_record *record);

/* For qsort(3) of pointers to records: by that, and by their ends where it is the same. */
int records_by_begin(const void *a, const void *b);

/* What is judged: the records of one user, or those of one user and one address. */
struct evidence {
	const struct history_record *const *list;   /* by the time they began */
	size_t count;
};

struct verdict_rule {
	const char *name;         /* for programs */
	bool per_peer;            /* the evidence is of one address */
	/* True, and text_r holds the verdict (for people, printable), when the rule has something to say. */
	bool (*judge)(const struct evidence *evidence, char text_r[VERDICT_TEXT]);
};
extern const struct verdict_rule verdict_rules[];
extern const size_t verdict_rules_count;

/*
 * Judge the records of one user, in any order: calls say() for each verdict. The array is sorted on the way.
 */
void verdicts_of_user(const struct history_record **records, size_t count,
                      void (*say)(void *context, const struct verdict_rule *rule, const char *text), void *context);

/* ---- log_peer_rules.c, log_user_rules.c: the rules ---- */

bool judge_closed(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_broken_marks(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_silent_marks(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_polls(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_lost_state(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_old_password(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_same_password(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_breaks(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_idle(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_in_clear(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_lock_fights(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_second_program(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_take_overs(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_leaves_mail(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_other_program(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_removed_elsewhere(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_guessing(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_slowed(const struct evidence *e, char text_r[VERDICT_TEXT]);
bool judge_server(const struct evidence *e, char text_r[VERDICT_TEXT]);

/* ---- log_print.c ---- */

/* One event, one line; who: name the user, too. */
void log_print(FILE *out, const struct history_record *record, bool who);
void log_print_json(struct json *j, const struct history_record *record);

#endif
