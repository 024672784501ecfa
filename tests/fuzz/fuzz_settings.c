/*
 * fuzz_settings.c - a configuration file with anything in it: every finding has words, and what has none can be used.
 * Runs in: the tests. Trusts: nothing.
 */
#include <ctype.h>

#include "daemon/settings.h"
#include "tests/fuzz/fuzz.h"

enum { WORDS_MAX = 16384 };

struct findings {
	unsigned lines;
	size_t count, len;
	char words[WORDS_MAX];
};

static void take_finding(void *context, const char *file, unsigned line, const char *text)
{
	struct findings *f = context;
	size_t len = strlen(text);
	f->count++;
	CHECK(strncmp(file, "/proc/self/fd/", 14) == 0, "about the file %s", file);
	CHECK(line <= f->lines, "about line %u of %u", line, f->lines);
	CHECK(len > 0, "a finding without words");
	for (size_t i = 0; i < len; i++)
		CHECK(!iscntrl((unsigned char)text[i]), "a finding that may move the cursor: %s", text);
	if (f->len + len < sizeof f->words) {
		memcpy(f->words + f->len, text, len);
		f->len += len;
	}
}

#define ENDS(array) CHECK(memchr((array), '\0', sizeof (array)) != NULL, #array " without its end")

static void check_settings(const struct settings *s)
{
	ENDS(s->certificate); ENDS(s->key); ENDS(s->passwd_file); ENDS(s->pam_service); ENDS(s->virtual_user); ENDS(s->login_help); ENDS(s->local_domains);
	ENDS(s->location); ENDS(s->lock_directory); ENDS(s->journal_directory); ENDS(s->index_directory); ENDS(s->history_directory); ENDS(s->history_socket); ENDS(s->gate_user);
	for (size_t i = 0; i < AUTH_BACKENDS_MAX; i++)
		ENDS(s->backends[i]);
	CHECK(s->pop3.count <= LISTEN_MAX && s->pop3s.count <= LISTEN_MAX && s->pop3.count + s->pop3s.count > 0, "%zu and %zu addresses", s->pop3.count, s->pop3s.count);
	CHECK(s->spare_min <= s->spare_max && s->spare_max <= s->max && s->max > 0, "workers %ju, %ju, %ju", (uintmax_t)s->spare_min, (uintmax_t)s->spare_max, (uintmax_t)s->max);
	CHECK(s->mbox_lock_count <= HOST_LOCKS_MAX, "%zu locks", s->mbox_lock_count);
	CHECK(s->login_seconds > 0 && s->idle_minutes >= 10 && s->per_source > 0 && s->login_tries > 0, "a limit of none");
	CHECK(s->minimum_uid > 0 && s->minimum_uid < UINT32_MAX, "minimum_uid %ju", (uintmax_t)s->minimum_uid);
	CHECK(s->history > 0 && s->on_locked.wait_seconds <= ON_LOCKED_WAIT_MAX, "history or on_locked");
	CHECK((s->certificate[0] == '\0') == (s->key[0] == '\0') && s->backends[0][0] != '\0', "a certificate alone, or no back end");
	CHECK(strpbrk(s->local_domains, "@,;\t") == NULL && s->local_domains[0] != ' ', "local_domains %s", s->local_domains);
	struct maildrop_place place;
	struct why why;
	char one[SETTING_TEXT_MAX];
	for (const char *rest = s->location; rest != NULL;) {
		rest = maildrop_location_cut(rest, one);
		CHECK(maildrop_place_expand(one, NULL, NULL, &place, &why) == 0, "%s", why.text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings first, second;
	static struct findings findings[2];
	char path[64];
	int fd = fuzz_memory_file(data, size);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < 2; i++) {
		findings[i] = (struct findings){ .lines = 1 };
		for (size_t j = 0; j < size; j++)
			findings[i].lines += data[j] == '\n';
		size_t count = settings_read(path, i == 0 ? &first : &second, take_finding, &findings[i]);
		CHECK(count == findings[i].count, "%zu findings, told of %zu", count, findings[i].count);
	}
	CHECK(memcmp(&findings[0], &findings[1], sizeof findings[0]) == 0 && memcmp(&first, &second, sizeof first) == 0, "read twice, it says something else");
	if (findings[0].count == 0)
		check_settings(&first);
	(void)close(fd);
	return 0;
}
