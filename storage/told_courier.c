/*
 * told_courier.c - Courier's numbers for the messages of a Maildir: its courierpop3dsizelist.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 *   /3 5 1796055165                                         version, the next number, that of the mailbox
 *   1280000001.M1P1.host,S=1355:2,S 1394 4:1796055165:0     the file, octets, its number, of which mailbox, UTF-8 in its header
 *
 * Version 2 has no word on UTF-8. A message with the number 0 was told by the file's name. Where only the mailbox's is 0, that was left out.
 */
#include <string.h>

#include "base/number.h"
#include "storage/told_list.h"

/* Cut off what stands behind the last of that octet. Empty when there is none. */
static struct span cut_last(struct span *rest, char octet)
{
	const char *last = rest->len > 0 ? memrchr(rest->p, octet, rest->len) : NULL;
	if (last == NULL)
		return (struct span){ NULL, 0 };
	const struct span cut = { last + 1, (size_t)(rest->p + rest->len - last) - 1 };
	rest->len -= cut.len + 1;
	return cut;
}

static int read_head(struct told_so_far *s, struct span line)
{
	const struct span version = span_word(&line);
	return version.len > 0 && version.p[0] == '/' ? parse_number(version.p + 1, version.len - 1, 2, 3, &s->version) : -1;
}

static int read_message(struct told_so_far *s, struct span line, struct told_message *m)
{
	uint64_t uid, validity, octets, utf8;
	struct span numbers = cut_last(&line, ' ');
	const struct span size = cut_last(&line, ' ');
	const struct span marks = s->version > 2 ? cut_last(&numbers, ':') : (struct span){ "0", 1 };
	const struct span mailbox = cut_last(&numbers, ':');
	if (line.len == 0 || parse_number(size.p, size.len, 0, UINT64_MAX, &octets) != 0 || parse_number(marks.p, marks.len, 0, 1, &utf8) != 0 ||
	    parse_number(mailbox.p, mailbox.len, 0, UINT32_MAX, &validity) != 0 || parse_number(numbers.p, numbers.len, 0, UINT32_MAX, &uid) != 0)
		return -1;
	*m = (struct told_message){ .file = line, .format = validity > 0 ? "UID%u-%v" : "UID%u", .uid = (uint32_t)uid, .validity = (uint32_t)validity };
	return uid > 0;
}

const struct told_reader told_courier = { .server = "Courier", .head = read_head, .message = read_message };
