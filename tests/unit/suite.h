/*
 * suite.h - the frame of a unit test program: a table of tests, run by CUnit.
 * Runs in: the tests.
 *
 * #define TESTS(X) X(test_a) X(test_b)   then SUITE("name")
 * Each program takes the name of one test as its argument, ends with "N passed, N failed"
 * (assertions are not counted, tests are) and fails when a test fails.
 */
#ifndef POSTERN_SUITE_H
#define POSTERN_SUITE_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

/* An assertion that says which row of a table it speaks of. */
#define ROW_ASSERT(label, condition)                                             \
	do {                                                                     \
		int ok_ = (condition) ? 1 : 0;                                   \
		if (!ok_)                                                        \
			fprintf(stderr, "%s:%d: row \"%s\": %s\n", __FILE__, __LINE__, (label), #condition); \
		CU_ASSERT(ok_);                                                  \
	} while (0)

/* got and want as text, both shown when they differ. */
#define ROW_TEXT(label, got, want)                                               \
	do {                                                                     \
		const char *got_ = (got), *want_ = (want);                       \
		int ok_ = strcmp(got_, want_) == 0;                              \
		if (!ok_)                                                        \
			fprintf(stderr, "%s:%d: row \"%s\": got \"%s\", want \"%s\"\n", __FILE__, __LINE__, (label), got_, want_); \
		CU_ASSERT(ok_);                                                  \
	} while (0)

/* The path of a program of this build. Static storage for one. POSTERN_BUILD says where it lies ("build"). */
static inline const char *built(const char *program)
{
	static char path[4096];
	const char *build = getenv("POSTERN_BUILD");
	(void)snprintf(path, sizeof path, "%s/%s", build != NULL ? build : "build", program);
	return path;
}

#define SUITE_ROW_(function) { .pName = #function, .pTestFunc = function },
#define SUITE(name)                                                              \
	int main(int argc, char **argv)                                          \
	{                                                                        \
		CU_TestInfo tests_[] = { TESTS(SUITE_ROW_) CU_TEST_INFO_NULL };  \
		CU_SuiteInfo suites_[] = { { .pName = (name), .pTests = tests_ }, CU_SUITE_INFO_NULL }; \
		io_fill_standard();                                              \
		if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites_) != CUE_SUCCESS) \
			return 2;                                                \
		CU_pSuite suite_ = CU_get_registry()->pSuite;                    \
		CU_pTest one_ = argc > 1 ? CU_get_test_by_name(argv[1], suite_) : NULL; \
		if (argc > 1 && one_ == NULL)                                    \
			return fprintf(stderr, "no test %s\n", argv[1]), 2;      \
		CU_basic_set_mode(CU_BRM_SILENT);                                \
		if (one_ != NULL)                                                \
			(void)CU_basic_run_test(suite_, one_);                   \
		else                                                             \
			(void)CU_basic_run_tests();                              \
		CU_basic_show_failures(CU_get_failure_list());                   \
		unsigned failed_ = CU_get_number_of_tests_failed();              \
		printf("\n%s: %u passed, %u failed\n", (name), CU_get_number_of_tests_run() - failed_, failed_); \
		CU_cleanup_registry();                                           \
		return failed_ != 0;                                             \
	}

#endif
