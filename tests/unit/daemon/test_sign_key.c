/*
 * test_sign_key.c - daemon/sign_key.c and sign.c: which keys are taken, what is signed with them, and what is not.
 * Runs in: the tests.
 */
#include <openssl/rsa.h>

#include "daemon/sign_key.h"
#include "tests/unit/daemon/worker.h"

static EVP_PKEY *made(const char *kind)
{
	if (strncmp(kind, "RSA", 3) == 0)
		return EVP_RSA_gen((unsigned)atoi(kind + 3));
	return strncmp(kind, "P-", 2) == 0 || strncmp(kind, "secp", 4) == 0 ? EVP_EC_gen(kind) : EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

static struct sign_request request_of(uint32_t scheme, uint32_t size)
{
	struct sign_request r = { .scheme = scheme, .size = size };
	for (size_t i = 0; i < sizeof r.digest; i++)
		r.digest[i] = (uint8_t)(i * 37 + scheme + size);
	return r;
}

/* By the public key, and with OpenSSL's names for what was asked for. */
static bool verifies(EVP_PKEY *key, const struct sign_request *r, const struct sign_answer *a)
{
	const EVP_MD *digest = r->size == 32 ? EVP_sha256() : r->size == 48 ? EVP_sha384() : EVP_sha512();
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good = c != NULL && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, digest) == 1;
	if (r->scheme != SIGN_ECDSA)
		good = good && EVP_PKEY_CTX_set_rsa_padding(c, r->scheme == SIGN_RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1;
	if (r->scheme == SIGN_RSA_PSS)
		good = good && EVP_PKEY_CTX_set_rsa_pss_saltlen(c, (int)r->size) == 1;
	good = good && EVP_PKEY_verify(c, a->octets, a->size, r->digest, r->size) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

static void test_algorithms(void)
{
	static const char *const kinds[] = { "P-256", "P-384", "P-521", "RSA2048", "RSA3072" };
	static const uint32_t sizes[] = { 32, 48, 64 };
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		EVP_PKEY *key = made(kinds[k]), *other = made(kinds[k]);
		for (uint32_t scheme = SIGN_ECDSA; scheme <= SIGN_RSA_PSS; scheme++)
			for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
				struct sign_request r = request_of(scheme, sizes[i]);
				struct sign_answer a;
				const bool fits = (scheme == SIGN_ECDSA) == (kinds[k][0] == 'P');
				ROW_ASSERT(kinds[k], sign_with(key, &r, &a) == (fits ? 0 : -1));
				ROW_ASSERT(kinds[k], fits ? a.size > 0 && a.size <= (uint32_t)EVP_PKEY_get_size(key) : a.size == 0);
				ROW_ASSERT(kinds[k], !fits || (verifies(key, &r, &a) && !verifies(other, &r, &a)));
				r.digest[0] ^= 1;
				ROW_ASSERT(kinds[k], !fits || !verifies(key, &r, &a));
			}
		EVP_PKEY_free(key);
		EVP_PKEY_free(other);
	}
}

/* Whatever is not a digest of the table, under a scheme of the table. */
static void test_refused(void)
{
	static const uint32_t sizes[] = { 0, 1, 16, 20, 28, 31, 33, 47, 49, 63, 65, 256, SIGN_DIGEST_MAX + 1, 0x80000000, 0xffffffff };
	static const uint32_t schemes[] = { 0, SIGN_RSA_PSS + 1, 0x7fffffff, 0x80000000, 0xffffffff };
	EVP_PKEY *keys[] = { made("P-256"), made("RSA2048") };
	for (size_t k = 0; k < 2; k++) {
		struct sign_answer a;
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			for (uint32_t scheme = SIGN_ECDSA; scheme <= SIGN_RSA_PSS; scheme++) {
				const struct sign_request r = request_of(scheme, sizes[i]);
				a.size = 7;
				CU_ASSERT(sign_row(&r) == NULL && sign_with(keys[k], &r, &a) == -1 && a.size == 0);
			}
		for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
			const struct sign_request r = request_of(schemes[i], 32);
			CU_ASSERT(sign_row(&r) == NULL && sign_with(keys[k], &r, &a) == -1 && a.size == 0);
		}
		struct sign_request other = request_of(k == 0 ? SIGN_ECDSA : SIGN_RSA_PSS, 32);
		other.key = CERTIFICATES_MAX - 1;
		CU_ASSERT(sign_row(&other) != NULL);
		other.key++;
		CU_ASSERT(sign_row(&other) == NULL && sign_with(keys[k], &other, &a) == -1 && a.size == 0);
		EVP_PKEY_free(keys[k]);
	}
}

/* A key in PEM under a pass phrase. */
static void put_locked_key(const char *name)
{
	EVP_PKEY *key = made("P-256");
	FILE *f = fopen(in_host(name), "we");
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT(PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"phrase", 6, NULL, NULL) == 1 && fclose(f) == 0);
	EVP_PKEY_free(key);
}

static void test_files(void)
{
	static const struct { const char *label, *certificate, *key, *words; } rows[] = {
		{ "good", "cert.pem", "key.pem", NULL },
		{ "no certificate", "none", "key.pem", "none cannot be used: No such file or directory; it must hold the chain in PEM" },
		{ "a certificate of nothing", "empty", "key.pem", "empty cannot be used: it is empty" },
		{ "no key", "cert.pem", "none", "none cannot be used with certificate" },
		{ "no key, why", "cert.pem", "none", ": No such file or directory; it must be the PEM key" },
		{ "no PEM", "text", "key.pem", "it must hold the chain in PEM" },
		{ "no PEM key", "cert.pem", "text", "it must be the PEM key of that certificate" },
		{ "a key of nothing", "cert.pem", "empty", "it is empty" },
		{ "a directory", "cert.pem", ".", "Is a directory" },
		{ "exchanged", "key.pem", "cert.pem", "key.pem cannot be used" },
		{ "another's key", "cert.pem", "other.pem", "does not belong to certificate" },
		{ "another kind of key", "cert.pem", "rsa.pem", "does not belong to certificate" },
		{ "a pass phrase", "cert.pem", "locked.pem", "without a pass phrase" },
		{ "a kind that is not signed with", "edcert.pem", "ed.pem", "it is neither an RSA nor an ECDSA key" },
		{ "RSA", "rsacert.pem", "rsa.pem", NULL },
	};
	host_make();
	make_certificate("cert.pem", "key.pem");
	make_certificate("othercert.pem", "other.pem");
	make_certificate_for(made("ED25519"), "edcert.pem", "ed.pem");
	make_certificate_for(made("RSA2048"), "rsacert.pem", "rsa.pem");
	put_locked_key("locked.pem");
	host_put("text", "some text\n", 0600);
	host_put("empty", "", 0600);
	struct settings *settings = settings_of(tls_text("cert.pem", "key.pem"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static const uint8_t zeros[SIGN_CERTIFICATE];
		uint8_t digest[SIGN_CERTIFICATE] = { 0 };
		char problem[512] = "";
		EVP_PKEY *key;
		put_path(settings->certificate, in_host(rows[i].certificate));
		put_path(settings->key, in_host(rows[i].key));
		int r = sign_key_load(settings, 0, &key, digest, problem, sizeof problem);
		ROW_ASSERT(rows[i].label, rows[i].words == NULL ? r == 0 && key != NULL : r == -1 && key == NULL);
		ROW_ASSERT(rows[i].label, (memcmp(digest, zeros, sizeof digest) != 0) == (r == 0));
		if (rows[i].words != NULL && strstr(problem, rows[i].words) == NULL)
			ROW_TEXT(rows[i].label, problem, rows[i].words);
		ROW_ASSERT(rows[i].label, strstr(problem, "no reason given") == NULL);
		EVP_PKEY_free(key);
	}
	host_remove();
}

#define TESTS(X) X(test_algorithms) X(test_refused) X(test_files)
SUITE("sign_key")
