/*
 * settings_together.c - what must hold between settings, whatever each of them is.
 * Runs in: master. Trusts: nothing in the settings.
 */
#include <string.h>

#include "daemon/settings_table.h"
#include "daemon/shared.h"

static bool key_alone(const struct settings *s)
{
	return s->certificate[0] == '\0' && s->key[0] != '\0';
}

static bool certificate_alone(const struct settings *s)
{
	return s->certificate[0] != '\0' && s->key[0] == '\0';
}

/* One each, in the same order. */
static bool keys_and_certificates_differ(const struct settings *s)
{
	size_t n = 0;
	while (settings_path_at(s->certificate, n) != NULL && settings_path_at(s->key, n) != NULL)
		n++;
	return n > 0 && (settings_path_at(s->certificate, n) != NULL || settings_path_at(s->key, n) != NULL);
}

bool settings_pop3s_lacks_certificate(const struct settings *s)
{
	return s->pop3s.count > 0 && s->certificate[0] == '\0' && s->key[0] == '\0';
}

static bool no_login_possible(const struct settings *s)
{
	return s->plaintext_login == POLICY_NEVER && s->certificate[0] == '\0' && s->key[0] == '\0';
}

static bool nothing_to_listen_on(const struct settings *s)
{
	return s->pop3.count == 0 && s->pop3s.count == 0;
}

static bool address_shared(const struct settings *s)
{
	for (size_t i = 0; i < s->pop3.count; i++)
		for (size_t j = 0; j < s->pop3s.count; j++)
			if (memcmp(&s->pop3.list[i], &s->pop3s.list[j], sizeof s->pop3.list[i]) == 0)
				return true;
	return false;
}

static bool spares_crossed(const struct settings *s)
{
	return s->spare_min > s->spare_max;
}

static bool spares_above_max(const struct settings *s)
{
	return s->spare_max > s->max;
}

static bool sessions_by_another_backend(const struct settings *s)
{
	return s->sessions > 1 && (strcmp(s->backends[0], "passwd-file") != 0 || s->backends[1][0] != '\0');
}

static bool sessions_without_owner(const struct settings *s)
{
	return s->sessions > 1 && s->virtual_user[0] == '\0';
}

static bool sessions_without_root(const struct settings *s)
{
	char root[SETTING_TEXT_MAX];
	return s->sessions > 1 && shared_mail_root(s, root) != 0;
}

static bool sessions_of_several_locations(const struct settings *s)
{
	char first[SETTING_TEXT_MAX];
	return s->sessions > 1 && maildrop_location_cut(s->location, first) != NULL;
}

/* Is one of the locations of that format? */
static bool has_location(const struct settings *s, const char *format)
{
	char one[SETTING_TEXT_MAX];
	bool has = false;
	for (const char *rest = s->location; rest != NULL;) {
		rest = maildrop_location_cut(rest, one);
		has = has || strncmp(one, format, strlen(format)) == 0;
	}
	return has;
}

static bool mbox_ids_of_another_length(const struct settings *s)
{
	return s->unique_ids.by == TOLD_BY_DOVECOT && strcmp(s->unique_ids.format, TOLD_UID_FIRST) != 0 &&
	       strcmp(s->unique_ids.format, TOLD_VALIDITY_FIRST) != 0 && has_location(s, "mbox:");
}

static bool ids_of_no_maildir(const struct settings *s)
{
	return s->unique_ids.by == TOLD_BY_COURIER && !has_location(s, "maildir:");
}

/* What must hold between settings. A row is skipped when the value of one it is about was refused. */
static const struct together {
	bool (*wrong)(const struct settings *settings);
	const char *about[3]; /* names; the finding stands at the first that the file sets */
	const char *text;
} togethers[] = {
	{ key_alone, { "key", "certificate" }, "[tls] key is set and certificate is not; set certificate, too, or remove key" },
	{ certificate_alone, { "certificate", "key" },
	  "[tls] certificate is set and key is not; set key, too, or remove certificate" },
	{ keys_and_certificates_differ, { "key", "certificate" },
	  "[tls] there are not as many keys as certificates; write a key for each certificate, in the same order" },
	{ settings_pop3s_lacks_certificate, { "pop3s", "certificate", "key" },
	  "[listen] pop3s needs a certificate; set certificate and key in [tls], or write pop3s =" },
	{ no_login_possible, { "plaintext_login", "certificate", "key" },
	  "[tls] plaintext_login = never without a certificate lets nobody log in; "
	  "set certificate and key, or write plaintext_login = loopback" },
	{ nothing_to_listen_on, { "pop3", "pop3s" },
	  "[listen] there is nothing to listen on; write pop3 = 0.0.0.0:110 [::]:110, or set pop3s and a certificate" },
	{ address_shared, { "pop3s", "pop3" },
	  "[listen] pop3 and pop3s share an address and port; give pop3s another port, such as 995" },
	{ spares_crossed, { "spare_min", "spare_max" },
	  "[workers] spare_min is above spare_max; lower spare_min or raise spare_max" },
	{ spares_above_max, { "spare_max", "max" },
	  "[workers] spare_max is above max; lower spare_max or raise max" },
	{ sessions_by_another_backend, { "sessions", "backends" },
	  "[workers] sessions above 1 has one user's rights for all, and cannot ask PAM; write backends = passwd-file, or sessions = 1" },
	{ sessions_without_owner, { "sessions", "virtual_user" },
	  "[workers] sessions above 1 serves mail that one user owns; set virtual_user to that user, or write sessions = 1" },
	{ sessions_without_root, { "sessions", "location" },
	  "[workers] sessions above 1 needs a directory above all mail, and location has none before its first %; write it like maildir:/srv/mail/%u, or write sessions = 1" },
	{ mbox_ids_of_another_length, { "unique_ids", "location" },
	  "[maildrop] messages of an mbox keep unique-ids of the formats " TOLD_UID_FIRST " and " TOLD_VALIDITY_FIRST " only; write one of them behind dovecot, or unique_ids = own: "
	  "then mail programs fetch once more what is on the server" },
	{ ids_of_no_maildir, { "unique_ids", "location" },
	  "[maildrop] unique_ids = courier is for Maildirs, and location has none; write it like maildir:~/Maildir, or unique_ids = own" },
	{ sessions_of_several_locations, { "sessions", "location" },
	  "[workers] sessions above 1 serves one location, and there are several; write one of them, or sessions = 1" },
};

void settings_check_together(const struct settings *settings, const unsigned lines[SETTINGS_MAX], const bool refused[SETTINGS_MAX],
                             void (*wrong)(void *context, unsigned line, const char *text), void *context)
{
	for (size_t i = 0; i < sizeof togethers / sizeof *togethers; i++) {
		const struct together *t = &togethers[i];
		unsigned line = 0;
		bool skip = false;
		for (size_t j = 0; j < 3 && t->about[j] != NULL; j++) {
			ptrdiff_t row = setting_find(NULL, t->about[j]) - settings_table;
			skip = skip || refused[row];
			if (line == 0)
				line = lines[row];
		}
		if (!skip && t->wrong(settings))
			wrong(context, line, t->text);
	}
}
