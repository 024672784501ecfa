/*
 * log.h - the log: one line an event, to stderr, syslog or the journal.
 * Runs in: every process of the daemon; the target is opened by the master and inherited.
 * Trusts: nothing in the values: log_text() escapes what a stranger chose.
 */
#ifndef POSTERN_LOG_H
#define POSTERN_LOG_H

#include <stddef.h>
#include <syslog.h>

#include "daemon/settings.h"

enum { LOG_LINE_MAX = 2048, LOG_FIELDS_MAX = 20 };

/* A journal field; name in capitals ("POSTERN_USER"). The value is written as it is (the journal takes any octets). */
struct log_field {
	const char *name, *value;
};

/*
 * Open the target: AUTO is the journal when stderr is connected to it (JOURNAL_STREAM), else stderr in the
 * `foreground`, else syslog. May be called again (reload).
 */
void log_open(enum log_target target, int level, bool foreground);

/* In the background, after log_open(): let go of what whoever started us has open as our standard descriptors, but for a stderr that is the log. */
void log_only(void);

/* The name that stands before each line: "master", "keeper", "gate". Borrowed: a string that stays. */
void log_role(const char *role);

/* One line. priority is syslog(3)'s. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line, and fields for the journal. */
void log_event(int priority, const struct log_field *fields, size_t count, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* `text` escaped and in double quotes, in storage (size octets); for client text in a format's arguments. */
const char *log_text(const char *text, char *storage, size_t size);

/* The descriptor the log writes to, -1 for none: to be kept when others are closed. */
int log_descriptor(void);

/* How a process ends when something is wrong; the master reads these from the exit status. */
enum exit_code {
	EXIT_GOOD = 0,
	EXIT_ENVIRONMENT = 70, /* fatal(): the host is not as it must be */
	EXIT_BUG = 71,         /* panic(): we are wrong */
	EXIT_VIOLATION = 72,   /* violation(): the other half broke the contract */
	EXIT_GATE_GONE = 73,   /* a keeper whose gate ended before it had served anybody */
};

/* The environment is at fault; strerror(errno) is added when errno is not 0. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* We are at fault. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The other half of the worker is at fault: it may be hostile. */
_Noreturn void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
