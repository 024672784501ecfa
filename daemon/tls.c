/*
 * tls.c - the server's side of TLS by OpenSSL.
 * Runs in: nursery, as root while it reads the certificate's file. Trusts: that file.
 */
#include "daemon/tls.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "daemon/conn.h"
#include "daemon/remote_key.h"

enum door tls_error_door(void)
{
	static const struct { int reason; enum door door; } doors[] = {
		{ SSL_R_UNSUPPORTED_PROTOCOL, DOOR_OLD_TLS },
		{ SSL_R_UNSUPPORTED_SSL_VERSION, DOOR_OLD_TLS },
		{ SSL_R_VERSION_TOO_LOW, DOOR_OLD_TLS },
		{ SSL_R_NO_SHARED_CIPHER, DOOR_OLD_TLS },
		{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, DOOR_OLD_TLS },
		{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, DOOR_DISTRUST },
		{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, DOOR_DISTRUST },
		{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, DOOR_DISTRUST },
		{ SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, DOOR_DISTRUST },
		{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, DOOR_DISTRUST },
		{ SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, DOOR_DISTRUST },
	};
	const int reason = ERR_GET_REASON(ERR_peek_error());
	for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++)
		if (doors[i].reason == reason)
			return doors[i].door;
	return DOOR_NONE;
}

/* pop3 is the one protocol spoken here (RFC 7301): a client that wants another one gets none of it (ALPACA). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen,
                           void *unused)
{
	static const unsigned char ours[] = "\x04pop3";
	unsigned char *chosen;
	(void)ssl;
	(void)unused;
	if (SSL_select_next_proto(&chosen, outlen, ours, sizeof ours - 1, in, inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * Of what the host's OpenSSL would agree to, only what needs nothing but signatures of its key: with RSA key exchange
 * (TLS 1.2) it would have to decrypt, and whoever decrypts for a gate would decrypt what was recorded, too. The suites of
 * TLS 1.3 are set apart and all fit.
 */
static int choose_algorithms(SSL_CTX *context)
{
	/* As in sign.c. SHA-1 and SHA-224 are no loss: a client of TLS 1.2 knows SHA-256. Not const, for OpenSSL's macro. */
	static char algorithms[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
	                           "RSA+SHA256:RSA+SHA384:RSA+SHA512";
	char names[4096];
	struct buf b = BUF_OVER(names);
	const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(context);
	for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
		const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
		const int exchange = SSL_CIPHER_get_kx_nid(suite);
		if (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe)
			(void)buf_printf(&b, "%s%s", b.len > 0 ? ":" : "", SSL_CIPHER_get_name(suite));
	}
	return SSL_CTX_set_cipher_list(context, buf_text(&b)) == 1 && SSL_CTX_set1_sigalgs_list(context, algorithms) == 1 ? 0 : -1;
}

static int set_policy(SSL_CTX *context, const struct settings *settings)
{
	SSL_CTX_set_min_proto_version(context, settings->tls_minimum == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	/* CLEANSE_PLAINTEXT: OpenSSL's buffers would keep passwords. */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
	/* Buffers are freed while a session idles; writes may come from another address the second time. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A client that sends key updates without end would keep a read within OpenSSL, where no deadline is looked at. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	/*
	 * No resumption: a ticket key in a gate could open another session. POP3 clients
	 * reconnect after minutes, and an ECDSA handshake is cheap beside the fork.
	 */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return choose_algorithms(context);
}

/* The certificate's key without its private part. 0, or -1 and OpenSSL's error queue. */
static int use_remote_key(SSL_CTX *context)
{
	EVP_PKEY *key = remote_key_new(X509_get0_pubkey(SSL_CTX_get0_certificate(context)));
	int r = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 ? 0 : -1;
	EVP_PKEY_free(key);
	return r;
}

static bool key_fits(const SSL_CTX *context)
{
	const EVP_PKEY *key = X509_get0_pubkey(SSL_CTX_get0_certificate(context));
	return key != NULL && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"));
}

/* ---- one of several certificates ---- */

/* What a context has of ours. */
struct link {
	uint32_t number;
	SSL_CTX *next;
};

static void free_link(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number, void *unused)
{
	struct link *link = data;
	(void)parent, (void)all, (void)index, (void)number, (void)unused;
	if (link != NULL)
		SSL_CTX_free(link->next);
	free(link);
}

static int link_index(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_link);
	return index;
}

static const struct link *link_of(const SSL_CTX *context)
{
	static const struct link none = { .next = NULL };
	const struct link *link = SSL_CTX_get_ex_data(context, link_index());
	return link != NULL ? link : &none;
}

static int set_link(SSL_CTX *context, uint32_t number)
{
	struct link *link = calloc(1, sizeof *link);
	if (link == NULL || SSL_CTX_set_ex_data(context, link_index(), link) != 1) {
		free(link);
		return -1;
	}
	link->number = number;
	return 0;
}

uint32_t tls_key_number(const SSL *ssl)
{
	return link_of(SSL_get_SSL_CTX(ssl))->number;
}

static int choose_certificate(SSL *ssl, int *alert, void *first)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	for (SSL_CTX *context = name != NULL ? first : NULL; context != NULL; context = link_of(context)->next)
		if (X509_check_host(SSL_CTX_get0_certificate(context), name, 0, 0, NULL) == 1)
			return SSL_set_SSL_CTX(ssl, context) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
	/* The first is for all other names. */
	return SSL_TLSEXT_ERR_OK;
}

/* The n-th certificate's. NULL, and a sentence. */
static SSL_CTX *context_of(const struct settings *settings, uint32_t n, char *problem, size_t size)
{
	const char *path = settings_path_at(settings->certificate, n);
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL) {
		(void)snprintf(problem, size, "TLS cannot be set up: %s", tls_error());
	} else if (SSL_CTX_use_certificate_chain_file(context, path) != 1) {
		(void)snprintf(problem, size, "certificate %s cannot be used: %s; it must hold the chain in PEM, the server's own first",
		               path, tls_error());
	} else if (!key_fits(context)) {
		(void)snprintf(problem, size, "certificate %s cannot be used: its key is neither RSA nor ECDSA", path);
	} else if (set_policy(context, settings) != 0 || use_remote_key(context) != 0 || set_link(context, n) != 0) {
		(void)snprintf(problem, size, "certificate %s cannot be used: %s", path, tls_error());
	} else {
		return context;
	}
	SSL_CTX_free(context);
	return NULL;
}

int tls_context_new(const struct settings *settings, SSL_CTX **context_r, char *problem, size_t size)
{
	SSL_CTX *first = NULL, **at = &first;
	*context_r = NULL;
	for (uint32_t n = 0; settings_path_at(settings->certificate, n) != NULL; n++) {
		*at = context_of(settings, n, problem, size);
		if (*at == NULL) {
			SSL_CTX_free(first);
			return -1;
		}
		at = &((struct link *)SSL_CTX_get_ex_data(*at, link_index()))->next;
	}
	/* One alone is for all names, and they are not looked at. */
	if (first != NULL && link_of(first)->next != NULL) {
		(void)SSL_CTX_set_tlsext_servername_callback(first, choose_certificate);
		(void)SSL_CTX_set_tlsext_servername_arg(first, first);
	}
	*context_r = first;
	return 0;
}

/* Let both ends go on until neither gets any further. */
static void shake_hands(SSL *server, SSL *client, void (*watch)(bool on))
{
	enum { ROUNDS = 8 };
	char octet;
	for (int i = 0; i < ROUNDS; i++) {
		(void)SSL_do_handshake(client);
		watch(true);
		(void)SSL_do_handshake(server);
		watch(false);
	}
	watch(true);
	(void)SSL_write(server, "+", 1);
	watch(false);
	(void)SSL_read(client, &octet, 1);
	(void)SSL_write(client, "-", 1);
	watch(true);
	(void)SSL_read(server, &octet, 1);
	watch(false);
}

static void talk_to_ourselves(SSL_CTX *context, SSL_CTX *client_context, void (*watch)(bool on))
{
	BIO *ours = NULL, *theirs = NULL;
	SSL *client = SSL_new(client_context);
	watch(true);
	SSL *server = SSL_new(context);
	watch(false);
	if (server != NULL && client != NULL && BIO_new_bio_pair(&ours, 0, &theirs, 0) == 1) {
		SSL_set_bio(server, ours, ours);
		SSL_set_bio(client, theirs, theirs);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		shake_hands(server, client, watch);
	}
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
}

/* A certificate for nobody; its key is gone with this call. */
static int use_passing_key(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	int good = key != NULL && certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	           X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL && X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
	           X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, EVP_sha256()) > 0 &&
	           SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1;
	X509_free(certificate);
	EVP_PKEY_free(key);
	return good ? 0 : -1;
}

void tls_warm_up(const struct settings *settings, SSL_CTX *context, void (*watch)(bool on))
{
	static struct { int newest; char group[8]; } clients[] = { /* not const, for OpenSSL's macro */
		{ TLS1_3_VERSION, "X25519" }, { TLS1_2_VERSION, "P-256" },
	};
	(void)conn_bio_method();
	SSL_CTX *passing = SSL_CTX_new(TLS_server_method());
	const bool usable = passing != NULL && set_policy(passing, settings) == 0 && use_passing_key(passing) == 0;
	for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
		SSL_CTX *client = SSL_CTX_new(TLS_client_method());
		if (client != NULL && SSL_CTX_set_max_proto_version(client, clients[i].newest) == 1 &&
		    SSL_CTX_set1_groups_list(client, clients[i].group) == 1) {
			if (usable)
				talk_to_ourselves(passing, client, watch);
			for (SSL_CTX *each = context; each != NULL; each = link_of(each)->next)
				talk_to_ourselves(each, client, watch);
		}
		SSL_CTX_free(client);
	}
	SSL_CTX_free(passing);
}

/* In seconds since 1970; 0: it does not say so. */
static int64_t end_of(const X509 *certificate)
{
	struct tm end;
	return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? (int64_t)timegm(&end) : 0;
}

void tls_certificates(const SSL_CTX *context, struct nursery_report *report)
{
	for (; context != NULL; context = link_of(context)->next) {
		const X509 *certificate = SSL_CTX_get0_certificate(context);
		const uint32_t n = link_of(context)->number;
		const int64_t end = end_of(certificate);
		if (X509_digest(certificate, EVP_sha256(), report->certificates[n], NULL) != 1)
			memset(report->certificates[n], 0, sizeof report->certificates[n]);
		if (end != 0 && (report->certificate_ends == 0 || end < report->certificate_ends)) {
			report->certificate_ends = end;
			report->ending = n;
		}
	}
}
