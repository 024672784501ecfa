/*
 * settings.h - the configuration: one table of settings, one pointer-free struct.
 * Runs in: master (reads it), all others (as the master read it). Trusts: the file's owner.
 */
#ifndef POSTERN_SETTINGS_H
#define POSTERN_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "auth/auth.h"
#include "storage/maildrop.h"

enum {
	LISTEN_MAX = 16,            /* addresses for each kind */
	SETTING_TEXT_MAX = 256,
	CERTIFICATES_MAX = 32,
	GATEWAYS_MAX = 16,
	PROXIES_MAX = 16,
	ADDRESS_HOST = 16,          /* octets of an IPv6 address, or of an IPv4 address as it is mapped into these */
};

/* A policy that may make an exception for peers on 127.0.0.0/8 and ::1. */
enum policy { POLICY_NEVER, POLICY_LOOPBACK, POLICY_ALWAYS };

enum log_target { LOG_TARGET_AUTO, LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL };

enum tls_minimum { TLS_1_2, TLS_1_3 };

/* Which messages need the UTF8 command (RFC 6856) before they are sent. */
enum utf8_required { UTF8_DECLARED, UTF8_ANY, UTF8_NONE };

/* What becomes of a login to a maildrop that another session has open. */
enum on_locked { ON_LOCKED_REFUSE, ON_LOCKED_WAIT, ON_LOCKED_TAKE_OVER };

enum { ON_LOCKED_WAIT_MAX = 300 };

/* What becomes of a process that the kernel cannot confine. */
enum sandbox_policy { SANDBOX_REQUIRED, SANDBOX_AS_AVAILABLE };

struct listen_address {
	socklen_t len;
	struct sockaddr_storage address;
};

struct listen_list {
	size_t count;
	struct listen_address list[LISTEN_MAX];
};

/* Where many users come from (address_source()). */
struct source_list {
	size_t count;
	uint64_t list[GATEWAYS_MAX];
};

/* Hosts (address_host()). */
struct host_list {
	size_t count;
	unsigned char list[PROXIES_MAX][ADDRESS_HOST];
};

struct settings {
	/* [listen] */
	struct listen_list pop3, pop3s;
	struct host_list proxies;
	/* [tls] */
	char certificate[PATH_MAX], key[PATH_MAX]; /* the first path, and behind its NUL perhaps others: settings_path_at() */
	uint64_t reread_seconds;
	enum tls_minimum tls_minimum;
	enum policy plaintext_login;
	/* [auth] */
	char backends[AUTH_BACKENDS_MAX][16];  /* "" behind the last */
	char passwd_file[PATH_MAX];
	char pam_service[64];
	enum policy explain_failures;
	int user_names;             /* 0: as typed, 1: lowercase */
	char local_domains[512];    /* with spaces between them */
	uint64_t minimum_uid;
	char virtual_user[64];
	char login_help[WHY_TOLD_MAX];
	uint64_t hash_memory;       /* MiB */
	uint64_t login_cache;       /* seconds */
	/* [maildrop] */
	char location[SETTING_TEXT_MAX];
	enum host_lock mbox_locks[HOST_LOCKS_MAX];
	size_t mbox_lock_count;
	char lock_directory[PATH_MAX];
	char journal_directory[PATH_MAX], index_directory[PATH_MAX];
	int network_mbox;           /* 0 or 1 */
	struct told_ids unique_ids;
	int unique_id_changes;      /* 0: refuse, 1: allow */
	enum utf8_required utf8_required;
	struct { enum on_locked what; unsigned wait_seconds; } on_locked;
	/* [workers] */
	uint64_t spare_min, spare_max, max;
	uint64_t sessions;          /* connections that a worker serves, one after the other; above 1: shared.h */
	struct { uid_t uid; gid_t gid; } owner;  /* with sessions above 1: virtual_user, looked up by shared_find_owner() */
	/* [limits] */
	uint64_t login_seconds, idle_minutes, per_source, login_tries, free_failures, longest_wait, repeat_seconds;
	struct source_list gateways;
	/* [log] */
	enum log_target log_target;
	int log_level;              /* LOG_ERR .. LOG_DEBUG, as in syslog(3) */
	char history_directory[PATH_MAX], history_socket[PATH_MAX];
	uint64_t history;           /* records of each kind */
	/* [system] */
	char gate_user[64];         /* whose rights a gate has; "postern" */
	enum sandbox_policy sandbox;
};

/* The n-th of several paths, from 0 on; NULL: there are not so many. */
static inline const char *settings_path_at(const char *paths, size_t n)
{
	while (n-- > 0 && *paths != '\0')
		paths += strlen(paths) + 1;
	return *paths != '\0' ? paths : NULL;
}

/* Called once for each finding: line is 0 when the finding belongs to no line. text names what to write instead. */
typedef void settings_finding(void *context, const char *file, unsigned line, const char *text);

/*
 * Read the file into *settings_r, defaults first. All findings are reported in one run.
 * Returns the number of findings: 0 means *settings_r may be used.
 */
size_t settings_read(const char *file, struct settings *settings_r, settings_finding *finding, void *context);

/*
 * What a look at the host tells, beyond the text: certificate and key readable and a pair, back ends' own checks,
 * users that exist, directories. pam_helper as in auth.h. For posternd -t and at start. Returns the number of findings.
 */
size_t settings_check_host(const char *file, const struct settings *settings, const char *pam_helper,
                           settings_finding *finding, void *context);

/* The table as text for the manual and postern.conf: "[section]", then "# help", "# name = default". */
void settings_print_defaults(FILE *out);

/* Do the users of a webmail, or of a proxy, come from there (gateways)? */
bool settings_gateway(const struct settings *settings, uint64_t source);

/*
 * Is this peer told whether the user or the password was wrong (explain_failures)? Behind a gateway is anybody: what it may hear as this host's
 * loopback it would show to strangers.
 */
bool settings_explain(const struct settings *settings, const struct sockaddr_storage *peer);

/* Is that a proxy which puts a PROXY header before what its clients say (proxies)? The port does not count. */
bool settings_proxy(const struct settings *settings, const struct sockaddr_storage *peer);

/* The part that auth/ asks for; points into *settings, which must outlive it. */
void settings_for_auth(const struct settings *settings, const char *pam_helper, struct auth_settings *auth_r);

/* Is a lock file one of the locks on an mbox? */
bool settings_take_dotlocks(const struct settings *settings);

/* Without TLS, is a port open to hosts whose users may not log in without it? Then settings_lacking_tls says so. */
bool settings_lack_tls(const struct settings *settings);
extern const char settings_lacking_tls[];

/* Is that peer on this host's loopback (IPv4-mapped addresses too)? */
bool address_is_loopback(const struct sockaddr_storage *address);

/* The host alone, without its port, and an IPv4 address the same whether it came as such or mapped. */
void address_host(const struct sockaddr_storage *address, unsigned char host_r[ADDRESS_HOST]);

/* Addresses that count as one source: an IPv4 address, or an IPv6 /64. */
uint64_t address_source(const struct sockaddr_storage *address);

/* The same for who guesses passwords: every user of this host has all of 127.0.0.0/8, so that is one. source: address_source(). */
uint64_t address_guesser(uint64_t source);

/* Does the policy admit that peer? */
bool policy_admits(enum policy policy, const struct sockaddr_storage *peer);

/* The address as text without the port ("203.0.113.7", "2001:db8::1"; IPv4-mapped as IPv4), for logs and PAM_RHOST. */
const char *address_text(const struct sockaddr_storage *address, char *text, size_t size);

#endif
