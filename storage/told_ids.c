/*
 * told_ids.c - how another server made unique-ids of its numbers.
 * Runs in: keeper, as the mail's owner; master, for the setting. Trusts: the configuration.
 */
#include "storage/told_ids.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DECIMAL_MOST = 10, HEX_MOST = 8 }; /* digits of a number of 32 bits */

/* What a format is made of. */
struct piece {
	char number;   /* u, v, or 0: an octet that stands for itself */
	char octet;
	bool hex;
	uint8_t width; /* at least so many digits, with zeros in front */
};

/* The piece at p, which is not the end. What is behind it, or NULL: that is no piece. */
static const char *next_piece(const char *p, struct piece *piece_r)
{
	*piece_r = (struct piece){ .octet = *p };
	if (*p <= ' ' || *p > '~')
		return NULL;
	if (*p++ != '%' || *p == '%')
		return p + (*p == '%' && p[-1] == '%');
	if (*p == '0' && p[1] >= '1' && p[1] <= '9') {
		piece_r->width = (uint8_t)(p[1] - '0');
		p += 2;
	}
	piece_r->hex = *p == 'X';
	p += piece_r->hex;
	piece_r->number = *p;
	return *p == 'u' || *p == 'v' ? p + 1 : NULL;
}

int told_format_check(const char *format)
{
	struct piece piece;
	bool has_uid = false;
	size_t octets = 0;
	for (const char *p = format; *p != '\0';) {
		p = next_piece(p, &piece);
		if (p == NULL)
			return -1;
		const size_t most = piece.number == 0 ? 1 : piece.hex ? HEX_MOST : DECIMAL_MOST;
		has_uid = has_uid || piece.number == 'u';
		octets += most > piece.width ? most : piece.width;
	}
	return has_uid && octets <= UIDL_MAX && strlen(format) < TOLD_FORMAT_MAX ? 0 : -1;
}

size_t told_uidl(const char *format, uint32_t uid, uint32_t validity, char out[UIDL_MAX])
{
	struct piece piece;
	char text[UIDL_MAX + 1] = "";
	size_t len = 0;
	for (const char *p = format; p != NULL && *p != '\0' && len < UIDL_MAX;) {
		p = next_piece(p, &piece);
		if (piece.number == 0)
			text[len++] = piece.octet;
		else
			len += (size_t)snprintf(text + len, sizeof text - len, piece.hex ? "%0*x" : "%0*u", piece.width, piece.number == 'u' ? uid : validity);
	}
	memcpy(out, text, len);
	return len;
}

const char *told_list_name(enum told_by by)
{
	static const char *const names[] = { [TOLD_BY_NOBODY] = NULL, [TOLD_BY_DOVECOT] = "dovecot-uidlist", [TOLD_BY_COURIER] = "courierpop3dsizelist" };
	return names[by];
}
