/*
 * inetd - for servers that want to be started for each connection, with it as standard input and output; as little work as it can be.
 *
 * usage: inetd PORT PROGRAM [ARGUMENTS]     (binds 127.0.0.1 only)
 * Build: cc -O2 -o inetd inetd.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3) { fputs("usage: inetd PORT PROGRAM [ARGUMENTS]\n", stderr); return 2; }
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(listener, (void *)&a, sizeof a) || listen(listener, 1024)) { perror("listen"); return 2; }
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) continue;
		if (vfork() == 0) {
			dup2(fd, 0);
			dup2(fd, 1);
			execv(argv[2], argv + 2);
			_exit(127);
		}
		close(fd);
	}
}
