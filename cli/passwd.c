/*
 * passwd.c - postern passwd: its arguments.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#include "cli/passwd.h"

#include <getopt.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/hash.h"
#include "auth/passwd_records.h"
#include "base/number.h"
#include "cli/cli.h"
#include "daemon/settings.h"

static const char DEFAULT_FILE[] = "/etc/postern/passwd";

enum {
	OPTION_FILE = 1 << 0,
	OPTION_RECORD = 1 << 1,  /* --uid and the like */
	OPTION_COST = 1 << 2,
};

static const struct action {
	const char *name;
	bool has_user;
	unsigned options;
	int (*run)(const struct passwd_options *o);
	int on_error;  /* exit code for a wrong usage */
} actions[] = {
	{ "add",    true,  OPTION_FILE | OPTION_RECORD | OPTION_COST, passwd_add,    CLI_USAGE },
	{ "set",    true,  OPTION_FILE | OPTION_COST,                 passwd_set,    CLI_USAGE },
	{ "delete", true,  OPTION_FILE,                               passwd_delete, CLI_USAGE },
	{ "verify", true,  OPTION_FILE,                               passwd_verify, CLI_CANNOT_TELL },
	{ "list",   false, OPTION_FILE,                               passwd_list,   CLI_USAGE },
};

static const struct option long_options[] = {
	{ "file",    required_argument, NULL, 'f' },
	{ "config",  required_argument, NULL, 'c' },
	{ "uid",     required_argument, NULL, 'u' },
	{ "gid",     required_argument, NULL, 'g' },
	{ "home",    required_argument, NULL, 'd' },
	{ "comment", required_argument, NULL, 't' },
	{ "ops",     required_argument, NULL, 'o' },
	{ "mem",     required_argument, NULL, 'm' },
	{ "help",    no_argument,       NULL, 'h' },
	{ NULL,      no_argument,       NULL, 0 },
};

static int take_cost(const char *name, uint64_t max, uint64_t *value_r)
{
	if (parse_number(optarg, strlen(optarg), 1, max, value_r) == 0)
		return CLI_OK;
	cli_complain("%s wants a number from 1 to %u, not \"%s\"", name, (unsigned)max, optarg);
	return CLI_USAGE;
}

/* One option; *given_r collects the kinds. CLI_OK or CLI_USAGE. */
static int take_option(int option, struct passwd_options *o, unsigned *given_r)
{
	switch (option) {
	case 'f': o->file = optarg; return CLI_OK;
	case 'c': o->config = optarg; return CLI_OK;
	case 'u': o->uid = optarg; break;
	case 'g': o->gid = optarg; break;
	case 'd': o->home = optarg; break;
	case 't': o->comment = optarg; break;
	case 'o': *given_r |= OPTION_COST; return take_cost("--ops", HASH_OPS_MAX, &o->ops);
	case 'm': *given_r |= OPTION_COST; return take_cost("--mem", HASH_MEMORY_MIB_MAX, &o->memory_mib);
	default: return cli_usage("passwd");
	}
	*given_r |= OPTION_RECORD;
	return CLI_OK;
}

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

/* The operands behind the action: a user, or none. */
static int take_operands(const struct action *action, int argc, char **argv, struct passwd_options *o)
{
	int want = action->has_user ? 1 : 0;
	if (argc > want) {
		cli_complain("\"%s\" is an argument too many.%s", argv[want],
		             action->has_user ? " A password is never an argument: every user of the host could see it there"
		                                " (ps). It is asked for, or is a line of standard input." : "");
		return CLI_USAGE;
	}
	if (argc < want) {
		cli_complain("passwd %s wants a user name; `postern help passwd` prints the arguments", action->name);
		return CLI_USAGE;
	}
	o->user = action->has_user ? argv[0] : NULL;
	if (o->user == NULL || user_name_ok(o->user, strlen(o->user)))
		return CLI_OK;
	cli_complain("a user name has 1 to %d octets without / : and control characters, and does not begin with #", USER_NAME_MAX);
	return CLI_USAGE;
}

/* What the configuration says against it that somebody logs in by this file, or by this name. */
static void tell_notes(const struct passwd_options *o, const struct settings *settings, const char *config)
{
	char known[USER_NAME_MAX + 1];
	bool is_asked = false;
	for (size_t i = 0; i < AUTH_BACKENDS_MAX; i++)
		is_asked = is_asked || strcmp(settings->backends[i], "passwd-file") == 0;
	if (!is_asked)
		cli_complain("note: the server does not look into %s: backends in %s does not name passwd-file", o->file, config);
	if (o->user == NULL)
		return;
	if (cli_user_name(settings, o->user, known) == CLI_OK && strcmp(known, o->user) != 0)
		cli_complain("note: nobody can log in as %s: user_names and local_domains in %s make %s of it", o->user, config, known);
}

/* A new record that has no owner. */
static void tell_no_owner(const struct passwd_options *o, const struct settings *settings, const char *config)
{
	uint64_t uid = 0;
	if (o->uid[0] == '\0' && settings->virtual_user[0] == '\0' && getpwnam(o->user) == NULL)
		cli_complain("note: nobody can log in as %s yet: no account has that name, and virtual_user in %s is not set; give --uid and --gid, or set it", o->user, config);
	else if (o->uid[0] != '\0' && o->gid[0] == '\0' && parse_number(o->uid, strlen(o->uid), 1, UINT32_MAX - 1, &uid) == 0 && getpwuid((uid_t)uid) == NULL)
		cli_complain("note: nobody can log in as %s yet: no account has the uid %s; give --gid, too", o->user, o->uid);
}

/* The file that the server reads, where none is named: a user in another one could not log in. CLI_OK or CLI_CONFIG. */
static int take_file(const struct action *action, struct passwd_options *o)
{
	static struct settings settings; /* too large for the stack */
	if (o->file != NULL)
		return CLI_OK;
	o->file = DEFAULT_FILE;
	if (o->config == NULL && access(DEFAULT_CONFIG, R_OK) != 0)
		return CLI_OK;
	const char *config = o->config != NULL ? o->config : DEFAULT_CONFIG;
	if (cli_settings(config, &settings) != CLI_OK) {
		cli_complain("which passwd file the server reads is not known until then; name the file with -f to go on all the same");
		return CLI_CONFIG;
	}
	o->file = settings.passwd_file;
	tell_notes(o, &settings, config);
	if (action->options & OPTION_RECORD)
		tell_no_owner(o, &settings, config);
	return CLI_OK;
}

int cli_passwd(int argc, char **argv)
{
	struct passwd_options o = {
		.uid = "", .gid = "", .home = "", .comment = "",
		.ops = HASH_DEFAULT_OPS, .memory_mib = HASH_DEFAULT_MEMORY_MIB,
	};
	unsigned given = OPTION_FILE;
	int option, result = CLI_OK;

	while (result == CLI_OK && (option = getopt_long(argc, argv, "f:c:h", long_options, NULL)) != -1) {
		if (option == 'h')
			return cli_help("passwd");
		result = take_option(option, &o, &given);
	}
	const struct action *action = result == CLI_OK && optind < argc ? find_action(argv[optind]) : NULL;
	if (result == CLI_OK && action == NULL) {
		cli_complain(optind < argc ? "passwd has no action \"%s\"; `postern help passwd` prints the arguments"
		             : "passwd wants an action%s: add, set, delete, verify or list", optind < argc ? argv[optind] : "");
		return CLI_USAGE;
	}
	if (result == CLI_OK && (given & ~action->options) != 0) {
		cli_complain("passwd %s does not take %s", action->name,
		             (given & ~action->options & OPTION_COST) != 0 ? "--ops and --mem" : "--uid, --gid, --home and --comment");
		result = CLI_USAGE;
	}
	if (result == CLI_OK)
		result = take_operands(action, argc - optind - 1, argv + optind + 1, &o);
	if (result != CLI_OK)
		return action != NULL ? action->on_error : result;
	result = take_file(action, &o);
	if (result != CLI_OK)
		return action->on_error == CLI_CANNOT_TELL ? CLI_CANNOT_TELL : result;
	return action->run(&o);
}
