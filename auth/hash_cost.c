/*
 * hash_cost.c - which kinds of hash there are, and what one verification costs.
 * Runs in: keeper, as root; postern passwd. Trusts: nothing in the hash.
 *
 * The cost is read from the text before any library sees it: a record with eight
 * gibibytes in it must not take the host down at its owner's next login.
 */
#include "auth/hash_cost.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"

static const char MALFORMED[] = "is malformed";
static const char TOO_DEAR[] = "costs more than one login may cost";
static const char ALPHABET[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum {
	KIB_PER_MIB = 1024,
	KIB_MAX = HASH_MEMORY_MIB_MAX * KIB_PER_MIB,
	CODED_SMALL = 47,        /* yescrypt: numbers up to this take one character */
	LOG2_MAX = 30,
	SCRYPT_BLOCK = 128,      /* octets of memory are 128 * r * N */
	SCRYPT_PARALLEL_MAX = 4,
	SCRYPT_DIGITS = 5,       /* characters of r and of p */
	BSDI_DIGITS = 4,
	SHA_ROUNDS_DEFAULT = 5000,
	DES_LENGTH = 13,
};

/* The number in front of the character `end` at *p; *p goes behind it. */
static bool take_number(const char **p, const char *name, char end, uint64_t max, uint64_t *value_r)
{
	size_t name_len = strlen(name);
	if (strncmp(*p, name, name_len) != 0)
		return false;
	const char *digits = *p + name_len;
	const char *stop = strchr(digits, end);
	if (stop == NULL || parse_number(digits, (size_t)(stop - digits), 0, max, value_r) < 0)
		return false;
	*p = stop + 1;
	return true;
}

/* crypt(5)'s digits, the lowest first; advances *p. */
static bool take_coded(const char **p, size_t digits, uint64_t *value_r)
{
	uint64_t value = 0;
	for (size_t i = 0; i < digits; i++) {
		const char *at = (*p)[i] == '\0' ? NULL : strchr(ALPHABET, (*p)[i]);
		if (at == NULL)
			return false;
		value |= (uint64_t)(at - ALPHABET) << (6 * i);
	}
	*p += digits;
	*value_r = value;
	return true;
}

bool argon2_text_parse(const char *rest, struct argon2_text *text_r)
{
	if (!take_number(&rest, "v=", '$', UINT32_MAX, &text_r->version) || !take_number(&rest, "m=", ',', UINT32_MAX, &text_r->kib)
	    || !take_number(&rest, "t=", ',', UINT32_MAX, &text_r->ops) || !take_number(&rest, "p=", '$', UINT32_MAX, &text_r->lanes))
		return false;
	text_r->salt = rest;
	text_r->hash = strchr(rest, '$');
	if (text_r->hash == NULL)
		return false;
	text_r->hash++;
	return true;
}

static unsigned mebibytes(uint64_t kib)
{
	return kib > KIB_MAX ? 0 : (unsigned)((kib + KIB_PER_MIB - 1) / KIB_PER_MIB);
}

static const char *bound_argon2(const char *rest, struct hash_cost *cost_r)
{
	struct argon2_text text;
	if (!argon2_text_parse(rest, &text))
		return MALFORMED;
	(void)snprintf(cost_r->words, sizeof cost_r->words, "%.5g MiB, %u passes", (double)text.kib / KIB_PER_MIB, (unsigned)text.ops);
	cost_r->mebibytes = mebibytes(text.kib);
	return text.kib > KIB_MAX || text.ops > HASH_OPS_MAX || text.lanes > HASH_LANES_MAX ? TOO_DEAR : NULL;
}

static const char *bound_memory(uint64_t log2_n, uint64_t r, struct hash_cost *cost_r)
{
	if (log2_n > LOG2_MAX)
		return TOO_DEAR;
	/* r has 30 bits at the most: in KiB, but not in octets, the product always fits. */
	uint64_t kib = (r << log2_n) / (1024 / SCRYPT_BLOCK);
	(void)snprintf(cost_r->words, sizeof cost_r->words, "%.5g MiB", (double)kib / KIB_PER_MIB);
	cost_r->mebibytes = mebibytes(kib);
	return kib > KIB_MAX ? TOO_DEAR : NULL;
}

/* Flavour, N and r in a character each. More parameters cannot be judged, and no tool writes them. */
static const char *bound_yescrypt(const char *rest, struct hash_cost *cost_r)
{
	uint64_t flavour, log2_n, r;
	if (!take_coded(&rest, 1, &flavour) || !take_coded(&rest, 1, &log2_n) || !take_coded(&rest, 1, &r))
		return MALFORMED;
	if (*rest != '$' || flavour > CODED_SMALL || log2_n > CODED_SMALL || r > CODED_SMALL)
		return "has unusual parameters, whose cost is not known";
	return bound_memory(log2_n + 1, r + 1, cost_r);
}

static const char *bound_scrypt(const char *rest, struct hash_cost *cost_r)
{
	uint64_t log2_n, r, p;
	if (!take_coded(&rest, 1, &log2_n) || !take_coded(&rest, SCRYPT_DIGITS, &r) || !take_coded(&rest, SCRYPT_DIGITS, &p))
		return MALFORMED;
	return p > SCRYPT_PARALLEL_MAX ? TOO_DEAR : bound_memory(log2_n, r, cost_r);
}

static const char *bound_bcrypt(const char *rest, struct hash_cost *cost_r)
{
	uint64_t cost;
	if (!take_number(&rest, "", '$', UINT32_MAX, &cost))
		return MALFORMED;
	(void)snprintf(cost_r->words, sizeof cost_r->words, "cost %u", (unsigned)cost);
	return cost > HASH_BCRYPT_COST_MAX ? TOO_DEAR : NULL;
}

static const char *bound_rounds(uint64_t rounds, struct hash_cost *cost_r)
{
	(void)snprintf(cost_r->words, sizeof cost_r->words, "%llu rounds", (unsigned long long)rounds);
	return rounds > HASH_ROUNDS_MAX ? TOO_DEAR : NULL;
}

static const char *bound_sha(const char *rest, struct hash_cost *cost_r)
{
	uint64_t rounds = SHA_ROUNDS_DEFAULT;
	if (strncmp(rest, "rounds=", strlen("rounds=")) == 0 && !take_number(&rest, "rounds=", '$', UINT64_MAX, &rounds))
		return MALFORMED;
	return bound_rounds(rounds, cost_r);
}

static const char *bound_sha1(const char *rest, struct hash_cost *cost_r)
{
	uint64_t rounds;
	return take_number(&rest, "", '$', UINT64_MAX, &rounds) ? bound_rounds(rounds, cost_r) : MALFORMED;
}

static const char *bound_sunmd5(const char *rest, struct hash_cost *cost_r)
{
	uint64_t rounds = 0;
	/* The number stands behind a comma, or behind a dollar sign where a salt may stand as well; crypt(3) takes both. */
	const char *number = rest + (*rest != '\0');
	if ((*rest == ',' || strncmp(number, "rounds=", strlen("rounds=")) == 0) && !take_number(&number, "rounds=", '$', UINT64_MAX, &rounds))
		return MALFORMED;
	return bound_rounds(rounds, cost_r);
}

static const char *bound_bsdi(const char *rest, struct hash_cost *cost_r)
{
	uint64_t rounds;
	return take_coded(&rest, BSDI_DIGITS, &rounds) ? bound_rounds(rounds, cost_r) : MALFORMED;
}

/* The last row takes what no other took: two characters of salt and eleven of hash, or it is no hash at all. */
static const char *bound_des(const char *rest, struct hash_cost *cost_r)
{
	(void)cost_r;
	return strlen(rest) == DES_LENGTH && strspn(rest, ALPHABET) == DES_LENGTH ? NULL
		: "is of no known kind; is it a plain password?";
}

static const struct hash_method methods[] = {
	{ "$argon2id$", "ARGON2ID",      ENGINE_ARGON2, false, bound_argon2, 0 },
	{ "$argon2i$",  "ARGON2I",       ENGINE_ARGON2, false, bound_argon2, 0 },
	{ "$y$",        "YESCRYPT",      ENGINE_CRYPT,  false, bound_yescrypt, 43 },
	{ "$gy$",       "GOST-YESCRYPT", ENGINE_CRYPT,  false, bound_yescrypt, 43 },
	{ "$7$",        "SCRYPT",        ENGINE_CRYPT,  false, bound_scrypt, 43 },
	{ "$2a$",       "BLF-CRYPT",     ENGINE_CRYPT,  false, bound_bcrypt, 53 },
	{ "$2b$",       "BLF-CRYPT",     ENGINE_CRYPT,  false, bound_bcrypt, 53 },
	{ "$2y$",       "BLF-CRYPT",     ENGINE_CRYPT,  false, bound_bcrypt, 53 },
	{ "$2x$",       "BLF-CRYPT",     ENGINE_CRYPT,  true,  bound_bcrypt, 53 },
	{ "$6$",        "SHA512-CRYPT",  ENGINE_CRYPT,  false, bound_sha, 86 },
	{ "$5$",        "SHA256-CRYPT",  ENGINE_CRYPT,  false, bound_sha, 43 },
	{ "$sha1$",     "SHA1-CRYPT",    ENGINE_CRYPT,  true,  bound_sha1, 28 },
	{ "$md5",       "SUN-MD5",       ENGINE_CRYPT,  true,  bound_sunmd5, 22 },
	{ "$1$",        "MD5-CRYPT",     ENGINE_CRYPT,  true,  NULL, 22 },
	{ "$3$",        "NT",            ENGINE_CRYPT,  true,  NULL, 32 },
	{ "_",          "BSDI-CRYPT",    ENGINE_CRYPT,  true,  bound_bsdi, 19 },
	{ "",           "DES-CRYPT",     ENGINE_CRYPT,  true,  bound_des, 0 },
};

const struct hash_method *hash_method_find(const char *text)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strncmp(text, methods[i].prefix, strlen(methods[i].prefix)) == 0)
			return &methods[i];
	return NULL;
}

bool hash_is_whole(const struct hash_method *method, const char *text)
{
	const char *last = strrchr(text, '$'), *digits = last != NULL ? last + 1 : text + strlen(method->prefix);
	return method->digits == 0 || (strlen(digits) == method->digits && strspn(digits, ALPHABET) == method->digits);
}
