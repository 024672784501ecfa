/*
 * records.c - the history's records, for the commands that show them.
 * Runs in: postern: as root it reads the files, as anybody else it asks the recorder. Trusts: the configuration; nothing in a record.
 */
#include "cli/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "daemon/recorder_answer.h"
#include "daemon/settings.h"

static int keep(void *context, const struct history_record *record)
{
	struct records *r = context;
	struct history_record *list = cli_grow(r->list, r->count, &r->room, sizeof *list);
	if (list == NULL)
		return -1;
	r->list = list;
	r->list[r->count++] = *record;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct history_record *x = a, *y = b;
	if (x->when_ms != y->when_ms)
		return x->when_ms < y->when_ms ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static int read_files(const struct settings *settings, const struct history_query *query, struct records *r)
{
	struct history history;
	const char *path;
	if (history_open(&history, settings->history_directory, 0, false, &path) != 0) {
		if (errno == EINVAL)
			cli_complain("cannot read %s: it is empty, or of another version of postern; posternd begins it anew when it starts and there is room", path);
		else
			cli_complain("cannot read %s: %s%s", path, strerror(errno), errno == ENOENT ? "; posternd with this configuration makes it when it starts" : "");
		history_close(&history);
		return CLI_IO;
	}
	history_find(&history, query, keep, r);
	history_close(&history);
	return CLI_OK;
}

static int ask(const struct settings *settings, const struct history_query *query, struct records *r)
{
	if (ask_history(settings->history_socket, query, keep, r) == 0)
		return CLI_OK;
	cli_complain("cannot ask %s: %s%s", settings->history_socket, strerror(errno),
	             errno == ENOENT || errno == ECONNREFUSED ? "; posternd answers there while it runs" : "");
	return CLI_TEMPORARY;
}

int records_gather(const char *config, const struct history_query *query, struct records *records_r)
{
	static struct settings settings;
	struct history_query known = *query;
	*records_r = NO_RECORDS;
	if (cli_settings(config, &settings) != CLI_OK)
		return CLI_CONFIG;
	records_r->kept = settings.history;
	records_r->log = settings.log_target;
	(void)cli_user_name(&settings, query->user, known.user);
	records_r->own_only = geteuid() != 0;
	int result = records_r->own_only ? ask(&settings, &known, records_r) : read_files(&settings, &known, records_r);
	if (result == CLI_OK && records_r->count > 0)
		qsort(records_r->list, records_r->count, sizeof *records_r->list, by_time);
	return result;
}

void records_free(struct records *records)
{
	free(records->list);
	*records = NO_RECORDS;
}
