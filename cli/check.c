/*
 * check.c - postern check: talks to a POP3 server as a mail program does, and says on whose side a fault lies.
 * Runs in: postern, as whoever called it. Trusts: its caller; nothing that a server said.
 */
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "cli/check_login.h"
#include "cli/cli.h"

enum {
	DEFAULT_CONNECT_S = 10, DEFAULT_REPLY_S = 30, DEFAULT_LATE_S = 10, DEFAULT_TOTAL_S = 180, SECONDS_MAX = 3600,
	PORT_MAX = 65535, TRANSCRIPT_MODE = 0600,
};

/* ---- the command line ---- */

static const struct option long_options[] = {
	{ "port",            required_argument, NULL, 'p' },
	{ "tls",             required_argument, NULL, 't' },
	{ "ca-file",         required_argument, NULL, 'a' },
	{ "plaintext",       no_argument,       NULL, 'c' },
	{ "try-other-name",  no_argument,       NULL, 'n' },
	{ "transcript",      required_argument, NULL, 'f' },
	{ "json",            no_argument,       NULL, 'j' },
	{ "connect-timeout", required_argument, NULL, 'C' },
	{ "timeout",         required_argument, NULL, 'R' },
	{ "late",            required_argument, NULL, 'L' },
	{ "total",           required_argument, NULL, 'T' },
	{ "help",            no_argument,       NULL, 'h' },
	{ NULL,              no_argument,       NULL, 0 },
};

static int take_port(const char *text, unsigned *port_r)
{
	uint64_t port = 0;
	if (parse_number(text, strlen(text), 1, PORT_MAX, &port) < 0) {
		cli_complain("a port is a number from 1 to %d, not \"%s\"", PORT_MAX, text);
		return CLI_USAGE;
	}
	*port_r = (unsigned)port;
	return CLI_OK;
}

static int take_seconds(unsigned *ms_r)
{
	uint64_t seconds = 0;
	if (parse_number(optarg, strlen(optarg), 1, SECONDS_MAX, &seconds) < 0) {
		cli_complain("a time is a number of seconds from 1 to %d, not \"%s\"", SECONDS_MAX, optarg);
		return CLI_USAGE;
	}
	*ms_r = (unsigned)seconds * 1000;
	return CLI_OK;
}

static int take_tls(enum tls_mode *mode_r)
{
	static const char *const names[] = { [TLS_AUTO] = "auto", [TLS_IMPLICIT] = "implicit", [TLS_STLS] = "stls", [TLS_NONE] = "none" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(optarg, names[i]) == 0) {
			*mode_r = (enum tls_mode)i;
			return CLI_OK;
		}
	cli_complain("--tls is auto, implicit, stls or none, not \"%s\"", optarg);
	return CLI_USAGE;
}

static int take_option(int option, struct check_options *o)
{
	switch (option) {
	case 'p': return take_port(optarg, &o->port);
	case 't': return take_tls(&o->tls);
	case '4': o->family = AF_INET; break;
	case '6': o->family = AF_INET6; break;
	case 'a': o->ca_file = optarg; break;
	case 'c': o->plaintext = true; break;
	case 'n': o->other_name = true; break;
	case 'f': o->transcript = optarg; break;
	case 'j': o->json = true; break;
	case 'C': return take_seconds(&o->connect_ms);
	case 'R': return take_seconds(&o->reply_ms);
	case 'L': return take_seconds(&o->late_ms);
	case 'T': return take_seconds(&o->total_ms);
	default: return cli_usage("check");
	}
	return CLI_OK;
}

/* An address without brackets has more than one colon, and no port. */
static int split_host(char *host, struct check_options *o)
{
	char *colon = strrchr(host, ':');
	if (*host == '[') {
		char *close = strchr(host, ']');
		if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
			cli_complain("\"%s\": an IPv6 address stands in brackets, such as [2001:db8::1]:995", host);
			return CLI_USAGE;
		}
		colon = close[1] == ':' ? close + 1 : NULL;
		*close = '\0';
		host++;
	} else if (colon != NULL && strchr(host, ':') != colon) {
		colon = NULL;
	}
	if (colon != NULL)
		*colon = '\0';
	o->host = host;
	if (*host == '\0' || strlen(host) > HOST_NAME_MAX_OCTETS || strpbrk(host, " /\\\"") != NULL || *host == '-') {
		cli_complain("\"%s\" is no name of a host", host);
		return CLI_USAGE;
	}
	return colon != NULL ? take_port(colon + 1, &o->port) : CLI_OK;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int take_target(char *target, struct check_options *o)
{
	char *at = strrchr(target, '@');  /* a full address is a user name, too */
	if (at != NULL) {
		*at = '\0';
		o->user = target;
		if (*target == '\0' || strlen(target) > USER_NAME_MAX || !is_printable(target)) {
			cli_complain("a user name has 1 to %d octets and no control characters", USER_NAME_MAX);
			return CLI_USAGE;
		}
	}
	if (!is_printable(at != NULL ? at + 1 : target)) {
		cli_complain("a host's name has no control characters");
		return CLI_USAGE;
	}
	return split_host(at != NULL ? at + 1 : target, o);
}

static int take_arguments(int argc, char **argv, struct check_options *o)
{
	int option, result = CLI_OK;
	while (result == CLI_OK && (option = getopt_long(argc, argv, "46h", long_options, NULL)) != -1) {
		if (option == 'h') {
			o->help = true;
			return CLI_OK;
		}
		result = take_option(option, o);
	}
	if (result != CLI_OK)
		return result;
	if (argc - optind > 1) {
		cli_complain("\"%s\" is an argument too many. A password is never an argument: every user of the host could see it there (ps). "
		             "It is asked for, or is a line of standard input.", argv[optind + 1]);
		return CLI_USAGE;
	}
	if (argc == optind) {
		cli_complain("check wants a host; `postern help check` prints the arguments");
		return CLI_USAGE;
	}
	return take_target(argv[optind], o);
}

/* ---- what the caller gave has to be usable ---- */

static int prepare(struct check *c)
{
	const struct check_options *o = &c->o;
	if (o->ca_file != NULL) {
		if (access(o->ca_file, R_OK) != 0) {
			cli_complain("cannot open %s: %s", o->ca_file, strerror(errno));
			return CLI_DATA;
		}
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		bool is_good = context != NULL && SSL_CTX_load_verify_locations(context, o->ca_file, NULL) == 1;
		SSL_CTX_free(context);
		if (!is_good) {
			cli_complain("%s cannot be used: it has to hold certificates in PEM", o->ca_file);
			return CLI_DATA;
		}
	}
	if (o->transcript != NULL) {
		int fd = open(o->transcript, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, TRANSCRIPT_MODE);
		c->transcript = fd >= 0 ? fdopen(fd, "w") : NULL;
		if (c->transcript == NULL) {
			cli_complain("cannot open %s: %s", o->transcript, strerror(errno));
			return CLI_CANNOT_CREATE;
		}
	}
	/* A server that closes early must not end this program. */
	(void)signal(SIGPIPE, SIG_IGN);
	c->start = now_ms();
	c->deadline = c->start + o->total_ms;
	if (server_recognize("host", o->host, strlen(o->host), c->server))
		(void)snprintf(c->recognized_by, sizeof c->recognized_by, "its name");
	return CLI_OK;
}

/* ---- the ways to the server ---- */

static struct session session;

static const struct attempt *try_way(struct check *c, unsigned port, enum tls_mode tls, bool asked)
{
	if (c->attempt_count == ATTEMPTS_MAX)
		return NULL;
	c->attempts[c->attempt_count] = (struct attempt){ .port = port, .tls = tls, .asked = asked };
	session_begin(&session, c, c->attempt_count, false);
	session_end(&session);
	return &c->attempts[c->attempt_count++];
}

/* Was the last attempt's fault that one? */
static bool failed_by(const struct check *c, enum situation situation)
{
	const struct step *last = c->step_count > 0 ? &c->steps[c->step_count - 1] : NULL;
	return last != NULL && last->outcome == OUTCOME_FAULT && last->meaning.situations[0] == situation;
}

/* The port that was asked for, and if TLS begins otherwise there, once more so. */
static bool try_port(struct check *c, unsigned port, enum tls_mode tls)
{
	size_t first = c->attempt_count;
	enum tls_mode mode = tls != TLS_AUTO ? tls : port == PORT_POP3S ? TLS_IMPLICIT : TLS_AUTO;
	const struct attempt *a = try_way(c, port, mode, true);
	if (mode != TLS_IMPLICIT && failed_by(c, SITUATION_TLS_ON_CLEAR))
		a = try_way(c, port, TLS_IMPLICIT, false);
	else if (mode == TLS_IMPLICIT && failed_by(c, SITUATION_CLEAR_ON_TLS))
		a = try_way(c, port, TLS_AUTO, false);
	else
		return a != NULL && a->reach >= REACH_TLS;
	/* Who does not say which kind of TLS has set nothing wrong. */
	if (a != NULL && a->reach > c->attempts[first].reach && tls == TLS_AUTO)
		c->attempts[first].asked = false;
	return a != NULL && a->reach >= REACH_TLS;
}

static void try_ways(struct check *c)
{
	const unsigned asked = c->o.port != 0 ? c->o.port : c->o.tls == TLS_AUTO ? 0 : c->o.tls == TLS_IMPLICIT ? PORT_POP3S : PORT_POP3;
	if (asked != 0 && try_port(c, asked, c->o.tls))
		return;
	if (asked != PORT_POP3S)
		(void)try_way(c, PORT_POP3S, TLS_IMPLICIT, false);
	if (asked != PORT_POP3)
		(void)try_way(c, PORT_POP3, TLS_AUTO, false);
}

/* ---- the login ---- */

static bool has_fault(const struct check *c)
{
	for (size_t i = 0; i < c->step_count; i++)
		if (c->steps[i].outcome == OUTCOME_FAULT && c->steps[i].attempt == c->attempt)
			return true;
	return false;
}

static void not_sent(struct check *c, const struct attempt *a)
{
	struct step *step = step_begin(c, "password", "");
	step_detail(step, "not sent: %s", a->tls == TLS_NONE ? "it would be readable; --plaintext permits that" :
	            "the server's certificate is bad; --plaintext permits that");
	const bool has_stls = c->o.tls == TLS_NONE && a->tls == TLS_NONE && session_can(&session, "STLS", NULL);
	step_end(step, has_fault(c) ? OUTCOME_NOTE : OUTCOME_FAULT, has_stls ? SITUATION_CLEAR_ASKED : SITUATION_CLEAR_ONLY);
}

static bool log_in(struct check *c, size_t attempt)
{
	session_begin(&session, c, attempt, true);
	bool is_in = login_may_send(c, &c->attempts[attempt]) && check_login(&session) == 0;
	if (is_in)
		check_maildrop(&session);
	session_end(&session);
	return is_in;
}

/* 0, or an exit code when there is no password. */
static int try_login(struct check *c)
{
	size_t best = 0;
	for (size_t i = 1; i < c->attempt_count; i++)
		if (c->attempts[i].reach > c->attempts[best].reach)
			best = i;
	const struct attempt *a = &c->attempts[best];
	if (c->attempt_count == 0 || a->reach < REACH_POP3)
		return CLI_OK;
	c->attempt = (int)best;
	if (!login_may_send(c, a)) {
		not_sent(c, a);
		return CLI_OK;
	}
	progress(c, "");
	int result = cli_read_password(c->user, 0, &c->password);
	if (result != CLI_OK)
		return result;
	if (!log_in(c, best) && login_was_refused(c) && login_other_name(c, c->name_storage, sizeof c->name_storage)) {
		size_t refused = c->step_count - 1;
		if (c->o.other_name) {
			c->user = c->name_storage;
			if (log_in(c, best))
				c->steps[refused].outcome = OUTCOME_WARNING;
		}
		step_detail(&c->steps[refused], "%s the user name %s", c->steps[refused].outcome == OUTCOME_WARNING ? "works:" :
		            c->o.other_name ? "tried, too:" : "worth a try:", c->name_storage);
	}
	return CLI_OK;
}

/* ---- all of it ---- */

int cli_check(int argc, char **argv)
{
	static struct check c = {
		.o = { .family = AF_UNSPEC, .connect_ms = DEFAULT_CONNECT_S * 1000, .reply_ms = DEFAULT_REPLY_S * 1000,
		       .late_ms = DEFAULT_LATE_S * 1000, .total_ms = DEFAULT_TOTAL_S * 1000 },
		.attempt = -1, .mask_from = MASK_NONE,
	};
	struct conclusion conclusion;
	int result = take_arguments(argc, argv, &c.o);
	if (c.o.help)
		return cli_help("check");
	if (result == CLI_OK)
		result = prepare(&c);
	if (result != CLI_OK)
		return result;
	c.user = c.o.user;
	if (check_name(&c) == 0) {
		try_ways(&c);
		result = c.user != NULL ? try_login(&c) : CLI_OK;
	}
	secret_wipe(&c.password);
	explicit_bzero(c.response, sizeof c.response);
	if (result != CLI_OK)
		return result;
	conclude(&c, &conclusion);
	(c.o.json ? report_json : report_text)(&c, &conclusion);
	if (c.transcript != NULL && fclose(c.transcript) != 0) {
		cli_complain("cannot write %s: %s", c.o.transcript, strerror(errno));
		return CLI_IO;
	}
	return (int)conclusion.verdict;
}
