/*
 * signer.c - the program posternd-sign: holds the private key, and signs one digest for each request of a keeper.
 * Runs in: signer; as root while it reads certificate and key, then as the gate's user in an empty root directory.
 * Trusts: the master, the settings, the certificate's files; nothing in a request. Reads no octet of a client.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"
#include "daemon/sign_chain.h"
#include "daemon/sign_key.h"
#include "daemon/started.h"

/* Have all who could ask closed their ends, the master first of all? */
static bool alone(void)
{
	struct pollfd p = { .fd = NURSERY_CHANNEL_FD };
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* Does who asked still wait? A handshake that was given up need not be signed for. A signal may keep poll(2) from knowing. */
static bool awaited(int back)
{
	struct pollfd p = { .fd = back };
	return poll(&p, 1, 0) != 1;
}

/* One for each certificate of the settings. */
static struct keys {
	size_t count;
	EVP_PKEY *list[CERTIFICATES_MAX];
} keys;

static void answer(const struct sign_request *request, size_t size, int back)
{
	struct sign_answer signature = { .size = 0 };
	if (size != sizeof *request || request->key >= keys.count || sign_with(keys.list[request->key], request, &signature) != 0)
		log_line(LOG_WARNING, "a request that is not signed: %zu octets", size);
	/* The one message that this socket ever carries: there is room, and nobody is waited for. */
	(void)send(back, &signature, sizeof signature, MSG_NOSIGNAL | MSG_DONTWAIT);
	explicit_bzero(&signature, sizeof signature);
}

static void serve(void)
{
	for (;;) {
		struct sign_request request;
		int back;
		ssize_t n = rpc_receive(NURSERY_CHANNEL_FD, &request, sizeof request, &back);
		/* A reset comes first where the master has gone without reading that we are ready. */
		if (n < 0 && errno != EPROTO && errno != ECONNRESET)
			fatal("requests");
		if (n == 0 && back < 0 && alone())
			return;
		if (back >= 0 && awaited(back))
			answer(&request, (size_t)n, back);
		if (back >= 0)
			(void)close(back);
	}
}

/* One signature now, while a library can still be read: what OpenSSL fetches on first use is then there. */
static void try_key(EVP_PKEY *key)
{
	struct sign_request request = { .scheme = EVP_PKEY_is_a(key, "EC") ? SIGN_ECDSA : SIGN_RSA_PSS, .size = 32 };
	struct sign_answer signature;
	if (sign_with(key, &request, &signature) != 0)
		give_up("the key does not sign");
}

/* All of them; and of the first certificate that mail programs may hold something against, a sentence. */
static void load_keys(const struct settings *settings, struct nursery_report *ready)
{
	char problem[NURSERY_TEXT_MAX];
	const char *path;
	for (; (path = settings_path_at(settings->certificate, keys.count)) != NULL; keys.count++) {
		EVP_PKEY **key = &keys.list[keys.count];
		if (sign_key_load(settings, keys.count, key, ready->certificates[keys.count], problem, sizeof problem) != 0)
			give_up(problem);
		try_key(*key);
		if (ready->text[0] == '\0')
			certificate_doubt(path, time(NULL), ready->text, sizeof ready->text);
	}
}

int main(int argc, char **argv)
{
	static struct nursery_report ready = { .verb = NURSERY_READY };
	(void)argc;
	(void)argv;
	const struct nursery_orders *orders = started_by_master("posternd-sign", "signer");
	/* Before there is anything to be seen: no core file, no ptrace(2), no /proc/PID/mem but for root. */
	if (prctl(PR_SET_DUMPABLE, INSTRUMENTED, 0, 0, 0) != 0)
		fatal("prctl");
	load_keys(&orders->settings, &ready);
	/* Never to swap. A host that does not let us may have encrypted that, too. */
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	give_up_rights(orders, "sign", SANDBOX_SIGNER);
	(void)report_to_master(&ready);
	serve();
	leave(EXIT_GOOD);
}
