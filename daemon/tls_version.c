/*
 * tls_version.c - names of TLS versions, apart from tls.c so that the keeper can log them without OpenSSL.
 * Runs in: keeper, gate. Trusts: nothing.
 */
#include "daemon/tls_version.h"

const char *tls_version_text(unsigned version)
{
	switch (version) {
	case 0: return "none";
	case 0x0303: return "TLSv1.2";
	case 0x0304: return "TLSv1.3";
	default: return "unknown";
	}
}
