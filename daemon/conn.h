/*
 * conn.h - the connection to the client, plain or TLS, with deadlines; watches the keeper meanwhile.
 * Runs in: gate. Trusts: nothing that comes in.
 */
#ifndef POSTERN_CONN_H
#define POSTERN_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "daemon/doors.h"
#include "daemon/line.h"
#include "daemon/rpc.h"

enum {
	CONN_OUT = 384 * 1024,        /* answers are gathered up to this before they are sent; a third of it is used by most */
	WRITE_STALL_SECONDS = 120,    /* a client that takes nothing for so long is gone */
	STOP_GRACE_MS = 5000,         /* so long may an answer still take once the server stops, or the keeper is gone; none to a stranger who makes room */
	DOOR_WAIT_MS = 15000,         /* a TLS client speaks first; who says nothing for so long waits for a greeting in clear */
	REST_MS = 500,                /* of silence, then what only the last answer needed goes back to the kernel */
	LINGER_MS = 2000,             /* how long a client may take to read our last words */
	LINGER_OCTETS = 4 * 1024 * 1024, /* and how much of what it sends meanwhile is thrown away */
};

enum conn_result {
	CONN_OK,
	CONN_CLOSED,      /* the client closed, or half-closed */
	CONN_BROKEN,      /* the network or TLS gave up; see .problem */
	CONN_TIMEOUT,     /* the deadline passed */
	CONN_STALLED,     /* the client takes nothing */
	CONN_STOPPED,     /* the server stops */
	CONN_KEEPER_LOST, /* the other half is gone */
	CONN_UNREADABLE,  /* not the connection: the message cannot be read to its end; see .problem */
};

struct conn {
	int fd;                 /* non-blocking; owned */
	int keeper;             /* the RPC socket; borrowed */
	SSL *ssl;               /* NULL in clear; owned */
	long long deadline;     /* for input, on now_ms()'s clock; before a login for output, too, with LINGER_MS more */
	bool session;           /* somebody is logged in: the keeper wants to know when the client was last heard of; output has its own time */
	long long active_due;   /* when RPC_ACTIVE may be sent again */
	bool stopping;          /* RPC_STOP came: */
	struct rpc_stop stop;   /* and this is it */
	bool keeper_lost;
	bool keeper_done;       /* it has heard all, and waits for our end: there is nothing to say to it, and its end is a loss all the same */
	long long stop_deadline; /* set with .stopping or .keeper_lost */
	bool rested;            /* the client is silent, and memory was given back */
	const char *problem;    /* why CONN_BROKEN, or why no handshake; for the log */
	bool no_signature;      /* the keeper had no signature for the handshake */
	enum door door;         /* and the wrong door that it shows, if any */
	int send_flags;         /* of the send(2) that is under way: 0 or MSG_MORE */
	struct line_reader in;
	struct buf out;
	char out_storage[CONN_OUT];
};

/* Read what there is into c->in, waiting until c->deadline. CONN_OK: at least one octet more. */
enum conn_result conn_read(struct conn *c);

/* Send what is gathered in c->out, all of it. */
enum conn_result conn_flush(struct conn *c);

/*
 * The same where more follows at once, and the kernel may wait for it to fill a segment: what would make a TLS record that is
 * not full stays in c->out (less than 16 KiB).
 */
enum conn_result conn_push(struct conn *c);

/*
 * In clear only: send what is gathered, then the file's octets, without a copy of them. CONN_UNREADABLE when the file
 * ends before them, or cannot be read.
 */
enum conn_result conn_send_file(struct conn *c, int fd, uint64_t offset, uint64_t len);

/* Is there TLS? Looks at the first octets without taking them. CONN_OK and c->door is DOOR_PLAIN_ON_TLS, DOOR_PROXY or DOOR_NONE. */
enum conn_result conn_look_for_tls(struct conn *c);

/* The server's side of a TLS handshake, within c->deadline. c->ssl is set even when it fails. */
enum conn_result conn_start_tls(struct conn *c, SSL_CTX *context);

/* What OpenSSL reads from and writes to for a connection, made at the first call; NULL: no memory. conn_bio.c, as the next. */
const BIO_METHOD *conn_bio_method(void);

/* Give c->ssl the connection. False: no memory. */
bool conn_use_bio(struct conn *c);

/* The keeper's signature for the handshake (context: the conn); a remote_signer of remote_key.h. */
bool conn_sign(void *context, const struct sign_request *request, struct sign_answer *answer_r);

/* Take note of an RPC_STOP. */
void conn_take_stop(struct conn *c, const struct rpc_stop *stop);

/*
 * Say goodbye to TLS and close. linger: give the client time to read our last words even though it may still
 * be sending (a close with unread input would throw them away).
 */
void conn_close(struct conn *c, bool linger);

#endif
