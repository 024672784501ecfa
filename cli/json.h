/*
 * json.h - JSON to standard output or a file, member by member.
 * Runs in: postern. Trusts: nothing in a text: what comes out is ASCII, whatever goes in.
 */
#ifndef POSTERN_JSON_H
#define POSTERN_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool some;            /* the object or array that is open has a member */
};

/* Begin an object '{' or an array '['. name: NULL in an array, and for the first. */
void json_open(struct json *j, const char *name, char bracket);

/* End it: '}' or ']'; behind the first one stands a line end. */
void json_close(struct json *j, char bracket);

/* A member; octets that are not UTF-8 become U+FFFD. text: NULL is null. */
void json_text(struct json *j, const char *name, const char *text);
void json_number(struct json *j, const char *name, uint64_t n);
void json_flag(struct json *j, const char *name, bool flag);

#endif
