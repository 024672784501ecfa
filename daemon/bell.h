/*
 * bell.h - how a login reaches the session that has its maildrop open: who is it, how long was it silent, will it yield?
 * And how the administrator does, who wants it to end.
 * Runs in: keeper; whoever rings as root, before its login's maildrop is open; whoever answers as the mail's owner. postern sessions, which rings.
 * Trusts: the kernel's word on who sent a message, and nothing else.
 *
 * A datagram socket with an abstract name (unix(7)), made of the lock file's device and inode. With a ring comes one end of a
 * pair of sockets, for the answer; so who answers needs no right to send to an address. The lock is the kernel's flock; the
 * bell only asks.
 */
#ifndef POSTERN_BELL_H
#define POSTERN_BELL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	BELL_WAIT_MS = 300,          /* a session that does not answer in that time is at work */
	TAKE_OVER_SECONDS = 30,      /* a session that was silent for so long may be ended by the same user's new login */
};

/* What a ring is for. */
enum bell_wish {
	BELL_ASK,         /* the state alone */
	BELL_TAKE_OVER,   /* let go of the maildrop, if you were silent for TAKE_OVER_SECONDS */
	BELL_END,         /* let go of it: the administrator wants that */
	BELL_WISHES,
};

/* What the session says of itself. */
struct bell_state {
	int64_t since, heard, free_by;   /* seconds since 1970: login, last sign of life, latest end if it stays silent */
	uint32_t yields;                 /* it lets go of the maildrop now */
	uint32_t reserved;
	char peer[INET6_ADDRSTRLEN + 2];
};

/* Hang a bell for the maildrop of that lock file. A descriptor; or -1: then the session cannot be asked, and that is all. */
int bell_hang(int lock_fd);

/*
 * Somebody rang: take one message. True, and *wish_r, peer_r: for a login from where, *answer_r: where the answer goes (taken by the
 * caller). False when it is no ring. When it is not of root's (nor of the uid that hung the bell) it is not taken, and the bell is taken
 * down: *bell is -1.
 */
bool bell_heard(int *bell, enum bell_wish *wish_r, char peer_r[INET6_ADDRSTRLEN + 2], int *answer_r);

/* Answer what bell_heard() took; closes answer. */
void bell_answer(int answer, const struct bell_state *state);

/* Close the bell, if there is one: *bell is -1. */
void bell_take_down(int *bell);

/* Is a socket still open, because what lies in it may be a stranger's? Only the end of this process lets go of it without a wait. */
bool bell_left_open(void);

/*
 * Ring, and wait for the answer. owner: the mail's owner, whose process the session must be. 0, or -1: nobody answers, or not the owner.
 */
int bell_ring(int lock_fd, uid_t owner, enum bell_wish wish, const char *peer, struct bell_state *state_r);

#endif
