/*
 * hash_cost.h - which kinds of hash there are, and what one verification costs.
 * Runs in: keeper, as root; postern passwd. Trusts: nothing in the hash.
 */
#ifndef POSTERN_HASH_COST_H
#define POSTERN_HASH_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/hash.h"

enum hash_engine { ENGINE_ARGON2, ENGINE_CRYPT };

struct hash_method {
	const char *prefix;  /* what the hash begins with */
	const char *name;
	enum hash_engine engine;
	bool weak;
	/*
	 * rest: the NUL-terminated hash behind the prefix. Says the cost and returns NULL,
	 * or returns what is wrong. NULL: the cost is fixed, and small.
	 */
	const char *(*bound)(const char *rest, struct hash_cost *cost_r);
	size_t digits;       /* of crypt(5)'s, behind the last $, or the prefix where there is none: fewer or more match no password. 0: bound() sees to it, or it varies */
};

/* What stands in "v=19$m=19456,t=2,p=1$SALT$HASH". */
struct argon2_text {
	uint64_t version, kib, ops, lanes;
	const char *salt, *hash;  /* base64 without padding; the salt ends at '$' */
};

/* rest: NUL-terminated, behind "$argon2id$". */
bool argon2_text_parse(const char *rest, struct argon2_text *text_r);

/* Is the hash as long as that method makes it? text: without {SCHEME}, NUL-terminated. */
bool hash_is_whole(const struct hash_method *method, const char *text);

/* The kind of a NUL-terminated hash without {SCHEME}, or NULL. */
const struct hash_method *hash_method_find(const char *text);

#endif
