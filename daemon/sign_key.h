/*
 * sign_key.h - the private key: reading it, and signing with it.
 * Runs in: signer, as root while it reads the key file. Trusts: the certificate's files.
 */
#ifndef POSTERN_SIGN_KEY_H
#define POSTERN_SIGN_KEY_H

#include <openssl/evp.h>

#include "daemon/settings.h"
#include "daemon/sign.h"

/*
 * The settings' n-th key, from 0 on, which must be the one of their n-th certificate; certificate_r is that one's SHA-256.
 * 0, or -1 and a sentence in problem (size octets) that says what is wrong with which file.
 */
int sign_key_load(const struct settings *settings, size_t n, EVP_PKEY **key_r, uint8_t certificate_r[SIGN_CERTIFICATE], char *problem, size_t size);

/* Sign. 0, or -1: the request is not one for this key. */
int sign_with(EVP_PKEY *key, const struct sign_request *request, struct sign_answer *answer_r);

#endif
