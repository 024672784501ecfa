/*
 * explain.c - postern explain: a failure that happened, by its reference; or what an answer means.
 * Runs in: postern, as whoever called it. Trusts: its caller; nothing in a record.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/records.h"

enum {
	SHOWN_WHOLE = 3,   /* answers that are explained at length when the words fit several */
	LOG_WORDS = 80,
};

struct request {
	const char *config;
	bool json;
	char words[EXPLAIN_WORDS];
};

/* ---- by reference ---- */

/* How to find the reference in the log: text_r of so many octets. */
static const char *in_log(enum log_target target, const char *ref, char *text_r, size_t size)
{
	/* As sd_booted(3) has it. There syslog's lines are in the journal as well, without fields. */
	const bool booted = access("/run/systemd/system", F_OK) == 0;
	const char *before = "journalctl POSTERN_REF=", *behind = "";
	if (target == LOG_TARGET_STDERR) {
		before = "look for ref=";
		behind = " where standard error of posternd goes to";
	} else if (!booted && target != LOG_TARGET_JOURNAL) {
		before = "grep ref=";
		behind = " /var/log/mail.log";
	} else if (target == LOG_TARGET_SYSLOG) {
		before = "journalctl -t postern -g ref=";
	}
	(void)snprintf(text_r, size, "%s%s%s", before, ref, behind);
	return text_r;
}

static void print_records(const struct request *q, const struct records *r, const char *ref)
{
	struct json j = { .out = stdout };
	char log[LOG_WORDS];
	if (q->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "reference", ref);
		json_flag(&j, "own_only", r->own_only);
		json_open(&j, "records", '[');
		for (size_t i = 0; i < r->count; i++)
			explain_record_json(&j, &r->list[i]);
		json_close(&j, ']');
		json_close(&j, '}');
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		(void)printf("%s", i > 0 ? "\n\n" : "");
		explain_record(stdout, &r->list[i]);
	}
	(void)printf("\nIn the log:     %s\n", in_log(r->log, ref, log, sizeof log));
	if (r->own_only)
		(void)printf("You are not root, so only what concerns uid %lu is shown.\n", (unsigned long)getuid());
}

static void complain_not_found(const struct records *r, const char *ref)
{
	char log[LOG_WORDS];
	cli_complain("no record of %s is kept: it is too old, or was not given out by this server", ref);
	if (r->own_only)
		cli_complain("you are not root, so only what concerns uid %lu was looked through; ask the administrator", (unsigned long)getuid());
	cli_complain("the log may have it: %s", in_log(r->log, ref, log, sizeof log));
}

/* CLI_OK when it was found and printed, CLI_NO when it was not. */
static int by_reference(const struct request *q, uint32_t ref, bool other_words)
{
	const struct history_query query = { .format = HISTORY_FORMAT, .ref = ref, .kinds = ANY_KIND, .uid = HISTORY_NOBODY };
	struct records records;
	char text[REF_TEXT_MAX];
	int result = records_gather(q->config, &query, &records);
	(void)ref_text(ref, text);
	if (result == CLI_OK && records.count > 0)
		print_records(q, &records, text);
	else if (result == CLI_OK && other_words)
		cli_complain("no record of %s is kept; what its answer means in general:", text);
	else if (result == CLI_OK)
		complain_not_found(&records, text);
	if (result == CLI_OK && records.count == 0)
		result = CLI_NO;
	records_free(&records);
	return result;
}

/* ---- by words ---- */

static void print_rows(const struct request *q, const enum reply *found, size_t count)
{
	struct json j = { .out = stdout };
	if (q->json) {
		json_open(&j, NULL, '{');
		json_open(&j, "answers", '[');
		for (size_t i = 0; i < count; i++)
			explain_row_json(&j, found[i]);
		json_close(&j, ']');
		json_close(&j, '}');
		return;
	}
	for (size_t i = 0; i < count && i < SHOWN_WHOLE; i++) {
		(void)printf("%s", i > 0 ? "\n\n" : "");
		explain_row(stdout, found[i]);
	}
	if (count > SHOWN_WHOLE)
		(void)puts("\n\nThe words fit these, too; postern explain NAME says more:");
	for (size_t i = SHOWN_WHOLE; i < count; i++) {
		char shape[REPLY_SHAPE];
		(void)printf("  %-20s %s\n", reply_row(found[i])->name, reply_shape(found[i], shape));
	}
}

static int explain(const struct request *q)
{
	enum reply found[REPLY_COUNT];
	const size_t count = explain_find(q->words, found);
	const uint32_t ref = explain_ref(q->words);
	int result = CLI_NO;
	/* A row's name that looks like a reference is the row: references have neither L nor O. */
	const bool is_name = count == 1 && strcasecmp(q->words, reply_row(found[0])->name) == 0;
	if (ref != REF_NONE && !is_name) {
		result = by_reference(q, ref, count > 0);
		if (result == CLI_OK || count == 0)
			return result;
	}
	if (count > 0) {
		print_rows(q, found, count);
		return CLI_OK;
	}
	cli_complain("no answer of postern has these words; `postern explain --list` shows all");
	return result;
}

/* ---- the command line ---- */

static int join_words(int argc, char **argv, char *words, size_t size)
{
	struct buf b = { .p = words, .cap = size - 1 };
	for (int i = 0; i < argc; i++)
		if ((i > 0 && buf_add(&b, " ", 1) != 0) || buf_add_text(&b, argv[i]) != 0) {
			cli_complain("these are more than %zu octets", size - 1);
			return CLI_DATA;
		}
	words[b.len] = '\0';
	return CLI_OK;
}

/* A pasted "-ERR" is no option. */
static bool is_word(const char *argument)
{
	return argument[0] != '-' || argument[1] == '\0' || strncmp(argument, "-ERR", 4) == 0;
}

int cli_explain(int argc, char **argv)
{
	enum { LIST = 256, MAN, HTML, JSON };
	static const struct option options[] = {
		{ "list", no_argument, NULL, LIST }, { "man", no_argument, NULL, MAN }, { "html", no_argument, NULL, HTML },
		{ "json", no_argument, NULL, JSON }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct request q = { .config = DEFAULT_CONFIG };
	int page = 0, words = 0;
	bool only_words = false;
	while (optind < argc) {
		if (only_words || is_word(argv[optind])) {
			argv[++words] = argv[optind++];
			continue;
		}
		const int option = getopt_long(argc, argv, "+c:h", options, NULL);
		switch (option) {
		case -1: only_words = true; break;
		case 'c': q.config = optarg; break;
		case JSON: q.json = true; break;
		case LIST: case MAN: case HTML: page = option; break;
		case 'h': return cli_help("explain");
		default: return cli_usage("explain");
		}
	}
	if ((page != 0) != (words == 0))
		return cli_usage("explain");
	switch (page) {
	case LIST: explain_list(stdout); return CLI_OK;
	case MAN: explain_man(stdout); return CLI_OK;
	case HTML: explain_html(stdout); return CLI_OK;
	default: break;
	}
	int result = join_words(words, argv + 1, q.words, sizeof q.words);
	return result == CLI_OK ? explain(&q) : result;
}
