/*
 * pop3.h - the protocol: a line in, octets out, no input or output of its own.
 * Runs in: gate. Trusts: nothing in a line; what the callbacks return has been checked by the caller.
 *
 * msgno is 1..n, on the wire; idx is 0..n-1, inside.
 */
#ifndef POSTERN_POP3_H
#define POSTERN_POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/number.h"
#include "base/secret.h"
#include "daemon/doors.h"
#include "daemon/line.h"
#include "daemon/replies.h"
#include "daemon/rpc.h"
#include "storage/maildrop.h"

enum {
	POP3_OUT_MIN = 2 * REPLY_LINE_MAX,  /* room that pop3_line() and pop3_more() need in out */
	POP3_LISTING = 128 * 1024,          /* a listing goes out in pieces: the client reads one while the next is made, in the same memory */
	BAD_BEFORE_LOGIN = 3,               /* commands that POP3 does not know, before the connection is closed */
	BAD_AFTER_LOGIN = 20,
};

enum pop3_state { POP3_AUTHORIZATION, POP3_RESPONSE /* AUTH PLAIN's second line */, POP3_TRANSACTION, POP3_OVER };

/* What the caller does when pop3_line() or pop3_more() returns; octets in out are sent first in every case. */
enum pop3_next {
	POP3_NEXT_LINE,
	POP3_NEXT_MORE,       /* call pop3_more() */
	POP3_NEXT_SEND,       /* send the message in .send, then a line with a dot */
	POP3_NEXT_TLS,        /* throw away what else has come in; start TLS; call pop3_tls_started() */
	POP3_NEXT_CLOSE,      /* .end says why */
};

/* An answer from the other half. */
struct pop3_answer {
	enum reply reply;     /* a +OK row is success */
	struct reply_args args;
	char told[WHY_TOLD_MAX];
	bool final;           /* no further login will be taken */
};

/* The mailbox after a login: borrowed until the session ends. */
struct pop3_maildrop {
	struct list list;     /* with count of them, when there are any */
	size_t count;
	bool *marks;          /* count of them, all false */
};

/* A message to send. */
struct pop3_send {
	struct message_body body;  /* the descriptor is taken by whoever sends; the session is cut where RETR does not come to .wire octets */
	uint64_t lines;       /* TOP: lines of the body */
	bool top;
};

struct pop3;
struct pop3_host {
	/* RPC_AUTH: answer_r->reply is REPLY_LOGGED_IN and *drop_r filled, or a refusal. */
	void (*login)(void *context, const char *user, const struct secret *password,
	              struct pop3_maildrop *drop_r, struct pop3_answer *answer_r);
	/* RPC_KNOWN: REPLY_SEND_PASS, or REPLY_MAILBOX_UNKNOWN. Called only with .explain. */
	void (*known)(void *context, const char *user, struct pop3_answer *answer_r);
	/* RPC_FETCH: REPLY_MESSAGE and *body_r filled, or a refusal. */
	void (*fetch)(void *context, size_t idx, struct message_body *body_r, struct pop3_answer *answer_r);
	/* RPC_COMMIT: the answer to QUIT. The maildrop is released by it, whatever the answer. */
	void (*commit)(void *context, const struct pop3_maildrop *drop, size_t marked, struct pop3_answer *answer_r);
	/* RPC_REFER: a reference for an answer that nobody else was asked for, or REF_NONE. */
	uint32_t (*refer)(void *context, enum reply reply, const struct reply_args *args);
	void *context;
};

struct pop3 {
	/* Set by the caller before the first line. */
	const struct pop3_host *host;
	bool tls;               /* the connection is encrypted */
	bool tls_offered;       /* there is a certificate */
	bool plaintext_admitted;/* plaintext_login lets this peer log in without TLS */
	bool explain;           /* explain_failures admits this peer */
	bool *input_pending;    /* octets have come in behind this line */
	unsigned login_tries;
	/* The session. */
	const struct language *language;  /* LANG's choice (RFC 6856); NULL: English */
	bool utf8;              /* UTF8 was said */
	enum pop3_state state;
	enum session_end end;   /* why pop3 closes; the caller has its own reasons besides */
	enum door door;         /* with END_WRONG_DOOR; or DOOR_NO_TLS, whatever the end */
	bool login_over;        /* a refusal was final */
	bool blameless;         /* the last one was not about user name or password */
	bool user_given;        /* PASS may follow */
	char user[USER_NAME_MAX + 1]; /* that was said last, also where it was refused: the log names who is told what */
	unsigned bad, failed_logins;
	unsigned in_clear;      /* passwords that came in clear where that is not admitted */
	struct pop3_maildrop drop;
	size_t marked;          /* marks set */
	uint64_t total;         /* octets of all messages, marked or not */
	uint64_t marked_octets;
	struct listing listing; /* under way */
	struct pop3_send send;
};

/* The greeting. */
void pop3_greet(struct pop3 *p, struct buf *out);

/* How long a line may be in this state, with its line end. */
size_t pop3_line_max(const struct pop3 *p);

/* One line without its line end. out has room for POP3_OUT_MIN more octets. */
enum pop3_next pop3_line(struct pop3 *p, char *line, size_t len, struct buf *out);

/* A line longer than pop3_line_max(). */
enum pop3_next pop3_long_line(struct pop3 *p, struct buf *out);

/* The first octets of the connection show a wrong door: say so. */
enum pop3_next pop3_wrong_door(struct pop3 *p, enum door door, struct buf *out);

/* Append an answer, with a reference when its row takes one and args has none. args: NULL for none. */
void pop3_say(struct pop3 *p, enum reply reply, const struct reply_args *args, struct buf *out);

/* Go on with a listing: lines until out has POP3_LISTING octets, or is full. */
enum pop3_next pop3_more(struct pop3 *p, struct buf *out);

/* TLS is up: what came in clear is forgotten. */
void pop3_tls_started(struct pop3 *p);

#endif
