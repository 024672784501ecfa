/*
 * sign_chain.h - will mail programs trust the certificate?
 * Runs in: signer, as root while it reads the certificate's file. Trusts: that file, and the host's authorities.
 */
#ifndef POSTERN_SIGN_CHAIN_H
#define POSTERN_SIGN_CHAIN_H

#include <stddef.h>
#include <stdint.h>

/*
 * A sentence on what mail programs may hold against the certificate in the file at `now`, seconds since 1970, and on what to do: it holds later
 * only, or its chain is not whole; "" if there is nothing. One that signs itself is its owner's business. The file is one that can be used.
 */
void certificate_doubt(const char *path, int64_t now, char *text_r, size_t size);

#endif
