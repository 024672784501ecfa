/*
 * test_process_limit.c - daemon/process_limit.c: the bounds of control groups, of either version.
 * Runs in: the tests; the kernel's files are played.
 */
static char cgroups[64], own[80];
#define CGROUPS cgroups
#define CGROUPS_OF_THIS own
#include "daemon/process_limit.c"
#include "tests/unit/daemon/host.h"

/* A file NAME below the host, with the directories above it. */
static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s", in_host(name));
	for (char *slash = strchr(path + strlen(host_directory) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		CU_ASSERT(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	host_put(name, text, 0600);
}

static void test_limits(void)
{
	static const struct { const char *label, *groups, *file, *text; uint64_t want, of_unit; } rows[] = {
		{ "nothing is told", "", "none", "", UINT64_MAX, UINT64_MAX },
		{ "the unit's", "0::/system.slice/postern.service\n", "system.slice/postern.service/pids.max", "4096\n", 4096, 4096 },
		{ "no bound", "0::/system.slice/postern.service\n", "system.slice/postern.service/pids.max", "max\n", UINT64_MAX, UINT64_MAX },
		{ "the slice's", "0::/system.slice/postern.service\n", "system.slice/pids.max", "300\n", 300, 300 },
		{ "a container's", "0::/\n", "pids.max", "200\n", 200, 200 },
		{ "version 1", "9:name=systemd:/x\n8:pids:/system.slice/postern.service\n0::/\n", "pids/system.slice/postern.service/pids.max", "77\n", 77, 77 },
		{ "a container's of version 1", "8:pids:/docker/0123\n", "pids/pids.max", "66\n", 66, 66 },
		{ "a shell's", "0::/user.slice/session-1.scope\n", "user.slice/session-1.scope/pids.max", "55\n", 55, UINT64_MAX },
		{ "another unit's", "0::/user.slice\n", "system.slice/postern.service/pids.max", "44\n", UINT64_MAX, 44 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		host_make();
		(void)snprintf(cgroups, sizeof cgroups, "%s", host_directory);
		(void)snprintf(own, sizeof own, "%s", in_host("own"));
		put("own", rows[i].groups);
		put(rows[i].file, rows[i].text);
		ROW_ASSERT(rows[i].label, process_limit() == rows[i].want);
		ROW_ASSERT(rows[i].label, process_limit_of_unit() == rows[i].of_unit);
		host_remove();
	}
}

/* The unit that comes with us is for the default. */
static void test_words(void)
{
	char text[512];
	CU_ASSERT(!process_limit_is_low(4096, 1000, text, sizeof text) && !process_limit_is_low(UINT64_MAX, 10000, text, sizeof text));
	CU_ASSERT(process_limit_is_low(4096, 2000, text, sizeof text));
	ROW_TEXT("words", text, "max = 2000 workers may be 6016 processes, and no more than 4096 are allowed; write TasksMax=6016 below [Service] in what "
	         "`systemctl edit postern` opens (in a container raise its limit of processes), and restart; or lower max");
}

#define TESTS(X) X(test_limits) X(test_words)
SUITE("process_limit")
