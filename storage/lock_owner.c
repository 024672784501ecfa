/*
 * lock_owner.c - which program holds a lock of the host's on an mbox.
 * Runs in: keeper, as the mail's owner. Trusts: /proc, for a name that people read; decides nothing by it.
 */
#include "storage/lock_owner.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"

enum { PID_DIGITS = 20, COMM_MAX = 16 };

/* Delivery agents by the names of their processes (15 octets at most: /proc/PID/comm). */
static const char *const deliverers[] = {
	"procmail", "maildrop", "local", "virtual", "postdrop", "dovecot-lda", "deliver", "lmtp", "mail.local", "exim4", "exim", "sendmail",
	"smtpd", "fdm", "mda", "qmail-local", "fetchmail",
};

/* Its name as the process chose it, so only what is harmless in a sentence is taken over. */
bool lock_owner_name(pid_t pid, char owner_r[LOCK_OWNER_MAX])
{
	char path[64], comm[COMM_MAX + 1];
	(void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	if (io_read_text(AT_FDCWD, path, comm, sizeof comm) == 0)
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	for (char *p = comm; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e || *p == '"' || *p == '\\')
			*p = '?';
	(void)snprintf(owner_r, LOCK_OWNER_MAX, "%s (process %ld)", comm, (long)pid);
	return true;
}

/* Whose lock a line of /proc/locks is, if it is on that file. 0: another file's, or nobody's (-1 stands for an open file description). */
static uint64_t holder_in(const char *line, const char *file)
{
	/* 1: FLOCK  ADVISORY  WRITE 4711 08:01:131073 0 EOF; a "->" behind the number is one that waits. */
	const char *end = strstr(line, file), *digits = end;
	uint64_t pid;
	if (end == NULL || strstr(line, "->") != NULL)
		return 0;
	while (digits > line && digits[-1] != ' ')
		digits--;
	return parse_number(digits, (size_t)(end - digits), 1, INT32_MAX, &pid) == 0 ? pid : 0;
}

bool lock_owner_of_file(int fd, char owner_r[LOCK_OWNER_MAX])
{
	char line[256], file[64];
	struct stat st;
	bool found = false;
	FILE *f = fstat(fd, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
	if (f == NULL)
		return false;
	(void)snprintf(file, sizeof file, " %02x:%02x:%ju ", major(st.st_dev), minor(st.st_dev), (uintmax_t)st.st_ino);
	while (!found && fgets(line, sizeof line, f) != NULL) {
		uint64_t pid = holder_in(line, file);
		found = pid > 0 && pid != (uint64_t)getpid() && lock_owner_name((pid_t)pid, owner_r);
	}
	(void)fclose(f);
	return found;
}

pid_t lock_owner_in_dotlock(int dir_fd, const char *name)
{
	char text[PID_DIGITS + 1];
	uint64_t pid;
	if (io_read_text(dir_fd, name, text, sizeof text) == 0)
		return 0;
	return parse_number(text, strspn(text, "0123456789"), 2, INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

bool lock_owner_delivers(const char *owner)
{
	const size_t len = strcspn(owner, " ");
	for (size_t i = 0; i < sizeof deliverers / sizeof deliverers[0]; i++)
		if (strlen(deliverers[i]) == len && memcmp(deliverers[i], owner, len) == 0)
			return true;
	return false;
}
