/*
 * fuzz_place.c - where a maildrop is, for any location and any user name: never outside of what the pattern says; and which names are one user.
 * Runs in: the tests. Trusts: nothing.
 */
#include "auth/auth.h"
#include "base/secret.h"
#include "storage/maildrop.h"
#include "tests/fuzz/fuzz.h"

/* Components of the path that are ".." or empty can come from the pattern and the home only. */
static size_t slashes(const char *text)
{
	size_t n = 0;
	for (; *text != '\0'; text++)
		n += *text == '/';
	return n;
}

static size_t steps_up(const char *path)
{
	size_t n = 0;
	for (const char *at = path; (at = strstr(at, "/..")) != NULL; at++)
		n += at[3] == '/' || at[3] == '\0';
	return n;
}

static void check_place(const char *location, const char *user, const char *home)
{
	struct maildrop_place place, other;
	struct why why;
	char key[MAILDROP_KEY + 1];
	if (maildrop_place_expand(location, user, home, &place, &why) != 0) {
		CHECK(why.reason == REASON_MAILDROP_BROKEN && why.text[0] != '\0', "refused for reason %d", (int)why.reason);
		return;
	}
	CHECK(place.path[0] == '/' && memchr(place.path, '\0', sizeof place.path) != NULL, "no absolute path: %s", place.path);
	CHECK(maildrop_place_expand(location, NULL, NULL, &other, &why) == 0, "%s is refused without a user only: %s", location, why.text);
	/* The same with a user of letters: as many components, and as many steps up. */
	char plain[USER_NAME_MAX + 1];
	const char *at = strchr(user, '@');
	(void)snprintf(plain, sizeof plain, at != NULL ? "u@d" : "u");
	CHECK(maildrop_place_expand(location, plain, home, &other, &why) == 0, "%s is refused for %s: %s", location, plain, why.text);
	CHECK(slashes(place.path) == slashes(other.path), "%s leads to %s, %s to %s", user, place.path, plain, other.path);
	CHECK(steps_up(place.path) == steps_up(other.path), "%s leads up to %s", user, place.path);
	maildrop_key(&place, key);
	CHECK(strlen(key) == MAILDROP_KEY && strspn(key, "0123456789abcdef") == MAILDROP_KEY, "key %s", key);
}

/* Of a list nothing is lost but the blanks between two locations, and the second begins as one does. */
static void check_list(const char *list)
{
	char one[256];
	for (const char *at = list, *rest; at != NULL; at = rest) {
		rest = maildrop_location_cut(at, one);
		const size_t len = strlen(one);
		CHECK(memcmp(at, one, len) == 0, "%s was cut to %s", at, one);
		if (rest == NULL)
			CHECK(at[len] == '\0', "%s lost %s", at, at + len);
		else
			CHECK(rest > at + len && strspn(at + len, " \t") == (size_t)(rest - at) - len && (strncmp(rest, "mbox:", 5) == 0 || strncmp(rest, "maildir:", 8) == 0),
			      "%s was cut to %s and %s", at, one, rest);
		CHECK(strstr(one, " mbox:") == NULL && strstr(one, " maildir:") == NULL, "%s holds two", one);
	}
}

/* ---- which names are one ---- */

/* In lower case, of ASCII only. */
static void lower(char *text)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", small[] = "abcdefghijklmnopqrstuvwxyz";
	for (char *p = text; *p != '\0'; p++) {
		const char *at = strchr(capitals, *p);
		*p = at != NULL ? small[at - capitals] : *p;
	}
}

/* Is the domain a word of the list? Both in lower case. */
static bool is_word(const char *domain, const char *list)
{
	char words[256], *saved = NULL;
	(void)snprintf(words, sizeof words, "%s", list);
	for (char *w = strtok_r(words, " ", &saved); w != NULL; w = strtok_r(NULL, " ", &saved))
		if (strcmp(w, domain) == 0)
			return true;
	return false;
}

/* Known by another name than was typed only for a local domain or for capitals; and by that name it is known as that. */
static void check_name(const char *typed, const char *domains, bool lowercase)
{
	const struct auth_settings settings = { .lowercase = lowercase, .local_domains = domains };
	char got[USER_NAME_MAX + 1], want[USER_NAME_MAX + 1], small[USER_NAME_MAX + 1], list[256];
	(void)snprintf(got, sizeof got, "%s", typed);
	(void)snprintf(want, sizeof want, "%s", typed);
	(void)snprintf(small, sizeof small, "%s", typed);
	(void)snprintf(list, sizeof list, "%s", domains);
	lower(small);
	lower(list);
	size_t at = strlen(small);
	while (at > 0 && small[at] != '@')
		at--;
	if (at > 0 && is_word(small + at + 1, list))
		want[at] = '\0';
	if (lowercase)
		lower(want);
	auth_user_name(&settings, got);
	CHECK(strcmp(got, want) == 0, "%s is known as %s, want %s", typed, got, want);
	CHECK((got[0] == '\0') == (typed[0] == '\0'), "%s is nobody", typed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	char location[256], user[USER_NAME_MAX + 1], home[PATH_MAX], domains[256];
	(void)piece_text(take_line(&in), location, sizeof location);
	check_list(location);
	(void)piece_text(take_line(&in), user, sizeof user);
	(void)piece_text(take_line(&in), home, sizeof home);
	(void)piece_text(take_rest(&in), domains, sizeof domains);
	/* As the settings have them: nothing before the first. */
	const char *first = domains + strspn(domains, " ");
	check_name(user, first, false);
	check_name(user, first, true);
	if (home[0] == '/' || home[0] == '\0')
		check_place(location, user, home);
	return 0;
}
