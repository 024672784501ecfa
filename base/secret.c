/*
 * secret.c - a password on its way from the wire to a back end.
 * Runs in: gate, keeper, PAM helper, postern passwd. Trusts: nothing.
 */
#include "base/secret.h"

#include <string.h>

int secret_set(struct secret *s, const char *octets, size_t len)
{
	secret_wipe(s);
	if (len > PASSWORD_MAX || memchr(octets, '\0', len) != NULL)
		return -1;
	memcpy(s->text, octets, len);
	s->len = len;
	return 0;
}

void secret_wipe(struct secret *s)
{
	wipe(s, sizeof *s);
}
