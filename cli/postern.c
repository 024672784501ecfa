/*
 * postern.c - the postern command: picks the subcommand.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/io.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "daemon/settings.h"

void cli_complain(const char *format, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, format);
	const int n = vasprintf(&text, format, ap);
	va_end(ap);
	(void)fputs("postern: ", stderr);
	/* Paths and names in it may be anybody's. */
	show_printable(stderr, n >= 0 ? text : "no memory to say what is wrong");
	(void)fputc('\n', stderr);
	if (n >= 0)
		free(text);
}

const char *cli_needs_root(int error)
{
	return (error == EACCES || error == EPERM) && geteuid() != 0 ? "; run it as root" : "";
}

static void tell_finding(void *context, const char *file, unsigned line, const char *text)
{
	(void)context;
	if (line > 0)
		cli_complain("%s:%u: %s", file, line, text);
	else
		cli_complain("%s: %s", file, text);
}

int cli_settings(const char *file, struct settings *settings_r)
{
	if (settings_read(file, settings_r, tell_finding, NULL) == 0)
		return CLI_OK;
	cli_complain("correct that first, or name a good copy with -c; a server that runs goes on with what it has read");
	return CLI_CONFIG;
}

int cli_user_name(const struct settings *settings, const char *typed, char name_r[USER_NAME_MAX + 1])
{
	struct auth_settings auth;
	if (strlen(typed) > USER_NAME_MAX) {
		cli_complain("no user has so long a name");
		return CLI_DATA;
	}
	(void)snprintf(name_r, USER_NAME_MAX + 1, "%s", typed);
	settings_for_auth(settings, "", &auth);
	auth_user_name(&auth, name_r);
	return CLI_OK;
}

void *cli_grow(void *list, size_t count, size_t *room, size_t size)
{
	enum { FIRST_ROOM = 64 };
	if (count < *room)
		return list;
	const size_t more = *room > 0 ? 2 * *room : FIRST_ROOM;
	void *grown = reallocarray(list, more, size);
	*room = grown != NULL ? more : *room;
	return grown;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		commands_list(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		(void)puts("postern " POSTERN_VERSION);
		return CLI_OK;
	}
	const bool is_help = strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0;
	const struct command *command = command_find(is_help ? "help" : argv[1]);
	return command != NULL ? command->run(is_help ? 1 : argc - 1, argv + 1) : CLI_USAGE;
}

int main(int argc, char **argv)
{
	io_fill_standard();
	const int result = run(argc, argv);
	/* For all commands: what could not be written was not said. */
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? result : CLI_IO;
}
