/*
 * contract.h - what the master says to keepers, to the nursery and to the signer, and they to the master:
 * fixed-size messages over SOCK_SEQPACKET pairs (rpc_send(), rpc_receive()).
 * Runs in: master, keeper, nursery, signer. Trusts: the master is trusted; nursery and signer are not by the master,
 * beyond what a worker that dies could do too; a keeper is, until its login.
 */
#ifndef POSTERN_CONTRACT_H
#define POSTERN_CONTRACT_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "daemon/proven.h"
#include "daemon/settings.h"
#include "daemon/sign.h"

enum {
	/*
	 * Where the nursery's program, and the signer's, finds its descriptors after exec. The signer's channel is the one
	 * on which keepers ask, too (struct sign_request, with a socket for the answer).
	 */
	NURSERY_CHANNEL_FD = 3,
	NURSERY_ORDERS_FD = 4,    /* a memfd with struct nursery_orders */
	NURSERY_TEXT_MAX = 512,
};

/*
 * Master to keeper. The channel's end of file means: the master is gone, or this worker is not needed. JOB_SERVE wakes nobody: it is
 * read when the gate, which has the connection from the master (RPC_HELLO), first has something to ask. Behind JOB_STOP and
 * JOB_MAKE_ROOM the master says nothing more, and shuts its side down, which wakes. The last four answer a keeper's
 * KEEPER_ATTEMPT or KEEPER_ROOM.
 */
enum job_verb { JOB_SERVE = 1, JOB_STOP, JOB_MAKE_ROOM, JOB_VERIFY, JOB_REPEATED, JOB_REFUSED, JOB_ROOM };

/* Sessions of one account at the same time, those counted that wait for its mailbox (on_locked): whatever a user does, others have workers. */
enum { ACCOUNT_SESSIONS = 8 };

/* JOB_VERIFY: what ACCOUNT_SESSIONS says of the account, should the password be right. */
enum job_crowd {
	CROWD_NONE,
	CROWD_WAITS,              /* with those whose password is not known for right yet it has as many: nobody more is to wait for its mailbox */
	CROWD_FULL,               /* it has as many sessions, or logins that wait for one */
};

struct job {
	uint32_t verb;
	uint32_t quiet;           /* enough such lines were logged this second: JOB_SERVE: an end without a login, others: a failed login */
	uint32_t seconds;         /* JOB_REFUSED: when it is worth while to try again */
	uint32_t reason, owner;   /* JOB_REPEATED: what became of that password before: enum reason, and whose mailbox it was about */
	uint32_t crowd;           /* JOB_VERIFY: enum job_crowd */
	int64_t begun;            /* JOB_SERVE: when the connection came, now_ms() */
	struct sockaddr_storage peer;
	uint64_t proven;          /* JOB_VERIFY: the record that this password was right for a short while ago (login_cache), 0: none */
};

/* Keeper to master, before its login, and when a shared worker has served a connection. No octet of a client is in them. */
enum keeper_verb {
	KEEPER_ATTEMPT = 1,       /* may this password be verified? Answered, sooner or later */
	KEEPER_ROOM,              /* may so much memory be used for it? Answered, sooner or later */
	KEEPER_FAILED,            /* it was wrong */
	KEEPER_MOOT,              /* it was not found out whether it is right, or it is and yet there is no login */
	KEEPER_PROVEN,            /* it was right: what comes is a session. Not said where that is what JOB_VERIFY's .proven says */
	KEEPER_FREE,              /* the connection is closed and forgotten, another may come; only where workers are shared */
	KEEPER_VERBS,
};

struct keeper_word {
	uint32_t verb;
	uint32_t mebibytes;       /* KEEPER_ROOM */
	uint32_t reason, owner;   /* KEEPER_FAILED: to be remembered for the same password, reason 0: not to be */
	uint64_t record;          /* KEEPER_PROVEN: which record it was right for, 0: not to be remembered (struct identity) */
	struct proven_hash hash;  /* KEEPER_ATTEMPT: keyed; of the account's name, and of name, password and what the password files look like */
};

/* What nursery and signer are started with; they look up no user themselves. */
struct nursery_orders {
	uid_t uid;                /* the gate's user, when started as root */
	gid_t gid;
	bool background;          /* as in struct nursery_program */
	struct settings settings;
};

/* Master to nursery: fork a gate; its socket comes with it. */
struct nursery_order {
	uint64_t worker;          /* the master's number for the worker */
};

/* Nursery to master, and the first two: signer to master. */
enum nursery_verb { NURSERY_READY = 1, NURSERY_FAILED, NURSERY_GATE_DIED };

struct nursery_report {
	uint32_t verb;
	int32_t signal;           /* NURSERY_GATE_DIED: what killed it, or 0 and the exit status */
	int32_t status;
	uint64_t worker;
	uint32_t ending;          /* NURSERY_READY of a nursery: the certificate that ends first */
	int64_t certificate_ends; /* and until when it holds, in seconds since 1970; 0: there is none */
	uint8_t certificates[CERTIFICATES_MAX][SIGN_CERTIFICATE]; /* NURSERY_READY: which ones were read; zeros: no more */
	char text[NURSERY_TEXT_MAX]; /* NURSERY_FAILED: what is wrong and what to do; NURSERY_READY of a signer: certificate_doubt() */
};

#endif
