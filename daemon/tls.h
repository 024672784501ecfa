/*
 * tls.h - the server's side of TLS by OpenSSL.
 * Runs in: nursery (makes the context, as root for the certificate's file, once), gate (uses it). Trusts: the certificate's file.
 */
#ifndef POSTERN_TLS_H
#define POSTERN_TLS_H

#include <openssl/ssl.h>

#include "daemon/contract.h"
#include "daemon/doors.h"
#include "daemon/settings.h"
#include "daemon/sign.h"
#include "daemon/tls_error.h"

/*
 * A context from the settings' certificate chain; *context_r is NULL when none is set. Its key signs by
 * remote_key_signs(): the key file is not read. Of several certificates each has a context: the first is given, and has the others.
 * A client that names a host (RFC 6066) gets the first whose certificate is for that name, or else the first. 0, or -1 and a sentence in problem (size octets) that says what is wrong
 * with which file.
 */
int tls_context_new(const struct settings *settings, SSL_CTX **context_r, char *problem, size_t size);

/*
 * SHA-256 of each certificate, to which the signer's keys must belong; the one that ends first, and when. One that does not say so in a
 * way that OpenSSL understands does not count.
 */
void tls_certificates(const SSL_CTX *context, struct nursery_report *report);

/* That of which certificate is the key of this connection? */
uint32_t tls_key_number(const SSL *ssl);

/*
 * Handshakes and messages with ourselves, in memory, with a key and a certificate made for it; then with the context, as
 * far as it comes without a signature; each in the ways that clients do it. What OpenSSL fetches, caches and allocates on
 * first use is then there before gates are forked, and shared by them. The result does not matter.
 * watch is told when the server's end of it begins to work, and when it ends: tls_heap_watch().
 */
void tls_warm_up(const struct settings *settings, SSL_CTX *context, void (*watch)(bool on));

/* The wrong door that the first thing in OpenSSL's error queue shows: DOOR_OLD_TLS, DOOR_DISTRUST, or DOOR_NONE. */
enum door tls_error_door(void);

#endif
