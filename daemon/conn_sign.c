/*
 * conn_sign.c - the signature of a TLS handshake, asked of the keeper: the gate has no key.
 * Runs in: gate. Trusts: the keeper.
 */
#include <unistd.h>

#include "daemon/conn.h"
#include "daemon/tls.h"

bool conn_sign(void *context, const struct sign_request *request, struct sign_answer *answer_r)
{
	struct conn *c = context;
	struct rpc_sign ask = { .verb = RPC_SIGN, .request = *request };
	union rpc_message message;
	int fd;
	ask.request.key = tls_key_number(c->ssl);
	c->no_signature = true;
	c->keeper_lost = c->keeper_lost || rpc_send(c->keeper, &ask, sizeof ask, -1) != 0;
	while (!c->keeper_lost) {
		ssize_t n = rpc_receive(c->keeper, &message, sizeof message, &fd);
		if (fd >= 0)
			(void)close(fd);
		if (n == (ssize_t)sizeof message.signature && message.verb == RPC_SIGN) {
			*answer_r = message.signature.answer;
			c->no_signature = answer_r->size == 0;
			return !c->no_signature;
		}
		if (n == (ssize_t)sizeof message.stop && message.verb == RPC_STOP)
			conn_take_stop(c, &message.stop);
		else
			c->keeper_lost = true;
	}
	return false;
}
