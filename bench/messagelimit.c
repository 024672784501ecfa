/*
 * messagelimit - the speed limit of this machine for the messages of a POP3 server, one process a connection.
 *
 * As poplimit: canned answers and nothing looked after: no password, no lock, no list, no sandbox. What RETR has to do is chosen:
 * without -r the message lies in memory in wire form, so that over TLS RETR is a bare loop of SSL_write() in pieces that fill a
 * record each (or of -b octets); with -r it is a file of the Maildir DIRECTORY, as it was delivered, which is read and encoded (by
 * base/wire_encode.c, that of posternd) in pieces of -b octets (131072). So a result of -r over one without says what reading and
 * encoding cost whoever does them, and ours over one of -r what is left for us to gain.
 *
 * usage: messagelimit [-b octets] [-r DIRECTORY] PORT MESSAGES WIRE-FILE [CERTIFICATE KEY]     (binds 127.0.0.1 only; with a
 * certificate TLS from the start)
 * MESSAGES: how many STAT says there are; with -r as many as the files.
 * WIRE-FILE: one message as RETR sends it (CRLF, dot-stuffed), without the status line and the final dot.
 * Build: cc -O2 -I. -o messagelimit bench/messagelimit.c base/wire.c base/wire_encode.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"

enum { RECORD = 16384, READ = 131072, NAMES = 100000 };

static SSL_CTX *context;
static char *text;
static size_t size, piece;
static long messages;
static int store = -1;
static char *names[NAMES];
static long named;

/* A connection: ssl is NULL in clear. Answers to commands that came together go out together. */
static int client;
static SSL *ssl;
static char out[2 * WIRE_ROOM(READ)];
static size_t held;

static int all(const char *p, size_t n, int flags)
{
	while (n > 0) {
		size_t take = ssl && n > RECORD ? RECORD : n;
		ssize_t sent = ssl ? SSL_write(ssl, p, (int)take) : send(client, p, take, flags);
		if (sent <= 0) return -1;
		p += sent; n -= (size_t)sent;
	}
	return 0;
}

static int flush(int flags)
{
	size_t n = held;
	held = 0;
	return all(out, n, flags);
}

static int make_room(size_t n)
{
	return sizeof out - held < n ? flush(MSG_MORE) : 0;
}

static int canned(void)
{
	if (flush(MSG_MORE)) return -1;
	for (size_t at = 0, take; at < size; at += take) {
		take = size - at < piece ? size - at : piece;
		if (all(text + at, take, MSG_MORE)) return -1;
	}
	return 0;
}

static int stored(long number)
{
	static char raw[READ];
	struct wire wire = WIRE_START;
	ssize_t n;
	int file = openat(store, names[number % named], O_RDONLY);
	if (file < 0) return -1;
	while ((n = read(file, raw, piece)) > 0) {
		if (make_room(WIRE_ROOM((size_t)n))) return -1;
		held += wire_encode(&wire, raw, (size_t)n, out + held);
		if ((size_t)n < piece) break;
	}
	close(file);
	if (n < 0 || make_room(WIRE_ROOM(0))) return -1;
	held += wire_encode_end(&wire, out + held);
	return 0;
}

static int say(const char *format, ...)
{
	va_list arguments;
	if (make_room(128)) return -1;
	va_start(arguments, format);
	held += (size_t)vsnprintf(out + held, 128, format, arguments);
	va_end(arguments);
	return 0;
}

static int command(const char *line)
{
	if (!strncasecmp(line, "RETR", 4)) return say("+OK %zu octets\r\n", size) || (named ? stored(atol(line + 4)) : canned()) || say(".\r\n") ? -1 : 0;
	if (!strncasecmp(line, "STAT", 4)) return say("+OK %ld %ld\r\n", messages, messages * (long)size);
	return say("+OK\r\n") || !strncasecmp(line, "QUIT", 4) ? -1 : 0;
}

static void serve(void)
{
	char in[4096], *nl;
	size_t len = 0;
	ssize_t n;
	if ((ssl && SSL_accept(ssl) != 1) || say("+OK\r\n") || flush(0)) return;
	while ((n = ssl ? SSL_read(ssl, in + len, (int)(sizeof in - len)) : recv(client, in + len, sizeof in - len, 0)) > 0) {
		len += (size_t)n;
		while ((nl = memchr(in, '\n', len))) {
			*nl = 0;
			if (command(in)) {
				flush(0);
				return;
			}
			size_t used = (size_t)(nl + 1 - in);
			memmove(in, nl + 1, len -= used);
		}
		if (flush(0)) return;
	}
}

/* So that the processor time of who has ended counts as the children's of this process (bench/cpu.sh). */
static void reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0) ;
}

static int find_stored(const char *directory)
{
	DIR *d = opendir(directory);
	if (!d) return -1;
	for (struct dirent *e; (e = readdir(d)) && named < NAMES; )
		if (e->d_name[0] != '.') names[named++] = strdup(e->d_name);
	store = dirfd(d);
	return named ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int o;
	while ((o = getopt(argc, argv, "b:r:")) != -1) {
		if (o == 'b') piece = strtoul(optarg, NULL, 10);
		if (o == 'r') directory = optarg;
	}
	argv += optind;
	if (piece == 0) piece = directory ? READ : RECORD;
	if ((argc - optind != 3 && argc - optind != 5) || piece > READ) { fputs("usage: messagelimit [-b octets] [-r directory] PORT MESSAGES WIRE-FILE [CERTIFICATE KEY]\n", stderr); return 2; }
	messages = atol(argv[1]);
	int file = open(argv[2], O_RDONLY), one = 1;
	struct stat st;
	if (file < 0 || fstat(file, &st)) { perror(argv[2]); return 2; }
	if (directory && find_stored(directory)) { perror(directory); return 2; }
	if (named) messages = named;
	size = (size_t)st.st_size;
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	if (text == MAP_FAILED) { perror(argv[2]); return 2; }
	if (argc - optind == 5) {
		context = SSL_CTX_new(TLS_server_method());
		if (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 || SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1) {
			fputs("messagelimit: certificate or key\n", stderr);
			return 2;
		}
		SSL_CTX_set_num_tickets(context, 0);
	}
	int l = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[0])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) { perror("listen"); return 2; }
	signal(SIGCHLD, reap);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		client = accept(l, NULL, NULL);
		if (client < 0) continue;
		if (fork() == 0) {
			setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			if (context) {
				ssl = SSL_new(context);
				SSL_set_fd(ssl, client);
			}
			serve();
			if (ssl) SSL_shutdown(ssl);
			_exit(0);
		}
		close(client);
	}
}
