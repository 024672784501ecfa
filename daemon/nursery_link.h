/*
 * nursery_link.h - the master's side of the gate nursery: starting it, and hearing from it.
 * Runs in: master. Trusts: of a nursery's reports no more than what a dead worker could cause too.
 */
#ifndef POSTERN_NURSERY_LINK_H
#define POSTERN_NURSERY_LINK_H

#include "daemon/contract.h"
#include "daemon/settings.h"

struct nursery {
	pid_t pid;     /* 0: none */
	int channel;   /* -1: none; non-blocking */
};

/* The programs beside posternd: their paths. Borrowed. */
struct nursery_program {
	const char *gate;        /* posternd-gate */
	const char *pam_helper;  /* posternd-pam, which looks up a gate_user that is not in /etc/passwd */
};

#define NO_NURSERY ((struct nursery){ .pid = 0, .channel = -1 })

/* The ids of gate_user; without root our own. 0, or -1 and a sentence. */
int gate_user_find(const struct nursery_program *program, const struct settings *settings, uid_t *uid_r, gid_t *gid_r,
                   char problem[NURSERY_TEXT_MAX]);

/*
 * Start program->gate by fork and exec (a fresh address layout) with these settings and the ids of their gate_user.
 * 0, and it will report READY or FAILED; or -1 and a sentence in problem.
 */
int nursery_start(struct nursery *n, const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX]);

/* One report. 1, 0 when there is none now, -1 when the nursery is gone. */
int nursery_hear(const struct nursery *n, struct nursery_report *report_r);

/* Start one for a moment: do certificate, key and gate_user work? 0, or -1 and a sentence. */
int nursery_try(const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX]);

/* It forks no more, and ends when its last gate has. */
void nursery_dismiss(struct nursery *n);

#endif
