/*
 * settings_table.h - the table of settings, and what its rows are made of; for daemon/settings*.c only.
 * Runs in: master. Trusts: the configuration file's owner.
 */
#ifndef POSTERN_SETTINGS_TABLE_H
#define POSTERN_SETTINGS_TABLE_H

#include "base/buf.h"
#include "daemon/settings.h"

enum {
	SETTINGS_MAX = 48,          /* rows; the table is held to it when it is compiled */
	FINDING_MAX = 1024,         /* octets of a finding's text */
};

/* A word that a setting may be, and what it stands for. The last has no name. */
struct choice {
	const char *name;
	unsigned value;
};

struct setting;

/* Put text into the row's field. 0, or -1 with `fix` saying what to write instead; then the field is as it was. */
typedef int setting_type(const struct setting *row, struct settings *settings, const char *text, struct buf *fix);

struct setting {
	const char *section, *name;
	setting_type *set;
	size_t offset, size;          /* of the field in struct settings */
	uint64_t min, max;            /* of a number; for an address, min is the port that hints name */
	const struct choice *choices; /* of a word or words, else NULL */
	bool may_be_empty;
	const char *value;            /* the default, as it would stand in the file */
	const char *help;             /* for postern.conf and the manual; range and choices are added to it */
};

extern const struct setting settings_table[];
extern const size_t settings_table_count;

/* The row of that name; section NULL looks in all. NULL when there is none. */
const struct setting *setting_find(const char *section, const char *name);

/* "never, loopback or always", appended. */
void choices_add(struct buf *b, const struct choice *choices);

setting_type setting_number, setting_choice, setting_path, setting_paths, setting_word, setting_domains, setting_sentence, setting_on_locked,
             setting_unique_ids, setting_location, setting_listen, setting_hosts, setting_sources, setting_backends, setting_locks;

/*
 * Call wrong() for each thing that must hold between settings and does not; lines: where each row of the table is set (0: nowhere), of which the first
 * that the thing is about is given. What is about a setting that was refused is left out.
 */
void settings_check_together(const struct settings *settings, const unsigned lines[SETTINGS_MAX], const bool refused[SETTINGS_MAX],
                             void (*wrong)(void *context, unsigned line, const char *text), void *context);

/* Is there to be TLS from the start, and no certificate for it? */
bool settings_pop3s_lacks_certificate(const struct settings *settings);

/* settings_read(), and for each row of the table the line that sets it (0: none does). */
size_t settings_read_lines(const char *file, struct settings *settings_r, unsigned lines_r[SETTINGS_MAX],
                           settings_finding *finding, void *context);

#endif
