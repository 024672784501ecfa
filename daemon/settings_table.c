/*
 * settings_table.c - every setting there is: where it stands, what it may be, its default, its help.
 * Runs in: master. Trusts: nothing; this is our own text.
 *
 * The file's reader, its messages, postern.conf and the manual all follow from these rows.
 */
#include "daemon/settings_table.h"

#include <string.h>
#include <syslog.h>

enum { PRINT_COLUMNS = 90 };

static const struct choice policies[] = {
	{ "never", POLICY_NEVER }, { "loopback", POLICY_LOOPBACK }, { "always", POLICY_ALWAYS }, { NULL, 0 } };
static const struct choice tls_minimums[] = { { "1.2", TLS_1_2 }, { "1.3", TLS_1_3 }, { NULL, 0 } };
static const struct choice backends[] = { { "passwd-file", 0 }, { "pam", 0 }, { NULL, 0 } };
static const struct choice locks[] = {
	{ "fcntl", HOST_LOCK_FCNTL }, { "dotlock", HOST_LOCK_DOTLOCK }, { "flock", HOST_LOCK_FLOCK }, { NULL, 0 } };
static const struct choice utf8_requireds[] = { { "declared", UTF8_DECLARED }, { "any", UTF8_ANY }, { "none", UTF8_NONE }, { NULL, 0 } };
static const struct choice yes_no[] = { { "no", 0 }, { "yes", 1 }, { NULL, 0 } };
static const struct choice as_typed_lowercase[] = { { "as-typed", 0 }, { "lowercase", 1 }, { NULL, 0 } };
static const struct choice refuse_allow[] = { { "refuse", 0 }, { "allow", 1 }, { NULL, 0 } };
static const struct choice sandboxes[] = { { "required", SANDBOX_REQUIRED }, { "as-available", SANDBOX_AS_AVAILABLE }, { NULL, 0 } };
static const struct choice targets[] = {
	{ "auto", LOG_TARGET_AUTO }, { "stderr", LOG_TARGET_STDERR }, { "syslog", LOG_TARGET_SYSLOG },
	{ "journal", LOG_TARGET_JOURNAL }, { NULL, 0 } };
static const struct choice levels[] = {
	{ "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE }, { "info", LOG_INFO },
	{ "debug", LOG_DEBUG }, { NULL, 0 } };

/* Where the field is, and how large. */
#define FIELD(member) .offset = offsetof(struct settings, member), .size = sizeof(((struct settings *)0)->member)

const struct setting settings_table[] = {
	{ .section = "listen", .name = "pop3", .set = setting_listen, FIELD(pop3), .min = 110, .may_be_empty = true,
	  .value = "0.0.0.0:110 [::]:110",
	  .help = "Addresses for POP3 that starts in plain text (STLS switches to TLS), with spaces between them. "
	          "Empty is off." },
	{ .section = "listen", .name = "pop3s", .set = setting_listen, FIELD(pop3s), .min = 995, .may_be_empty = true,
	  .value = "0.0.0.0:995 [::]:995",
	  .help = "Addresses for POP3 over TLS from the start. Empty is off. The default is off, too, until certificate "
	          "and key are set." },

	{ .section = "listen", .name = "proxies", .set = setting_hosts, FIELD(proxies), .may_be_empty = true, .value = "",
	  .help = "Addresses of proxies that put a PROXY header before what a client says, such as haproxy with send-proxy. Limits, log and "
	          "passwords go by the client's address then. From these hosts every connection has to begin with such a header." },

	{ .section = "tls", .name = "certificate", .set = setting_paths, FIELD(certificate), .may_be_empty = true,
	  .value = "",
	  .help = "File with the certificate and the chain to its root, in PEM. Without one there is no TLS. Of several, with spaces between them, a "
	          "client gets the first that is for the host name that it asks for (SNI), else the first of all." },
	{ .section = "tls", .name = "key", .set = setting_paths, FIELD(key), .may_be_empty = true, .value = "",
	  .help = "File with the certificate's private key, in PEM; of several certificates one each, in the same order. No one but its owner and "
	          "group may read it." },
	{ .section = "tls", .name = "reread_seconds", .set = setting_number, FIELD(reread_seconds), .max = 604800, .value = "3600",
	  .help = "How often certificate and key are read again without a reload, so that a renewed certificate is served whoever renewed it. 0: at a reload only." },
	{ .section = "tls", .name = "minimum", .set = setting_choice, FIELD(tls_minimum), .choices = tls_minimums,
	  .value = "1.2",
	  .help = "The oldest TLS version that is spoken." },
	{ .section = "tls", .name = "plaintext_login", .set = setting_choice, FIELD(plaintext_login),
	  .choices = policies, .value = "loopback",
	  .help = "Whose passwords are taken without TLS. Loopback is this host: 127.0.0.0/8 and ::1." },

	{ .section = "auth", .name = "backends", .set = setting_backends, FIELD(backends), .choices = backends,
	  .value = "passwd-file pam",
	  .help = "Who knows the users, in the order to ask." },
	{ .section = "auth", .name = "passwd_file", .set = setting_path, FIELD(passwd_file),
	  .value = "/etc/postern/passwd",
	  .help = "The file of the passwd-file back end; `postern passwd` writes it." },
	{ .section = "auth", .name = "pam_service", .set = setting_word, FIELD(pam_service), .value = "postern",
	  .help = "The PAM service: the name of a file in /etc/pam.d." },
	{ .section = "auth", .name = "explain_failures", .set = setting_choice, FIELD(explain_failures),
	  .choices = policies, .value = "loopback",
	  .help = "Who is told whether the user or the password was wrong. Others read the same words for both; the "
	          "log always has the reason. A webmail on this host, whose users all come from loopback, belongs into gateways, which hear it with always only." },
	{ .section = "auth", .name = "user_names", .set = setting_choice, FIELD(user_names), .choices = as_typed_lowercase, .value = "as-typed",
	  .help = "How user names are compared. With lowercase Anna is anna, as Dovecot has it." },
	{ .section = "auth", .name = "local_domains", .set = setting_domains, FIELD(local_domains), .may_be_empty = true, .value = "",
	  .help = "Domains that a user name may end in, and is the same without, with spaces between them: with example.org "
	          "anna@example.org is anna. For users who give their address where a mail program asks for a name." },
	{ .section = "auth", .name = "minimum_uid", .set = setting_number, FIELD(minimum_uid), .min = 1,
	  .max = UINT32_MAX - 1, .value = "1000",
	  .help = "Users with a lower uid cannot log in." },
	{ .section = "auth", .name = "virtual_user", .set = setting_word, FIELD(virtual_user), .may_be_empty = true,
	  .value = "",
	  .help = "The system user who owns the mail of passwd-file users that have no uid of their own." },
	{ .section = "auth", .name = "login_help", .set = setting_sentence, FIELD(login_help), .may_be_empty = true, .value = "",
	  .help = "What everybody is told besides when user name or password is not accepted: where this host's users find "
	          "help, for example `mail passwords: https://example.org/mail`." },

	{ .section = "auth", .name = "hash_memory", .set = setting_number, FIELD(hash_memory), .max = 1048576, .value = "512",
	  .help = "MiB that the hashes of passwords (Argon2id, yescrypt) may use at the same time; who comes later waits. What PAM does for one login counts as 8, "
	          "and so does a hash that takes time and no memory (bcrypt, SHA-crypt). 0 is without a limit." },
	{ .section = "auth", .name = "login_cache", .set = setting_number, FIELD(login_cache), .max = 3600, .value = "600",
	  .help = "Seconds for which a password that was right for a record of the passwd file is not hashed again: a client that polls then pays "
	          "for one hash in that time. Kept in the master's memory, as a keyed hash; gone with a wrong password for the user or a change of "
	          "passwd_file. PAM is asked each time all the same. 0 is off." },

	{ .section = "maildrop", .name = "location", .set = setting_location, FIELD(location),
	  .value = "mbox:/var/mail/%u",
	  .help = "Where the mail is: maildir:PATH or mbox:PATH, with ~ for the user's home, %u for the user, %n for "
	          "the part before the @, %d for the part after it, %% for a percent sign. Several, with spaces between them, where some users "
	          "have the one and some the other (maildir:~/Maildir mbox:/var/mail/%u): the first where something is; else the last." },
	{ .section = "maildrop", .name = "mbox_locks", .set = setting_locks, FIELD(mbox_locks), .choices = locks,
	  .value = "fcntl dotlock",
	  .help = "The locks that this host's other mail programs use on an mbox, in the order to take them." },
	{ .section = "maildrop", .name = "lock_directory", .set = setting_path, FIELD(lock_directory),
	  .value = "/run/postern/lock",
	  .help = "Where sessions are locked against each other: a directory on this host that only root may write." },

	{ .section = "maildrop", .name = "journal_directory", .set = setting_path, FIELD(journal_directory),
	  .value = "/var/lib/postern/journal",
	  .help = "Where an mbox's rewrite is written down before it is done, so that a crash loses nothing: a directory on a "
	          "local disk that only root may write, with room for the largest mailbox." },
	{ .section = "maildrop", .name = "index_directory", .set = setting_path, FIELD(index_directory),
	  .value = "/var/lib/postern/index",
	  .help = "Where each maildrop's list of messages is kept, so that a login reads only what is new: a directory on a local disk "
	          "that only root may write. It may be emptied where unique_ids is own; else the numbers of the server before may be in it alone." },
	{ .section = "maildrop", .name = "on_locked", .set = setting_on_locked, FIELD(on_locked), .value = "refuse",
	  .help = "What becomes of a login while another session has the mailbox open: refuse (say who has it, and until when), "
	          "wait SECONDS (at most 300, at most eight of a user at a time) for it to become free, or take-over: end a session that has been silent for half a "
	          "minute, which then deletes nothing." },
	{ .section = "maildrop", .name = "network_mbox", .set = setting_choice, FIELD(network_mbox), .choices = yes_no,
	  .value = "no",
	  .help = "Serve an mbox on NFS, SMB and the like, too. What is promised of an mbox is not promised there; Maildir is "
	          "safe." },

	{ .section = "maildrop", .name = "unique_ids", .set = setting_unique_ids, FIELD(unique_ids), .value = "own",
	  .help = "After a move from another server: messages keep the unique-ids that it gave them, so that mail programs do not fetch them again. "
	          "dovecot, maybe with its pop3_uidl_format where that is not the default (dovecot %v.%u); ipop3d (UW's); courier, of Maildirs; or own. "
	          "Set it before the first login; messages that came later have postern's own." },
	{ .section = "maildrop", .name = "unique_id_changes", .set = setting_choice, FIELD(unique_id_changes), .choices = refuse_allow,
	  .value = "refuse",
	  .help = "What becomes of a login when most messages are there under other unique-ids than at the last one (a mailbox restored "
	          "under other names), so that mail programs would fetch all again: refuse, until it is put back or the user's index "
	          "file is removed, or allow." },
	{ .section = "maildrop", .name = "utf8_required", .set = setting_choice, FIELD(utf8_required), .choices = utf8_requireds,
	  .value = "none",
	  .help = "Which messages with UTF-8 in their header a client gets only if it said UTF8 (RFC 6856), which few mail programs "
	          "do: those that declare to have come by SMTPUTF8, any, or none." },

	{ .section = "workers", .name = "spare_min", .set = setting_number, FIELD(spare_min), .min = 1, .max = 10000,
	  .value = "4",
	  .help = "Workers that are kept waiting for the next connection, at least." },
	{ .section = "workers", .name = "spare_max", .set = setting_number, FIELD(spare_max), .min = 1, .max = 10000,
	  .value = "16",
	  .help = "Workers that are kept waiting for the next connection, at most." },
	{ .section = "workers", .name = "max", .set = setting_number, FIELD(max), .min = 1, .max = 10000,
	  .value = "1000",
	  .help = "Workers in all: the connections that are served at the same time." },
	{ .section = "workers", .name = "sessions", .set = setting_number, FIELD(sessions), .min = 1, .max = 10000,
	  .value = "1",
	  .help = "Connections that a worker serves, one after the other. With 1 each session has processes of its own, which saw nobody "
	          "else. With more, logins are several times as fast, and who breaks into a worker after a login can read all mail and "
	          "meets the passwords of those who come next. It needs backends = passwd-file, virtual_user, and a location with a "
	          "directory of its own; changing between 1 and more takes a restart." },

	{ .section = "limits", .name = "login_seconds", .set = setting_number, FIELD(login_seconds), .min = 1,
	  .max = 3600, .value = "120",
	  .help = "Seconds that a client has to log in." },
	/* RFC 1939 section 3: the timer MUST be of at least 10 minutes' duration. */
	{ .section = "limits", .name = "idle_minutes", .set = setting_number, FIELD(idle_minutes), .min = 10,
	  .max = 1440, .value = "10",
	  .help = "Minutes without a command after which a session ends, deleting nothing. RFC 1939 wants at least 10." },
	{ .section = "limits", .name = "per_source", .set = setting_number, FIELD(per_source), .min = 1, .max = 10000,
	  .value = "20",
	  .help = "Connections from one address at the same time." },
	{ .section = "limits", .name = "login_tries", .set = setting_number, FIELD(login_tries), .min = 1, .max = 100,
	  .value = "3",
	  .help = "Failed logins after which a connection is closed." },
	{ .section = "limits", .name = "gateways", .set = setting_sources, FIELD(gateways), .may_be_empty = true, .value = "",
	  .help = "Addresses that the users of a webmail or a proxy come from, such as `127.0.0.1 ::1`. There per_source does not hold, and wrong "
	          "passwords count for each user by himself." },
	{ .section = "limits", .name = "free_failures", .set = setting_number, FIELD(free_failures), .max = 1000, .value = "10",
	  .help = "Wrong passwords from one address (IPv6: /64; all of 127.0.0.0/8), or for one user, after which the next has to wait: a second, then "
	          "two, four, up to longest_wait. One is forgiven each minute. Who logged in from there before does not wait. 0 is off." },
	{ .section = "limits", .name = "longest_wait", .set = setting_number, FIELD(longest_wait), .min = 1, .max = 19, .value = "15",
	  .help = "Seconds between two passwords that are looked at from an address with many wrong ones." },
	{ .section = "limits", .name = "repeat_seconds", .set = setting_number, FIELD(repeat_seconds), .max = 86400, .value = "600",
	  .help = "Seconds for which a wrong password from the same address is refused again without asking the back ends, so that a phone "
	          "with an old password locks nobody out. A change of passwd_file or /etc/shadow ends it at once. 0 is off." },

	{ .section = "log", .name = "target", .set = setting_choice, FIELD(log_target), .choices = targets,
	  .value = "auto",
	  .help = "Where the log goes. auto is the journal under systemd, stderr in the foreground, else syslog." },
	{ .section = "log", .name = "level", .set = setting_choice, FIELD(log_level), .choices = levels,
	  .value = "info",
	  .help = "The least important lines that are logged." },
	{ .section = "log", .name = "history_directory", .set = setting_path, FIELD(history_directory),
	  .value = "/var/lib/postern/history",
	  .help = "Where failures and sessions are kept for `postern explain` and `postern log`." },
	{ .section = "log", .name = "history_socket", .set = setting_path, FIELD(history_socket),
	  .value = "/run/postern/history",
	  .help = "Where users of this host ask about their own sessions." },
	{ .section = "log", .name = "history", .set = setting_number, FIELD(history), .min = 16, .max = 1000000, .value = "16384",
	  .help = "How many failed guesses, other failures, and sessions are kept, of each so many; a kilobyte each. The oldest go." },

	{ .section = "system", .name = "gate_user", .set = setting_word, FIELD(gate_user), .value = "postern",
	  .help = "The system user whose rights the process has that talks to a client. It should own nothing." },
	{ .section = "system", .name = "sandbox", .set = setting_choice, FIELD(sandbox), .choices = sandboxes, .value = "required",
	  .help = "On a kernel without Landlock or seccomp filters postern does not serve, unless this is as-available: then "
	          "it confines its processes as far as it can, and says at each start what is missing." },
};
const size_t settings_table_count = sizeof settings_table / sizeof *settings_table;

_Static_assert(sizeof settings_table / sizeof *settings_table <= SETTINGS_MAX, "raise SETTINGS_MAX");
_Static_assert(sizeof(enum policy) == sizeof(unsigned) && sizeof(int) == sizeof(unsigned),
               "setting_choice() writes every enum, and log_level, as an unsigned");

const struct setting *setting_find(const char *section, const char *name)
{
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		if ((section == NULL || strcmp(row->section, section) == 0) && strcmp(row->name, name) == 0)
			return row;
	}
	return NULL;
}

void choices_add(struct buf *b, const struct choice *choices)
{
	for (const struct choice *c = choices; c->name != NULL; c++) {
		const char *between = c == choices ? "" : c[1].name == NULL ? " or " : ", ";
		(void)buf_printf(b, "%s%s", between, c->name);
	}
}

/* Text as comment lines of at most PRINT_COLUMNS. */
static void print_comment(FILE *out, const char *text)
{
	size_t column = 0;
	while (*text != '\0') {
		size_t word = strcspn(text, " ");
		if (column > 0 && column + 1 + word > PRINT_COLUMNS) {
			(void)fputc('\n', out);
			column = 0;
		}
		if (column == 0)
			column = (size_t)fprintf(out, "#");
		(void)fprintf(out, " %.*s", (int)word, text);
		column += 1 + word;
		text += word;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static void print_help(FILE *out, const struct setting *row)
{
	char storage[FINDING_MAX];
	struct buf b = BUF_OVER(storage);
	(void)buf_add_text(&b, row->help);
	if (row->choices != NULL) {
		(void)buf_add_text(&b, row->set == setting_choice ? " One of: " : " Any of: ");
		choices_add(&b, row->choices);
		(void)buf_add_text(&b, ".");
	} else if (row->max > 0) {
		(void)buf_printf(&b, " From %ju to %ju.", (uintmax_t)row->min, (uintmax_t)row->max);
	}
	print_comment(out, buf_text(&b));
}

void settings_print_defaults(FILE *out)
{
	const char *section = "";
	print_comment(out, "The configuration of posternd(8). Every setting is shown with its default; remove the # "
	                   "before it to change it.");
	print_comment(out, "A comment stands on a line of its own. `posternd -t` checks this file and names "
	                   "everything that is wrong in it.");
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		(void)fputc('\n', out);
		if (strcmp(section, row->section) != 0)
			(void)fprintf(out, "[%s]\n", row->section);
		section = row->section;
		print_help(out, row);
		(void)fprintf(out, "# %s =%s%s\n", row->name, *row->value == '\0' ? "" : " ", row->value);
	}
}
