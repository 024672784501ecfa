/*
 * sign.h - what a gate may have signed, and by whom: the request goes from the gate by RPC_SIGN to its keeper, and from
 * there to the signer, which holds the key. A digest and one of a few algorithms, nothing else.
 * Runs in: gate, keeper, signer. Trusts: nothing that comes in: keeper and signer both look at it by sign_row().
 */
#ifndef POSTERN_SIGN_H
#define POSTERN_SIGN_H

#include <stdint.h>

enum {
	SIGN_DIGEST_MAX = 64,
	SIGNATURE_MAX = 1024,     /* an RSA key of 8192 bits */
	SIGN_CERTIFICATE = 32,    /* SHA-256 of a certificate */
};

/* How a digest is signed. In TLS 1.2 any of the digests goes with any curve; 1.3 has one for each. */
enum sign_scheme { SIGN_ECDSA = 1, SIGN_RSA_PKCS1, SIGN_RSA_PSS };

struct sign_request {
	uint32_t key;             /* that of which certificate of the settings, from 0 on */
	uint32_t scheme;          /* enum sign_scheme */
	uint32_t size;            /* octets of the digest: which says which one it is */
	uint8_t digest[SIGN_DIGEST_MAX];
};

struct sign_answer {
	uint32_t size;            /* octets of the signature; 0: there is none */
	uint8_t octets[SIGNATURE_MAX];
};

/* A digest: its octets and its name with OpenSSL. */
struct sign_digest {
	uint32_t size;
	const char *name;
};

/* The digest that is to be signed, or NULL: not one of those that are signed. */
const struct sign_digest *sign_row(const struct sign_request *request);

#endif
