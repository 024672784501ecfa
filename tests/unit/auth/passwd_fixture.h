/*
 * passwd_fixture.h - a passwd file in a scratch directory, and who asks about it.
 * Runs in: the tests.
 */
#ifndef POSTERN_TESTS_PASSWD_FIXTURE_H
#define POSTERN_TESTS_PASSWD_FIXTURE_H

#include "auth/auth.h"
#include "fixture.h"
#include "tests/unit/suite.h"

/* "secret" and "other", at a thousand rounds */
#define SECRET "$6$rounds=1000$saltstring$2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0"

static struct auth_settings settings;
static char file[PATH_MAX];

static inline void begin(const char *text)
{
	fixture_make();
	(void)snprintf(file, sizeof file, "%s", fixture_path("passwd"));
	settings = (struct auth_settings){ .backends = { "passwd-file" }, .passwd_file = file,
	                                   .pam_helper = built("posternd-pam"), .virtual_user = "", .minimum_uid = 1000 };
	if (text != NULL)
		fixture_write("passwd", text, 0600);
}

static inline enum auth_verdict verify(const char *user, const char *password, struct identity *identity_r, struct why *why_r)
{
	struct secret s = secret_of(password);
	struct auth_request request = { .user = user, .password = &s, .remote_host = "192.0.2.1" };
	*why_r = (struct why){ .reason = REASON_NONE };
	return auth_passwd_file.verify(&settings, &request, identity_r, why_r);
}

#endif
