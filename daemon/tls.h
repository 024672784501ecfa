/*
 * tls.h - the server's side of TLS by OpenSSL.
 * Runs in: nursery (makes the context, as root for the key file, once), gate (uses it). Trusts: the certificate's files.
 */
#ifndef POSTERN_TLS_H
#define POSTERN_TLS_H

#include <openssl/ssl.h>

#include "daemon/doors.h"
#include "daemon/settings.h"

/*
 * A context from the settings' certificate chain and key; *context_r is NULL when none is set.
 * 0, or -1 and a sentence in problem (size octets) that says what is wrong with which file.
 */
int tls_context_new(const struct settings *settings, SSL_CTX **context_r, char *problem, size_t size);

/*
 * One handshake and one message with ourselves, in memory: what OpenSSL fetches, caches and allocates on first use
 * is then there before gates are forked, and shared by them. Its result does not matter.
 */
void tls_warm_up(SSL_CTX *context);

/* The wrong door that the first thing in OpenSSL's error queue shows: DOOR_OLD_TLS, DOOR_DISTRUST, or DOOR_NONE. */
enum door tls_error_door(void);

/* The first thing in OpenSSL's error queue as text, which is emptied. Static storage. */
const char *tls_error(void);

#endif
