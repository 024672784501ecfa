/*
 * account.c - the host's accounts: /etc/passwd here, all others through the PAM helper.
 * Runs in: keeper and master, as root. Trusts: /etc/passwd, and NSS's answer.
 */
#include "auth/account.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/pam_parts.h"
#include "base/io.h"

/* All of /etc/passwd, for free(), or NULL. By stdio it is a system call a line. */
static char *read_accounts(size_t *len_r)
{
	struct stat st;
	char *data = NULL;
	ssize_t len = -1;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= PASSWD_FILE_MAX && (data = malloc((size_t)st.st_size)) != NULL)
		len = io_read_at(fd, data, (size_t)st.st_size, 0);
	(void)close(fd);
	*len_r = len > 0 ? (size_t)len : 0;
	return data;
}

/* "+" and "-" lines are not accounts but orders to NSS (nsswitch.conf(5), compat). */
static bool is_for(struct text line, const char *name)
{
	return line.len > 0 && line.p[0] != '+' && line.p[0] != '-' && (name == NULL || passwd_line_is_for(line, name));
}

bool account_find(struct text accounts, const char *name, uid_t uid, struct passwd_record *record_r)
{
	struct passwd_lines lines = { .rest = accounts };
	struct text line;
	const char *problem;
	while (passwd_line_next(&lines, &line)) {
		if (!is_for(line, name))
			continue;
		/* Of a line without its end the rest may be missing. */
		const bool good = passwd_record_parse(line, record_r, &problem) == RECORD_GOOD && record_r->has_gid && record_r->home.len > 0 &&
			line.p + line.len < accounts.p + accounts.len;
		if (name != NULL || (good && record_r->uid == uid))
			return good;
	}
	return false;
}

static void copy_text(struct text from, char *to, size_t size)
{
	const size_t len = from.len < size ? from.len : size - 1;
	memcpy(to, from.p, len);
	to[len] = '\0';
}

static void fill(struct identity *identity_r, struct text name, uid_t uid, gid_t gid, struct text home)
{
	identity_r->uid = uid;
	identity_r->gid = gid;
	copy_text(name, identity_r->user, sizeof identity_r->user);
	copy_text(home, identity_r->home, sizeof identity_r->home);
}

static bool ask_host(const char *name, uid_t uid, struct identity *identity_r)
{
	struct passwd_record record;
	size_t len;
	char *data = read_accounts(&len);
	bool found = data != NULL && account_find((struct text){ data, len }, name, uid, &record);
	if (found)
		fill(identity_r, record.name, record.uid, record.gid, record.home);
	free(data);
	return found;
}

static enum auth_verdict ask_nss(const struct auth_settings *settings, struct pam_wire_request *request, const char *what,
                                 struct identity *identity_r, struct why *why_r)
{
	struct pam_wire_result result;
	if (pam_helper_ask(settings, request, &result, why_r) < 0)
		return AUTH_FAILED;
	switch (result.account) {
	case PAM_ACCOUNT_THERE:
		fill(identity_r, (struct text){ result.name, strlen(result.name) }, result.uid, result.gid,
		     (struct text){ result.home, strlen(result.home) });
		return AUTH_ACCEPTED;
	case PAM_ACCOUNT_MISSING:
		(void)why_set(why_r, REASON_USER_UNKNOWN, 0, "no account with %s", what);
		return AUTH_NOT_HERE;
	default:
		(void)why_set(why_r, REASON_AUTH_TEMPORARY, 0, "the account with %s cannot be looked up (NSS)", what);
		return AUTH_FAILED;
	}
}

static enum auth_verdict find(const struct auth_settings *settings, const char *name, uid_t uid, const char *what,
                              struct identity *identity_r, struct why *why_r)
{
	struct pam_wire_request request;
	if (ask_host(name, uid, identity_r))
		return AUTH_ACCEPTED;
	memset(&request, 0, sizeof request);
	request.question = name != NULL ? PAM_ASK_NAME : PAM_ASK_UID;
	request.uid = uid;
	if (name != NULL)
		(void)snprintf(request.user, sizeof request.user, "%s", name);
	return ask_nss(settings, &request, what, identity_r, why_r);
}

enum auth_verdict account_by_name(const struct auth_settings *settings, const char *name, struct identity *identity_r,
                                  struct why *why_r)
{
	char what[USER_NAME_MAX + 16];
	(void)snprintf(what, sizeof what, "the name %s", name);
	return find(settings, name, 0, what, identity_r, why_r);
}

enum auth_verdict account_by_uid(const struct auth_settings *settings, uid_t uid, struct identity *identity_r, struct why *why_r)
{
	char what[32];
	(void)snprintf(what, sizeof what, "uid %u", (unsigned)uid);
	return find(settings, NULL, uid, what, identity_r, why_r);
}
