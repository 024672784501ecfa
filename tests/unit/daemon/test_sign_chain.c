/*
 * test_sign_chain.c - daemon/sign_chain.c: certificates that mail programs would not trust, and those that they do.
 * Runs in: the tests.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "daemon/sign_chain.h"
#include "tests/unit/daemon/host.h"

enum { DAY = 24 * 3600 };
static const int64_t NOW = 1796000000;

static EVP_PKEY *key;

/* A certificate of that name, signed by one of the other name, for ten days from `begin` on. */
static X509 *make(const char *name, const char *issuer, int64_t begin)
{
	static long serial;
	X509 *x = X509_new();
	CU_ASSERT_FATAL(x != NULL && key != NULL);
	X509_NAME *subject = X509_NAME_new(), *by = X509_NAME_new();
	CU_ASSERT_FATAL(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1);
	CU_ASSERT_FATAL(X509_NAME_add_entry_by_txt(by, issuer[0] != '\0' ? "CN" : "C", MBSTRING_ASC, (const unsigned char *)(issuer[0] != '\0' ? issuer : "AT"), -1, -1, 0) == 1);
	CU_ASSERT_FATAL(X509_set_version(x, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial) == 1 &&
	                ASN1_TIME_set(X509_getm_notBefore(x), (time_t)begin) != NULL && ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(begin + 10 * DAY)) != NULL &&
	                X509_set_subject_name(x, subject) == 1 && X509_set_issuer_name(x, by) == 1 && X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0);
	X509_NAME_free(subject);
	X509_NAME_free(by);
	return x;
}

/* What is in a file: letters for certificates. */
static const char *put(const char *name, const char *letters)
{
	FILE *f = fopen(in_host(name), "we");
	CU_ASSERT_FATAL(f != NULL);
	for (; *letters != '\0'; letters++) {
		X509 *x = *letters == 'l' ? make("mail.example.org", "Middle", NOW - DAY) : *letters == 'm' ? make("Middle", "Top", NOW - DAY) :
		          *letters == 't' ? make("Top", "Top", NOW - DAY) : *letters == 's' ? make("self.example.org", "self.example.org", NOW - DAY) :
		          *letters == 'n' ? make("nameless.example.org", "", NOW - DAY) : make("later.example.org", "later.example.org", NOW + DAY);
		CU_ASSERT_FATAL(PEM_write_X509(f, x) == 1);
		X509_free(x);
	}
	CU_ASSERT_FATAL(fclose(f) == 0);
	return in_host(name);
}

/* l: the server's own, by m: an authority between, by t: an authority. s signs itself; n: by one without a name; f: from tomorrow on. */
static const struct {
	const char *label, *file;
	bool known;        /* the host has t */
	const char *words; /* NULL: nothing is wrong */
} rows[] = {
	{ "whole", "lm", true, NULL },
	{ "whole, with the authority", "lmt", true, NULL },
	{ "with an authority that the host does not know", "lmt", false, NULL },
	{ "in another order", "ltm", false, NULL },
	{ "alone", "l", true, "leads to \"Middle\", which is neither in that file nor known to this host" },
	{ "the one between is missing", "lt", true, "leads to \"Middle\"" },
	{ "an authority that the host does not know", "lm", false, "leads to \"Top\"" },
	{ "twice", "ll", true, "leads to \"Middle\"" },
	{ "signs itself", "s", false, NULL },
	{ "signed by one without a name", "n", true, "leads to \"an authority without a name\"" },
	{ "later", "f", true, "holds from 2026-12-01 on" },
	{ "no certificate", "", true, NULL },
	{ "more than are read", "lmmmmmmmmmmmmmmmmmmmm", true, NULL },
};

static void test_doubts(void)
{
	host_make();
	key = EVP_EC_gen("P-256");
	CU_ASSERT_FATAL(setenv("SSL_CERT_DIR", in_host("none"), 1) == 0);
	(void)put("top.pem", "t");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[512] = "not set", path[512];
		(void)snprintf(path, sizeof path, "%s", put("cert.pem", rows[i].file));
		CU_ASSERT_FATAL(setenv("SSL_CERT_FILE", in_host(rows[i].known ? "top.pem" : "none.pem"), 1) == 0);
		certificate_doubt(path, NOW, text, sizeof text);
		ROW_ASSERT(rows[i].label, (text[0] == '\0') == (rows[i].words == NULL));
		if (rows[i].words != NULL && (strstr(text, rows[i].words) == NULL || strstr(text, path) == NULL))
			ROW_TEXT(rows[i].label, text, rows[i].words);
	}
	char small[16] = "not set", text[512];
	certificate_doubt(put("cert.pem", "l"), NOW, small, sizeof small);
	CU_ASSERT(strlen(small) == sizeof small - 1);
	certificate_doubt(in_host("missing"), NOW, text, sizeof text);
	CU_ASSERT(text[0] == '\0');
	EVP_PKEY_free(key);
	host_remove();
}

#define TESTS(X) X(test_doubts)
SUITE("sign_chain")
