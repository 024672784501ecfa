/*
 * doors.c - clients that came to the wrong door.
 * Runs in: gate (recognises), keeper and recorder (count). Trusts: nothing that came in.
 */
#include "daemon/doors.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

const char proxy_2_signature[PROXY_2_SIGNATURE] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

static const struct door_row rows[DOOR_COUNT] = {
	[DOOR_NONE] = { "none", "", "", REPLY_NONE },
	[DOOR_TLS_ON_PLAIN] = { "tls-on-plain", "a TLS client on the plain port",
		"its settings should say port 995 for SSL/TLS, or STARTTLS for this port", REPLY_TLS_ON_PLAIN },
	[DOOR_PLAIN_ON_TLS] = { "plain-on-tls", "no TLS on the TLS port",
		"its settings should say SSL/TLS for this port, or port 110 with STARTTLS", REPLY_PLAIN_ON_TLS },
	[DOOR_HTTP] = { "http", "a web request", "a browser, a scanner, or an attack through a browser", REPLY_HTTP },
	[DOOR_SMTP] = { "smtp", "SMTP commands", "a program that wants to send mail: its settings name this port for outgoing mail", REPLY_SMTP },
	[DOOR_IMAP] = { "imap", "IMAP commands", "a mail program set up for IMAP: its settings name a POP3 port", REPLY_IMAP },
	[DOOR_PROXY] = { "proxy", "a PROXY header", "a load balancer that is set to send one; name its address in [listen] proxies, or switch that off there", REPLY_PROXY },
	[DOOR_OLD_TLS] = { "old-tls", "TLS in an old version only, or no cipher in common",
		"the program or its system is too old for [tls] minimum", REPLY_NONE },
	[DOOR_DISTRUST] = { "distrust", "a client that does not trust the certificate",
		"is the certificate expired, self-signed, without its chain, or for another name?", REPLY_NONE },
	[DOOR_NO_TLS] = { "no-tls", "a client that was offered no login, as it has no TLS; its user reads of a missing way to log in, or of a wrong password",
		"its settings should say SSL/TLS with port 995, or STARTTLS; [tls] plaintext_login is what admits others", REPLY_NONE },
};

/* RFC 8446 section 5.1: a handshake record, its version 3.x; then the length, and ClientHello. */
static const char tls_hello[] = "\x16\x03", proxy_1[] = "PROXY ";

/* Words that begin a request to a web server: whoever sends them means no POP3, and may not mean well (ALPACA). */
static const char *const http[] = { "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI", NULL };
static const char *const smtp[] = { "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", NULL };
static const char *const imap[] = { "CAPABILITY", "LOGIN", "AUTHENTICATE", "STARTTLS", "ID", "LOGOUT", "NOOP", "SELECT", NULL };

const struct door_row *door_row(enum door door)
{
	return &rows[door];
}

static bool begins(const char *octets, size_t len, const char *with, size_t with_len)
{
	return len >= with_len && memcmp(octets, with, with_len) == 0;
}

enum door door_of_octets(const char *octets, size_t len)
{
	if (begins(octets, len, tls_hello, sizeof tls_hello - 1))
		return DOOR_TLS_ON_PLAIN;
	if (begins(octets, len, proxy_1, sizeof proxy_1 - 1) || begins(octets, len, proxy_2_signature, sizeof proxy_2_signature))
		return DOOR_PROXY;
	return DOOR_NONE;
}

static bool is_one_of(const char *text, size_t len, const char *const *words)
{
	for (; *words != NULL; words++)
		if (is_keyword(text, len, *words))
			return true;
	return false;
}

enum door door_of_line(const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	size_t first = space != NULL ? (size_t)(space - line) : len;
	if (is_one_of(line, first, http))
		return DOOR_HTTP;
	if (is_one_of(line, first, smtp))
		return DOOR_SMTP;
	if (space == NULL || first == 0)
		return DOOR_NONE;
	/* IMAP: a tag of the client's own, then the command. */
	const char *second = space + 1;
	const size_t left = len - first - 1;
	const char *end = memchr(second, ' ', left);
	return is_one_of(second, end != NULL ? (size_t)(end - second) : left, imap) ? DOOR_IMAP : DOOR_NONE;
}
