/*
 * commands.c - the table of commands: what each is for, its arguments, and what runs it.
 * Runs in: postern, as whoever called it. Trusts: nothing; this is our own text.
 */
#include "cli/commands.h"

#include <string.h>

#include "cli/cli.h"

static const char check_usage[] =
	"usage: postern check [OPTIONS] [USER@]HOST[:PORT]\n"
	"\n"
	"Does what a mail program does with a POP3 server, deletes nothing, and says what is wrong, on whose side, and what\n"
	"to do. Without USER it goes up to the login. The password is asked for, or is a line of standard input; it is never\n"
	"an argument. There is one login at the most.\n"
	"\n"
	"  --port N              the port; without one 995 and 110 are tried\n"
	"  --tls MODE            auto, implicit (SSL/TLS), stls (STARTTLS) or none\n"
	"  -4, -6                IPv4 or IPv6 addresses only\n"
	"  --ca-file FILE        certificates of the authorities to trust, instead of the host's\n"
	"  --plaintext           the password may be sent readable, or to a server with a bad certificate\n"
	"  --try-other-name      after a refusal log in once more, with the full address or the short name\n"
	"  --transcript FILE     write the session to FILE, without passwords and mail\n"
	"  --json                for programs\n"
	"  --connect-timeout S   seconds for a connection (10)\n"
	"  --timeout S           seconds for an answer (30)\n"
	"  --late S              a greeting that takes longer is a defect (10)\n"
	"  --total S             seconds for the whole check (180)\n"
	"\n"
	"exit status: 0 nothing is wrong, 2 cannot tell, 3 your settings, 4 your network, 5 the account, 6 another program,\n"
	"7 the server; 64 and above: the check could not be done.\n";

static const char passwd_usage[] =
	"usage: postern passwd [FILE] add [--uid UID] [--gid GID] [--home DIR] [--comment TEXT] [COST] NAME\n"
	"       postern passwd [FILE] set [COST] NAME\n"
	"       postern passwd [FILE] delete NAME\n"
	"       postern passwd [FILE] verify NAME\n"
	"       postern passwd [FILE] list\n"
	"\n"
	"The password is asked for, or is a line of standard input; it is never an argument.\n"
	"Without --uid, mail belongs to virtual_user of postern.conf, or to the account called NAME.\n"
	"\n"
	"  FILE       -f PASSWD-FILE, or -c CONFIGURATION, which names it; " DEFAULT_CONFIG " if not given\n"
	"  COST       --ops N (passes of Argon2id) and --mem MIB, which each login then takes\n"
	"\n"
	"verify exits with 0 when the password is right, 1 when it is not, 2 when that cannot be said.\n";

static const char recover_usage[] =
	"usage: postern recover [-c FILE]                list what interrupted updates left behind\n"
	"       postern recover [-c FILE] show NAME      print the mail that NAME keeps, as an mbox\n"
	"       postern recover [-c FILE] put-back NAME  append what the mailbox lacks of it, then remove NAME\n"
	"       postern recover [-c FILE] discard NAME   remove NAME\n"
	"\n"
	"  -c FILE    the configuration of posternd; " DEFAULT_CONFIG " if not given\n";

static const char explain_usage[] =
	"usage: postern explain [-c FILE] [--json] REFERENCE  what happened: REFERENCE is the word behind \"ref\"\n"
	"       postern explain [--json] NAME | WORDS...      what an answer means: its name, its words or a part of them\n"
	"       postern explain --list                        all failures, one a line\n"
	"       postern explain --man | --html                the manual page, and the page for a browser\n"
	"\n"
	"  -c FILE    the configuration of posternd; " DEFAULT_CONFIG " if not given\n"
	"\n"
	"A whole line can be pasted: postern explain '-ERR [AUTH] invalid password (ref 7KQ2M)'; so can one of the log.\n"
	"Users other than root see what concerns their own sessions.\n";

static const char log_usage[] =
	"usage: postern log [-c FILE] [--user NAME] [--since TIME] [--all] [--json]\n"
	"\n"
	"  -c FILE       the configuration of posternd; " DEFAULT_CONFIG " if not given\n"
	"  --user NAME   sessions and failures of that user only\n"
	"  --since TIME  2w, 3d, 12h, 30m ago, or a day: 2026-11-20, '2026-11-20 14:30'\n"
	"  --all         also failures before a login with names that are no user's\n"
	"  --json        for programs\n"
	"\n"
	"Users other than root see their own sessions.\n";

static const char sessions_usage[] =
	"usage: postern sessions [-c FILE] [--user NAME] [--json]\n"
	"       postern sessions [-c FILE] --end NAME\n"
	"\n"
	"  -c FILE       the configuration of posternd; " DEFAULT_CONFIG " if not given\n"
	"  --user NAME   sessions of that user only\n"
	"  --end NAME    end that user's session; its client is told, and nothing that it marked is deleted\n"
	"  --json        for programs\n";

static const char stats_usage[] =
	"usage: postern stats [-c FILE] [--since TIME] [--json]\n"
	"\n"
	"  -c FILE       the configuration of posternd; " DEFAULT_CONFIG " if not given\n"
	"  --since TIME  2w, 3d, 12h, 30m ago, or a day: 2026-11-20, '2026-11-20 14:30'; a day ago if not given\n"
	"  --json        for programs\n"
	"\n"
	"Users other than root see their own sessions.\n";

static const char help_usage[] =
	"usage: postern help            list the commands\n"
	"       postern help COMMAND    print its arguments, as postern COMMAND --help does\n";

static int help(int argc, char **argv);

static const struct command commands[] = {
	{ "check", "try out a POP3 server as a mail program does, and say what is wrong", check_usage, cli_check },
	{ "passwd", "add, change, check and list the users of a passwd file", passwd_usage, cli_passwd },
	{ "recover", "show and put back mail that an interrupted update left behind", recover_usage, cli_recover },
	{ "explain", "say what a failure was, by its reference, or what an answer means", explain_usage, cli_explain },
	{ "log", "list a user's sessions and failures, and judge what the mail programs do", log_usage, cli_log },
	{ "sessions", "list the sessions that are open now: who, from where, since when", sessions_usage, cli_sessions },
	{ "stats", "sum up what went on: sessions, mail, failures", stats_usage, cli_stats },
	{ "help", "print this list, or the arguments of a command", help_usage, help },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	cli_complain("there is no command \"%s\"; `postern help` lists them", name);
	return NULL;
}

void commands_list(FILE *out)
{
	(void)fputs("usage: postern COMMAND [ARGUMENTS]\n       postern -V\n\ncommands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].about);
	(void)fputs("\n`postern help COMMAND` prints the arguments of a command.\n", out);
}

int cli_help(const char *name)
{
	const struct command *command = command_find(name);
	if (command == NULL)
		return CLI_USAGE;
	(void)fputs(command->usage, stdout);
	return CLI_OK;
}

int cli_usage(const char *name)
{
	const struct command *command = command_find(name);
	if (command != NULL)
		(void)fputs(command->usage, stderr);
	return CLI_USAGE;
}

static int help(int argc, char **argv)
{
	if (argc > 2)
		return cli_usage("help");
	if (argc == 2)
		return cli_help(argv[1][0] == '-' ? "help" : argv[1]);
	commands_list(stdout);
	return CLI_OK;
}
