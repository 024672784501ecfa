/*
 * privilege.c - giving up rights: one function, one order, proven.
 * Runs in: keeper, gate nursery, dotlock helper, before they touch anything a stranger made. Trusts: the kernel.
 */
#include "daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"

enum {
	FORGET_STACK = 96 * 1024,  /* how deep calls have gone */
	STACK_IN_USE = 8192,       /* below the caller: what madvise(2) itself needs, and a page to spare */
};

#define CAPABILITY(name) ((uint64_t)1 << CAP_##name)

/* Version 3 takes 64 capabilities in two halves; libcap would be one more library for two calls. */
static int set_capabilities(uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	for (int half = 0; half < 2; half++)
		data[half] = (struct __user_cap_data_struct){ .effective = (uint32_t)(permitted >> 32 * half), .permitted = (uint32_t)(permitted >> 32 * half),
		                                              .inheritable = (uint32_t)(inheritable >> 32 * half) };
	return (int)syscall(SYS_capset, &header, data);
}

static uint64_t get_capabilities(uint64_t *inheritable_r)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) != 0)
		fatal("capget");
	*inheritable_r = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* It is empty; the master empties it, its children know it. */
static bool bounding_set_empty;

/* None can come back, not even by exec(2) of a file that has some. */
static int empty_bounding_set(void)
{
	if (bounding_set_empty)
		return 0; /* nor is it written again: in a keeper that would be a page of its own */
	for (unsigned long capability = 0; capability < 64; capability++)
		/* EINVAL: this kernel has no such capability. */
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL)
			return -1;
	bounding_set_empty = true;
	return 0;
}

void shrink_master(void)
{
	const uint64_t kept = CAPABILITY(AUDIT_WRITE) | CAPABILITY(CHOWN) | CAPABILITY(DAC_OVERRIDE) | CAPABILITY(DAC_READ_SEARCH) |
		CAPABILITY(FOWNER) | CAPABILITY(FSETID) | CAPABILITY(IPC_LOCK) | CAPABILITY(KILL) | CAPABILITY(NET_BIND_SERVICE) |
		CAPABILITY(SETGID) | CAPABILITY(SETPCAP) | CAPABILITY(SETUID) | CAPABILITY(SYS_CHROOT) | CAPABILITY(SYS_RESOURCE);
	uint64_t inheritable;
	const uint64_t there = geteuid() == 0 ? get_capabilities(&inheritable) : 0;
	/* Root needs none of the groups that whoever started it has, and reach_as() leaves them. A user namespace may keep them. */
	if (geteuid() == 0)
		(void)setgroups(0, NULL);
	/* Where a container keeps CAP_SETPCAP for itself, it has its own bounding set. */
	if ((there & CAPABILITY(SETPCAP)) == 0)
		return;
	if (set_capabilities(kept & there, kept & there) != 0 || empty_bounding_set() != 0)
		fatal("cannot give up root's capabilities");
}

void shrink_root(void)
{
	const uint64_t needed = CAPABILITY(SETUID) | CAPABILITY(SETGID) | CAPABILITY(SETPCAP) | CAPABILITY(DAC_READ_SEARCH) | CAPABILITY(KILL);
	uint64_t inheritable;
	if (geteuid() != 0)
		return;
	/* A container may have given us fewer. */
	const uint64_t there = get_capabilities(&inheritable);
	if (set_capabilities(needed & there, inheritable) != 0)
		fatal("cannot give up root's capabilities");
}

static void prove(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	errno = 0;
	if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid)
		fatal("after giving up root the user ids are not all %lu", (unsigned long)uid);
	if (getresgid(&rg, &eg, &sg) != 0 || rg != gid || eg != gid || sg != gid)
		fatal("after giving up root the group ids are not all %lu", (unsigned long)gid);
	if (uid != 0 && (setresuid(0, 0, 0) == 0 || seteuid(0) == 0))
		fatal("root came back after it was given up");
}

void become_owner(uid_t uid, gid_t gid)
{
	if (geteuid() == 0) {
		if (uid == 0)
			panic("asked to become root");
		(void)empty_bounding_set(); /* without CAP_SETPCAP no_new_privs has to do */
		if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
			fatal("cannot become uid %lu, gid %lu", (unsigned long)uid, (unsigned long)gid);
		prove(uid, gid);
	} else if (geteuid() != uid) {
		errno = 0;
		fatal("not started as root, so uid %lu cannot be served", (unsigned long)uid);
	}
	if (set_capabilities(0, 0) != 0)
		fatal("capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, INSTRUMENTED, 0, 0, 0) != 0)
		fatal("prctl");
}

/* setfsuid(2) tells no error: asked for an id that there is not, it changes nothing and tells which one is in force. */
static void set_reach(uid_t uid, gid_t gid)
{
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	if ((gid_t)setfsgid((gid_t)-1) != gid || (uid_t)setfsuid((uid_t)-1) != uid)
		fatal("cannot reach files as uid %lu, gid %lu", (unsigned long)uid, (unsigned long)gid);
}

void reach_as(uid_t uid, gid_t gid)
{
	if (geteuid() == 0)
		set_reach(uid, gid);
}

void reach_as_root(void)
{
	if (geteuid() == 0)
		set_reach(geteuid(), getegid());
}

void keep_only(const int *fds, size_t count)
{
	enum { FEW = 8 };
	int sorted[FEW];
	unsigned from = STDERR_FILENO + 1;
	struct rlimit files;
	if (count > FEW)
		panic("keep_only: %zu descriptors", count);
	for (size_t i = 0; i < count; i++) {
		size_t at = i;
		for (; at > 0 && sorted[at - 1] > fds[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = fds[i];
	}
	for (size_t i = 0; i < count; i++) {
		if (sorted[i] < (int)from)
			continue;
		unsigned fd = (unsigned)sorted[i];
		if (fd > from && close_range(from, fd - 1, 0) != 0)
			fatal("close_range");
		from = fd + 1;
	}
	/* Not UINT_MAX: valgrind keeps its own above the limit. Nothing of ours is there, the limit only ever rises. */
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || close_range(from, (unsigned)files.rlim_cur, 0) != 0)
		fatal("close_range");
}

void worker_signals(void)
{
	static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGUSR1, SIGUSR2 };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
		sigaddset(&set, held[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
}

void end_in(unsigned seconds)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)alarm(seconds);
}

/* Advice about the pages from..to. A kernel that does not know it leaves things as they are. */
static void advise(uintptr_t from, uintptr_t to, int advice)
{
	const uintptr_t mask = PAGE - 1, first = from & ~mask, end = to & ~mask;
	if (end > first)
		(void)madvise((void *)first, end - first, advice);
}

pid_t fork_half(void)
{
	return _Fork();
}

void touch_pages(size_t stack, size_t heap)
{
	extern char __data_start[], _edata[];
	char here;
	advise((uintptr_t)__data_start, (uintptr_t)_edata, MADV_POPULATE_WRITE);
	advise((uintptr_t)&here - stack, (uintptr_t)&here, MADV_POPULATE_WRITE);
	char *first;
	/* Nor is malloc(3) looked at by who wants none of it. */
	if (heap == 0 || (first = malloc(heap)) == NULL)
		return;
	advise((uintptr_t)first, (uintptr_t)first + heap, MADV_POPULATE_WRITE);
	free(first);
}

void forget_stack(void)
{
	char here;
	advise((uintptr_t)&here - FORGET_STACK, (uintptr_t)&here - STACK_IN_USE, MADV_DONTNEED);
}

/* What forget_stack() leaves alone, since it stands on it. */
__attribute__((noinline))
static void clear_stack(void)
{
	char here[2 * STACK_IN_USE];
	explicit_bzero(here, sizeof here);
}

void wipe_stack(void)
{
	forget_stack();
	clear_stack();
}

void *private_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_DONTFORK) == 0 && madvise(p, size, MADV_DONTDUMP) == 0)
		return p;
	(void)munmap(p, size);
	return NULL;
}

void leave(int status)
{
	if (INSTRUMENTED)
		exit(status); /* writes the counts, looks for leaks */
	_exit(status);
}
