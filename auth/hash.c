/*
 * hash.c - password hashes: recognise, bound, verify, make.
 * Runs in: keeper, as root; postern passwd, as whoever called it. Trusts: nothing in
 * the password; the hash comes from the administrator's file, yet its cost is bounded.
 */
#include "auth/hash.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "auth/hash_cost.h"

/* What a {SCHEME} in front of a hash promises about it. */
static const struct scheme {
	const char *name;
	const char *begins;  /* the hash must begin with it; "" is whatever crypt(3) and libsodium know */
} schemes[] = {
	{ "ARGON2ID",     "$argon2id$" },
	{ "ARGON2I",      "$argon2i$" },
	{ "CRYPT",        "" },
	{ "BLF-CRYPT",    "$2" },
	{ "SHA512-CRYPT", "$6$" },
	{ "SHA256-CRYPT", "$5$" },
	{ "MD5-CRYPT",    "$1$" },
	{ "DES-CRYPT",    "" },
};

enum { RAW_MAX = 64 };  /* octets of an Argon2 hash; 32 are usual */

/* A hash of nobody's password, at the default cost. */
static const char DUMMY[] = "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGVybmR1bW15c2FsdA"
	"$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct parsed {
	char text[HASH_TEXT_MAX + 1];  /* without {SCHEME} */
	const struct hash_method *method;
	struct hash_info info;
};

static const struct scheme *scheme_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (strlen(schemes[i].name) == len && strncasecmp(schemes[i].name, name, len) == 0)
			return &schemes[i];
	return NULL;
}

static bool is_locked(const char *text)
{
	return text[0] == '\0' || text[0] == '!' || text[0] == '*' || strcmp(text, "x") == 0;
}

static void unusable(struct parsed *p, struct why *why_r, const char *problem)
{
	p->info.state = HASH_UNUSABLE;
	(void)why_set(why_r, REASON_AUTH_SETUP, 0, "the password hash (%s) %s; give a new password with postern passwd set", p->info.scheme, problem);
}

/* Take "{SCHEME}" off the front of *hash. NULL when there is none to check the rest against. */
static int scheme_take(struct parsed *p, const char **hash, size_t *len, const struct scheme **scheme_r, struct why *why_r)
{
	*scheme_r = NULL;
	if (*len == 0 || **hash != '{')
		return 0;
	const char *end = memchr(*hash, '}', *len);
	size_t name_len = end == NULL ? *len - 1 : (size_t)(end - *hash) - 1;
	if (end != NULL)  /* else it is anything, and may be a password */
		(void)snprintf(p->info.scheme, sizeof p->info.scheme, "%.*s", (int)name_len, *hash + 1);
	*scheme_r = scheme_find(*hash + 1, name_len);
	if (end == NULL || *scheme_r == NULL) {
		unusable(p, why_r, "is of a scheme that is not accepted here");
		return -1;
	}
	*hash += name_len + 2;
	*len -= name_len + 2;
	return 0;
}

static void parse(const char *hash, size_t len, struct parsed *p, struct why *why_r)
{
	const struct scheme *scheme = NULL;
	memset(p, 0, sizeof *p);
	(void)snprintf(p->info.scheme, sizeof p->info.scheme, "unknown");
	if (len > HASH_TEXT_MAX) {
		unusable(p, why_r, "is too long");
		return;
	}
	if (scheme_take(p, &hash, &len, &scheme, why_r) < 0)
		return;
	memcpy(p->text, hash, len);
	if (is_locked(p->text)) {
		p->info.state = HASH_LOCKED;
		(void)snprintf(p->info.scheme, sizeof p->info.scheme, "locked");
		return;
	}
	p->method = strlen(p->text) == len ? hash_method_find(p->text) : NULL;
	if (p->method == NULL || (scheme != NULL && strncmp(p->text, scheme->begins, strlen(scheme->begins)) != 0)) {
		unusable(p, why_r, "is not what its scheme says");
		return;
	}
	const char *problem = p->method->bound == NULL ? NULL
		: p->method->bound(p->text + strlen(p->method->prefix), &p->info.cost);
	if (problem == NULL || p->method->prefix[0] != '\0')
		(void)snprintf(p->info.scheme, sizeof p->info.scheme, "%s", p->method->name);
	p->info.weak = p->method->weak;
	if (problem == NULL && !hash_is_whole(p->method, p->text))
		problem = "is damaged: it has not the length, or the characters, that such a hash has";
	if (problem != NULL)
		unusable(p, why_r, problem);
	else
		p->info.state = HASH_RIGHT;
}

void hash_inspect(const char *hash, size_t len, struct hash_info *info_r, struct why *why_r)
{
	struct parsed p;
	parse(hash, len, &p, why_r);
	*info_r = p.info;
	sodium_memzero(&p, sizeof p);
}

/* Why no hash could be computed: memory is the host's trouble, all else the record's. */
static enum hash_result no_hash(const struct parsed *p, int err, struct why *why_r)
{
	if (err == ENOMEM || err == EAGAIN) {
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, ENOMEM, "compute a password hash (%s, %s)", p->info.scheme, p->info.cost.words);
		return HASH_NO_MEMORY;
	}
	(void)why_set(why_r, REASON_AUTH_SETUP, 0, "the password hash (%s) is malformed", p->info.scheme);
	return HASH_UNUSABLE;
}

/* Can that much be mapped now? Nothing of it is touched. */
static bool has_room(uint64_t kib)
{
	void *region = mmap(NULL, kib * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return region != MAP_FAILED && munmap(region, kib * 1024) == 0;
}

/*
 * crypto_pwhash_str_verify() returns -1 and EINVAL for a wrong password, and the same
 * when it had no memory. What libsodium itself writes is therefore computed with
 * crypto_pwhash(), which can tell. It takes no other lanes and salts, though.
 */
static enum hash_result verify_raw(const struct parsed *p, const struct argon2_text *text, const struct secret *password,
                                   struct why *why_r)
{
	unsigned char salt[crypto_pwhash_SALTBYTES], want[RAW_MAX], got[RAW_MAX];
	size_t salt_len = 0, len = 0;
	if (strncmp(p->text, "$argon2id$", strlen("$argon2id$")) != 0 || text->version != 19 || text->lanes != 1
	    || text->ops < crypto_pwhash_OPSLIMIT_MIN || text->kib < crypto_pwhash_MEMLIMIT_MIN / 1024)
		return HASH_UNUSABLE;
	if (sodium_base642bin(salt, sizeof salt, text->salt, (size_t)(text->hash - text->salt) - 1, NULL, &salt_len, NULL,
	                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 || salt_len != sizeof salt)
		return HASH_UNUSABLE;
	if (sodium_base642bin(want, sizeof want, text->hash, strlen(text->hash), NULL, &len, NULL,
	                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 || len < crypto_pwhash_BYTES_MIN)
		return HASH_UNUSABLE;
	if (crypto_pwhash(got, len, password->text, password->len, salt, text->ops, (size_t)text->kib * 1024,
	                  crypto_pwhash_ALG_ARGON2ID13) != 0)
		return no_hash(p, ENOMEM, why_r);
	int differs = sodium_memcmp(got, want, len);
	sodium_memzero(got, sizeof got);
	return differs == 0 ? HASH_RIGHT : HASH_WRONG;
}

/* All other Argon2, with the room for it looked at before and after. */
static enum hash_result verify_argon2(const struct parsed *p, const struct secret *password, struct why *why_r)
{
	struct argon2_text text;
	if (!argon2_text_parse(p->text + strlen(p->method->prefix), &text) || text.kib == 0)
		return no_hash(p, 0, why_r);
	enum hash_result result = verify_raw(p, &text, password, why_r);
	if (result != HASH_UNUSABLE)
		return result;
	if (!has_room(text.kib))
		return no_hash(p, ENOMEM, why_r);
	errno = 0;
	if (crypto_pwhash_str_verify(p->text, password->text, password->len) == 0)
		return HASH_RIGHT;
	if (errno != EINVAL)
		return no_hash(p, errno, why_r);
	return has_room(text.kib) ? HASH_WRONG : no_hash(p, ENOMEM, why_r);
}

static enum hash_result verify_crypt(const struct parsed *p, const struct secret *password, struct why *why_r)
{
	/* Not on the stack: what it takes is used again, for what a login reads. */
	struct crypt_data *data = malloc(sizeof *data);
	struct secret cut = *password;
	bool too_long = cut.len >= CRYPT_MAX_PASSPHRASE_SIZE;
	enum hash_result result = HASH_WRONG;

	if (data == NULL) {
		secret_wipe(&cut);
		return no_hash(p, ENOMEM, why_r);
	}
	/* crypt(3) takes 511 octets: a longer password fits no hash, but has to cost what others cost. */
	if (too_long)
		cut.text[CRYPT_MAX_PASSPHRASE_SIZE - 1] = '\0';
	data->initialized = 0;
	errno = 0;
	const char *got = crypt_r(cut.text, p->text, data);
	if (got == NULL || got[0] == '*')
		result = no_hash(p, errno, why_r);
	else if (strlen(got) == strlen(p->text) && sodium_memcmp(got, p->text, strlen(got)) == 0 && !too_long)
		result = HASH_RIGHT;
	sodium_memzero(data, sizeof *data);
	free(data);
	secret_wipe(&cut);
	return result;
}

enum hash_result hash_verify(const char *hash, size_t len, const struct secret *password, const struct hash_room *room, struct why *why_r)
{
	struct parsed p;
	if (sodium_init() < 0) {
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "libsodium does not start: no random numbers");
		return HASH_NO_MEMORY;
	}
	parse(hash, len, &p, why_r);
	enum hash_result result = p.info.state;
	if (result == HASH_LOCKED)
		(void)why_set(why_r, REASON_ACCOUNT_LOCKED, 0, "no password opens this record");
	const unsigned wanted = p.info.cost.mebibytes > 0 ? p.info.cost.mebibytes : HASH_TURN_MEBIBYTES;
	if (result == HASH_RIGHT && room != NULL && room->take != NULL && room->take(room->context, wanted) != 0) {
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "no turn for a password hash (%s): hash_memory is in use", p.info.scheme);
		result = HASH_NO_MEMORY;
	} else if (result == HASH_RIGHT)
		result = p.method->engine == ENGINE_ARGON2 ? verify_argon2(&p, password, why_r) : verify_crypt(&p, password, why_r);
	if (result == HASH_WRONG)
		(void)why_set(why_r, REASON_PASSWORD_WRONG, 0, "wrong password");
	sodium_memzero(&p, sizeof p);
	return result;
}

int hash_spend(const char *hash, size_t len, const struct secret *password, const struct hash_room *room, struct why *why_r)
{
	struct why why = { .reason = REASON_NONE };
	enum hash_result result = hash == NULL ? HASH_UNUSABLE : hash_verify(hash, len, password, room, &why);
	if (result == HASH_LOCKED || result == HASH_UNUSABLE)
		result = hash_verify(DUMMY, strlen(DUMMY), password, room, &why);
	if (result != HASH_NO_MEMORY)
		return 0;
	*why_r = why;
	return -1;
}

int hash_new(const struct secret *password, unsigned ops, unsigned memory_mib, char *text_r, struct why *why_r)
{
	char hash[crypto_pwhash_STRBYTES];
	if (ops < 1 || ops > HASH_OPS_MAX || memory_mib < 1 || memory_mib > HASH_MEMORY_MIB_MAX)
		return why_set(why_r, REASON_AUTH_SETUP, 0, "the cost has to be 1 to %d passes and 1 to %d MiB",
		               HASH_OPS_MAX, HASH_MEMORY_MIB_MAX);
	if (sodium_init() < 0)
		return why_set(why_r, REASON_AUTH_TEMPORARY, 0, "libsodium does not start: no random numbers");
	if (crypto_pwhash_str_alg(hash, password->text, password->len, ops, (size_t)memory_mib << 20,
	                          crypto_pwhash_ALG_ARGON2ID13) != 0)
		return why_set(why_r, REASON_AUTH_TEMPORARY, ENOMEM, "compute an Argon2id hash with %u MiB", memory_mib);
	(void)snprintf(text_r, HASH_TEXT_MAX + 1, "{ARGON2ID}%s", hash);
	return 0;
}
