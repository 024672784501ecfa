/*
 * started.c - what the programs that the master starts by exec have in common: their orders, what they tell the master,
 * and how they give up their rights.
 * Runs in: gate nursery, signer; as root until give_up_rights(). Trusts: the master, the settings.
 */
#include "daemon/started.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"

bool report_to_master(const struct nursery_report *report)
{
	const bool sent = rpc_send(NURSERY_CHANNEL_FD, report, sizeof *report, -1) == 0;
	if (!sent && errno != EPIPE && errno != ECONNRESET)
		fatal("report to the master");
	return sent;
}

void give_up(const char *text)
{
	struct nursery_report r = { .verb = NURSERY_FAILED };
	(void)snprintf(r.text, sizeof r.text, "%s", text);
	(void)report_to_master(&r);
	leave(EXIT_ENVIRONMENT);
}

/* Among the variables, and not mapped: each gate would have the mapping, and a page fault for it. */
static const struct nursery_orders *read_orders(const char *program)
{
	static struct nursery_orders orders;
	struct stat st;
	if (fstat(NURSERY_ORDERS_FD, &st) != 0 || st.st_size != (off_t)sizeof orders) {
		(void)fprintf(stderr, "%s is started by posternd, not by hand\n", program);
		exit(EXIT_ENVIRONMENT);
	}
	if (io_read_at(NURSERY_ORDERS_FD, (char *)&orders, sizeof orders, 0) != (ssize_t)sizeof orders)
		fatal("orders");
	(void)close(NURSERY_ORDERS_FD);
	return &orders;
}

const struct nursery_orders *started_by_master(const char *program, const char *role)
{
	const struct nursery_orders *orders = read_orders(program);
	log_open(orders->settings.log_target, orders->settings.log_level, !orders->background);
	if (orders->background)
		log_only();
	log_role(role);
	sandbox_begin(sandbox_probe(), orders->settings.sandbox == SANDBOX_REQUIRED);
	worker_signals();
	return orders;
}

/* A root directory that is empty for good: it is removed while we are in it, so nothing can ever be made there. */
static int enter_nowhere(const char *name)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/tmp/postern-%s-XXXXXX", name);
	if (mkdtemp(path) == NULL || chdir(path) != 0)
		return -1;
	return rmdir(path) == 0 && chroot(".") == 0 ? 0 : -1;
}

void give_up_rights(const struct nursery_orders *orders, const char *name, enum sandbox_kind kind)
{
	char text[NURSERY_TEXT_MAX];
	if (geteuid() != 0) {
		become_owner(geteuid(), getegid());
		sandbox_enter(kind, NULL, 0);
		return;
	}
	if (!INSTRUMENTED && enter_nowhere(name) != 0) {
		(void)snprintf(text, sizeof text, "cannot make an empty directory the root of posternd-%s (/tmp must be there): %s", name, strerror(errno));
		give_up(text);
	}
	become_owner(orders->uid, orders->gid);
	sandbox_enter(kind, NULL, 0);
}
