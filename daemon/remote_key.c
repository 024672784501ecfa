/*
 * remote_key.c - a key for OpenSSL whose private part is somewhere else: who signs is asked by a call.
 * Runs in: gate nursery (makes it), gate (uses it). Trusts: who signs.
 *
 * An OpenSSL provider, built in, with a key type and a signature each for RSA and EC; provider-keymgmt(7),
 * provider-signature(7). It lives in a library context of its own, so that nothing else is ever taken from it. The key
 * cannot be exported: so OpenSSL, which tries its own signatures first, comes back to this one. What can be told of the
 * public key is asked of OpenSSL's own key, which is kept inside. RSA_METHOD and EC_KEY_METHOD would do, too, but they
 * ask for PSS by a block that is padded already: who signs that is as good as a decryption oracle.
 */
#include "daemon/remote_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>

struct remote_key {
	const char *type;         /* "RSA" or "EC" */
	EVP_PKEY *public_key;     /* OpenSSL's own */
};

struct signing {
	const struct remote_key *key;
	const EVP_MD *digest;
	int padding;              /* RSA */
	bool foreign_salt;        /* PSS with a salt that is not as long as the digest: nobody's in TLS */
};

static remote_signer *ask_signer;
static void *signer_context;

/* Provider functions are called by their number: each is cast to this and back by OpenSSL. */
typedef void function(void);
#define FUNCTION(number, f) { number, (function *)(f) }

/* ---- the key ---- */

static void *new_rsa(void *provider)
{
	(void)provider;
	struct remote_key *key = OPENSSL_zalloc(sizeof *key);
	if (key != NULL)
		key->type = "RSA";
	return key;
}

static void *new_ec(void *provider)
{
	struct remote_key *key = new_rsa(provider);
	if (key != NULL)
		key->type = "EC";
	return key;
}

static void key_free(void *data)
{
	struct remote_key *key = data;
	if (key != NULL)
		EVP_PKEY_free(key->public_key);
	OPENSSL_free(key);
}

/* The private part counts as there. */
static int key_has(const void *data, int selection)
{
	const struct remote_key *key = data;
	(void)selection;
	return key->public_key != NULL;
}

static int key_match(const void *one, const void *other, int selection)
{
	const struct remote_key *a = one, *b = other;
	(void)selection;
	return EVP_PKEY_eq(a->public_key, b->public_key) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM parameters[])
{
	struct remote_key *key = data;
	OSSL_PARAM copy[16];
	size_t n = 0;
	(void)selection;
	/* OpenSSL's own takes them as not const, and does not change them. */
	while (parameters[n].key != NULL && n + 1 < sizeof copy / sizeof copy[0]) {
		copy[n] = parameters[n];
		n++;
	}
	copy[n] = OSSL_PARAM_construct_end();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, key->type, NULL);
	int good = context != NULL && EVP_PKEY_fromdata_init(context) == 1 && EVP_PKEY_fromdata(context, &key->public_key, EVP_PKEY_PUBLIC_KEY, copy) == 1;
	EVP_PKEY_CTX_free(context);
	return good;
}

/* What may come in: OpenSSL asks for it only to show it. */
static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)selection;
	return types;
}

static int key_get_parameters(void *data, OSSL_PARAM parameters[])
{
	const struct remote_key *key = data;
	return EVP_PKEY_get_params(key->public_key, parameters);
}

static const OSSL_PARAM *key_parameters(void *provider)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)provider;
	return list;
}

static const char *rsa_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static const char *ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* ---- the signature ---- */

static void *signing_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void signing_free(void *data)
{
	OPENSSL_free(data);
}

static const EVP_MD *digest_named(const char *name)
{
	const EVP_MD *const known[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
	for (size_t i = 0; name != NULL && i < sizeof known / sizeof known[0]; i++)
		if (EVP_MD_is_a(known[i], name))
			return known[i];
	return NULL;
}

static int signing_set(void *data, const OSSL_PARAM parameters[])
{
	struct signing *signing = data;
	const OSSL_PARAM *p = parameters != NULL ? OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	if (p != NULL && p->data_type == OSSL_PARAM_UTF8_STRING)
		signing->padding = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ? RSA_PKCS1_PSS_PADDING :
		                   strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING : 0;
	else if (p != NULL && OSSL_PARAM_get_int(p, &signing->padding) != 1)
		return 0;
	p = parameters != NULL ? OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) : NULL;
	if (p != NULL && p->data_type == OSSL_PARAM_UTF8_STRING) {
		signing->foreign_salt = strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) != 0;
	} else if (p != NULL) {
		int length = 0;
		signing->foreign_salt = OSSL_PARAM_get_int(p, &length) != 1 || length != RSA_PSS_SALTLEN_DIGEST;
	}
	return 1;
}

static const OSSL_PARAM *signing_settable(void *data, void *provider)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)data, (void)provider;
	return list;
}

static int signing_init(void *data, const char *digest, void *key, const OSSL_PARAM parameters[])
{
	struct signing *signing = data;
	*signing = (struct signing){ .key = key, .digest = digest_named(digest), .padding = RSA_PKCS1_PADDING };
	return signing->digest != NULL && signing_set(data, parameters);
}

/* The scheme that is asked for, 0 for none that is known here. */
static uint32_t scheme_of(const struct signing *signing)
{
	if (strcmp(signing->key->type, "EC") == 0)
		return SIGN_ECDSA;
	if (signing->padding == RSA_PKCS1_PADDING)
		return SIGN_RSA_PKCS1;
	return signing->padding == RSA_PKCS1_PSS_PADDING && !signing->foreign_salt ? SIGN_RSA_PSS : 0;
}

/* TLS signs in one call; with signature NULL it asks how large one can be. */
static int signing_sign(void *data, unsigned char *signature, size_t *length_r, size_t room, const unsigned char *text, size_t length)
{
	const struct signing *signing = data;
	struct sign_request request = { .scheme = scheme_of(signing) };
	struct sign_answer answer;
	unsigned size = 0;
	if (signature == NULL) {
		*length_r = (size_t)EVP_PKEY_get_size(signing->key->public_key);
		return 1;
	}
	if (request.scheme == 0 || EVP_Digest(text, length, request.digest, &size, signing->digest, NULL) != 1)
		return 0;
	request.size = size;
	if (ask_signer == NULL || !ask_signer(signer_context, &request, &answer) || answer.size == 0 || answer.size > sizeof answer.octets ||
	    answer.size > room)
		return 0;
	memcpy(signature, answer.octets, answer.size);
	*length_r = answer.size;
	return 1;
}

/* ---- the provider ---- */

#define KEY(make, operation) { \
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, make), FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free), FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has), \
	FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match), FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types), FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_parameters), \
	FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_parameters), FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation), { 0, NULL } }

static const OSSL_DISPATCH rsa_key[] = KEY(new_rsa, rsa_operation);
static const OSSL_DISPATCH ec_key[] = KEY(new_ec, ec_operation);
static const OSSL_DISPATCH signatures[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
	{ 0, NULL },
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache_r)
{
	/* The names are those of OpenSSL's own: by them TLS knows what kind of key it has. */
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=postern", rsa_key, NULL },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=postern", ec_key, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signs[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=postern", signatures, NULL },
		{ "ECDSA", "provider=postern", signatures, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	(void)provider;
	*no_cache_r = 0;
	return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signs : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider_r)
{
	static const OSSL_DISPATCH functions[] = { FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL } };
	static char something;
	(void)core, (void)in;
	*out = functions;
	*provider_r = &something;
	return 1;
}

/* The library context with our provider; made once, stays as long as the process. */
static OSSL_LIB_CTX *our_context(void)
{
	static OSSL_LIB_CTX *context;
	if (context != NULL)
		return context;
	OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();
	if (fresh != NULL && OSSL_PROVIDER_add_builtin(fresh, "postern", provider_init) == 1 && OSSL_PROVIDER_load(fresh, "postern") != NULL)
		context = fresh;
	else
		OSSL_LIB_CTX_free(fresh);
	return context;
}

EVP_PKEY *remote_key_new(const EVP_PKEY *public_key)
{
	const char *type = EVP_PKEY_is_a(public_key, "RSA") ? "RSA" : "EC";
	OSSL_PARAM *parameters = NULL;
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = NULL;
	if (our_context() != NULL && EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &parameters) == 1)
		context = EVP_PKEY_CTX_new_from_name(our_context(), type, NULL);
	if (context != NULL && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return key;
}

void remote_key_signs(remote_signer *signer, void *context)
{
	ask_signer = signer;
	signer_context = context;
}
