/*
 * recorder.h - the process that keeps the history, makes references, answers users' questions and counts wrong doors.
 * Runs in: recorder, a child of the master, with the rights of the gates' user. Trusts: the master;
 * of everybody else only what the kernel says of them.
 */
#ifndef POSTERN_RECORDER_H
#define POSTERN_RECORDER_H

#include "daemon/recorder_link.h"
#include "daemon/settings.h"

enum {
	RECORDER_PAUSE_MS = 1000,    /* between two starts */
	DOOR_LOG_MS = 60000,         /* one line for each kind of wrong door and source in such a time */
	DOORS_MAX = 1024,            /* kinds and sources that are counted apart; what is beyond is counted together */
	QUESTIONS_MAX = 8,           /* users' questions that are answered at a time, */
	QUESTIONS_OF_USER = 2,       /* and those of one uid, but root's */
	QUESTION_SECONDS = 10,       /* for one of them */
};

/* What the master holds. */
struct recorder {
	pid_t pid;                   /* 0: does not run */
	long long due;               /* when it may be started again, 0 while it runs */
	int alive;                   /* our end of a pipe; its end of file is the recorder's end */
	int records, refs;           /* the recorder's ends of the link */
	int listener;                /* where users ask, -1 for none */
	const struct settings *wanted; /* recorder_renew() */
	uid_t uid;                   /* whose rights it has; and the group's */
	gid_t gid;
	struct history history;
	struct recorder_link link;
};

#define NO_RECORDER_YET ((struct recorder){ .alive = -1, .records = -1, .refs = -1, .listener = -1, .history = NO_HISTORY })

/*
 * Make the link, open the files and the socket (as root), for a process that is going to have the rights of that uid and gid.
 * What cannot be had is said in the log, and the rest goes on: the log has it all, too.
 */
void recorder_open(struct recorder *r, const struct settings *settings, uid_t uid, gid_t gid);

/* Do the two differ in what the recorder has of them, log or history? */
bool recorder_settings_differ(const struct settings *a, const struct settings *b);

/* It takes in what has been sent, and ends; one with these settings (borrowed) comes then. */
void recorder_renew(struct recorder *r, const struct settings *settings);

/* Start the process, unless it runs, is not due, or was not opened. */
void recorder_start(struct recorder *r);

/* True, when the child of that pid was the recorder; it is then started again after a pause. */
bool recorder_reaped(struct recorder *r, pid_t pid, int status);

/* It takes in what has been sent, and ends. */
void recorder_dismiss(struct recorder *r);

#endif
