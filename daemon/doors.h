/*
 * doors.h - clients that came to the wrong door: how they are recognised, what they are told, what the log says.
 * Runs in: gate (recognises), keeper and recorder (count). Trusts: nothing that came in.
 */
#ifndef POSTERN_DOORS_H
#define POSTERN_DOORS_H

#include <stddef.h>

#include "daemon/replies.h"

enum door {
	DOOR_NONE,
	DOOR_TLS_ON_PLAIN,   /* a TLS hello on the plain port */
	DOOR_PLAIN_ON_TLS,   /* plain text, or nothing at all, on the TLS port */
	DOOR_HTTP, DOOR_SMTP, DOOR_IMAP,
	DOOR_PROXY,          /* a PROXY header (haproxy) */
	DOOR_OLD_TLS,        /* an old TLS version, or no cipher in common */
	DOOR_DISTRUST,       /* the client does not trust the certificate */
	DOOR_NO_TLS,         /* asked by CAPA how to log in, was offered nothing for want of TLS, and did neither STLS nor a login */
	DOOR_COUNT
};

struct door_row {
	const char *name;    /* for log fields */
	const char *seen;    /* what was seen, in words */
	const char *advice;  /* what the administrator may do */
	enum reply reply;    /* what the client is told in clear, or REPLY_NONE: it was told by a TLS alert, or told us */
};

const struct door_row *door_row(enum door door);

/* What a header of the PROXY protocol's version 2 begins with (haproxy's proxy-protocol.txt, section 2.2). */
enum { PROXY_2_SIGNATURE = 12 };
extern const char proxy_2_signature[PROXY_2_SIGNATURE];

/* The first octets of a connection in clear: TLS_ON_PLAIN, PROXY, or NONE. */
enum door door_of_octets(const char *octets, size_t len);

/* A line that is no POP3 command: HTTP, SMTP, IMAP, or NONE. */
enum door door_of_line(const char *line, size_t len);

#endif
