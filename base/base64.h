/*
 * base64.h - base64 as RFC 4648 section 4 has it, and nothing that it does not have.
 * Runs in: gate. Trusts: nothing in the text.
 */
#ifndef POSTERN_BASE64_H
#define POSTERN_BASE64_H

#include <stddef.h>

/*
 * Decode len octets of text. 0 and *size_r octets in out; or -1 when the text is anything but whole groups of digits with
 * their padding and no bits left over, or when more than room octets would come out.
 */
int base64_decode(const char *text, size_t len, char *out, size_t room, size_t *size_r);

#endif
