/*
 * settings.c - reads the configuration file; reports everything that is wrong in it in one run.
 * Runs in: master, as root. Trusts: the file's owner to choose the values, and nothing in how they are written.
 *
 * inih splits lines into names and values. It keeps silent about lines that are too long, text behind a
 * section's name, sections without settings, and all broken lines but the first; it
 * names no line numbers; and it takes an indented line for more of the setting above. So the lines pass
 * through line_read() first, which counts them, takes the indent off and looks for these.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/settings_table.h"
#include "daemon/shared.h"

enum {
	NAME_LIMIT = 64,  /* of a name that a slip of the pen is searched for; inih cuts names at 49 */
	SLIPS_MAX = 2,    /* letters by which a name may be off to be what was meant */
};

struct reading {
	const char *file;
	FILE *stream;
	struct settings *settings;
	unsigned *lines;          /* [SETTINGS_MAX]: where each is set */
	bool bad[SETTINGS_MAX];   /* its value was refused */
	unsigned line;            /* the line inih looks at now */
	bool awaited;             /* that line must reach setting_take(), or it is broken */
	bool skipping;            /* a section that does not exist: its settings are not looked at */
	settings_finding *finding;
	void *context;
	size_t findings;
};

__attribute__((format(printf, 3, 4)))
static void report(struct reading *r, unsigned line, const char *format, ...)
{
	char text[FINDING_MAX];
	va_list ap;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	/* Text of the file may stand in it, and goes to a terminal. */
	for (char *p = text; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	r->findings++;
	r->finding(r->context, r->file, line, text);
}

/* By how many letters (missing, added, other; case counts for nothing) do two names differ? Levenshtein's distance; more than SLIPS_MAX where lengths tell. */
static size_t name_distance(const char *a, const char *b)
{
	size_t row[NAME_LIMIT + 1], alen = strlen(a), blen = strlen(b);
	if (alen > NAME_LIMIT || blen > NAME_LIMIT || alen > blen + SLIPS_MAX || blen > alen + SLIPS_MAX)
		return NAME_LIMIT;
	for (size_t j = 0; j <= blen; j++)
		row[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
			size_t best = diagonal + !same;
			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j] = best;
		}
	}
	return row[blen];
}

/* Two letters side by side that changed places. */
static bool names_swapped(const char *a, const char *b)
{
	for (; *a != '\0' && *a == *b; a++)
		b++;
	return *a != '\0' && *b != '\0' && a[0] == b[1] && a[1] == b[0] && strcmp(a + 2, b + 2) == 0;
}

/* Is `name` that far from what was meant? Of a short one little is left then: min is not max. */
static bool is_slip(const char *name, size_t distance, const char *meant)
{
	return (distance <= SLIPS_MAX && 2 * distance <= strlen(name)) || names_swapped(name, meant);
}

/* The row whose name (of its section, or its own in `section`, or in any when that is NULL) is nearly `name`. */
static const struct setting *setting_near(const char *section, const char *name, bool want_section)
{
	const struct setting *near = NULL;
	size_t least = NAME_LIMIT;
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		const char *meant = want_section ? row->section : row->name;
		const bool in = section == NULL || strcmp(section, row->section) == 0;
		const size_t d = in ? name_distance(name, meant) : NAME_LIMIT;
		if (d < least && is_slip(name, d, meant)) {
			least = d;
			near = row;
		}
	}
	return near;
}

/* The sections, or the settings of one section, appended. */
static void names_add(struct buf *b, const char *section)
{
	const char *last = "";
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		if (section == NULL && strcmp(row->section, last) != 0)
			(void)buf_printf(b, "%s[%s]", *last == '\0' ? "" : ", ", row->section);
		else if (section != NULL && strcmp(row->section, section) == 0)
			(void)buf_printf(b, "%s%s", *last == '\0' ? "" : ", ", row->name);
		if (section == NULL || strcmp(row->section, section) == 0)
			last = row->section;
	}
}

static void report_unknown_section(struct reading *r, const char *name)
{
	char storage[FINDING_MAX], quoted[NAME_LIMIT];
	struct buf b = BUF_OVER(storage);
	const struct setting *near = setting_near(NULL, name, true);
	const struct setting *same = setting_find(NULL, name);
	(void)buf_printf(&b, "there is no section %s; ", log_text(name, quoted, sizeof quoted));
	if (near != NULL) {
		(void)buf_printf(&b, "write [%s]", near->section);
	} else if (same != NULL) {
		(void)buf_printf(&b, "%s is a setting of [%s]", same->name, same->section);
	} else {
		(void)buf_add_text(&b, "the sections are ");
		names_add(&b, NULL);
	}
	report(r, r->line, "%s", buf_text(&b));
}

static void report_unknown_name(struct reading *r, const char *section, const char *name)
{
	char storage[FINDING_MAX], quoted[NAME_LIMIT];
	struct buf b = BUF_OVER(storage);
	const struct setting *same = setting_find(NULL, name);
	const struct setting *near = setting_near(section, name, false);
	const struct setting *elsewhere = setting_near(NULL, name, false);
	(void)buf_printf(&b, "[%s] has no setting %s; ", section, log_text(name, quoted, sizeof quoted));
	if (same != NULL) {
		(void)buf_printf(&b, "move it to [%s]", same->section);
	} else if (near != NULL) {
		(void)buf_printf(&b, "write %s", near->name);
	} else if (elsewhere != NULL) {
		(void)buf_printf(&b, "write %s, in [%s]", elsewhere->name, elsewhere->section);
	} else if (strpbrk(name, " \t") != NULL) {
		(void)buf_add_text(&b, "write name = value");
	} else {
		(void)buf_add_text(&b, "its settings are ");
		names_add(&b, section);
	}
	report(r, r->line, "%s", buf_text(&b));
}

static void report_value(struct reading *r, const struct setting *row, const char *value, const char *fix)
{
	char quoted[SETTING_TEXT_MAX];
	r->bad[row - settings_table] = true;
	report(r, r->line, "[%s] %s = %s: %s", row->section, row->name, log_text(value, quoted, sizeof quoted), fix);
}

/* Signs of a wrong idea of the file's format, which some kinds of value would swallow; NULL for none. */
static const char *value_slip(const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '#' && (p == value || p[-1] == ' ' || p[-1] == '\t'))
			return "a comment stands on a line of its own: move it there";
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return "remove the control character";
	}
	return *value == '"' || *value == '\'' ? "write the value without quotes" : NULL;
}

/* inih found a setting. Always 1, "handled": findings are kept here, where they have words. */
static int setting_take(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	char storage[FINDING_MAX];
	struct buf fix = BUF_OVER(storage);
	const struct setting *row = setting_find(section, name);
	r->awaited = false;
	if (r->skipping)
		return 1;
	if (*section == '\0') {
		row = setting_find(NULL, name);
		report(r, r->line, "no section stands above this line; write [%s] before it",
		       row == NULL ? settings_table[0].section : row->section);
		return 1;
	}
	if (row == NULL) {
		report_unknown_name(r, section, name);
		return 1;
	}
	unsigned *line = &r->lines[row - settings_table];
	if (*line != 0) {
		report(r, r->line, "[%s] %s is set on line %u already; remove one of the two", section, name, *line);
		return 1;
	}
	*line = r->line;
	const char *slip = value_slip(value);
	if (slip != NULL)
		report_value(r, row, value, slip);
	else if (row->set(row, r->settings, value, &fix) != 0)
		report_value(r, row, value, buf_text(&fix));
	return 1;
}

/* A line that begins with '[': is it a section, and only that? */
static void section_take(struct reading *r, const char *line)
{
	char name[NAME_LIMIT];
	size_t len = strcspn(line + 1, "]\n");
	const char *rest = line + 1 + len;
	(void)snprintf(name, sizeof name, "%.*s", (int)len, line + 1);
	r->skipping = true;
	if (*rest != ']') {
		report(r, r->line, "a section ends in ]; write [%s]", name);
		return;
	}
	rest += 1 + strspn(rest + 1, " \t\r\n");
	if (*rest != '\0' && *rest != ';' && *rest != '#')
		report(r, r->line, "text behind a section's name is not read; move it to a line of its own");
	for (size_t i = 0; i < settings_table_count && r->skipping; i++)
		r->skipping = strcmp(settings_table[i].section, name) != 0;
	if (r->skipping)
		report_unknown_section(r, name);
}

/* inih is done with a line. */
static void line_over(struct reading *r)
{
	if (r->awaited)
		report(r, r->line, "this is no setting; write name = value, or # before a comment");
	r->awaited = false;
}

/* One line without its indent into line (size octets with the NUL, ending in LF). False at the end of the file. */
static bool line_fill(struct reading *r, char *line, size_t size)
{
	size_t len = 0, left_out = 0, nuls = 0;
	int c;
	while ((c = getc(r->stream)) != EOF && c != '\n') {
		if (len == 0 && isspace(c))
			continue;
		nuls += c == '\0';
		if (len < size - 2)
			line[len++] = (char)c;
		else
			left_out++;
	}
	if (c == EOF && len == 0)
		return false;
	r->line++;
	if (nuls > 0)
		report(r, r->line, "the line holds a NUL octet; is this the configuration file?");
	else if (left_out > 0 && line[0] != '#' && line[0] != ';')
		report(r, r->line, "the line is %zu characters long; at most %zu are read: shorten it",
		       len + left_out, size - 2);
	if (nuls > 0 || left_out > 0)
		len = 0;
	line[len] = '\n';
	line[len + 1] = '\0';
	return true;
}

/* An ini_reader, as fgets(3). */
static char *line_read(char *line, int size, void *stream)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct reading *r = stream;
	line_over(r);
	if (!line_fill(r, line, (size_t)size))
		return NULL;
	if (r->line == 1 && strncmp(line, bom, sizeof bom - 1) == 0)
		memmove(line, line + sizeof bom - 1, strlen(line + sizeof bom - 1) + 1);
	if (*line == '[')
		section_take(r, line);
	else
		r->awaited = *line != '\n' && *line != '#' && *line != ';';
	return line;
}

static void report_together(void *context, unsigned line, const char *text)
{
	report(context, line, "%s", text);
}

static void set_defaults(struct settings *settings)
{
	char storage[FINDING_MAX];
	memset(settings, 0, sizeof *settings);
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		struct buf fix = BUF_OVER(storage);
		if (row->set(row, settings, row->value, &fix) != 0)
			panic("the default of %s: %s", row->name, buf_text(&fix));
	}
}

size_t settings_read_lines(const char *file, struct settings *settings_r, unsigned lines_r[SETTINGS_MAX],
                           settings_finding *finding, void *context)
{
	struct reading r = { .file = file, .settings = settings_r, .lines = lines_r, .finding = finding,
	                     .context = context };
	memset(lines_r, 0, SETTINGS_MAX * sizeof *lines_r);
	set_defaults(settings_r);
	r.stream = fopen(file, "re");
	if (r.stream == NULL) {
		report(&r, 0, "cannot be opened: %s%s", strerror(errno), errno == ENOENT ? "; name another with -c, or make it: posternd -D prints one, with all defaults" :
		       errno == EACCES && geteuid() != 0 ? "; run it as root, or let others read it, as there is no secret in it" : "");
		return r.findings;
	}
	int broken = ini_parse_stream(line_read, &r, setting_take, &r);
	line_over(&r);
	if (ferror(r.stream))
		report(&r, 0, "cannot be read: %s", strerror(errno));
	else if (broken != 0 && r.findings == 0)
		report(&r, broken > 0 ? (unsigned)broken : 0, "this line is not understood; write name = value");
	(void)fclose(r.stream);

	/* The default of pop3s is what it will be once there is a certificate; without one it is off. */
	if (lines_r[setting_find("listen", "pop3s") - settings_table] == 0 && settings_pop3s_lacks_certificate(settings_r))
		settings_r->pop3s.count = 0;
	settings_check_together(settings_r, lines_r, r.bad, report_together, &r);
	return r.findings;
}

size_t settings_read(const char *file, struct settings *settings_r, settings_finding *finding, void *context)
{
	unsigned lines[SETTINGS_MAX];
	return settings_read_lines(file, settings_r, lines, finding, context);
}

bool settings_take_dotlocks(const struct settings *settings)
{
	bool take = false;
	for (size_t i = 0; i < settings->mbox_lock_count; i++)
		take = take || settings->mbox_locks[i] == HOST_LOCK_DOTLOCK;
	return take;
}

void settings_for_auth(const struct settings *settings, const char *pam_helper, struct auth_settings *auth_r)
{
	*auth_r = (struct auth_settings){
		.passwd_file = settings->passwd_file, .pam_service = settings->pam_service, .pam_helper = pam_helper,
		.virtual_user = settings->virtual_user, .lowercase = settings->user_names != 0, .local_domains = settings->local_domains, .minimum_uid = (uid_t)settings->minimum_uid,
		.one_owner = settings->sessions > 1, .owner_uid = settings->owner.uid, .owner_gid = settings->owner.gid,
	};
	for (size_t i = 0; i < AUTH_BACKENDS_MAX && settings->backends[i][0] != '\0'; i++)
		auth_r->backends[i] = settings->backends[i];
}
