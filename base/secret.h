/*
 * secret.h - a password on its way from the wire to a back end.
 * Runs in: gate, keeper, PAM helper, postern passwd. Trusts: nothing.
 */
#ifndef POSTERN_SECRET_H
#define POSTERN_SECRET_H

#include <stddef.h>
#include <string.h>

enum {
	USER_NAME_MAX = 128,  /* octets of a user name, without the NUL */
	PASSWORD_MAX = 512,   /* octets of a password, without the NUL; Linux-PAM hung on 65,536 (CVE-2015-3238) */
};

struct secret {
	size_t len;
	char text[PASSWORD_MAX + 1]; /* NUL-terminated, and no NUL before text[len] */
};

/* Copy a password of len octets. 0, or -1 when it is too long or holds a NUL (the secret is wiped then). */
int secret_set(struct secret *s, const char *octets, size_t len);

/* Overwrite size octets; the compiler cannot leave this out. As explicit_bzero(3), whose page in a shared libc is two faults in each gate. */
static inline void wipe(void *p, size_t size)
{
	memset(p, 0, size);
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* Overwrite it. */
void secret_wipe(struct secret *s);

#endif
