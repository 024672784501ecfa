/*
 * records.h - the history's records, for the commands that show them.
 * Runs in: postern: as root it reads the files, as anybody else it asks the recorder. Trusts: the configuration; nothing in a record.
 */
#ifndef POSTERN_RECORDS_H
#define POSTERN_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/history.h"
#include "daemon/settings.h"

struct records {
	struct history_record *list;
	size_t count, room;
	size_t kept;           /* so many of each kind are on record at most */
	enum log_target log;   /* where the server's log goes */
	bool own_only;         /* not root: only what concerns the caller's own uid was given */
};

#define NO_RECORDS ((struct records){ .list = NULL })
#define ANY_KIND (1u << HISTORY_GUESS | 1u << HISTORY_FAILURE | 1u << HISTORY_SESSION)

/*
 * All records that the query asks for, oldest first, by the configuration in that file. 0; or an exit code of cli.h with the
 * complaint made. In both cases records_free() is to be called.
 */
int records_gather(const char *config, const struct history_query *query, struct records *records_r);

void records_free(struct records *records);

#endif
