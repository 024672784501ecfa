/*
 * sign_chain.c - will mail programs trust the certificate?
 * Runs in: signer, as root while it reads the certificate's file. Trusts: that file, and the host's authorities.
 */
#include "daemon/sign_chain.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CHAIN_MAX = 16, NAME_MAX_SHOWN = 128, DATE_MAX = 16 };

struct chain {
	X509 *list[CHAIN_MAX];      /* the server's own first */
	size_t count;
};

static void read_chain(const char *path, struct chain *c)
{
	BIO *bio = BIO_new_file(path, "r");
	c->count = 0;
	while (bio != NULL && c->count < CHAIN_MAX && (c->list[c->count] = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL)
		c->count++;
	BIO_free(bio);
}

static bool signs(X509 *issuer, X509 *certificate)
{
	return X509_check_issued(issuer, certificate) == X509_V_OK;
}

/* Has the host the authority that signed it (ca-certificates)? Mail programs know much the same ones. */
static bool is_signed_by_known(X509 *certificate)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	const bool is = store != NULL && context != NULL && X509_STORE_set_default_paths(store) == 1 &&
	                X509_STORE_CTX_init(context, store, certificate, NULL) == 1 && X509_STORE_CTX_get1_issuer(&issuer, context, certificate) == 1;
	X509_free(issuer);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return is;
}

/* The last certificate on the way from the server's own to an authority, if the way ends before one; else NULL. */
static X509 *broken_end(const struct chain *c)
{
	X509 *at = c->list[0];
	for (size_t steps = 0; steps < c->count; steps++) {
		size_t i = 0;
		if (signs(at, at))
			return NULL;
		while (i < c->count && !signs(c->list[i], at))
			i++;
		if (i == c->count)
			return is_signed_by_known(at) ? NULL : at;
		at = c->list[i];
	}
	return NULL;
}

/* Who signed it: the name that people know it by. */
static void issuer_name(const X509 *certificate, char name[NAME_MAX_SHOWN])
{
	const X509_NAME *issuer = X509_get_issuer_name(certificate);
	if (X509_NAME_get_text_by_NID(issuer, NID_commonName, name, NAME_MAX_SHOWN) <= 0 &&
	    X509_NAME_get_text_by_NID(issuer, NID_organizationName, name, NAME_MAX_SHOWN) <= 0)
		(void)snprintf(name, NAME_MAX_SHOWN, "an authority without a name");
}

void certificate_doubt(const char *path, int64_t now, char *text_r, size_t size)
{
	struct chain c;
	struct tm begin;
	char name[NAME_MAX_SHOWN], date[DATE_MAX];
	X509 *end;
	text_r[0] = '\0';
	read_chain(path, &c);
	if (c.count > 0 && ASN1_TIME_to_tm(X509_get0_notBefore(c.list[0]), &begin) == 1 && (int64_t)timegm(&begin) > now) {
		(void)strftime(date, sizeof date, "%Y-%m-%d", &begin);
		(void)snprintf(text_r, size, "certificate %s holds from %s on, and mail programs refuse it until then; if that day is past, set this host's clock", path, date);
	} else if (c.count > 0 && (end = broken_end(&c)) != NULL) {
		issuer_name(end, name);
		(void)snprintf(text_r, size, "certificate %s leads to \"%s\", which is neither in that file nor known to this host, so mail programs that do not know it will refuse "
		               "the certificate; the file has to hold the whole chain, the server's own first (certbot: fullchain.pem)", path, name);
	}
	while (c.count > 0)
		X509_free(c.list[--c.count]);
	ERR_clear_error();
}
