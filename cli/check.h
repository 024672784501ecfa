/*
 * check.h - what the parts of `postern check` share: what is asked for, and the steps that were done.
 * Runs in: postern, as whoever called it. Trusts: its caller; nothing that a server said.
 *
 * check.c: command line and flow. check_name.c: DNS, both address families. check_link.c: one connection; check_tls.c: TLS
 * on it. check_session.c: an attempt, up to the login. check_login.c, check_mail.c: what comes behind. check_verdict.c:
 * steps, and what follows from them. check_report.c, check_json.c: say it. check_texts.c, check_situations.c: tables.
 */
#ifndef POSTERN_CLI_CHECK_H
#define POSTERN_CLI_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/secret.h"
#include "cli/check_texts.h"

enum {
	PORT_POP3 = 110, PORT_POP3S = 995,
	HOST_NAME_MAX_OCTETS = 253,
	STEPS_MAX = 96, ATTEMPTS_MAX = 6, ADDRESSES_MAX = 8,
	WHERE_MAX = 120, SENT_MAX = 200, SEEN_MAX = 400, DETAIL_MAX = 600, CAPABILITIES_MAX = 2048,
	QUIET_MS = 300,   /* how long after the login something unasked is waited for */
	SNIFF_MS = 1000,  /* silence on a port in clear, before TLS is tried there */
	LAST_MS = 2000,   /* how long the end of the connection is waited for, behind QUIT */
	CERTIFICATE_DAYS = 14,
	/*
	 * The answer to the password may repeat it, so all secrets are masked there. Later a short one is more likely an
	 * ordinary word, and stars in its place would tell it.
	 */
	MASK_NONE = 1 << 20, MASK_ALL = 1, MASK_LONG = 8,
};

enum tls_mode { TLS_AUTO, TLS_IMPLICIT, TLS_STLS, TLS_NONE };

struct check_options {
	const char *host;
	const char *user;        /* NULL: nothing is checked from the login on */
	unsigned port;           /* 0: the standard ones */
	enum tls_mode tls;
	int family;              /* AF_UNSPEC, AF_INET, AF_INET6 */
	const char *ca_file;     /* NULL: the host's authorities */
	const char *transcript;  /* NULL: none */
	bool plaintext;          /* the password may be sent in clear, or to a server whose certificate is bad */
	bool other_name;         /* a second login, with the other form of the user name, may be tried */
	bool json;
	bool help;
	unsigned connect_ms, reply_ms, late_ms, total_ms;
};

/* Steps: what was done, sent and seen. */

enum outcome {
	OUTCOME_OK,
	OUTCOME_NOTE,     /* worth knowing */
	OUTCOME_WARNING,  /* may become a fault, or is one on a way that is not needed */
	OUTCOME_DEFECT,   /* wrong, and yet mail can be fetched */
	OUTCOME_FAULT,    /* no mail program gets past it */
};

struct step {
	const char *name;
	char where[WHERE_MAX];    /* "192.0.2.1 port 995, TLS" */
	char sent[SENT_MAX];      /* made printable, secrets masked */
	char seen[SEEN_MAX];      /* the same */
	char detail[DETAIL_MAX];  /* particulars, a sentence or "" */
	enum outcome outcome;
	struct meaning meaning;   /* nothing for OUTCOME_OK */
	int attempt;              /* -1: belongs to none */
	long long ms;
};

/* Attempts: one port with one kind of TLS, up to the login. */

enum reach { REACH_NOTHING, REACH_TCP, REACH_GREETING, REACH_POP3, REACH_TLS, REACH_READY };

struct attempt {
	unsigned port;
	enum tls_mode tls;
	bool asked;        /* the user named this port or kind of TLS */
	enum reach reach;  /* READY: all is there that a login needs */
};

/* What follows from the steps. */
struct conclusion {
	enum verdict verdict;
	enum certainty certainty;
	const struct step *step;  /* the one that decides; NULL when nothing is wrong */
	enum situation situation;
	const struct attempt *works;  /* ready to copy; NULL when none does */
	bool logged_in;
};

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
	char text[64];
};

struct check {
	struct check_options o;
	struct step steps[STEPS_MAX];
	size_t step_count;
	struct attempt attempts[ATTEMPTS_MAX];
	size_t attempt_count;
	int attempt;                         /* the one under way, or -1 */
	struct address addresses[ADDRESSES_MAX];
	size_t address_count;
	bool is_loopback;                    /* all of the addresses */
	char server[SERVER_NAME_MAX];        /* recognized software, or "" */
	char recognized_by[16];
	const char *user;                    /* the name that is used now */
	char name_storage[USER_NAME_MAX + 1 + HOST_NAME_MAX_OCTETS + 1];
	struct secret password;
	char response[4 * (2 * PASSWORD_MAX) / 3 + 8];  /* of AUTH PLAIN, in base64; a secret, too */
	size_t mask_from;                    /* secrets with so many octets are masked in what the server says; see MASK_ALL */
	bool logged_in;
	FILE *transcript;
	long long start, deadline;           /* absolute, now_ms() */
};

/* Begin a step; what it says is filled in, then step_end() gives the outcome. Never NULL. */
struct step *step_begin(struct check *c, const char *name, const char *where);
void step_sent(struct check *c, struct step *s, const char *octets, size_t len);
void step_seen(struct check *c, struct step *s, const char *octets, size_t len);
void step_detail(struct step *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void step_end(struct step *s, enum outcome outcome, enum situation situation);
void step_end_meaning(struct step *s, enum outcome outcome, const struct meaning *meaning);

/* Append what came from elsewhere: made printable, with secrets masked once they are on the wire. */
void show(const struct check *c, struct buf *out, const char *octets, size_t len);

/* A deadline ms from now, and never behind that of the whole check. */
long long check_deadline(const struct check *c, long long ms);

/* What is being waited for, to a terminal; with "" the line is cleared. */
void progress(const struct check *c, const char *what);

/* The parts; each notes its steps. 0, or -1 when there is no point in going on. */
int check_name(struct check *c);
int check_mail(struct check *c);

/* Draw the conclusion; steps that do not matter because another way works become warnings. */
void conclude(struct check *c, struct conclusion *r);

/* What the settings of attempt a are called in mail programs. */
const char *security_text(enum tls_mode tls);

void report_text(const struct check *c, const struct conclusion *r);
void report_json(const struct check *c, const struct conclusion *r);

/* Sides, certainty and next step of a step that is not OK; *certainty_r is a guess when the meanings differ. */
enum verdict step_verdict(const struct step *s, enum certainty *certainty_r);
const char *outcome_text(enum outcome outcome);

#endif
