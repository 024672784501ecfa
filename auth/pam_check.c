/*
 * pam_check.c - what posternd -t says about PAM.
 * Runs in: posternd -t and at start, as root. Trusts: the files in PAM's own directories.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/pam_parts.h"

enum {
	INCLUDE_DEPTH_MAX = 8,
	FINDING_TEXT_MAX = 512,
	FILE_PATH_MAX = 256,
};

struct check {
	const char *const *directories;
	const char *service;
	void (*finding)(void *context, const char *text);
	void *context;
	bool has_auth, has_account;
};

bool pam_service_ok(const char *service)
{
	size_t len = strlen(service);
	return len > 0 && len < PAM_WIRE_NAME_MAX && strchr(service, '/') == NULL && service[0] != '.';
}

/* Open the first that there is; its path in path_r. */
static FILE *open_service(const struct check *check, const char *service, char *path_r)
{
	for (size_t i = 0; check->directories[i] != NULL; i++) {
		(void)snprintf(path_r, FILE_PATH_MAX, "%s/%s", check->directories[i], service);
		FILE *file = fopen(path_r, "re");
		if (file != NULL)
			return file;
	}
	(void)snprintf(path_r, FILE_PATH_MAX, "%s/%s", check->directories[0], service);
	return NULL;
}

static bool is_word(const char *word, const char *a, const char *b)
{
	return word != NULL && (strcmp(word, a) == 0 || (b != NULL && strcmp(word, b) == 0));
}

/* Is there DIRECTORY/security/MODULE, or DIRECTORY/x86_64-linux-gnu/security/MODULE and the like? */
static bool is_in(const char *directory, const char *module)
{
	char path[FILE_PATH_MAX];
	struct dirent *entry;
	(void)snprintf(path, sizeof path, "%s/security/%s", directory, module);
	bool found = access(path, F_OK) == 0;
	DIR *d = found ? NULL : opendir(directory);
	while (d != NULL && !found && (entry = readdir(d)) != NULL) {
		const int n = snprintf(path, sizeof path, "%s/%s/security/%s", directory, entry->d_name, module);
		found = n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
	}
	if (d != NULL)
		(void)closedir(d);
	return found;
}

/* As far as can be told without PAM, which is not linked in here: where not even pam_unix.so is found, they lie elsewhere. */
static bool is_installed(const char *module)
{
	static const char *const places[] = { "/usr/lib", "/usr/lib64", "/lib", "/lib64" };
	bool here = false, found = module[0] == '/' && access(module, F_OK) == 0;
	for (size_t i = 0; module[0] != '/' && !found && i < sizeof places / sizeof places[0]; i++) {
		found = is_in(places[i], module);
		here = here || found || is_in(places[i], "pam_unix.so");
	}
	return found || (module[0] != '/' && !here);
}

/* The module of a line, behind its control, which has words in brackets or is one word. A line that begins with - may lack its own. */
static void check_module(const struct check *check, const char *path, unsigned number, const char *module)
{
	char text[FINDING_TEXT_MAX];
	if (is_installed(module))
		return;
	(void)snprintf(text, sizeof text, "%s line %u: the module %.100s is not installed, so nobody can log in by it; install its package, or take the line out",
	               path, number, module);
	check->finding(check->context, text);
}

static void check_file(struct check *check, const char *service, unsigned depth);

static void check_line(struct check *check, const char *path, unsigned number, char *line, unsigned depth)
{
	static const char blanks[] = " \t\r\n";
	char text[FINDING_TEXT_MAX], *rest = NULL;
	line[strcspn(line, "#")] = '\0';
	const char *type = strtok_r(line, blanks, &rest);
	if (is_word(type, "@include", NULL)) {
		const char *other = strtok_r(NULL, blanks, &rest);
		if (other != NULL)
			check_file(check, other, depth + 1);
		return;
	}
	bool is_auth = is_word(type, "auth", "-auth");
	check->has_auth |= is_auth;
	check->has_account |= is_word(type, "account", "-account");
	const char *control = strtok_r(NULL, blanks, &rest);
	bool in_control = control != NULL && control[0] == '[' && strchr(control, ']') == NULL;
	bool is_module = is_word(type, "auth", "account") && !is_word(control, "include", "substack");
	for (char *word = strtok_r(NULL, blanks, &rest); word != NULL; word = strtok_r(NULL, blanks, &rest)) {
		if (is_auth && is_word(control, "include", "substack")) {
			check_file(check, word, depth + 1);
			return;
		}
		if (!in_control && is_module) {
			check_module(check, path, number, word);
			is_module = false;
		}
		in_control = in_control && strchr(word, ']') == NULL;
		if (!is_auth || !is_word(word, "nullok", "nullok_secure"))
			continue;
		(void)snprintf(text, sizeof text, "%s line %u: nullok lets any password open an account that has none;"
		               " write the module into /etc/pam.d/%s without nullok", path, number, check->service);
		check->finding(check->context, text);
	}
}

static void check_file(struct check *check, const char *service, unsigned depth)
{
	char path[FILE_PATH_MAX], text[FINDING_TEXT_MAX], *line = NULL;
	size_t room = 0;
	FILE *file = depth <= INCLUDE_DEPTH_MAX && pam_service_ok(service) ? open_service(check, service, path) : NULL;
	if (file == NULL) {
		(void)snprintf(text, sizeof text, "PAM service %s includes %.100s, which cannot be read", check->service, service);
		check->finding(check->context, text);
		return;
	}
	for (unsigned number = 1; getline(&line, &room, file) >= 0; number++)
		check_line(check, path, number, line, depth);
	free(line);
	(void)fclose(file);
}

void pam_check_service(const char *const *directories, const char *service, void (*finding)(void *context, const char *text),
                       void *context)
{
	struct check check = { .directories = directories, .service = service, .finding = finding, .context = context };
	char path[FILE_PATH_MAX], text[FINDING_TEXT_MAX];
	if (!pam_service_ok(service)) {
		(void)snprintf(text, sizeof text, "pam_service \"%.64s\" cannot be the name of a PAM service", service);
		finding(context, text);
		return;
	}
	FILE *file = open_service(&check, service, path);
	if (file == NULL) {
		(void)snprintf(text, sizeof text, "%s is not there, so PAM uses the service \"other\", which may deny all, or admit whom postern's would not;"
		               " install postern's PAM service file under that name", path);
		finding(context, text);
		return;
	}
	(void)fclose(file);
	check_file(&check, service, 0);
	if (check.has_auth && check.has_account)
		return;
	(void)snprintf(text, sizeof text, "%s has no %s line, so PAM takes the service \"other\" for it", path,
	               check.has_auth ? "account" : "auth");
	finding(context, text);
}

static const char *distrust(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs neither to root nor to the user that postern runs as";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "can be written by others than its owner";
	return (st->st_mode & S_IXUSR) == 0 ? "cannot be executed" : NULL;
}

void pam_check(const struct auth_settings *settings, void (*finding)(void *context, const char *text), void *context)
{
	static const char *const directories[] = { "/etc/pam.d", "/usr/lib/pam.d", NULL };
	char text[FINDING_TEXT_MAX];
	struct stat st;
	const char *problem = stat(settings->pam_helper, &st) < 0 ? "is not there" : distrust(&st);
	if (problem != NULL) {
		(void)snprintf(text, sizeof text, "the PAM helper %.200s %s; install postern again", settings->pam_helper, problem);
		finding(context, text);
	}
	pam_check_service(directories, settings->pam_service, finding, context);
}
