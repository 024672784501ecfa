/*
 * told_dovecot.c - Dovecot's numbers for the messages of a Maildir: its dovecot-uidlist.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 *   3 V1796030837 N5 G8e0a590a...           version, UIDVALIDITY, the next UID
 *   4 W1394 S1355 :1276528487.M364837P9     UID, what else is known (P: the unique-id for POP3, where it is another), the file
 *
 * Version 1 has "1 UIDVALIDITY NEXT" and "UID FILE". UIDs rise from line to line.
 */
#include "base/number.h"
#include "storage/maildir.h"
#include "storage/told_list.h"

static int read_head(struct told_so_far *s, struct span line)
{
	const struct span version = span_word(&line);
	bool has_validity = false;
	if (parse_number(version.p, version.len, 1, 3, &s->version) != 0 || s->version == 2)
		return -1;
	while (!has_validity && line.len > 0) {
		const struct span w = span_word(&line);
		const size_t letter = s->version > 1;
		has_validity = w.len > letter && (letter == 0 || w.p[0] == 'V') && parse_number(w.p + letter, w.len - letter, 1, UINT32_MAX, &s->validity) == 0;
	}
	return has_validity ? 0 : -1;
}

static int read_message(struct told_so_far *s, struct span line, struct told_message *m)
{
	const struct span number = span_word(&line);
	if (parse_number(number.p, number.len, s->uid + 1, UINT32_MAX, &s->uid) != 0)
		return -1;
	m->uid = (uint32_t)s->uid;
	m->validity = (uint32_t)s->validity;
	while (s->version > 1 && line.len > 0 && line.p[0] != ':') {
		const struct span w = span_word(&line);
		if (w.len > 1 && w.p[0] == 'P' && maildir_can_be_uidl(w.p + 1, w.len - 1))
			m->uidl = (struct span){ w.p + 1, w.len - 1 };
	}
	if (s->version > 1 && line.len > 0) {
		line.p++;
		line.len--;
	}
	m->file = line;
	return line.len > 0 ? 1 : -1;
}

const struct told_reader told_dovecot = { .server = "Dovecot", .head = read_head, .message = read_message };
