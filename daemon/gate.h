/*
 * gate.h - one connection from greeting to goodbye.
 * Runs in: gate. Trusts: the keeper; nothing from the client.
 */
#ifndef POSTERN_GATE_H
#define POSTERN_GATE_H

#include <openssl/ssl.h>

#include "daemon/settings.h"

/* Before a login, each an absolute time that no octet prolongs, and all within login_seconds. */
enum {
	TLS_SECONDS = 30,      /* a handshake */
	COMMAND_SECONDS = 60,  /* a whole line */
};

/* Wait for a connection on the keeper's socket (borrowed), serve it, and end the process. */
_Noreturn void gate_serve(int keeper, SSL_CTX *context, const struct settings *settings);

#endif
