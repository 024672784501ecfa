/*
 * user_name.c - the name that a user is known by, of one that was typed.
 * Runs in: keeper, as root; posternd -t. Trusts: nothing in the name.
 */
#include <string.h>

#include "auth/auth.h"
#include "base/buf.h"

static bool is_local(const char *domains, const char *domain)
{
	const size_t len = strlen(domain);
	for (const char *word = domains; *word != '\0'; word += strspn(word, " ")) {
		const size_t n = strcspn(word, " ");
		if (n == len && same_word(word, domain, len))
			return true;
		word += n;
	}
	return false;
}

void auth_user_name(const struct auth_settings *settings, char *user)
{
	char *at = strrchr(user, '@');
	if (at != NULL && at != user && settings->local_domains != NULL && is_local(settings->local_domains, at + 1))
		*at = '\0';
	for (char *p = user; settings->lowercase && *p != '\0'; p++)
		*p = lower_letter(*p);
}
