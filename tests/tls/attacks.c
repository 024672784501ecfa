/*
 * attacks.c - a TLS client that does what no library does by itself. Says what came of it in one line.
 * Runs in: the tests. Trusts: nothing; checks no certificate.
 *
 * usage: attacks ADDRESS PORT keyupdate|keyupdate-asked|renegotiate|empty TIMES
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURN_MS = 30000 };

static SSL *ssl;

/* What the server says meanwhile is read, or its answers to us would fill the connection. False: it has closed. */
static int hear(void)
{
	char waste[4096];
	struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };
	while (poll(&p, 1, 0) > 0) {
		int n = SSL_read(ssl, waste, sizeof waste);
		if (n <= 0 && SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
			return 0;
		if (n <= 0)
			break;
	}
	return 1;
}

/* One of what was asked for. False: the server does not take it any more. */
static int attack(const char *kind)
{
	if (strcmp(kind, "keyupdate") == 0 || strcmp(kind, "keyupdate-asked") == 0) {
		int type = strcmp(kind, "keyupdate") == 0 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED;
		if (SSL_key_update(ssl, type) != 1)
			return 0;
	} else if (strcmp(kind, "renegotiate") == 0 && SSL_renegotiate(ssl) != 1) {
		return 0;
	}
	for (int n; (n = SSL_do_handshake(ssl)) != 1;) {
		int error = SSL_get_error(ssl, n);
		struct pollfd p = { .fd = SSL_get_fd(ssl), .events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT };
		if ((error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) || poll(&p, 1, TURN_MS) <= 0)
			return 0;
		if (error == SSL_ERROR_WANT_WRITE && !hear())
			return 0;
	}
	return hear();
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	if (argc != 5)
		return 64;
	(void)signal(SIGPIPE, SIG_IGN);
	address.sin_port = htons((unsigned short)atoi(argv[2]));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return 1;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (strcmp(argv[3], "renegotiate") == 0)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	ssl = SSL_new(context);
	if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		return 1;
	(void)printf("connected by %s\n", SSL_get_version(ssl));
	(void)fflush(stdout);
	long done = 0, times = atol(argv[4]);
	/* Sends without waiting. */
	struct timeval limit = { .tv_sec = TURN_MS / 1000 };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	while (done < times && attack(argv[3]))
		done++;
	/* Still there? */
	const char *noop = "NOOP\r\n";
	char answer[512] = "";
	int n = done == times && SSL_write(ssl, noop, (int)strlen(noop)) > 0 ? 0 : -1;
	while (n == 0) {
		n = SSL_read(ssl, answer, sizeof answer - 1);
		if (n <= 0 && SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ)
			n = 0;
	}
	answer[n > 0 ? n : 0] = '\0';
	(void)printf("%ld of %ld, then %s\n", done, times, n > 0 ? answer : "closed\n");
	return 0;
}
