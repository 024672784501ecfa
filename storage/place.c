/*
 * place.c - where a user's maildrop is: fills in the pattern of the configuration, and looks whether something is there.
 * Runs in: keeper, as root, to look as the mail's owner; posternd's configuration check. Trusts: the pattern (the administrator's) and
 * home (the user database's); not the user name.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "storage/maildrop.h"

static const struct scheme {
	const char *prefix;
	enum maildrop_format format;
} schemes[] = {
	{ "maildir:", MAILDROP_MAILDIR },
	{ "mbox:", MAILDROP_MBOX },
};

enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

/* The pattern and what to fill in. */
struct expansion {
	const char *location, *user, *home;
	struct buf path;
	struct why *why;
};

static int refuse(struct expansion *e, const char *what)
{
	return why_set(e->why, REASON_MAILDROP_BROKEN, 0, "location %s: %s", e->location, what);
}

/* One path component, or a part of one, that a stranger chose. */
static bool name_is_harmless(const char *name, size_t len)
{
	if (len == 0 || memchr(name, '/', len) != NULL)
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static int add_escape(struct expansion *e, char letter)
{
	const char *user = e->user, *at = strchr(user, '@');
	size_t all = strlen(user), local = at != NULL ? (size_t)(at - user) : all;
	const char *name = user;
	size_t len = 0;
	switch (letter) {
	case '%': return buf_add(&e->path, "%", 1);
	case 'u': len = all; break;
	case 'n': len = local; break;
	case 'd':
		if (at == NULL)
			return refuse(e, "%d is the part behind @, and the user name has none");
		name = at + 1;
		len = all - local - 1;
		break;
	default: return refuse(e, "behind % there must be u, n, d or %; the home is ~");
	}
	if (!name_is_harmless(name, len))
		return refuse(e, "the user name would lead elsewhere");
	return buf_add(&e->path, name, len);
}

static int add_pattern(struct expansion *e, const char *pattern)
{
	if (pattern[0] == '~' && (pattern[1] == '/' || pattern[1] == '\0')) {
		if (e->home == NULL || e->home[0] != '/')
			return refuse(e, "~ is the home directory, and the account has none");
		if (buf_add_text(&e->path, e->home) != 0)
			return -1;
		pattern++;
	}
	for (; *pattern != '\0'; pattern++) {
		int r = *pattern == '%' ? add_escape(e, *++pattern) : buf_add(&e->path, pattern, 1);
		if (r != 0)
			return -1;
	}
	return 0;
}

/* The text between two slashes may have been put together: ".%u" for the user ".". */
static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")) != NULL; p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

static int check_path(struct expansion *e, struct maildrop_place *place)
{
	if (buf_add(&e->path, "", 1) != 0)
		return refuse(e, "the path is too long");
	char *path = e->path.p;
	size_t len = e->path.len - 1;
	if (path[0] != '/')
		return refuse(e, "the path must begin with / or ~");
	if (climbs(path))
		return refuse(e, "the path must not contain ..");
	if (path[len - 1] == '/' && place->format == MAILDROP_MBOX)
		return refuse(e, "an mbox is a file, and the path ends in /");
	/* O_NOFOLLOW looks at the last component, and "link/" has an empty one: it would follow the link. */
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	return 0;
}

/* The format that the text begins with the name of, or NULL. */
static const struct scheme *scheme_of(const char *text)
{
	for (const struct scheme *s = schemes; s < schemes + SCHEMES; s++)
		if (strncmp(text, s->prefix, strlen(s->prefix)) == 0)
			return s;
	return NULL;
}

const char *maildrop_location_cut(const char *list, char *one_r)
{
	static const char blanks[] = " \t";
	const char *next = list;
	size_t len;
	do {
		len = (size_t)(next - list) + strcspn(next, blanks);
		next = list + len + strspn(list + len, blanks);
	} while (*next != '\0' && scheme_of(next) == NULL);
	/* A blank at the very end is the path's, as it was when there was one location only. */
	if (*next == '\0')
		len = strlen(list);
	memcpy(one_r, list, len);
	one_r[len] = '\0';
	return *next != '\0' ? next : NULL;
}

int maildrop_place_expand(const char *location, const char *user, const char *home,
                          struct maildrop_place *place_r, struct why *why_r)
{
	struct expansion e = { .location = location, .user = user, .home = home, .why = why_r };
	const struct scheme *s = scheme_of(location);
	if (s == NULL)
		return refuse(&e, "it must begin with maildir: or mbox:");
	if (user == NULL) {
		e.user = "user@example.org";
		e.home = "/home/user";
	} else if (!name_is_harmless(user, strlen(user))) {
		return refuse(&e, "the user name would lead elsewhere");
	}
	place_r->format = s->format;
	e.path = BUF_OVER(place_r->path);
	why_r->reason = REASON_NONE;
	if (add_pattern(&e, location + strlen(s->prefix)) != 0)
		return why_r->reason != REASON_NONE ? -1 : refuse(&e, "the path is too long");
	if (check_path(&e, place_r) != 0)
		return -1;
	place_r->key[0] = '\0';
	if (user != NULL)
		maildrop_key(place_r, place_r->key);
	return 0;
}

bool maildrop_is_absent(const struct maildrop_place *place)
{
	struct stat st;
	return lstat(place->path, &st) != 0 && errno == ENOENT;
}

/* Octets of the path of the directory that it is in. */
static size_t directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
}

int maildrop_stat_directory(const char *path, struct stat *st_r)
{
	char directory[PATH_MAX];
	(void)snprintf(directory, sizeof directory, "%.*s", (int)directory_length(path), path);
	return stat(directory, st_r);
}

int maildrop_check_mounted(const char *path, const struct maildrop_trace *trace, struct why *why_r)
{
	struct stat st;
	if (trace->count == 0)
		return 0;
	if (maildrop_stat_directory(path, &st) != 0)
		return errno != ENOENT ? 0 : why_set(why_r, REASON_MAILDROP_IO, ENOENT, "look at %.*s, where mail was at the last login, %zu messages (mount its file "
		                                     "system, or make the directory)", (int)directory_length(path), path, trace->count);
	/* The device's number may be another after a reboot, and the directory be made anew; a mount point without its file system is neither. */
	if (trace->ino == 0 || trace->dev == st.st_dev || trace->ino == st.st_ino)
		return 0;
	return why_set(why_r, REASON_MAILDROP_IO, ENOENT, "find %s, which had %zu messages at the last login, and was on another file system (mount it, or make an empty mailbox)",
	               path, trace->count);
}

/*
 * The path with the links of its directory resolved, so that two ways to one maildrop are one lock. Where that directory is missing, with those of
 * the nearest one above it that is there: so it has the same name while a file system below is not mounted.
 */
static void resolve(const char *path, char *out_r, size_t size)
{
	char above[PATH_MAX], real[PATH_MAX];
	(void)snprintf(above, sizeof above, "%s", path);
	(void)snprintf(out_r, size, "%s", path);
	for (char *slash; (slash = strrchr(above, '/')) != NULL && slash != above;) {
		*slash = '\0';
		if (realpath(above, real) != NULL) {
			(void)snprintf(out_r, size, "%s%s", strcmp(real, "/") == 0 ? "" : real, path + (slash - above));
			return;
		}
		if (errno != ENOENT)
			return;
	}
}

void maildrop_file_name(const struct maildrop_place *place, uid_t uid, gid_t gid, char name_r[MAILDROP_FILE_NAME])
{
	char key[MAILDROP_KEY + 1];
	maildrop_key(place, key);
	(void)snprintf(name_r, MAILDROP_FILE_NAME, "%s-%ju-%ju", key, (uintmax_t)uid, (uintmax_t)gid);
}

void maildrop_key(const struct maildrop_place *place, char key_r[MAILDROP_KEY + 1])
{
	unsigned char hash[MAILDROP_KEY / 2];
	char text[2 * PATH_MAX + 8];
	if (place->key[0] != '\0') {
		memcpy(key_r, place->key, sizeof place->key);
		return;
	}
	resolve(place->path, text + 1, sizeof text - 1);
	text[0] = place->format == MAILDROP_MBOX ? 'b' : 'd';
	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
	(void)sodium_bin2hex(key_r, MAILDROP_KEY + 1, hash, sizeof hash);
}
