/*
 * fuzz_sasl.c - AUTH PLAIN's responses, in one line or two, beside a decoder that goes by RFC 4648 and RFC 4616 to the letter.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/fuzz/fuzz_host.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Base64 with its padding, nothing else in it, and no stray bits. */
static bool decode_slowly(struct piece text, char *out, size_t *len_r)
{
	size_t pad = 0, n = 0;
	if (text.len % 4 != 0)
		return false;
	while (pad < 2 && pad < text.len && text.p[text.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i + pad < text.len; i += 4) {
		unsigned long group = 0;
		size_t have = text.len - pad - i < 4 ? text.len - pad - i : 4;
		for (size_t j = 0; j < 4; j++) {
			const char *digit = j < have && text.p[i + j] != '\0' ? strchr(digits, text.p[i + j]) : NULL;
			if (j < have && digit == NULL)
				return false;
			group = group << 6 | (digit != NULL ? (unsigned long)(digit - digits) : 0);
		}
		for (size_t j = 0; j + 1 < have; j++)
			out[n++] = (char)(group >> (16 - 8 * j) & 0xff);
		if (have < 4 && (group & (have == 2 ? 0xffff : 0xff)) != 0)
			return false;
	}
	*len_r = n;
	return true;
}

static size_t encode_slowly(struct piece octets, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < octets.len; i += 3) {
		unsigned long group = 0;
		for (size_t j = 0; j < 3; j++)
			group = group << 8 | (i + j < octets.len ? (unsigned char)octets.p[i + j] : 0u);
		for (size_t j = 0; j < 4; j++)
			out[n++] = i + j > octets.len ? '=' : digits[group >> (18 - 6 * j) & 63];
	}
	return n;
}

/* What the response is to be answered; REPLY_LOGGED_IN with the user and the password in it. */
static enum reply judge(struct piece response, char *plain, struct piece *user_r, struct piece *password_r)
{
	size_t len, nuls = 0, at[2] = { 0, 0 };
	if (!decode_slowly(response, plain, &len))
		return REPLY_BAD_BASE64;
	for (size_t i = 0; i < len; i++)
		if (plain[i] == '\0' && nuls++ < 2)
			at[nuls - 1] = i;
	if (nuls != 2 || at[1] == at[0] + 1)
		return REPLY_BAD_PLAIN;
	*user_r = (struct piece){ .p = plain + at[0] + 1, .len = at[1] - at[0] - 1 };
	*password_r = (struct piece){ .p = plain + at[1] + 1, .len = len - at[1] - 1 };
	if (user_r->len > USER_NAME_MAX)
		return REPLY_NAME_TOO_LONG;
	if (at[0] > 0 && (at[0] != user_r->len || memcmp(plain, user_r->p, at[0]) != 0))
		return REPLY_OTHER_IDENTITY;
	return password_r->len > PASSWORD_MAX ? REPLY_PASSWORD_TOO_LONG : REPLY_LOGGED_IN;
}

static enum reply answer_to(struct pop3 *p, const char *before, struct piece line, struct buf *out)
{
	size_t len = strlen(before) + line.len;
	char *octets = malloc(len + 1);
	CHECK(octets != NULL, "no memory");
	memcpy(octets, before, strlen(before));
	memcpy(octets + strlen(before), line.p, line.len);
	out->len = 0;
	(void)pop3_line(p, octets, len, out);
	free(octets);
	return out->len == 4 ? REPLY_NONE : host_row_of(out->p, out->len - 2, NULL);
}

static void check_response(struct piece response, bool two_lines)
{
	static struct pop3 p;
	char storage[POP3_OUT_MIN + 4096], plain[RESPONSE_LINE_MAX + 8];
	struct buf out = BUF_OVER(storage);
	struct piece user = { .len = 0 }, password = { .len = 0 };
	enum reply want, got;
	host_begin(&p, 1);
	pop3_greet(&p, &out);
	if (two_lines) {
		CHECK(answer_to(&p, "AUTH plain", (struct piece){ .p = "" }, &out) == REPLY_NONE && p.state == POP3_RESPONSE, "no continuation");
		want = response.len == 1 && *response.p == '*' ? REPLY_AUTH_CANCELLED : judge(response, plain, &user, &password);
		got = answer_to(&p, "", response, &out);
	} else {
		const bool nul = memchr(response.p, '\0', response.len) != NULL;
		const bool empty = response.len == 1 && *response.p == '=';
		want = nul ? REPLY_NUL : empty ? REPLY_BAD_PLAIN : judge(response, plain, &user, &password);
		got = answer_to(&p, "AUTH PLAIN ", response, &out);
	}
	CHECK(got == want, "answered %s, want %s", reply_row(got)->name, reply_row(want)->name);
	CHECK(host.logins == (want == REPLY_LOGGED_IN) && (p.state == POP3_TRANSACTION) == (want == REPLY_LOGGED_IN), "%u logins", host.logins);
	if (want != REPLY_LOGGED_IN)
		return;
	CHECK(strlen(host.user) == user.len && memcmp(host.user, user.p, user.len) == 0, "another user: %s", host.user);
	CHECK(host.password.len == password.len && memcmp(host.password.text, password.p, password.len) == 0, "another password");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const unsigned flags = take_octet(&in);
	struct piece given = take_piece(&in, RESPONSE_LINE_MAX / 4 * 3 - 3);
	char encoded[RESPONSE_LINE_MAX];
	if (flags & 2)
		given = (struct piece){ .p = encoded, .len = encode_slowly(given, encoded) };
	if (memchr(given.p, '\n', given.len) != NULL)
		return 0;
	check_response(given, flags & 1);
	return 0;
}
