/*
 * rpc.h - what keeper and gate say to each other: fixed-size messages over a
 * SOCK_SEQPACKET pair, one row a verb.
 * Runs in: keeper and gate; master (HELLO). Trusts: nothing that the other half sends: whoever
 * receives checks size, phase, count, NUL and index again.
 */
#ifndef POSTERN_RPC_H
#define POSTERN_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/secret.h"
#include "base/why.h"
#include "base/ref.h"
#include "daemon/sign.h"

enum rpc_verb {
	RPC_HELLO = 1,  /* master -> gate, by the keeper's socket, once, with the connection */
	RPC_STOP,       /* keeper -> gate: end the session when nothing is being committed, and say why */
	RPC_KNOWN,      /* gate -> keeper: does the user exist? (only where explain_failures admits the peer) */
	RPC_AUTH,       /* gate -> keeper: answer, with the list of messages (base/list.h) when it is +OK */
	RPC_FETCH,      /* gate -> keeper: answer, with a descriptor or the message's octets when it is +OK */
	RPC_MARK,       /* gate -> keeper: a run of deletion marks; no answer */
	RPC_COMMIT,     /* gate -> keeper, once, at QUIT, with what RPC_BYE says; answer */
	RPC_REFER,      /* gate -> keeper: a reference for an answer that the gate itself gives; answer */
	RPC_ACTIVE,     /* gate -> keeper: the client gives a sign of life; at most one in ACTIVE_MS; no answer */
	RPC_BYE,        /* gate -> keeper, last: what the session did, for the log; no answer */
	RPC_SIGN,       /* gate -> keeper: a signature for the one TLS handshake; answer */
	RPC_READY,      /* gate -> keeper, after RPC_BYE where a worker is shared: the connection is closed, another may come; no answer */
	RPC_VERBS
};

enum {
	RPC_MARKS = 2048,     /* marks in one RPC_MARK */
	RPC_MORE_MOST = 15,   /* messages that one RPC_FETCH asks for ahead of the client */
	RPC_TEXT_MOST = 65536, /* octets of messages that one answer to it brings along */
	RPC_KNOWN_MOST = 64,  /* RPC_KNOWN in a session */
	RPC_REFER_MOST = 64,  /* RPC_REFER in a session */
	ACTIVE_MS = 5000,     /* so exactly is known when a client was last heard of */
	BYE_DETAIL_MAX = 96,
};

/* How a session ended, as the gate saw it. */
enum session_end {
	END_QUIT, END_PEER_CLOSED, END_PEER_ERROR, END_LOGIN_TIMEOUT, END_IDLE, END_STALLED, END_STOPPED, END_TLS_FAILED,
	END_TOO_MANY_BAD, END_TOO_MANY_LOGINS, END_WRONG_DOOR, END_TLS_PIPELINED, END_READ_ERROR, END_KEEPER_LOST, END_TAKEN_OVER,
	END_COMMAND_TIMEOUT, END_MADE_ROOM, END_ENDED,
	END_COUNT
};

struct rpc_hello {
	uint32_t verb;
	uint32_t tls;               /* TLS from the start */
	uint32_t lost_ref;          /* base/ref.h; for the one thing that the keeper cannot refer to: that it is gone */
	uint32_t reserved;
	struct sockaddr_storage peer;
};

struct rpc_stop {
	uint32_t verb;
	uint32_t reply;             /* enum reply: REPLY_STOPPING, REPLY_MADE_ROOM, REPLY_TAKEN_OVER or REPLY_ENDED */
	uint32_t ref;
	uint32_t reserved;
	char told[WHY_TOLD_MAX];    /* the row's text */
};

struct rpc_refer {
	uint32_t verb;
	uint32_t reply;             /* enum reply: the answer that is to be given */
	uint32_t tls;               /* for the log: 0 or the TLS protocol version on the connection */
	uint32_t reserved;
	uint64_t n[3];              /* its numbers */
	char user[USER_NAME_MAX + 8]; /* for the log, before the login: the name that was said last, or none; and no padding */
};

struct rpc_active {
	uint32_t verb;
};

struct rpc_ready {
	uint32_t verb;
};

struct rpc_user {               /* RPC_KNOWN */
	uint32_t verb;
	uint32_t tls;               /* for the log: 0 or the TLS protocol version on the connection */
	char user[USER_NAME_MAX + 4];   /* the name and no padding, whose octets would go over unset */
};

struct rpc_auth {
	uint32_t verb;
	uint32_t tls;               /* for the log: 0 or the TLS protocol version on the connection */
	char user[USER_NAME_MAX + 1];
	struct secret password;
};

struct rpc_fetch {
	uint32_t verb;
	uint32_t idx;
	uint32_t more;              /* so many behind it are asked for as well, with an answer each, none or a message; or see struct rpc_text */
	uint32_t reserved;
};

struct rpc_mark {
	uint32_t verb;
	uint32_t first;             /* idx of the first mark here */
	uint32_t count;
	uint8_t bits[RPC_MARKS / 8];
};

struct rpc_bye {
	uint32_t verb;
	uint32_t end;               /* enum session_end */
	uint32_t tls;               /* TLS protocol version, or 0 */
	uint32_t marked;            /* marks at the end; dropped unless they were committed */
	uint32_t in_clear;          /* logins refused because they came in clear, with a password on the wire */
	uint32_t door;              /* enum door, with END_WRONG_DOOR and END_TLS_FAILED */
	uint64_t fetched;           /* messages sent whole by RETR */
	uint64_t octets;            /* of message text, by RETR and TOP */
	char detail[BYE_DETAIL_MAX]; /* OpenSSL's or the network's words, when they ended it */
};

struct rpc_commit {
	uint32_t verb;
	uint32_t marked;            /* how many, as a check */
	struct rpc_bye bye;         /* the session's figures: no RPC_BYE follows, unless the answer is REPLY_TAKEN_OVER or REPLY_ENDED */
};

struct rpc_sign {
	uint32_t verb;
	struct sign_request request;
};

struct rpc_signature {          /* the answer to RPC_SIGN */
	uint32_t verb;
	struct sign_answer answer;
};

/* The answer to RPC_KNOWN, RPC_AUTH, RPC_FETCH, RPC_COMMIT and RPC_REFER. */
struct rpc_answer {
	uint32_t verb;
	uint32_t reply;             /* enum reply: what to tell the client; a +OK row is success */
	uint64_t n[3];              /* the row's numbers */
	uint64_t offset, length;    /* RPC_FETCH: where in the descriptor the message lies; RPC_AUTH: where the list does */
	uint64_t wire;              /* RPC_FETCH: struct message_body */
	uint64_t file_size, modified[2]; /* RPC_FETCH: the file as it was then, with seconds and nanoseconds */
	uint32_t count;             /* RPC_AUTH: messages in the list */
	uint32_t final;             /* no further login is possible in this session */
	uint32_t ref;               /* base/ref.h */
	uint32_t as_stored;         /* RPC_FETCH: struct message_body */
	char told[WHY_TOLD_MAX];    /* the row's text */
};

/*
 * An answer to RPC_FETCH that needs no descriptor, for what is small: the stored octets themselves, of the message that was
 * asked for and of those behind it that were and fit, one after the other. Nothing comes behind it. As long as its octets are.
 */
struct rpc_text {
	struct rpc_answer answer;   /* REPLY_MESSAGE */
	uint32_t count;
	uint32_t lengths[RPC_MORE_MOST + 1];
	uint32_t wire[RPC_MORE_MOST + 1];  /* of each, struct message_body */
	char octets[RPC_TEXT_MOST];
};

union rpc_message {
	uint32_t verb;
	struct rpc_hello hello;
	struct rpc_stop stop;
	struct rpc_user known;
	struct rpc_auth auth;
	struct rpc_fetch fetch;
	struct rpc_mark mark;
	struct rpc_commit commit;
	struct rpc_refer refer;
	struct rpc_active active;
	struct rpc_ready ready;
	struct rpc_bye bye;
	struct rpc_sign sign;
	struct rpc_signature signature;
	struct rpc_answer answer;
};

/* When a verb is legal. */
enum rpc_phase { RPC_LOGIN = 1, RPC_SESSION = 2, RPC_OVER = 4, RPC_BETWEEN = 8 /* two connections of a shared worker */ };

struct rpc_row {
	size_t size;        /* octets of the request */
	unsigned phases;    /* where a keeper takes it: a sum of enum rpc_phase, 0 for what gates never send */
	unsigned most;      /* how often in a session; 0 is no limit */
};

/* The row of a verb that came in, or NULL when there is no such verb. */
const struct rpc_row *rpc_row(uint32_t verb);

/*
 * Send one message of size octets, with a descriptor (borrowed) unless fd is -1.
 * 0, or -1 and errno (EPIPE: the other half is gone).
 */
int rpc_send(int socket, const void *message, size_t size, int fd);

/* The same from a datagram socket to an address, always with a descriptor: no connect(2), which a confined process may not. */
int rpc_send_to(int socket, const struct sockaddr_un *to, socklen_t to_len, const void *message, size_t size, int fd);

/* The same, always with a descriptor, to a process that may not read what it is sent: -1 and EAGAIN where it would have to be waited for. */
int rpc_send_now(int socket, const void *message, size_t size, int fd);

/*
 * Receive one message of at most size octets. Returns its octets, 0 at the end of file, -1 and errno.
 * *fd_r is the descriptor that came with it (taken by the caller) or -1; more than one is closed and EPROTO.
 */
ssize_t rpc_receive(int socket, void *message, size_t size, int *fd_r);

/*
 * One datagram of anybody's, without waiting, and whose it is: the ids that the kernel puts on it (the socket has SO_PASSCRED;
 * uid -1: none). flags: 0, or MSG_PEEK to leave it there. Returns the octets that it has, of which at most size are in
 * message; -1 and errno. Descriptors that came with it are never ours.
 */
ssize_t rpc_receive_from(int socket, void *message, size_t size, struct ucred *who_r, int flags);

#endif
