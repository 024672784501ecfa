/*
 * tlslimit - the speed limit of this machine for POP3 over TLS.
 *
 * As poplimit: canned answers and no work, here one process a connection, and RETR is a bare loop of SSL_write() over a
 * message that lies in memory in wire form, in pieces that fill a TLS record each (or of -b octets). A server that reads
 * and encodes its mail has that to do besides, so a result is quoted as a fraction of this one.
 *
 * usage: tlslimit [-b octets] PORT MESSAGES WIRE-FILE CERTIFICATE KEY     (binds 127.0.0.1 only; TLS from the start)
 * WIRE-FILE: one message as RETR sends it (CRLF, dot-stuffed), without the status line and the final dot.
 * Build: cc -O2 -o tlslimit tlslimit.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *text;
static size_t size, piece = 16384;
static long messages;

static int all(SSL *ssl, const char *p, size_t n)
{
	for (size_t take; n > 0; p += take, n -= take) {
		take = n < piece ? n : piece;
		if (SSL_write(ssl, p, (int)take) <= 0) return -1;
	}
	return 0;
}

static int command(SSL *ssl, const char *line)
{
	char b[128];
	if (!strncasecmp(line, "RETR", 4)) {
		int n = snprintf(b, sizeof b, "+OK %zu octets\r\n", size);
		return all(ssl, b, (size_t)n) || all(ssl, text, size) || all(ssl, ".\r\n", 3) ? -1 : 0;
	}
	if (!strncasecmp(line, "STAT", 4)) return all(ssl, b, (size_t)snprintf(b, sizeof b, "+OK %ld %ld\r\n", messages, messages * (long)size));
	if (!strncasecmp(line, "QUIT", 4)) { all(ssl, "+OK\r\n", 5); return -1; }
	return all(ssl, "+OK\r\n", 5);
}

static void serve(SSL *ssl)
{
	char in[4096], *nl;
	size_t len = 0;
	int n;
	if (SSL_accept(ssl) != 1 || all(ssl, "+OK\r\n", 5)) return;
	while ((n = SSL_read(ssl, in + len, (int)(sizeof in - len))) > 0) {
		len += (size_t)n;
		while ((nl = memchr(in, '\n', len))) {
			*nl = 0;
			if (command(ssl, in)) return;
			size_t used = (size_t)(nl + 1 - in);
			memmove(in, nl + 1, len -= used);
		}
	}
}

/* So that the processor time of who has ended counts as the children's of this process (bench/cpu.sh). */
static void reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0) ;
}

int main(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "b:")) != -1) if (o == 'b') piece = strtoul(optarg, NULL, 10);
	argv += optind;
	if (argc - optind != 5 || piece == 0) { fputs("usage: tlslimit [-b octets] PORT MESSAGES WIRE-FILE CERTIFICATE KEY\n", stderr); return 2; }
	messages = atol(argv[1]);
	int file = open(argv[2], O_RDONLY), one = 1;
	struct stat st;
	if (file < 0 || fstat(file, &st)) { perror(argv[2]); return 2; }
	size = (size_t)st.st_size;
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (text == MAP_FAILED || SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 || SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1) {
		fputs("tlslimit: certificate or key\n", stderr);
		return 2;
	}
	SSL_CTX_set_num_tickets(context, 0);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[0])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) { perror("listen"); return 2; }
	signal(SIGCHLD, reap);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(l, NULL, NULL);
		if (fd < 0) continue;
		if (fork() == 0) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			SSL *ssl = SSL_new(context);
			SSL_set_fd(ssl, fd);
			serve(ssl);
			SSL_shutdown(ssl);
			_exit(0);
		}
		close(fd);
	}
}
