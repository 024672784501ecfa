/*
 * hash.h - password hashes: recognise, bound, verify, make.
 * Runs in: keeper, as root; postern passwd, as whoever called it. Trusts: nothing in
 * the password; the hash comes from the administrator's file, yet its cost is bounded.
 */
#ifndef POSTERN_HASH_H
#define POSTERN_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"
#include "base/why.h"

enum {
	HASH_TEXT_MAX = 384,          /* octets of a hash with its {SCHEME}; crypt(5) needs fewer */
	HASH_COST_MAX = 48,           /* octets of its cost in words */
	HASH_MEMORY_MIB_MAX = 256,    /* what one login may take; past it the record is refused */
	HASH_OPS_MAX = 10,            /* passes of Argon2 */
	HASH_LANES_MAX = 16,          /* Argon2's p */
	HASH_ROUNDS_MAX = 1000000,    /* SHA-crypt and older: about a second */
	HASH_BCRYPT_COST_MAX = 15,    /* about two seconds */
	HASH_DEFAULT_OPS = 2,         /* OWASP's first choice for Argon2id: 19 MiB, two passes */
	HASH_DEFAULT_MEMORY_MIB = 19,
};

enum hash_result {
	HASH_RIGHT,
	HASH_WRONG,
	HASH_LOCKED,     /* no password opens it: "*", "!...", "x", "" */
	HASH_UNUSABLE,   /* unknown scheme, malformed, or dearer than the limits above */
	HASH_NO_MEMORY,  /* could not be computed now: says nothing about the password */
};

struct hash_cost {
	char words[HASH_COST_MAX]; /* "19 MiB, 2 passes"; "" where the scheme has none */
	unsigned mebibytes;        /* of memory for one verification; 0 is next to nothing */
};

/*
 * What a verification counts as whose memory is not known, or next to nothing, but which takes time: PAM's, and those of bcrypt and SHA-crypt. So many
 * are under way as fit into what hashes may have, however many connections there are: by default 64, enough for 200 guesses a second of 0.3 s each.
 */
enum { HASH_TURN_MEBIBYTES = 8 };

/* Who hands out memory for verifications, when many have to share it. Asked anew, it has back what it gave for that login before. */
struct hash_room {
	int (*take)(void *context, size_t mebibytes);  /* wait for it: 0, or -1: there is none for now */
	void *context;
};

/* What a hash is, as far as its text tells. */
struct hash_info {
	enum hash_result state;    /* HASH_RIGHT: can be used; HASH_LOCKED; HASH_UNUSABLE */
	char scheme[24];           /* "ARGON2ID"; "unknown" */
	struct hash_cost cost;
	bool weak;                 /* cheap to guess; verified all the same */
};

/* Look at a hash of len octets. why_r is filled when it is HASH_UNUSABLE. */
void hash_inspect(const char *hash, size_t len, struct hash_info *info_r, struct why *why_r);

/* Verify, once room (NULL: nobody) has handed out the memory. why_r is filled for all but HASH_RIGHT. */
enum hash_result hash_verify(const char *hash, size_t len, const struct secret *password, const struct hash_room *room, struct why *why_r);

/*
 * Take as long as a wrong password takes on this hash; on a default one when hash is NULL or cannot be used. 0; or -1 and *why_r:
 * there was no memory, as there would have been none to verify one.
 */
int hash_spend(const char *hash, size_t len, const struct secret *password, const struct hash_room *room, struct why *why_r);

/* A new Argon2id hash, with its {SCHEME}, as text_r of HASH_TEXT_MAX + 1 octets. 0 or -1. */
int hash_new(const struct secret *password, unsigned ops, unsigned memory_mib, char *text_r, struct why *why_r);

#endif
