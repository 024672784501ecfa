/*
 * check_link.h - one connection to the server: lines with limits and deadlines, in clear or over TLS.
 * Runs in: postern, as whoever called it. Trusts: nothing that comes in.
 */
#ifndef POSTERN_CLI_CHECK_LINK_H
#define POSTERN_CLI_CHECK_LINK_H

#include <openssl/ssl.h>

#include "cli/check.h"

enum {
	LINK_BUFFER = 16384,
	LINK_LINE_MAX = 4096,                /* what is kept of a line */
	STATUS_LINE_MAX = 64 * 1024,         /* an answer's line that is longer does not end */
	MESSAGE_LINE_MAX = 8 * 1024 * 1024,  /* the same of a message, longer than any that is fetched */
	FIRST_OCTETS = 8,
};

struct link {
	struct check *check;
	int fd;                         /* -1: closed */
	SSL *ssl;                       /* NULL: in clear */
	SSL_CTX *context;
	const struct address *address;
	unsigned port;
	char where[WHERE_MAX];
	size_t line_max;                /* STATUS_LINE_MAX, MESSAGE_LINE_MAX */
	bool is_private;                /* what comes is mail, and stays out of the transcript */
	char first[FIRST_OCTETS];       /* the first octets that came behind our ClientHello */
	size_t first_len;
	size_t start, end;
	char in[LINK_BUFFER];
};

/* A line, its end cut off. len counts the octets of the line as it came, even those that were not kept. */
struct line {
	char text[LINK_LINE_MAX];
	size_t kept, len;
	bool is_crlf;
};

enum got { GOT_LINE, GOT_END, GOT_TIMEOUT, GOT_LONG };

/* Connect. 0, or errno (ETIMEDOUT when the deadline passed). The link has to be closed in any case. */
int link_open(struct link *l, struct check *c, const struct address *a, unsigned port, long long deadline);
void link_close(struct link *l);

/* The next line; with GOT_END and GOT_TIMEOUT what came of it. Each goes into the transcript, if told. */
enum got link_line(struct link *l, long long deadline, struct line *line_r);

/* Has anything come, before the deadline? At the end of the connection, too. */
bool link_waiting(struct link *l, long long deadline);

/* The octets, whole. shown stands in the transcript instead, without the line end. 0 or -1. */
int link_send(struct link *l, const char *octets, size_t len, const char *shown, long long deadline);

/* Wait for the socket; poll(2)'s events. false at the deadline. */
bool link_poll(const struct link *l, short events, long long deadline);

/* ---- TLS (check_tls.c) ---- */

enum handshake { HANDSHAKE_DONE, HANDSHAKE_NO_TLS, HANDSHAKE_OLD, HANDSHAKE_TIMEOUT, HANDSHAKE_CLOSED, HANDSHAKE_FAILED };

/* TLS 1.2 or later on an open link. The certificate is judged by tls_certificate(). */
enum handshake tls_begin(struct link *l, long long deadline);

/* Judge the certificate and note the step. true when a mail program takes it. */
bool tls_certificate(struct link *l);

/* Why the last handshake failed, for people. */
const char *tls_problem(void);

#endif
