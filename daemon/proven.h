/*
 * proven.h - passwords that were right a short while ago, so that a client that polls pays for one hash and not for each.
 * Runs in: master; a fork does not get the memory. Trusts: nothing; it knows accounts and passwords by keyed hashes only.
 *
 * One password an account, with the record of the passwd file that it was right for: a keeper spares the hash when it has just
 * read that very record, and of other back ends nothing is remembered. It is forgotten when its time is over (which a login
 * does not prolong), when another password fails for the account, and when the files that the passwords are in change, because
 * their look is part of the hash.
 */
#ifndef POSTERN_PROVEN_H
#define POSTERN_PROVEN_H

#include <stdint.h>

enum {
	PROVEN_WAYS = 4,             /* marks in a bucket; when it is full, the oldest goes */
	PROVEN_MARKS = 1 << 16,      /* 2.5 MiB, taken as they are used */
};

struct proven_mark;

struct proven {
	struct proven_mark *marks;
};

/* A password by its hash: 128 bits, so that none is taken for another. */
struct proven_hash {
	uint64_t account, password[2];
};

/* Empty. 0, or -1 and errno. */
int proven_open(struct proven *p);

/* The record that it was right for in the last max_age milliseconds, 0: it was not. now: now_ms(). */
uint64_t proven_check(const struct proven *p, const struct proven_hash *hash, long long now, long long max_age);

/* It was right just now, for that record; 0 is as good as nothing. */
void proven_put(struct proven *p, const struct proven_hash *hash, uint64_t record, long long now);

/* Forget the account's. */
void proven_drop(struct proven *p, uint64_t account);

#endif
