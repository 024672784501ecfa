/*
 * model_mbox.h - what other programs do to an mbox, at random.
 * Runs in: the tests. Trusts: nothing.
 */
#ifndef POSTERN_MODEL_MBOX_H
#define POSTERN_MODEL_MBOX_H

#include "tests/unit/storage/model.h"

enum { TEXT_MAX = 24 * 1024, MAILBOX_MAX = 1024 * 1024 };

static char *box;
static size_t box_len;

static inline void mb_read(void)
{
	free(box);
	box = get("mbox", &box_len);
	CU_ASSERT_FATAL(box != NULL);
}

/* Where message n begins, and where it ends. */
static inline size_t mb_find(unsigned n, size_t *end_r)
{
	size_t from = 0, next = 0;
	for (unsigned i = 0; next < box_len; i++) {
		from = next;
		const char *p = memmem(box + from + 1, box_len - from - 1, "\n\nFrom a@b ", 11);
		next = p != NULL ? (size_t)(p - box) + 2 : box_len;
		if (i == n)
			break;
	}
	*end_r = next;
	return from;
}

static inline void mb_deliver(void)
{
	static char text[TEXT_MAX + 256];
	size_t len = (size_t)snprintf(text, sizeof text, "From a@b Thu Jan  1 00:00:%02u 1970\nSubject: %u\nStatus: %s\n%s\n", pick(60), ++made, pick(2) == 0 ? "RO" : "O ",
	                              pick(4) == 0 ? "Content-Length: 999999\n" : "");
	for (unsigned lines = pick(TEXT_MAX / 64); lines > 0; lines--)
		len += (size_t)snprintf(text + len, sizeof text - len, "%060u\n", pick(1000000));
	len += (size_t)snprintf(text + len, sizeof text - len, "\n");
	if (!exists("mbox"))
		put("mbox", "");
	mb_read();
	if (box_len + len < MAILBOX_MAX)
		append("mbox", text);
}

/* What is appended begins a message. */
static inline bool mb_ends_well(void)
{
	mb_read();
	return box_len > 1 && memcmp(box + box_len - 2, "\n\n", 2) == 0;
}

/* Written over in place, the same size; the mtime may be as it was. */
static inline void mb_overwrite(const char *what, const char *with)
{
	struct stat st;
	size_t end;
	mb_read();
	if (box_len == 0)
		return;
	const size_t from = mb_find(pick(30), &end);
	const char *p = memmem(box + from, end - from, what, strlen(what));
	int fd = open(in_scratch("mbox"), O_WRONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	if (p != NULL)
		CU_ASSERT(pwrite(fd, with, strlen(with), p - box) == (ssize_t)strlen(with));
	if (pick(2) == 0)
		CU_ASSERT(futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) == 0);
	(void)close(fd);
}

static inline void mb_flag(void)
{
	mb_overwrite("Status: O ", "Status: RO");
}

static inline void mb_edit(void)
{
	mb_overwrite("000", pick(2) == 0 ? "\n00" : "abc");
}

static inline void mb_flag_and_deliver(void)
{
	mb_flag();
	mb_deliver();
}

static inline void mb_edit_and_deliver(void)
{
	mb_edit();
	mb_deliver();
}

/* As mail programs do: all is written anew, into the file or in place of it. */
static inline void mb_drop(void)
{
	size_t end;
	mb_read();
	if (box_len == 0)
		return;
	const size_t from = mb_find(pick(30), &end);
	memmove(box + from, box + end, box_len - end);
	box_len -= end - from;
	if (pick(2) == 0)
		CU_ASSERT(unlink(in_scratch("mbox")) == 0);
	put_octets("mbox", box, box_len);
}

static inline void mb_drop_and_deliver(void)
{
	mb_drop();
	for (unsigned i = 1 + pick(4); i > 0; i--)
		mb_deliver();
}

static inline void mb_append_odd(void)
{
	static const char *const odd[] = { "\n", "\n\n\n", "more of the last\n", "From a@b Thu Jan  1 00:00:00 1970\n", "no line end" };
	if (exists("mbox"))
		append("mbox", odd[pick(5)]);
}

static inline void mb_begin(void)
{
	for (unsigned i = pick(40); i > 0; i--)
		mb_deliver();
	if (!exists("mbox"))
		put("mbox", "");
}

#endif
