/*
 * cli.h - what the subcommands of `postern` share.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#ifndef POSTERN_CLI_H
#define POSTERN_CLI_H

#include <stddef.h>

#include "base/secret.h"

/* sysexits(3)'s numbers where it has one; 1 is "no" and 2 "cannot tell", as grep(1) has it. */
enum cli_exit {
	CLI_OK = 0,
	CLI_NO = 1,
	CLI_CANNOT_TELL = 2,
	CLI_USAGE = 64,
	CLI_DATA = 65,        /* what was given is not acceptable */
	CLI_NO_USER = 67,
	CLI_CANNOT_CREATE = 73,
	CLI_IO = 74,
	CLI_TEMPORARY = 75,
	CLI_CONFIG = 78,
};

/* "postern: ..." to standard error, printable (show_printable()). */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What to say behind that error (errno(3)) of a file that is root's: that it takes root, or nothing. */
const char *cli_needs_root(int error);

/*
 * A password: asked for without echo when standard input is a terminal (twice if confirm), else
 * one line of standard input. 0, or an exit code with the complaint made. The caller wipes it.
 */
int cli_read_password(const char *user, int confirm, struct secret *password_r);

/* Read posternd's configuration; what is wrong in it is told. CLI_OK, or CLI_CONFIG. */
struct settings;
int cli_settings(const char *file, struct settings *settings_r);

/* The name that a user is known by of one as it was typed, as a login has it (auth_user_name()). CLI_OK; or CLI_DATA with the complaint made: it is too long. */
int cli_user_name(const struct settings *settings, const char *typed, char name_r[USER_NAME_MAX + 1]);

/* The list with room for one more than count, *room of size octets each; NULL when there is no memory for it. */
void *cli_grow(void *list, size_t count, size_t *room, size_t size);

/* The arguments of the command of that name (commands.c): to standard output, as asked for; to standard error, as wrong usage. Return an exit code. */
int cli_help(const char *name);
int cli_usage(const char *name);

/* The subcommands; argv[0] is the subcommand's name. Each returns an exit code, which is CLI_IO in its place where standard output could not be written: main() looks. */
int cli_check(int argc, char **argv);
int cli_passwd(int argc, char **argv);
int cli_recover(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_log(int argc, char **argv);
int cli_sessions(int argc, char **argv);
int cli_stats(int argc, char **argv);

#endif
