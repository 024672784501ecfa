/*
 * why.c - what a library function says when it fails.
 * Runs in: every process. Trusts: its caller.
 */
#include "base/why.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0)))
static int set(struct why *why, enum reason reason, int err, const char *format, va_list ap)
{
	*why = (struct why){ .reason = reason, .err = err };
	int n = vsnprintf(why->text, sizeof why->text, format, ap);
	if (err != 0 && n >= 0 && (size_t)n < sizeof why->text)
		(void)snprintf(why->text + n, sizeof why->text - (size_t)n, ": %s", strerror(err));
	return -1;
}

int why_set(struct why *why, enum reason reason, int err, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)set(why, reason, err, format, ap);
	va_end(ap);
	return -1;
}

static enum reason reason_of(int err)
{
	switch (err) {
	case EACCES: case EPERM: case ELOOP: case EXDEV: return REASON_MAILDROP_DENIED;
	case ENOSPC: case EDQUOT: return REASON_DISK_FULL;
	case EROFS: return REASON_READ_ONLY;
	case ENOMEM: case EMFILE: case ENFILE: return REASON_NO_MEMORY;
	case ESTALE: return REASON_MAILDROP_CHANGED;
	case ENOTDIR: case EISDIR: case ENAMETOOLONG: return REASON_MAILDROP_BROKEN;
	default: return REASON_MAILDROP_IO;
	}
}

int why_errno(struct why *why, int err, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void)set(why, reason_of(err), err, format, ap);
	va_end(ap);
	return -1;
}
