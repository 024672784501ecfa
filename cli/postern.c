/*
 * postern.c - the postern command: picks the subcommand.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/show.h"
#include "daemon/settings.h"

static int help(int argc, char **argv);

static const struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "check", "try out a POP3 server as a mail program does, and say what is wrong", cli_check },
	{ "passwd", "add, change, check and list the users of a passwd file", cli_passwd },
	{ "recover", "show and put back mail that an interrupted update left behind", cli_recover },
	{ "explain", "say what a failure was, by its reference, or what an answer means", cli_explain },
	{ "log",    "list a user's sessions and failures, and judge what the mail programs do", cli_log },
	{ "sessions", "list the sessions that are open now: who, from where, since when", cli_sessions },
	{ "stats",  "sum up what went on: sessions, mail, failures", cli_stats },
	{ "help",   "print this list", help },
};

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
	return settings_read(file, settings_r, tell_finding, NULL) > 0 ? CLI_CONFIG : CLI_OK;
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

static void usage(FILE *out)
{
	(void)fputs("usage: postern COMMAND [ARGUMENTS]\n       postern -V\n\ncommands:\n", out);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		(void)fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\n`postern COMMAND --help` prints the arguments of a command.\n", out);
}

static int help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	usage(stdout);
	return fflush(stdout) == 0 ? CLI_OK : CLI_IO;
}

int main(int argc, char **argv)
{
	io_fill_standard();
	if (argc < 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		(void)puts("postern " POSTERN_VERSION);
		return fflush(stdout) == 0 ? CLI_OK : CLI_IO;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
		return help(argc, argv);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	cli_complain("there is no command \"%s\"; `postern help` lists them", argv[1]);
	return CLI_USAGE;
}
