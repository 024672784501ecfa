/*
 * log_verdicts.c - what the records say about the mail programs: the table of rules, and who is judged by what.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 *
 * A rule sees records and nothing else, and says what it has seen: a verdict without its evidence helps nobody.
 */
#include "cli/log.h"

#include <stdlib.h>
#include <string.h>

const struct verdict_rule verdict_rules[] = {
	{ "closed-without-quit",  true,  judge_closed },
	{ "broken-before-quit",   true,  judge_broken_marks },
	{ "silent-before-quit",   true,  judge_silent_marks },
	{ "polls-often",          true,  judge_polls },
	{ "lost-state",           true,  judge_lost_state },
	{ "old-password",         true,  judge_old_password },
	{ "same-password",        true,  judge_same_password },
	{ "connection-breaks",    true,  judge_breaks },
	{ "holds-the-mailbox",    true,  judge_idle },
	{ "no-encryption",        true,  judge_in_clear },
	{ "two-devices",          false, judge_lock_fights },
	{ "second-program",       false, judge_second_program },
	{ "taken-over",           false, judge_take_overs },
	{ "leaves-mail",          false, judge_leaves_mail },
	{ "other-program",        false, judge_other_program },
	{ "removed-elsewhere",    false, judge_removed_elsewhere },
	{ "password-guessing",    false, judge_guessing },
	{ "slowed-down",          false, judge_slowed },
	{ "server-at-fault",      false, judge_server },
};
const size_t verdict_rules_count = sizeof verdict_rules / sizeof verdict_rules[0];

int64_t record_begin_ms(const struct history_record *r)
{
	const uint64_t duration = r->kind == HISTORY_SESSION ? r->figures.duration_ms : 0;
	return duration < (uint64_t)INT64_MAX && r->when_ms > (int64_t)duration ? r->when_ms - (int64_t)duration : r->when_ms;
}

int records_by_begin(const void *a, const void *b)
{
	const struct history_record *x = *(const struct history_record *const *)a, *y = *(const struct history_record *const *)b;
	const int64_t t = record_begin_ms(x), u = record_begin_ms(y);
	return t != u ? (t > u) - (t < u) : (x->when_ms > y->when_ms) - (x->when_ms < y->when_ms);
}

static int by_peer(const void *a, const void *b)
{
	const struct history_record *x = *(const struct history_record *const *)a, *y = *(const struct history_record *const *)b;
	const int order = strcmp(x->peer, y->peer);
	return order != 0 ? order : records_by_begin(a, b);
}

static void apply(const struct evidence *e, bool per_peer,
                  void (*say)(void *context, const struct verdict_rule *rule, const char *text), void *context)
{
	char text[VERDICT_TEXT];
	for (size_t i = 0; i < verdict_rules_count; i++)
		if (verdict_rules[i].per_peer == per_peer && verdict_rules[i].judge(e, text))
			say(context, &verdict_rules[i], text);
}

void verdicts_of_user(const struct history_record **records, size_t count,
                      void (*say)(void *context, const struct verdict_rule *rule, const char *text), void *context)
{
	if (count == 0)
		return;
	qsort(records, count, sizeof(void *), by_peer);
	for (size_t first = 0, n; first < count; first += n) {
		for (n = 1; first + n < count && strcmp(records[first]->peer, records[first + n]->peer) == 0; n++)
			;
		apply(&(struct evidence){ .list = records + first, .count = n }, true, say, context);
	}
	qsort(records, count, sizeof(void *), records_by_begin);
	apply(&(struct evidence){ .list = records, .count = count }, false, say, context);
}
