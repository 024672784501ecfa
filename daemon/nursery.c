/*
 * nursery.c - the program posternd-gate: loads the certificate once, forks a gate on each order.
 * Runs in: gate nursery; as root while it reads the certificate, then as the gate's user in an
 * empty root directory. Trusts: the master, the settings, the certificate's file. Reads no byte of a client.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/contract.h"
#include "daemon/frozen.h"
#include "daemon/gate.h"
#include "daemon/heap.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"
#include "daemon/sandbox.h"
#include "daemon/started.h"
#include "daemon/tls.h"
#include "daemon/tls_heap.h"

enum {
	GATES_MAX = 65536,
	GATE_STACK = 4096,           /* octets that a session in clear touches */
	REAP_MS = 1000,              /* so soon it is known at the latest how a gate ended */
};

/*
 * Which worker a gate belongs to, for the report when it dies. Gates have no copy (private_memory()): it says nothing to them,
 * and each would be left with a page that the nursery writes to.
 */
static struct gates {
	size_t count;
	struct gate_entry { pid_t pid; uint64_t worker; } entries[GATES_MAX];
} *gates;

static void remember(pid_t pid, uint64_t worker)
{
	if (gates->count == GATES_MAX)
		fatal("no room for more than %d gates", GATES_MAX);
	gates->entries[gates->count++] = (struct gate_entry){ .pid = pid, .worker = worker };
}

static void forget(pid_t pid, uint64_t *worker_r)
{
	for (size_t i = 0; i < gates->count; i++)
		if (gates->entries[i].pid == pid) {
			*worker_r = gates->entries[i].worker;
			gates->entries[i] = gates->entries[--gates->count];
			return;
		}
}

/* The master is told, who starts another nursery; and where it has done so already, at a reload, nobody but the log. */
static void tell_died(const struct nursery_report *r)
{
	if (report_to_master(r))
		return;
	if (r->signal != 0)
		log_line(LOG_CRIT, "gate of worker %llu, of a nursery from before a reload, was killed by signal %d (%s)", (unsigned long long)r->worker, r->signal, strsignal(r->signal));
	else
		log_line(LOG_CRIT, "gate of worker %llu, of a nursery from before a reload, ended with status %d", (unsigned long long)r->worker, r->status);
}

/*
 * Those that have ended; with options 0 it waits for one first. Before each order, and not by SIGCHLD: one that ends well is nothing
 * to wake up for, and a busy server has orders all the time.
 */
static void reap(int options)
{
	int status;
	pid_t pid;
	for (; (pid = waitpid(-1, &status, options)) > 0; options = WNOHANG) {
		struct nursery_report r = { .verb = NURSERY_GATE_DIED };
		forget(pid, &r.worker);
		r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		if (r.signal != 0 || r.status != EXIT_GOOD)
			tell_died(&r);
	}
}

static void fork_gate(const struct nursery_order *order, int keeper, SSL_CTX *context, const struct settings *settings)
{
	pid_t pid = fork_half();
	if (pid < 0) {
		log_line(LOG_ERR, "cannot fork a gate: %s", strerror(errno));
		return; /* the keeper sees the end of file when the caller closes */
	}
	if (pid > 0) {
		remember(pid, order->worker);
		return;
	}
	touch_pages(GATE_STACK, 0);
	(void)close(NURSERY_CHANNEL_FD);
	log_role("gate");
	sandbox_enter(SANDBOX_GATE, NULL, 0);
	gate_serve(keeper, context, settings);
}

/* Orders until the master closes the channel, then the gates that are left. */
static void serve_orders(SSL_CTX *context, const struct settings *settings)
{
	for (;;) {
		struct pollfd orders = { .fd = NURSERY_CHANNEL_FD, .events = POLLIN };
		int ready = poll(&orders, 1, gates->count > 0 ? REAP_MS : -1);
		if (ready < 0 && errno != EINTR)
			fatal("poll");
		reap(WNOHANG);
		if (ready <= 0)
			continue;
		struct nursery_order order;
		int keeper;
		ssize_t n = rpc_receive(NURSERY_CHANNEL_FD, &order, sizeof order, &keeper);
		if (n == (ssize_t)sizeof order && keeper >= 0)
			fork_gate(&order, keeper, context, settings);
		else if (n == 0)
			break;
		/* A reset comes first where the master has gone without reading all that was reported; orders may lie behind it. */
		else if (n < 0 && errno != EAGAIN && errno != EPROTO && errno != ECONNRESET)
			fatal("orders"); /* whoever waits here for a gate sees an end; the master starts another nursery */
		if (keeper >= 0)
			(void)close(keeper);
	}
	while (gates->count > 0)
		reap(0);
}

/* What is there before the first fork. */
struct loading {
	const struct settings *settings;
	SSL_CTX *context;         /* NULL: no TLS */
	struct nursery_report ready;
	char problem[NURSERY_TEXT_MAX];
};

static void nobody_watches(bool on)
{
	(void)on;
}

/* 0, or -1 and the problem. */
static int load(struct loading *l)
{
	if (tls_context_new(l->settings, &l->context, l->problem, sizeof l->problem) != 0)
		return -1;
	if (l->context != NULL) {
		tls_certificates(l->context, &l->ready);
		tls_warm_up(l->settings, l->context, nobody_watches);
	}
	return 0;
}

/* Who cannot load will hear why when it is done in earnest. */
static void rehearse_load(void *loading)
{
	(void)load(loading);
}

static void rehearse_handshakes(void *loading)
{
	const struct loading *l = loading;
	if (l->context != NULL)
		tls_warm_up(l->settings, l->context, tls_heap_watch);
}

int main(int argc, char **argv)
{
	void *const heap = sbrk(0);
	(void)argc;
	(void)argv;
	const struct nursery_orders *orders = started_by_master("posternd-gate", "gate nursery");
	const struct settings *settings = &orders->settings;
	struct loading loading = { .settings = settings, .ready = { .verb = NURSERY_READY } };
	heap_wipe_freed(settings->sessions > 1);
	gates = private_memory(sizeof *gates);
	if (gates == NULL)
		fatal("memory for the table of gates");
	if (tls_heap_begin(settings->sessions > 1) != 0)
		fatal("OpenSSL has memory that is not ours");
	if (settings->certificate[0] != '\0')
		tls_heap_rehearse(rehearse_load, rehearse_handshakes, &loading);
	if (load(&loading) != 0)
		give_up(loading.problem);
	tls_heap_settle();
	/* A fork copies an entry for each page that is there. Gates take hardly anything from this heap (tls_heap.h). */
	(void)malloc_trim(0);
	if (!INSTRUMENTED)
		freeze_program(heap);
	give_up_rights(orders, "gate", SANDBOX_NURSERY);
	(void)report_to_master(&loading.ready);
	serve_orders(loading.context, settings);
	leave(EXIT_GOOD);
}
