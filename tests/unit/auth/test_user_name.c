/*
 * test_user_name.c - auth/user_name.c: which users are one.
 * Runs in: the tests.
 */
#include "auth/auth.h"

#include "tests/unit/suite.h"

static void test_names(void)
{
	static const struct {
		const char *label;
		bool lowercase;
		const char *domains, *typed, *want;
	} rows[] = {
		{ "as typed", false, NULL, "Anna@Example.org", "Anna@Example.org" },
		{ "lowercase", true, NULL, "ANNA.z-Z@[`{", "anna.z-z@[`{" },
		{ "octets beyond ASCII stay", true, "", "\xc3\x84NNE", "\xc3\x84nne" },
		{ "a local domain", false, "example.org", "Anna@example.org", "Anna" },
		{ "in any case", false, "Example.org", "anna@EXAMPLE.ORG", "anna" },
		{ "one of several", true, "a.example  b.example", "Anna@b.example", "anna" },
		{ "another domain", false, "a.example b.example", "anna@c.example", "anna@c.example" },
		{ "the beginning of one", false, "example.org", "anna@example.or", "anna@example.or" },
		{ "more than one", false, "example.org", "anna@example.org.uk", "anna@example.org.uk" },
		{ "two with their blank", false, "a.example b.example", "anna@a.example b.example", "anna@a.example b.example" },
		{ "the last @ counts", false, "example.org", "anna@home@example.org", "anna@home" },
		{ "no @", false, "example.org", "example.org", "example.org" },
		{ "nobody at it", false, "example.org", "@example.org", "@example.org" },
		{ "at nothing", false, "example.org", "anna@", "anna@" },
		{ "nothing", true, "example.org", "", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct auth_settings settings = { .lowercase = rows[i].lowercase, .local_domains = rows[i].domains };
		char user[USER_NAME_MAX + 1];
		(void)snprintf(user, sizeof user, "%s", rows[i].typed);
		auth_user_name(&settings, user);
		ROW_TEXT(rows[i].label, user, rows[i].want);
	}
}

#define TESTS(X) X(test_names)
SUITE("user_name")
