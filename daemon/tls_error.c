/*
 * tls_error.c - OpenSSL's words about what went wrong.
 * Runs in: gate nursery, gate, signer. Trusts: OpenSSL.
 */
#include "daemon/tls_error.h"

#include <openssl/err.h>
#include <stdio.h>

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
