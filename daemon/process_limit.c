/*
 * process_limit.c - how many processes there may be at the same time.
 * Runs in: master; posternd -t. Trusts: the kernel.
 */
#include "daemon/process_limit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

/* The unit test puts files of its own in their place. */
#ifndef CGROUPS
#define CGROUPS "/sys/fs/cgroup"
#define CGROUPS_OF_THIS "/proc/self/cgroup"
#endif

enum {
	PROCESSES_A_WORKER = 3,  /* its halves, and a PAM helper or a lock file's */
	PROCESSES_BESIDE = 16,   /* the master, the recorder and those who answer for it; nursery and signer, twice for a moment */
};

static uint64_t read_limit(const char *group)
{
	char path[PATH_MAX + 16], text[32];
	uint64_t limit;
	(void)snprintf(path, sizeof path, "%s/pids.max", group);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	if (fd >= 0)
		(void)close(fd);
	/* A number and a line end; or "max". */
	return n > 0 && parse_number(text, (size_t)n - 1, 0, UINT64_MAX, &limit) == 0 ? limit : UINT64_MAX;
}

/* Of that group ("/system.slice/...") and those above it, each of which counts. v2: of the hierarchy of version 2, else of version 1. */
static uint64_t least_limit(const char *group, bool v2)
{
	char path[PATH_MAX];
	uint64_t least = UINT64_MAX;
	const int top = snprintf(path, sizeof path, "%s%s", CGROUPS, v2 ? "" : "/pids");
	(void)snprintf(path + top, sizeof path - (size_t)top, "%s", group);
	for (char *end = path + strlen(path); end >= path + top; end = strrchr(path, '/')) {
		*end = '\0';
		const uint64_t limit = read_limit(path);
		least = limit < least ? limit : least;
	}
	return least;
}

uint64_t process_limit(void)
{
	char line[PATH_MAX];
	uint64_t least = UINT64_MAX;
	FILE *f = fopen(CGROUPS_OF_THIS, "re");
	/* "0::/group" is version 2's, "8:pids:/group" version 1's. */
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		const bool v2 = strncmp(line, "0::/", 4) == 0;
		const char *group = v2 ? line + 3 : strstr(line, ":pids:/");
		if (group == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		const uint64_t limit = least_limit(strchr(group, '/'), v2);
		least = limit < least ? limit : least;
	}
	if (f != NULL)
		(void)fclose(f);
	return least;
}

uint64_t process_limit_of_unit(void)
{
	static const char unit[] = "/system.slice/postern.service";
	const uint64_t v1 = least_limit(unit, false), v2 = least_limit(unit, true);
	return v1 < v2 ? v1 : v2;
}

bool process_limit_is_low(uint64_t limit, uint64_t workers, char *text_r, size_t size)
{
	const unsigned long long wanted = PROCESSES_A_WORKER * workers + PROCESSES_BESIDE;
	if (limit >= wanted)
		return false;
	(void)snprintf(text_r, size, "max = %llu workers may be %llu processes, and no more than %llu are allowed; write TasksMax=%llu below [Service] in what "
	               "`systemctl edit postern` opens (in a container raise its limit of processes), and restart; or lower max",
	               (unsigned long long)workers, wanted, (unsigned long long)limit, wanted);
	return true;
}
