/*
 * confdir.c - lets a program use PAM services from a directory of the tests: preloaded, it turns
 * pam_start(3) into pam_start_confdir(3) with the directory of TEST_PAM_DIRECTORY.
 * Runs in: the PAM helper, in tests only. Trusts: its environment.
 */
#include <security/pam_appl.h>
#include <stdlib.h>

int pam_start(const char *service, const char *user, const struct pam_conv *conversation, pam_handle_t **handle_r)
{
	return pam_start_confdir(service, user, conversation, getenv("TEST_PAM_DIRECTORY"), handle_r);
}
