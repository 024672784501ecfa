/*
 * tls_version.h - names of TLS versions, for the log.
 * Runs in: keeper, gate. Trusts: nothing.
 */
#ifndef POSTERN_TLS_VERSION_H
#define POSTERN_TLS_VERSION_H

/* "TLSv1.3" and so on for the protocol's own number (0x0304); "none" for 0. */
const char *tls_version_text(unsigned version);

#endif
