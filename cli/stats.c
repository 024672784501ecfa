/*
 * stats.c - postern stats: what went on in a time, in sums: sessions, mail, how sessions ended, what failed.
 * Runs in: postern, as whoever called it. Trusts: its caller; nothing in a record.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/records.h"
#include "cli/show.h"
#include "cli/since.h"

/* A part of the records, in any order. */
struct group {
	const struct history_record **list;
	size_t count;
};

/* Parts of a group, the largest first. */
struct parts {
	struct group *list;
	size_t count;
};

/* What groups are made by: a session's end, or the answer that was given. */
static const char *kind_of(const struct history_record *r)
{
	return r->kind == HISTORY_SESSION ? r->reason : r->reply;
}

static int by_kind(const void *a, const void *b)
{
	return strcmp(kind_of(*(const struct history_record *const *)a), kind_of(*(const struct history_record *const *)b));
}

static int by_user(const void *a, const void *b)
{
	return strcmp((*(const struct history_record *const *)a)->user, (*(const struct history_record *const *)b)->user);
}

static int by_peer(const void *a, const void *b)
{
	return strcmp((*(const struct history_record *const *)a)->peer, (*(const struct history_record *const *)b)->peer);
}

/* How many are different by that order, in which the group is put. Whoever has no name is nobody. */
static size_t count_different(struct group g, int (*order)(const void *, const void *))
{
	size_t n = 0;
	if (g.count > 0)
		qsort(g.list, g.count, sizeof(void *), order);
	for (size_t i = 0; i < g.count; i++)
		n += (order != by_user || g.list[i]->user[0] != '\0') && (i == 0 || order(&g.list[i - 1], &g.list[i]) != 0);
	return n;
}

/* The sums over sessions. */
static struct history_figures sum_up(struct group g)
{
	struct history_figures sum = { .count = 0 };
	for (size_t i = 0; i < g.count; i++) {
		sum.fetched += g.list[i]->figures.fetched;
		sum.sent += g.list[i]->figures.sent;
		sum.deleted += g.list[i]->figures.deleted;
		sum.dropped += g.list[i]->figures.dropped;
	}
	return sum;
}

/* The latest of a group. */
static const struct history_record *last_of(struct group g)
{
	const struct history_record *last = g.list[0];
	for (size_t i = 1; i < g.count; i++)
		last = g.list[i]->when_ms > last->when_ms ? g.list[i] : last;
	return last;
}

static int by_count(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(kind_of(x->list[0]), kind_of(y->list[0]));
}

/* The group's parts of one kind each. list NULL: no memory. */
static struct parts part(struct group g)
{
	struct parts parts = { .list = calloc(g.count + 1, sizeof *parts.list) };
	if (parts.list == NULL)
		return parts;
	if (g.count > 0)
		qsort(g.list, g.count, sizeof(void *), by_kind);
	for (size_t i = 0; i < g.count; i++) {
		if (i == 0 || by_kind(&g.list[i - 1], &g.list[i]) != 0)
			parts.list[parts.count++].list = &g.list[i];
		parts.list[parts.count - 1].count++;
	}
	qsort(parts.list, parts.count, sizeof *parts.list, by_count);
	return parts;
}

/* ---- showing ---- */

/* What is on record of each kind is bounded. */
struct stats {
	int64_t since_ms, on_record_ms;  /* on_record_ms: when what is on record begins, if that is later; else 0 */
	bool own_only;
	size_t sessions, users, peers;
	struct history_figures sum;
	struct parts ends, failures;
};

static void print_number(size_t n, const char *one, const char *behind)
{
	(void)printf("%zu %s%s%s", n, one, n == 1 ? "" : one[strlen(one) - 1] == 's' ? "es" : "s", behind);
}

static void print_text(const struct stats *s)
{
	char when[SHOW_TIME], size[SHOW_SIZE], ref[REF_TEXT_MAX];
	(void)printf("since %s\n", show_time(s->since_ms, when));
	if (s->on_record_ms > 0)
		(void)printf("(not all of it is on record any more: from %s on; `history` in [log] is how much is kept)\n", show_time(s->on_record_ms, when));
	(void)fputs("  ", stdout);
	print_number(s->sessions, "session", " of ");
	print_number(s->users, "user", " from ");
	print_number(s->peers, "address", "\n  ");
	print_number(s->sum.fetched, "message", " fetched (");
	(void)printf("%s sent), %ju deleted; %ju deletion%s dropped for want of QUIT\n", show_size(s->sum.sent, size), (uintmax_t)s->sum.deleted,
	             (uintmax_t)s->sum.dropped, s->sum.dropped == 1 ? "" : "s");
	if (s->ends.count > 0)
		(void)puts("how sessions ended");
	for (size_t i = 0; i < s->ends.count; i++) {
		(void)printf("%7zu  ", s->ends.list[i].count);
		show_printable(stdout, kind_of(s->ends.list[i].list[0]));
		(void)fputc('\n', stdout);
	}
	(void)puts(s->failures.count > 0 ? "failures" : "no failure");
	for (size_t i = 0; i < s->failures.count; i++) {
		const struct group *failure = &s->failures.list[i];
		(void)printf("%7zu  ", failure->count);
		show_printable(stdout, kind_of(failure->list[0]));
		(void)fputs("  ", stdout);
		print_number(count_different(*failure, by_user), "user", ", ");
		print_number(count_different(*failure, by_peer), "address", "");
		(void)printf("; the last: postern explain %s\n", ref_text(last_of(*failure)->ref, ref));
	}
	if (s->own_only)
		(void)printf("You are not root, so only what concerns uid %lu is counted.\n", (unsigned long)getuid());
}

static void print_json(const struct stats *s)
{
	struct json j = { .out = stdout };
	char ref[REF_TEXT_MAX];
	json_open(&j, NULL, '{');
	json_number(&j, "since_ms", (uint64_t)(s->on_record_ms > 0 ? s->on_record_ms : s->since_ms));
	json_flag(&j, "own_only", s->own_only);
	json_number(&j, "sessions", s->sessions);
	json_number(&j, "users", s->users);
	json_number(&j, "peers", s->peers);
	json_number(&j, "fetched", s->sum.fetched);
	json_number(&j, "octets_sent", s->sum.sent);
	json_number(&j, "deleted", s->sum.deleted);
	json_number(&j, "deletions_dropped", s->sum.dropped);
	json_open(&j, "ends", '[');
	for (size_t i = 0; i < s->ends.count; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "end", kind_of(s->ends.list[i].list[0]));
		json_number(&j, "count", s->ends.list[i].count);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "failures", '[');
	for (size_t i = 0; i < s->failures.count; i++) {
		const struct group *failure = &s->failures.list[i];
		json_open(&j, NULL, '{');
		json_text(&j, "reply", kind_of(failure->list[0]));
		json_number(&j, "count", failure->count);
		json_text(&j, "reference", ref_text(last_of(*failure)->ref, ref));
		json_number(&j, "users", count_different(*failure, by_user));
		json_number(&j, "peers", count_different(*failure, by_peer));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

/* ---- the command line ---- */

/* Where one kind's place is used up, what is older than its first record is gone. */
static int64_t begin_of_record(const struct records *r, int64_t since_ms)
{
	int64_t begin = 0;
	for (uint32_t kind = 0; kind < HISTORY_KINDS; kind++) {
		size_t count = 0, first = r->count;
		for (size_t i = r->count; i > 0; i--) {
			if (r->list[i - 1].kind == kind) {
				first = i - 1;
				count++;
			}
		}
		if (count >= r->kept && count > 0 && r->list[first].when_ms > since_ms && r->list[first].when_ms > begin)
			begin = r->list[first].when_ms;
	}
	return begin;
}

static int show(const struct records *r, int64_t since_ms, bool json)
{
	const struct history_record **list = calloc(r->count + 1, sizeof(void *));
	struct stats s = { .since_ms = since_ms, .on_record_ms = begin_of_record(r, since_ms), .own_only = r->own_only };
	/* Sessions from the front, failures from the end. */
	struct group sessions = { .list = list }, failures = { .list = list != NULL ? list + r->count : NULL };
	for (size_t i = 0; list != NULL && i < r->count; i++) {
		if (r->list[i].when_ms < since_ms)
			continue;
		if (r->list[i].kind == HISTORY_SESSION) {
			list[sessions.count++] = &r->list[i];
		} else {
			*--failures.list = &r->list[i];
			failures.count++;
		}
	}
	s.sessions = sessions.count;
	s.users = count_different(sessions, by_user);
	s.peers = count_different(sessions, by_peer);
	s.sum = sum_up(sessions);
	s.ends = part(sessions);
	s.failures = part(failures);
	const bool done = list != NULL && s.ends.list != NULL && s.failures.list != NULL;
	if (done)
		(json ? print_json : print_text)(&s);
	else
		cli_complain("no memory for %zu records", r->count);
	free(s.ends.list);
	free(s.failures.list);
	free(list);
	return done ? CLI_OK : CLI_TEMPORARY;
}

int cli_stats(int argc, char **argv)
{
	enum { SINCE = 256, JSON };
	static const struct option options[] = {
		{ "since", required_argument, NULL, SINCE }, { "json", no_argument, NULL, JSON }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	/* All of it: how far back it goes is to be seen. */
	const struct history_query query = { .format = HISTORY_FORMAT, .kinds = ANY_KIND, .uid = HISTORY_NOBODY };
	const char *config = DEFAULT_CONFIG, *since = "1d";
	struct records records;
	int64_t since_ms;
	bool json = false;
	int option;
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': config = optarg; break;
		case SINCE: since = optarg; break;
		case JSON: json = true; break;
		case 'h': return cli_help("stats");
		default: return cli_usage("stats");
		}
	}
	if (optind != argc) {
		return cli_usage("stats");
	}
	if (parse_since(since, &since_ms) != 0)
		return CLI_DATA;
	int result = records_gather(config, &query, &records);
	if (result == CLI_OK)
		result = show(&records, since_ms, json);
	records_free(&records);
	return result;
}
