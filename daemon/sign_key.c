/*
 * sign_key.c - the private key: reading it, and signing with it.
 * Runs in: signer, as root while it reads the key file. Trusts: the certificate's files.
 */
#include "daemon/sign_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/tls_error.h"

enum { PEM_MAX = 65536 };

/* A key file that wants a pass phrase: there is nobody to ask. */
static int no_phrase(char *phrase, int size, int writing, void *unused)
{
	(void)phrase, (void)size, (void)writing, (void)unused;
	return -1;
}

/* The text of a file: by hand rather than by stdio, whose buffer would keep it. NULL and why. */
static BIO *open_pem(const char *path, char text[PEM_MAX], const char **reason_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd >= 0 ? read(fd, text, PEM_MAX) : -1;
	*reason_r = n < 0 ? strerror(errno) : "it is empty";
	if (fd >= 0)
		(void)close(fd);
	return n > 0 ? BIO_new_mem_buf(text, (int)n) : NULL;
}

/* One of the two is read: the other is NULL. NULL in it afterwards, and why. */
static void read_pem(const char *path, X509 **certificate_r, EVP_PKEY **key_r, const char **reason_r)
{
	static char text[PEM_MAX];
	BIO *bio = open_pem(path, text, reason_r);
	if (bio != NULL && certificate_r != NULL)
		*certificate_r = PEM_read_bio_X509_AUX(bio, NULL, no_phrase, NULL);
	if (bio != NULL && key_r != NULL)
		*key_r = PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL);
	if (bio != NULL)
		*reason_r = tls_error();
	BIO_free(bio);
	explicit_bzero(text, sizeof text);
}

/* Can its signatures be made and carried? A sentence's end, or NULL. */
static const char *unfit(const EVP_PKEY *key)
{
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC"))
		return "it is neither an RSA nor an ECDSA key";
	if (EVP_PKEY_get_size(key) > SIGNATURE_MAX)
		return "it is larger than 8192 bits";
	return NULL;
}

int sign_key_load(const struct settings *settings, size_t n, EVP_PKEY **key_r, uint8_t certificate_r[SIGN_CERTIFICATE], char *problem, size_t size)
{
	const char *reason, *const certificate_path = settings_path_at(settings->certificate, n), *const key_path = settings_path_at(settings->key, n);
	X509 *certificate = NULL;
	int result = -1;
	ERR_clear_error();
	*key_r = NULL;
	read_pem(certificate_path, &certificate, NULL, &reason);
	if (certificate != NULL)
		read_pem(key_path, NULL, key_r, &reason);
	if (certificate == NULL) {
		(void)snprintf(problem, size, "certificate %s cannot be used: %s; it must hold the chain in PEM, the server's own first",
		               certificate_path, reason);
	} else if (*key_r == NULL) {
		(void)snprintf(problem, size, "key %s cannot be used with certificate %s: %s; it must be the PEM key of that certificate, without a pass phrase",
		               key_path, certificate_path, reason);
	} else if (X509_check_private_key(certificate, *key_r) != 1) {
		(void)snprintf(problem, size, "key %s does not belong to certificate %s: %s; it must be the PEM key of that certificate, without a pass phrase",
		               key_path, certificate_path, tls_error());
	} else if ((reason = unfit(*key_r)) != NULL) {
		(void)snprintf(problem, size, "key %s cannot be used: %s", key_path, reason);
	} else if (X509_digest(certificate, EVP_sha256(), certificate_r, NULL) != 1) {
		(void)snprintf(problem, size, "certificate %s cannot be used: %s", certificate_path, tls_error());
	} else {
		result = 0;
	}
	X509_free(certificate);
	ERR_clear_error();
	if (result != 0) {
		EVP_PKEY_free(*key_r);
		*key_r = NULL;
	}
	return result;
}

/* The padding that a scheme means: the salt of PSS is as long as the digest (RFC 8446 section 4.2.3). */
static bool choose_padding(EVP_PKEY_CTX *context, uint32_t scheme)
{
	switch ((enum sign_scheme)scheme) {
	case SIGN_ECDSA: return true;
	case SIGN_RSA_PKCS1: return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
	case SIGN_RSA_PSS:
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
	}
	return false;
}

int sign_with(EVP_PKEY *key, const struct sign_request *request, struct sign_answer *answer_r)
{
	const struct sign_digest *digest = sign_row(request);
	size_t size = sizeof answer_r->octets;
	memset(answer_r, 0, sizeof *answer_r);
	if (digest == NULL || EVP_PKEY_is_a(key, "EC") != (request->scheme == SIGN_ECDSA))
		return -1;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool good = context != NULL && EVP_PKEY_sign_init(context) == 1 &&
	            EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(digest->name)) == 1 && choose_padding(context, request->scheme) &&
	            EVP_PKEY_sign(context, answer_r->octets, &size, request->digest, request->size) == 1;
	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	answer_r->size = good ? (uint32_t)size : 0;
	return good ? 0 : -1;
}
