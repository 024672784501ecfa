/*
 * test_shared_directories.c - daemon/shared_directories.c: what virtual_user may do is tried, also where a file system does not answer.
 * Runs in: the tests. Whose the directories are tests/e2e/test_shared.py looks at.
 */
#include <unistd.h>

#include "tests/unit/daemon/worker.h"

static int played_faccessat(int directory, const char *path, int how, int flags);
#define faccessat played_faccessat
#define TRY_SECONDS 3
#include "daemon/shared_directories.c"

enum { HANGS_SECONDS = 30 };

static bool answers;

static int played_faccessat(int directory, const char *path, int how, int flags)
{
	(void)directory, (void)path, (void)how, (void)flags;
	for (time_t end = time(NULL) + 2 * HANGS_SECONDS; !answers && time(NULL) < end;)
		(void)poll(NULL, 0, 100);
	return 0;
}

static void test_no_answer(void)
{
	char problem[SHARED_PROBLEM_MAX] = "";
	host_make();
	make_users();
	struct settings *settings = settings_of("");
	settings->sessions = 2;
	settings->owner.uid = geteuid() == 0 ? MAIL_UID : geteuid();
	settings->owner.gid = geteuid() == 0 ? MAIL_UID : getegid();
	answers = true;
	CU_ASSERT(shared_try_owner(settings, true, problem) == 0);
	answers = false;
	(void)alarm(HANGS_SECONDS);
	CU_ASSERT(shared_try_owner(settings, true, problem) == -1);
	(void)alarm(0);
	ROW_ASSERT(problem, strstr(problem, "is on a file system that does not answer") != NULL);
	host_remove();
}

#define TESTS(X) X(test_no_answer)
SUITE("shared directories")
