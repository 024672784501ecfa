/*
 * pam_fixture.h - the real PAM helper and the real Linux-PAM, with services and a module of the tests.
 * Runs in: the tests. Needs BUILD/posternd-pam, BUILD/tests/pam/confdir.so and pam_test.so.
 */
#ifndef POSTERN_TEST_PAM_FIXTURE_H
#define POSTERN_TEST_PAM_FIXTURE_H

#include "fixture.h"

/* The build directory: this program is BUILD/unit/auth/test_X. */
static inline const char *build_directory(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n < 0)
		abort();
	path[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(path, '/') = '\0';
	return path;
}

/*
 * A helper that looks for services in the fixture. A script, since the helper is started with
 * a clean environment, which is as it should be.
 */
static inline const char *pam_fixture_helper(void)
{
	static char script[PATH_MAX * 4];
	(void)snprintf(script, sizeof script,
	               "#!/bin/sh\nexport ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0\n"
	               "export LD_PRELOAD=%s/tests/pam/confdir.so TEST_PAM_DIRECTORY=%s\nexec %s/posternd-pam\n",
	               build_directory(), fixture, build_directory());
	fixture_write("helper", script, 0700);
	return fixture_path("helper");
}

/* A service "test" of one module, with the same arguments at both stages. */
static inline void pam_fixture_service(const char *arguments)
{
	static char text[PATH_MAX * 5];
	(void)snprintf(text, sizeof text, "auth required %s/tests/pam/pam_test.so %s\naccount required %s/tests/pam/pam_test.so %s\n",
	               build_directory(), arguments, build_directory(), arguments);
	fixture_write("test", text, 0600);
}

#endif
