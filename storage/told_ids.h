/*
 * told_ids.h - the unique-ids that another POP3 server told clients, so that they need not fetch anew what they have.
 * Runs in: keeper, as the mail's owner; master, for the setting. Trusts: the configuration; nothing in the maildrop.
 *
 * Such a server numbers the messages of a mailbox, and a format says how clients see a message's number (UID) and the mailbox's
 * (UIDVALIDITY). In a Maildir the numbers are in a file of that server's, in an mbox in the messages (X-IMAPbase, X-UID).
 */
#ifndef POSTERN_TOLD_IDS_H
#define POSTERN_TOLD_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum told_by { TOLD_BY_NOBODY, TOLD_BY_DOVECOT, TOLD_BY_COURIER };

enum {
	TOLD_FORMAT_MAX = 32,    /* octets of a format, with its NUL */
	TOLD_LIST_NAME_MAX = 32, /* the same of a list's name */
};

struct told_ids {
	enum told_by by;
	char format[TOLD_FORMAT_MAX]; /* of Dovecot: pop3_uidl_format */
};

/* The default pop3_uidl_format, which 2.4 writes as %{uid | hex(8)}%{uidvalidity | hex(8)}; and what UW's ipop3d told. An mbox can have no others. */
#define TOLD_UID_FIRST "%08Xu%08Xv"
#define TOLD_VALIDITY_FIRST "%08Xv%08Xu"

/*
 * Is it a format that unique-ids can be made by? It has %u (UID), maybe %v (UIDVALIDITY), each perhaps as %08u, %Xu or %08Xu (digits, hexadecimal), %%
 * and other printable characters. 0; or -1: it is not, or can make more than UIDL_MAX octets.
 */
int told_format_check(const char *format);

/* The unique-id without a NUL, by a format that was checked; its octets. */
size_t told_uidl(const char *format, uint32_t uid, uint32_t validity, char out[UIDL_MAX]);

/* The file in a Maildir that has the numbers, or NULL: there is none. */
const char *told_list_name(enum told_by by);

#endif
