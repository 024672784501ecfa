/*
 * nursery_link.h - the master's side of the gate nursery and of the signer beside it: starting them, and hearing from them.
 * Runs in: master. Trusts: of their reports no more than what a dead worker could cause too.
 */
#ifndef POSTERN_NURSERY_LINK_H
#define POSTERN_NURSERY_LINK_H

#include <stdbool.h>

#include "daemon/contract.h"
#include "daemon/settings.h"

/* What is to be known of the certificates. */
struct certificate_seen {
	int64_t ends;                  /* the first that ends: seconds since 1970; 0: there is none */
	size_t ending;                 /* which one that is */
	char doubt[NURSERY_TEXT_MAX];  /* certificate_doubt() */
};

/*
 * A nursery and the signer with its certificate's key: they are started together and replaced together, so that what one
 * has read always goes with what the other has. Without a certificate there is no signer.
 */
struct nursery {
	pid_t pid;     /* 0: none */
	int channel;   /* -1: none; non-blocking */
	pid_t signer_pid;
	int signer;    /* where keepers ask for signatures, too; -1: none; non-blocking */
	bool ready, signer_ready;
	uint8_t certificates[CERTIFICATES_MAX][SIGN_CERTIFICATE], signer_certificates[CERTIFICATES_MAX][SIGN_CERTIFICATE];
	struct certificate_seen seen;
};

/* The programs beside posternd: their paths. Borrowed. */
struct nursery_program {
	const char *gate;        /* posternd-gate */
	const char *signer;      /* posternd-sign */
	const char *pam_helper;  /* posternd-pam, which looks up a gate_user that is not in /etc/passwd */
	bool background;         /* they let go of the standard error of whoever started us, unless it is the log */
};

#define NO_NURSERY ((struct nursery){ .channel = -1, .signer = -1 })

/*
 * The ids of gate_user; without root our own. 0, or -1 and a sentence. A name is looked up once, as the recorder has these ids for good: a user
 * database that does not answer is not waited for when a nursery that died is replaced.
 */
int gate_user_find(const struct nursery_program *program, const struct settings *settings, uid_t *uid_r, gid_t *gid_r,
                   char problem[NURSERY_TEXT_MAX]);

/*
 * Start program->gate, and program->signer for a certificate's key, by fork and exec (a fresh address layout) with these
 * settings and the ids of their gate_user. 0, and both will report READY or FAILED; or -1 and a sentence in problem.
 */
int nursery_start(struct nursery *n, const struct nursery_program *program, const struct settings *settings, char problem[NURSERY_TEXT_MAX]);

/* One report. 1, 0 when there is none now, -1 when the nursery is gone. */
int nursery_hear(const struct nursery *n, struct nursery_report *report_r);

/* So long they may take until both are ready: they read files, which may be on a network, and try handshakes. Then NURSERY_SLOW is what is wrong. */
enum { NURSERY_COMING_MS = 20000 };
#define NURSERY_SLOW "posternd-gate or posternd-sign was not ready within 20 s; is [tls] certificate or key on a file system that does not answer, or one of the programs " \
	"damaged, or of another build?"

/* What has come from a nursery and its signer since they were started: 1 when both are ready and fit, 0 not yet, -1 and a sentence. */
int nursery_coming(struct nursery *n, char problem[NURSERY_TEXT_MAX]);

/* Start one for a moment: do certificate, key and gate_user work? 0 and seen_r, or -1 and a sentence. */
int nursery_try(const struct nursery_program *program, const struct settings *settings, struct certificate_seen *seen_r, char problem[NURSERY_TEXT_MAX]);

/*
 * Is one to be renewed? At `now`, in seconds since 1970, it has ended or will within CERTIFICATE_DAYS: true, and a sentence that says
 * so and what to do.
 */
enum { CERTIFICATE_DAYS = 14 };
bool certificate_is_old(const struct settings *settings, const struct certificate_seen *seen, int64_t now, char *text_r, size_t size);

/* One that was never used, and is not wanted: both programs end at once, also where a file that they read keeps them waiting. */
void nursery_abandon(struct nursery *n);

/* It forks no more, and ends when its last gate has; its signer ends when the last keeper that could ask it has let go. */
void nursery_dismiss(struct nursery *n);

#endif
