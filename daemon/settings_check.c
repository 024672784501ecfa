/*
 * settings_check.c - does the host have what the configuration names: files, users, directories, back ends?
 * Runs in: master, as root (or as whoever runs posternd without root). Trusts: the configuration's owner.
 *
 * Nothing is loaded or changed here. That certificate and key fit each other is
 * found by the program that loads them; OpenSSL is not linked into this one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/account.h"
#include "daemon/process_limit.h"
#include "daemon/sandbox.h"
#include "daemon/settings_table.h"
#include "daemon/shared.h"
#include "storage/lock.h"

struct check {
	const char *file;
	const struct settings *settings;
	const char *pam_helper;
	unsigned lines[SETTINGS_MAX];
	settings_finding *finding;
	void *context;
	size_t findings;
};

/* A finding about the setting of that name. */
__attribute__((format(printf, 3, 4)))
static void report(struct check *c, const char *name, const char *format, ...)
{
	char text[FINDING_MAX];
	const struct setting *row = setting_find(NULL, name);
	int head = row == NULL ? 0 : snprintf(text, sizeof text, "[%s] %s: ", row->section, row->name);
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(text + head, sizeof text - (size_t)head, format, ap);
	va_end(ap);
	c->findings++;
	c->finding(c->context, c->file, row == NULL ? 0 : c->lines[row - settings_table], text);
}

/* Whoever may write the configuration may choose the programs' rights: as root, that is root. */
static void check_file(struct check *c)
{
	struct stat st;
	if (stat(c->file, &st) != 0)
		return; /* settings_read() has said so */
	bool by_group = (st.st_mode & S_IWGRP) && st.st_gid != 0 && geteuid() == 0;
	if ((st.st_mode & S_IWOTH) || by_group)
		report(c, "", "others may write this file; run: chmod go-w %s", c->file);
	if (st.st_uid != 0 && geteuid() == 0)
		report(c, "", "its owner, uid %ju, may write this file; run: chown root %s", (uintmax_t)st.st_uid, c->file);
}

/* What the master will say at each start. */
static void check_sandbox(struct check *c)
{
	const char *missing = sandbox_missing(sandbox_probe());
	if (missing != NULL && c->settings->sandbox == SANDBOX_AS_AVAILABLE)
		report(c, "sandbox", SANDBOX_ABSENT "; processes are confined without", missing);
}

static void check_processes(struct check *c)
{
	char text[FINDING_MAX];
	if (process_limit_is_low(process_limit_of_unit(), c->settings->max, text, sizeof text))
		report(c, "max", "%s", text);
}

/* A file that must be there to be read. forbidden: mode bits that it must not have. */
static void check_readable(struct check *c, const char *name, const char *path, mode_t forbidden)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO in its place must not hang the check. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		report(c, name, "%s cannot be read: %s; correct the path, or the file's owner and mode", path,
		       strerror(errno));
		return;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		report(c, name, "%s is not a file; write the path of the PEM file", path);
	else if (st.st_mode & forbidden)
		report(c, name, "%s can be read by everyone on this host; run: chmod o-rwx %s", path, path);
	(void)close(fd);
}

static void check_all_readable(struct check *c, const char *name, const char *paths, mode_t forbidden)
{
	const char *path;
	for (size_t n = 0; (path = settings_path_at(paths, n)) != NULL; n++)
		check_readable(c, name, path, forbidden);
}

static void backend_finding(void *context, const char *text)
{
	report(context, "backends", "%s", text);
}

static void check_backends(struct check *c)
{
	struct auth_settings auth;
	settings_for_auth(c->settings, c->pam_helper, &auth);
	for (size_t i = 0; i < AUTH_BACKENDS_MAX && auth.backends[i] != NULL; i++) {
		const struct auth_backend *backend = auth_backend_find(auth.backends[i]);
		if (backend == NULL)
			report(c, "backends", "this posternd is built without %s; remove it", auth.backends[i]);
		else if (backend->check != NULL)
			backend->check(&auth, backend_finding, c);
	}
}

/* The user of that name with a uid of at least minimum, which a message calls `least`. kind: what useradd(8) is to be told. */
static void check_user(struct check *c, const char *name, const char *user, const char *kind, uint64_t minimum, const char *least)
{
	struct auth_settings auth;
	struct identity account;
	struct why why;
	settings_for_auth(c->settings, c->pam_helper, &auth);
	enum auth_verdict verdict = account_by_name(&auth, user, &account, &why);
	if (verdict == AUTH_NOT_HERE)
		report(c, name, "there is no user %s; run: useradd%s --shell /usr/sbin/nologin %s", user, kind, user);
	else if (verdict != AUTH_ACCEPTED)
		report(c, name, "the user %s cannot be looked up: %s", user, why.text);
	else if (account.uid < minimum)
		report(c, name, "the user %s has uid %ju; choose one with %s", user, (uintmax_t)account.uid, least);
}

static void check_users(struct check *c)
{
	const struct settings *s = c->settings;
	char least[64];
	(void)snprintf(least, sizeof least, "at least %ju, or lower minimum_uid", (uintmax_t)s->minimum_uid);
	/* Without root no process changes its user. */
	if (geteuid() == 0)
		check_user(c, "gate_user", s->gate_user, " --system --no-create-home", 1, "a uid other than root's");
	if (s->virtual_user[0] != '\0')
		check_user(c, "virtual_user", s->virtual_user, " --create-home", s->minimum_uid, least);
	if (geteuid() == 0 && strcmp(s->virtual_user, s->gate_user) == 0)
		report(c, "gate_user", "%s owns all mail, as virtual_user, and what talks to strangers must own none; write a user who owns nothing", s->gate_user);
}

/* Cut the last name off an absolute path; "/" stays. */
static void path_up(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash != NULL)
		slash[slash == path ? 1 : 0] = '\0';
}

/* As shared_claim_directories() leaves it. The start takes back what is left of the other mode. */
static bool is_owners_group(const struct check *c, const struct stat *st)
{
	return shared_workers(c->settings) && st->st_uid == geteuid() && st->st_gid == c->settings->owner.gid && (st->st_mode & (S_ISVTX | S_IWOTH)) == S_ISVTX;
}

/* It is there and safe, or can be made: the nearest directory above it that exists may be written. */
static void check_own_directory(struct check *c, const char *name, const char *wanted, const char *danger)
{
	char path[PATH_MAX];
	struct stat st;
	(void)snprintf(path, sizeof path, "%s", wanted);
	while (stat(path, &st) != 0) {
		if (errno != ENOENT || strcmp(path, "/") == 0) {
			report(c, name, "%s cannot be reached: %s; correct the path", wanted, strerror(errno));
			return;
		}
		path_up(path);
	}
	bool there = strcmp(path, wanted) == 0;
	if (!S_ISDIR(st.st_mode))
		report(c, name, "%s is not a directory; write another path", path);
	else if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0)
		report(c, name, "%s cannot be %s: %s; write a directory that posternd may write", wanted,
		       there ? "written" : "made", strerror(errno));
	else if (there && (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))) && !is_owners_group(c, &st))
		report(c, name, "others may write %s and so %s; run: chown %ju %s && chmod 0700 %s", wanted, danger,
		       (uintmax_t)geteuid(), wanted, wanted);
}

/* A directory of root's with the mboxes of all: may a user make NAME.lock there, or the dotlock helper for him? */
static void check_spool(struct check *c, const char *directory, const struct stat *st)
{
	struct maildrop_place any = { .format = MAILDROP_MBOX };
	(void)snprintf(any.path, sizeof any.path, "%.*s/any", PATH_MAX - (int)sizeof "/any", directory);
	if (geteuid() != 0 || st->st_uid != 0 || (st->st_mode & S_IWOTH) != 0 || dotlock_helper_group(&any, NO_ID, NO_ID) != NO_ID)
		return;
	report(c, "location", "in %s no lock file can be made for users; let a group of its own write there, and only root to what is above it "
	       "(chgrp mail %s && chmod 2775 %s), or take dotlock out of mbox_locks", directory, directory, directory);
}

/* The directory above everyone's mail: a wrong name there would show each user an empty maildrop. path: what comes before the first %. */
static void check_place(struct check *c, const char *one, const char *pattern)
{
	const char *percent = strchr(pattern, '%');
	const bool is_mbox = strncmp(one, "mbox:", strlen("mbox:")) == 0;
	char path[PATH_MAX];
	struct stat st;
	(void)snprintf(path, sizeof path, "%.*s", (int)strcspn(pattern, "%"), pattern);
	if (percent == NULL && is_mbox && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		report(c, "location", "%s is a directory, and an mbox is a file; write mbox:%s/%%u", path, path);
		return;
	}
	if (percent == NULL && geteuid() == 0)
		report(c, "location", "%s is one mailbox for everybody; write %%u where it has the user's name", one);
	path_up(path);
	if (stat(path, &st) != 0)
		report(c, "location", "%s: %s; make it, or correct the path", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		report(c, "location", "%s is not a directory; correct the path", path);
	else if (percent != NULL && strchr(percent, '/') == NULL && is_mbox && settings_take_dotlocks(c->settings))
		check_spool(c, path, &st);
}

static void check_location(struct check *c)
{
	char one[SETTING_TEXT_MAX];
	for (const char *rest = c->settings->location; rest != NULL;) {
		rest = maildrop_location_cut(rest, one);
		const char *pattern = strchr(one, ':');
		if (pattern == NULL)
			continue;
		if (pattern[1] == '/') /* else it is below each user's home */
			check_place(c, one, pattern + 1);
		if (c->settings->local_domains[0] != '\0' && strstr(pattern, "%d") != NULL)
			report(c, "location", "%s has %%d, the part behind the @, which local_domains takes off; nobody of these domains can log in: write the "
			       "domain into the path, or remove local_domains", one);
	}
}

const char settings_lacking_tls[] = "none is set, so there is no TLS, and nobody can log in from another host; set certificate and key, or listen on 127.0.0.1 only";

bool settings_lack_tls(const struct settings *settings)
{
	bool others = false;
	for (size_t i = 0; i < settings->pop3.count; i++)
		others = others || !address_is_loopback(&settings->pop3.list[i].address);
	return settings->certificate[0] == '\0' && settings->plaintext_login != POLICY_ALWAYS && others;
}

static void finding_ignore(void *context, const char *file, unsigned line, const char *text)
{
	(void)context, (void)file, (void)line, (void)text;
}

size_t settings_check_host(const char *file, const struct settings *settings, const char *pam_helper,
                           settings_finding *finding, void *context)
{
	struct check c = { .file = file, .settings = settings, .pam_helper = pam_helper,
	                   .finding = finding, .context = context };
	static struct settings again; /* too large for the stack */
	/* Only for the lines; what is wrong in the text has been said. What is missing because of that is not missing. */
	const size_t wrong = settings_read_lines(file, &again, c.lines, finding_ignore, NULL);
	check_file(&c);
	check_sandbox(&c);
	check_processes(&c);
	if (wrong == 0 && settings_lack_tls(settings))
		report(&c, "certificate", "%s", settings_lacking_tls);
	check_all_readable(&c, "certificate", settings->certificate, 0);
	check_all_readable(&c, "key", settings->key, S_IRWXO);
	check_backends(&c);
	check_users(&c);
	check_own_directory(&c, "lock_directory", settings->lock_directory, "lock users out");
	check_own_directory(&c, "journal_directory", settings->journal_directory, "change users' mail");
	check_own_directory(&c, "index_directory", settings->index_directory, "make users' mail look changed");
	check_own_directory(&c, "history_directory", settings->history_directory, "change what is on record");
	check_location(&c);
	return c.findings;
}
