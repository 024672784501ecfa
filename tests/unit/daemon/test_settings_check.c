/*
 * test_settings_check.c - daemon/settings_check.c: what is said about a host that lacks what the settings name.
 * Runs in: the tests.
 */
static const char *cgroups = "/nonexistent";
#define CGROUPS cgroups
#define CGROUPS_OF_THIS "/nonexistent"
#include "daemon/process_limit.c"

#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/settings_table.h"
#include "tests/unit/suite.h"

enum { FOUND_MAX = 16 };

static struct found {
	size_t count;
	unsigned line[FOUND_MAX];
	char text[FOUND_MAX][FINDING_MAX];
} found;

static char path[64];

static void keep(void *context, const char *file, unsigned line, const char *text)
{
	CU_ASSERT_STRING_EQUAL(context, "context");
	CU_ASSERT_STRING_EQUAL(file, path);
	if (found.count < FOUND_MAX) {
		found.line[found.count] = line;
		(void)snprintf(found.text[found.count], FINDING_MAX, "%s", text);
	}
	found.count++;
}

static void file_write(const char *text, size_t len)
{
	(void)snprintf(path, sizeof path, "/tmp/postern-settings-XXXXXX");
	int fd = mkstemp(path);
	CU_ASSERT_FATAL(fd != -1);
	CU_ASSERT(write(fd, text, len) == (ssize_t)len);
	(void)close(fd);
}

/* What the host check says of a setting, on a host that the test makes in a directory of its own. */
struct host {
	const char *label, *text;
	unsigned line;
	const char *fix;
};
static const struct host hosts[] = {
	{ "no certificate", "[tls]\ncertificate = @/none\nkey = @/key\n", 2, "correct the path" },
	{ "no key", "[tls]\ncertificate = @/key\nkey = @/none\n", 3, "[tls] key: " },
	{ "open key", "[tls]\ncertificate = @/key\nkey = @/open\n", 3, "chmod o-rwx " },
	{ "key is a directory", "[tls]\ncertificate = @/key\nkey = @/directory\n", 3, "is not a file" },
	{ "lock_directory is a file", "[maildrop]\nlock_directory = @/open\n", 2, "is not a directory" },
	{ "lock_directory below a file", "[maildrop]\nlock_directory = @/open/x\n", 2, "Not a directory" },
	{ "lock_directory for all", "[maildrop]\nlock_directory = @/shared\n", 2, "chmod 0700" },
	{ "no spool", "[maildrop]\nlocation = mbox:@/none/%u\n", 2, "make it, or correct the path" },
	{ "no spool behind homes", "[maildrop]\nlocation = maildir:~/Maildir mbox:@/none/%u\n", 2, "make it, or correct the path" },
	{ "spool is a file", "[maildrop]\nlocation = mbox:@/open/%u\n", 2, "is not a directory" },
	{ "mbox is a directory", "[maildrop]\nlocation = mbox:@/directory\n", 2, "write mbox:" },
	{ "second mbox is a directory", "[maildrop]\nlocation = maildir:~/Maildir mbox:@/directory\n", 2, "write mbox:" },
	{ "domain is taken off", "[auth]\nlocal_domains = example.org\n[maildrop]\nlocation = maildir:@/directory/%d/%n\n", 4, "which local_domains takes off" },
	{ "history_directory for all", "[log]\nhistory_directory = @/shared\n", 2, "change what is on record; run: chown" },
	{ "virtual_user unknown", "[auth]\nvirtual_user = no-such-user\n", 2, "there is no user no-such-user; run: useradd --create-home" },
	{ "virtual_user too low", "[auth]\nvirtual_user = daemon\n", 2, "choose one with at least 1000" },
	{ "good key", "[tls]\ncertificate = @/key\nkey = @/key\n", 0, "[tls] " },
	{ "lock_directory there", "[maildrop]\nlock_directory = @/directory\n", 0, "lock_directory" },
	{ "lock_directory can be made", "[maildrop]\nlock_directory = @/a/b/c\n", 0, "lock_directory" },
	{ "spool there", "[maildrop]\nlocation = maildir:@/directory/%u\n", 0, "location" },
	{ "spool for all", "[maildrop]\nlocation = mbox:@/shared/%u\n", 0, "location" },
	{ "Maildirs take no lock files", "[maildrop]\nlocation = maildir:@/closed/%u\n", 0, "location" },
	{ "no lock files", "[maildrop]\nlocation = mbox:@/closed/%u\nmbox_locks = fcntl\n", 0, "location" },
	{ "directories of their own", "[maildrop]\nlocation = mbox:@/closed/%u/mbox\n", 0, "location" },
	{ "domain and domain", "[maildrop]\nlocation = maildir:@/directory/%d/%n\n", 0, "location" },
	{ "spool is no spool", "[maildrop]\nlocation = maildir:~/Maildir\n", 0, "location" },
};

/* The same, for root only: others serve nobody else's mail. */
static const struct host hosts_of_root[] = {
	{ "spool closed", "[maildrop]\nlocation = mbox:@/closed/%u\n", 2, "no lock file can be made for users" },
	{ "one for everybody", "[maildrop]\nlocation = maildir:@/directory/mail\n", 2, "one mailbox for everybody" },
};

static void host_make(char *directory)
{
	static const struct { const char *name; mode_t mode; bool is_directory; } made[] = {
		{ "key", 0640, false }, { "open", 0644, false }, { "directory", 0700, true }, { "shared", 0777, true }, { "closed", 0755, true } };
	CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		char name[128];
		(void)snprintf(name, sizeof name, "%s/%s", directory, made[i].name);
		if (made[i].is_directory) {
			CU_ASSERT(mkdir(name, 0700) == 0);
		} else {
			FILE *f = fopen(name, "we");
			CU_ASSERT(f != NULL && fclose(f) == 0);
		}
		CU_ASSERT(chmod(name, made[i].mode) == 0);
	}
}

static void host_remove(const char *directory)
{
	static const char *const names[] = { "key", "open", "directory", "shared", "closed", "" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[128];
		(void)snprintf(name, sizeof name, "%s/%s", directory, names[i]);
		CU_ASSERT(remove(name) == 0);
	}
}

/* Of one host: are there the words, in that line? */
static void check_host(const struct host *h, const char *directory)
{
	static char context[] = "context";
	struct settings s;
	char text[512];
	struct buf b = BUF_OVER(text);
	for (const char *p = h->text; *p != '\0'; p++)
		(void)(*p == '@' ? buf_add_text(&b, directory) : buf_add(&b, p, 1));
	file_write(buf_text(&b), b.len);
	found.count = 0;
	ROW_ASSERT(h->label, settings_read(path, &s, keep, context) == 0);
	size_t n = settings_check_host(path, &s, built("posternd-pam"), keep, context), hits = 0;
	ROW_ASSERT(h->label, n == found.count);
	for (size_t j = 0; j < n && j < FOUND_MAX; j++)
		hits += strstr(found.text[j], h->fix) != NULL && (h->line == 0 || found.line[j] == h->line);
	/* Line 0: such words must not occur at all. */
	ROW_ASSERT(h->label, hits == (h->line != 0));
	(void)unlink(path);
}

static void test_host(void)
{
	char directory[] = "/tmp/postern-host-XXXXXX";
	host_make(directory);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		check_host(&hosts[i], directory);
	if (geteuid() != 0)
		(void)printf("  not root: rows about root's spool are left out\n");
	for (size_t i = 0; geteuid() == 0 && i < sizeof hosts_of_root / sizeof *hosts_of_root; i++)
		check_host(&hosts_of_root[i], directory);
	host_remove(directory);
}

/* Without a certificate: is a port open to those who may not log in there? */
static void test_host_tls(void)
{
	/* One that is set and was refused is a finding already. */
	static const struct { const char *text; bool lacking; size_t refused; } rows[] = {
		{ "[tls]\ncertificate = </c\nkey = /k\n", false, 1 }, { "[auth]\nbackends = pam\n", true, 0 }, { "[tls]\nplaintext_login = always\n", false, 0 },
		{ "[listen]\npop3 = 127.0.0.1:110 [::1]:110\n", false, 0 }, { "[listen]\npop3 = 127.0.0.1:110 192.0.2.1:110\n", true, 0 },
		{ "[tls]\ncertificate = /c\nkey = /k\n", false, 0 },
	};
	static char context[] = "context";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings s;
		size_t hits = 0;
		file_write(rows[i].text, strlen(rows[i].text));
		ROW_ASSERT(rows[i].text, settings_read(path, &s, keep, context) == rows[i].refused && (rows[i].refused > 0 || settings_lack_tls(&s) == rows[i].lacking));
		found.count = 0;
		size_t n = settings_check_host(path, &s, built("posternd-pam"), keep, context);
		for (size_t j = 0; j < n && j < FOUND_MAX; j++)
			hits += strstr(found.text[j], "[tls] certificate: none is set, so there is no TLS, and nobody can log in from another host") != NULL;
		ROW_ASSERT(rows[i].text, hits == rows[i].lacking);
		(void)unlink(path);
	}
}

/* Has the unit room for so many workers? */
static void test_host_processes(void)
{
	static const struct { const char *text; bool low; } rows[] = {
		{ "[workers]\nmax = 1000\n", false }, { "[workers]\nmax = 2000\n", true },
	};
	static char context[] = "context";
	char directory[] = "/tmp/postern-host-XXXXXX", name[64];
	CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
	(void)snprintf(name, sizeof name, "%s/pids.max", directory);
	FILE *f = fopen(name, "we");
	CU_ASSERT_FATAL(f != NULL && fputs("4096\n", f) >= 0 && fclose(f) == 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings s;
		size_t hits = 0;
		file_write(rows[i].text, strlen(rows[i].text));
		CU_ASSERT(settings_read(path, &s, keep, context) == 0);
		found.count = 0;
		cgroups = directory;
		size_t n = settings_check_host(path, &s, built("posternd-pam"), keep, context);
		cgroups = "/nonexistent";
		for (size_t j = 0; j < n && j < FOUND_MAX; j++)
			hits += found.line[j] == 2 && strstr(found.text[j], "[workers] max: max = 2000 workers may be 6016 processes") != NULL;
		ROW_ASSERT(rows[i].text, hits == rows[i].low);
		(void)unlink(path);
	}
	CU_ASSERT(unlink(name) == 0 && rmdir(directory) == 0);
}

/* Who else may change the file? */
static void test_host_file_mode(void)
{
	static const struct { const char *label, *words; mode_t mode; uid_t owner; gid_t group; } rows[] = {
		{ "all", "run: chmod go-w ", 0646, 0, 0 }, { "a group", "run: chmod go-w ", 0664, 0, 77 }, { "another user", "run: chown root ", 0644, 77, 0 },
		{ "root's group", NULL, 0664, 0, 0 }, { "nobody", NULL, 0644, 0, 77 },
	};
	static char context[] = "context";
	struct settings s;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (geteuid() != 0 && i > 0)
			break; /* groups and owners are root's to give */
		file_write("", 0);
		CU_ASSERT(chmod(path, rows[i].mode) == 0 && (geteuid() != 0 || chown(path, rows[i].owner, rows[i].group) == 0));
		found.count = 0;
		CU_ASSERT(settings_read(path, &s, keep, context) == 0);
		(void)settings_check_host(path, &s, built("posternd-pam"), keep, context);
		const bool says = strstr(found.text[0], "write this file") != NULL;
		ROW_ASSERT(rows[i].label, says == (rows[i].words != NULL) && (!says || strstr(found.text[0], rows[i].words) != NULL));
		(void)unlink(path);
	}
}

#define TESTS(X) X(test_host) X(test_host_tls) X(test_host_processes) X(test_host_file_mode)
SUITE("settings_check")
