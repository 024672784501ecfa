/*
 * popload_results.c - what a run of the load generator found: how many sessions, how fast, which errors.
 * Runs in: popload, for bench/. Trusts: nothing that a server says.
 */
#include "popload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAXERR = 32, LATENCIES = 65536 };

struct results results;
static double *lat_session, *lat_login;
static size_t nlat, caplat;
static struct { char text[120]; long n; } errs[MAXERR];
static int nerrs;

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("popload: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

void note_session(double began, double logged_in)
{
	const double t = now();
	results.done++;
	if (nlat == caplat) {
		caplat = caplat ? caplat * 2 : LATENCIES;
		lat_session = realloc(lat_session, caplat * sizeof *lat_session);
		lat_login = realloc(lat_login, caplat * sizeof *lat_login);
		if (!lat_session || !lat_login) die("no memory");
	}
	lat_session[nlat] = t - began;
	lat_login[nlat++] = logged_in - began;
}

void note_error(const char *what, const char *detail, size_t len)
{
	char text[sizeof errs[0].text];
	snprintf(text, sizeof text, "%s: %.*s", what, (int)(len > 80 ? 80 : len), detail);
	for (char *p = text; *p; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ') *p = ' ';
	for (int i = 0; i < nerrs; i++)
		if (!strcmp(errs[i].text, text)) { errs[i].n++; return; }
	if (nerrs < MAXERR) { strcpy(errs[nerrs].text, text); errs[nerrs++].n = 1; }
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double pct(const double *v, double p)
{
	return nlat ? v[(size_t)(p * (double)(nlat - 1))] * 1e3 : 0;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int print_results(double seconds)
{
	struct rusage ru;
	if (nlat) {
		qsort(lat_session, nlat, sizeof *lat_session, cmp);
		qsort(lat_login, nlat, sizeof *lat_login, cmp);
	}
	getrusage(RUSAGE_SELF, &ru);
	printf("{\"sessions\": %ld, \"failed\": %ld, \"held\": %ld, \"seconds\": %.3f, \"sessions_per_s\": %.1f, \"mb_per_s\": %.2f, "
	       "\"session_ms\": {\"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f}, "
	       "\"login_ms\": {\"p50\": %.3f, \"p99\": %.3f}, \"client_cpu_s\": %.2f, \"errors\": {",
	       results.done, results.failed, results.held, seconds, (double)results.done / seconds, (double)results.payload / seconds / 1e6,
	       pct(lat_session, .5), pct(lat_session, .95), pct(lat_session, .99), pct(lat_session, 1), pct(lat_login, .5), pct(lat_login, .99),
	       seconds_of(ru.ru_utime) + seconds_of(ru.ru_stime));
	for (int i = 0; i < nerrs; i++) printf("%s\"%s\": %ld", i ? ", " : "", errs[i].text, errs[i].n);
	puts("}}");
	return results.failed && !results.done ? 1 : 0;
}
