/*
 * remote_key.h - a key for OpenSSL whose private part is somewhere else: who signs is asked by a call.
 * Runs in: gate nursery (makes it), gate (uses it). Trusts: who signs.
 */
#ifndef POSTERN_REMOTE_KEY_H
#define POSTERN_REMOTE_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "daemon/sign.h"

/* Get a signature. False: there is none, and the handshake fails. */
typedef bool remote_signer(void *context, const struct sign_request *request, struct sign_answer *answer_r);

/* The key to that public key, RSA or EC; to be given to SSL_CTX_use_PrivateKey(). NULL, and OpenSSL's error queue. */
EVP_PKEY *remote_key_new(const EVP_PKEY *public_key);

/* From now on this process's signatures come from there; NULL: from nowhere. One at a time: a gate has one connection. */
void remote_key_signs(remote_signer *signer, void *context);

#endif
