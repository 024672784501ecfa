/*
 * recorder_answer.c - a user's question to the history, and the answer.
 * Runs in: a child of the recorder (answer_question()), the postern command (ask_history()).
 * Trusts: of who asks, the kernel's word on who it is; the command trusts whoever owns the socket's directory.
 */
#include "daemon/recorder_answer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/privilege.h"

enum { ANSWER_SECONDS = 5 };

static const uint32_t end_of_answer = HISTORY_FORMAT;

static void bound_time(int socket)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static int send_record(void *context, const struct history_record *record)
{
	const int *connection = context;
	return send(*connection, record, sizeof *record, MSG_NOSIGNAL) == (ssize_t)sizeof *record ? 0 : -1;
}

void answer_question(int connection, const struct history *history)
{
	struct history_query query;
	struct ucred who;
	socklen_t len = sizeof who;
	bound_time(connection);
	end_in(2 * ANSWER_SECONDS); /* whoever reads one record now and then, too */
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		return;
	if (recv(connection, &query, sizeof query, MSG_TRUNC) != (ssize_t)sizeof query || query.format != HISTORY_FORMAT)
		return;
	query.user[sizeof query.user - 1] = '\0';
	if (who.uid != 0)
		query.uid = who.uid;
	history_find(history, &query, send_record, &connection);
	/* Whoever asked can tell the end from an answer that was cut off, or never begun. */
	(void)send(connection, &end_of_answer, sizeof end_of_answer, MSG_NOSIGNAL);
}

int ask_history(const char *socket_path, const struct history_query *query,
                int (*found)(void *context, const struct history_record *record), void *context)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct history_record record;
	ssize_t n = -1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	bound_time(fd);
	if (strlen(socket_path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		goto out;
	}
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		goto out;
	if (send(fd, query, sizeof *query, MSG_NOSIGNAL) != (ssize_t)sizeof *query)
		goto out;
	while ((n = recv(fd, &record, sizeof record, 0)) == (ssize_t)sizeof record)
		if (record.kind < HISTORY_KINDS && history_is_whole(&record, record.kind) && found(context, &record) != 0)
			break;
	if (n == 0)
		errno = EAGAIN; /* too many ask at this moment, or the recorder ended */
out:
	(void)close(fd);
	return n == (ssize_t)sizeof end_of_answer || n == (ssize_t)sizeof record ? 0 : -1;
}
