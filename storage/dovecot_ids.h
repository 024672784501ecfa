/*
 * dovecot_ids.h - the unique-ids that Dovecot told clients, so that they need not fetch anew what they have; inside storage/ only.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * Dovecot numbers the messages of a mailbox, and its pop3_uidl_format says how clients see that; by default "%08Xu%08Xv", which
 * 2.4 writes as "%{uid | hex(8)}%{uidvalidity | hex(8)}". A Maildir has the numbers in a file, an mbox in its messages.
 */
#ifndef POSTERN_DOVECOT_IDS_H
#define POSTERN_DOVECOT_IDS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"

/* The default pop3_uidl_format, without a NUL. */
static inline void dovecot_uidl(uint32_t uid, uint32_t validity, char out[LIST_UIDL_TEXT])
{
	char text[LIST_UIDL_TEXT + 1];
	(void)snprintf(text, sizeof text, "%08x%08x", uid, validity);
	memcpy(out, text, LIST_UIDL_TEXT);
}

#endif
