/*
 * sessions.c - postern sessions: who has a mailbox open at this moment.
 * Runs in: postern, as root, or as the one user that the server runs as. Trusts: its caller; nothing in a lock file.
 *
 * What it shows is what the locks say, so it needs no server that answers, and shows sessions that are left of one that is gone.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/show.h"
#include "daemon/settings.h"
#include "storage/lock.h"

static const char USAGE[] =
	"usage: postern sessions [-c FILE] [--user NAME] [--json]\n"
	"\n"
	"  -c FILE       the configuration of posternd; " DEFAULT_CONFIG " if not given\n"
	"  --user NAME   sessions of that user only\n"
	"  --json        for programs\n";

enum { SPAN_COLUMN = 10, PEER_COLUMN = 15 };

struct found {
	const char *user;     /* NULL: any */
	struct session_holder *list;
	size_t count, room;
	bool no_memory;
};

static void keep(void *context, const struct session_holder *holder)
{
	struct found *f = context;
	if (f->user != NULL && strcmp(f->user, holder->user) != 0)
		return;
	struct session_holder *list = cli_grow(f->list, f->count, &f->room, sizeof *list);
	if (list == NULL) {
		f->no_memory = true;
		return;
	}
	f->list = list;
	f->list[f->count++] = *holder;
}

static int by_since(const void *a, const void *b)
{
	const struct session_holder *x = a, *y = b;
	return (x->since > y->since) - (x->since < y->since);
}

/* Its age; a clock that was set back makes it 0. */
static uint64_t age_ms(const struct session_holder *s)
{
	const int64_t age = wall_ms() - s->since * 1000;
	return age > 0 ? (uint64_t)age : 0;
}

static void print_text(const struct found *f)
{
	char since[SHOW_TIME], span[SHOW_SIZE];
	for (size_t i = 0; i < f->count; i++) {
		const struct session_holder *s = &f->list[i];
		if (s->since == 0)
			(void)puts("a session of which its lock does not say whose it is");
		else
			(void)printf("%s  %-*s  %-*s  process %-7ld  %s\n", show_time(s->since * 1000, since), SPAN_COLUMN, show_span(age_ms(s), span), PEER_COLUMN, s->peer,
			             (long)s->pid, s->user[0] != '\0' ? s->user : "(no user: the server itself)");
	}
	if (f->count == 0)
		(void)puts("no session is open");
}

static void print_json(const struct found *f)
{
	struct json j = { .out = stdout };
	json_open(&j, NULL, '{');
	json_open(&j, "sessions", '[');
	for (size_t i = 0; i < f->count; i++) {
		const struct session_holder *s = &f->list[i];
		json_open(&j, NULL, '{');
		json_number(&j, "since_ms", (uint64_t)s->since * 1000);
		json_number(&j, "duration_ms", age_ms(s));
		json_text(&j, "user", s->user);
		json_text(&j, "peer", s->peer);
		json_number(&j, "process", (uint64_t)s->pid);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

static int show(const char *config, const char *user, bool json)
{
	static struct settings settings;
	char wanted[WHY_TOLD_MAX];
	struct buf as_shown = { .p = wanted, .cap = sizeof wanted - 1 };
	struct found f = { .user = user != NULL ? wanted : NULL };
	struct why why;
	int result = CLI_OK;
	if (cli_settings(config, &settings) != CLI_OK)
		return CLI_CONFIG;
	/* As a lock's name is read: printable, and cut. */
	if (user != NULL)
		buf_add_escaped(&as_shown, user, strlen(user));
	wanted[as_shown.len] = '\0';
	if (session_locks_held(settings.lock_directory, keep, &f, &why) != 0) {
		cli_complain("%s%s", why.text, cli_needs_root(why.err));
		result = CLI_IO;
	} else if (f.no_memory) {
		cli_complain("no memory for %zu sessions", f.count);
		result = CLI_TEMPORARY;
	} else {
		if (f.count > 0)
			qsort(f.list, f.count, sizeof *f.list, by_since);
		(json ? print_json : print_text)(&f);
		result = fflush(stdout) == 0 ? CLI_OK : CLI_IO;
	}
	free(f.list);
	return result;
}

int cli_sessions(int argc, char **argv)
{
	enum { USER = 256, JSON };
	static const struct option options[] = {
		{ "user", required_argument, NULL, USER }, { "json", no_argument, NULL, JSON }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *config = DEFAULT_CONFIG, *user = NULL;
	bool json = false;
	int option;
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': config = optarg; break;
		case USER: user = optarg; break;
		case JSON: json = true; break;
		case 'h': return fputs(USAGE, stdout) >= 0 && fflush(stdout) == 0 ? CLI_OK : CLI_IO;
		default: (void)fputs(USAGE, stderr); return CLI_USAGE;
		}
	}
	if (optind == argc)
		return show(config, user, json);
	(void)fputs(USAGE, stderr);
	return CLI_USAGE;
}
