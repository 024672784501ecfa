/*
 * test_sandbox.c - daemon/sandbox.c: processes that try what an intruder would, each in the sandbox of its kind.
 * Runs in: the tests, as root or as any user.
 *
 * Wanted is what becomes of the process: 0 it worked; KILL the kernel ended it; an errno.
 */
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/privilege.h"
#include "daemon/sandbox.h"
#include "tests/unit/daemon/worker.h"

enum { KILL = 1000 + SIGSYS, WORKED = 0, X32 = 0x40000000 };

/* What the attempts go for; made before they begin. */
static char own_mail[PATH_MAX], own_new[PATH_MAX], others_mail[PATH_MAX], own_mbox[PATH_MAX], others_mbox[PATH_MAX], spool[PATH_MAX], way[PATH_MAX];
static int pair[2], passing[2];
/* A datagram socket with a name, as others on the host have them: /dev/log, a session bus. */
static int others_socket;
static struct sockaddr_un others_name = { .sun_family = AF_UNIX };

static int result(long r) { return r < 0 ? errno : WORKED; }
static int opened(const char *path, int flags) { return result(open(path, flags | O_CLOEXEC, 0600)); }

/* ---- what an intruder tries ---- */

static int a_open_passwd(void) { return opened("/etc/passwd", O_RDONLY); }
static int a_open_shadow(void) { return opened("/etc/shadow", O_RDONLY); }
static int a_list_root(void) { return opened("/", O_RDONLY | O_DIRECTORY); }
static int a_open2(void) { return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0)); }
static int a_own_mail(void) { return opened(own_mail, O_RDONLY); }
static int a_list_own(void) { return opened(own_new, O_RDONLY | O_DIRECTORY); }
static int a_others_mail(void) { return opened(others_mail, O_RDONLY); }
static int a_write_own(void) { return opened(own_mail, O_WRONLY); }
static int a_empty_own(void) { return opened(own_mail, O_RDONLY | O_TRUNC); }
static int a_cut_own(void) { return result(truncate(own_mail, 0)); }
static int a_make_own(void) { char path[PATH_MAX + 8]; (void)snprintf(path, sizeof path, "%s/x", own_new); return opened(path, O_WRONLY | O_CREAT); }
static int a_remove_others(void) { return result(unlinkat(AT_FDCWD, others_mail, 0)); }
static int a_own_mbox(void) { return opened(own_mbox, O_RDWR); }
static int a_others_mbox(void) { return opened(others_mbox, O_RDONLY); }
static int a_remove_mbox(void) { return result(unlinkat(AT_FDCWD, others_mbox, 0)); }
static int a_list_spool(void) { return opened(spool, O_RDONLY | O_DIRECTORY); }
static int a_make_lock(void) { char path[PATH_MAX + 8]; (void)snprintf(path, sizeof path, "%s/a.lock", spool); return result(mknodat(AT_FDCWD, path, S_IFREG | 0600, 0)); }
static int a_make_fifo(void) { char path[PATH_MAX + 8]; (void)snprintf(path, sizeof path, "%s/fifo", spool); return result(mknodat(AT_FDCWD, path, S_IFIFO | 0600, 0)); }
static int a_name(void) { char path[PATH_MAX + 8]; (void)snprintf(path, sizeof path, "%s/name", spool); return result(linkat(AT_FDCWD, own_mbox, AT_FDCWD, path, AT_SYMLINK_FOLLOW)); }
static int a_name_outside(void) { char path[PATH_MAX + 8]; (void)snprintf(path, sizeof path, "%s/x", own_new); return result(linkat(AT_FDCWD, own_mbox, AT_FDCWD, path, AT_SYMLINK_FOLLOW)); }
static int a_locks(void) { return opened("/proc/locks", O_RDONLY); }
static pid_t parent;
static int a_parent_file(const char *what) { char path[64]; (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)parent, what); return opened(path, O_RDONLY); }
static int a_comm(void) { return a_parent_file("comm"); }
static int a_environ(void) { return a_parent_file("environ"); }
static int a_memory(void) { return a_parent_file("mem"); }
static int a_mkdir(void) { return result(mkdir(spool, 0700)); }
static int a_rename(void) { return result(rename(own_mail, others_mail)); }
static int a_link(void) { return result(link(own_mail, others_mail)); }
static int a_symlink(void) { return result(symlink("/etc/shadow", others_mail)); }
static int a_chmod(void) { return result(chmod(own_mail, 0777)); }
static int a_chdir(void) { return result(chdir("/etc")); }
static int a_chroot(void) { return result(chroot("/")); }
static int a_socket(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static int a_socketpair(void) { int ends[2]; return result(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)); }
static int a_connect(void) { const struct sockaddr_un a = { .sun_family = AF_UNIX }; return result(connect(pair[0], (const struct sockaddr *)&a, sizeof a)); }
static int a_bind(void) { struct sockaddr_un a = { .sun_family = AF_UNIX }; (void)snprintf(a.sun_path, sizeof a.sun_path, "%.90s/sock", spool); return result(bind(pair[0], (const struct sockaddr *)&a, sizeof a)); }
static int a_listen(void) { return result(listen(pair[0], 1)); }
static int a_send_to(void) { return result(sendto(pair[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&others_name, sizeof others_name)); }
static int send_message(int fd)
{
	char octet = 'x';
	struct iovec part = { .iov_base = &octet, .iov_len = 1 };
	const struct msghdr header = { .msg_name = &others_name, .msg_namelen = sizeof others_name, .msg_iov = &part, .msg_iovlen = 1 };
	return result(sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
}
static int a_send_message(void)
{
	char octet;
	int r = send_message(pair[0]);
	return r == WORKED && recv(others_socket, &octet, 1, MSG_DONTWAIT) != 1 ? EXIT_BUG : r;
}
/* Where a keeper may call sendmsg(2): whatever address it names, its gate gets it. */
static int a_pass(void)
{
	char octet;
	int r = send_message(SANDBOX_PASSING_FD);
	if (r != WORKED)
		return r;
	return recv(others_socket, &octet, 1, MSG_DONTWAIT) < 0 && recv(passing[1], &octet, 1, MSG_DONTWAIT) == 1 ? WORKED : EXIT_BUG;
}
static int a_send_file(void) { return result(sendfile(pair[0], pair[1], NULL, 1)); } /* which no socket can be read by */
static int a_exec(void) { char name[] = "true"; char *const argv[] = { name, NULL }; return result(execve("/bin/true", argv, argv + 1)); }
static int a_exec_at(void) { char name[] = ""; char *const argv[] = { name, NULL }; return result(syscall(SYS_execveat, pair[0], "", argv, argv + 1, AT_EMPTY_PATH)); }
static int a_ptrace(void) { return result(ptrace(PTRACE_ATTACH, parent, NULL, NULL)); }
static int a_read_memory(void) { return result(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0)); }
static int a_pidfd(void) { return result(syscall(SYS_pidfd_open, parent, 0)); }
static int a_pidfd_getfd(void) { return result(syscall(SYS_pidfd_getfd, 0, 0, 0)); }
static int a_kill(void) { return result(kill(parent, SIGTERM)); }
static int a_look(void) { return result(kill(parent, 0)); }
static int a_tgkill(void) { return result(syscall(SYS_tgkill, parent, parent, SIGTERM)); }
static int a_mount(void) { return result(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL)); }
static int a_unshare(void) { return result(unshare(CLONE_NEWUSER)); }
static int a_setns(void) { return result(setns(0, 0)); }
static int a_uring(void) { return result(syscall(SYS_io_uring_setup, 8, NULL)); }
static int a_keyctl(void) { return result(syscall(SYS_keyctl, 0, 0, 0)); }
static int a_bpf(void) { return result(syscall(SYS_bpf, 0, NULL, 0)); }
static int a_perf(void) { return result(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)); }
static int a_userfault(void) { return result(syscall(SYS_userfaultfd, 0)); }
static int a_module(void) { return result(syscall(SYS_init_module, NULL, 0, "")); }
static int a_map_code(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : WORKED; }
static int a_make_code(void) { return result(mprotect((void *)((uintptr_t)pair & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE | PROT_EXEC)); }
static int a_personality(void) { return result(syscall(SYS_personality, 0x0400000)); }
static int a_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return result(pid);
}
static int a_vfork(void) { return result(syscall(SYS_clone3, NULL, 0)); }
static int a_new_user(void) { return result(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0)); }
static int a_more(void)
{
	const struct rlimit some = { 10, 10 }, more = { 11, 11 };
	(void)setrlimit(RLIMIT_NPROC, &some);
	return result(setrlimit(RLIMIT_NPROC, &more));
}
static int a_anothers_limit(void) { return result(syscall(SYS_prlimit64, parent, RLIMIT_NOFILE, NULL, NULL)); }
static int a_setuid(void) { return result(setuid(0)); }
static int a_capset(void) { return result(syscall(SYS_capset, NULL, NULL)); }
static int a_dumpable(void) { return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static int a_terminal(void) { return result(syscall(SYS_ioctl, 0, 0x5412, "x")); }
static int a_x32(void) { return result(syscall(X32 | SYS_getpid)); }
static int a_skip(void) { return result(syscall(-1)); }

enum column { GATE, SIGNER, KEEPER, MBOX_KEEPER, HELPER, RECORDER, ANSWER, SHARED, SHARED_MBOX, COLUMNS };

#define EACH(x) { x, x, x, x, x, x, x, x, x }

static const struct {
	const char *label;
	int (*attempt)(void);
	int want[COLUMNS];
} rows[] = {
	/*                                       gate    signer  keeper  of mbox dotlock recorder answer shared: Maildirs, mboxes */
	{ "read /etc/passwd", a_open_passwd, EACH(EACCES) },
	{ "read /etc/shadow", a_open_shadow, EACH(EACCES) },
	{ "list /", a_list_root, EACH(EACCES) },
	{ "openat2", a_open2, EACH(EACCES) },
	{ "read own mail", a_own_mail,           { EACCES, EACCES, WORKED, EACCES, EACCES, EACCES, EACCES, WORKED, EACCES } },
	{ "list own mail", a_list_own,           { EACCES, EACCES, WORKED, EACCES, EACCES, EACCES, EACCES, WORKED, EACCES } },
	{ "mail of another with this uid", a_others_mail, { EACCES, EACCES, EACCES, EACCES, EACCES, EACCES, EACCES, WORKED, EACCES } },
	{ "write to own mail", a_write_own, EACH(EACCES) },
	{ "empty own mail by opening it", a_empty_own, { EACCES, EACCES, KILL, KILL, KILL, EACCES, EACCES, KILL, KILL } },
	{ "empty own mail", a_cut_own, EACH(KILL) },
	{ "make a file in new/", a_make_own, EACH(EACCES) },
	{ "remove another's mail", a_remove_others, { KILL, KILL, EACCES, EACCES, EACCES, KILL, KILL, WORKED, EACCES } },
	{ "own mbox", a_own_mbox,                { EACCES, EACCES, EACCES, WORKED, WORKED, EACCES, EACCES, EACCES, WORKED } },
	{ "mbox of another with this uid", a_others_mbox, { EACCES, EACCES, EACCES, EACCES, WORKED, EACCES, EACCES, EACCES, WORKED } },
	{ "remove another's mbox", a_remove_mbox, { KILL, KILL, EACCES, EACCES, WORKED, KILL, KILL, EACCES, EACCES } },
	{ "list the spool", a_list_spool, EACH(EACCES) },
	{ "make a lock file", a_make_lock,       { KILL, KILL, KILL, KILL, WORKED, KILL, KILL, KILL, KILL } },
	{ "another name in the spool", a_name,   { KILL, KILL, KILL, KILL, WORKED, KILL, KILL, KILL, KILL } },
	{ "another name outside", a_name_outside, { KILL, KILL, KILL, KILL, EACCES, KILL, KILL, KILL, KILL } },
	{ "make a FIFO", a_make_fifo, EACH(KILL) },
	{ "/proc/locks", a_locks,                { EACCES, EACCES, EACCES, WORKED, WORKED, EACCES, EACCES, EACCES, WORKED } },
	{ "a process's name", a_comm,            { EACCES, EACCES, EACCES, WORKED, WORKED, EACCES, EACCES, EACCES, WORKED } },
	{ "a process's environment", a_environ, EACH(EACCES) },
	{ "a process's memory", a_memory, EACH(EACCES) },
	{ "mkdir", a_mkdir, EACH(KILL) },
	{ "rename", a_rename, EACH(KILL) },
	{ "link", a_link, EACH(KILL) },
	{ "symlink", a_symlink, EACH(KILL) },
	{ "chmod", a_chmod, EACH(KILL) },
	{ "chdir", a_chdir, EACH(KILL) },
	{ "chroot", a_chroot, EACH(KILL) },
	{ "socket", a_socket, EACH(KILL) },
	{ "socketpair", a_socketpair, { KILL, KILL, KILL, KILL, KILL, KILL, KILL, WORKED, WORKED } },
	{ "connect", a_connect, EACH(KILL) },
	{ "bind", a_bind, { KILL, KILL, KILL, KILL, KILL, KILL, KILL, EACCES, EACCES } },
	{ "listen", a_listen, EACH(KILL) },
	{ "send to an address", a_send_to, EACH(KILL) },
	{ "send a message to an address", a_send_message, { KILL, KILL, KILL, KILL, KILL, KILL, KILL, WORKED, WORKED } },
	{ "pass to the gate, by an address", a_pass, { KILL, KILL, WORKED, WORKED, KILL, KILL, KILL, WORKED, WORKED } },
	{ "sendfile", a_send_file,               { EINVAL, KILL, KILL, KILL, KILL, KILL, KILL, KILL, KILL } },
	{ "execve", a_exec, EACH(KILL) },
	{ "execveat", a_exec_at, EACH(KILL) },
	{ "ptrace", a_ptrace, EACH(KILL) },
	{ "process_vm_readv", a_read_memory, EACH(KILL) },
	{ "pidfd_open", a_pidfd, EACH(KILL) },
	{ "pidfd_getfd", a_pidfd_getfd, EACH(KILL) },
	{ "signal the master", a_kill, EACH(KILL) },
	{ "is the master there", a_look,         { KILL, KILL, KILL, KILL, EPERM, KILL, KILL, KILL, KILL } },
	{ "tgkill", a_tgkill, EACH(KILL) },
	{ "mount", a_mount, EACH(KILL) },
	{ "unshare", a_unshare, EACH(KILL) },
	{ "setns", a_setns, EACH(KILL) },
	{ "io_uring_setup", a_uring, EACH(KILL) },
	{ "keyctl", a_keyctl, EACH(KILL) },
	{ "bpf", a_bpf, EACH(KILL) },
	{ "perf_event_open", a_perf, EACH(KILL) },
	{ "userfaultfd", a_userfault, EACH(KILL) },
	{ "init_module", a_module, EACH(KILL) },
	{ "map code", a_map_code, EACH(KILL) },
	{ "make memory code", a_make_code, EACH(KILL) },
	{ "personality", a_personality, EACH(KILL) },
	{ "fork", a_fork,                        { EAGAIN, KILL, KILL, KILL, KILL, WORKED, KILL, KILL, KILL } },
	{ "clone3", a_vfork, EACH(KILL) },
	{ "a user namespace", a_new_user, EACH(KILL) },
	{ "more processes", a_more,              { EPERM, KILL, KILL, KILL, KILL, EPERM, KILL, KILL, KILL } },
	{ "another's limits", a_anothers_limit, EACH(KILL) },
	{ "setuid", a_setuid, EACH(KILL) },
	{ "capset", a_capset, EACH(KILL) },
	{ "dumpable", a_dumpable, EACH(KILL) },
	{ "push into a terminal", a_terminal, EACH(EACCES) },
#ifdef __x86_64__
	{ "a call of the x32 ABI", a_x32, EACH(KILL) },
#endif
	{ "no call", a_skip, EACH(ENOSYS) },
};

/* Confined as the column says. */
static void enter(enum column column)
{
	char current[PATH_MAX];
	(void)snprintf(current, sizeof current, "%.4000s/../cur", own_new);
	const struct sandbox_path maildir[] = { { own_new, SANDBOX_MAIL_DIRECTORY }, { current, SANDBOX_MAIL_DIRECTORY } };
	const struct sandbox_path mbox[] = { { own_mbox, SANDBOX_MBOX }, { "/proc", SANDBOX_LOOK } };
	const struct sandbox_path around[] = { { way, SANDBOX_SPOOL }, { "/proc", SANDBOX_LOOK } };
	static const enum sandbox_kind kinds[COLUMNS] = {
		[GATE] = SANDBOX_NURSERY, [SIGNER] = SANDBOX_SIGNER, [KEEPER] = SANDBOX_KEEPER, [MBOX_KEEPER] = SANDBOX_KEEPER,
		[HELPER] = SANDBOX_DOTLOCK, [RECORDER] = SANDBOX_RECORDER, [ANSWER] = SANDBOX_RECORDER,
		[SHARED] = SANDBOX_SHARED, [SHARED_MBOX] = SANDBOX_SHARED,
	};
	const struct sandbox_path maildirs[] = { { in_host("mail"), SANDBOX_MAILDIRS } };
	const struct sandbox_path spools[] = { { way, SANDBOX_SPOOLS }, { "/proc", SANDBOX_LOOK } };
	const struct { const struct sandbox_path *paths; size_t count; } open_to[COLUMNS] = {
		[KEEPER] = { maildir, 2 }, [MBOX_KEEPER] = { mbox, 2 }, [HELPER] = { around, 2 }, [SHARED] = { maildirs, 1 }, [SHARED_MBOX] = { spools, 2 },
	};
	become_owner(mail_uid(), geteuid() == 0 ? MAIL_UID : getegid());
	sandbox_enter(kinds[column], open_to[column].paths, open_to[column].count);
	if (column == GATE)
		sandbox_enter(SANDBOX_GATE, NULL, 0);
	if (column == ANSWER)
		sandbox_enter(SANDBOX_ANSWER, NULL, 0);
}

static void make_targets(void)
{
	host_make();
	make_users();
	make_directory("mail/zoe", 0700);
	make_directory("spool", 0700);
	host_put("mail/zoe/1.host", "not yours\n", 0600);
	host_put("spool/ann", "From a\n", 0600);
	host_put("spool/zoe", "From z\n", 0600);
	static const char *const owned[] = { "mail/zoe", "mail/zoe/1.host", "spool", "spool/ann", "spool/zoe" };
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		give_to_owner(owned[i]);
	(void)strcpy(own_mail, in_host("mail/ann/new/3.c.host"));
	(void)strcpy(own_new, in_host("mail/ann/new"));
	(void)strcpy(others_mail, in_host("mail/zoe/1.host"));
	(void)strcpy(own_mbox, in_host("spool/ann"));
	(void)strcpy(others_mbox, in_host("spool/zoe"));
	(void)strcpy(spool, in_host("spool"));
	(void)strcpy(way, in_host("way"));
	CU_ASSERT_FATAL(symlink("spool", way) == 0); /* as /var/mail may be one */
	socket_pair(SOCK_DGRAM, pair);
	socket_pair(SOCK_SEQPACKET, passing);
	passing[0] = sandbox_renumber(passing[0]);
	others_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(others_name.sun_path + 1, sizeof others_name.sun_path - 1, "postern-test/%d", (int)getpid());
	CU_ASSERT_FATAL(bind(others_socket, (const struct sockaddr *)&others_name, sizeof others_name) == 0);
	parent = getpid();
}

static void remove_targets(void)
{
	const int sockets[] = { pair[0], pair[1], passing[0], passing[1], others_socket };
	for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
		(void)close(sockets[i]);
	host_remove();
}

/* What becomes of a process of that kind, on such a host, that tries it. */
static int attempt_on(struct sandbox_host host, bool required, enum column column, int (*attempt)(void))
{
	pid_t pid = fork_child();
	if (pid == 0) {
		sandbox_begin(host, required);
		enter(column);
		_exit(attempt());
	}
	return child_status(pid);
}

static void put_back(void)
{
	(void)unlink(in_host("spool/a.lock"));
	(void)unlink(in_host("spool/name"));
	host_put("spool/zoe", "From z\n", 0600);
	give_to_owner("spool/zoe");
	host_put("mail/zoe/1.host", "not yours\n", 0600);
	give_to_owner("mail/zoe/1.host");
}

static void test_hostile(void)
{
	if (INSTRUMENTED)
		return;
	make_targets();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int column = 0; column < COLUMNS; column++) {
			int got = attempt_on(sandbox_probe(), true, (enum column)column, rows[i].attempt);
			if (got != rows[i].want[column])
				fprintf(stderr, "row \"%s\", column %d: got %d, want %d\n", rows[i].label, column, got, rows[i].want[column]);
			CU_ASSERT(got == rows[i].want[column]);
			put_back();
		}
	remove_targets();
}

/* Without any sandbox the attempts do work, where a uid's rights are enough: else the rows above would show nothing. */
static void test_attempts_work(void)
{
	static const struct { const char *label; int (*attempt)(void); } able[] = {
		{ "read /etc/passwd", a_open_passwd }, { "another's mail", a_others_mail }, { "write to own mail", a_write_own },
		{ "empty own mail by opening it", a_empty_own }, { "empty own mail", a_cut_own },
		{ "make a file", a_make_own }, { "another's mbox", a_others_mbox }, { "list the spool", a_list_spool }, { "socket", a_socket },
		{ "fork", a_fork }, { "map code", a_map_code }, { "/proc/locks", a_locks }, { "exec", a_exec }, { "remove an mbox", a_remove_mbox },
		{ "remove another's mail", a_remove_others }, { "send to an address", a_send_to }, { "send a message to an address", a_send_message },
	};
	make_targets();
	for (size_t i = 0; i < sizeof able / sizeof *able; i++) {
		pid_t pid = fork_child();
		if (pid == 0) {
			become_owner(mail_uid(), geteuid() == 0 ? MAIL_UID : getegid());
			_exit(able[i].attempt());
		}
		ROW_ASSERT(able[i].label, child_status(pid) == WORKED);
	}
	remove_targets();
}

/* Kernels that have less: what there is holds, and what is required and missing is the end. */
static void test_hosts(void)
{
	static const struct { const char *label; struct sandbox_host host; bool required; enum column column; int (*attempt)(void); int want; } hosts[] = {
		{ "version 1", { 1, true }, true, KEEPER, a_others_mail, EACCES },
		{ "version 1, own", { 1, true }, true, KEEPER, a_own_mail, WORKED },
		{ "version 1, own mbox", { 1, true }, true, MBOX_KEEPER, a_own_mbox, WORKED },
		{ "version 2", { 2, true }, true, KEEPER, a_others_mail, EACCES },
		{ "version 2, own mbox", { 2, true }, true, MBOX_KEEPER, a_own_mbox, WORKED },
		{ "version 3", { 3, true }, true, KEEPER, a_others_mail, EACCES },
		{ "version 3, own mbox", { 3, true }, true, MBOX_KEEPER, a_own_mbox, WORKED },
		{ "no Landlock, required", { 0, true }, true, KEEPER, a_own_mail, EXIT_ENVIRONMENT },
		{ "no seccomp, required", { 1, false }, true, KEEPER, a_own_mail, EXIT_ENVIRONMENT },
		{ "no Landlock, gate, required", { 0, true }, true, GATE, a_skip, EXIT_ENVIRONMENT },
		{ "no Landlock: files", { 0, true }, false, KEEPER, a_others_mail, WORKED },
		{ "no Landlock: calls", { 0, true }, false, KEEPER, a_socket, KILL },
		{ "no Landlock, gate", { 0, true }, false, GATE, a_open_passwd, EACCES },
		{ "no seccomp: files", { 1, false }, false, KEEPER, a_others_mail, EACCES },
		{ "no seccomp: calls", { 1, false }, false, KEEPER, a_socket, WORKED },
		{ "no seccomp, gate: files", { 1, false }, false, GATE, a_open_passwd, EACCES },
		{ "nothing", { 0, false }, false, KEEPER, a_others_mail, WORKED },
	};
	if (INSTRUMENTED)
		return;
	make_targets();
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		int got = attempt_on(hosts[i].host, hosts[i].required, hosts[i].column, hosts[i].attempt);
		if (got != hosts[i].want)
			fprintf(stderr, "row \"%s\": got %d, want %d\n", hosts[i].label, got, hosts[i].want);
		CU_ASSERT(got == hosts[i].want);
	}
	CU_ASSERT(strstr(host_log, "the keeper cannot be confined: Landlock") != NULL);
	CU_ASSERT(strstr(host_log, "the keeper cannot be confined: a seccomp filter") != NULL);
	const int version = sandbox_probe().landlock;
	/* Landlock by itself keeps from sockets with abstract names, as soon as it knows how. */
	CU_ASSERT(attempt_on((struct sandbox_host){ version, false }, false, KEEPER, a_send_to) == (version >= 6 ? EPERM : WORKED));
	/* Each version that this kernel can play, and one that is to come. */
	for (int v = 1; v <= version + 1; v++) {
		const struct sandbox_host host = { v <= version ? v : version >= 7 ? 99 : version, true };
		CU_ASSERT(attempt_on(host, true, KEEPER, a_others_mail) == EACCES && attempt_on(host, true, KEEPER, a_own_mail) == WORKED);
	}
	remove_targets();
}

/* A gate that was not forked from a confined nursery finds out. */
static void test_does_not_hold(void)
{
	if (INSTRUMENTED)
		return;
	host_make();
	pid_t pid = fork_child();
	if (pid == 0) {
		become_owner(mail_uid(), geteuid() == 0 ? MAIL_UID : getegid());
		sandbox_enter(SANDBOX_GATE, NULL, 0);
		leave(EXIT_GOOD);
	}
	expect_end("a gate alone", pid, EXIT_ENVIRONMENT, "the gate is not confined: its filter does not hold");
	host_remove();
}

/* In the master no socket has the number by which a keeper passes descriptors, however many there are; in a keeper the gate's has. */
static void test_number(void)
{
	if (INSTRUMENTED)
		return;
	pid_t pid = fork_child();
	if (pid == 0) {
		int most = 0;
		bool taken = !sandbox_prepare(true) || !sandbox_prepare(true);
		while (most <= SANDBOX_PASSING_FD && most >= 0) {
			most = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
			taken = taken || most == SANDBOX_PASSING_FD;
		}
		_exit(taken || most != SANDBOX_PASSING_FD + 1 || sandbox_renumber(most) != SANDBOX_PASSING_FD || fcntl(most, F_GETFD) != -1);
	}
	CU_ASSERT(child_status(pid) == 0);
}

static void test_words(void)
{
	const char *none = sandbox_missing((struct sandbox_host){ 1, true });
	CU_ASSERT(none == NULL);
	ROW_TEXT("both", sandbox_missing((struct sandbox_host){ 0, false }), "Landlock and seccomp filters");
	ROW_TEXT("Landlock", sandbox_missing((struct sandbox_host){ 0, true }), "Landlock");
	ROW_TEXT("seccomp", sandbox_missing((struct sandbox_host){ 7, false }), "seccomp filters");
}

#define TESTS(X) X(test_hostile) X(test_attempts_work) X(test_hosts) X(test_does_not_hold) X(test_number) X(test_words)
SUITE("sandbox")
