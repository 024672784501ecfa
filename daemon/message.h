/*
 * message.h - a message from its file to the client (RFC 1939: RETR and TOP).
 * Runs in: gate. Trusts: nothing in the message.
 */
#ifndef POSTERN_MESSAGE_H
#define POSTERN_MESSAGE_H

#include "daemon/conn.h"
#include "daemon/pop3.h"
#include "daemon/settings.h"

/* Where in a message TOP is: how much of it has passed. TOP_START(lines) before the first octet. */
struct top {
	uint64_t lines;     /* of the body, still to come */
	bool in_body;
	bool line_empty;    /* nothing but one CR in this line so far */
	bool line_cr;       /* and that CR came */
};
#define TOP_START(lines_) ((struct top){ .lines = (lines_), .in_body = false, .line_empty = true })

/* How many of these octets TOP lets through: all, or fewer when *done_r says that it is complete. */
size_t top_take(struct top *top, const char *octets, size_t len, bool *done_r);

/* The characters of its header: ASCII; others; others, and the message says itself that it came by SMTPUTF8 (RFC 6531). */
enum header_octets { HEADER_ASCII, HEADER_8BIT, HEADER_UTF8 };

/* Reads as far as a header is likely to go; a file that cannot be read is ASCII, and message_send() finds that out. */
enum header_octets message_header(const struct message_body *body);

/* May the message go to UTF8 clients only? (RFC 6856 section 2.1, and docs/design.md for what counts) */
bool message_needs_utf8(enum utf8_required required, const struct message_body *body);

/* Who is asked when somebody wrote to a file while a message was sent from it: does the message still lie there, as it was listed? */
struct message_witness {
	bool (*still_there)(void *context, const struct message_body *body);
	void *context;
};

/*
 * Answer with the message in *send (its descriptor is closed) and the final dot, behind what c->out holds. What goes out
 * last waits in c->out for the answers to come: whoever waits for the client must conn_flush().
 * *octets_r grows by the wire octets of the message. CONN_UNREADABLE without the final dot when the file
 * cannot be read, the message is not as long as was announced, or by the witness is no longer what was sent from: the client must see
 * that it is not whole.
 */
enum conn_result message_send(struct conn *c, struct pop3_send *send, const struct message_witness *witness, uint64_t *octets_r);

/* Wipe what these calls have left in memory. */
void message_forget(void);

#endif
