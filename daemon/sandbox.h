/*
 * sandbox.h - what a process can still ask of the kernel: files by Landlock, system calls by seccomp, limits.
 * Runs in: every process that a stranger's octets can reach, once it has become who it stays. Trusts: the kernel.
 *
 * become_owner() comes first: without no_new_privs the kernel takes no filter.
 */
#ifndef POSTERN_SANDBOX_H
#define POSTERN_SANDBOX_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

enum sandbox_kind {
	SANDBOX_NURSERY,
	SANDBOX_GATE,      /* has the nursery's, from which it is forked, and may fork no more */
	SANDBOX_SIGNER,    /* memory, and messages over descriptors that it has */
	SANDBOX_KEEPER,    /* as the mail's owner, or with the maildrop of a recovery */
	SANDBOX_SHARED,    /* a keeper for several connections, as the owner of all mail (shared.h) */
	SANDBOX_DOTLOCK,
	SANDBOX_RECORDER,
	SANDBOX_ANSWER,    /* on top of the recorder's */
	SANDBOX_KINDS
};

enum {
	SANDBOX_DESCRIPTORS = 64,                          /* that a confined process may have */
	SANDBOX_PASSING_FD = SANDBOX_DESCRIPTORS - 1,      /* where a keeper has its gate, the only one that it passes descriptors to */
};

/* The filters, ready for the kernel: compiled from sandbox_table.c during the build (tools/filters.c). */
struct sandbox_program {
	unsigned short count;
	const struct sock_filter *code;  /* NULL: that of the process it was forked from will do */
};
extern const struct sandbox_program sandbox_programs[SANDBOX_KINDS];

/* A path that stays open to the process, and for what. One that is not there is passed over. */
enum sandbox_access {
	SANDBOX_MAIL_DIRECTORY,  /* list, read, remove */
	SANDBOX_MBOX,            /* read, write, cut off */
	SANDBOX_SPOOL,           /* make, read, write, remove files in it */
	SANDBOX_LOOK,            /* read what is there, when one knows its name */
	SANDBOX_READ,            /* read that file */
	SANDBOX_MAILDIRS,        /* list, read, remove, everywhere below */
	SANDBOX_SPOOLS,          /* read, write, cut off, everywhere below */
	SANDBOX_OURS,            /* a directory of our own: list, make, read, write, cut off, remove files */
};
struct sandbox_path {
	const char *path;
	enum sandbox_access access;
};

/* What the kernel has. */
struct sandbox_host {
	int landlock;  /* its version (ABI), 0: none */
	bool seccomp;
};
struct sandbox_host sandbox_probe(void);

/* Which pieces are missing there, as a part of a sentence; NULL when none is. */
const char *sandbox_missing(struct sandbox_host host);

/* What is said where something is missing, and where it is required. */
#define SANDBOX_ABSENT "this kernel has no %s, or a container's filter refuses it"
#define SANDBOX_LACKING SANDBOX_ABSENT ", so processes that meet strangers cannot be confined; to serve all the same, write sandbox = as-available into [system]"

/*
 * For this process and those that it forks: what the kernel has, and whether a piece that it lacks, or that fails,
 * is the end of a process. Without this call everything is required, and the kernel is asked.
 */
void sandbox_begin(struct sandbox_host host, bool required);

/*
 * The same in the master, which says what is missing, and keeps SANDBOX_PASSING_FD free of sockets. False: it is required,
 * and nothing has changed.
 */
bool sandbox_prepare(bool required);

/* In a keeper: give the socket to its gate (taken) the number SANDBOX_PASSING_FD. Returns that. */
int sandbox_renumber(int gate);

/*
 * Be confined for good, as that kind; then try what must not be possible any more. fatal() when a piece that is
 * required cannot be had, or does not hold.
 */
void sandbox_enter(enum sandbox_kind kind, const struct sandbox_path *paths, size_t count);

#endif
