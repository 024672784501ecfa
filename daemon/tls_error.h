/*
 * tls_error.h - OpenSSL's words about what went wrong.
 * Runs in: gate nursery, gate, signer. Trusts: OpenSSL.
 */
#ifndef POSTERN_TLS_ERROR_H
#define POSTERN_TLS_ERROR_H

/* The first thing in OpenSSL's error queue as text, which is emptied. Static storage. */
const char *tls_error(void);

#endif
