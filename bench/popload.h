/*
 * popload.h - what the load generator's parts have in common. Runs in: popload, for bench/. Trusts: nothing that a server says.
 */
#ifndef POSTERN_POPLOAD_H
#define POSTERN_POPLOAD_H

#include <stdbool.h>
#include <stddef.h>

/* What came of all sessions so far; note_session() counts those that went well. */
extern struct results { long done, failed, held, payload; } results;

/* Seconds, on a clock that never jumps. */
double now(void);

/* Say why, and end with status 2. */
_Noreturn void die(const char *fmt, ...);

/* A session went well: when it began, and when it was logged in. */
void note_session(double began, double logged_in);

/* A session did not: at what, and len octets of what the server or the system said. */
void note_error(const char *what, const char *detail, size_t len);

/* One JSON object to stdout, for a run of so many seconds. Returns popload's exit status. */
int print_results(double seconds);

/*
 * A socket on its way to a loopback address, without delays, from a source address of the slot's own unless that is -1.
 * *under_way_r is false when that failed at once; errno.
 */
int connect_to(const char *host, int port, int slot, bool *under_way_r);

/*
 * How many multi-line answers end in p[0..n)? Each ends with CRLF . CRLF, which may come in pieces: tail has the last octets
 * before, and is brought up to date.
 */
int count_ends(char tail[4], const char *p, size_t n);

#endif
