/*
 * tls.c - the server's side of TLS by OpenSSL.
 * Runs in: nursery, as root while it reads the key file. Trusts: the certificate's files.
 */
#include "daemon/tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

const char *tls_error(void)
{
	static char text[256];
	unsigned long code = ERR_get_error();
	if (code == 0)
		return "no reason given";
	const char *reason = ERR_reason_error_string(code);
	if (reason != NULL)
		(void)snprintf(text, sizeof text, "%s", reason);
	else
		ERR_error_string_n(code, text, sizeof text);
	ERR_clear_error();
	return text;
}

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

static void set_policy(SSL_CTX *context, const struct settings *settings)
{
	SSL_CTX_set_min_proto_version(context, settings->tls_minimum == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                    SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Buffers are freed while a session idles; writes may come from another address the second time. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/*
	 * No resumption: a ticket key in a gate could open another session. POP3 clients
	 * reconnect after minutes, and an ECDSA handshake is cheap beside the fork.
	 */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

int tls_context_new(const struct settings *settings, SSL_CTX **context_r, char *problem, size_t size)
{
	SSL_CTX *context = NULL;
	*context_r = NULL;
	if (settings->certificate[0] == '\0')
		return 0;
	ERR_clear_error();
	context = SSL_CTX_new(TLS_server_method());
	if (context == NULL) {
		(void)snprintf(problem, size, "TLS cannot be set up: %s", tls_error());
	} else if (SSL_CTX_use_certificate_chain_file(context, settings->certificate) != 1) {
		(void)snprintf(problem, size, "certificate %s cannot be used: %s; it must hold the chain in PEM, the server's own first",
		               settings->certificate, tls_error());
	} else if (SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) != 1) {
		(void)snprintf(problem, size, "key %s cannot be used with certificate %s: %s; it must be the PEM key of that certificate, without a pass phrase",
		               settings->key, settings->certificate, tls_error());
	} else if (SSL_CTX_check_private_key(context) != 1) {
		(void)snprintf(problem, size, "key %s does not belong to certificate %s", settings->key, settings->certificate);
	} else {
		set_policy(context, settings);
		*context_r = context;
		return 0;
	}
	SSL_CTX_free(context);
	return -1;
}

/* Let both ends go on until neither gets any further. */
static void shake_hands(SSL *server, SSL *client)
{
	enum { ROUNDS = 8 };
	char octet;
	for (int i = 0; i < ROUNDS; i++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
	}
	(void)SSL_write(server, "+", 1);
	(void)SSL_read(client, &octet, 1);
	(void)SSL_write(client, "-", 1);
	(void)SSL_read(server, &octet, 1);
}

void tls_warm_up(SSL_CTX *context)
{
	SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
	SSL *server = SSL_new(context), *client = client_context != NULL ? SSL_new(client_context) : NULL;
	BIO *ours = NULL, *theirs = NULL;
	if (server != NULL && client != NULL && BIO_new_bio_pair(&ours, 0, &theirs, 0) == 1) {
		SSL_set_bio(server, ours, ours);
		SSL_set_bio(client, theirs, theirs);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		shake_hands(server, client);
	}
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_context);
	ERR_clear_error();
}
