/*
 * explain_record.c - one failure that happened: what was told, what was tried, and what to do now.
 * Runs in: postern, as whoever called it. Trusts: nothing in a record.
 */
#include <string.h>

#include "auth/pam_parts.h"
#include "cli/explain.h"
#include "cli/show.h"
#include "daemon/session_words.h"
#include "daemon/tls_version.h"

enum { VALUE_MAX = 512, ADVICE_MAX = 2048 };

/* ---- what is known ---- */

static const char *line_of(const struct history_record *r, enum reply id, char line[REPLY_LINE_MAX])
{
	struct buf out = { .p = line, .cap = REPLY_LINE_MAX };
	struct reply_args args = { .text = r->told, .ref = r->ref };
	memcpy(args.n, r->n, sizeof args.n);
	if (id == REPLY_NONE || reply_add(&out, id, &args) != 0)
		return "";
	out.len -= strlen("\r\n");
	return buf_text(&out);
}

const char *record_line(const struct history_record *r, char line[REPLY_LINE_MAX])
{
	return line_of(r, reply_by_name(r->reply), line);
}

/* Whoever wrote the record of a keeper that died cannot know what it was doing, and so which of the two the client was told. */
static enum reply other_of(const struct history_record *r)
{
	return reply_by_name(r->reply) == REPLY_KEEPER_LOST ? REPLY_UPDATE_LOST : REPLY_NONE;
}

/* The row that the advice is taken from: what a stranger is not told has a row of its own. */
static enum reply truth_of(const struct history_record *r)
{
	const enum reply id = reply_by_name(r->reply);
	const enum reason reason = reason_by_words(r->reason);
	return id == REPLY_NOT_ACCEPTED && reason != REASON_NONE ? reply_for_reason(reason, true) : id;
}

/* "ENOSPC: No space left on device", "" for none. */
static const char *errno_words(int err, char *text, size_t size)
{
	const char *name = err > 0 ? strerrorname_np(err) : NULL;
	(void)snprintf(text, size, "%s%s%s", name != NULL ? name : "", name != NULL ? ": " : "", err > 0 ? strerror(err) : "");
	return text;
}

static const char *pam_words(int code, char *text, size_t size)
{
	const struct pam_meaning *meaning = code != 0 ? pam_meaning_of(code) : NULL;
	(void)snprintf(text, size, "%s%s%s", meaning != NULL ? meaning->name : "", meaning != NULL ? ": " : "", meaning != NULL ? meaning->text : "");
	return text;
}

/* ---- for people ---- */

static void print_user(FILE *out, const struct history_record *r)
{
	char name[4 * sizeof r->user], text[VALUE_MAX];
	struct buf safe = BUF_OVER(name);
	if (r->user[0] == '\0')
		return;
	buf_add_escaped(&safe, r->user, strlen(r->user));
	if (r->uid == HISTORY_NOBODY)
		(void)snprintf(text, sizeof text, "\"%s\"", buf_text(&safe));
	else
		(void)snprintf(text, sizeof text, "\"%s\", uid %lu", buf_text(&safe), (unsigned long)r->uid);
	explain_labelled(out, "User:", text);
}

static void print_facts(FILE *out, const struct history_record *r)
{
	char when[SHOW_TIME], zone[SHOW_TIME], text[VALUE_MAX];
	(void)snprintf(text, sizeof text, "%s %s", show_time(r->when_ms, when), show_zone(r->when_ms, zone));
	explain_labelled(out, "When:", text);
	(void)snprintf(text, sizeof text, "%s, %s%s", r->peer, r->tls != 0 ? "over " : "without TLS", r->tls != 0 ? tls_version_text(r->tls) : "");
	explain_labelled(out, "From:", strcmp(r->role, "master") == 0 ? r->peer : text);
	print_user(out, r);
	explain_labelled(out, "Mailbox:", r->place);
	explain_labelled(out, "Reason:", strcmp(r->reason, reason_words(REASON_NONE)) != 0 ? r->reason : "");
	explain_labelled(out, "What was tried:", r->text);
	explain_labelled(out, "System error:", errno_words(r->err, text, sizeof text));
	explain_labelled(out, "PAM:", pam_words(r->pam, text, sizeof text));
	(void)snprintf(text, sizeof text, "%s, process %ld", r->role, (long)r->pid);
	explain_labelled(out, "Found by:", text);
}

/* A name or path that can stand in a command as it is. */
static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-/";
	return *word != '\0' && *word != '-' && word[strspn(word, plain)] == '\0';
}

/* Add the advice with this record's user in place of NAME, and its mailbox in place of PATH, so that commands can be pasted. */
static void add_filled(struct buf *b, const char *advice, const struct history_record *r)
{
	const char *path = strchr(r->place, ':');
	const struct { const char *place, *word; } fillings[] = { { "NAME", r->user }, { "PATH", path != NULL ? path + 1 : "" } };
	while (*advice != '\0') {
		size_t used = 1, i = 0;
		while (i < 2 && (strncmp(advice, fillings[i].place, 4) != 0 || !is_plain(fillings[i].word)))
			i++;
		if (i < 2) {
			used = strlen(fillings[i].place);
			(void)buf_add_text(b, fillings[i].word);
		} else {
			(void)buf_add(b, advice, 1);
		}
		advice += used;
	}
}

void explain_record(FILE *out, const struct history_record *r)
{
	char line[REPLY_LINE_MAX], ref[REF_TEXT_MAX], text[ADVICE_MAX];
	const enum reply truth = truth_of(r);
	const struct reply_advice *advice = truth != REPLY_NONE ? reply_advice(truth) : NULL;
	(void)fprintf(out, "Reference %s\n\nThe client was told:\n  ", ref_text(r->ref, ref));
	show_printable(out, record_line(r, line));
	if (*record_line(r, line) == '\0')
		show_printable(out, r->reply);
	if (other_of(r) != REPLY_NONE) {
		(void)fputs("\nor, if that came while QUIT deleted:\n  ", out);
		show_printable(out, line_of(r, other_of(r), line));
	}
	(void)fputs("\n\n", out);
	print_facts(out, r);
	(void)fputc('\n', out);
	if (truth != reply_by_name(r->reply))
		show_paragraph(out, 0, 0, "Before the password is proven everybody is told the same words. What follows is about the true reason.");
	if (advice == NULL) {
		(void)fputs("This version of postern has no row of that name in its table, and no advice.\n", out);
		return;
	}
	struct buf filled = BUF_OVER(text);
	add_filled(&filled, advice->admin, r);
	explain_advice(out, advice, buf_text(&filled));
	if (other_of(r) == REPLY_NONE)
		return;
	(void)fputs("\nIf it came while QUIT deleted:\n", out);
	explain_labelled(out, "What it means:", reply_advice(other_of(r))->meaning);
	explain_labelled(out, "The user:", reply_advice(other_of(r))->user);
}

/* ---- for programs ---- */

void explain_record_json(struct json *j, const struct history_record *r)
{
	char line[REPLY_LINE_MAX], ref[REF_TEXT_MAX];
	const enum reply truth = truth_of(r);
	const struct reply_advice *advice = truth != REPLY_NONE ? reply_advice(truth) : NULL;
	const struct pam_meaning *pam = r->pam != 0 ? pam_meaning_of(r->pam) : NULL;
	json_open(j, NULL, '{');
	json_text(j, "reference", ref_text(r->ref, ref));
	json_number(j, "when_ms", (uint64_t)r->when_ms);
	json_text(j, "reply", r->reply);
	json_text(j, "told", record_line(r, line));
	json_text(j, "or_told", other_of(r) != REPLY_NONE ? line_of(r, other_of(r), line) : NULL);
	json_text(j, "peer", r->peer);
	json_text(j, "tls", tls_version_text(r->tls));
	json_text(j, "user", r->user);
	if (r->uid == HISTORY_NOBODY)
		json_text(j, "uid", NULL);
	else
		json_number(j, "uid", r->uid);
	json_text(j, "mailbox", r->place);
	json_text(j, "reason", r->reason);
	json_text(j, "tried", r->text);
	json_text(j, "errno", r->err > 0 ? strerrorname_np(r->err) : NULL);
	json_text(j, "error", r->err > 0 ? strerror(r->err) : NULL);
	json_text(j, "pam", pam != NULL ? pam->name : NULL);
	json_text(j, "role", r->role);
	json_number(j, "pid", r->pid > 0 ? (uint64_t)r->pid : 0);
	json_text(j, "about", truth != REPLY_NONE ? reply_row(truth)->name : NULL);
	json_text(j, "side", advice != NULL ? side_text(advice->side) : NULL);
	json_text(j, "meaning", advice != NULL ? advice->meaning : NULL);
	json_text(j, "user_does", advice != NULL ? advice->user : NULL);
	json_text(j, "admin_does", advice != NULL ? advice->admin : NULL);
	json_close(j, '}');
}
