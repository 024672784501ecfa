/*
 * replay.c - a main() for the fuzz targets without libFuzzer: each file of the corpus through the target, as a test.
 * Runs in: the tests. Trusts: nothing.
 *
 * usage: TARGET FILE|DIRECTORY...    ends with "N passed, N failed"
 */
#include <dirent.h>
#include <libgen.h>
#include <sys/wait.h>

#include "tests/fuzz/fuzz.h"

enum { FILES_MAX = 4096, REPLAY_SECONDS = 300 };

static char *files[FILES_MAX];
static size_t files_count;

static void add_file(const char *path)
{
	CHECK(files_count < FILES_MAX, "more than %d files", (int)FILES_MAX);
	files[files_count] = strdup(path);
	CHECK(files[files_count] != NULL, "no memory");
	files_count++;
}

static int is_name(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void add_files(const char *path)
{
	struct dirent **names;
	char file[PATH_MAX];
	int n = scandir(path, &names, is_name, alphasort);
	if (n < 0) {
		add_file(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
		add_file(file);
		free(names[i]);
	}
	free(names);
}

static void run_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len;
	CHECK(fd >= 0, "cannot open %s", path);
	char *octets = fuzz_file_octets(fd, &len);
	(void)close(fd);
	/* A copy without room behind it, so that a step too far is seen. */
	char *exact = piece_copy((struct piece){ .p = octets, .len = len });
	free(octets);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)exact, len);
	free(exact);
}

/* A child runs the files from `first` on and writes an octet for each; how many passed. *well_r: it ended well, too. */
static size_t run_from(size_t first, bool *well_r)
{
	int ends[2], status = 0;
	size_t passed = 0;
	char octet;
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	(void)fflush(NULL);
	pid_t pid = fork();
	CHECK(pid >= 0, "fork");
	if (pid == 0) {
		(void)alarm(REPLAY_SECONDS);
		for (size_t i = first; i < files_count; i++) {
			run_file(files[i]);
			CHECK(write(ends[1], "", 1) == 1, "the pipe is gone");
		}
		exit(0);
	}
	(void)close(ends[1]);
	while (read(ends[0], &octet, 1) == 1)
		passed++;
	(void)close(ends[0]);
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	*well_r = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return passed;
}

int main(int argc, char **argv)
{
	size_t failed = 0;
	for (int i = 1; i < argc; i++)
		add_files(argv[i]);
	for (size_t next = 0; next < files_count; ) {
		bool well;
		next += run_from(next, &well);
		if (next < files_count)
			(void)fprintf(stderr, "failed: %s\n", files[next++]);
		else if (!well)
			(void)fprintf(stderr, "failed at the end, behind all files\n");
		failed += !well;
	}
	(void)printf("replay of %s: %zu passed, %zu failed\n", basename(argv[0]), files_count > failed ? files_count - failed : 0, failed);
	for (size_t i = 0; i < files_count; i++)
		free(files[i]);
	return failed != 0 || files_count == 0;
}
