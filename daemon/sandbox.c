/*
 * sandbox.c - what a process can still ask of the kernel: files by Landlock, system calls by seccomp, limits.
 * Runs in: gate nursery, gate, keeper, dotlock helper, recorder and its children; probes in the master.
 * Trusts: the kernel; the filters, which are made with this program.
 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"

/* ---- the kernel's interface: linux/landlock.h of Debian 12 knows less than the kernels that this runs on ---- */

enum { GET_VERSION = 1, PATH_BENEATH = 1 };  /* LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH */

enum {
	WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_FILE = 1 << 5, MAKE_REG = 1 << 8, TRUNCATE = 1 << 14,
};

struct ruleset { uint64_t files, network, scopes; };
struct beneath { uint64_t rights; int32_t path; } __attribute__((packed));

/* What each version of Landlock can restrict: all of it is. Version 7 brought no right. */
static const struct ruleset versions[] = {
	[0] = { 0 },
	[1] = { .files = (1 << 13) - 1 },
	[2] = { .files = (1 << 14) - 1 },                                     /* files linked or moved elsewhere */
	[3] = { .files = (1 << 15) - 1 },                                     /* truncate */
	[4] = { .files = (1 << 15) - 1, .network = 3 },                       /* TCP: bind, connect */
	[5] = { .files = (1 << 16) - 1, .network = 3 },                       /* ioctl on devices */
	[6] = { .files = (1 << 16) - 1, .network = 3, .scopes = 3 },          /* abstract sockets, signals */
};
enum { NEWEST = sizeof versions / sizeof *versions - 1, SCOPE_SOCKETS = 1 };

/*
 * filtered: rights that are given where there is a filter, which forbids the calls that would use them. Whenever a file is opened
 * Landlock asks whether it may be truncated, too, and goes up to the root directory for a no: dearer than the rest of its work.
 */
static const struct { uint64_t rights, filtered; int flags; } accesses[] = {
	[SANDBOX_MAIL_DIRECTORY] = { READ_FILE | READ_DIR | REMOVE_FILE, TRUNCATE, O_DIRECTORY | O_NOFOLLOW },
	[SANDBOX_MBOX] = { READ_FILE | WRITE_FILE | TRUNCATE, 0, O_NOFOLLOW },
	[SANDBOX_SPOOL] = { MAKE_REG | READ_FILE | WRITE_FILE | REMOVE_FILE, 0, O_DIRECTORY },  /* /var/mail may be root's link */
	[SANDBOX_LOOK] = { READ_FILE, 0, O_DIRECTORY },
	[SANDBOX_READ] = { READ_FILE, TRUNCATE, O_NOFOLLOW },
	[SANDBOX_MAILDIRS] = { READ_FILE | READ_DIR | REMOVE_FILE, TRUNCATE, O_DIRECTORY },
	[SANDBOX_SPOOLS] = { READ_FILE | WRITE_FILE | TRUNCATE, 0, O_DIRECTORY },
	[SANDBOX_OURS] = { READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE, 0, O_DIRECTORY },
};

/* ---- the kinds ---- */

enum { AS_IT_IS = -1 };

static const struct profile {
	const char *name;
	bool landlock;          /* else that of the process it was forked from */
	bool sends_anywhere;    /* to sockets outside: a keeper rings after it is confined */
	int descriptors, processes, file_size;
} profiles[SANDBOX_KINDS] = {
	[SANDBOX_NURSERY] = { "gate nursery", true, false, SANDBOX_DESCRIPTORS, AS_IT_IS, 0 },
	[SANDBOX_GATE] = { "gate", false, false, AS_IT_IS, 0, AS_IT_IS },
	[SANDBOX_SIGNER] = { "signer", true, false, SANDBOX_DESCRIPTORS, 0, 0 },
	[SANDBOX_KEEPER] = { "keeper", true, false, SANDBOX_DESCRIPTORS, 0, AS_IT_IS },
	[SANDBOX_SHARED] = { "shared keeper", true, true, SANDBOX_DESCRIPTORS, 0, AS_IT_IS },
	[SANDBOX_DOTLOCK] = { "dotlock helper", true, false, SANDBOX_DESCRIPTORS, 0, AS_IT_IS },
	[SANDBOX_RECORDER] = { "recorder", true, false, SANDBOX_DESCRIPTORS, AS_IT_IS, AS_IT_IS },
	[SANDBOX_ANSWER] = { "recorder's answer", false, false, AS_IT_IS, 0, 0 },
};

static struct {
	bool known, required;
	struct sandbox_host host;
} state = { .required = true };

/* ---- what there is ---- */

struct sandbox_host sandbox_probe(void)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
	return (struct sandbox_host){
		.landlock = version > 0 ? (int)version : 0,
		.seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0,
	};
}

const char *sandbox_missing(struct sandbox_host host)
{
	if (host.landlock > 0)
		return host.seccomp ? NULL : "seccomp filters";
	return host.seccomp ? "Landlock" : "Landlock and seccomp filters";
}

void sandbox_begin(struct sandbox_host host, bool required)
{
	state.known = true;
	state.required = required;
	state.host = host;
}

/* Something that is no socket: whatever the master opens later, for any worker, has another number. */
static bool reserve_number(void)
{
	int root = open("/", O_PATH | O_CLOEXEC);
	int fd = fcntl(root, F_DUPFD_CLOEXEC, SANDBOX_PASSING_FD);
	(void)close(root);
	/* It is reserved already. */
	if (fd > SANDBOX_PASSING_FD)
		(void)close(fd);
	if (fd < 0)
		log_line(LOG_ERR, "descriptor %d: %s; the limit of open files (ulimit -n, LimitNOFILE=) has to be larger than that", SANDBOX_PASSING_FD, strerror(errno));
	return fd >= 0;
}

bool sandbox_prepare(bool required)
{
	const struct sandbox_host host = sandbox_probe();
	const char *missing = sandbox_missing(host);
	if (missing != NULL && required && !INSTRUMENTED) {
		log_line(LOG_ERR, SANDBOX_LACKING, missing);
		return false;
	}
	if (missing != NULL)
		log_line(LOG_WARNING, "sandbox = as-available: " SANDBOX_ABSENT "; processes are confined without", missing);
	sandbox_begin(host, required);
	return reserve_number();
}

int sandbox_renumber(int gate)
{
	if (gate == SANDBOX_PASSING_FD)
		return gate;
	if (dup3(gate, SANDBOX_PASSING_FD, O_CLOEXEC) < 0)
		fatal("descriptor %d", SANDBOX_PASSING_FD);
	(void)close(gate);
	return SANDBOX_PASSING_FD;
}

/* A piece is not to be had. Where that is allowed the master has said so at the start. */
static void lack(const struct profile *p, const char *piece)
{
	if (state.required)
		fatal("the %s cannot be confined: %s", p->name, piece);
	errno = 0;
}

/* ---- the pieces ---- */

static void limit(const struct profile *p, __rlimit_resource_t resource, int most)
{
	const struct rlimit to = { (rlim_t)most, (rlim_t)most };
	if (most != AS_IT_IS && setrlimit(resource, &to) != 0 && errno != EPERM)
		fatal("the limits of the %s", p->name);
}

/* A path that is not there, or not what it is to be, stays closed; whoever opens it says what is wrong. */
static int open_path(int ruleset, const struct ruleset *handled, const struct sandbox_path *path)
{
	const uint64_t filtered = state.host.seccomp ? accesses[path->access].filtered : 0;
	struct beneath rule = { .rights = (accesses[path->access].rights | filtered) & handled->files };
	rule.path = open(path->path, O_PATH | O_CLOEXEC | accesses[path->access].flags);
	if (rule.path < 0)
		return 0;
	long r = syscall(SYS_landlock_add_rule, ruleset, PATH_BENEATH, &rule, 0);
	(void)close(rule.path);
	return r == 0 || errno == EINVAL ? 0 : -1;
}

static int restrict_paths(const struct profile *p, const struct sandbox_path *paths, size_t count)
{
	struct ruleset handled = versions[state.host.landlock < NEWEST ? state.host.landlock : NEWEST];
	if (p->sends_anywhere)
		handled.scopes &= ~(uint64_t)SCOPE_SOCKETS;
	int fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
	int r = fd < 0 ? -1 : 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = open_path(fd, &handled, &paths[i]);
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		r = -1;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void confine_paths(const struct profile *p, const struct sandbox_path *paths, size_t count)
{
	if (state.host.landlock == 0 || restrict_paths(p, paths, count) != 0) {
		lack(p, "Landlock");
		return;
	}
	/* Whoever may still list the root directory is not confined. */
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != EACCES)
		fatal("the %s is not confined: Landlock does not hold", p->name);
}

static int install(const struct sandbox_program *program)
{
	/* The kernel reads it; its type lacks the const. */
	const union { const struct sock_filter *from; struct sock_filter *to; } code = { .from = program->code };
	const struct sock_fprog filter = { .len = program->count, .filter = code.to };
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

static void filter_calls(const struct profile *p, const struct sandbox_program *program)
{
	if (!state.host.seccomp || (program->code != NULL && install(program) != 0)) {
		lack(p, "a seccomp filter");
		return;
	}
	/* Of every filter this is a call that is refused rather than the end. Why, was looked at before where it came by fork(2): errno is a page fault there. */
	if (syscall(SYS_faccessat, AT_FDCWD, "/", F_OK) == 0 || (program->code != NULL && errno != EACCES))
		fatal("the %s is not confined: its filter does not hold", p->name);
}

void sandbox_enter(enum sandbox_kind kind, const struct sandbox_path *paths, size_t count)
{
	const struct profile *p = &profiles[kind];
	if (INSTRUMENTED)
		return;
	if (!state.known)
		sandbox_begin(sandbox_probe(), true);
	limit(p, RLIMIT_CORE, p->landlock ? 0 : AS_IT_IS);
	limit(p, RLIMIT_NOFILE, p->descriptors);
	limit(p, RLIMIT_NPROC, p->processes);
	limit(p, RLIMIT_FSIZE, p->file_size);
	if (p->landlock)
		confine_paths(p, paths, count);
	filter_calls(p, &sandbox_programs[kind]);
}
