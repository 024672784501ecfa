/*
 * privilege.h - giving up rights: one function, one order, proven.
 * Runs in: every process that gives something up. Trusts: the kernel.
 */
#ifndef POSTERN_PRIVILEGE_H
#define POSTERN_PRIVILEGE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A build for coverage or sanitizers (make coverage, make asan): what writes counts, or looks for leaks by
 * ptrace(2) and /proc, must not be locked out. Never installed.
 */
#ifdef POSTERN_COVERAGE
#define INSTRUMENTED 1
#else
#define INSTRUMENTED 0
#endif

/*
 * Become that user for good: no supplementary groups, all four gids and uids, no way to gain rights by
 * exec, no core dump. Then proves it: reads the ids again and tries to get root back.
 * Without root it only checks that this already is the user. fatal() when anything is not as it must be.
 * See setresuid(2), credentials(7).
 */
void become_owner(uid_t uid, gid_t gid);

/*
 * The master, and everything that it starts, without what neither postern nor PAM's authentication has a use for: loading
 * modules, raw devices, other users' memory, mounts, the network's set-up. systemd's unit does the same. What is left is in the
 * inheritable set as well, by which a program has it that root executes, and the bounding set is empty: here once, so that no child has
 * to empty it (capabilities(7)); none of that where a container keeps CAP_SETPCAP for itself. And without the groups of who started it,
 * so that what is looked up with a user's rights (reach_as()) is so with his alone. Does nothing without root.
 */
void shrink_master(void);

/*
 * Root, with no more capabilities than a keeper needs until somebody has logged in: to become another user, to look
 * where files lie, to end a PAM helper. The inheritable set stays: by exec(2) the PAM helper has it all again, because its
 * modules may need it. Does nothing without root.
 */
void shrink_root(void);

/*
 * Files are looked up with that user's and group's rights and without root's, until reach_as_root(); nothing else changes, and the user
 * gets no hold on the process (setfsuid(2)). Does nothing without root. fatal() when it cannot be had.
 */
void reach_as(uid_t uid, gid_t gid);
void reach_as_root(void);

/* Close every descriptor from 3 up that is not in fds (count of them, -1 entries are passed over). */
void keep_only(const int *fds, size_t count);

/*
 * SIGPIPE and SIGXFSZ become errors of the call; SIGINT, SIGTERM, SIGHUP (a terminal's Ctrl-C, systemd's stop) are
 * blocked, here and in what is forked from here: ends come over the sockets. So are SIGUSR1, SIGUSR2 and SIGALRM, which mean
 * something to other servers and would end this one with all its sessions.
 */
void worker_signals(void);

/* End this process in so many seconds, by SIGALRM: as alarm(2), which alone does nothing behind worker_signals(). */
void end_in(unsigned seconds);

enum { PAGE = 4096 };  /* advice for part of a larger page is refused, and does no harm */

/*
 * fork(2) for the half of a worker, from a process with one thread. What fork(3) does besides, for threads and pthread_atfork(3), would
 * have each child copy four pages for nothing. OpenSSL knows a child by its pid and gets randomness anew.
 */
pid_t fork_half(void);

/*
 * A forked child meets a page fault on each page that it writes first, and faults are dear (measured: three
 * times what the page costs in one call with its neighbours). Take those that it is sure to write, its
 * initialised data, `stack` octets of stack, and as many as malloc(heap) gets, ahead (MADV_POPULATE_WRITE, madvise(2);
 * Linux 5.14). Pages of the program are not worth it: taking all costs more than the faults on those that are used.
 */
void touch_pages(size_t stack, size_t heap);

/* Give back the stack below the caller, and what deeper calls have left there. */
void forget_stack(void);

/* The same, and nothing stays of what they left. */
void wipe_stack(void);

/*
 * So many octets of zeros, taken as they are used, that no fork gets (it would pay for them, and has no business with them) and no core
 * file shows. NULL and errno when there are none; munmap(2) gives them back.
 */
void *private_memory(size_t size);

/* End the process at once, without what atexit(3) would do for the parent. */
_Noreturn void leave(int status);

#endif
