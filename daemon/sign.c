/*
 * sign.c - what a gate may have signed: the table.
 * Runs in: gate, keeper, signer. Trusts: nothing that comes in.
 */
#include "daemon/sign.h"

#include <stddef.h>

#include "daemon/settings.h"

const struct sign_digest *sign_row(const struct sign_request *request)
{
	static const struct sign_digest digests[] = { { 32, "SHA256" }, { 48, "SHA384" }, { 64, "SHA512" } };
	if (request->key >= CERTIFICATES_MAX || request->scheme < SIGN_ECDSA || request->scheme > SIGN_RSA_PSS)
		return NULL;
	for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
		if (digests[i].size == request->size)
			return &digests[i];
	return NULL;
}
