/*
 * sandbox_table.c - which system calls each kind of process may make, and why: the one table of all filters.
 * Runs in: tools/filters.c, while postern is built; the tests. No program has it. Trusts: nothing; this is our own text.
 *
 * Old and new forms of a call stand side by side, so that another libc does not break a filter. What is not here kills:
 * among others execve, socket, connect, bind, ptrace, process_vm_*, mount, setns, unshare, io_uring_*, keyctl, bpf,
 * userfaultfd, perf_event_open, and tgkill, so that abort(3) ends in SIGSYS.
 */
#include "daemon/sandbox_table.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BIT(kind) (1u << SANDBOX_##kind)

enum {
	GATES = BIT(NURSERY) | BIT(GATE),      /* one filter: the nursery's, which a gate has from it */
	RECORDERS = BIT(RECORDER) | BIT(ANSWER),
	CLOSED = GATES | BIT(SIGNER) | RECORDERS,     /* those that open nothing */
	KEEPERS = BIT(KEEPER) | BIT(SHARED),
	OPEN = KEEPERS | BIT(DOTLOCK),                /* those for which Landlock has paths */
	ALL = CLOSED | OPEN,
	FORKS = GATES | BIT(RECORDER),
	NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME,
};

#define EQUAL(n, bits, number) { .when = WHEN_EQUAL, .argument = (n), .mask = (bits), .value = (number) }
#define IS(n, number) EQUAL(n, UINT64_MAX, number)
#define OTHER(n, number) { .when = WHEN_OTHER, .argument = (n), .value = (number) }

const struct sandbox_row sandbox_table[] = {
	/* Memory. Nothing that is written can be run. */
	{ "brk", ALL, SANDBOX_ALLOW, { 0 }, "malloc" },
	{ "mmap", ALL, SANDBOX_ALLOW, EQUAL(2, PROT_EXEC, 0), "malloc, the list of messages; never to be executed" },
	{ "mprotect", ALL, SANDBOX_ALLOW, EQUAL(2, PROT_EXEC, 0), "malloc; never to be executed" },
	{ "munmap", ALL, SANDBOX_ALLOW, { 0 }, "free" },
	{ "mremap", ALL, SANDBOX_ALLOW, { 0 }, "realloc" },
	{ "madvise", ALL, SANDBOX_ALLOW, { 0 }, "memory that is given back" },
	{ "futex", ALL, SANDBOX_ALLOW, { 0 }, "libraries' locks" },

	/* Time, chance, the process itself. */
	{ "clock_gettime", ALL, SANDBOX_ALLOW, { 0 }, "deadlines; where the kernel maps no clock" },
	{ "gettimeofday", ALL, SANDBOX_ALLOW, { 0 }, "the same" },
	{ "time", ALL, SANDBOX_ALLOW, { 0 }, "the same" },
	{ "getrandom", ALL, SANDBOX_ALLOW, { 0 }, "keys of TLS, pauses at random" },
	{ "getpid", ALL, SANDBOX_ALLOW, { 0 }, "the log's lines, OpenSSL after a fork" },
	{ "rt_sigreturn", ALL, SANDBOX_ALLOW, { 0 }, "the way back from a signal" },
	{ "rt_sigprocmask", ALL, SANDBOX_ALLOW, { 0 }, "libraries" },
	{ "restart_syscall", ALL, SANDBOX_ALLOW, { 0 }, "a wait that was stopped and continued" },
	{ "exit", ALL, SANDBOX_ALLOW, { 0 }, "the end" },
	{ "exit_group", ALL, SANDBOX_ALLOW, { 0 }, "the end" },

	/* Descriptors that it has. */
	{ "read", ALL, SANDBOX_ALLOW, { 0 }, "the connection, references, files" },
	{ "write", ALL, SANDBOX_ALLOW, { 0 }, "the connection, the log" },
	{ "close", ALL, SANDBOX_ALLOW, { 0 }, "" },
	{ "poll", ALL, SANDBOX_ALLOW, { 0 }, "every wait" },
	{ "ppoll", ALL, SANDBOX_ALLOW, { 0 }, "the same, on machines without poll" },
	{ "recvmsg", ALL, SANDBOX_ALLOW, { 0 }, "RPC, the bell, records; a shared helper's sessions" },
	/* It can name an address, which a filter cannot read; on the socket at that number the kernel takes none. */
	{ "sendmsg", BIT(KEEPER), SANDBOX_ALLOW, EQUAL(0, UINT32_MAX, SANDBOX_PASSING_FD), "a message's descriptor, to the gate" },
	{ "recvfrom", ALL, SANDBOX_ALLOW, { 0 }, "recv(2)" },
	{ "sendto", ALL, SANDBOX_ALLOW, IS(4, 0), "send(2): RPC, the log, answers; to nobody by address" },
	{ "shutdown", GATES | KEEPERS, SANDBOX_ALLOW, { 0 }, "last words are to arrive; a bell that is taken down hears nothing more" },
	{ "pread64", GATES | KEEPERS | RECORDERS, SANDBOX_ALLOW, { 0 }, "messages, the list, the history" },
	{ "pwrite64", KEEPERS | BIT(RECORDER), SANDBOX_ALLOW, { 0 }, "an mbox, its journal, the list, the history" },
	{ "sendfile", GATES, SANDBOX_ALLOW, { 0 }, "messages that go out as they are stored" },
	{ "fstat", ALL, SANDBOX_ALLOW, { 0 }, "is the list as long as it has to be; is it the same file, unchanged" },
	{ "newfstatat", CLOSED, SANDBOX_ALLOW, IS(3, AT_EMPTY_PATH), "fstat(3) of glibc 2.33 to 2.38" },

	/* The mail, and the lock file beside it: where, Landlock says. */
	{ "openat", OPEN, SANDBOX_ALLOW, EQUAL(2, O_TRUNC, 0), "messages, an mbox, who holds a lock; nothing is emptied by it" },
	{ "newfstatat", OPEN, SANDBOX_ALLOW, { 0 }, "is it still the same file" },
	{ "unlinkat", OPEN, SANDBOX_ALLOW, { 0 }, "a message that was deleted, a lock file" },
	{ "fstatfs", OPEN, SANDBOX_ALLOW, { 0 }, "is it a network's file system" },
	{ "geteuid", OPEN, SANDBOX_ALLOW, { 0 }, "whose lock file is it" },
	{ "getdents64", KEEPERS, SANDBOX_ALLOW, { 0 }, "what a Maildir holds" },
	{ "fadvise64", KEEPERS, SANDBOX_ALLOW, { 0 }, "the next messages are read from the disk meanwhile" },
	{ "lseek", KEEPERS, SANDBOX_ALLOW, { 0 }, "a directory from its beginning" },
	{ "ftruncate", KEEPERS, SANDBOX_ALLOW, { 0 }, "an mbox or an index becomes shorter, a journal empty" },
	{ "fsync", KEEPERS, SANDBOX_ALLOW, { 0 }, "what +OK promises" },
	{ "fdatasync", KEEPERS, SANDBOX_ALLOW, { 0 }, "the same" },
	{ "sync_file_range", KEEPERS, SANDBOX_ALLOW, { 0 }, "the journal goes to the disk while it is written" },
	{ "utimensat", KEEPERS, SANDBOX_ALLOW, IS(1, 0), "an mbox's times, for programs that look for new mail; not by name" },
	{ "sysinfo", KEEPERS, SANDBOX_ALLOW, { 0 }, "qsort(3) asks how much memory there is" },
	{ "flock", KEEPERS, SANDBOX_ALLOW, { 0 }, "the host's lock on an mbox" },
	{ "fcntl", KEEPERS, SANDBOX_ALLOW, IS(1, F_OFD_SETLK), "the host's lock on an mbox" },
	{ "fcntl", KEEPERS, SANDBOX_ALLOW, IS(1, F_ADD_SEALS), "the list of messages, that nobody can change" },
	{ "fcntl", KEEPERS, SANDBOX_ALLOW, IS(1, F_GETFL), "stdio" },
	{ "memfd_create", KEEPERS, SANDBOX_ALLOW, { 0 }, "the list of messages" },
	{ "nanosleep", OPEN, SANDBOX_ALLOW, { 0 }, "a pause between two tries for a lock, or to pass a descriptor" },
	{ "clock_nanosleep", OPEN, SANDBOX_ALLOW, { 0 }, "the same" },
	{ "mknodat", BIT(DOTLOCK), SANDBOX_ALLOW, EQUAL(2, S_IFMT, S_IFREG), "the lock file, where a file system has no nameless ones" },
	{ "linkat", BIT(DOTLOCK), SANDBOX_ALLOW, IS(4, AT_SYMLINK_FOLLOW), "the lock file gets its name when it is whole" },
	{ "utimensat", BIT(DOTLOCK), SANDBOX_ALLOW, { 0 }, "tells the others that its maker is alive" },
	{ "uname", BIT(DOTLOCK), SANDBOX_ALLOW, { 0 }, "on which host it was made" },
	{ "kill", BIT(DOTLOCK), SANDBOX_ALLOW, IS(1, 0), "is its maker there; no signal is sent" },

	/* What other keepers do as root, before they are confined: sessions' locks, bells and journals, a place for a signature. */
	{ "socket", BIT(SHARED), SANDBOX_ALLOW, IS(0, AF_UNIX), "a session's bell, and to ring another's" },
	{ "bind", BIT(SHARED), SANDBOX_ALLOW, { 0 }, "a bell's name; a file of that kind, Landlock forbids" },
	{ "setsockopt", BIT(SHARED), SANDBOX_ALLOW, IS(2, SO_PASSCRED), "who rings" },
	{ "sendmsg", BIT(SHARED), SANDBOX_ALLOW, { 0 }, "descriptors to gate, signer and dotlock helper, and a ring, by its address" },
	{ "socketpair", BIT(SHARED), SANDBOX_ALLOW, IS(0, AF_UNIX), "where the signer, the helper or another's bell answers" },
	{ "renameat2", BIT(SHARED), SANDBOX_ALLOW, IS(4, RENAME_NOREPLACE), "a journal that is set aside" },
	{ "readlink", BIT(SHARED), SANDBOX_ALLOW, { 0 }, "two ways to a maildrop are one lock" },
	{ "readlinkat", BIT(SHARED), SANDBOX_ALLOW, { 0 }, "the same" },

	/*
	 * Children: the nursery's gates, the recorder's answers. A gate makes none, because its limit of processes is 0: a
	 * filter of its own on top would cost one login in fifty.
	 */
	{ "clone", FORKS, SANDBOX_ALLOW, EQUAL(0, NAMESPACES, 0), "fork(2)" },
	{ "set_robust_list", FORKS, SANDBOX_ALLOW, { 0 }, "a child's first call" },
	{ "wait4", FORKS, SANDBOX_ALLOW, { 0 }, "how a child ended" },
	{ "prlimit64", FORKS, SANDBOX_ALLOW, IS(0, 0), "a child's own limits" },
	{ "seccomp", BIT(RECORDER), SANDBOX_ALLOW, IS(0, SECCOMP_SET_MODE_FILTER), "a child's own filter" },
	{ "accept4", BIT(RECORDER), SANDBOX_ALLOW, { 0 }, "a user asks" },
	{ "setsockopt", RECORDERS, SANDBOX_ALLOW, { 0 }, "how long an answer may take" },
	{ "getsockopt", RECORDERS, SANDBOX_ALLOW, { 0 }, "who asks" },
	{ "alarm", RECORDERS, SANDBOX_ALLOW, { 0 }, "how long an answer may take" },
	{ "setitimer", RECORDERS, SANDBOX_ALLOW, { 0 }, "the same, on machines without alarm" },

	/* A tracer of root's skips a call by this number; the kernel does nothing for it. */
	{ "-1", ALL, SANDBOX_ALLOW, { 0 }, "strace(1) that injects an error" },

	/* Libraries look for files that they can do without. */
	{ "open", ALL, SANDBOX_REFUSE, { 0 }, "nothing opens by this" },
	{ "openat", CLOSED, SANDBOX_REFUSE, { 0 }, "there is nothing to open" },
	{ "openat2", ALL, SANDBOX_REFUSE, { 0 }, "nothing opens by this" },
	{ "stat", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "lstat", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "newfstatat", CLOSED, SANDBOX_REFUSE, OTHER(3, AT_EMPTY_PATH), "" },
	{ "statx", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "statfs", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "access", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "faccessat", ALL, SANDBOX_REFUSE, { 0 }, "also how a process proves that its filter is there" },
	{ "faccessat2", ALL, SANDBOX_REFUSE, { 0 }, "" },
	{ "readlink", ALL & ~BIT(SHARED), SANDBOX_REFUSE, { 0 }, "" },
	{ "readlinkat", ALL & ~BIT(SHARED), SANDBOX_REFUSE, { 0 }, "" },
	{ "ioctl", ALL, SANDBOX_REFUSE, { 0 }, "stdio asks for a terminal" },
};
const size_t sandbox_table_count = sizeof sandbox_table / sizeof *sandbox_table;
