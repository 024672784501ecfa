/*
 * log.c - postern log: a user's sessions and failures, and what they say about his mail programs.
 * Runs in: postern, as whoever called it. Trusts: its caller; nothing in a record.
 */
#include "cli/log.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/records.h"
#include "cli/show.h"
#include "cli/since.h"

struct request {
	const char *config;
	bool json, all;
	struct history_query query;
};

/* ---- what to show ---- */

/* Somebody, anywhere, typed a name that is nobody's; of interest to few. The server's own trouble is of interest. */
static bool is_noise(const struct history_record *r)
{
	const enum reply id = reply_by_name(r->reply);
	const struct reply_advice *advice = id != REPLY_NONE ? reply_advice(id) : NULL;
	return r->kind == HISTORY_GUESS && r->uid == HISTORY_NOBODY && (advice == NULL || advice->side != SIDE_SERVER);
}

static int by_user(const void *a, const void *b)
{
	const struct history_record *x = *(const struct history_record *const *)a, *y = *(const struct history_record *const *)b;
	const int order = strcmp(x->user, y->user);
	return order != 0 ? order : records_by_begin(a, b);
}

/* Where verdicts go. */
struct output {
	struct json *json;      /* NULL: for people */
	const char *user;
	bool who;               /* name the user, too */
	size_t count;
};

static void say(void *context, const struct verdict_rule *rule, const char *text)
{
	struct output *o = context;
	o->count++;
	if (o->json != NULL) {
		json_open(o->json, NULL, '{');
		json_text(o->json, "user", o->user);
		json_text(o->json, "verdict", rule->name);
		json_text(o->json, "text", text);
		json_close(o->json, '}');
		return;
	}
	(void)fputs("- ", stdout);
	unsigned at = 2;
	if (o->who) {
		show_printable(stdout, o->user);
		(void)fputc(':', stdout);
		at += (unsigned)strlen(o->user) + 1;
	}
	show_paragraph(stdout, 2, at, text);
}

static void judge(const struct history_record **shown, size_t count, struct output *o)
{
	if (count == 0)
		return;
	qsort(shown, count, sizeof(void *), by_user);
	for (size_t first = 0, n; first < count; first += n) {
		for (n = 1; first + n < count && strcmp(shown[first]->user, shown[first + n]->user) == 0; n++)
			;
		o->user = shown[first]->user;
		if (o->user[0] != '\0')
			verdicts_of_user(shown + first, n, say, o);
	}
}

static void print_json(const struct records *r, const struct history_record **shown, size_t count)
{
	struct json j = { .out = stdout };
	struct output o = { .json = &j };
	json_open(&j, NULL, '{');
	json_flag(&j, "own_only", r->own_only);
	json_open(&j, "events", '[');
	for (size_t i = 0; i < count; i++)
		log_print_json(&j, shown[i]);
	json_close(&j, ']');
	json_open(&j, "verdicts", '[');
	judge(shown, count, &o);
	json_close(&j, ']');
	json_close(&j, '}');
}

static void print_text(const struct request *q, const struct records *r, const struct history_record **shown, size_t count)
{
	const bool who = q->query.user[0] == '\0' && !r->own_only;
	struct output o = { .who = who };
	for (size_t i = 0; i < count; i++)
		log_print(stdout, shown[i], who);
	if (count == 0)
		(void)puts("nothing is on record");
	if (count < r->count)
		(void)printf("(and %zu failure%s before a login with names that are no user's; --all shows them)\n", r->count - count,
		             r->count - count == 1 ? "" : "s");
	if (count > 0)
		(void)puts("\nWhat this says:");
	judge(shown, count, &o);
	if (count > 0 && o.count == 0)
		(void)puts("- nothing is wrong with what the mail programs do");
	if (r->own_only)
		(void)printf("\nYou are not root, so only what concerns uid %lu is shown.\n", (unsigned long)getuid());
}

static int show(const struct request *q, const struct records *r)
{
	const struct history_record **shown = calloc(r->count + 1, sizeof(void *));
	size_t count = 0;
	if (shown == NULL) {
		cli_complain("no memory for %zu records", r->count);
		return CLI_TEMPORARY;
	}
	for (size_t i = 0; i < r->count; i++)
		if (q->all || q->query.user[0] != '\0' || !is_noise(&r->list[i]))
			shown[count++] = &r->list[i];
	qsort(shown, count, sizeof(void *), records_by_begin);
	if (q->json)
		print_json(r, shown, count);
	else
		print_text(q, r, shown, count);
	free(shown);
	return CLI_OK;
}

/* ---- the command line ---- */

int cli_log(int argc, char **argv)
{
	enum { USER = 256, SINCE, ALL, JSON };
	static const struct option options[] = {
		{ "user", required_argument, NULL, USER }, { "since", required_argument, NULL, SINCE }, { "all", no_argument, NULL, ALL },
		{ "json", no_argument, NULL, JSON }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct request q = { .config = DEFAULT_CONFIG, .query = { .format = HISTORY_FORMAT, .kinds = ANY_KIND, .uid = HISTORY_NOBODY } };
	struct records records;
	int option;
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': q.config = optarg; break;
		case ALL: q.all = true; break;
		case JSON: q.json = true; break;
		case 'h': return cli_help("log");
		case USER:
			if (strlen(optarg) > USER_NAME_MAX) {
				cli_complain("no user has so long a name");
				return CLI_DATA;
			}
			(void)snprintf(q.query.user, sizeof q.query.user, "%s", optarg);
			break;
		case SINCE:
			if (parse_since(optarg, &q.query.since_ms) != 0)
				return CLI_DATA;
			break;
		default: return cli_usage("log");
		}
	}
	if (optind != argc)
		return cli_usage("log");
	int result = records_gather(q.config, &q.query, &records);
	if (result == CLI_OK)
		result = show(&q, &records);
	records_free(&records);
	return result;
}
