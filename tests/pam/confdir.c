/*
 * confdir.c - lets a program use PAM services from a directory of the tests: preloaded, it turns
 * pam_start(3) into pam_start_confdir(3) with the directory of TEST_PAM_DIRECTORY. And its host finds accounts by any
 * spelling of their names, as a directory service may.
 * Runs in: the PAM helper, in tests only. Trusts: its environment.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>

int pam_start(const char *service, const char *user, const struct pam_conv *conversation, pam_handle_t **handle_r)
{
	return pam_start_confdir(service, user, conversation, getenv("TEST_PAM_DIRECTORY"), handle_r);
}

struct passwd *getpwnam(const char *name)
{
	union { void *symbol; struct passwd *(*function)(const char *); } next = { .symbol = dlsym(RTLD_NEXT, "getpwnam") };
	char lower[256];
	(void)snprintf(lower, sizeof lower, "%s", name);
	for (char *c = lower; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return next.function(lower);
}
