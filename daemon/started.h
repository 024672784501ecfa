/*
 * started.h - what the programs that the master starts by exec have in common: their orders, what they tell the master,
 * and how they give up their rights.
 * Runs in: gate nursery, signer; as root until give_up_rights(). Trusts: the master, the settings.
 */
#ifndef POSTERN_STARTED_H
#define POSTERN_STARTED_H

#include "daemon/contract.h"
#include "daemon/sandbox.h"

/* The orders, with the log open and signals as a worker has them; or the end, for who is started by hand. Strings stay. */
const struct nursery_orders *started_by_master(const char *program, const char *role);

/* False: the master does not listen any more. */
bool report_to_master(const struct nursery_report *report);

/* Tell the master what is wrong and what to do, and end. */
_Noreturn void give_up(const char *text);

/* Become the gate's user, in an empty root directory (named after name), confined as that kind. give_up() if that fails. */
void give_up_rights(const struct nursery_orders *orders, const char *name, enum sandbox_kind kind);

#endif
