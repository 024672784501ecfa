/*
 * nursery.c - the program posternd-gate: loads the certificate once, forks a gate on each order.
 * Runs in: gate nursery; as root while it reads the certificate, then as the gate's user in an
 * empty root directory. Trusts: the master, the settings, the certificate's file. Reads no byte of a client.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/contract.h"
#include "daemon/gate.h"
#include "daemon/heap.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"
#include "daemon/sandbox.h"
#include "daemon/started.h"
#include "daemon/tls.h"

enum {
	GATES_MAX = 65536,
	GATE_STACK = 8192,  /* what a session in clear touches */
};

/* Which worker a gate belongs to, for the report when it dies; grown as needed, never by a client. */
static struct gate_entry { pid_t pid; uint64_t worker; } *gates;
static size_t gates_count, gates_room;

static void remember(pid_t pid, uint64_t worker)
{
	if (gates_count == gates_room) {
		size_t room = gates_room == 0 ? 64 : 2 * gates_room;
		struct gate_entry *more = room <= GATES_MAX ? reallocarray(gates, room, sizeof *gates) : NULL;
		if (more == NULL)
			fatal("no memory for %zu gates", room);
		gates = more;
		gates_room = room;
	}
	/* cppcheck-suppress nullPointer; gates_room > gates_count here, so gates is there */
	gates[gates_count++] = (struct gate_entry){ .pid = pid, .worker = worker };
}

static void forget(pid_t pid, uint64_t *worker_r)
{
	for (size_t i = 0; i < gates_count; i++)
		if (gates[i].pid == pid) {
			*worker_r = gates[i].worker;
			gates[i] = gates[--gates_count];
			return;
		}
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct nursery_report r = { .verb = NURSERY_GATE_DIED };
		forget(pid, &r.worker);
		r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		if (r.signal != 0 || r.status != EXIT_GOOD)
			report_to_master(&r);
	}
}

static void fork_gate(const struct nursery_order *order, int keeper, int signals, SSL_CTX *context, const struct settings *settings)
{
	pid_t pid = fork();
	if (pid < 0) {
		log_line(LOG_ERR, "cannot fork a gate: %s", strerror(errno));
		return; /* the keeper sees the end of file when the caller closes */
	}
	if (pid > 0) {
		remember(pid, order->worker);
		return;
	}
	touch_pages(GATE_STACK);
	(void)close(NURSERY_CHANNEL_FD);
	(void)close(signals);
	log_role("gate");
	sandbox_enter(SANDBOX_GATE, NULL, 0);
	gate_serve(keeper, context, settings);
}

/* Orders until the master closes the channel, then the gates that are left. */
static void serve_orders(int signals, SSL_CTX *context, const struct settings *settings)
{
	bool open = true;
	while (open || gates_count > 0) {
		struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = open ? NURSERY_CHANNEL_FD : -1, .events = POLLIN } };
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			fatal("poll");
		if (fds[0].revents != 0) {
			struct signalfd_siginfo info;
			(void)!read(signals, &info, sizeof info);
			reap();
		}
		if (fds[1].revents == 0)
			continue;
		struct nursery_order order;
		int keeper;
		ssize_t n = rpc_receive(NURSERY_CHANNEL_FD, &order, sizeof order, &keeper);
		if (n == (ssize_t)sizeof order && keeper >= 0)
			fork_gate(&order, keeper, signals, context, settings);
		else if (n == 0 || (n < 0 && errno != EAGAIN))
			open = false;
		if (keeper >= 0)
			(void)close(keeper);
	}
}

int main(int argc, char **argv)
{
	char problem[NURSERY_TEXT_MAX];
	struct nursery_report ready = { .verb = NURSERY_READY };
	SSL_CTX *context;
	sigset_t chld;
	(void)argc;
	(void)argv;
	const struct nursery_orders *orders = started_by_master("posternd-gate", "gate nursery");
	const struct settings *settings = &orders->settings;
	heap_wipe_freed(settings->sessions > 1);
	/* Before OpenSSL has any memory. In its own way each call costs something. */
	if (settings->sessions > 1 && CRYPTO_set_mem_functions(heap_malloc, heap_realloc, heap_free) != 1)
		fatal("OpenSSL has memory that cannot be wiped");
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &chld, NULL);
	int signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		fatal("signalfd");
	if (tls_context_new(settings, &context, problem, sizeof problem) != 0)
		give_up(problem);
	if (context != NULL) {
		tls_certificate_digest(context, ready.certificate);
		tls_warm_up(settings, context);
	}
	(void)malloc_trim(0);
	give_up_rights(orders, "gate", SANDBOX_NURSERY);
	report_to_master(&ready);
	serve_orders(signals, context, settings);
	leave(EXIT_GOOD);
}
