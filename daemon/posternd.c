/*
 * posternd.c - the server's command line.
 * Runs in: master, at the start. Trusts: who starts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/heap.h"
#include "daemon/log.h"
#include "daemon/master.h"
#include "daemon/nursery_link.h"
#include "daemon/privilege.h"
#include "daemon/sandbox.h"
#include "daemon/shared.h"

static const char usage[] =
	"usage: posternd [-F] [-c FILE]      serve\n"
	"       posternd -t [-q] [-c FILE]   check the configuration, all of it, and say what to write instead\n"
	"       posternd -D                  print the default configuration with its explanations\n"
	"       posternd -V                  print the version\n"
	"  -c FILE  the configuration (" DEFAULT_CONFIG ")\n"
	"  -F       stay in the foreground\n"
	"  -q       with -t: look for what keeps postern from using it, and say nothing else\n";

static void print_finding(void *context, const char *file, unsigned line, const char *text)
{
	(void)context;
	if (line > 0)
		(void)fprintf(stderr, "%s:%u: %s\n", file, line, text);
	else
		(void)fprintf(stderr, "%s: %s\n", file, text);
}

/* A helper program: beside this one (a build tree), or in ../lib/postern (an installation). 0, or -1. */
static int find_helper(const char *name, char *path, size_t size)
{
	enum { PLACES = 2 };
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len <= 0)
		return -1;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (int i = 0; i < PLACES; i++) {
		int n = i == 0 ? snprintf(path, size, "%s/%s", self, name) : snprintf(path, size, "%s/../lib/postern/%s", self, name);
		if (n > 0 && (size_t)n < size && access(path, X_OK) == 0)
			return 0;
	}
	(void)fprintf(stderr, "posternd: %s is neither in %s nor in %s/../lib/postern\n", name, self, self);
	return -1;
}

/* The parent leaves when the child serves, or says that it does not. Returns the child's end of a pipe. */
static int go_to_background(void)
{
	int ready[2];
	char octet;
	if (pipe2(ready, O_CLOEXEC) != 0) {
		perror("posternd: pipe");
		exit(EXIT_ENVIRONMENT);
	}
	pid_t pid = fork();
	if (pid < 0) {
		perror("posternd: fork");
		exit(EXIT_ENVIRONMENT);
	}
	if (pid > 0) {
		(void)close(ready[1]);
		bool good = read(ready[0], &octet, 1) == 1;
		if (!good)
			(void)fputs("posternd: not started\n", stderr);
		exit(good ? EXIT_GOOD : EXIT_ENVIRONMENT);
	}
	(void)close(ready[0]);
	(void)setsid();
	return ready[1];
}

/* -t, after the text was read with so many findings: what the host tells (quiet: as far as a reload minds it), and a verdict. The exit status. */
static int report_check(const struct master_options *options, struct settings *settings, size_t wrong, bool quiet)
{
	char problem[NURSERY_TEXT_MAX], shared[SHARED_PROBLEM_MAX];
	const char *missing = sandbox_missing(sandbox_probe());
	/* The defaults, which are all there is then, are nobody's configuration. */
	if (access(options->config, R_OK) != 0) {
		(void)fprintf(stderr, "%s: to be corrected before postern can use it\n", options->config);
		return 1;
	}
	/* With another owner of the mail than it has, it does not start. */
	if (wrong == 0 && (shared_find_owner(settings, options->programs.pam_helper, shared) != 0 || shared_try_owner(settings, false, shared) != 0)) {
		print_finding(NULL, options->config, 0, shared);
		wrong++;
	}
	if (missing != NULL && settings->sandbox == SANDBOX_REQUIRED && !INSTRUMENTED) {
		(void)snprintf(problem, sizeof problem, SANDBOX_LACKING, missing);
		print_finding(NULL, options->config, 0, problem);
		wrong++;
	}
	size_t noted = quiet ? 0 : settings_check_host(options->config, settings, options->programs.pam_helper, print_finding, NULL);
	struct certificate_seen seen;
	/* The programs that use certificate, key and gate_user try them; without them there is no server. */
	if (nursery_try(&options->programs, settings, &seen, problem) != 0) {
		print_finding(NULL, options->config, 0, problem);
		wrong++;
	} else if (!quiet) {
		const char *const notes[] = { certificate_is_old(settings, &seen, time(NULL), problem, sizeof problem) ? problem : "", seen.doubt };
		for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
			if (notes[i][0] == '\0')
				continue;
			print_finding(NULL, options->config, 0, notes[i]);
			noted++;
		}
	}
	if (wrong > 0)
		(void)fprintf(stderr, "%s: to be corrected before postern can use it\n", options->config);
	else if (noted > 0)
		(void)fprintf(stderr, "%s: postern can use it; see to what is said above\n", options->config);
	else if (!quiet)
		(void)fprintf(stderr, "%s: no findings\n", options->config);
	return wrong + noted > 0 ? 1 : EXIT_GOOD;
}

int main(int argc, char **argv)
{
	static struct settings settings;
	static char gate[PATH_MAX], signer[PATH_MAX], pam_helper[PATH_MAX];
	struct master_options options = { .config = DEFAULT_CONFIG, .programs = { .gate = gate, .signer = signer, .pam_helper = pam_helper }, .ready = -1 };
	bool check = false, quiet = false, foreground = false;
	int option;
	io_fill_standard();
	while ((option = getopt(argc, argv, "c:FqtDVh")) != -1) {
		switch (option) {
		case 'c': options.config = optarg; break;
		case 'F': foreground = true; break;
		case 'q': quiet = true; break;
		case 't': check = true; break;
		case 'D': settings_print_defaults(stdout); return EXIT_GOOD;
		case 'V': (void)puts("postern " POSTERN_VERSION); return EXIT_GOOD;
		case 'h': (void)fputs(usage, stdout); return EXIT_GOOD;
		default: (void)fputs(usage, stderr); return 2;
		}
	}
	if (optind < argc || (quiet && !check)) {
		(void)fprintf(stderr, "posternd: what is \"%s\"?\n%s", optind < argc ? argv[optind] : "-q", usage);
		return 2;
	}
	if (sodium_init() < 0 || find_helper("posternd-gate", gate, sizeof gate) != 0 ||
	    find_helper("posternd-sign", signer, sizeof signer) != 0 ||
	    find_helper("posternd-pam", pam_helper, sizeof pam_helper) != 0)
		return EXIT_ENVIRONMENT;
	size_t findings = settings_read(options.config, &settings, print_finding, NULL);
	if (check)
		return report_check(&options, &settings, findings, quiet);
	if (findings > 0)
		return 1;
	options.programs.background = !foreground;
	if (!foreground)
		options.ready = go_to_background();
	heap_wipe_freed(shared_workers(&settings));
	log_role("master");
	/* Until it serves, whoever started it reads what is wrong. */
	log_open(foreground ? settings.log_target : LOG_TARGET_STDERR, settings.log_level, true);
	return master_run(&options, &settings);
}
