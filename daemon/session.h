/*
 * session.h - what a gate may ask its keeper for: a handler for each verb of rpc.h. Those up to the login are in login.c
 * and session_sign.c.
 * Runs in: keeper, as root until session_auth() becomes the mail's owner. Trusts: nothing in the messages
 * beyond their size, which keeper.c has checked.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <time.h>

#include "auth/auth.h"
#include "daemon/enter.h"
#include "daemon/history.h"
#include "daemon/rpc.h"
#include "daemon/settings.h"

_Static_assert((int)LIST_DIGEST == (int)HISTORY_DIGEST, "one is copied to the other");

enum {
	FAILURE_SLOT_MS = 500,  /* a failed login is answered on the next multiple of this after it was asked */
	NOTICES_MOST = 10,      /* lines about odd things in a maildrop, in a session; the others are counted */
	PASS_MS = 2000,         /* how long to try to pass a descriptor while too many others are on their way */
};

struct session {
	const struct settings *settings;
	struct auth_settings auth;
	int master, gate;
	int signer;                /* where signatures are asked for, all keepers' one socket; -1: none, or none any more */
	enum rpc_phase phase;
	unsigned asked[RPC_VERBS];
	bool prepared;             /* its pages are there */
	bool stopping, over;
	bool quiet;                /* an end without a login is not for the log */
	bool reported[REPLY_COUNT]; /* logged in this connection: session_log_enough() */
	unsigned long unreported;  /* and not logged again */
	struct sockaddr_storage peer;
	char peer_text[INET6_ADDRSTRLEN];
	long long begun;           /* now_ms() */
	unsigned failed_logins;
	char user[USER_NAME_MAX + 1]; /* who logged in, or tried last */
	unsigned long odd;         /* things that the maildrop gave notice of */
	bool logged_in;
	struct entry in;
	size_t count;
	bool *marks;
	size_t marked;
	uint64_t deleted, left;
	bool committed;
	struct rpc_bye bye;
	bool said_bye;
	bool ready;                /* the gate has closed the connection, and may have another */
	/* For the history, and for whoever meets our lock. */
	uid_t owner;               /* HISTORY_NOBODY before the login */
	char place[HISTORY_PATH];
	time_t since;              /* the login */
	long long heard;           /* now_ms(): the client's last sign of life. Whoever sets the clock takes no session over by it */
	enum reply evicted;        /* somebody else wants the maildrop, it is closed, and that is told: REPLY_TAKEN_OVER, REPLY_ENDED; or REPLY_NONE */
	char successor[INET6_ADDRSTRLEN + 2];
	uint64_t octets;           /* in the maildrop at the login */
	uint8_t list[HISTORY_DIGEST];
};

void session_init(struct session *s, const struct settings *settings, const char *pam_helper, int master, int gate, int signer);

/* There is a connection. */
void session_begin(struct session *s, const struct sockaddr_storage *peer, long long begun);

/* The message is the handler's own: what is secret in it is wiped. */
void session_known(struct session *s, union rpc_message *message);
void session_auth(struct session *s, union rpc_message *message);
void session_fetch(struct session *s, union rpc_message *message);
void session_mark(struct session *s, union rpc_message *message);
void session_commit(struct session *s, union rpc_message *message);
void session_refer(struct session *s, union rpc_message *message);
void session_active(struct session *s, union rpc_message *message);
void session_bye(struct session *s, union rpc_message *message);
void session_sign(struct session *s, union rpc_message *message);
void session_ready(struct session *s, union rpc_message *message);

/* A newer login of the same user rang the bell: answer, and let go of the maildrop if that is due. */
void session_bell(struct session *s);

/*
 * To the gate. It waits where the gate has not taken what it was sent, and for a gate that takes nothing for too long it is the end of the
 * process (keeper.c: bound_answers()). As rpc_send() else.
 */
int session_send(const struct session *s, const void *message, size_t size, int fd);

/*
 * Send the answer; a gate that is gone shows at the next receive. fd: borrowed, -1 for none. Where nothing could be sent within PASS_MS it
 * is the end of the process, so that the gate does not wait for ever.
 */
void session_answer(const struct session *s, struct rpc_answer *a, uint32_t verb, int fd);

/* A string from the gate ends within its storage, or the gate is hostile. */
void session_check_text(const char *text, size_t size, const char *what);

/* Let go of everything and write the session's line to the log. */
void session_end(struct session *s);

/* Wipe all that is left of it: the struct, the heap, the stack. For session_init() again. */
void session_forget(struct session *s);

#endif
