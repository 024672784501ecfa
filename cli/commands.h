/*
 * commands.h - the table of commands: what each is for, its arguments, and what runs it.
 * Runs in: postern, as whoever called it. Trusts: nothing; this is our own text.
 */
#ifndef POSTERN_CLI_COMMANDS_H
#define POSTERN_CLI_COMMANDS_H

#include <stdio.h>

struct command {
	const char *name;
	const char *about;                   /* for the list */
	const char *usage;                   /* its arguments */
	int (*run)(int argc, char **argv);   /* argv[0] is its name; returns an exit code */
};

/* The command of that name; NULL, with the complaint made. */
const struct command *command_find(const char *name);

/* How postern is called, and the list of commands. */
void commands_list(FILE *out);

#endif
